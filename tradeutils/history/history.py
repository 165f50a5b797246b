"""`History`: candles on disk, years of them, that survive anything."""

from __future__ import annotations

from collections.abc import Iterable

from tradeutils.history.filling import FillingHistory
from tradeutils.history.opened import ExchangeLike, name_of_exchange
from tradeutils.history.panels import read_panel
from tradeutils.history.selection import Selection, select
from tradeutils.history.upkeep import KeptHistory
from tradeutils.model import Panel
from tradeutils.timeframe import Instant, Timeframe

__all__ = ["History"]


class History(FillingHistory, KeptHistory):
    """
    Candles on disk: plain Parquet in folders that DuckDB, Polars and pandas read as well, and a journal for the newest.

    Opening one costs nothing and takes no lock. What is acknowledged survives a kill at any moment; readers are right
    beside writers and never wait. One process writes a series at a time, and a second one is told so.

    Parameters
    ----------
    path : str or PathLike
        The folder; made at the first write.
    read_only : bool
        Refuse to write; the folder must be there.
    min_free : int
        Bytes that are to stay free on the disk: a write that would go below is refused with `HistoryFull`. Default:
        64 MiB, room for sealing what is in the journals.
    hot : int or bool, optional
        Bytes of memory in which Parquet files that were read are kept decoded, for panels that are asked for again and
        again; ``True`` for an eighth of the machine's. Never stale: a file that was replaced is read anew.
    seal_rows : int
        Candles in the journal of a series at which they are moved into Parquet: from three quarters of this on, and
        after a day at the latest. A write of more goes to Parquet at once.

    Raises
    ------
    HistoryError : the folder was written by a newer version, is a file, or with ``read_only`` is not there.

    Notes
    -----
    May be used from many threads. In the child of a fork it works on, with no lock of its parent's: writing there to a
    series that the parent writes is refused as from any other process.

    Examples
    --------
    >>> history = tu.History("candles/")  # doctest: +SKIP
    >>> history.write(candles)  # doctest: +SKIP
    WriteReport(added=499, changed=0, unchanged=0, forming=1, quarantined=0, reasons={})
    >>> history.read("binance", "BTC/USDT", "1m", limit=500)  # doctest: +SKIP
    """

    def panel(
        self,
        exchange: ExchangeLike,
        symbols: Iterable[str],
        timeframe: str | Timeframe,
        since: Instant | None = None,
        until: Instant | None = None,
        *,
        limit: int | None = None,
        threads: int | None = None,
    ) -> Panel:
        """
        Return the stored candles of many symbols, aligned on the grid of the timeframe.

        Parameters
        ----------
        exchange : str or object with ``venue``
        symbols : iterable of str
            The columns, in this order; none twice.
        timeframe : str
        since, until : int ms or aware datetime, optional
            There is a row for every bar that opens in ``[since, until)``, whether a symbol has it or not. Default: from
            the first candle that any of the symbols has, or to the last.
        limit : int, optional
            Only the newest so many rows, of which the last is the newest candle that any of the symbols has before
            ``until``; fewer where they begin later.
        threads : int, optional
            To decode on. Default: one a core.

        Returns
        -------
        Panel
            NaN, and True in ``mask``, where a symbol has no candle; one with none in the range is a column of NaN.

        Raises
        ------
        UnknownName : nothing was ever written to one of the series; the nearest that are stored are named.
        UsageError : no symbols, one twice, or a panel larger than the machine's memory: its size is named.
        HistoryCorrupt : a file that is needed is damaged; it is named. Nothing is left out in silence.

        Notes
        -----
        20 symbols of 30 days of minutes take 55 ms of CPU, spread over the threads, and a third of it again where the
        history was opened with ``hot=``. Takes 40 bytes a row and symbol, and of what is decoded no more than a few
        series at a time.
        """
        name = name_of_exchange(exchange)
        return read_panel(
            lambda symbol: self.found(exchange, symbol, timeframe),
            name,
            symbols,
            timeframe,
            since,
            until,
            limit=limit,
            threads=threads,
        )

    def select(
        self,
        exchange: ExchangeLike,
        symbols: Iterable[str] | None,
        timeframe: str | Timeframe,
        since: Instant | None = None,
        until: Instant | None = None,
        *,
        limit: int | None = None,
    ) -> Selection:
        """
        Name candles without reading them, for work that is spread over processes or machines.

        Parameters
        ----------
        exchange : str or object with ``venue``
        symbols : iterable of str, or None
            ``None``: all that are stored of this exchange and timeframe, in order.
        timeframe : str
        since, until, limit
            As for `panel`. What is left out is settled now, so that every worker sees the same range.

        Returns
        -------
        Selection
            To hand to ``Indicators``, to functions of ``analysis``, or to use by its ``map``, ``panel``, ``candles``.

        Raises
        ------
        UnknownName : nothing was ever written to one of the series; the nearest that are stored are named.
        UsageError : no symbols, or one twice.

        Notes
        -----
        With ``since`` and ``until`` given it costs 20 us a symbol; else the first or the last file of each is read.
        """
        return select(self, exchange, symbols, timeframe, since, until, limit=limit)
