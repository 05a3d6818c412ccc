"""Sphinx configuration: MyST Markdown, the furo theme, and references that are checked."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

import ssgan  # noqa: E402  (found through the path above)

project = "ssgan"
author = "ssgan contributors"
copyright = "ssgan contributors"
version = release = ssgan.__version__

extensions = [
    "myst_nb",  # myst_parser, and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "configuration",
    "metrics",
    "names",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # tests/integration/test_notebook.py executes it
autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "code"

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "ssgan"
html_extra_path = ["live"]  # a page with sliders, which the first page shows

# A field, command or function that a page names and that does not exist fails the build.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!ssgan\.).*")]
