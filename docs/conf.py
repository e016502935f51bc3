"""Settings of the site: `make docs` builds it, strictly and without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Data-efficient continual training"
author = "the authors"
copyright = "the authors; Apache License 2.0"

extensions = ["myst_parser", "native_math", "repository_links"]
html_math_renderer = "native"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4
nitpicky = True
smartquotes = False  # they make a dash of --option
exclude_patterns = ["_ext", "images/README.md"]

# Queries hold ${variables}, which the lexer of PromQL does not know; it goes on without them.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_permalinks_icon = "#"
html_theme_options = {"navigation_with_keys": False}
pygments_style = "tango"
pygments_dark_style = "native"
