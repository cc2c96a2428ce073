"""How damage gets past what wraps a content: compression, an archive, a digest behind it, a length before."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import zipfile
import zlib
from io import BytesIO

__all__ = ["BINARY", "TEXT", "Framed", "Gzipped", "Headed", "Plain", "Sealed", "Zipped", "wrapping_of"]

SUFFIXES = (".tsv", ".csv", ".json", ".jsonl", ".yaml", ".yml", ".TextGrid", ".txt", ".gii", ".vhdr")


class Plain:
    """The bytes of the file themselves."""

    def __init__(self, *, text):
        self.text = text

    def damage(self, content, rng, mutant):
        return mutant(content, rng, text=self.text)


TEXT, BINARY = Plain(text=True), Plain(text=False)


class Gzipped(Plain):
    """Damage inside the compressed stream, which is then compressed anew; one in four outside."""

    def damage(self, content, rng, mutant):
        if rng.random() < 0.25:
            return mutant(content, rng, text=False)
        return gzip.compress(mutant(gzip.decompress(content), rng, text=self.text), 1, mtime=0)


class Zipped(Plain):
    """Damage inside one member of an archive with right checksums; one in four outside."""

    def damage(self, content, rng, mutant):
        if rng.random() < 0.25:
            return mutant(content, rng, text=False)
        buffer = BytesIO()
        with (
            zipfile.ZipFile(BytesIO(content)) as old,
            zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for name in old.namelist():
                new.writestr(name, mutant(old.read(name), rng, text=self.text))
        return buffer.getvalue()


class Sealed(Plain):
    """Damage before the digest that ends a file of ``io.save``, which is made anew, as in crafted files."""

    def damage(self, content, rng, mutant):
        from neuroalign.io.labelled import MARK, N_TRAILER

        body = mutant(content[:-N_TRAILER], rng, text=False)
        return body + MARK + hashlib.sha256(body).digest()


class Framed(Plain):
    """Damage in an activation file before its guard, which is made anew, as in crafted files."""

    def damage(self, content, rng, mutant):
        from neuroalign.io.frames import MARK, N_END, N_LENGTH, append_guard

        end = len(content) - N_END
        length = int.from_bytes(content[-len(MARK) - N_LENGTH : -len(MARK)], "big")
        guard = json.loads(content[end - length : end])
        file = BytesIO(mutant(content[: end - length], rng, text=False))
        append_guard(file, {name: tuple(where) for name, where in guard["blocks"].items()})
        return file.getvalue()


class Headed(Plain):
    """Damage in a JSON head of a stated length (safetensors); one in four outside."""

    def damage(self, content, rng, mutant):
        if rng.random() < 0.25:
            return mutant(content, rng, text=False)
        (length,) = struct.unpack("<Q", content[:8])
        head = mutant(content[8 : 8 + length], rng, text=True)
        return struct.pack("<Q", len(head)) + head + content[8 + length :]


class Matlab(Plain):
    """Damage inside one compressed variable of a MATLAB 5 file; one in four outside."""

    def damage(self, content, rng, mutant):
        parts, at = [], 128
        while at + 8 <= len(content):
            kind, size = struct.unpack("<II", content[at : at + 8])
            parts.append((kind, content[at + 8 : at + 8 + size]))
            at += 8 + size
        if rng.random() < 0.25 or not parts or any(kind != 15 for kind, _ in parts):
            return mutant(content, rng, text=False)
        chosen, made = int(rng.integers(len(parts))), content[:128]
        for number, (kind, part) in enumerate(parts):
            if number == chosen:
                part = zlib.compress(mutant(zlib.decompress(part), rng, text=False))
            made += struct.pack("<II", kind, len(part)) + part
        return made


def wrapping_of(path):
    """Return how a file is damaged, by its name."""
    name = path.name
    if name.endswith(".gz"):
        return Gzipped(text=name.endswith((".tsv.gz", ".txt.gz")))
    if name.endswith((".npz", ".zip")):
        return Zipped(text=False)
    if name.endswith(".safetensors"):
        return Headed(text=False)
    if name.endswith(".mat"):
        return Matlab(text=False)
    return TEXT if name.endswith(SUFFIXES) else BINARY
