"""Patterns of three bars."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.candlesticks.bars import Bar, Bars, Score, every, gap_down, gap_up, signed
from tradeutils.indicators.candlesticks.declaration import pattern
from tradeutils.indicators.candlesticks.facts import Fact

__all__ = ["DECLARED"]


@pattern(
    "Two crows", name="2crows", bars=3, lookback=12, bias="bearish",
    says="After a long white body a black one gaps up, and a second opens inside it and closes inside the first.",
)  # fmt: skip
def two_crows(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    opens_inside = (bar.open < middle.open) & (bar.open > middle.close)
    closes_inside = (bar.close > first.open) & (bar.close < first.close)
    crows = middle.black & gap_up(middle, first) & bar.black
    return [(-100, first.white & first.long & crows & opens_inside & closes_inside)]


@pattern(
    "Three inside", name="3inside", bars=3, lookback=12, bias="both",
    says="A harami, and a third bar that closes beyond the first one's open: the turn is confirmed.",
)  # fmt: skip
def three_inside(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    harami = first.long & middle.not_long & (middle.top < first.top) & (middle.bottom > first.bottom)
    up = first.black & bar.white & (bar.close > first.open)
    down = first.white & bar.black & (bar.close < first.open)
    return [(100, harami & up), (-100, harami & down)]


@pattern(
    "Three outside", name="3outside", bars=3, lookback=3, bias="both",
    says="An engulfing pattern, and a third bar that closes further: the turn is confirmed.",
)  # fmt: skip
def three_outside(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    up = middle.white & first.black & (middle.close > first.open) & (middle.open < first.close)
    down = middle.black & first.white & (middle.open > first.close) & (middle.close < first.open)
    return [(100, up & (bar.close > middle.close)), (-100, down & (bar.close < middle.close))]


@pattern(
    "Three stars in the south", name="3starsinsouth", bars=3, lookback=12, bias="bullish",
    says="Three black bodies, each smaller and with a higher low than the one before: the fall peters out.",
)  # fmt: skip
def three_stars_in_the_south(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    smaller = (
        (middle.body < first.body)
        & (middle.open > first.close)
        & (middle.open <= first.high)
        & (middle.low < first.close)
        & (middle.low >= first.low)
        & middle.has_lower
    )
    last = bar.short & bar.no_lower & bar.no_upper & (bar.low > middle.low) & (bar.high < middle.high)
    return [(100, first.black & middle.black & bar.black & first.long & first.long_lower & smaller & last)]


def _rising_whites(bar: Bar, middle: Bar, first: Bar) -> Fact:
    """Return whether three white bars close higher and higher."""
    closes = (bar.close > middle.close) & (middle.close > first.close)
    return first.white & middle.white & bar.white & closes


def _opens_in_or_near(bar: Bar, before: Bar) -> Fact:
    """Return whether a bar opens in the body of the white one before, or a little above."""
    return (bar.open > before.open) & (bar.open <= before.close + before.near)


@pattern(
    "Three white soldiers", name="3whitesoldiers", bars=3, lookback=12, bias="bullish", source="Nison",
    says="Three white bodies that each open in the one before and close higher, at their highs: a steady advance.",
)  # fmt: skip
def three_white_soldiers(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    at_highs = first.no_upper & middle.no_upper & bar.no_upper
    not_weaker = (middle.body > first.body - first.far) & (bar.body > middle.body - middle.far)
    steps = _opens_in_or_near(middle, first) & _opens_in_or_near(bar, middle)
    above_short = bar.long  # TA-Lib's short and long have the same measure
    return [(100, _rising_whites(bar, middle, first) & at_highs & steps & not_weaker & above_short)]


@pattern(
    "Abandoned baby", bars=3, lookback=12, bias="both", source="Nison", penetration=0.3,
    says="A doji with gaps on both sides, shadows included, between a long body and one the other way: a sharp turn.",
)  # fmt: skip
def abandonedbaby(bars: Bars, penetration: float) -> list[Score]:
    bar, baby, first = bars[0], bars[1], bars[2]
    above = (baby.low > first.high) & (bar.high < baby.low)
    below = (baby.high < first.low) & (bar.low > baby.high)
    down = first.white & bar.black & (bar.close < first.close - first.body * penetration) & above
    up = first.black & bar.white & (bar.close > first.close + first.body * penetration) & below
    found = first.long & baby.doji & bar.long
    return [(100, found & up), (-100, found & down)]


@pattern(
    "Advance block", bars=3, lookback=12, bias="bearish", source="Nison",
    says="Three white bodies that close higher, with signs of weakness: smaller bodies or longer upper shadows.",
)  # fmt: skip
def advanceblock(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    smaller = bar.body < middle.body
    shrinking = smaller & (middle.body < first.body)
    weakness = (
        ((middle.body < first.body - first.far) & (bar.body < middle.body + middle.near))
        | (bar.body < middle.body - middle.far)
        | (shrinking & (bar.long_for_usual_upper | middle.long_for_usual_upper))
        | (smaller & bar.long_upper)
    )
    steps = _opens_in_or_near(middle, first) & _opens_in_or_near(bar, middle)
    return [(-100, _rising_whites(bar, middle, first) & steps & first.long & first.short_upper & weakness)]


def _evening(bar: Bar, star: Bar, first: Bar, penetration: float) -> Fact:
    """Return whether a star above a long white body is followed by a black one that closes deep inside it."""
    deep = bar.close < first.close - first.body * penetration
    return first.long & first.white & gap_up(star, first) & bar.long & bar.black & deep


def _morning(bar: Bar, star: Bar, first: Bar, penetration: float) -> Fact:
    """Return whether a star below a long black body is followed by a white one that closes deep inside it."""
    deep = bar.close > first.close + first.body * penetration
    return first.long & first.black & gap_down(star, first) & bar.long & bar.white & deep


@pattern(
    "Evening doji star", bars=3, lookback=12, bias="bearish", source="Nison", penetration=0.3,
    says="A doji above a long white body, then a black one that closes deep inside the first: a top.",
)  # fmt: skip
def eveningdojistar(bars: Bars, penetration: float) -> list[Score]:
    return [(-100, _evening(bars[0], bars[1], bars[2], penetration) & bars[1].doji)]


@pattern(
    "Evening star", bars=3, lookback=12, bias="bearish", source="Nison", penetration=0.3,
    says="A short body above a long white one, then a black one that closes deep inside the first: a top.",
)  # fmt: skip
def eveningstar(bars: Bars, penetration: float) -> list[Score]:
    return [(-100, _evening(bars[0], bars[1], bars[2], penetration) & bars[1].not_long)]


@pattern(
    "Gapping side-by-side white lines", bars=3, lookback=7, bias="both", source="Nison",
    says="Two white bodies of one size side by side, with a gap to the bar before: the move goes on, up or down.",
)  # fmt: skip
def gapsidesidewhite(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    alike = bar.body.near(middle.body, middle.near) & bar.open.near(middle.open, middle.equal)
    pair = middle.white & bar.white & alike
    return [
        (100, pair & gap_up(middle, first) & gap_up(bar, first)),
        (-100, pair & gap_down(middle, first) & gap_down(bar, first)),
    ]


@pattern(
    "Identical three crows", bars=3, lookback=12, bias="bearish",
    says="Three black bodies that each open where the one before closed, and close at their lows.",
)  # fmt: skip
def identical3crows(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    crows = every(one.black & one.no_lower for one in (first, middle, bar))
    falling = (first.close > middle.close) & (middle.close > bar.close)
    steps = middle.open.near(first.close, first.equal) & bar.open.near(middle.close, middle.equal)
    return [(-100, crows & falling & steps)]


@pattern(
    "Morning doji star", bars=3, lookback=12, bias="bullish", source="Nison", penetration=0.3,
    says="A doji below a long black body, then a white one that closes deep inside the first: a bottom.",
)  # fmt: skip
def morningdojistar(bars: Bars, penetration: float) -> list[Score]:
    return [(100, _morning(bars[0], bars[1], bars[2], penetration) & bars[1].doji)]


@pattern(
    "Morning star", bars=3, lookback=12, bias="bullish", source="Nison", penetration=0.3,
    says="A short body below a long black one, then a white one that closes deep inside the first: a bottom.",
)  # fmt: skip
def morningstar(bars: Bars, penetration: float) -> list[Score]:
    return [(100, _morning(bars[0], bars[1], bars[2], penetration) & bars[1].not_long)]


@pattern(
    "Stalled pattern", bars=3, lookback=12, bias="bearish", source="Nison",
    says="Two long white bodies and a short one riding on the second's shoulder: the advance stalls.",
)  # fmt: skip
def stalledpattern(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    rides = bar.open >= middle.close.minus(bar.body) - middle.near
    found = first.long & middle.long & middle.no_upper & _opens_in_or_near(middle, first)
    return [(-100, _rising_whites(bar, middle, first) & found & bar.short & rides)]


@pattern(
    "Stick sandwich", bars=3, lookback=7, bias="bullish",
    says="A white bar between two black ones that close at the same price: it holds.",
)  # fmt: skip
def sticksandwich(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    same = bar.close.near(first.close, first.equal)
    return [(100, first.black & middle.white & bar.black & (middle.low > first.close) & same)]


@pattern(
    "Tasuki gap", bars=3, lookback=7, bias="both", source="Nison",
    says="After a gap a bar of the other colour and about the same size does not close it: the move goes on.",
)  # fmt: skip
def tasukigap(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    alike = middle.body.distance(bar.body) < middle.near
    opens_inside = (bar.open < middle.top) & (bar.open > middle.bottom)
    up = gap_up(middle, first) & middle.white & bar.black & (bar.close < middle.open) & (bar.close > first.top)
    down = gap_down(middle, first) & middle.black & bar.white & (bar.close > middle.open) & (bar.close < first.bottom)
    return [(100, alike & opens_inside & up), (-100, alike & opens_inside & down)]


@pattern(
    "Tristar", bars=3, lookback=12, bias="both", source="Nison",
    says="Three doji, the middle one a star above or below: a rare turn.",
)  # fmt: skip
def tristar(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    stars = every(one.body_at_most_doji_of(first) for one in (first, middle, bar))
    return [
        (-100, stars & gap_up(middle, first) & (bar.top < middle.top)),
        (100, stars & gap_down(middle, first) & (bar.bottom > middle.bottom)),
    ]


@pattern(
    "Unique three river", bars=3, lookback=12, bias="bullish",
    says="A long black body, a black one inside it with a new low, and a short white one that stays above that low.",
)  # fmt: skip
def unique3river(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    inside = (middle.close > first.close) & (middle.open <= first.open) & (middle.low < first.low)
    last = bar.short & bar.white & (bar.open > middle.low)
    return [(100, first.long & first.black & middle.black & inside & last)]


@pattern(
    "Upside gap two crows", bars=3, lookback=12, bias="bearish", source="Nison",
    says="Above a long white body a short black one gaps up, and a second black one covers it: the rise tires.",
)  # fmt: skip
def upsidegap2crows(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    covers = (bar.open > middle.open) & (bar.close < middle.close) & (bar.close > first.close)
    crows = middle.black & middle.not_long & gap_up(middle, first) & bar.black
    return [(-100, first.white & first.long & crows & covers)]


@pattern(
    "Upside and downside gap three methods", bars=3, lookback=2, bias="both",
    says="After a gap between two bars of one colour a third of the other colour closes it: the move goes on.",
)  # fmt: skip
def xsidegap3methods(bars: Bars) -> list[Score]:
    bar, middle, first = bars[0], bars[1], bars[2]
    opens_inside = (bar.open < middle.top) & (bar.open > middle.bottom)
    closes_inside = (bar.close < first.top) & (bar.close > first.bottom)
    up = first.white & middle.white & bar.black & gap_up(middle, first)
    down = first.black & middle.black & bar.white & gap_down(middle, first)
    return signed(opens_inside & closes_inside & (up | down), by=first)


DECLARED: Final = (
    two_crows, three_inside, three_outside, three_stars_in_the_south, three_white_soldiers, abandonedbaby,
    advanceblock, eveningdojistar, eveningstar, gapsidesidewhite, identical3crows, morningdojistar, morningstar,
    stalledpattern, sticksandwich, tasukigap, tristar, unique3river, upsidegap2crows, xsidegap3methods,
)  # fmt: skip
"""All of this file."""
