"""Numbers in words, charts and tables as SVG and HTML, in two languages. Pure: values in, text out."""
