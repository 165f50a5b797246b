"""The part of a history that writes: candles, what was asked for, sealing and compacting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, HistoryError, TradeutilsError, UsageError
from tradeutils.history.opened import ExchangeLike, name_of_exchange
from tradeutils.history.reading import ReadingHistory
from tradeutils.history.reports import CompactReport, SalvageReport, WriteReport
from tradeutils.history.store import SeriesKey
from tradeutils.history.store.asked import Note
from tradeutils.history.store.compact import compact_all
from tradeutils.history.store.quarantine import REASONS, screened
from tradeutils.history.store.rows import Rows
from tradeutils.history.store.salvage import salvage_all
from tradeutils.history.store.writer import Counts
from tradeutils.model import Candles, Panel
from tradeutils.timeframe import Instant, Timeframe, to_ms

__all__ = ["WritingHistory"]

_Part: TypeAlias = tuple[SeriesKey, Rows, npt.NDArray[np.bool_]]

# The disk makes what several threads wait for durable at once, and Python runs one of them at a time: a candle of each
# of 500 series takes 130 ms one after the other, 114 with 4 threads, 141 with 8, 158 with 16 (2 cores).
_THREADS: Final = 4
_FEW: Final = 4  # fewer are written by the caller: threads cost more than they bring
_BATCH: Final = 256  # series of an endless iterable that are held at once


class WritingHistory(ReadingHistory):
    """What writes: one process a series at a time, any number of threads."""

    def write(
        self, candles: Candles | Panel | Iterable[Candles], *, exchange: ExchangeLike | None = None
    ) -> WriteReport:
        """
        Store candles; when it returns, they are on the disk.

        Where one of that time is stored the new one takes its place. Only closed bars are stored, so what a stream or
        ``fetch_ohlcv`` gives can be handed over as it is.

        Parameters
        ----------
        candles : Candles, Panel, or iterable of Candles
            Of one series or many. Of a panel, bars without any price are missing, and nothing is stored for them.
        exchange : str or object with ``venue``, optional
            Where they come from, if they do not say.

        Returns
        -------
        WriteReport
            How many were added, changed, there already, still forming, or no candles and kept aside.

        Raises
        ------
        UsageError : no exchange or symbol is known; the history was opened with ``read_only=True``.
        HistoryLocked : another process writes the series.
        HistoryFull : the disk is full, or would have less free than ``min_free``; nothing stored was lost.
        HistoryCorrupt : the journal of the series, or a file that must be merged with, is damaged.
        HistoryError : the folder cannot be written to.

        Notes
        -----
        Where one of several series fails, the others are stored, and its error is raised then. The candles of one call
        and series are all there or none of them, also after a kill, unless they are more than ``seal_rows``: then each
        month is whole or not there. Costs 0.25 ms for one candle, most of it the disk's; 0.6 ms for 500; 2 ms for a
        day of minutes; 0.1 s for one candle of each of 500 symbols. Sealing adds 10 ms every few thousand candles.
        """
        venue = None if exchange is None else name_of_exchange(exchange)
        if isinstance(candles, Candles):
            return self._write(self._key_of(candles, venue), Rows.of(candles), candles.closed)
        if isinstance(candles, Panel):
            return self._write_all(self._columns(candles, venue))
        if isinstance(candles, str | bytes) or not isinstance(candles, Iterable):
            raise UsageError(f"candles was {candles!r:.80}; give Candles, a Panel, or several Candles")
        return self._write_all(self._each(candles, venue))

    def _each(self, candles: Iterable[Candles], venue: str | None) -> Iterator[_Part]:
        for one in candles:
            if not isinstance(one, Candles):
                raise UsageError(f"one of the candles was {one!r:.80}; give Candles, as Candles.from_frame makes them")
            yield self._key_of(one, venue), Rows.of(one), one.closed

    def _write_all(self, parts: Iterable[_Part]) -> WriteReport:
        """Write series beside each other, those of one name one after the other; what fails does not stop the rest."""
        reports: list[WriteReport] = []
        failures: list[TradeutilsError] = []
        for batch in _batches(parts):
            if len(batch) < _FEW:
                answers = list(map(self._attempt, batch))
            else:
                with ThreadPoolExecutor(_THREADS, thread_name_prefix="tradeutils-history") as pool:
                    answers = list(pool.map(self._attempt, batch))
            reports += [answer for answer in answers if isinstance(answer, WriteReport)]
            failures += [answer for answer in answers if not isinstance(answer, WriteReport)]
        if failures:
            if len(failures) > 1:
                failures[0].add_note(f"{len(failures) - 1} more series failed")
            raise failures[0]
        return WriteReport.together(reports)

    def _attempt(self, part: _Part) -> WriteReport | TradeutilsError:
        try:
            return self._write(*part)
        except (HistoryError, DataError, UsageError) as error:
            return error

    def _key_of(self, candles: Candles, venue: str | None) -> SeriesKey:
        if venue is not None and candles.exchange not in {"", venue}:
            raise UsageError(f"exchange was {venue!r}, and the candles say {candles.exchange!r}; leave exchange= out")
        if not (venue or candles.exchange):
            raise UsageError('the candles do not say their exchange; write history.write(candles, exchange="binance")')
        if not candles.symbol:
            raise UsageError("the candles do not say their symbol; give Candles(symbol=...)")
        return SeriesKey(venue or candles.exchange, candles.symbol, candles.timeframe)

    def _columns(self, panel: Panel, venue: str | None) -> Iterator[_Part]:
        """Yield the series of a panel, without the bars that a symbol lacks."""
        name = venue or panel.exchange
        if not name or (panel.exchange and name != panel.exchange):
            raise UsageError(
                f"the exchange of the panel is {panel.exchange!r} and exchange= was {venue!r}; write one of them"
            )
        there = ~(np.isnan(panel.open) & np.isnan(panel.high) & np.isnan(panel.low) & np.isnan(panel.close))
        for column, symbol in enumerate(panel.symbols):
            kept = there[:, column]
            prices = (values[kept, column] for values in (panel.open, panel.high, panel.low, panel.close, panel.volume))
            yield self.key(name, symbol, panel.timeframe), Rows(panel.time[kept], *prices), panel.closed[kept]

    def _write(self, key: SeriesKey, rows: Rows, closed: npt.NDArray[np.bool_]) -> WriteReport:
        forming = 0
        if not closed.all():
            forming = int((~closed).sum())
            rows = rows.where(closed)
        rows, suspects = screened(rows, key.frame)
        if not len(rows) and suspects is None:
            self.store.check_writable()
            return WriteReport(forming=forming)
        with self.store.writing(key) as writer:
            if suspects is not None:
                writer.keep_aside(suspects)
            counts = writer.write(rows) if len(rows) else Counts()
        reasons: dict[Any, int] = {}
        if suspects is not None:
            codes, numbers = np.unique(suspects.reason, return_counts=True)
            reasons = {REASONS[code]: int(number) for code, number in zip(codes, numbers, strict=True)}
        return WriteReport(counts.added, counts.changed, counts.unchanged, forming, sum(reasons.values()), reasons)

    def asked(
        self,
        exchange: ExchangeLike,
        symbol: str,
        timeframe: str | Timeframe,
        since: Instant,
        until: Instant,
    ) -> None:
        """
        Note that the venue was asked for all of ``[since, until)``, and what it has of it was written.

        So where there is no candle in it, there is none: `coverage` then says empty and not missing. On the disk when
        it returns; costs nothing where it was noted already.

        Raises
        ------
        UsageError : ``until`` is before ``since``; opened with ``read_only=True``.
        HistoryLocked, HistoryFull, HistoryError : as for `write`.
        """
        self.noted("asked", exchange, symbol, timeframe, since, until)

    def noted(
        self,
        note: str,
        exchange: ExchangeLike,
        symbol: str,
        timeframe: str | Timeframe,
        since: Instant,
        until: Instant,
    ) -> None:
        """
        Note something of ``[since, until)``: ``"asked"``, ``"forgotten"`` (as if never asked), ``"pruned"``.

        Each counts from then on, whatever was noted of the range before. Pruned is what was taken away on purpose: not
        stored, and not missing either, so that no backfill brings it back; forget it to have it fetched again.
        """
        names = {one.name.lower(): one for one in Note}
        if note not in names:
            raise UsageError(f"note was {note!r}; write one of {', '.join(names)}")
        first, last = to_ms(since, name="since"), to_ms(until, name="until")
        if last < first:
            raise UsageError(f"until was {last}, before since, {first}; write since=, until= in that order")
        with self.store.writing(self.key(exchange, symbol, timeframe)) as writer:
            writer.note(names[note], first, last)

    def seal(
        self,
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        *,
        symbols: Iterable[str] | None = None,
    ) -> int:
        """
        Move what is in the journals into the Parquet files, where other programs see it; return how many candles.

        Not needed for our own readers. Costs 10 ms a series that has anything to seal.

        Raises
        ------
        HistoryLocked, HistoryFull, HistoryCorrupt, HistoryError : as for `write`; the series before are sealed.
        """
        sealed = 0
        for key in self.series(exchange, timeframe, symbols=symbols):
            with self.store.writing(key) as writer:
                sealed += writer.seal()
        return sealed

    def compact(
        self,
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        *,
        symbols: Iterable[str] | None = None,
    ) -> CompactReport:
        """
        Seal, take away what killed writers left, and pack the files of months that are over as small as can be.

        No candle is lost or changed, at no moment and by no kill. A series that another process writes, or of which a
        file is damaged, is skipped and reported. Costs 0.1 s for a month of minutes, once.
        """
        return compact_all(self.store, self.series(exchange, timeframe, symbols=symbols))

    def salvage(
        self,
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        *,
        symbols: Iterable[str] | None = None,
    ) -> SalvageReport:
        """
        Make damaged series usable again: keep what is sound, put the damaged files aside, and forget what they held.

        What was lost is missing afterwards for `coverage`, so the next backfill fetches it. The files stay in the
        folder of the series under names that begin with ``_damaged``. Sound series are not touched. Costs a `verify`.

        Raises
        ------
        HistoryLocked, HistoryFull, HistoryError : as for `write`; the series before are done.
        """
        return salvage_all(self.store, self.series(exchange, timeframe, symbols=symbols))


def _batches(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Yield the parts in batches in which no series comes twice, in their order."""
    batch: dict[SeriesKey, _Part] = {}
    for part in parts:
        if part[0] in batch or len(batch) == _BATCH:
            yield list(batch.values())
            batch = {}
        batch[part[0]] = part
    if batch:
        yield list(batch.values())
