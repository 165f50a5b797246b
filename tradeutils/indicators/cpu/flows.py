"""Kernels of prices and volumes together."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import RESTART, Matrix, kernel, step
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["money_flow_index", "obv", "typical"]

_NOISE = 1e-14  # of the price: some 50 units in its last place
_BAD_TICK = 1e6  # times what stays: beyond it a difference has lost six digits more than the sums have
_RING = 7  # where it begins in the state


@kernel()
def typical(high: Matrix, low: Matrix, close: Matrix, out: Matrix, width: int) -> None:
    """Mean of high, low and close."""
    for t in range(high.shape[0]):
        for s in range(width):
            out[t, s] = known((high[t, s] + low[t, s] + close[t, s]) / 3.0)


@kernel(rows=lambda: 3)
def obv(close: Matrix, volume: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Volume of rises less that of falls. State: count, previous close, sum."""
    for t in range(close.shape[0]):
        for s in range(width):
            price, amount = close[t, s], known(volume[t, s])
            good = known((amount - amount) + price)
            count = advance(state[0, s], good, mode)
            up = 1.0 if price > state[1, s] else 0.0
            down = 1.0 if price < state[1, s] else 0.0
            moved, side = state[2, s] + (up - down) * amount, count > 1.0
            sum_ = (moved if side else amount) + (good - good)
            state[0, s], state[1, s] = count, held(price, state[1, s], good, mode)
            state[2, s] = held(sum_, state[2, s], good, mode)
            out[t, s] = within(sum_, count, 1.0)


@kernel(rows=lambda period: period + 7)
def money_flow_index(
    price: Matrix, volume: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int
) -> None:
    """
    Share of rising turnover.

    State: count, previous price, known moves, moves in the window, rising and falling sum, whether to add up anew; a
    ring of turnovers, those of falls negative.

    The sums are TA-Lib's, added to and subtracted from. Sums without drift (see windows.py) give 0 exactly where
    TA-Lib is left with 1e-11 of an earlier bar, so they differ from it by 1e-8 of small values. Only when a turnover
    leaves that is a million times what stays, a bad tick, are the sums made anew. As in TA-Lib means of equal prices
    are equal, though adding them up may round them apart by some last digits.
    """
    size = float(period)
    for t in range(price.shape[0]):
        at, doubtful = _RING + (seen + t) % period, 0
        for s in range(width):
            value, before, moves, kept = price[t, s], state[1, s], state[2, s], state[at, s]
            turnover = known(value * volume[t, s])
            count = advance(state[0, s], turnover, RESTART)
            move, noise = value - before, _NOISE * value
            up, down = turnover if move > noise else 0.0, turnover if move < -noise else 0.0
            left = kept if moves >= size else 0.0
            counted = moves + 1.0 if count >= 2.0 else 0.0
            moves = counted if turnover - turnover == 0.0 else 0.0
            rising = (state[4, s] - max(0.0, left)) + up
            falling = (state[5, s] - max(0.0, -left)) + down
            stirred = (state[3, s] - (1.0 if left != 0.0 else 0.0)) + (1.0 if up + down != 0.0 else 0.0)
            going = moves > 0.0
            doubt = 1.0 if abs(left) > _BAD_TICK * (rising + falling + turnover) else 0.0
            doubtful |= 1 if doubt > 0.0 else 0
            state[0, s], state[1, s], state[2, s], state[3, s] = count, value, moves, stirred if going else 0.0
            state[4, s], state[5, s] = rising if going else 0.0, falling if going else 0.0
            state[6, s], state[at, s] = doubt, up - down
        if doubtful:
            _add_up(state, width, period)
        for s in range(width):
            rising, both = state[4, s], state[4, s] + state[5, s]
            part = 100.0 * (rising / (both if both != 0.0 else 1.0))
            part = part if state[3, s] > 0.0 else 0.0
            part = max(0.0, part)
            out[t, s] = within(min(100.0, part), state[2, s], size)


@step
def _add_up(state: Matrix, width: int, period: int) -> None:
    """Add the turnovers in the ring up anew, for those symbols that want it."""
    for s in range(width):
        if state[6, s] > 0.0:
            rising = falling = 0.0
            for k in range(period):  # one can only leave a window that is full
                turnover = state[_RING + k, s]
                rising += max(turnover, 0.0)
                falling += max(-turnover, 0.0)
            state[4, s], state[5, s] = rising, falling
