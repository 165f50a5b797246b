"""
What is new in a topic since it was last told of: one source for each topic, whoever follows it.

A source remembers what it told. What `Source.told` returns is for those who join later: the next news go on from there,
so that nobody misses what happened between two pulses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Protocol

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.model.candles import Column
from tradeutils.sim.accounts import Holding
from tradeutils.sim.bars import TRADES_PER_BAR, Klines
from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.books import FEED_DEPTH
from tradeutils.sim.feeds.events import BalanceEvent, BookEvent, Event, KlineEvent, TickerEvent, Topic, TradesEvent

__all__ = ["Source", "source_of"]

_MOST_TRADES: Final = 2_000  # in a pulse: what is more comes with the next one
_MOST_KLINES: Final = 500


class Source(Protocol):
    """One topic: ``told`` is what one who joins is told first, `news` what happened since it was last asked."""

    @property
    def told(self) -> Event | None: ...

    def news(self, now: int) -> list[Event]: ...


def source_of(venue: Venue, topic: Topic, now: int) -> Source:
    """Return the source of a topic, which begins at ``now``; of orders there is none, as a journal tells of them."""
    return _SOURCES[topic.kind](venue, topic, now)


class _Trades:
    """Public trades, each told once; where the clock is set back, those are told again that come again."""

    told: Event | None = None

    def __init__(self, venue: Venue, topic: Topic, now: int) -> None:
        self._market, self._topic = venue.market, topic
        self._last = self._newest(now)

    def _newest(self, now: int) -> int:
        last = self._market.last(self._topic.market, now).id
        return int(last[0]) if len(last) else 0

    def news(self, now: int) -> list[Event]:
        newest = self._newest(now)
        if newest <= self._last:
            self._last = newest
            return []
        found = self._market.trades(self._topic.market, now, from_id=self._last + 1, limit=_MOST_TRADES)
        self._last = int(found.id[-1]) if len(found) == _MOST_TRADES else newest
        return [TradesEvent(self._topic, now, found)] if len(found) else []


class _Ticker:
    """The last day and the best bid and ask, whenever a trade or one of those is new."""

    def __init__(self, venue: Venue, topic: Topic, now: int) -> None:
        self._market, self._topic = venue.market, topic
        self._known: tuple[int, bytes, bytes] = (-1, b"", b"")
        self.told: TickerEvent | None = None
        self.news(now)

    def news(self, now: int) -> list[Event]:
        market = self._topic.market
        last = self._market.last(market, now)
        bids, asks = self._market.book(market, now, 1)
        known = (int(last.id[0]) if len(last) else -1, bids.tobytes(), asks.tobytes())
        if known == self._known:
            return []
        day = self._market.day(market, now)
        if day is None:
            return []
        self._known, self.told = known, TickerEvent(self._topic, now, day, bids, asks)
        return [self.told]


class _Klines:
    """Candles: the one that is forming whenever it was traded in, and each once with the values that it keeps."""

    def __init__(self, venue: Venue, topic: Topic, now: int) -> None:
        self._market, self._topic = venue.market, topic
        self._frame = _timeframe.parse(topic.frame)
        self._since = self._frame.floor(now)
        self._newest = -1  # the last trade
        self._known: tuple[int, int] = (-1, -1)  # that, and the open of the candle that contains the moment
        self.told: KlineEvent | None = None
        self.news(now)
        if self.told is None:  # nothing is traded yet in this candle
            for row in self._rows(now, limit=1):
                self.told = self._event(row, now)

    def _rows(self, now: int, *, since: int | None = None, limit: int = _MOST_KLINES) -> list[Klines]:
        found = self._market.klines(self._topic.market, self._topic.frame, now, since=since, limit=limit)
        return [found[row : row + 1] for row in range(len(found))]

    def _event(self, row: Klines, now: int) -> KlineEvent:
        market, opened, count = self._topic.market, int(row.candles.time[0]), int(row.trades[0])
        first = self._market.ordinal(market, opened) * TRADES_PER_BAR + 1
        last = min(first + count - 1, self._newest)
        return KlineEvent(self._topic, now, row, bool(row.candles.closed[0]), *((first, last) if count else (-1, -1)))

    def news(self, now: int) -> list[Event]:
        last = self._market.last(self._topic.market, now).id
        opened, self._newest = self._frame.floor(now), int(last[0]) if len(last) else -1
        known = (self._newest, opened)
        if known == self._known:
            return []
        if opened < self._since and opened < self._known[1]:  # the clock was set back
            self._since = opened
        rows = self._rows(now, since=self._since)
        events = [self._event(row, now) for row in rows]
        if len(events) < _MOST_KLINES:  # else there are more, for the next time
            self._known = known
        for event in events:
            time = int(event.klines.candles.time[0])
            self._since = self._frame.next(time) if event.closed else time
            self.told = event
        return list(events)


class _Book:
    """A book to a depth: whole for those who join, and from then on what changed."""

    def __init__(self, venue: Venue, topic: Topic, now: int) -> None:
        self._books, self._topic = venue.books, topic
        self._depth = 1 if topic.kind == "best" else min(topic.depth or FEED_DEPTH, FEED_DEPTH)
        self._books.follow(topic.market, now, self._depth)
        book = self._books.read(topic.market, now, self._depth)
        self._full, self._last, self._now = (book.bids, book.asks), book.sequence, book.now

    @property
    def told(self) -> BookEvent:
        bids, asks = self._full
        return BookEvent(self._topic, self._now, True, bids, asks, self._last, self._last, -1, self._full)

    def news(self, now: int) -> list[Event]:
        self._books.advance(self._topic.market, now)
        book = self._books.read(self._topic.market, now, self._depth)
        if book.sequence == self._last:
            return []
        before, self._full = self._full, (book.bids, book.asks)
        bids = changes(before[0], book.bids, falling=True)
        asks = changes(before[1], book.asks)
        if not len(bids) and not len(asks):
            return []  # and the next difference begins where the last one ended
        previous, self._last, self._now = self._last, book.sequence, book.now
        whole = self._topic.kind == "best"
        if whole:
            bids, asks = self._full
        return [BookEvent(self._topic, now, whole, bids, asks, previous + 1, self._last, previous, self._full)]


def changes(old: Column, new: Column, *, falling: bool = False) -> Column:
    """
    Return the levels that are new or changed, and with amount 0 those that are gone; all of them best first.

    Parameters
    ----------
    old, new : float64 array, shape (N, 2)
        Price and amount; prices rise strictly, or fall.
    """
    if old.shape == new.shape and np.array_equal(old, new):
        return new[:0]
    if falling:
        return changes(old[::-1], new[::-1])[::-1]
    if not len(old) or not len(new):
        return new if len(new) else old * (1.0, 0.0)
    # Looking up beats sorting both together, which np.unique does: 30 us for 1000 levels, not 50.
    prices, wanted = np.ascontiguousarray(old[:, 0]), np.ascontiguousarray(new[:, 0])
    at = np.minimum(prices.searchsorted(wanted), len(old) - 1)
    known = prices[at] == wanted
    gone = np.ones(len(old), dtype=np.bool_)
    gone[at[known]] = False
    known &= old[at, 1] == new[:, 1]
    found = np.concatenate((new[~known], old[gone] * (1.0, 0.0)))
    ordered: Column = found[found[:, 0].argsort()]
    return ordered


class _Balances:
    """What an account holds, whenever that changes."""

    told: Event | None = None

    def __init__(self, venue: Venue, topic: Topic, now: int) -> None:
        self._ledger, self._topic = venue.ledger, topic
        self._known = self._read(now)

    def _read(self, now: int) -> dict[str, tuple[Decimal, Decimal]]:
        key = self._topic.account
        swaps = self._topic.trades == "linear"
        held: Mapping[str, Holding] = (
            self._ledger.wallet(key, now, "swap") if swaps else self._ledger.holdings(key, now)[0]
        )
        return {asset: (holding.free, holding.locked) for asset, holding in held.items()}

    def news(self, now: int) -> list[Event]:
        before, self._known = self._known, self._read(now)
        changed = [asset for asset, held in self._known.items() if before.get(asset) != held]
        if not changed:
            return []
        whole = {asset: Holding(*held) for asset, held in self._known.items()}
        return [BalanceEvent(self._topic, now, {asset: whole[asset] for asset in changed}, whole)]


_SOURCES: Final[Mapping[str, Callable[[Venue, Topic, int], Source]]] = {
    "trades": _Trades,
    "ticker": _Ticker,
    "klines": _Klines,
    "book": _Book,
    "best": _Book,
    "balances": _Balances,
}
