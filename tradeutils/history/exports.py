"""
Series of the history as files of others: CSV, Parquet, feather, freqtrade's folders, Binance's public data.

A file is written beside its place, put on the disk, and renamed into it. What a file is named reads back as the series
it holds; a series for which that cannot be is left out, with the reason. Memory does not grow with the length of a
series: it is read and written a month at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Final, Literal, TypeAlias

from tradeutils.errors import DataError, UsageError
from tradeutils.history.export_formats import Format
from tradeutils.history.file_layouts import name_of, plain_text
from tradeutils.history.store.layout import SeriesKey
from tradeutils.history.store.partitions import refused, sync_folder
from tradeutils.model import Candles

__all__ = ["ExportReport", "ExportedFile", "export_files"]

ExportStatus: TypeAlias = Literal["exported", "passed over", "failed"]
Pieces: TypeAlias = Callable[[SeriesKey], Iterator[Candles]]
"""The candles of a series, a month at a time, oldest first; no empty one."""

_NUMBERS: Final = itertools.count()
_LONGEST_NAME: Final = 255 - len(".CHECKSUM")  # bytes that file systems take, with what may stand beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """
    What became of one file.

    Attributes
    ----------
    path : str
        The file; the target, where a series was left out as a whole.
    status : str
        ``"exported"``; ``"passed over"``: it exists, or nothing lies in the range; ``"failed"``.
    why : str
        Why it was passed over or failed, and what to do; empty where it was exported.
    exchange, symbol, timeframe : str
        The series.
    rows, bytes : int
        Candles in the file, and its size.
    """

    path: str
    exchange: str
    symbol: str
    timeframe: str
    status: ExportStatus = "exported"
    why: str = ""
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What became of each file of an export, series by series."""

    files: tuple[ExportedFile, ...] = field(default_factory=tuple)

    @property
    def rows(self) -> int:
        """Candles in all files that were written."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files that were written."""
        return sum(file.bytes for file in self.files)

    @property
    def exported(self) -> tuple[ExportedFile, ...]:
        """The files that were written."""
        return tuple(file for file in self.files if file.status == "exported")

    @property
    def passed_over(self) -> tuple[ExportedFile, ...]:
        """The files that stood there already, and the series with nothing in the range."""
        return tuple(file for file in self.files if file.status == "passed over")

    @property
    def failed(self) -> tuple[ExportedFile, ...]:
        """The series that could not be exported."""
        return tuple(file for file in self.files if file.status == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-shaped values."""
        return {
            "rows": self.rows,
            "bytes": self.bytes,
            "files": [{**asdict(file), "path": plain_text(file.path)} for file in self.files],
        }

    def __str__(self) -> str:
        parts = [f"{len(self.exported)} files exported: {self.rows:,} candles, {self.bytes:,} bytes"]
        for files, text in ((self.passed_over, "passed over"), (self.failed, "failed")):
            parts += [f"{len(files)} {text} (first: {files[0].symbol}: {files[0].why})"] if files else []
        return "; ".join(parts)


def export_files(
    pieces: Pieces,
    series: Sequence[SeriesKey],
    target: pathlib.Path,
    kind: Format,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Export series; see `History.export`."""
    exchanges = sorted({key.exchange for key in series})
    if kind.one_exchange and len(exchanges) > 1:
        raise UsageError(f"this layout keeps an exchange a folder, and these are {', '.join(exchanges)}; say exchange=")
    single = _is_file(target, kind)
    if single and len(series) > 1:
        raise UsageError(
            f"target was {str(target)!r}, one file, for {len(series)} series; name a folder, or one series"
        )
    done: list[ExportedFile] = []
    for number, key in enumerate(series, 1):
        try:
            for file in _export_one(pieces(key), key, target, kind, single=single, overwrite=overwrite):
                done.append(file)  # one by one: those written before a failure are told  # noqa: PERF402
        except (DataError, UsageError) as error:  # a stored file that is damaged, a symbol that the layout cannot name
            done.append(_report(target, key, status="failed", why=str(error)))
        if progress is not None:
            progress(number, len(series))
    return ExportReport(tuple(done))


def _is_file(target: pathlib.Path, kind: Format) -> bool:
    """Tell whether a target names a file rather than a folder."""
    return not kind.one_exchange and target.suffix.lower() == kind.suffix and not target.is_dir()


def _report(path: pathlib.Path, key: SeriesKey, **rest: Any) -> ExportedFile:
    return ExportedFile(path=str(path), exchange=key.exchange, symbol=key.symbol, timeframe=key.timeframe, **rest)


def _export_one(
    pieces: Iterator[Candles], key: SeriesKey, target: pathlib.Path, kind: Format, *, single: bool, overwrite: bool
) -> Iterator[ExportedFile]:
    head = next(pieces, None)
    if head is None:
        yield _report(target, key, status="passed over", why="nothing lies in the range")
    while head is not None:
        path = target if single else target / _path_of(kind, key, int(head.time[0]))
        if not overwrite and _exists(path):
            yield _report(
                path, key, status="passed over", why="exists already; overwrite=True (--overwrite) replaces it"
            )
        else:
            rest = () if kind.by_month else pieces
            rows, size = _write(path, itertools.chain([head], rest), kind)
            yield _report(path, key, rows=rows, bytes=size)
        head = next(pieces, None) if kind.by_month else None


def _exists(path: pathlib.Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise refused(path, error) from error


def _path_of(kind: Format, key: SeriesKey, first: int) -> str:
    """Return where a series goes, if an import finds the same series there."""
    path = kind.path_of(key, first)
    if len(os.fsencode(path.rpartition("/")[2])) > _LONGEST_NAME:
        raise UsageError(
            f"a file named {path[:80]}... has a name that is too long; export it as csv to a file of its own"
        )
    named = name_of(path.split("/"))
    if named.refused or (named.symbol, named.timeframe) != (key.symbol, key.timeframe):
        read = named.refused or f"would read back as {named.symbol or 'no symbol'} {named.timeframe}"
        raise UsageError(f"a file named {path} {read}; export it as csv to a file of its own")
    return path


def _write(path: pathlib.Path, pieces: Iterator[Candles], kind: Format) -> tuple[int, int]:
    """Write a file and return its rows and bytes."""
    rows = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _draft(path) as sink:
            with kind.open(sink, path.name) as put:
                for candles in pieces:
                    put(candles)
                    rows += len(candles)
            size = sink.tell()
        if kind.by_month:
            _write_check_sum(path)
    except OSError as error:
        raise refused(path, error) from error
    return rows, size


@contextlib.contextmanager
def _draft(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """Yield a new file that takes the place of ``path`` once it is whole and on the disk."""
    head = os.fsdecode(os.fsencode(path.name)[:200])  # with what follows it, still a name that file systems take
    draft = path.with_name(f".{head}.{os.getpid()}-{next(_NUMBERS)}.tmp")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_check_sum(path: pathlib.Path) -> None:
    """Write the SHA-256 beside an archive, as Binance does."""
    with path.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    with _draft(path.with_name(f"{path.name}.CHECKSUM")) as file:
        file.write(f"{digest}  {path.name}\n".encode())
