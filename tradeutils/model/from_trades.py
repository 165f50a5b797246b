"""Candles from trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, UsageError
from tradeutils.model.days import Day
from tradeutils.model.records import Trade
from tradeutils.model.resampling import grid_of
from tradeutils.timeframe import Instant, Times, to_ms

__all__ = ["bars_of_trades"]

_UNKNOWN: Final = frozenset({"nan", "NaN", "<NA>", "NaT", "None"})
_INEXACT: Final = 2.0**53
_TOO_LONG: Final = 19  # digits; all numbers of fewer fit int64


class _Columns(NamedTuple):
    time: Times
    price: npt.NDArray[np.float64]
    amount: npt.NDArray[np.float64]
    ids: npt.NDArray[Any] | None


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
    with np.errstate(over="ignore"):  # more than any number is infinity
        volume = np.add.reduceat(amount, grid.starts)
    return {
        "time": grid.opens,
        "open": price[grid.starts],
        "high": np.maximum.reduceat(price, grid.starts),
        "low": np.minimum.reduceat(price, grid.starts),
        "close": price[ends - 1],
        "volume": volume,
        "closed": over,
    }


def _columns(trades: Iterable[Trade] | Mapping[str, Any]) -> _Columns:
    """Return trades as columns, checked."""
    if isinstance(trades, Mapping):
        missing = [name for name in ("time", "price", "amount") if name not in trades]
        if missing:
            raise UsageError(f"trades lacked {', '.join(missing)}; give columns time, price, amount, and id if known")
        told = [trades["time"], trades["price"], trades["amount"]]
        ids = None if trades.get("id") is None else _ids(trades["id"])
    else:
        rows = list(trades) if isinstance(trades, Iterable) else [trades]
        odd = next((i for i, row in enumerate(rows) if not isinstance(row, Trade)), None)
        if odd is not None:
            raise UsageError(f"trade {odd} was {rows[odd]!r:.80}; give a list of Trade, or columns time, price, amount")
        told = [[row.time for row in rows], [row.price for row in rows], [row.amount for row in rows]]
        ids = _ids([row.id for row in rows])
    try:
        raw = np.asarray(told[0])
        if raw.size and (raw.dtype.kind not in "iu" or int(raw.max()) > np.iinfo(np.int64).max):
            raise UsageError(f"time had dtype {raw.dtype}; write int64 milliseconds UTC")
        time = raw.astype(np.int64)
        price, amount = np.asarray(told[1], dtype=np.float64), np.asarray(told[2], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"trades cannot be read: {error}; give numbers") from error
    shapes = [one.shape for one in (time, price, amount, ids) if one is not None]
    if len(set(shapes)) > 1 or time.ndim != 1:
        raise UsageError(f"trades had columns of shapes {', '.join(map(str, shapes))}; give one length")
    _check(time, price, amount)
    return _Columns(time, price, amount, ids)


def _ids(given: Any) -> npt.NDArray[Any]:
    """Return ids as an array; a list as objects, as NumPy would make floats of numbers where one is missing."""
    if not hasattr(given, "dtype"):
        return np.array(list(given), dtype=np.object_)
    array = np.asarray(given)
    if array.dtype.kind == "f" and bool((np.abs(array) >= _INEXACT).any()):
        raise UsageError(f"id had dtype {array.dtype}, which rounds numbers that long; write int64 or text")
    return array


def _check(time: Times, price: npt.NDArray[np.float64], amount: npt.NDArray[np.float64]) -> None:
    """Refuse times of another unit, and the first trade that is none."""
    for edge in (time.min(), time.max()) if len(time) else ():
        to_ms(int(edge))
    wrong = np.flatnonzero(~((price > 0) & np.isfinite(price) & (amount >= 0) & np.isfinite(amount)))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"trade {at} at {time[at]} had price {price[at]} and amount {amount[at]}; drop such trades first"
        )


def _in_order(given: _Columns) -> _Columns:
    """Return trades by time, those of one moment by id where all ids are numbers, and each id once."""
    if given.ids is None:
        kept = np.argsort(given.time, kind="stable")
    elif given.ids.dtype.kind in "iu":
        kept = _once_by_number(given.time, given.ids)
    else:
        texts = [_text(one) for one in given.ids.tolist()]
        numbers = _numbers(texts)
        kept = _once(given.time, texts) if numbers is None else _once_by_number(given.time, numbers)
    return _Columns(given.time[kept], given.price[kept], given.amount[kept], None)


def _text(told: Any) -> str:
    """Return an id as text; nothing for one that is not known, among them NaN, as columns with gaps have it."""
    text = "" if told is None else str(told)
    return "" if text in _UNKNOWN else text


def _numbers(texts: list[str]) -> npt.NDArray[Any] | None:
    """Return ids as int64, ``None`` unless each is a number that fits and is written in one way only."""
    digits = "".join(texts)
    if not (digits.isascii() and digits.isdigit()) or not all(
        0 < len(text) < _TOO_LONG and (text[0] != "0" or text == "0") for text in texts
    ):
        return None
    return np.array(list(map(int, texts)), dtype=np.int64)  # half the time of NumPy's own reading of text


def _once_by_number(time: Times, ids: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the rows by time, then by id; the first of each id."""
    order = np.lexsort((ids, time))
    _, first = np.unique(ids[order], return_index=True)
    return order[np.sort(first)]


def _once(time: Times, texts: list[str]) -> npt.NDArray[np.intp]:
    """Return the rows by time, then by id if all are long numbers, else as they come; the first of each id."""
    order = np.argsort(time, kind="stable").tolist()
    if all(text.isascii() and text.isdigit() for text in texts):
        values, bare = time.tolist(), [text.lstrip("0") for text in texts]
        order.sort(key=lambda row: (values[row], len(bare[row]), bare[row]))
    seen: dict[str | int, int] = {}
    for row in order:
        seen.setdefault(texts[row] or row, row)  # what has no id is a trade of its own
    return np.fromiter(seen.values(), dtype=np.intp, count=len(seen))
