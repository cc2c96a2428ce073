"""Progress bars in logs: whole lines, a few a minute, where standard error is no terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["LineWise", "line_wise_progress"]

SECONDS = 30.0
# What a bar below another one writes to move the cursor.
CURSOR_UP = "\x1b[A"


class LineWise:
    """A text stream that a bar's updates reach as lines: the first, one in so many seconds, and the last.

    A bar redraws its line with a carriage return, which in a log makes one line of thousands of states. What
    is no bar passes through.
    """

    def __init__(self, stream: TextIO, *, seconds: float = SECONDS) -> None:
        self.stream, self.seconds = stream, seconds
        self._state, self._said = "", ""
        self._due = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write text; what follows a carriage return is a bar's state."""
        plain = text.replace(CURSOR_UP, "")
        if plain.startswith("\r"):
            self._state = plain.rsplit("\r", 1)[-1].strip() or self._state
            if time.monotonic() >= self._due:
                self._emit()
        elif self._state and not plain.strip():
            if "\n" in plain:
                self._emit()
                self._state, self._due = "", 0.0
        elif plain:
            self._state = ""
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self.stream.flush()

    def _emit(self) -> None:
        if self._state and self._state != self._said:
            self.stream.write(f"{self._state}\n")
            self.stream.flush()
        self._said, self._due = self._state, time.monotonic() + self.seconds


@contextlib.contextmanager
def line_wise_progress() -> Iterator[None]:
    """Make bars in the block write whole lines, unless standard error is a terminal."""
    if sys.stderr is None or sys.stderr.isatty():
        yield
        return
    with contextlib.redirect_stderr(LineWise(sys.stderr)):
        yield
