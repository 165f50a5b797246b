"""The part of a history that deals in files: others' files in and out, what everything costs, and what may go."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tradeutils import timeframe as _timeframe
from tradeutils.errors import HistoryCorrupt, HistoryLocked, UnknownName, UsageError
from tradeutils.history.export_formats import FORMATS
from tradeutils.history.exports import ExportReport, Pieces, export_files
from tradeutils.history.imports import Given, ImportReport, import_files
from tradeutils.history.opened import ExchangeLike, name_of_exchange
from tradeutils.history.reading import ReadingHistory
from tradeutils.history.retention import Ages, HeldFile, PrunedFile, PruneReport, choose, parse_ages, parse_bytes
from tradeutils.history.stats import HistoryStats, collect, rows_with
from tradeutils.history.store import SeriesKey
from tradeutils.history.store.journal import NOTHING, read_journal
from tradeutils.history.store.layout import FORMAT_FILE
from tradeutils.history.store.quarantine import read_aside
from tradeutils.history.store.series import Series
from tradeutils.history.writing import WritingHistory
from tradeutils.model import Candles
from tradeutils.timeframe import Instant, Timeframe, Times, to_ms

__all__ = ["KeptHistory", "named_series"]

_HOUR_MS = 3_600_000


class KeptHistory(WritingHistory):
    """Import, export, statistics and retention."""

    def import_files(
        self,
        path: str | os.PathLike[str],
        *,
        exchange: ExchangeLike | None = None,
        symbol: str | Mapping[str, str] | None = None,
        timeframe: str | None = None,
        columns: Sequence[str] | Mapping[str, str] | None = None,
        recursive: bool = True,
        max_bytes: int = 1 << 29,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """
        Store the candles of a file, or of all candle files of a folder.

        Known are freqtrade's folders (feather, JSON, Parquet), Binance's public data (zips or unpacked, ``CHECKSUM``
        files beside them are honoured), what `export` writes, hive trees of Parquet, and any CSV, JSON, feather or
        Parquet that `read_candles` reads, gzipped, zipped or not. The series is told by the names of the file and its
        folders. Mark and index prices, funding rates and trades that lie among the candles are passed over, and so are
        links and hidden files: nothing outside the folder is read.

        Parameters
        ----------
        path : path
            A file or a folder.
        exchange : str or object with ``venue``, optional
            Whose candles they are. Needed where no folder says so, as ``exchange=binance`` does.
        symbol : str or mapping of str to str, optional
            The unified symbol of all files; or by the market's name in the files, ``{"BTCUSD1": "BTC/USD1"}``, of
            those whose name does not tell it. Names in one word are split by the quotes that venues use.
        timeframe : str, optional
            Of all files. Default: as their names say, else the most common step of their rows.
        columns : sequence or mapping of str, optional
            As for `read_candles`.
        recursive : bool
            Look into the folders below as well.
        max_bytes : int
            The most that one file may hold once decompressed; one that holds more is reported as failed.
        progress : callable, optional
            Called with the files done and all files after each.

        Returns
        -------
        ImportReport
            What became of each file. One that cannot be read, or whose series another process writes, is told there
            and stops nothing.

        Raises
        ------
        CandleFileError : no such file or folder, or no candle file in it.
        UsageError : the folder is a history, or lies in one; opened with ``read_only=True``.
        HistoryFull, HistoryError : as for `write`. What was stored stays; import again, and it goes on from there.

        Notes
        -----
        Candles that are stored already are replaced where the file's differ. Those that are not over yet are left out.
        Gaps in files are not taken for the venue's: a backfill asks for them. A file of Binance's outside its folders
        (``futures/um``) is taken for spot.
        Costs 0.2 s for a month of minutes as zipped CSV, 0.1 s as feather; memory for one file at a time.
        """
        self.store.check_open()
        if self.read_only:
            raise UsageError(f"the history at {self.path} was opened with read_only=True; open it without to import")
        source = _as_path("path", path)
        for folder in (source.absolute(), *source.absolute().parents):
            if _is_history(folder):
                raise UsageError(f"path was {str(source)!r}, in a history; open that one and write what it reads")
        given = Given("" if exchange is None else name_of_exchange(exchange), symbol, timeframe, columns, max_bytes)
        return import_files(self.write, source, given, recursive=recursive, progress=progress)

    def export(
        self,
        target: str | os.PathLike[str],
        *,
        format: str = "parquet",  # noqa: A002  # the word for it
        exchange: ExchangeLike | None = None,
        symbols: Iterable[str] | None = None,
        timeframe: str | Timeframe | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> ExportReport:
        """
        Write series as files of others; `import_files` reads each of them back equal.

        Parameters
        ----------
        target : path
            A folder; for ``csv``, ``parquet`` and ``feather`` of one series also a file with that ending.
        format : str
            ``"csv"``, ``"parquet"``, ``"feather"``: a file a series in hive folders, time in ms UTC (CSV) or as
            timestamp. ``"freqtrade"``: feather as freqtrade keeps it, for ``user_data/data/EXCHANGE``. ``"binance"``:
            months as Binance publishes them, zipped with a CHECKSUM; what the history does not keep, the volume in
            quote and the number of trades among it, is 0. The last two are of one exchange.
        exchange, symbols, timeframe
            Only those series. Default: all.
        since, until : int ms or aware datetime, optional
            Candles that open in ``[since, until)``. Default: all.
        overwrite : bool
            Replace files that are there; without it they are passed over.
        progress : callable, optional
            Called with the series done and all series after each.

        Returns
        -------
        ExportReport
            What became of each file; series that a layout cannot name, or of which a file is damaged, are told there.

        Raises
        ------
        UnknownName : no such format, or nothing is stored of the exchange, a symbol or the timeframe.
        UsageError : the target lies in the history; several series for one file, or exchanges for one folder.
        HistoryFull, HistoryError : the target cannot be written to; no file is there by half.

        Notes
        -----
        Memory for a month (a year above 1h) at a time. Beside a writer each month is of one moment, all together are
        not.
        """
        if format not in FORMATS:
            raise UnknownName("format", format, FORMATS)
        place = _as_path("target", target)
        if place.resolve().is_relative_to(self.path.resolve()):
            raise UsageError(f"target was {str(place)!r}, inside the history; export to a folder of its own")
        first = None if since is None else to_ms(since, name="since")
        last = None if until is None else to_ms(until, name="until")
        keys = named_series(self, exchange, timeframe, symbols)
        kind = FORMATS[format]
        pieces = self._pieces(first, last, by_month=kind.by_month)
        return export_files(pieces, keys, place, kind, overwrite=overwrite, progress=progress)

    def _pieces(self, since: int | None, until: int | None, *, by_month: bool) -> Pieces:
        def pieces(key: SeriesKey) -> Iterator[Candles]:
            span = self.store.series(key).span(since, until)
            if span is None:
                return
            fine = by_month or (key.frame.ms is not None and key.frame.ms <= _HOUR_MS)
            for begin, end in _stretches(*span, "1M" if fine else "1y"):
                first, last = max(begin, span[0]), min(end, span[1] + 1)
                candles = self.read(key.exchange, key.symbol, key.timeframe, first, last)
                if len(candles):
                    yield candles

        return pieces

    def stats(
        self,
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        *,
        symbols: Iterable[str] | None = None,
    ) -> HistoryStats:
        """
        Count series, candles, files and bytes, and project when the disk will be full.

        Raises
        ------
        UnknownName : nothing is stored of the exchange, a symbol or the timeframe.

        Notes
        -----
        Reads the ends of the files, 0.3 ms each, and the journals. Damaged files are told, not raised.
        """
        keys = named_series(self, exchange, timeframe, symbols)
        return collect(self.path, keys, lambda key: len(read_aside(self.store.series(key).folder).reason))

    def prune(
        self,
        *,
        older_than: Ages | None = None,
        max_bytes: int | str | None = None,
        keep: Iterable[str] = (),
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        symbols: Iterable[str] | None = None,
        dry_run: bool = False,
    ) -> PruneReport:
        """
        Delete the oldest months (timeframes to 1h) and years (above), by age and by the room that all take.

        Parameters
        ----------
        older_than : str, timedelta or mapping, optional
            ``"90d"``, ``"2y"``; or by timeframe, ``{"1m": "90d", "1h": "3y"}``, with ``"*"`` for all others. Counted
            from the newest candle of the history, or from now where that is earlier.
        max_bytes : int or str, optional
            ``"500GB"``, ``"2TiB"``: of the series chosen, the files that end most bars ago go until the others take no
            more than this. So a year of minutes goes before ten years of days, and the newest file of a series never.
        keep : iterable of str
            Symbols of which nothing goes, as patterns: ``["BTC/*"]``.
        exchange, timeframe, symbols
            Only those series. Default: all.
        dry_run : bool
            Tell what would go, and delete nothing; does with ``read_only=True``.

        Returns
        -------
        PruneReport

        Raises
        ------
        UsageError : neither ``older_than`` nor ``max_bytes``; an age under an hour.
        UnknownName : nothing is stored of the exchange, a symbol or the timeframe.
        HistoryFull, HistoryError : the folder cannot be written to.

        Notes
        -----
        Only whole files that the history wrote go; journals, notes and files of others stay. Readers beside it see the
        candles, or do not, and no error. What went is noted as pruned: `coverage` neither has it as stored nor as
        missing, so no backfill brings it back. To have it fetched again, forget that:
        ``history.noted("forgotten", exchange, symbol, timeframe, since, until)``.
        """
        self.store.check_open()
        if older_than is None and max_bytes is None:
            raise UsageError('nothing said what may go; write older_than="2y" or max_bytes="500GB"')
        if isinstance(keep, str):
            raise UsageError(f"keep was {keep!r}; give a list, as in [{keep!r}]")
        if self.read_only and not dry_run:
            raise UsageError(f"the history at {self.path} was opened with read_only=True; open it without to prune")
        ages, most = parse_ages(older_than), parse_bytes(max_bytes)
        held = [file for key in named_series(self, exchange, timeframe, symbols) for file in self._files(key)]
        going, _ = choose(held, newest=self._newest(), ages=ages, max_bytes=most, keep=tuple(keep))
        tails = {key: _tail(self.store.series(key)) for key in {file.key for file, _ in going}}
        told = [_told(file, why, tails[file.key]) for file, why in going]
        skipped: dict[str, str] = {}
        if not dry_run:
            skipped = self._delete(going)
            told = [file for file in told if f"{file.exchange} {file.symbol} {file.timeframe}" not in skipped]
        left = sum(file.bytes for file in held) - sum(file.bytes for file in told)
        over = 0 if most is None else max(0, left - most)
        return PruneReport(files=tuple(told), dry_run=dry_run, kept_bytes=left, over=over, skipped=skipped)

    def _files(self, key: SeriesKey) -> Iterator[HeldFile]:
        series = self.store.series(key)
        for part in series.partitions():
            path = series.folder / part.name
            try:
                about = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(about.st_mode):  # a link or a folder of that name is none of ours
                yield HeldFile(key, part, path, about.st_size)

    def _newest(self) -> int:
        """Return the time that age is counted from."""
        now = int(time.time() * 1000)
        newest: list[int] = []
        for key in self.series():
            try:
                span = self.store.series(key).span(newest=True)
            except HistoryCorrupt:  # one that cannot be read must not keep the others from being pruned
                continue
            newest += [] if span is None else [span[1]]
        return min(now, max(newest, default=now))

    def _delete(self, going: Iterable[tuple[HeldFile, str]]) -> dict[str, str]:
        of_series: dict[SeriesKey, list[HeldFile]] = defaultdict(list)
        for file, _ in going:
            of_series[file.key].append(file)
        skipped = {}
        for key, files in of_series.items():
            files.sort(key=lambda file: file.part)
            try:
                with self.store.writing(key) as writer:
                    writer.prune([file.part for file in files], *self._noted_range(key, files))
            except (HistoryLocked, HistoryCorrupt) as error:
                skipped[str(key)] = str(error)
        return skipped

    def _noted_range(self, key: SeriesKey, files: Sequence[HeldFile]) -> tuple[int, int]:
        """
        Return what to note as pruned: from the first candle that goes to the end of the last month that goes.

        Not from the begin of the first month: what was never stored stays missing. And where nothing is left behind
        it, only to the last candle: a market that goes on must not seem pruned in its future. Candles of those months
        that are not sealed yet go too, and count.
        """
        series, oldest, newest = self.store.series(key), files[0].part, files[-1].part
        since, until = oldest.since, newest.until
        with contextlib.suppress(HistoryCorrupt):
            found = series.span(since, oldest.until)
            since = since if found is None else found[0]
        if not series.partitions(until) and series.span(until, newest=True) is None:
            with contextlib.suppress(HistoryCorrupt):
                found = series.span(newest.since, until, newest=True)
                until = until if found is None else key.frame.next(found[1])
        return since, until


def named_series(
    history: ReadingHistory,
    exchange: ExchangeLike | None = None,
    timeframe: str | Timeframe | None = None,
    symbols: Iterable[str] | None = None,
) -> list[SeriesKey]:
    """
    Return the series of an exchange, a timeframe and some symbols, as `History.series` does.

    Raises
    ------
    UnknownName : nothing is stored of one of the names, which may be misspelt; the nearest are named.
    """
    wanted = None if symbols is None else symbols if isinstance(symbols, str) else list(symbols)
    keys = history.series(exchange, timeframe, symbols=wanted)
    where = str(history.path)
    there = history.series()
    exchanges = sorted({key.exchange for key in there})
    if exchange is not None and name_of_exchange(exchange) not in exchanges:
        raise UnknownName("exchange", name_of_exchange(exchange), exchanges, where=where)
    frames = sorted({key.timeframe for key in there})
    if timeframe is not None and _timeframe.parse(timeframe).name not in frames:
        raise UnknownName("timeframe", str(timeframe), frames, where=where)
    for symbol in wanted or ():
        if not any(key.symbol == symbol for key in keys):
            names = sorted({key.symbol for key in history.series(exchange, timeframe)})
            raise UnknownName("symbol", symbol, names, where=where)
    return keys


def _tail(series: Series) -> Times:
    """Return the times of a series' candles that are in its journal."""
    try:
        return read_journal(series.journal).rows.time
    except HistoryCorrupt:  # it will not be pruned, and says why
        return NOTHING.rows.time


