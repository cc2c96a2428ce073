"""SLURM's commands as one script: jobs run here at once, and every call is recorded.

``install(folder)`` writes ``sbatch``, ``srun``, ``sacct``, ``squeue``, ``sinfo``, ``scontrol``, ``sacctmgr``
and ``scancel`` into a folder for the PATH; ``calls(folder)`` reads what they were called with.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "squeue", "sinfo", "scontrol", "sacctmgr", "scancel")
SAID = {
    "sinfo": "short*\ngpu",
    "scontrol": "MinJobAge               = 300 sec\nMaxArraySize            = 1001",
    "sacctmgr": "lab",
}


def install(folder: Path) -> Path:
    folder.mkdir()
    for name in COMMANDS:
        script = folder / name
        script.write_text(f"#!{sys.executable} -IS\n" + Path(__file__).read_text())
        script.chmod(0o755)
    return folder


def calls(folder: Path, name: str) -> list[list[str]]:
    path = folder / "calls.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [rest for called, *rest in map(json.loads, lines) if called == name]


def option(call: list[str], *names: str) -> str | None:
    """The value of an option, whether written ``-t 30``, ``--mem 4000`` or ``--gpus=1``."""
    for at, word in enumerate(call):
        for name in names:
            if word == name:
                return call[at + 1]
            if word.startswith(f"{name}="):
                return word[len(name) + 1 :]
    return None


def main(name: str, arguments: list[str], folder: Path) -> int:
    with (folder / "calls.jsonl").open("a") as out:
        out.write(json.dumps([name, *arguments]) + "\n")
    states = folder / "states.txt"
    if name == "sbatch":
        known = states.read_text().splitlines() if states.exists() else []
        job = str(1000 + len(known))
        log = Path(str(option(arguments, "--output")).replace("%j", job))
        environment = {**os.environ, "SLURM_JOB_ID": job, "SLURM_CPUS_PER_TASK": "1"}
        with log.open("w") as said:
            code = subprocess.run(
                ["/bin/sh", "-c", str(option(arguments, "--wrap"))],
                cwd=option(arguments, "-D"),
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
            ).returncode
        with states.open("a") as out:
            out.write(f"{job}|{'FAILED' if code else 'COMPLETED'}\n")
        sys.stdout.write(f"{job}\n")
    elif name == "srun":
        command = next(at for at, word in enumerate(arguments) if not word.startswith("-"))
        return subprocess.run(arguments[command:]).returncode
    elif name in ("sacct", "squeue"):
        asked = option(arguments, "-j")
        if asked is None and states.exists():
            sys.stdout.write(states.read_text())
    else:
        sys.stdout.write(SAID.get(name, "") + "\n")
    return 0


def readable(call: list[str]) -> str:
    """A call of sbatch without what changes from run to run, for messages."""
    return re.sub(r"[0-9a-f-]{36}", "ID", shlex.join(word for word in call if not word.startswith("--wrap")))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:], Path(sys.argv[0]).parent))
