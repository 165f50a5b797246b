"""Kernels of what is made of the prices and the volume of a bar in one pass."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, held, known

__all__ = ["balance", "heikin_ashi", "mean_of_four", "middle", "money_flow", "weighted_close"]


@kernel()
def middle(high: Matrix, low: Matrix, out: Matrix, width: int) -> None:
    """Mean of high and low."""
    for t in range(high.shape[0]):
        for s in range(width):
            out[t, s] = known((high[t, s] + low[t, s]) * 0.5)


@kernel()
def mean_of_four(open_price: Matrix, high: Matrix, low: Matrix, close: Matrix, out: Matrix, width: int) -> None:
    """Mean of the four prices, added up in TA-Lib's order."""
    for t in range(high.shape[0]):
        for s in range(width):
            out[t, s] = known((high[t, s] + low[t, s] + close[t, s] + open_price[t, s]) * 0.25)


@kernel()
def weighted_close(high: Matrix, low: Matrix, close: Matrix, out: Matrix, width: int) -> None:
    """Mean of high, low, and close twice."""
    for t in range(high.shape[0]):
        for s in range(width):
            out[t, s] = known((high[t, s] + low[t, s] + close[t, s] * 2.0) * 0.25)


@kernel()
def balance(open_price: Matrix, high: Matrix, low: Matrix, close: Matrix, out: Matrix, width: int) -> None:
    """Body of a bar in its range."""
    for t in range(high.shape[0]):
        for s in range(width):
            body, reach = close[t, s] - open_price[t, s], high[t, s] - low[t, s]
            share = body / (reach if reach > 0.0 else 1.0)
            out[t, s] = known((share if reach > 0.0 else body - body) + (reach - reach))


@kernel()
def money_flow(high: Matrix, low: Matrix, close: Matrix, volume: Matrix, out: Matrix, width: int) -> None:
    """Volume times where close stands in the bar."""
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, price, traded = high[t, s], low[t, s], close[t, s], volume[t, s]
            reach, standing = top - bottom, (price - bottom) - (top - price)
            share = standing / (reach if reach > 0.0 else 1.0)
            # Without a range, nothing; and unknown where a price is.
            out[t, s] = known((share if reach > 0.0 else standing - standing) * traded)


@kernel(rows=lambda: 3, counts=1)
def heikin_ashi(
    open_price: Matrix,
    high: Matrix,
    low: Matrix,
    close: Matrix,
    open_out: Matrix,
    high_out: Matrix,
    low_out: Matrix,
    close_out: Matrix,
    state: Matrix,
    width: int,
    mode: int,
) -> None:
    """Averaged bars. State: count, open and close of the bar before."""
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, price = high[t, s], low[t, s], close[t, s]
            last = known((top + bottom + price + open_price[t, s]) / 4.0)
            count = advance(state[0, s], last, mode)
            carried = (state[1, s] + state[2, s]) / 2.0
            first = carried if count > 1.0 else (open_price[t, s] + price) / 2.0
            # Unknown where the bar is, and for ever once the series has ended.
            gone = last - last if count > 0.0 else math.nan
            state[0, s] = count
            state[1, s], state[2, s] = held(first, state[1, s], last, mode), held(last, state[2, s], last, mode)
            upper, lower = (max(last, first)), (min(last, first))
            open_out[t, s] = first + gone
            high_out[t, s] = (max(upper, top)) + gone
            low_out[t, s] = (min(lower, bottom)) + gone
            close_out[t, s] = last + gone
