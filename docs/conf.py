"""Sphinx configuration."""

project = "neuroalign"
author = "The neuroalign developers"
copyright = "2026, the neuroalign developers"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_static"]
html_theme = "pydata_sphinx_theme"
html_title = "neuroalign"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["docs.css"]
# All sections stand at the left of every page, with their captions, in place of a menu at the top.
html_sidebars = {"**": ["globaltoc.html"]}
html_theme_options = {"navbar_center": [], "secondary_sidebar_items": ["page-toc"]}
autosummary_generate = True
autodoc_typehints = "none"
# scikit-learn writes these methods and their docstrings.
autodoc_default_options = {"exclude-members": "set_fit_request,set_predict_request,set_score_request"}
numpydoc_show_class_members = False
myst_heading_anchors = 3
# Formulas between dollars, as the method pages write them.
myst_enable_extensions = ["dollarmath"]
