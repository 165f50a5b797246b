"""The part of a history that is filled: from a venue, and from streams."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tradeutils.history.writing import WritingHistory
from tradeutils.model.stored import Executors
from tradeutils.timeframe import Instant

if TYPE_CHECKING:
    from tradeutils.history.backfilling.asking import CandleExchange
    from tradeutils.history.backfilling.report import BackfillReport, Progress
    from tradeutils.history.backfilling.tasks import OpenExchange
    from tradeutils.history.live import Followed, Live

__all__ = ["FillingHistory"]


class FillingHistory(WritingHistory):
    """What asks a venue, and what listens; asynchronous, as these are."""

    async def backfill(
        self,
        exchange: CandleExchange,
        symbols: Iterable[str],
        timeframes: str | Iterable[str],
        *,
        since: Instant,
        until: Instant | None = None,
        progress: Callable[[Progress], object] | None = None,
        concurrency: int | None = None,
        derive: bool = True,
        executor: Executors | None = None,
        open_exchange: OpenExchange | None = None,
    ) -> BackfillReport:
        """
        Fetch what the store lacks of many symbols and timeframes.

        Only what `coverage` calls missing is asked for, in pieces of 6000 bars: each is fetched, written, and then
        marked as asked. So a backfill that was killed goes on where it was when it is called again, and one that is
        complete asks for nothing. Symbols take turns, and the exchange paces itself by its budget.

        Parameters
        ----------
        exchange : Exchange
            Open it without ``cache=``, or years of candles go through the cache for nothing.
        symbols : iterable of str
            Those that the venue does not list are reported, not raised.
        timeframes : str or iterable of str
            ``"1m"``, or several: a coarser one is made of a finer one where that is known for the whole bar.
        since, until : int ms or aware datetime
            Bars that open in ``[since, until)``. Default: to the venue's present. Only closed ones.
        progress : callable, optional
            Called with a `Progress` after each piece; what it raises ends the whole.
        concurrency : int, optional
            Requests under way at most, a piece counted with its six pages. Default: 48.
        derive : bool
            Make coarser candles by `Candles.resample` where all finer ones are in the store, or come with this call:
            prices are exact, and the volume is their sum. False: fetch them all.
        executor : Executor or Dask Client, optional
            Share the symbols out among workers, which open the store by its path. Only where one process is too slow:
            the venue's limit is the same for all. Other processes must share a budget through Redis.
        open_exchange : callable, with ``executor``
            Takes nothing and returns an exchange to be opened with ``async with``. It runs in the worker, which must be
            able to import it; a connection cannot be sent there.

        Returns
        -------
        BackfillReport
            What was added, and what is missing and why, for each series; ``print`` it.

        Raises
        ------
        UnknownName : the venue lists none of the symbols, or has no such timeframe and none to make it of.
        UsageError : a range that is empty or still to come; workers that would each spend the whole limit.
        VenueError : the venue told neither its time nor its markets. What fails later is in the report.
        HistoryFull, HistoryError : what was written before is there.

        Notes
        -----
        A series that another process writes, or of which a file is damaged, is reported as failed; so is what the venue
        did not answer, tried twice, each time as often as the exchange's ``retries`` say. Where nothing is answered the
        whole waits, up to a minute between tries, and is given up after that. A venue that asks for silence of up to
        ten minutes gets it; one that bans for longer ends the whole. Of a market that was listed later than ``since``,
        the empty years take a few requests. What the venue no longer keeps is reported and stays missing. The newest
        bars are not marked as asked for two minutes after their end, unless they came. Cancelled, it waits for the
        write under way, and leaves nothing running; with ``executor`` also for the groups of symbols that workers have
        begun.
        """
        from tradeutils.history.backfilling.call import backfill  # only who asks a venue pays for it

        return await backfill(
            self,
            exchange,
            symbols,
            timeframes,
            since=since,
            until=until,
            progress=progress,
            concurrency=concurrency,
            derive=derive,
            executor=executor,
            open_exchange=open_exchange,
        )

    async def follow(
        self,
        stream: AsyncIterable[Live],
        *,
        exchange: CandleExchange | str | None = None,
        symbols: Sequence[str] | None = None,
        timeframe: str | None = None,
        progress: Callable[[Followed], object] | None = None,
    ) -> Followed:
        """
        Write what a stream yields, as it comes, until it ends.

        Each item is on the disk before the next is taken. Bars that are still forming are left out, so a stream may
        yield them.

        Parameters
        ----------
        stream : asynchronous iterator of Candles, Panel or Bars
            Of any series, in any mixture. It is closed at the end.
        exchange : Exchange or str, optional
            An exchange fills the holes that show: since the newest candle that was stored before, and between those of
            the stream. They are fetched beside the stream, one after the other. A name only says where candles come
            from that do not say it.
        symbols, timeframe : sequence of str, str, optional
            Of Bars, which name neither; they need ``exchange`` too.
        progress : callable, optional
            Called with what was `Followed` so far, after each item and hole; what it raises ends the whole.

        Returns
        -------
        Followed
            How many candles were added, and how many bars were missing and filled.

        Raises
        ------
        UsageError : no stream, or an item that is none of those.
        HistoryError : as for `write`. What the stream raises is raised too. What was written stays.

        Examples
        --------
        >>> await history.follow(exchange.watch_ohlcv("BTC/USDT", "1m"), exchange=exchange)  # doctest: +SKIP
        """
        from tradeutils.history.live import follow

        return await follow(self, stream, exchange=exchange, symbols=symbols, timeframe=timeframe, progress=progress)
