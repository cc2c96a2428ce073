"""Calls of the system that fail when asked to: the n-th open, write, fsync or replace below a folder."""

from __future__ import annotations

import builtins
import contextlib
import io as streams
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Failing"]


class Failing:
    """Counts calls below a folder, and fails the n-th with an error number.

    Attributes
    ----------
    calls : list of str
        What was called, in order.
    """

    def __init__(self, folder: Path, *, n: int = 0, number: int = 0) -> None:
        self._folder, self._n, self._number = os.fspath(folder), n, number
        self._handles: set[int] = set()
        self.calls: list[str] = []

    @property
    def n_replaced(self) -> int:
        """How many files got their final name."""
        return self.calls[: self._n - 1 if self._n else None].count("replace")

    def count(self, what: str) -> None:
        """Count a call, and fail where it is the n-th."""
        self.calls.append(what)
        if len(self.calls) == self._n:
            raise OSError(self._number, os.strerror(self._number))

    def is_below(self, path: Any) -> bool:
        """Return whether a path or a handle is of the folder."""
        if isinstance(path, int):
            return path in self._handles
        return os.fsdecode(path).startswith(self._folder)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Failing]:
        """Stand before the calls."""
        real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "rename", "close")}
        real_open = streams.open
        try:
            os.open = self._opener(real["open"])  # type: ignore[assignment]
            os.close = self._closer(real["close"])  # type: ignore[assignment]
            for name in ("write", "fsync", "replace", "rename"):
                setattr(os, name, self._counted(name.replace("rename", "replace"), real[name]))
            builtins.open = streams.open = self._stream(real_open)  # type: ignore[assignment]
            yield self
        finally:
            for name, call in real.items():
                setattr(os, name, call)
            builtins.open = streams.open = real_open

    def _counted(self, name: str, call: Callable) -> Callable:
        def counted(target: Any, *rest: Any, **options: Any) -> Any:
            if self.is_below(target):
                self.count(name)
            return call(target, *rest, **options)

        return counted

    def _opener(self, call: Callable) -> Callable:
        def opened(path: Any, *rest: Any, **options: Any) -> Any:
            if not self.is_below(path):
                return call(path, *rest, **options)
            self.count("open")
            handle = call(path, *rest, **options)
            self._handles.add(handle)
            return handle

        return opened

    def _closer(self, call: Callable) -> Callable:
        def closed(handle: int) -> None:
            self._handles.discard(handle)
            call(handle)

        return closed

    def _stream(self, call: Callable) -> Callable:
        def opened(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if not self.is_below(path) or not set(mode) & set("wax+"):
                return call(path, mode, *rest, **options)
            self.count("open")
            return Stream(call(path, mode, *rest, **options), self)

        return opened


class Stream:
    """A file whose writes are counted."""

    def __init__(self, file: Any, failing: Failing) -> None:
        self._file, self._failing = file, failing

    def write(self, content: Any) -> int:
        self._failing.count("write")
        return self._file.write(content)

    def truncate(self, size: int | None = None) -> int:
        self._failing.count("truncate")
        return self._file.truncate(size)

    def flush(self) -> None:
        self._failing.count("flush")
        self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
