"""What the Snakemake rules call: steps, the study's configuration, the report, the command line."""

from .config import Study, load_study

__all__ = ["Study", "load_study"]
