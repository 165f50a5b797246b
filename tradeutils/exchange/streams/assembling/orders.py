"""
The latest state of each order of an account.

After a break REST tells which orders are open; those that no longer are, are asked for one by one, and those that were
placed and ended meanwhile are looked for among all orders of the market; twice, as REST may be behind at first. While
the stream is quiet REST is asked now and then whether it should be. What tells no more than that an order has changed
(kraken's messages name no market then, and ccxt takes what was filled for the amount) is looked up over REST.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tradeutils.errors import NotSupportedByVenue, OrderNotFound, RateLimited, TransientVenueError
from tradeutils.exchange.streams.assembling.accounts import AUDIT_MS, LAG_MS
from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.exchange.streams.assembling.retrying import Retrying
from tradeutils.exchange.venues import parse
from tradeutils.model import Order
from tradeutils.model.streaming import Missed, StreamEvent

__all__ = ["OrderAssembler"]

Item: TypeAlias = "Order | StreamEvent"

_MOST_ENDED: Final = 2_000  # orders that are over, kept to know late messages by
_SOON_MS: Final = 1_000
_MOST_OTHERS: Final = 2_000  # ids of other markets' orders
_ENDED: Final = frozenset({"closed", "canceled", "expired", "rejected"})
_NAMES: Final = tuple(field.name for field in dataclasses.fields(Order) if field.name not in ("info", "symbol"))


@dataclasses.dataclass(slots=True)
class _Known:
    """The latest state of an order, and when it was told: by the venue's own stamp, and by its clock."""

    order: Order
    stamp: int
    at: int


