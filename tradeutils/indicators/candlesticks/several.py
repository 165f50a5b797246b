"""Patterns of four bars and more, and those that later bars confirm."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.candlesticks.bars import Bar, Bars, Score, every, gap_down, gap_up, signed
from tradeutils.indicators.candlesticks.declaration import pattern
from tradeutils.indicators.candlesticks.facts import Fact

__all__ = ["DECLARED"]


@pattern(
    "Three black crows", name="3blackcrows", bars=4, lookback=13, bias="bearish", source="Nison",
    says="After a white bar three black bodies that each open in the one before and close lower, at their lows.",
)  # fmt: skip
def three_black_crows(bars: Bars) -> list[Score]:
    bar, middle, first, before = bars[0], bars[1], bars[2], bars[3]
    crows = every(one.black & one.no_lower for one in (first, middle, bar))
    steps = [(one.open < two.open) & (one.open > two.close) for one, two in ((middle, first), (bar, middle))]
    falling = (before.high > first.close) & (first.close > middle.close) & (middle.close > bar.close)
    return [(-100, before.white & crows & steps[0] & steps[1] & falling)]


@pattern(
    "Three-line strike", name="3linestrike", bars=4, lookback=8, bias="both",
    says="Three bars go one way and a fourth takes it all back: said to continue, by the sign of the three.",
)  # fmt: skip
def three_line_strike(bars: Bars) -> list[Score]:
    bar, third, second, first = bars[0], bars[1], bars[2], bars[3]
    near = every(
        (one.open >= two.bottom - two.near) & (one.open <= two.top + two.near)
        for one, two in ((second, first), (third, second))
    )
    up = every(one.white for one in (first, second, third)) & bar.black
    up &= (third.close > second.close) & (second.close > first.close)
    up &= (bar.open > third.close) & (bar.close < first.open)
    down = every(one.black for one in (first, second, third)) & bar.white
    down &= (third.close < second.close) & (second.close < first.close)
    down &= (bar.open < third.close) & (bar.close > first.open)
    return [(100, near & up), (-100, near & down)]


@pattern(
    "Breakaway", bars=5, lookback=14, bias="both",
    says="A long body, a gap with it, two more bars the same way, and a fifth that comes back into the gap.",
)  # fmt: skip
def breakaway(bars: Bars) -> list[Score]:
    bar, fourth, third, second, first = (bars[lag] for lag in range(5))
    later = ((second, third), (third, fourth))
    up = first.black & second.black & fourth.black & bar.white & gap_down(second, first)
    up &= every((one.high < before.high) & (one.low < before.low) for before, one in later)
    up &= (bar.close > second.open) & (bar.close < first.close)
    down = first.white & second.white & fourth.white & bar.black & gap_up(second, first)
    down &= every((one.high > before.high) & (one.low > before.low) for before, one in later)
    down &= (bar.close < second.open) & (bar.close > first.close)
    return [(100, first.long & up), (-100, first.long & down)]


@pattern(
    "Concealing baby swallow", bars=4, lookback=13, bias="bullish",
    says="Two black marubozu, a black bar below them whose upper shadow reaches back, and a fourth that swallows it.",
)  # fmt: skip
def concealbabyswall(bars: Bars) -> list[Score]:
    bar, third, second, first = (bars[lag] for lag in range(4))
    marubozu = every(one.black & one.no_lower & one.no_upper for one in (first, second))
    baby = third.black & gap_down(third, second) & third.has_upper & (third.high > second.close)
    return [(100, marubozu & baby & bar.black & (bar.high > third.high) & (bar.low < third.low))]


def _confirmed(up: Fact, down: Fact, bars: Bars) -> list[Score]:
    """
    Return 100 or -100 where a hikkake is, and 200 or -200 where one of the three bars after it confirms it.

    A bar confirms the newest hikkake, once, by closing beyond the bar before the hikkake's last; a bar with a hikkake
    of its own confirms none.
    """
    bar, here = bars[0], up | down
    scores: list[Score] = [(100, up), (-100, down)]
    none_since: Fact | None = None
    confirming: list[Fact] = []
    for age in (1, 2, 3):
        beyond = (up.ago(age) & (bar.close > bars[age + 1].high)) | (down.ago(age) & (bar.close < bars[age + 1].low))
        now = beyond.without(here)
        if none_since is not None:
            now = now.without(none_since)
        # Confirmed earlier: at age 1, 2 .. of what is now of this age.
        for earlier, fact in enumerate(confirming, start=1):
            now = now.without(fact.ago(age - earlier))
        confirming.append(now)
        none_since = here.ago(age) if none_since is None else none_since | here.ago(age)
    for age, fact in enumerate(confirming, start=1):
        scores += [(200, fact & up.ago(age)), (-200, fact & down.ago(age))]
    return scores


@pattern(
    "Hikkake", bars=3, lookback=5, bias="both", source="Chesler",
    says="An inside bar, then a false break out of it. 200 where one of the next three bars closes beyond it.",
)  # fmt: skip
def hikkake(bars: Bars) -> list[Score]:
    bar, inside, outside = bars[0], bars[1], bars[2]
    # Of its own three bars: where it is looked back at, they may lie on the far side of a gap.
    found = bars.sheet.seen(2) & (inside.high < outside.high) & (inside.low > outside.low)
    up = found & (bar.high < inside.high) & (bar.low < inside.low)
    down = found & (bar.high > inside.high) & (bar.low > inside.low)
    return _confirmed(up, down, bars)


@pattern(
    "Modified hikkake", bars=4, lookback=10, bias="both", source="Chesler",
    says="Two inside bars, the second closing near its extreme, then a false break. 200 where a later bar confirms it.",
)  # fmt: skip
def hikkakemod(bars: Bars) -> list[Score]:
    bar, second, first, outside = bars[0], bars[1], bars[2], bars[3]
    found = bars.sheet.seen(3) & (first.high < outside.high) & (first.low > outside.low)
    found &= (second.high < first.high) & (second.low > first.low)
    up = found & (bar.high < second.high) & (bar.low < second.low) & (first.close <= first.low + first.near)
    down = found & (bar.high > second.high) & (bar.low > second.low) & (first.close >= first.high - first.near)
    return _confirmed(up, down, bars)


@pattern(
    "Ladder bottom", bars=5, lookback=14, bias="bullish",
    says="Three black bars step down, a fourth shows an upper shadow, and a white one closes above it: a bottom.",
)  # fmt: skip
def ladderbottom(bars: Bars) -> list[Score]:
    bar, fourth, third, second, first = (bars[lag] for lag in range(5))
    steps = every(
        (two.open < one.open) & (two.close < one.close) & one.black for one, two in ((first, second), (second, third))
    )
    turn = fourth.black & fourth.has_upper & bar.white & (bar.open > fourth.open) & (bar.close > fourth.high)
    return [(100, steps & third.black & turn)]


@pattern(
    "Mat hold", bars=5, lookback=14, bias="bullish", penetration=0.5,
    says="After a long white bar three short ones rest above its middle, and a white one breaks out: the rise goes on.",
)  # fmt: skip
def mathold(bars: Bars, penetration: float) -> list[Score]:
    bar, fourth, third, second, first = (bars[lag] for lag in range(5))
    rest = every(one.short for one in (second, third, fourth)) & second.black & gap_up(second, first)
    for one in (third, fourth):
        rest &= (one.bottom < first.close) & (one.bottom > first.close - first.body * penetration)
    rest &= (third.top < second.open) & (fourth.top < third.top)
    highest = second.high.larger(third.high).larger(fourth.high)
    out = bar.white & (bar.open > fourth.close) & (bar.close > highest)
    return [(100, first.long & first.white & rest & out)]


def _three_methods(first: Bar, rests: tuple[Bar, ...], bar: Bar) -> list[Score]:
    second, third, fourth = rests
    inside = every((one.bottom < first.high) & (one.top > first.low) for one in rests)
    found = first.long & bar.long & every(one.short for one in rests) & inside
    up = first.white & every(one.black for one in rests) & bar.white
    up &= (third.close < second.close) & (fourth.close < third.close)
    up &= (bar.open > fourth.close) & (bar.close > first.close)
    down = first.black & every(one.white for one in rests) & bar.black
    down &= (third.close > second.close) & (fourth.close > third.close)
    down &= (bar.open < fourth.close) & (bar.close < first.close)
    return signed(found & (up | down), by=first)


@pattern(
    "Rising and falling three methods", bars=5, lookback=14, bias="both", source="Nison",
    says="After a long bar three short ones rest within its range, and a long one goes on the way of the first.",
)  # fmt: skip
def risefall3methods(bars: Bars) -> list[Score]:
    return _three_methods(bars[4], (bars[3], bars[2], bars[1]), bars[0])


DECLARED: Final = (
    three_black_crows, three_line_strike, breakaway, concealbabyswall, hikkake, hikkakemod, ladderbottom, mathold,
    risefall3methods,
)  # fmt: skip
"""All of this file."""
