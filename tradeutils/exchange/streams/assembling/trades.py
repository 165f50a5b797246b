"""
Trades, each once, in order, with what was missed filled over REST.

After a break what comes is held until REST has told all that lies between: from the last trade that was told to the
first of the new connection, which must be in the answer, or before its newest; an answer that is behind is asked for
again. Where a venue numbers its trades without gaps, which shows, a number left out is a hole too, though nothing
broke.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tradeutils.errors import BadReply, NotSupportedByVenue, RateLimited, TransientVenueError
from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.exchange.streams.assembling.retrying import PATIENCE_MS, Retrying
from tradeutils.exchange.streams.assembling.told import Identity, Told, number_of
from tradeutils.exchange.venues import parse
from tradeutils.model import Trade
from tradeutils.model.streaming import Missed, StreamEvent

__all__ = ["TradeAssembler"]

Item: TypeAlias = "Trade | StreamEvent"

_OVERLAP_MS: Final = 1_000  # of what was told already, to see that an answer joins on
_AGAIN: Final = 8  # trades, where they are rarer than that
_WINDOW_MS: Final = 3_600_000  # binance answers for one hour at most
_LINGER_MS: Final = 300  # for trades that others overtook
_STEPS: Final = 8  # ids in a row, after which a venue counts as one that leaves none out
_MOST_HELD: Final = 50_000
_FULL: Final = 100  # trades; a page of fewer is not cut off
_RESET_MS: Final = 1_000
_LAG_MS: Final = 5_000  # by which REST may be behind


class TradeAssembler:
    """
    Makes trades of one symbol; an `Assembler`.

    Parameters
    ----------
    symbol : str
        Its market.
    info : bool
        Whether trades keep what the venue itself sent.
    patience : int
        Milliseconds for which trades wait for those before them.

    Attributes
    ----------
    late : int
        Trades that came after younger ones had been told; they are told all the same, unless they may have been
        already.

    Notes
    -----
    Where trades have no ids, those of one time, price, amount and side count as one, unless they came in one message.
    """

    def __init__(self, symbol: str, *, info: bool = False, patience: int = PATIENCE_MS) -> None:
        self.late = 0
        self._symbol = symbol
        self._info = info
        self._patience = patience
        self._told = Told()
        self._floor = (0, 0)  # before which nothing is told any more: it has been told as missed
        self._first: Hashable | None = None  # that was told
        self._began = 0  # its time
        self._last: Trade | None = None  # in time
        self._differs = False  # whether REST has other ids than the stream, as binance has of what it sums up
        self._number: int | None = None  # of that
        self._run = 0
        self._counts: bool | None = None  # whether ids leave none out; `None`: not known yet
        self._joined = True  # to what was told before
        self._held: dict[Hashable, Trade] = {}
        self._anchor: Hashable | None = None  # the first trade of this connection
        self._firsts: set[Hashable] = set()  # of what is held, those before which something may be missing
        self._since: int | None = None  # when what is held began to wait
        self._more = False  # whether REST has another page at once
        self._once_more: int | None = None  # when it is asked again though nothing is held
        self._overlap = _OVERLAP_MS
        self._step = 0  # by which empty answers have moved the question on
        self._asks = True
        self._retry = Retrying()

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Item]:
        """Take ccxt's trade dicts of one message; see `Assembler`."""
        came: list[tuple[Hashable, Trade]] = []
        for key, raw in self._told.unknown(value, _raw_identity):
            if key not in self._held:
                try:
                    trade = parse.trade(raw, self._symbol, info=self._info)
                except BadReply:
                    continue
                if self._is_told(key, trade):
                    self.late += 1
                else:
                    came.append((key, trade))
        if len(came) > 1:
            came.sort(key=_order)
        out: list[Item] = []
        for key, trade in came:
            self._accept(key, trade, now, out)
        if self._held:
            if any(self._is_next(trade) for _, trade in came):
                out += self._by_number()
            if len(self._held) > _MOST_HELD or not self._asks:
                out += self._give_up(now)
        return out

    def _is_told(self, key: Hashable, trade: Trade) -> bool:
        if self._differs and self._last is not None and not self._joined and trade.time <= self._last.time:
            return True
        return self._told.knows(key, trade.time) or _order((key, trade)) < self._floor

    def _fresh(self, page: Sequence[tuple[Hashable, Trade]]) -> dict[Hashable, Trade]:
        """
        Return what a page tells that is new.

        Okx streams several trades as one, under the last number of them, and has each over REST: what has a number up
        to that of the last is part of what was told.
        """
        last, anchor = self._last, None if self._anchor is None else self._held.get(self._anchor)
        if last is None:
            return {}
        times = (page[0][1].time, page[-1][1].time)
        if self._told.has_between(*times) and not any(self._told.has(key) for key, _ in page):
            self._differs, self._counts = True, False
        keys = [key for key, _ in page]
        before = sum(trade.time <= self._began for _, trade in page)
        begun = keys.index(self._first) if self._first in keys else before  # what was before the stream
        until = anchor.time if self._differs and anchor is not None else None
        known = {trade.time for trade in self._held.values()} if self._differs else ()
        fresh: dict[Hashable, Trade] = {}
        for key, trade in page[begun:]:
            number = number_of(trade.id)
            part = number is not None and self._number is not None and number <= self._number
            if self._is_told(key, trade) or (part and trade.time <= last.time):
                continue
            if trade.time not in known and (until is None or trade.time < until):
                fresh[key] = trade
        return fresh

    def _accept(self, key: Hashable, trade: Trade, now: int, out: list[Item]) -> None:
        """Tell a trade, or hold it."""
        if self._joined and (not self._counts or self._follows(trade)):
            self._tell(key, trade, out)
            return
        if self._is_old(trade):
            return
        if self._joined:
            if not self._counts:
                self._tell(key, trade, out)
                return
            self._joined = False
            self._retry.at = now + _LINGER_MS
        self._held[key] = trade
        if self._anchor is None:
            self._anchor = key
            self._firsts.add(key)
        if self._since is None:
            self._since = now

    def _follows(self, trade: Trade) -> bool:
        number = number_of(trade.id)
        return number is None or self._number is None or number == self._number + 1

    def _is_next(self, trade: Trade) -> bool:
        """Tell whether its number is the next, so that nothing lies between, whether or not others are left out."""
        number = number_of(trade.id)
        return number is not None and self._number is not None and number == self._number + 1

    def _is_old(self, trade: Trade) -> bool:
        """Tell whether, by its number, a trade comes before the last that was told; then it was given up before."""
        number = number_of(trade.id) if self._counts else None
        if number is None or self._number is None or self._last is None or number > self._number:
            return False
        if trade.time > self._last.time + _RESET_MS:
            self._counts = False  # the venue counts anew
            return False
        self.late += 1
        return True

    def _tell(self, key: Hashable, trade: Trade, out: list[Item]) -> None:
        self._told.add(key, trade.time)
        if self._first is None:
            self._first, self._began = key, trade.time
        number = number_of(trade.id)
        last = self._last
        if last is not None and trade.time < last.time:
            self.late += 1
        else:
            if self._counts is None and number is not None and self._number is not None:
                self._run = self._run + 1 if number == self._number + 1 else 0
                self._counts = True if self._run >= _STEPS else None
            self._last, self._number = trade, number
        out.append(trade)

    def _tell_all(self, trades: Iterable[tuple[Hashable, Trade]], out: list[Item]) -> None:
        for key, trade in sorted(trades, key=_order):
            self._held.pop(key, None)
            self._tell(key, trade, out)

    def _by_number(self) -> list[Item]:
        """Tell what is held, as far as its numbers follow those that were told."""
        out: list[Item] = []
        for key, trade in sorted(self._held.items(), key=_order):
            if not self._is_next(trade):
                break
            self._tell_all([(key, trade)], out)
        if out and not self._held and self._anchor is not None:  # what this connection brought is told as well
            self._join()
        return out

    def _join(self) -> None:
        self._joined, self._more = True, False
        self._anchor = self._since = None
        self._firsts.clear()
        self._overlap, self._step = _OVERLAP_MS, 0
        self._retry.done()

    @property
    def is_joined(self) -> bool:
        """Whether nothing is held back for what was missed."""
        return self._joined

    def interrupted(self, now: int) -> None:
        """Hold what comes from here on, until it is known what came between."""
        if self._last is None:
            return
        self._joined = False
        self._anchor = None
        self._retry.done()

    async def resume(self, rest: Rest) -> Sequence[Item]:
        """Ask for the trades since the last that was told; the first time there is none, and nothing is asked."""
        if self._joined or self._last is None:
            return ()
        try:
            now = await rest.fetch_time()
        except TransientVenueError:
            self._more = True
            return ()
        self._once_more = now + _LAG_MS
        return await self._ask(rest, now)

    def due(self, now: int) -> float | None:
        """Return in how many seconds REST is asked again; ``None`` while nothing is held, and it was not behind."""
        at = self._retry.at if self._held or self._more else self._once_more
        return None if self._joined or at is None else max(0.0, (at - now) / 1000)

    async def settle(self, rest: Rest, now: int) -> Sequence[Item]:
        """Ask for one more page, if that is due."""
        due = self.due(now)
        if due is None or due > 0:
            return ()
        told = await self._ask(rest, now)
        if self._once_more is not None and self._once_more <= now and not self._more:
            self._once_more = None
        return told

    async def _ask(self, rest: Rest, now: int) -> Sequence[Item]:
        last = self._last
        if last is None or not self._asks:
            return self._give_up(now)
        # Some that were told are in the answer, so that it is seen whether they have the same ids there.
        back = min(last.time - self._overlap, self._told.time_of(_AGAIN)) if self._overlap else last.time
        since = max(0, back, last.time - _WINDOW_MS // 2) + self._step
        try:
            answer = await rest.fetch_trades(self._symbol, since=since)
        except NotSupportedByVenue:
            self._asks = False
            return self._give_up(now)
        except TransientVenueError as error:
            self._more = True
            self._retry.again(now, wait=error.retry_after if isinstance(error, RateLimited) else None)
            return self._give_up(now) if self._is_over(now) else ()
        if self._joined:
            return ()  # numbers have closed the hole meanwhile
        return self._merge(answer, since, now)

    def _merge(self, answer: Sequence[Trade], since: int, now: int) -> list[Item]:
        """Take a page of trades, and tell what is known to be whole now."""
        page = sorted(self._told.identified(answer, _identity), key=_order)
        if not page:
            return self._nothing(since, now)
        out: list[Item] = []
        fresh = self._fresh(page)
        reached = self._is_reached(page)
        if self._last is not None and not self._reaches(page):
            self._tell_after_holes(page[0], now, out)
            fresh = {key: trade for key, trade in fresh.items() if not self._told.has(key)}
        self._unlearn(page)
        # Within a millisecond in the order of the venue's answer.
        pool = fresh | {key: trade for key, trade in self._held.items() if key not in fresh}
        whole = reached and not self._counts
        self._tell_all(
            [pair for pair in pool.items() if whole or pair[0] in fresh or _order(pair) < _order(page[-1])], out
        )
        out += self._by_number()
        if reached and not self._held:
            self._join()
        elif not self._joined:
            if reached:
                self._anchor = min(self._held.items(), key=_order)[0]
            self._next_page(len(page), bool(fresh), now)
            if self._is_over(now):
                out += self._give_up(now)
        return out

    def _is_reached(self, page: Sequence[tuple[Hashable, Trade]]) -> bool:
        """Tell whether a page reaches the first trade of this connection."""
        key = self._anchor
        anchor = None if key is None else self._held.get(key)
        return anchor is not None and (_order((key, anchor)) < _order(page[-1]) or key in dict(page))

    def _reaches(self, page: Sequence[tuple[Hashable, Trade]]) -> bool:
        """Tell whether a page joins on to what was told."""
        last, first = self._last, page[0][1]
        if last is None or self._step or first.time < last.time:
            return True
        return self._is_next(first) or any(self._told.has(key) for key, _ in page)

    def _unlearn(self, page: Sequence[tuple[Hashable, Trade]]) -> None:
        """Believe no longer that ids leave none out, where an answer of the venue does."""
        numbers = [number_of(trade.id) for _, trade in page]
        if any(before is None or after != before + 1 for before, after in itertools.pairwise(numbers)):
            self._counts = False

    def _nothing(self, since: int, now: int) -> list[Item]:
        """Take that REST has no trade from ``since`` on."""
        if since + _WINDOW_MS < now:
            self._step += _WINDOW_MS
            self._more = True
            return []
        self._step = 0
        self._next_page(0, progress=False, now=now)
        return self._give_up(now) if self._is_over(now) else []

    def _next_page(self, length: int, progress: bool, now: int) -> None:
        """Say when to ask on: at once where the page was full."""
        self._step = 0
        if length >= _FULL and (progress or self._overlap):
            self._overlap = _OVERLAP_MS if progress else 0
            self._more = True
            self._retry.done()
            return
        self._more = False
        self._retry.again(now)

    def _is_over(self, now: int) -> bool:
        return self._since is not None and now - self._since >= self._patience

    def _give_up(self, now: int) -> list[Item]:
        """Tell what is held, and as missed what lies before it."""
        self._more = False
        if not self._held:
            return []
        out: list[Item] = []
        self._tell_apart(self._held.items(), self._firsts, now, out)
        self._join()
        return out

    def _tell_after_holes(self, first: tuple[Hashable, Trade], now: int, out: list[Item]) -> None:
        """Tell the first trade that REST still has, and what is held before it; what lies between is missed."""
        before = [pair for pair in self._held.items() if _order(pair) <= _order(first)]
        if first[0] in self._held:
            self._tell_apart(before, self._firsts, now, out)
        else:
            self._tell_apart([*before, first], {*self._firsts, first[0]}, now, out)

    def _tell_apart(
        self, trades: Iterable[tuple[Hashable, Trade]], firsts: Collection[Hashable], now: int, out: list[Item]
    ) -> None:
        """Tell trades, and as missed what lies before those of ``firsts``, or where numbers are left out."""
        for key, trade in sorted(trades, key=_order):
            last = self._last
            if last is not None and not self._is_next(trade) and (self._counts or key in firsts):
                until = max(trade.time, last.time) + 1
                out.append(Missed(kind="trades", symbol=self._symbol, time=now, since=last.time, until=until))
                number = number_of(trade.id)  # without which nobody knows what of its millisecond came before
                self._floor = (trade.time + 1, 0) if number is None else (trade.time, number)
            self._tell_all([(key, trade)], out)

    def finish(self, item: Trade) -> Trade:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return the symbol."""
        return self._symbol


def _order(pair: tuple[Hashable, Trade]) -> tuple[int, int]:
    trade = pair[1]
    return trade.time, number_of(trade.id) or 0


def _identity(trade: Trade) -> Identity:
    return trade.id, (trade.time, trade.price, trade.amount, trade.side)


def _raw_identity(raw: Mapping[str, Any]) -> Identity:
    found = raw.get("id")
    if found is not None:
        return str(found), ()
    return None, (raw.get("timestamp"), raw.get("price"), raw.get("amount"), raw.get("side"))
