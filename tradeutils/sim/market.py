"""
What every simulated market can be asked, whatever its candles come from.

A market holds no clock: it is asked what is known at a moment, and never tells what lies after it. The same question
has the same answer however often, in whatever order and in whatever pages it is asked.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.model import Candles
from tradeutils.model.candles import Column
from tradeutils.sim.bars import (
    TRADES_PER_BAR,
    Klines,
    TradeColumns,
    aggregate,
    cut,
    describe,
    join,
    join_trades,
    trades_in,
)
from tradeutils.sim.depth import levels
from tradeutils.sim.instruments import Instrument, Kind, index_by_id, salt
from tradeutils.sim.swaps import Swaps
from tradeutils.timeframe import Timeframe

__all__ = ["MAX_DEPTH", "Day", "Market"]

DAY_MS: Final = 86_400_000
MAX_DEPTH: Final = 5_000
"""Levels that a side of a book has at most."""
_SEARCH_BARS: Final = 1_440


@dataclass(frozen=True, slots=True)
class Day:
    """The 24 hours before a moment; ``first_id`` is -1 where nothing was traded."""

    since: int
    until: int
    open: float
    high: float
    low: float
    last: float
    last_amount: float
    volume: float
    quote_volume: float
    first_id: int
    last_id: int
    trades: int


class Market(Swaps):
    """
    The prices of a number of instruments, each known by its id: ``"BTCUSDT"``, of a swap ``"BTCUSDT-PERP"``.

    Amounts are in base units, of swaps as well.

    Parameters
    ----------
    instruments : iterable of Instrument
        What is traded.
    hidden : mapping of key to Instrument, optional
        Prices that are made as those of markets are and are not traded: marks, and indices without a spot market.
    seed : int
        All that is made up depends on it and on nothing else.
    now : int
        The moment, ms UTC, at which a venue that is not told starts.
    """

    def __init__(
        self, instruments: Iterable[Instrument], *, seed: int, now: int, hidden: Mapping[str, Instrument] | None = None
    ) -> None:
        self.instruments = index_by_id(instruments)
        self.seed = seed
        self.now = now
        self._rules = {**(hidden or {}), **self.instruments}
        self._salts = {market: salt(seed, "trades", market) for market in self._rules}
        self._book_salts = {market: salt(seed, "book", market) for market in self.instruments}
        self._days: dict[str, Day] = {}
        self._latest: dict[str, tuple[tuple[int, int], TradeColumns]] = {}

    def traded(self, kind: Kind) -> dict[str, Instrument]:
        """Return the instruments of one kind by their venue's name without a separator, ``"BTCUSDT"`` of both kinds."""
        return {one.name: one for one in self.instruments.values() if one.kind == kind}

    @abc.abstractmethod
    def frame(self, market: str) -> Timeframe:
        """Return the timeframe of the candles that a market is made of."""

    @abc.abstractmethod
    def ordinal(self, market: str, time: int) -> int:
        """Return how many candles open before ``time``: the number, from 0, of the first that does not."""

    @abc.abstractmethod
    def rows(self, market: str, first: int, last: int) -> Candles:
        """Return the whole candles numbered ``[first, last)``, as far as there are any."""

    @abc.abstractmethod
    def closed(self, market: str, frame: Timeframe, since: int, until: int, limit: int, *, newest: bool) -> Klines:
        """Return at most ``limit`` whole candles of ``frame`` that open in ``[since, until)``, oldest or newest."""

    def klines(
        self,
        market: str,
        timeframe: str,
        now: int,
        *,
        since: int | None = None,
        until: int | None = None,
        limit: int = 500,
    ) -> Klines:
        """
        Return candles of any timeframe that is made of whole candles of the market, as they are known at ``now``.

        Parameters
        ----------
        now : int
            Nothing after it is told; the candle that contains it is still forming and marked as not closed.
        since, until : int, optional
            The candles that open in ``[since, until)``, ms. Without ``since`` the newest are returned, with it the
            oldest.
        limit : int
            How many, at most.
        """
        frame = _timeframe.parse(timeframe)
        opened = frame.floor(now)
        first = 0 if since is None else since
        end = opened if until is None else min(until, opened)
        newest = since is None
        tail = self._forming(market, frame, now) if first <= opened and (until is None or opened < until) else None
        room = limit - (tail is not None and newest)
        whole = self.closed(market, frame, first, end, room, newest=newest)
        if tail is None or len(whole) >= limit:
            return whole
        return join([whole, tail]) if len(whole) else tail

    def _forming(self, market: str, frame: Timeframe, now: int) -> Klines | None:
        """Return the candle of ``frame`` that contains ``now``, or ``None`` where nothing was traded in it."""
        if not self.frame(market).divides(frame):
            return None
        rows = self._rows_until(market, frame.floor(now), now)
        if not len(rows):
            return None
        instrument = self._rules[market]
        tail = aggregate(describe(rows, instrument), frame, instrument)
        return Klines(
            Candles(
                symbol=tail.candles.symbol,
                timeframe=frame.name,
                **{name: getattr(tail.candles, name) for name in ("time", "open", "high", "low", "close", "volume")},
                closed=np.zeros(1, dtype=np.bool_),
            ),
            tail.quote_volume,
            tail.trades,
            tail.taker_volume,
            tail.taker_quote,
        )

    def _rows_until(self, market: str, since: int, now: int) -> Candles:
        """Return the market's own candles that open in ``[since, now]``, the last of them cut at ``now``."""
        last = self.ordinal(market, now + 1)
        rows = self.rows(market, self.ordinal(market, since), last)
        if not len(rows) or self.frame(market).shift(int(rows.time[-1])) <= now:
            return rows
        trades = self._trades_of(market, last - 1, last)
        return cut(rows, trades[trades.time <= now], self._rules[market])

    def trades(
        self,
        market: str,
        now: int,
        *,
        from_id: int | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int = 500,
    ) -> TradeColumns:
        """Return at most ``limit`` trades up to ``now``: from an id, from a moment, or else the newest."""
        end = now if until is None else min(now, until)
        last = self.ordinal(market, end + 1)
        newest = from_id is None and since is None
        first = 0
        if from_id is not None:
            first = max(0, from_id - 1) // TRADES_PER_BAR
        elif since is not None:
            first = max(0, self.ordinal(market, since + 1) - 1)
        parts: list[TradeColumns] = []
        # One row more than the limit fills, as the one that is forming has fewer; more where nothing was traded.
        missing, bars = limit, limit // TRADES_PER_BAR + 2
        while missing > 0 and first < last:
            low, high = (max(first, last - bars), last) if newest else (first, min(last, first + bars))
            found = self._trades_of(market, low, high)
            keep = (found.amount > 0) & (found.time <= end) & (found.id >= (from_id or 0))
            found = found[keep & (found.time >= (since or 0))]
            found = found[max(0, len(found) - missing) :] if newest else found[:missing]
            parts.insert(0 if newest else len(parts), found)
            missing, bars = missing - len(found), min(bars * 4, _SEARCH_BARS)
            first, last = (first, low) if newest else (high, last)
        return join_trades(parts)

    def _trades_of(self, market: str, first: int, last: int) -> TradeColumns:
        known = self._latest.get(market)
        if known is not None and known[0] == (first, last):
            return known[1]
        rows = self.rows(market, first, last)
        trades = trades_in(rows, first, self.frame(market), self._rules[market], self._salts[market])
        if last - first == 1:  # the candle that is forming is asked for again and again
            self._latest[market] = (first, last), trades
        return trades

    def last(self, market: str, now: int) -> TradeColumns:
        """Return the last trade up to ``now``, or none where nothing was traded yet."""
        last = self.ordinal(market, now + 1)
        found = self._trades_of(market, max(0, last - 1), last)
        found = found[found.time <= now]
        return found[len(found) - 1 :] if len(found) else found

    def day(self, market: str, now: int) -> Day | None:
        """Return the 24 hours up to ``now``, or ``None`` where nothing was traded yet."""
        last = self.last(market, now)
        if not len(last):
            return None
        opened = self.frame(market).floor(now)
        # The whole candles of the day change only when one closes; 2000 markets are then not summed at every call.
        known = self._days.get(market)
        if known is None or known.until != opened:
            known = self._days[market] = self._whole_day(market, opened)
        day = self._add_forming(market, known, now) if int(last.time[0]) >= opened else known
        price, latest = float(last.price[0]), int(last.id[0])
        if day.first_id < 0:
            day = dataclasses.replace(day, open=price, high=price, low=price)
        else:
            day = dataclasses.replace(day, last_id=latest, trades=latest - day.first_id + 1)
        return dataclasses.replace(day, since=now - DAY_MS, until=now, last=price, last_amount=float(last.amount[0]))

    def _whole_day(self, market: str, opened: int) -> Day:
        """Return the whole candles that open less than a day before the one that opens at ``opened``."""
        instrument, first = self._rules[market], self.ordinal(market, opened - DAY_MS + 1)
        rows = self.rows(market, first, self.ordinal(market, opened))
        if not len(rows):
            return Day(opened - DAY_MS, opened, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1, -1, 0)
        return Day(
            since=opened - DAY_MS,
            until=opened,
            open=float(rows.open[0]),
            high=float(rows.high.max()),
            low=float(rows.low.min()),
            last=float(rows.close[-1]),
            last_amount=0.0,
            volume=round(float(rows.volume.sum()), instrument.amount_decimals),
            quote_volume=round(float(describe(rows, instrument).quote_volume.sum()), instrument.cost_decimals),
            first_id=first * TRADES_PER_BAR + 1,
            last_id=(first + len(rows)) * TRADES_PER_BAR,
            trades=len(rows) * TRADES_PER_BAR,
        )

    def _add_forming(self, market: str, day: Day, now: int) -> Day:
        """Return a day with the trades of the candle that is still forming added."""
        last = self.ordinal(market, now + 1)
        trades = self._trades_of(market, last - 1, last)
        seen = trades[trades.time <= now]
        instrument = self._rules[market]
        high, low, volume = float(seen.price.max()), float(seen.price.min()), float(seen.amount.sum())
        nothing = day.first_id < 0
        return dataclasses.replace(
            day,
            open=float(seen.price[0]) if nothing else day.open,
            high=high if nothing else max(day.high, high),
            low=low if nothing else min(day.low, low),
            volume=round(day.volume + volume, instrument.amount_decimals),
            quote_volume=round(
                day.quote_volume + volume * (high + low + float(seen.price[-1])) / 3, instrument.cost_decimals
            ),
            first_id=int(seen.id[0]) if nothing else day.first_id,
        )

    def mean_price(self, market: str, now: int, minutes: int) -> float | None:
        """Return the mean price of the last minutes weighted by volume, the last price where nothing was traded."""
        rows = self._rows_until(market, now - minutes * 60_000 + 1, now)
        traded = describe(rows, self._rules[market]) if len(rows) else None
        volume = 0.0 if traded is None else float(rows.volume.sum())
        if traded is not None and volume > 0:
            return float(traded.quote_volume.sum()) / volume
        last = self.last(market, now)
        return float(last.price[0]) if len(last) else None

    def book(self, market: str, now: int, depth: int = 100) -> tuple[Column, Column]:
        """
        Return the bids and the asks at ``now``, each (N, 2) of price and amount, best first.

        A level stays as it is for 0.4 s to 3.6 h; those near the last price come and go with it. Orders of the venue's
        accounts are matched against the book and are not part of it.
        """
        last = self.last(market, now)
        if not len(last):
            return np.empty((0, 2)), np.empty((0, 2))
        instrument = self._rules[market]
        scale = 10.0**instrument.price_decimals
        price = round(float(last.price[0]) * scale)
        spread = 1 + int(price * self.spread(market))
        best = (price, price + spread) if last.buyer_is_maker[0] else (price - spread, price)
        at = self.ordinal(market, now + 1)
        # To a power of two: what is traded changes every minute, and not every level with it.
        typical = 2.0 ** round(math.log2(max(float(self._trades_of(market, at - 1, at).amount.mean()), 1e-9)))
        found = levels(best, self._book_salts[market], now, 4 * typical, min(depth, MAX_DEPTH))
        step = 10.0**-instrument.amount_decimals
        bids, asks = (
            np.column_stack([ticks / scale, np.maximum(np.round(amounts, instrument.amount_decimals), step)])[ticks > 0]
            for ticks, amounts in found
        )
        return bids, asks

    def spread(self, market: str) -> float:
        """Return the least distance between bid and ask as a fraction of the price."""
        return 0.0

    def first_cross(self, market: str, price: float, now: int, *, after: int, falling: bool) -> int | None:
        """
        Return when, in ``(after, now]``, a trade first reached ``price`` from above (``falling``) or from below.

        Searched a day of minutes at a time, so that a clock moved by years costs time and no memory.
        """
        first, end = max(0, self.ordinal(market, after + 1) - 1), self.ordinal(market, now + 1)
        while first < end:
            rows = self.rows(market, first, min(end, first + _SEARCH_BARS))
            for at in np.flatnonzero(rows.low <= price if falling else rows.high >= price):
                trades = self._trades_of(market, first + int(at), first + int(at) + 1)
                hit = (trades.price <= price) if falling else (trades.price >= price)
                moments = trades.time[hit & (trades.time > after) & (trades.time <= now)]
                if len(moments):
                    return int(moments[0])
            first += len(rows)
        return None
