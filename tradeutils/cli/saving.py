"""Output files: whole or not at all, and never over a file of another kind."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradeutils.errors import UsageError, nearest

__all__ = ["CHART", "CSV", "FEATHER", "JSON", "PARQUET", "Kind", "check_target", "save"]

_HEAD: Final = 1024  # bytes that tell a kind


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of file that a command writes.

    Attributes
    ----------
    name : str
        For messages: ``"a Parquet file"``.
    suffix : str
        How its name ends.
    marks : tuple of bytes
        One of these stands in the first 1024 bytes: at the start, or anywhere for ``anywhere``. None: any text.
    """

    name: str
    suffix: str
    marks: tuple[bytes, ...] = ()
    anywhere: bool = False

    def matches(self, head: bytes) -> bool:
        """Tell whether a file that begins with ``head`` is of this kind; an empty file is of every kind."""
        if not head or not self.marks:
            return b"\0" not in head
        if self.anywhere:
            return any(mark in head for mark in self.marks)
        return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(self.marks)


CSV: Final = Kind("a CSV file", ".csv")
JSON: Final = Kind("a JSON file", ".json", (b"[", b"{"))
PARQUET: Final = Kind("a Parquet file", ".parquet", (b"PAR1",))
FEATHER: Final = Kind("a feather file", ".feather", (b"ARROW1", b"FEA1"))
CHART: Final = Kind("a chart of tradeutils", ".html", (b'<meta name="generator" content="tradeutils',), anywhere=True)


def check_target(path: pathlib.Path, *kinds: Kind) -> Kind:
    """
    Return the kind of file that ``path`` names, before any work is done for it.

    Raises
    ------
    UsageError : its ending is none of theirs, it is a folder, its folder does not exist or may not be written to, or
        a file of another kind stands there.
    """
    suffix = path.suffix.lower()
    kind = next((kind for kind in kinds if kind.suffix == suffix), None)
    if path.is_dir():
        raise UsageError(
            f"output was {str(path)!r}, which is a folder; write a file name: {path / f'name{kinds[0].suffix}'}"
        )
    if kind is None:
        endings = [kind.suffix for kind in kinds]
        close = nearest(suffix, endings, 1) or [" or ".join(endings)]
        raise UsageError(f"output was {str(path)!r}; write a name that ends in {close[0]}")
    if not path.parent.is_dir():
        raise UsageError(f"output was {str(path)!r}, and there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"output was {str(path)!r}, and nothing may be written to {path.parent.resolve()}")
    if path.exists() and not (path.is_file() and kind.matches(_head(path))):
        raise UsageError(f"output was {str(path)!r}, which exists and is not {kind.name}; write another name")
    return kind


def _head(path: pathlib.Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def save(files: Mapping[pathlib.Path, bytes]) -> None:
    """
    Write files, all of them or none: each beside its place first, then renamed into it.

    Raises
    ------
    OSError : the disk is full, or the like; what stood there before still does.
    """
    written: dict[pathlib.Path, pathlib.Path] = {}
    try:
        for path, data in files.items():
            target = path.resolve()  # a link stays a link: what it points to is replaced
            draft = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.tmp")
            written[target] = draft
            _write(draft, data, _mode(target))
        for target, draft in written.items():
            draft.replace(target)
    finally:
        for draft in written.values():
            with contextlib.suppress(OSError):
                draft.unlink()


def _write(path: pathlib.Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _mode(path: pathlib.Path) -> int:
    """Return the permissions of the file that is replaced, so that a private one stays private; else the usual."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0o666
