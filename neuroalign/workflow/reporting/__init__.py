"""What a report says of a study, and how two runs differ: words, references, warnings, pages.

Words are made from the tables, notes and parameters of finished figures alone.
"""

from .analyses import words_for
from .comparison import compare_runs, comparison_page
from .concerns import concerns
from .figures import read_figure
from .page import page

__all__ = ["compare_runs", "comparison_page", "concerns", "page", "read_figure", "words_for"]
