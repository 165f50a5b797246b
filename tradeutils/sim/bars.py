"""
Candles with what venues tell beside them, and the trades inside a candle.

Every candle is made of `TRADES_PER_BAR` trades at even distances: from the open to the low, the high and the close
(or the high first, in a candle that falls). A candle that is still forming is made of the trades so far, and so are
the last price and the ticker: all that the venue says is one story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.model import Candles
from tradeutils.model.candles import PRICE_FIELDS, Column
from tradeutils.sim.instruments import Instrument
from tradeutils.timeframe import Timeframe, Times

__all__ = [
    "TRADES_PER_BAR",
    "Klines",
    "TradeColumns",
    "aggregate",
    "cut",
    "describe",
    "join",
    "join_trades",
    "trades_in",
]

TRADES_PER_BAR: Final = 20
_KNOTS: Final = (0, 6, 13, TRADES_PER_BAR - 1)  # where the open, the two extremes and the close are traded
_BLEND: Final = np.stack([np.interp(range(TRADES_PER_BAR), _KNOTS, row) for row in np.eye(4)])  # (4, trades)
_COLUMNS: Final = ("time", *PRICE_FIELDS, "closed")


@dataclass(frozen=True, slots=True, eq=False)
class Klines:
    """Candles, and for each the volume in quote, the number of trades, and what takers bought in base and quote."""

    candles: Candles
    quote_volume: Column
    trades: npt.NDArray[np.int64]
    taker_volume: Column
    taker_quote: Column

    def __len__(self) -> int:
        return len(self.candles)

    def __getitem__(self, rows: slice) -> Klines:
        return Klines(self.candles[rows], *(getattr(self, name)[rows] for name in _EXTRAS))


_EXTRAS: Final = ("quote_volume", "trades", "taker_volume", "taker_quote")


@dataclass(frozen=True, slots=True, eq=False)
class TradeColumns:
    """Public trades, oldest first: the id rises by one from trade to trade, but for those of no amount."""

    id: npt.NDArray[np.int64]
    time: Times
    price: Column
    amount: Column
    buyer_is_maker: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_]) -> TradeColumns:
        return TradeColumns(
            self.id[rows], self.time[rows], self.price[rows], self.amount[rows], self.buyer_is_maker[rows]
        )


def _rounded(values: Column, digits: int) -> Column:
    rounded: Column = np.round(values, digits)
    return rounded


def describe(candles: Candles, instrument: Instrument) -> Klines:
    """Return candles with what follows from them: their mean price is that of high, low and close."""
    mean = (candles.high + candles.low + candles.close) / 3
    spread = candles.high - candles.low
    rise = np.divide(candles.close - candles.open, spread, out=np.zeros_like(spread), where=spread > 0)
    bought = _rounded(candles.volume * (0.5 + 0.3 * np.clip(rise, -1, 1)), instrument.amount_decimals)
    return Klines(
        candles,
        _rounded(candles.volume * mean, instrument.cost_decimals),
        np.where(candles.volume > 0, TRADES_PER_BAR, 0).astype(np.int64),
        bought,
        _rounded(bought * mean, instrument.cost_decimals),
    )


def aggregate(klines: Klines, frame: Timeframe, instrument: Instrument) -> Klines:
    """
    Return klines of a coarser timeframe, prices exactly as `Candles.resample` makes them.

    Volumes are rounded to the instrument's own digits: the sum of a bar does not depend on the bars it is made of.
    """
    if not len(klines) or klines.candles.timeframe == frame.name:
        return klines
    opens = frame.floor(klines.candles.time)
    starts = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
    whole = klines.candles.resample(frame.name)
    quote, trades, taker, taker_quote = (np.add.reduceat(getattr(klines, name), starts) for name in _EXTRAS)
    return Klines(
        _candles(whole, volume=_rounded(whole.volume, instrument.amount_decimals)),
        _rounded(quote, instrument.cost_decimals),
        trades,
        _rounded(taker, instrument.amount_decimals),
        _rounded(taker_quote, instrument.cost_decimals),
    )


def _candles(like: Candles, **changed: Any) -> Candles:
    """Return candles with some columns changed."""
    columns: dict[str, Any] = {name: changed.get(name, getattr(like, name)) for name in _COLUMNS}
    return Candles(symbol=like.symbol, timeframe=like.timeframe, **columns)


def join(parts: Sequence[Klines]) -> Klines:
    """Return klines of one market and timeframe, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0].candles
    columns = {name: np.concatenate([getattr(part.candles, name) for part in parts]) for name in _COLUMNS}
    return Klines(
        _candles(first, **columns),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _EXTRAS),
    )


