"""The process that reads damaged files: it bounds time and memory, and its death harms nobody.

Started by ``running.py``. Reads orders (a JSON a line) on standard input, answers on the descriptor that it
is given: the number of the input before it is read, how it ended after.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

ROOM = 2 * 2**30  # bytes of address space beyond what the process has before the first damaged file
SPARE = 512 * 2**20  # bytes of memory that reading one file may take
SECONDS = 5  # of CPU time an input
LONGEST = 1_000_000  # characters of a message


class Hang(BaseException):
    """An input took too long."""


def _alarm(*_):
    raise Hang


def size():
    """Return the bytes of address space that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def bounded():
    """Bound memory beyond what there is now."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def peak():
    """Return the most memory that the process has held since ``forget``."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def forget():
    """Let the peak begin at what is held now, and return it."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def attempt(read, folder):
    """Return how reading ended: read, refused, or what is wrong."""
    before = forget()
    said = ended(read, folder)
    taken = peak() - before
    return said if taken <= SPARE else f"memory: {taken >> 20} MB were taken ({said})"


def ended(read, folder):
    from neuroalign.errors import NeuroalignError

    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read(folder)
        return "read"
    except Hang:
        return f"hang: more than {SECONDS} s of CPU time"
    except NeuroalignError as error:
        return "refused" if len(str(error)) <= LONGEST else f"message of {len(str(error))} characters"
    except BaseException as error:
        at = error.__traceback__
        where = []
        while at is not None:
            where.append(f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}")
            at = at.tb_next
        return f"foreign: {type(error).__name__}: {str(error)[:200]} ({' '.join(where[-4:])})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def damage(reader, files, number, seed):
    """Write the damaged file of a number and return its path; what it depends on is in the arguments."""
    from mutate import mutant

    rng = np.random.default_rng([seed, zlib.crc32(reader.name.encode()), number])
    path = sorted(files)[int(rng.integers(len(files)))]
    path.write_bytes(reader.wrapping(path).damage(files[path], rng, mutant))
    return path


def run(order, tell, keep):
    from readers import READERS
    from readers_real import REAL

    reader = (READERS | REAL)[order["reader"]]
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = {path: path.read_bytes() for path in reader.make(folder)}
        said = attempt(reader.read, folder)  # also imports what the reader needs
        tell({"i": -1, "said": said})
        with bounded():
            for number in range(order["start"], order["stop"]):
                tell({"begin": number})
                path = damage(reader, files, number, order["seed"])
                said = attempt(reader.read, folder)
                if keep and said not in ("read", "refused"):
                    shutil.copyfile(
                        path, Path(keep, f"{reader.name.replace(' ', '_')}-{number}{path.suffix}")
                    )
                path.write_bytes(files[path])
                tell({"i": number, "said": said, "file": path.relative_to(folder).as_posix()})
    tell({"done": True})


def main():
    descriptor, keep = int(sys.argv[1]), os.environ.get("NEUROALIGN_FUZZ_KEEP")
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _alarm)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def tell(value):
        os.write(descriptor, json.dumps(value).encode() + b"\n")

    for line in sys.stdin:
        run(json.loads(line), tell, keep)


if __name__ == "__main__":
    main()
