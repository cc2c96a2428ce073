"""Data sets by name, downloaded by name, and simulated responses of known truth."""

from .bids import find_bids
from .bids_series import read_bids
from .cifti import read_cifti
from .cleaning import clean
from .described import described_subjects, read_described
from .description import description_schema, read_description
from .epoch_files import read_epochs
from .epochs import from_mne
from .events import check_events, read_events
from .evoked import to_mne
from .fetching import available, fetch, information
from .glm import condition_betas
from .hemodynamics import convolve_hrf, spm_hrf
from .judgements import similarity_judgements
from .loading import LOADERS, load
from .locked import locked_windows
from .planted import planted, volume_places
from .rdm_tables import read_rdm_table
from .reading_times import reading_times
from .regions import read_regions
from .sensors import sensor_adjacency
from .simulation import ceilings, simulate
from .single_trials import single_trial_betas
from .sources import manifest
from .surfaces import read_surfaces
from .volumes import read_patterns, read_volumes

__all__ = [
    "LOADERS",
    "available",
    "ceilings",
    "check_events",
    "clean",
    "condition_betas",
    "convolve_hrf",
    "described_subjects",
    "description_schema",
    "fetch",
    "find_bids",
    "from_mne",
    "information",
    "load",
    "locked_windows",
    "manifest",
    "planted",
    "read_bids",
    "read_cifti",
    "read_described",
    "read_description",
    "read_epochs",
    "read_events",
    "read_patterns",
    "read_rdm_table",
    "read_regions",
    "read_surfaces",
    "read_volumes",
    "reading_times",
    "sensor_adjacency",
    "similarity_judgements",
    "simulate",
    "single_trial_betas",
    "spm_hrf",
    "to_mne",
    "volume_places",
]
