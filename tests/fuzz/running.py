"""Damaged files by number, given to a process of its own, which is started anew where it dies or hangs."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Outcome", "Worker"]

SEED = 20_240_901
WALL = 60  # seconds without a word, though others load the machine: the process hangs in compiled code
STARTS = 20  # of one reader, at most


@dataclass
class Outcome:
    """What was tried of one reader, and what is wrong."""

    good: str = ""
    n: int = 0
    counts: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Worker:
    """The process, started when it is needed."""

    def __init__(self):
        self.process, self.read, self.rest = None, None, b""

    def start(self):
        self.read, theirs = os.pipe()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MALLOC_ARENA_MAX": "2"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs],
            env=environment,
        )
        os.close(theirs)
        self.rest = b""

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            os.close(self.read)
            self.process = None

    def answer(self):
        """Return the next answer; None where the process died, the text "silent" where it hangs."""
        while b"\n" not in self.rest:
            if not select.select([self.read], [], [], WALL)[0]:
                return "silent"
            part = os.read(self.read, 1 << 16)
            if not part:
                return None
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def run(self, reader, n, *, first=0, seed=SEED):
        """Read ``n`` damaged files with a reader; the valid one must be read before."""
        found, at, starts = Outcome(), first, 0
        while at < first + n and starts < STARTS:
            if self.process is None:
                self.start()
            order = {"reader": reader, "start": at, "stop": first + n, "seed": seed}
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
            starts += 1
            at = self.listen(found, at, first + n)
        return found

    def listen(self, found, at, stop):
        """Take answers until all is read or the process ended; return the number to go on from."""
        while True:
            said = self.answer()
            if said is None or said == "silent":
                what = "hang in compiled code" if said == "silent" else self.death()
                self.stop()
                found.n += 1
                found.counts["death"] += 1
                found.failures.append(f"input {at}: {what}")
                return at + 1
            if "done" in said:
                return stop
            if "begin" in said:
                at = said["begin"]
            elif said["i"] == -1:
                found.good = said["said"]
            else:
                found.n += 1
                found.counts[said["said"].partition(":")[0]] += 1
                if said["said"] not in ("read", "refused"):
                    found.failures.append(f"input {said['i']} ({said['file']}): {said['said']}")

    def death(self):
        code = self.process.wait()
        return f"the process died of {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
