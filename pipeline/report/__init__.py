"""The daily and weekly report: figures in, findings in plain words out, as HTML, PDF or Markdown."""
