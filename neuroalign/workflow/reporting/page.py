"""Pages that open anywhere: one file, styles inside, one small script that its own digest admits."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["SCRIPT", "page"]

HERE = Path(__file__).resolve().parent

# The image stands in the file once: the link to download it takes the image's own data. Without scripts the
# link stays hidden, and everything else works.
SCRIPT = (
    'for (const link of document.querySelectorAll("a[data-image]")) {'
    "link.href = document.getElementById(link.dataset.image).src; link.hidden = false; }"
)


def page(template: str, **values: Any) -> str:
    """Return a page made from a template of this folder or the one above.

    What the values hold is text and is escaped. Should that ever fail, the page's policy still admits no
    script but ``SCRIPT`` (by digest) and no address but data inside the file.
    """
    made = _environment().get_template(template)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return str(made.render(style=style, script=SCRIPT, script_digest=digest, **values))


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([HERE, HERE.parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
