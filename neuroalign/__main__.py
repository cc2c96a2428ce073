"""``python -m neuroalign``: the command line."""

from .workflow.cli import main

main()
