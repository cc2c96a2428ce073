"""The n-th open, write, fsync, replace fails: nothing under a final name is lost, and the error says what."""

from __future__ import annotations

import errno

import pytest
from failing import Failing
from judging import attempt, cases_of
from writers import ALIKE, EXEMPT, TABLE

from neuroalign import io

ERRORS = (errno.ENOSPC, errno.EIO)


def test_every_public_function_of_io_has_an_example_or_a_reason():
    covered = {call for example in TABLE.values() for call in example.calls}
    known = set(io.__all__)
    assert not covered & EXEMPT.keys()
    assert known == covered | EXEMPT.keys(), known ^ (covered | EXEMPT.keys())


NAMES = [pytest.param(name, marks=pytest.mark.long if name in ALIKE else ()) for name in TABLE]


@pytest.mark.parametrize("name", NAMES)
def test_the_nth_call_that_fails_leaves_the_old_file_and_says_so(name, tmp_path, tried, depth):
    n_tried, bad, kinds = 0, [], set()
    for case in cases_of(name, TABLE[name], tmp_path, tmp_path / "place"):
        case.prepare()
        with Failing(case.folder).at_work() as counted:
            case.example.write(case.folder, 1)
        assert counted.calls.count("replace") >= 1, counted.calls
        for number in ERRORS:
            for n in range(1, len(counted.calls) + 1):
                case.prepare()
                failing = Failing(case.folder, n=n, number=number)
                with failing.at_work():
                    said = attempt(lambda case=case: case.example.write(case.folder, 1))
                where = f"call {n} ({counted.calls[n - 1]}), {errno.errorcode[number]}"
                found = case.wrong(said, may_be_new=failing.n_replaced > 0)
                # pooch copies what it cannot rename; that ends with the same bytes, as was just judged
                unseen = not said and counted.calls[n - 1] != "replace"
                found += [f"{case.name}: the failure was not seen"] if unseen else []
                if n == len(counted.calls) or (case.example.resumes and n % depth(3, 1) == 0):
                    found += case.again()
                bad += [f"{where}: {one}" for one in found]
                n_tried += 1
                kinds.add(counted.calls[n - 1])
    assert {"open", "write", "fsync", "replace"} <= kinds
    tried("R4", "calls that fail, Python's", n_tried, bad)
