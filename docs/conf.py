"""Sphinx configuration."""

from importlib.metadata import version as version_of

project = "eventsourcing"
author = "eventsourcing contributors"
copyright = f"2026, {author}"
version = release = version_of("eventsourcing")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

napoleon_use_ivar = True  # an attribute is described once, by its class

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
