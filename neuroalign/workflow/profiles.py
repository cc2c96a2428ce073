"""Where a study runs: on this machine, or on a cluster through Snakemake's own executor plugins."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import yaml

from ..errors import FileError, InvalidValueError, listing

__all__ = ["LOCAL", "find_profile", "profile_options", "submits_jobs"]

LOCAL = "local"
# Snakemake takes a folder of this name without being told, so that a bare call has our settings too.
FOLDERS = {LOCAL: "default"}
NAMES = ("config.v9+.yaml", "config.v8+.yaml", "config.yaml")


def find_profile(profile: str, *, beside: Path) -> Path:
    """Return the folder of a profile: one of ours by its name, or one's own by its path.

    Parameters
    ----------
    profile : str
        ``"local"``, ``"slurm"``, ``"kubernetes"``, or a folder with a ``config.yaml``.
    beside : Path
        The folder of the Snakefile, with ``profiles/`` in it.

    Raises
    ------
    FileError
        If there is no such profile; lists ours.
    """
    ours = beside / "profiles"
    for folder in (Path(profile), ours / FOLDERS.get(profile, profile)):
        if _file(folder) is not None:
            return folder.resolve()
    named = {folder: name for name, folder in FOLDERS.items()}
    shipped = sorted(named.get(path.name, path.name) for path in ours.glob("*") if _file(path))
    raise FileError(
        f"profile {profile!r} is neither one of {listing(shipped)} nor a folder with a config.yaml; "
        f"copy {ours / 'slurm'} to begin one of your own."
    )


def profile_options(profile: Path, *, cores: int, jobs: int | None, n_cores: int) -> list[str]:
    """Return Snakemake's options for a profile.

    Parameters
    ----------
    profile : Path
        As from `find_profile`.
    cores : int
        Asked for; 0 takes all of this machine, and sets no bound on a cluster.
    jobs : int, optional
        How many jobs are submitted at the same time, where the profile submits any.
    n_cores : int
        Of this machine.

    Raises
    ------
    InvalidValueError
        If ``jobs`` are asked for and the profile submits none, or its executor is not installed.
    """
    options = ["--workflow-profile", str(profile)]
    executor = _executor(profile)
    if executor is None:
        if jobs is not None:
            raise InvalidValueError(
                f"profile {profile} runs on this machine and submits no jobs; bound it with --cores."
            )
        return [*options, "--cores", str(cores or n_cores)]
    package = f"snakemake-executor-plugin-{executor}"
    if importlib.util.find_spec(package.replace("-", "_")) is None:
        raise InvalidValueError(
            f"profile {profile} submits jobs through {executor}, whose plugin is not installed. "
            f"Run: pip install {package}"
        )
    options += ["--cores", str(cores)] if cores else []
    return options + ([] if jobs is None else ["--jobs", str(jobs)])


def submits_jobs(profile: Path) -> bool:
    """Return whether a profile hands its jobs to a cluster, where they outlive a killed run."""
    return _executor(profile) is not None


def _executor(profile: Path) -> str | None:
    """Return the name of the executor plugin, None for this machine."""
    path = _file(profile) or profile
    try:
        settings: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is not YAML: {error}") from None
    if not isinstance(settings, dict):
        raise FileError(f"{path} holds no settings; expected lines such as `executor: slurm`.")
    name = settings.get("executor")
    return None if name in (None, "local") else str(name)


def _file(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)