class OrderAssembler:
    """
    Makes orders of one account; an `Assembler`.

    Parameters
    ----------
    symbol : str, optional
        The only market that is watched. Default: all.
    since : int, optional
        Orders placed from then on are told though the stream was not open yet, ms UTC. Default: when it first was.
    info : bool
        Whether orders keep what the venue itself sent.
    audit : int
        Milliseconds without a message after which REST is asked.

    Attributes
    ----------
    late : int
        Messages that told less than was known.
    silent : int
        How often REST knew what the stream should have told long before: it is dead.

    Notes
    -----
    Of all markets at once no venue lists what was placed and ended during a break: that is told as `Missed`.
    """

    def __init__(
        self, symbol: str | None = None, *, since: int | None = None, info: bool = False, audit: int = AUDIT_MS
    ) -> None:
        self.late = self.silent = 0
        self._symbol = symbol
        self._info = info
        self._audit = audit
        self._open: dict[str, _Known] = {}
        self._ended: dict[str, _Known] = {}
        self._since = since  # from when on orders may be unknown
        self._begun = False
        self._is_connected = self._has_gap = False
        self._caught = self._heard = 0  # when REST was last asked for all, and the last message came
        self._again: int | None = None  # from when on orders are looked for once more
        self._again_at = 0
        self._others: dict[str, None] = {}  # ids of orders that are not watched, or that nobody knows
        self._gone: dict[str, int] = {}  # are to be asked for, until when though they seem to be open
        self._out: list[Item] = []  # told with the next call, if this one is cancelled
        self._ask_at: int | None = None
        self._retry = Retrying()

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Item]:
        """Take ccxt's order dicts of one message; see `Assembler`."""
        out: list[Item] = []
        self._heard = now
        for raw in value if isinstance(value, list) else ():
            symbol = raw.get("symbol")
            if symbol is None or _is_short(raw.get("info")):
                self._hint(str(raw.get("id")), now)
            elif self._symbol is not None and symbol != self._symbol:
                self._pass_over(str(raw.get("id")))
            else:
                stamp = raw.get("lastUpdateTimestamp") or raw.get("lastTradeTimestamp") or 0
                out += self._learn(parse.order(raw, self._symbol, info=self._info), int(stamp), now)
        if self._ask_at is not None and self._is_quiet:
            self._ask_at = now + self._audit
        return out

    @property
    def _is_quiet(self) -> bool:
        """Whether there is nothing to ask but whether the stream is."""
        return self._since is None and self._again is None and not self._gone

    def _pass_over(self, found: str) -> None:
        self._others[found] = None
        if len(self._others) > _MOST_OTHERS:
            del self._others[next(iter(self._others))]

    def _hint(self, found: str, now: int) -> None:
        """Take that an order has changed."""
        if found in self._others:
            return
        if found in self._ended:
            self.late += 1
            return
        if found in self._open:
            self._gone[found] = now + LAG_MS
        else:  # it was placed since REST was asked, or is of another market
            self._pass_over(found)
            self._has_gap = True
            if self._since is None:
                self._since = max(0, self._caught - LAG_MS)
        if self._is_connected:
            self._ask_at = now

    def _learn(self, order: Order, stamp: int, now: int) -> list[Item]:
        """Take a state of an order; return it where it is news."""
        found = order.id
        if found is None:
            return []  # nobody could tell which it is
        known = self._open.get(found) or self._ended.get(found)
        if known is not None:
            if _is_before(order, stamp, known):
                self.late += 1
                return []
            order = _with_known(order, known.order)
            if order == known.order:
                known.at = now
                return []
            stamp = max(stamp, known.stamp)
        self._open.pop(found, None)
        self._ended.pop(found, None)
        (self._ended if order.status in _ENDED else self._open)[found] = _Known(order, stamp, now)
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        return [order]

    def interrupted(self, now: int) -> None:
        """Note that orders may have changed, come and gone since something was heard: breaks are noticed late."""
        self._is_connected, self._has_gap = False, True
        heard = min(now, max(self._heard, now - self._audit))
        self._since = heard if self._since is None else min(self._since, heard)
        self._retry.done()

    async def resume(self, rest: Rest) -> Sequence[Item]:
        """Ask what has become of the orders that were known, and which are new."""
        self._is_connected = True
        return await self._ask(rest)

    def due(self, now: int) -> float | None:
        """Return in how many seconds REST is asked."""
        if self._ask_at is None:
            return None
        return max(0.0, (max(self._ask_at, self._retry.at) - now) / 1000)

    async def settle(self, rest: Rest, now: int) -> Sequence[Item]:
        """Ask for the open orders, if that is due."""
        due = self.due(now)
        if due is None or due > 0:
            return ()
        audit = self._is_quiet
        told = await self._ask(rest)
        if audit and told:
            self.silent += 1
        return told

    async def _ask(self, rest: Rest) -> Sequence[Item]:
        now = self._ask_at or 0
        try:
            now = await rest.fetch_time()
            await self._catch_up(rest, now)
        except TransientVenueError as error:
            self._ask_at = now
            self._retry.again(now, wait=error.retry_after if isinstance(error, RateLimited) else None)
        else:
            self._retry.done()
            if self._since is not None and self._is_connected:
                self._ask_at = now
            elif self._gone:
                self._ask_at = now + _SOON_MS
            else:
                self._ask_at = now + self._audit if self._again is None else self._again_at
        out, self._out = self._out, []
        return [item for item in out if not isinstance(item, Order) or self._is_latest(item)]

    def _is_latest(self, order: Order) -> bool:
        """Tell whether the stream has told nothing newer of an order while REST was asked."""
        known = self._open.get(order.id or "") or self._ended.get(order.id or "")
        return known is not None and known.order is order

    async def _catch_up(self, rest: Rest, now: int) -> None:
        """Ask for all that may have changed; what has come by then stays, whatever happens."""
        if self._since is None and not self._begun:
            self._since = self._heard = now
        start = self._since
        begin = min((one for one in (start, self._again) if one is not None), default=now)
        listed = await rest.fetch_open_orders(self._symbol)
        told, before = len(self._out), {*self._open, *self._ended}
        self._took(listed, now)
        if not self._begun and start is not None:  # those from before are learned, and not told
            self._out[told:] = [
                one for one in self._out[told:] if isinstance(one, Order) and (_is_from(one, start) or one.id in before)
            ]
        names = {order.id for order in listed}
        settled = now - LAG_MS if start is None else now
        for found, one in self._open.items():
            if found not in names and one.at <= settled:
                self._gone.setdefault(found, 0)
        for found in list(self._gone):
            known = self._open.get(found)
            if known is not None:
                await self._look_up(rest, known, now)
            if found not in self._open or self._gone[found] <= now:
                del self._gone[found]
        if begin < now:
            await self._look_back(rest, begin, now, again=start is None)
        if start is not None:
            self._again, self._again_at = (begin if begin < now else None), now + LAG_MS
        elif self._again_at <= now:
            self._again = None
        self._caught = now
        if start is not None:
            self._begun = True
            if self._since is None or self._since == start:  # else it broke once more meanwhile
                self._since = None if self._is_connected else now
                self._has_gap = not self._is_connected

    async def _look_up(self, rest: Rest, known: _Known, now: int) -> None:
        """Ask what has become of an order that is no longer open."""
        order = known.order
        try:
            self._took([await rest.fetch_order(order.id, order.symbol)], now)
        except (OrderNotFound, NotSupportedByVenue):
            if known.at + LAG_MS <= now and order.id in self._open:
                del self._open[order.id]
                self._miss(order.symbol, known.at, now)

    async def _look_back(self, rest: Rest, start: int, now: int, *, again: bool) -> None:
        """Look for orders that were placed, and ended, from ``start`` on; what cannot be told is not told ``again``."""
        everywhere = {known.order.symbol for known in (*self._open.values(), *self._ended.values())}
        for symbol in sorted(everywhere) if self._symbol is None else [self._symbol]:
            orders, is_whole = await _orders(rest, symbol, max(0, start - LAG_MS))
            self._took([order for order in orders if self._begun or _is_from(order, start)], now)
            if not is_whole and self._has_gap and not again:
                self._miss(symbol, start, now)
        if self._symbol is None and self._has_gap and not again:
            self._miss(None, start, now)

    def _miss(self, symbol: str | None, since: int, until: int) -> None:
        self._out.append(Missed(kind="orders", symbol=symbol, time=until, since=since, until=max(until, since + 1)))

    def _took(self, orders: Iterable[Order], now: int) -> None:
        for order in orders:
            self._out += self._learn(order, 0, now)

    @property
    def is_unanswered(self) -> bool:
        """Whether REST did not answer when it was asked last."""
        return self._retry.is_pausing

    def finish(self, item: Order) -> Order:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return the order's id."""
        key: Hashable = item.id
        return key


