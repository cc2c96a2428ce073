"""From a BOLD series to patterns: events, first-level models, single trials, cleaning, windows."""
