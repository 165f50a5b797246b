"""
Candles where a venue has no channel for them: made of its trades.

A bar is whole where every trade from its open on has been seen: those of a break are filled over REST, and a bar in
which trades were missed, or in which the stream began, is asked for over REST as a candle. Volumes are summed in
decimal, so that they are the venue's own to the last digit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from decimal import Context, Decimal
from typing import Any, Final

from tradeutils import timeframe as _timeframe
from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.exchange.streams.assembling.candles import CandleAssembler, Told
from tradeutils.exchange.streams.assembling.retrying import PATIENCE_MS
from tradeutils.exchange.streams.assembling.rows import Row
from tradeutils.exchange.streams.assembling.trades import Item, TradeAssembler
from tradeutils.model import Candles, Trade
from tradeutils.model.streaming import Missed

__all__ = ["TradeCandleAssembler"]

_EXACT: Final = Context(prec=100)
_BARS: Final = 2  # that trades may still belong to: the forming one, and the one before, for what was overtaken


class _Bar:
    """The trades of one bar so far."""

    __slots__ = ("close", "high", "low", "open", "time", "volume")

    def __init__(self, time: int, price: float) -> None:
        self.time = time
        self.open = self.high = self.low = self.close = price
        self.volume = Decimal(0)

    def add(self, price: float, amount: float) -> None:
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume = _EXACT.add(self.volume, Decimal(repr(amount)))

    def row(self) -> Row:
        return self.time, self.open, self.high, self.low, self.close, float(self.volume)


class TradeCandleAssembler:
    """
    Makes candles of one symbol out of its trades; an `Assembler`, for topics of trades.

    Parameters
    ----------
    exchange, symbol, timeframe, closed_only, since, patience
        As for `CandleAssembler`.
    """

    def __init__(
        self,
        exchange: str,
        symbol: str,
        timeframe: str,
        *,
        closed_only: bool = True,
        since: int | None = None,
        patience: int = PATIENCE_MS,
    ) -> None:
        self._frame = _timeframe.parse(timeframe)
        self._trades = TradeAssembler(symbol, patience=patience)
        self._candles = CandleAssembler(
            exchange, symbol, timeframe, closed_only=closed_only, since=since, patience=patience
        )
        self._bars: dict[int, _Bar] = {}  # whole ones alone
        self._whole: int | None = None  # bars that open from here on are whole
        self._partial = -1  # the newest bar that is not
        self._now = 0

    @property
    def late(self) -> int:
        """Trades that came after their bar had been told."""
        return self._candles.late

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Told]:
        """Take ccxt's trade dicts of one message; see `Assembler`."""
        self._now = now
        return self._made(self._trades.take(value, frame, now))

    def _made(self, items: Iterable[Item]) -> Sequence[Told]:
        """Return the candles that trades make."""
        changed: dict[int, _Bar] = {}
        for item in items:
            if isinstance(item, Trade):
                self._now = max(self._now, item.time)
                self._add(item, changed)
            elif isinstance(item, Missed):  # no bar that begins before is whole
                self._whole = whole = self._frame.ceil(max(self._whole or 0, item.until))
                self._bars = {key: bar for key, bar in self._bars.items() if key >= whole}
                changed = {key: bar for key, bar in changed.items() if key >= whole}
                self._candles.distrust(whole)
        shown: int | None = None
        for key in sorted(changed):
            shown = self._candles.put(changed[key].row(), self._now, final=None)
        return self._candles.told(shown, self._now)

    def _add(self, trade: Trade, changed: dict[int, _Bar]) -> None:
        key = self._frame.floor(trade.time)
        if self._whole is None:
            self._whole = self._frame.shift(key)  # of the first bar nobody knows what came before
        if key < self._whole:
            if key != self._partial:
                self._partial = key
                self._candles.wake(key)
            return
        bar = self._bars.get(key)
        if bar is None:
            if self._bars and key < max(self._bars):
                return  # the bar was told, or nobody traded in it as far as anybody knew: REST has it
            before = max(self._bars, default=None)
            if before is not None and not self._candles.is_told(before):
                changed.setdefault(before, self._bars[before])  # for whom a break made it forget
            bar = self._bars[key] = _Bar(key, trade.price)
            while len(self._bars) > _BARS:
                del self._bars[min(self._bars)]
        bar.add(trade.price, trade.amount)
        changed[key] = bar

    def interrupted(self, now: int) -> None:
        """Hold what comes from here on, until it is known what came between."""
        self._now = now
        self._trades.interrupted(now)
        self._candles.interrupted(now)

    async def resume(self, rest: Rest) -> Sequence[Told]:
        """Ask for the trades that were missed; where there are none, for the bars that ended meanwhile."""
        items = await self._trades.resume(rest)
        if not items and self._trades.is_joined:
            return await self._candles.resume(rest)
        self._candles.begin(self._now, whole=False)
        return self._made(items)

    def due(self, now: int) -> float | None:
        """Return in how many seconds trades or bars are asked for, or a bar can be told."""
        waits = [wait for wait in (self._trades.due(now), self._candles.due(now)) if wait is not None]
        return min(waits, default=None)

    async def settle(self, rest: Rest, now: int) -> Sequence[Told]:
        """Do what is due: trades first."""
        self._now = max(self._now, now)
        due = self._trades.due(now)
        if due is not None and due <= 0:
            return self._made(await self._trades.settle(rest, now))
        return await self._candles.settle(rest, now)

    def finish(self, item: Candles) -> Candles:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return the symbol."""
        return self._candles.conflation_key(item)
