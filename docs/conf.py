"""Sphinx configuration."""

import re

project = "neuroalign"
author = "The neuroalign developers"
copyright = "2026, the neuroalign developers"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
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
html_math_renderer = "mathml"


def setup(app):
    """Write formulas as MathML: browsers and screen readers know it, and nothing is fetched to show it."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))


def _inline(translator, node):
    _formula(translator, node, block=False)


def _block(translator, node):
    _formula(translator, node, block=True)


def _formula(translator, node, *, block):
    from docutils.nodes import SkipNode
    from docutils.utils.math import MathError
    from docutils.utils.math.latex2mathml import tex2mathml

    tex = node.astext().strip()
    try:
        made = tex2mathml(tex, as_block=block)
    except MathError as error:
        raise ValueError(
            f"{node.source}: this formula cannot be written as MathML ({error}): {tex}"
        ) from error
    # A bar beside an exponent stands on the line as a letter does; as an operator browsers sink it.
    made = re.sub(r"<mo[^>]*>\|</mo>", '<mi mathvariant="normal">|</mi>', made)
    translator.body.append(f'<div class="formula">{made}</div>' if block else made)
    raise SkipNode