def _told(file: HeldFile, why: str, tail: Times) -> PrunedFile:
    inside = tail[(tail >= file.part.since) & (tail < file.part.until)]
    try:
        rows = rows_with(file.path, inside)
    except (FileNotFoundError, HistoryCorrupt):  # gone meanwhile; or damaged, and going all the same
        rows = 0
    return PrunedFile(
        path=str(file.path),
        exchange=file.key.exchange,
        symbol=file.key.symbol,
        timeframe=file.key.timeframe,
        since=file.part.since,
        until=file.part.until,
        rows=rows,
        bytes=file.bytes,
        why=why,
    )


def _as_path(name: str, path: str | os.PathLike[str]) -> pathlib.Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise UsageError(f"{name} was {path!r:.80}; write a file or a folder")
    place = pathlib.Path(os.fsdecode(path))
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # a name too long, a null byte, a folder that is closed to us
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{name} was {str(place)!r:.80}, which cannot be looked at ({why}); write another") from error
    return place


def _is_history(folder: pathlib.Path) -> bool:
    try:
        return (folder / FORMAT_FILE).exists()
    except OSError:  # closed to us: the import says so
        return False


def _stretches(first: int, last: int, unit: str) -> Iterator[tuple[int, int]]:
    """Yield the months or years (``"1M"``, ``"1y"``) from the one that holds ``first`` to that of ``last``, ms UTC."""
    frame = _timeframe.parse(unit)
    begin = frame.floor(first)
    while begin <= last:
        yield begin, (end := frame.next(begin))
        begin = end
