"""Data sets by name, downloaded by name, and simulated responses of known truth."""

from .behaviour.judgements import similarity_judgements
from .behaviour.reading_times import reading_times
from .bold.cleaning import clean
from .bold.events import check_events, read_events
from .bold.glm import condition_betas
from .bold.hemodynamics import convolve_hrf, spm_hrf
from .bold.locked import locked_windows
from .bold.single_trials import single_trial_betas
from .eeg.epoch_files import read_epochs
from .eeg.epochs import from_mne
from .eeg.evoked import to_mne
from .eeg.sensors import sensor_adjacency, sensor_plane
from .fetching import available, fetch, information
from .images.cifti import read_cifti
from .images.regions import read_regions
from .images.surfaces import read_surfaces
from .images.volumes import read_patterns, read_volumes
from .loading import LOADERS, load
from .own.bids import find_bids
from .own.bids_series import read_bids
from .own.described import described_subjects, read_described
from .own.description import description_schema, read_description
from .own.rdm_tables import read_rdm_table
from .simulated.planted import planted, volume_places
from .simulated.simulation import ceilings, simulate
from .sources import manifest

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
    "sensor_plane",
    "similarity_judgements",
    "simulate",
    "single_trial_betas",
    "spm_hrf",
    "to_mne",
    "volume_places",
]
