"""What dashboard and report share: HTML, numbers in words, charts. Pure: values in, text out."""
