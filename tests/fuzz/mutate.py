"""Damage to the bytes of a valid file: what disks, editors, spreadsheets and hostile people make of it.

``mutant(content, rng, text=True)`` returns the content with one to three faults. The same generator gives the
same bytes.
"""

from __future__ import annotations

import re
import struct

__all__ = ["FAULTS", "TEXT_FAULTS", "mutant"]

NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
LARGEST_COPY = 20_000

# In place of a number.
NUMBERS = [
    *[b"", b"-1", b"0", b"-0", b"1e999", b"-1e999", b"1e-999", b"nan", b"NaN", b"inf", b"-inf", b"n/a"],
    *[b"NA", b"null", b"true", b"[]", b"{}", b'""', b"0x_", b"0b_", b"1_000", b"01", b"1,5", b"1.5.5", b"+"],
    *[b"2001-99-99", b"190:20:30", b"9" * 25, b"9" * 5000, b"1e5", b"1000000", b"4294967296", b"0.5"],
    *[b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809"],
    *["\u0661\u0662".encode(), "\uff11\uff12".encode(), "\u00bd".encode(), "\u22121".encode()],
]
# Anywhere in a text.
ODDITIES = [
    *[b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1a"],
    *["\u202e".encode(), "e\u0301".encode(), "\u200b".encode(), "\u2028".encode(), "\x85".encode()],
    *[
        "🧠".encode(),
        "İ".encode(),
        "ﬀ".encode(),
        "\u00a0".encode(),
        b"\t",
        b"\t\t\t",
        b"\r",
        b"\n\n",
        b"\x0b",
    ],
    *[
        b'"',
        b'""',
        b"'",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b": ",
        b"- ",
        b"#",
        b"&a ",
        b"*a ",
        b"!!",
    ],
    *[
        b"!!python/object/apply:os.system [id] ",
        b"<<: ",
        b"? ",
        b"|\n",
        b"%",
        b"..",
        b"../",
        b"/",
        b"~",
        b"@",
    ],
    *[
        b"\\u0000",
        b"\\ud800",
        b"\\x00",
        b"{subject}",
        b"{run}",
        b"{x}",
        b"**",
        b"=cmd|' /C calc'!A0",
        b"$x_$",
    ],
]
DEEP = [(b"[", b"]"), (b'{"a":', b"}"), (b"{a: ", b"}"), (b"- ", b""), (b"(", b")"), (b'"', b'"')]
# Sizes and offsets in binary heads.
INTEGERS = [
    0,
    1,
    2,
    3,
    7,
    127,
    255,
    32767,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
]


def _place(content, rng):
    return int(rng.integers(len(content) + 1))


def _span(content, rng, most=200):
    start = _place(content, rng)
    return start, min(len(content), start + 1 + int(rng.integers(most)))


def _pick(items, rng):
    return items[int(rng.integers(len(items)))]


def flip(content, rng):
    changed = bytearray(content)
    for _ in range(1 + int(rng.integers(4))):
        if changed:
            changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def delete(content, rng):
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def insert(content, rng):
    at = _place(content, rng)
    return content[:at] + rng.bytes(1 + int(rng.integers(64))) + content[at:]


def repeat(content, rng):
    start, stop = _span(content, rng, 2000)
    times = 1 + int(rng.integers(20))
    return content[:stop] + content[start:stop] * times + content[stop:]


def swap(content, rng):
    (a, b), (c, d) = sorted((_span(content, rng), _span(content, rng)))
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def cut(content, rng):
    return content[: _place(content, rng)]


def empty(content, rng):
    return _pick([b"", b"\n", b" ", b"\x00", b"\xef\xbb\xbf", b"\x00" * 4096], rng)


def blank(content, rng):
    start, stop = _span(content, rng, 600)
    return content[:start] + bytes([int(_pick([0, 255, 32], rng))]) * (stop - start) + content[stop:]


def integer(content, rng):
    """Write a size that does not fit, more often near the beginning, where heads stand."""
    letter = _pick("bhiqHIQfd", rng)
    size = struct.calcsize(letter)
    if len(content) < size:
        return content
    most = min(len(content), 600) if rng.random() < 0.7 else len(content)
    at = int(rng.integers(max(1, most - size + 1)))
    order = _pick("<>", rng)
    if letter in "fd":
        bits = struct.pack(order + letter, _pick([0.0, -1.0, 1e30, float("nan"), float("inf"), -0.5], rng))
    else:
        value = _pick(INTEGERS, rng) & (2 ** (8 * size) - 1)
        bits = struct.pack(order + letter.upper(), value)
    return content[:at] + bits + content[at + size :]


def lines(content, rng):
    rows = content.split(b"\n")
    what = int(rng.integers(4))
    if what == 0:
        order = rng.permutation(len(rows))
        return b"\n".join(rows[i] for i in order)
    at = int(rng.integers(len(rows)))
    if what == 1:
        return b"\n".join(rows[:at] + rows[at + 1 :])
    copies = 1 if what == 2 else min(1000, LARGEST_COPY // (len(rows[at]) + 1))
    return b"\n".join(rows[:at] + [rows[at]] * copies + rows[at:])


def ends(content, rng):
    return content.replace(b"\n", _pick([b"\r\n", b"\r", b"\n\n", b"\r\r\n", b" \n", b"\x00\n"], rng))


def mark(content, rng):
    return (
        _pick([b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"#!", b"\x1f\x8b", b"PK\x03\x04"], rng) + content
    )


def recode(content, rng):
    text = content.decode("utf-8", errors="replace")
    return text.encode(_pick(["utf-16", "utf-16-le", "utf-32", "cp1252", "utf-7", "cp037"], rng), "replace")


def number(content, rng):
    found = list(NUMBER.finditer(content))
    if not found:
        return oddity(content, rng)
    one = _pick(found, rng)
    return content[: one.start()] + _pick(NUMBERS, rng) + content[one.end() :]


def oddity(content, rng):
    at = _place(content, rng)
    return content[:at] + _pick(ODDITIES, rng) + content[at:]


def separators(content, rng):
    a, b = _pick([b"\t", b",", b":", b" ", b'"', b";"], rng), _pick([b"\t", b",", b" ", b"", b";", b'"'], rng)
    return content.replace(a, b, 1 + int(rng.integers(50)))


def deep(content, rng):
    opening, closing = _pick(DEEP, rng)
    n, at = _pick([3, 60, 2000, 20_000], rng), _place(content, rng)
    return content[:at] + opening * n + b"1" + closing * n + content[at:]


def long(content, rng):
    at = _place(content, rng)
    return content[:at] + _pick([b"a", b" ", b"9", b"\t", b'"', b"a b "], rng) * 50_000 + content[at:]


def words(content, rng):
    """Put one word in place of another: a key comes twice, a label is another row's, a number is a text."""
    found = list(re.finditer(rb"[\w./-]+", content))
    if len(found) < 2:
        return content
    here, there = _pick(found, rng), _pick(found, rng)
    return content[: here.start()] + there.group() + content[here.end() :]


FAULTS = [flip, flip, delete, insert, repeat, swap, cut, blank, integer, integer, integer, empty]
TEXT_FAULTS = [
    *[flip, delete, insert, repeat, swap, cut, blank, empty, lines, lines, ends, mark, recode],
    *[number, number, number, oddity, oddity, separators, deep, long, words, words],
]


def mutant(content, rng, *, text):
    """Return bytes with one to three faults; most often with one, which is the hardest to notice."""
    for _ in range(int(_pick([1, 1, 1, 2, 3], rng))):
        content = _pick(TEXT_FAULTS if text else FAULTS, rng)(content, rng)
    return content
