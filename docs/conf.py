"""The documentation as a site: `make docs-site` builds it, and a broken link is an error."""

from __future__ import annotations

import pipeline

project = "Streamgauge"
author = "The Streamgauge team"
version = release = pipeline.__version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]
html_theme = "furo"
html_title = f"Streamgauge {release}"
html_show_sphinx = False
# Links to a heading of a page: `page.md#heading`.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
# Blocks of JSON and SQL in the pages are shortened with …, which no highlighter takes.
suppress_warnings = ["misc.highlighting_failure"]
