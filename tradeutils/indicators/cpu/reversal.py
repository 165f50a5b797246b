"""
Kernels of stops that turn with the trend.

A falling trend is a rising one seen upside down: with every price negated, which is exact, one arithmetic serves both.
``side`` is 1 in a rising trend and -1 in a falling one. A bar's ``reach`` is its end in the direction of the trend and
its ``base`` the other one, both upside down in a falling trend.

States are read before anything is chosen: a choice between two of them, with the loads inside, kept LLVM from the
vector loop (SAR took 10.5 ns an element, not 2.7).
"""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel, step
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["sar", "sar_tradingview"]


@step
def first_side(top: float, bottom: float, top1: float, bottom1: float) -> float:
    """Return -1 where the low has fallen, and by more than the high has risen (TA-Lib's MINUS_DM), else 1."""
    fall, rise = bottom1 - bottom, top - top1
    return (-1.0 if rise < fall else 1.0) if fall > 0.0 else 1.0


@step
def ends(top: float, bottom: float, side: float) -> tuple[float, float]:
    """Return the reach and the base of a bar."""
    reach, base = -bottom, -top
    return top if side > 0.0 else reach, bottom if side > 0.0 else base


@step
def hastened(
    reach: float, extreme: float, speed: float, acceleration: float, maximum: float, counts: bool
) -> tuple[float, float]:
    """Return the extreme and the speed of a trend after a bar; a new extreme hastens it."""
    faster = min(speed + acceleration, maximum)
    further = (reach > extreme) & counts
    return reach if further else extreme, faster if further else speed


@kernel(rows=lambda acceleration, maximum: 7)
def sar(
    high: Matrix, low: Matrix, out: Matrix, state: Matrix, width: int, mode: int, acceleration: float, maximum: float
) -> None:
    """
    Parabolic stop as TA-Lib has it: held at the last two bars as soon as it is moved, a bar before it is tested.

    State: count, side, stop of the next bar, extreme of the trend, speed, high and low of the bar before.
    """
    start = min(acceleration, maximum)
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, top1, bottom1 = high[t, s], low[t, s], state[5, s], state[6, s]
            side0, stop0, extreme0, speed0 = state[1, s], state[2, s], state[3, s], state[4, s]
            good = known((top - top) + bottom)
            count = advance(state[0, s], good, mode)
            second, begun = count == 2.0, first_side(top, bottom, top1, bottom1)
            side = begun if second else side0
            reach, base = ends(top, bottom, side)
            reach1, base1 = ends(top1, bottom1, side)
            stop, extreme = side * stop0, side * extreme0
            stop, extreme, speed = base1 if second else stop, reach if second else extreme, start if second else speed0
            # TA-Lib takes the first bar of the first trend for its own predecessor.
            reach1, base1 = reach if second else reach1, base if second else base1
            furthest, faster = hastened(reach, extreme, speed, start, maximum, True)
            going = min(stop + faster * (furthest - stop), base1, base)
            turn = max(extreme, reach1, reach)
            back = max(turn + start * (base - turn), reach1, reach)
            turned = base <= stop
            state[0, s], state[1, s] = count, held(-side if turned else side, side0, good, mode)
            state[2, s] = held(side * (back if turned else going), stop0, good, mode)
            state[3, s] = held(side * (base if turned else furthest), extreme0, good, mode)
            state[4, s] = held(start if turned else faster, speed0, good, mode)
            state[5, s], state[6, s] = held(top, top1, good, mode), held(bottom, bottom1, good, mode)
            out[t, s] = within(side * (turn if turned else stop) + (good - good), count, 2.0)


@kernel(rows=lambda acceleration, maximum: 9)
def sar_tradingview(
    high: Matrix, low: Matrix, out: Matrix, state: Matrix, width: int, mode: int, acceleration: float, maximum: float
) -> None:
    """
    Parabolic stop as TradingView has it: moved, tested, and only then held at the two bars before.

    State: count, side, stop, extreme of the trend, speed, highs and lows of the last bar and of the one before it.
    """
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, top1, bottom1 = high[t, s], low[t, s], state[5, s], state[6, s]
            side0, stop0, extreme0, speed0 = state[1, s], state[2, s], state[3, s], state[4, s]
            top2, bottom2 = state[7, s], state[8, s]
            good = known((top - top) + bottom)
            count = advance(state[0, s], good, mode)
            second, begun = count == 2.0, first_side(top, bottom, top1, bottom1)
            side = begun if second else side0
            reach, base = ends(top, bottom, side)
            reach1, base1 = ends(top1, bottom1, side)
            reach2, base2 = ends(top2, bottom2, side)
            reach2, base2 = reach1 if second else reach2, base1 if second else base2
            last, extreme = side * stop0, side * extreme0
            last, extreme = base1 if second else last, reach if second else extreme
            speed = acceleration if second else speed0
            stop = last + speed * (extreme - last)
            furthest, faster = hastened(reach, extreme, speed, acceleration, maximum, count > 2.0)
            turned = stop > base
            going, back = min(stop, base1, base2), max(reach, extreme, reach1, reach2)
            made = side * (back if turned else going)
            state[0, s], state[1, s] = count, held(-side if turned else side, side0, good, mode)
            state[2, s] = held(made, stop0, good, mode)
            state[3, s] = held(side * (base if turned else furthest), extreme0, good, mode)
            state[4, s] = held(acceleration if turned else faster, speed0, good, mode)
            state[5, s], state[6, s] = held(top, top1, good, mode), held(bottom, bottom1, good, mode)
            state[7, s], state[8, s] = held(top1, top2, good, mode), held(bottom1, bottom2, good, mode)
            out[t, s] = within(made + (good - good), count, 2.0)
