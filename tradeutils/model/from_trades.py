"""Candles from trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, UsageError
from tradeutils.model.days import Day
from tradeutils.model.records import Trade
from tradeutils.model.resampling import grid_of
from tradeutils.timeframe import Instant, Times, to_ms

__all__ = ["bars_of_trades"]


class _Columns(NamedTuple):
    time: Times
    price: npt.NDArray[np.float64]
    amount: npt.NDArray[np.float64]
    ids: list[Any] | None


def bars_of_trades(
    trades: Iterable[Trade] | Mapping[str, Any], timeframe: str, *, now: Instant | None, day: Day | str | None
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of `Candles.from_trades`, which says what each is."""
    given = _in_order(_columns(trades))
    _, grid = grid_of(given.time, None, timeframe, day)
    moment = None if now is None else to_ms(now, name="now")
    if not len(grid.rows):
        empty = np.empty(0)
        columns: dict[str, npt.NDArray[Any]] = dict.fromkeys(("open", "high", "low", "close", "volume"), empty)
        return {"time": grid.opens, "closed": np.empty(0, dtype=np.bool_), **columns}
    price, amount = given.price[grid.rows], given.amount[grid.rows]
    ends = np.r_[grid.starts[1:], len(price)]
    # The bar of the last trade may see more, unless it is known to be later than its end.
    over = grid.ends <= (int(given.time[-1]) if moment is None else moment)
    return {
        "time": grid.opens,
        "open": price[grid.starts],
        "high": np.maximum.reduceat(price, grid.starts),
        "low": np.minimum.reduceat(price, grid.starts),
        "close": price[ends - 1],
        "volume": np.add.reduceat(amount, grid.starts),
        "closed": over,
    }


def _columns(trades: Iterable[Trade] | Mapping[str, Any]) -> _Columns:
    """Return trades as columns, checked."""
    if isinstance(trades, Mapping):
        missing = [name for name in ("time", "price", "amount") if name not in trades]
        if missing:
            raise UsageError(f"trades lacked {', '.join(missing)}; give columns time, price, amount, and id if known")
        told = [trades["time"], trades["price"], trades["amount"]]
        ids = None if trades.get("id") is None else list(trades["id"])
    else:
        rows = list(trades) if isinstance(trades, Iterable) else [trades]
        if not all(isinstance(row, Trade) for row in rows):
            raise UsageError(f"trades was {trades!r:.80}; give a list of Trade, or columns time, price and amount")
        told = [[row.time for row in rows], [row.price for row in rows], [row.amount for row in rows]]
        ids = [row.id for row in rows]
    try:
        raw = np.asarray(told[0])
        if raw.size and raw.dtype.kind not in "iu":
            raise UsageError(f"time had dtype {raw.dtype}; write int64 milliseconds UTC")
        time = raw.astype(np.int64)
        price, amount = np.asarray(told[1], dtype=np.float64), np.asarray(told[2], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"trades cannot be read: {error}; give numbers") from error
    if len({time.shape, price.shape, amount.shape, (len(time) if ids is None else len(ids),)}) > 1 or time.ndim != 1:
        raise UsageError(f"trades had columns of shapes {time.shape}, {price.shape}, {amount.shape}; give one length")
    wrong = np.flatnonzero(~((price > 0) & np.isfinite(price) & (amount >= 0) & np.isfinite(amount)))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"trade {at} at {time[at]} had price {price[at]} and amount {amount[at]}; drop such trades first"
        )
    return _Columns(time, price, amount, ids)


def _in_order(given: _Columns) -> _Columns:
    """Return trades by time, those of one moment by id where ids are numbers, and each id once."""
    ids = given.ids
    order = np.argsort(given.time, kind="stable")
    if ids is None or any(one is None for one in ids):
        return _Columns(given.time[order], given.price[order], given.amount[order], None)
    texts = [str(one) for one in ids]
    if all(text.isascii() and text.isdigit() for text in texts):
        order = np.array(sorted(range(len(texts)), key=lambda row: (given.time[row], int(texts[row]))), dtype=np.intp)
    seen: set[str] = set()
    kept = np.array([row for row in order if not (texts[row] in seen or seen.add(texts[row]))], dtype=np.intp)  # type: ignore[func-returns-value]
    return _Columns(given.time[kept], given.price[kept], given.amount[kept], texts)
