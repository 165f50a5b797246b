"""Kernels that say where a price stands in a range of prices."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["distance", "position", "supertrend"]


@kernel()
def position(x: Matrix, highest: Matrix, lowest: Matrix, out: Matrix, width: int) -> None:
    """Place in a range, in per cent."""
    for t in range(x.shape[0]):
        for s in range(width):
            above, whole = x[t, s] - lowest[t, s], highest[t, s] - lowest[t, s]
            part = 100.0 * (above / whole)
            out[t, s] = known(part if whole != 0.0 else (above - above))


@kernel()
def distance(x: Matrix, middle: Matrix, spread: Matrix, out: Matrix, width: int, scale: float, noise: float) -> None:
    """Distance from the middle, in spreads."""
    for t in range(x.shape[0]):
        for s in range(width):
            away, wide = x[t, s] - middle[t, s], spread[t, s]
            part = away / (scale * wide)
            out[t, s] = known(part if wide > noise * abs(middle[t, s]) else (away - away) + (wide - wide))


@kernel(rows=lambda multiplier, first: 5, counts=1)
def supertrend(
    high: Matrix,
    low: Matrix,
    close: Matrix,
    reach: Matrix,
    band_out: Matrix,
    direction_out: Matrix,
    state: Matrix,
    width: int,
    mode: int,
    multiplier: float,
    first: float,
) -> None:
    """Trailing band. State: count, upper and lower band, previous close, direction."""
    for t in range(high.shape[0]):
        for s in range(width):
            price, middle, away = close[t, s], 0.5 * (high[t, s] + low[t, s]), multiplier * reach[t, s]
            good = known((middle - middle) + (away - away) + price)
            count = advance(state[0, s], good, mode)
            above, below, before = state[1, s], state[2, s], state[3, s]
            upper, lower = middle + away, middle - away
            nearer_upper, nearer_lower = min(upper, above), max(lower, below)
            following_upper = upper if before > above else nearer_upper
            following_lower = lower if before < below else nearer_lower
            upper = following_upper if count > 1.0 else upper
            lower = following_lower if count > 1.0 else lower
            turned = 1.0 if price > upper else -1.0
            kept = -1.0 if price < lower else 1.0
            following = turned if state[4, s] < 0.0 else kept
            direction = following if count > 1.0 else first
            state[0, s] = count
            state[1, s], state[2, s] = held(upper, above, good, mode), held(lower, below, good, mode)
            state[3, s] = held(price, before, good, mode)
            state[4, s] = held(direction, state[4, s], good, mode)
            band = upper if direction < 0.0 else lower
            band_out[t, s] = within(band + (good - good), count, 1.0)
            direction_out[t, s] = within(direction + (good - good), count, 1.0)