async def _orders(rest: Rest, symbol: str, since: int) -> tuple[list[Order], bool]:
    """
    Return a market's orders, and whether these are all.

    Where the venue lists none but those that are over, they may be those that were filled alone (okx, bybit), unless
    others are among them (kraken).
    """
    try:
        return await rest.fetch_orders(symbol, since=since), True
    except NotSupportedByVenue:
        pass
    try:
        ended = await rest.fetch_closed_orders(symbol, since=since)
    except NotSupportedByVenue:
        return [], False
    return ended, any(order.status != "closed" for order in ended)


def _is_short(info: Any) -> bool:
    """Tell whether ccxt has made an order of a message of kraken's that does not say how much was ordered."""
    return isinstance(info, Mapping) and "cum_qty" in info and "order_qty" not in info


def _is_from(order: Item, start: int) -> bool:
    return isinstance(order, Order) and (order.time or 0) >= start


def _is_before(order: Order, stamp: int, known: _Known) -> bool:
    """Tell whether a state of an order is older than the one that is known."""
    was = known.order
    if was.status in _ENDED and order.status not in _ENDED:
        return True
    if order.filled is not None and was.filled is not None and order.filled < was.filled:
        return True
    return bool(stamp and known.stamp and stamp < known.stamp)


def _with_known(order: Order, known: Order) -> Order:
    """Return an order with what an earlier message told and this one does not."""
    missing = {name: getattr(known, name) for name in _NAMES if getattr(order, name) is None}
    return dataclasses.replace(order, **missing) if any(value is not None for value in missing.values()) else order
