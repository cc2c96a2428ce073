"""How the command line answers what goes wrong: a message and an exit code, a traceback when asked for."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import NeuroalignError
from .progress import line_wise_progress

__all__ = ["EXIT_CODES", "FAILED", "INTERRUPTED", "WRONG", "Failed", "Guarded"]

FAILED, WRONG, INTERRUPTED = 1, 2, 130
EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted."

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
# Packages that come with an extra of ours, by the name that is imported.
EXTRAS = {
    "accelerate": "models",
    "bids": "bids",
    "gguf": "models",
    "huggingface_hub": "models",
    "jinja2": "workflow",
    "mne": "eeg",
    "safetensors": "models",
    "snakemake": "workflow",
    "tokenizers": "models",
    "transformers": "models",
}


class Failed(Exception):  # noqa: N818 - says what happened
    """The input was right and the work was not done; the message says why."""


class Guarded(TyperGroup):
    """A group of commands whose mistakes are answered; ``--debug`` may stand anywhere on the line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--debug`` out of the arguments, wherever it stands before ``--``."""
        end = args.index("--") if "--" in args else len(args)
        kept = [arg for i, arg in enumerate(args) if arg != "--debug" or i > end]
        ctx.meta["neuroalign.debug"] = len(kept) < len(args) or asked_by_environment()
        return super().parse_args(ctx, kept)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what is the user's or the machine's fault is one message."""
        with answered(debug=bool(ctx.meta.get("neuroalign.debug"))), line_wise_progress():
            return super().invoke(ctx)


def asked_by_environment() -> bool:
    """Return whether NEUROALIGN_DEBUG asks for tracebacks."""
    return os.environ.get("NEUROALIGN_DEBUG", "").lower() not in ("", "0", "false", "no")


@contextlib.contextmanager
def answered(*, debug: bool = False) -> Iterator[None]:
    """Turn expected errors of a block into a message on stderr and an exit code.

    A mistake in the input ends with 2; a full or broken disk, too little memory or a package that is not
    installed with 1; Ctrl-C with 130. Anything else is a mistake of ours, and its traceback is what a report
    of it needs.
    """
    try:
        yield
    except KeyboardInterrupt:
        _say("interrupted.", debug)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise
    except NeuroalignError as error:
        _say(str(error), debug)
        raise typer.Exit(FAILED if _is_of_the_disk(error) else WRONG) from None
    except Failed as error:
        _say(str(error), debug)
        raise typer.Exit(FAILED) from None
    except (ImportError, MemoryError, OSError, RuntimeError) as error:
        said = _failure(error)
        if said is None:
            raise
        _say(said, debug)
        raise typer.Exit(FAILED) from None


def _is_of_the_disk(error: BaseException | None) -> bool:
    """Return whether an error comes from a disk that is full, broken or read-only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK:
            return True
        error = error.__cause__
    return False


def _failure(error: Exception) -> str | None:
    """Return what to say of an error that is nobody's mistake, None of one that is ours."""
    if isinstance(error, ImportError):
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            return None
        return f"{package} is not installed. Run: pip install 'neuroalign[{EXTRAS[package]}]'"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        said = str(error).split("\n")[0]
        return f"out of memory{f': {said}' if said else ''}. `neuroalign check` estimates what a study needs."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return None


def _say(text: str, debug: bool) -> None:
    if debug:
        traceback.print_exc(file=sys.stderr)
    typer.echo(f"neuroalign: {text}", err=True)
