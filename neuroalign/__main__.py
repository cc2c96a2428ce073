"""``python -m neuroalign``: the command line."""

from .workflow.cli import app

app()
