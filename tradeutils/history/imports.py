"""
Candle files of others into the history: freqtrade's folders, Binance's public data, CSV, JSON, feather, Parquet.

Each file is judged by itself and reported by itself; one that cannot be read stops nothing.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, Protocol, TypeAlias

from tradeutils import timeframe as _timeframe
from tradeutils.errors import CandleFileError, DataError, HistoryLocked, UsageError
from tradeutils.history.candle_files.names import is_candle_file, near
from tradeutils.history.candle_files.reading import FileReport, read_candles
from tradeutils.history.file_layouts import Named, name_of, plain_text, resolved
from tradeutils.history.store.layout import FORMAT_FILE
from tradeutils.model import Candles

__all__ = ["ImportReport", "ImportedFile", "import_files"]

Status: TypeAlias = Literal["imported", "passed over", "failed"]

_LINK: Final = "is a link, and links are not followed; import what it leads to"
_CHECKSUM_BYTES: Final = 4096  # a digest and a name


class Written(Protocol):
    """What a write of candles tells of itself."""

    @property
    def added(self) -> int: ...
    @property
    def changed(self) -> int: ...
    @property
    def unchanged(self) -> int: ...
    @property
    def forming(self) -> int: ...
    @property
    def quarantined(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """
    What became of one file.

    Attributes
    ----------
    path : str
    status : str
        ``"imported"``; ``"passed over"``: it holds no candles of trades, or is a link; ``"failed"``.
    why : str
        Why it was passed over or failed, and what to do; empty where it was imported.
    exchange, symbol, timeframe : str
        The series it went to; empty where it cannot be told.
    rows : int
        Rows in the file. Those without a price and all but the last of one time are left out; ``found`` counts them.
    added, changed, unchanged : int
        Candles that were new to the history, replaced one of other values, or were there already.
    forming : int
        Candles that are not over yet, and were left out.
    quarantined : int
        Candles off the grid or with impossible prices, kept aside: ``History.quarantined`` returns them.
    found : FileReport or None
        All that was found in the file; ``None`` where it was not read.
    """

    path: str
    status: Status = "imported"
    why: str = ""
    exchange: str = ""
    symbol: str = ""
    timeframe: str = ""
    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    forming: int = 0
    quarantined: int = 0
    found: FileReport | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of each file of an import, in the order of their paths."""

    files: tuple[ImportedFile, ...] = field(default_factory=tuple)

    def _sum(self, name: str) -> int:
        return sum(getattr(file, name) for file in self.files)

    @property
    def rows(self) -> int:
        """Rows in all files that were read."""
        return self._sum("rows")

    @property
    def added(self) -> int:
        """Candles that were new to the history."""
        return self._sum("added")

    @property
    def changed(self) -> int:
        """Candles that replaced one of other values."""
        return self._sum("changed")

    @property
    def quarantined(self) -> int:
        """Candles that were kept aside."""
        return self._sum("quarantined")

    @property
    def imported(self) -> tuple[ImportedFile, ...]:
        """The files whose candles are in the history now."""
        return tuple(file for file in self.files if file.status == "imported")

    @property
    def passed_over(self) -> tuple[ImportedFile, ...]:
        """The files that hold no candles of trades, and links."""
        return tuple(file for file in self.files if file.status == "passed over")

    @property
    def failed(self) -> tuple[ImportedFile, ...]:
        """The files that could not be imported."""
        return tuple(file for file in self.files if file.status == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-shaped values."""
        sums = {name: self._sum(name) for name in ("rows", "added", "changed", "unchanged", "forming", "quarantined")}
        return {**sums, "files": [{**asdict(file), "path": plain_text(file.path)} for file in self.files]}

    def __str__(self) -> str:
        parts = [f"{len(self.imported)} of {len(self.files)} files imported: {self.added:,} candles added"]
        for count, text in (
            (self.changed, "changed"),
            (self._sum("unchanged"), "there already"),
            (self._sum("forming"), "not over yet (left out)"),
            (self.quarantined, "quarantined"),
        ):
            parts += [f"{count:,} {text}"] if count else []
        for files, text in ((self.passed_over, "passed over"), (self.failed, "failed")):
            parts += [f"{len(files)} {text} (first: {files[0].path}: {files[0].why})"] if files else []
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller says of all files."""

    exchange: str = ""
    symbol: str | Mapping[str, str] | None = None
    timeframe: str | None = None
    columns: Sequence[str] | Mapping[str, str] | None = None
    max_bytes: int = 1 << 29


@dataclass(frozen=True, slots=True)
class _Found:
    """A path below the one that is imported, and why it is not read, if so."""

    path: pathlib.Path
    status: Status = "imported"
    why: str = ""


def import_files(
    write: Callable[[Candles], Written],
    path: pathlib.Path,
    given: Given,
    *,
    recursive: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """
    Import a file, or the files of a folder; see `History.import_files`.

    ``write`` stores candles and is called from this thread, once a file.
    """
    if given.timeframe is not None:
        _timeframe.parse(given.timeframe)
    names = given.symbol.items() if isinstance(given.symbol, Mapping) else ((given.symbol, given.symbol),)
    if given.symbol is not None and not all(isinstance(name, str) and name for pair in names for name in pair):
        raise UsageError(f'symbol was {given.symbol!r:.80}; write "BTC/USDT", or {{"BTCUSD1": "BTC/USD1"}}')
    found = list(_find(path, recursive))
    if not found:
        raise CandleFileError(str(path), "holds no file that ends as candle files do (.csv .zip .feather .parquet ...)")
    done = []
    for number, one in enumerate(found, 1):
        done.append(_import_one(write, path, one, given))
        if progress is not None:
            progress(number, len(found))
    return ImportReport(tuple(done))


def _find(root: pathlib.Path, recursive: bool) -> Iterator[_Found]:
    """Yield the candle files at or below ``root`` in the order of their paths, and what cannot be looked at."""
    if root.is_file():
        yield _Found(root)
        return
    if not root.is_dir():
        raise CandleFileError(str(root), "no such file or folder" + near(root))
    unreadable: list[OSError] = []
    for folder, inner, names in os.walk(root, followlinks=False, onerror=unreadable.append):
        here = pathlib.Path(folder)
        found = [one for name in names if (one := _look(here / name))]
        below = [here / name for name in inner if recursive and not name.startswith(".")]
        refused = [_Found(path, "passed over", why) for path in below if (why := _refused(path))]
        inner[:] = sorted(path.name for path in set(below) - {one.path for one in refused})
        yield from sorted(found + refused, key=lambda one: one.path)
    for error in unreadable:
        yield _Found(pathlib.Path(error.filename), "failed", f"cannot be looked into: {error.strerror}")


def _look(path: pathlib.Path) -> _Found | None:
    """Return a file if it is one of candles, by its name."""
    try:
        if not is_candle_file(path):
            return None
        return _Found(path, "passed over", _LINK) if path.is_symlink() else _Found(path)
    except OSError as error:
        return _Found(path, "failed", f"cannot be looked at: {error.strerror}")


def _refused(folder: pathlib.Path) -> str:
    """Return why a folder is not to be looked into."""
    if folder.is_symlink():
        return _LINK
    return "is a history; open it and write what it reads" if (folder / FORMAT_FILE).exists() else ""


def _named(root: pathlib.Path, file: pathlib.Path, given: Given) -> Named:
    top = root.absolute()  # not resolved: the names are those that the caller sees
    inner = file.relative_to(root).parts if file != root else ()
    parts = (top.name, *inner)
    return resolved(name_of(parts, top.parent.parts), given.symbol)


def _import_one(write: Callable[[Candles], Written], root: pathlib.Path, found: _Found, given: Given) -> ImportedFile:
    file = found.path
    named = _named(root, file, given)
    told = ImportedFile(
        path=str(file),
        exchange=given.exchange or named.exchange,
        symbol=named.symbol,
        timeframe=given.timeframe or named.timeframe,
    )
    if found.why:
        return replace(told, status=found.status, why=found.why)
    if named.refused:
        return replace(told, status="passed over", why=named.refused)
    if not told.symbol:
        hint = f'symbol="BTC/USDT", or symbol={{{named.label!r}: "BTC/USDT"}} for one of many'
        return replace(told, status="failed", why=f"its name does not say of which market it is; say {hint}")
    if not told.exchange:
        return replace(told, status="failed", why='its exchange is not known; say exchange="binance"')
    try:
        return _stored(write, file, told, given)
    except (DataError, UsageError, HistoryLocked) as error:
        return replace(told, status="failed", why=str(error).removeprefix(str(file)).lstrip(":, "))


def _stored(write: Callable[[Candles], Written], file: pathlib.Path, told: ImportedFile, given: Given) -> ImportedFile:
    check_sum(file)
    read = read_candles(
        file,
        exchange=told.exchange,
        symbol=told.symbol,
        timeframe=told.timeframe or None,
        columns=given.columns,
        max_bytes=given.max_bytes,
    )
    written = write(_with_forming(read.candles))
    counts = {name: getattr(written, name) for name in ("added", "changed", "unchanged", "forming", "quarantined")}
    return replace(told, timeframe=read.candles.timeframe, rows=read.report.rows, found=read.report, **counts)


def _with_forming(candles: Candles) -> Candles:
    """Mark the candles that are not over yet: a file that was written during a bar may hold the half of it."""
    frame = _timeframe.parse(candles.timeframe)
    closed = frame.shift(frame.floor(candles.time)) <= int(time.time() * 1000)
    return candles if closed.all() else candles.with_closed(closed)


def check_sum(file: pathlib.Path) -> None:
    """
    Compare a file with the SHA-256 in the file ``NAME.CHECKSUM`` beside it, if there is one.

    Raises
    ------
    CandleFileError : they differ, or what stands there is no checksum.
    """
    beside = file.with_name(f"{file.name}.CHECKSUM")
    if not beside.is_file() or beside.is_symlink():
        return
    try:
        with beside.open("rb") as told:
            words = told.read(_CHECKSUM_BYTES).split()
        wanted = words[0].decode("ascii", "replace").lower() if words else ""
        if len(wanted) != 64 or not set(wanted) <= set("0123456789abcdef"):
            raise CandleFileError(str(file), f"{beside.name} holds no SHA-256; fetch both again, or delete it")
        with file.open("rb") as data:
            found = hashlib.file_digest(data, "sha256").hexdigest()
    except OSError as error:
        raise CandleFileError(str(file), f"cannot be read: {error.strerror or error}") from error
    if found != wanted:
        raise CandleFileError(str(file), f"is not what {beside.name} says (SHA-256 {found[:16]}...); fetch it again")
