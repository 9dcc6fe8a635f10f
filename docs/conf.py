"""How Sphinx builds the read-online edition from build/book-source: see tools/book.py."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = html_title = "Deep learning for medical images"
language = "en"
extensions = ["myst_nb"]

nb_execution_mode = "off"  # the lessons' outputs are committed, and `make test` compares them
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4  # links to a heading, as on GitHub

html_theme = "furo"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_math_renderer = "mathml"
html_copy_source = html_use_index = False
html_show_sourcelink = html_show_copyright = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

MENDED = [
    ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
    ("body", '<th class="head"><p></p></th>', "<td></td>"),
]


def formula(block):
    """Return what writes a formula as MathML, which browsers show without MathJax."""

    def write(translator, node):
        translator.body.append(tex2mathml(node.astext(), as_block=block))
        raise nodes.SkipNode

    return write, None


def mended(app, pagename, templatename, context, doctree):
    """Say of which level the sidebar's headings are; an empty cell of a table heads nothing."""
    for part, old, new in MENDED:
        context[part] = context.get(part, "").replace(old, new)


def setup(app):
    """Tell Sphinx how to write formulas and the sidebar."""
    app.connect("html-page-context", mended, priority=900)  # after the theme has made it
    app.add_html_math_renderer("mathml", formula(block=False), formula(block=True))
