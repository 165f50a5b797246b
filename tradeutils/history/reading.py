"""The part of a history that reads: candles, which series there are, what is missing, what was kept aside."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UsageError
from tradeutils.history.opened import ExchangeLike, Opened, name_of_exchange
from tradeutils.history.reports import Coverage, Quarantined, VerifyReport
from tradeutils.history.store import SeriesKey
from tradeutils.history.store.asked import read_asked
from tradeutils.history.store.quarantine import REASONS, read_aside
from tradeutils.history.store.ranges import Ranges, intersect, subtract, union
from tradeutils.history.store.verify import verify_all
from tradeutils.model import Candles, Gap
from tradeutils.model.candles import read_only
from tradeutils.timeframe import Instant, Timeframe, to_ms

__all__ = ["ReadingHistory"]

_FIRST_MS, _LAST_MS = -(2**62), 2**62


class ReadingHistory(Opened):
    """What only reads: no lock is taken, and nothing is written."""

    def read(
        self,
        exchange: ExchangeLike,
        symbol: str,
        timeframe: str | Timeframe,
        since: Instant | None = None,
        until: Instant | None = None,
        *,
        limit: int | None = None,
    ) -> Candles:
        """
        Return stored candles.

        Parameters
        ----------
        exchange : str or object with ``venue``
        symbol : str
        timeframe : str
        since, until : int ms or aware datetime, optional
            From ``since``, inclusive, to ``until``, exclusive, by the time a bar opens. Default: all.
        limit : int, optional
            Only the newest so many of those.

        Returns
        -------
        Candles
            Oldest first; empty where nothing is stored in the range. Bars that nobody traded are absent.

        Raises
        ------
        UnknownName : nothing was ever written to the series; the nearest that are stored are named.
        HistoryCorrupt : a file that is needed is damaged; it is named. Nothing is left out in silence.
        HistoryError : the folder cannot be read.

        Notes
        -----
        Right beside any number of writers: every candle that was acknowledged before the call is there, once. Costs no
        lock; the newest 500 take 0.5 ms, a month of minutes 2 ms.
        """
        series = self.found(exchange, symbol, timeframe)
        first, last = _window(since, until)
        rows = series.rows(first, last, _checked_limit(limit))
        columns = ("time", "open", "high", "low", "close", "volume")
        key = series.key
        return Candles(
            exchange=key.exchange,
            symbol=key.symbol,
            timeframe=key.timeframe,
            **{name: read_only(getattr(rows, name)) for name in columns},  # ours alone: not copied once more
        )

    def series(
        self,
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        *,
        symbols: Iterable[str] | None = None,
    ) -> list[SeriesKey]:
        """
        Return which series there are, those of one exchange or timeframe or of some symbols where these are given.

        In the order of exchange, symbol and timeframe. Cost: a walk over the folders, 20 us a series.
        """
        if isinstance(symbols, str):
            raise UsageError(f"symbols was {symbols!r}; give a list, as in [{symbols!r}]")
        name = None if exchange is None else name_of_exchange(exchange)
        frame = None if timeframe is None else _timeframe.parse(timeframe).name
        wanted = None if symbols is None else set(symbols)
        return [
            key
            for key in self.store.stored()
            if name in {None, key.exchange}
            and frame in {None, key.timeframe}
            and (wanted is None or key.symbol in wanted)
        ]

    def coverage(
        self,
        exchange: ExchangeLike,
        symbol: str,
        timeframe: str | Timeframe,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> Coverage:
        """
        Return what is known of a series: asked for, stored, missing, empty.

        A series that was never written to is all missing; that is no error.

        Parameters
        ----------
        since, until : int ms or aware datetime, optional
            The window ``[since, until)``. Default: all that is stored or noted.

        Raises
        ------
        HistoryCorrupt : a file that is needed is damaged.
        """
        self.store.check_open()
        series = self.store.series(self.key(exchange, symbol, timeframe))
        noted = read_asked(series.folder)
        first, last = _window(since, until)
        stored = series.stored(_FIRST_MS if first is None else first, _LAST_MS if last is None else last)
        known = union(stored, noted.ranges, noted.pruned)
        first = first if first is not None else (known[0][0] if known else last if last is not None else 0)
        last = last if last is not None else max(known[-1][1] if known else first, first)
        window: Ranges = ((first, last),) if first < last else ()
        asked, pruned = intersect(noted.ranges, window), intersect(noted.pruned, window)
        stored = intersect(stored, window)
        return Coverage(
            key=series.key,
            since=first,
            until=last,
            asked=asked,
            stored=stored,
            pruned=subtract(pruned, stored),
            missing=subtract(window, known),
            empty=subtract(subtract(asked, stored), pruned),
        )

    def gaps(
        self,
        exchange: ExchangeLike,
        symbol: str,
        timeframe: str | Timeframe,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> tuple[Gap, ...]:
        """
        Return what is missing between the first and the last candle stored in ``[since, until)``, oldest first.

        Whether the venue was asked for it does not matter here: `coverage` tells that.
        """
        series = self.found(exchange, symbol, timeframe)
        first, last = _window(since, until)
        stored = series.stored(_FIRST_MS if first is None else first, _LAST_MS if last is None else last)
        frame = series.frame
        return tuple(
            Gap(before[1], after[0], frame.count(before[1], after[0])) for before, after in itertools.pairwise(stored)
        )

    def quarantined(self, exchange: ExchangeLike, symbol: str, timeframe: str | Timeframe) -> tuple[Quarantined, ...]:
        """
        Return the rows of a series that were given to `write` and are no candles, as they came, each once.

        Raises
        ------
        UnknownName : nothing was ever written to the series.
        """
        aside = read_aside(self.found(exchange, symbol, timeframe).folder)
        columns = [column.tolist() for column in aside.rows.columns()]
        reasons = [REASONS[code] for code in aside.reason.tolist()]
        return tuple(Quarantined(*row) for row in zip(*columns, reasons, strict=True))

    def verify(
        self,
        exchange: ExchangeLike | None = None,
        timeframe: str | Timeframe | None = None,
        *,
        symbols: Iterable[str] | None = None,
    ) -> VerifyReport:
        """
        Verify every file of the series: pages, checksums, journals, order, grid, and that files hold what they say.

        Beside a writer as well. Damage is reported, not raised. Cost: reads everything, 3 ms for a month of minutes.
        """
        keys = self.series(exchange, timeframe, symbols=symbols)
        return verify_all([self.store.series(key) for key in keys], self.store.nameless())


def _window(since: Instant | None, until: Instant | None) -> tuple[int | None, int | None]:
    return (
        None if since is None else to_ms(since, name="since"),
        None if until is None else to_ms(until, name="until"),
    )


def _checked_limit(limit: int | None) -> int | None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UsageError(f"limit was {limit!r}; write how many candles, 1 or more")
    return limit