def join_trades(parts: Sequence[TradeColumns]) -> TradeColumns:
    """Return trades of one market, one part after the other; none for no parts."""
    if not parts:
        times, prices = np.empty(0, dtype=np.int64), np.empty(0)
        return TradeColumns(times, times, prices, prices, np.empty(0, dtype=np.bool_))
    names = TradeColumns.__slots__
    return TradeColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def trades_in(candles: Candles, ordinal: int, frame: Timeframe, instrument: Instrument, salt: int) -> TradeColumns:
    """
    Return the trades that whole candles are made of.

    Parameters
    ----------
    candles : Candles
        Consecutive rows of the market's own candles.
    ordinal : int
        The number of the first of them since listing, from which the ids of its trades follow.
    frame : Timeframe
        Their timeframe.
    salt : int
        64 bits that tell this market from others: how the volume is split depends on it.
    """
    bars, amount_scale = len(candles), instrument.amount_decimals
    rising = candles.close >= candles.open
    knots = np.stack(
        [
            candles.open,
            np.where(rising, candles.low, candles.high),
            np.where(rising, candles.high, candles.low),
            candles.close,
        ],
        axis=1,
    )
    # Not a product of matrices: its last digit, and so now and then a tick, depends on how many rows there are.
    blended = sum(knots[:, at, None] * _BLEND[at] for at in range(knots.shape[1]))
    price = np.round(blended, instrument.price_decimals)
    price = np.clip(price, candles.low[:, None], candles.high[:, None])
    price[:, _KNOTS] = knots
    number = np.arange(bars * TRADES_PER_BAR, dtype=np.int64) + ordinal * TRADES_PER_BAR
    share = _uniform(number, salt).reshape(bars, TRADES_PER_BAR) + 0.2
    traded = candles.volume[:, None] * np.cumsum(share, axis=1) / share.sum(axis=1, keepdims=True)
    traded = np.round(traded, amount_scale)
    traded[:, -1] = candles.volume
    amount = np.round(np.diff(traded, axis=1, prepend=0.0), amount_scale)
    length = frame.shift(candles.time) - candles.time
    time = candles.time[:, None] + length[:, None] * np.arange(TRADES_PER_BAR) // TRADES_PER_BAR
    fell = np.diff(price, axis=1, prepend=price[:, :1])
    maker = np.where(fell == 0, share > 0.7, fell < 0)
    return TradeColumns(number + 1, time.ravel(), price.ravel(), amount.ravel(), maker.ravel())


def _uniform(number: npt.NDArray[np.int64], salt: int) -> Column:
    """Return a number in [0, 1) for each number: splitmix64, so that any row can be had without those before it."""
    with np.errstate(over="ignore"):
        mixed = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def cut(candles: Candles, trades: TradeColumns, instrument: Instrument) -> Candles:
    """Return candles of which the last is still forming: made of ``trades``, those seen so far, at least one."""
    columns = {name: getattr(candles, name).copy() for name in ("high", "low", "close", "volume", "closed")}
    columns["high"][-1] = trades.price.max()
    columns["low"][-1] = trades.price.min()
    columns["close"][-1] = trades.price[-1]
    columns["volume"][-1] = np.round(trades.amount.sum(), instrument.amount_decimals)
    columns["closed"][-1] = False
    return _candles(candles, **columns)
