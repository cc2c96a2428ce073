"""Run the scripts of docs/gallery and write their figures and the page that shows them.

``python docs/make_gallery.py`` writes ``docs/gallery/NAME.png`` and ``docs/gallery/index.md``; ``--page``
writes only the page. A script draws one ``figure``; the first line of its docstring is the title, the rest
what is seen.
"""

from __future__ import annotations

import argparse
import ast
import runpy
import sys
from pathlib import Path

GALLERY = Path(__file__).parent / "gallery"
DPI = 200
TOP = """# Gallery

Every function of {py:mod}`neuroalign.plotting` in a figure that is made in seconds, with the code
that makes it. All data on this page are simulated. A panel takes an axis and labelled values and
returns the axis; figures have the widths of one column (85 mm) or two (180 mm). Bands are noise
ceilings, hatched bands what chance gives; letters stay letters in a PDF. Written by
`docs/make_gallery.py`; the scripts are `docs/gallery/*.py`, and tests run them.
"""


def scripts() -> list[Path]:
    """Return the scripts in the order of their names."""
    return sorted(GALLERY.glob("*.py"))


def figure_of(path: Path):
    """Run a script and return its figure."""
    return runpy.run_path(str(path))["figure"]


def page() -> str:
    """Return the page, from the scripts' text alone."""
    parts = [TOP]
    for path in scripts():
        text = path.read_text(encoding="utf-8")
        title, _, about = (ast.get_docstring(ast.parse(text)) or "").partition("\n")
        code = text.split('"""', 2)[2].strip()
        seen = " ".join(about.replace("`", "").split())
        picture = f"```{{figure}} {path.stem}.png\n:alt: {title}. {seen}\n:figclass: {_width(text)}\n```"
        parts.append(f"## {title}\n\n{about.strip()}\n\n{picture}\n\n```py\n{code}\n```\n")
    return "\n".join(parts)


def _width(code: str) -> str:
    """Return how wide a figure is: a wide one is scrolled sideways on a phone."""
    return "one-column" if 'width="one column"' in code else "two-columns"


def main(arguments: list[str] | None = None) -> None:
    """Write the page, and the figures unless only the page is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--page", action="store_true", help="only the page")
    parser.add_argument("names", nargs="*", help="only the figures of these scripts")
    given = parser.parse_args(arguments)
    (GALLERY / "index.md").write_text(page(), encoding="utf-8")
    for path in [] if given.page else scripts():
        if not given.names or path.stem in given.names:
            figure_of(path).savefig(path.with_suffix(".png"), dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1:])
