"""What the Snakemake rules call: one function a step, the study's configuration, the report, the command line."""

from .config import Study, load_study

__all__ = ["Study", "load_study"]
