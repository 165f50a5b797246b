"""Patterns of two bars."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.candlesticks.bars import Bar, Bars, Score, gap_down, gap_up, signed
from tradeutils.indicators.candlesticks.declaration import pattern
from tradeutils.indicators.candlesticks.facts import Fact

__all__ = ["DECLARED"]


def _opposite(bar: Bar, before: Bar) -> Fact:
    """Return whether two bars have different colours."""
    return (bar.white & before.black) | (bar.black & before.white)


@pattern(
    "Counterattack", bars=2, lookback=11, bias="both", source="Nison",
    says="Two long bodies of opposite colours that close at the same price: the move was met in full.",
)  # fmt: skip
def counterattack(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return signed(
        _opposite(bar, before) & before.long & bar.long & bar.close.near(before.close, before.equal),
        by=bar,
    )


@pattern(
    "Dark cloud cover", bars=2, lookback=11, bias="bearish", source="Nison", penetration=0.5,
    says="After a long white body one opens above its high and closes deep inside it.",
)  # fmt: skip
def darkcloudcover(bars: Bars, penetration: float) -> list[Score]:
    bar, before = bars[0], bars[1]
    deep = (bar.close > before.open) & (bar.close < before.close - before.body * penetration)
    return [(-100, before.white & before.long & bar.black & (bar.open > before.high) & deep)]


@pattern(
    "Doji star", bars=2, lookback=11, bias="both", source="Nison",
    says="A doji that gaps away from a long body, with the move: it may be over. The sign is against the move.",
)  # fmt: skip
def dojistar(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    star = before.long & bar.doji
    return [(-100, star & before.white & gap_up(bar, before)), (100, star & before.black & gap_down(bar, before))]


@pattern(
    "Engulfing", bars=2, lookback=2, bias="both", source="Nison",
    says="A body covers the one before, of the other colour. 80 instead of 100 where they share an end.",
)  # fmt: skip
def engulfing(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    # The bodies' ends, of which one at least must lie apart: both the same is no cover.
    outside = (bar.bottom < before.bottom) & (bar.top > before.top)
    covers = (bar.bottom <= before.bottom) & (bar.top >= before.top)
    touches = (covers & ((bar.bottom < before.bottom) | (bar.top > before.top))).without(outside)
    rising, falling = bar.white & before.black, bar.black & before.white
    return [
        (100, outside & rising), (80, touches & rising), (-100, outside & falling), (-80, touches & falling),
    ]  # fmt: skip


def _hammer_shape(bar: Bar) -> Fact:
    return bar.short & bar.long_lower & bar.no_upper


@pattern(
    "Hammer", bars=2, lookback=11, bias="bullish", source="Nison",
    says="A short body on a long lower shadow, at or below the low before: the market hammers out a bottom.",
)  # fmt: skip
def hammer(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return [(100, _hammer_shape(bar) & (bar.bottom <= before.low + before.near))]


@pattern(
    "Hanging man", bars=2, lookback=11, bias="bearish", source="Nison",
    says="The hammer's shape at or above the high before: sellers were there, after a rise.",
)  # fmt: skip
def hangingman(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return [(-100, _hammer_shape(bar) & (bar.bottom >= before.high - before.near))]


def _inside(fact: Fact, bar: Bar, before: Bar) -> list[Score]:
    """Return scores of a body inside the one before: 80 where they share an end; the sign is against the first."""
    inside = (bar.top < before.top) & (bar.bottom > before.bottom)
    within = (bar.top <= before.top) & (bar.bottom >= before.bottom)
    clear, touching = fact & inside, (fact & within).without(inside)
    return [
        (-100, clear & before.white), (-80, touching & before.white),
        (100, clear & before.black), (80, touching & before.black),
    ]  # fmt: skip


@pattern(
    "Harami", bars=2, lookback=11, bias="both", source="Nison",
    says="A short body inside a long one: the move has lost its force. 80 instead of 100 where they share an end.",
)  # fmt: skip
def harami(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return _inside(before.long & bar.not_long, bar, before)


@pattern(
    "Harami cross", bars=2, lookback=11, bias="both", source="Nison",
    says="A doji inside a long body: the move has lost its force. 80 instead of 100 where they share an end.",
)  # fmt: skip
def haramicross(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return _inside(before.long & bar.doji, bar, before)


@pattern(
    "Homing pigeon", bars=2, lookback=11, bias="bullish",
    says="A short black body inside a long black one: selling slackens.",
)  # fmt: skip
def homingpigeon(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    inside = (bar.open < before.open) & (bar.close > before.close)
    return [(100, before.black & bar.black & before.long & bar.not_long & inside)]


def _opens_below_long_black(bar: Bar, before: Bar) -> Fact:
    """Return whether a white bar opens below the low of a long black one."""
    return before.black & before.long & bar.white & (bar.open < before.low)


@pattern(
    "In-neck", bars=2, lookback=11, bias="bearish",
    says="A white bar opens below a long black one and closes at its close or just above: the rally fails.",
)  # fmt: skip
def inneck(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    back = (bar.close <= before.close + before.equal) & (bar.close >= before.close)
    return [(-100, _opens_below_long_black(bar, before) & back)]


@pattern(
    "Inverted hammer", bars=2, lookback=11, bias="bullish", source="Nison",
    says="A short body under a long upper shadow, below the body before: buyers show up after a fall.",
)  # fmt: skip
def invertedhammer(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return [(100, bar.short & bar.long_upper & bar.no_lower & gap_down(bar, before))]


def _kick(bar: Bar, before: Bar) -> Fact:
    """Return whether two marubozu of opposite colours lie apart, the second away from where the first pointed."""
    marubozu = [one.long & one.no_upper & one.no_lower for one in (before, bar)]
    away = (before.black & (bar.low > before.high)) | (before.white & (bar.high < before.low))
    return marubozu[0] & marubozu[1] & _opposite(bar, before) & away


@pattern(
    "Kicking", bars=2, lookback=11, bias="both",
    says="Two marubozu of opposite colours with a gap between: one side was kicked out. The sign is the second's.",
)  # fmt: skip
def kicking(bars: Bars) -> list[Score]:
    return signed(_kick(bars[0], bars[1]), by=bars[0])


@pattern(
    "Kicking, by length", bars=2, lookback=11, bias="both",
    says="Kicking, with the sign of the longer of the two bodies.",
)  # fmt: skip
def kickingbylength(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    kick, last = _kick(bar, before), bar.body > before.body
    rising = (last & bar.white) | before.white.without(last)
    return [(100, kick & rising), (-100, kick.without(rising))]


@pattern(
    "Matching low", bars=2, lookback=6, bias="bullish",
    says="Two black bodies that close at the same price: it holds.",
)  # fmt: skip
def matchinglow(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return [(100, before.black & bar.black & bar.close.near(before.close, before.equal))]


@pattern(
    "On-neck", bars=2, lookback=11, bias="bearish",
    says="A white bar opens below a long black one and only comes back to its low: the fall goes on.",
)  # fmt: skip
def onneck(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return [(-100, _opens_below_long_black(bar, before) & bar.close.near(before.low, before.equal))]


@pattern(
    "Piercing", bars=2, lookback=11, bias="bullish", source="Nison",
    says="After a long black body a long white one opens below its low and closes in its upper half.",
)  # fmt: skip
def piercing(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    deep = (bar.close < before.open) & (bar.close > before.close + before.body * 0.5)
    return [(100, _opens_below_long_black(bar, before) & bar.long & deep)]


@pattern(
    "Separating lines", bars=2, lookback=11, bias="both", source="Nison",
    says="A long body from its extreme, which opens where one of the other colour had opened: the trend resumes.",
)  # fmt: skip
def separatinglines(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    apart = bar.long & bar.open.near(before.open, before.equal)
    return [
        (100, apart & before.black & bar.white & bar.no_lower),
        (-100, apart & before.white & bar.black & bar.no_upper),
    ]


@pattern(
    "Shooting star", bars=2, lookback=11, bias="bearish", source="Nison",
    says="A short body under a long upper shadow, above the body before: the rise was turned back.",
)  # fmt: skip
def shootingstar(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    return [(-100, bar.short & bar.long_upper & bar.no_lower & gap_up(bar, before))]


@pattern(
    "Thrusting", bars=2, lookback=11, bias="bearish", source="Nison",
    says="A white bar opens below a long black one and closes in its lower half: less than piercing.",
)  # fmt: skip
def thrusting(bars: Bars) -> list[Score]:
    bar, before = bars[0], bars[1]
    half = (bar.close > before.close + before.equal) & (bar.close <= before.close + before.body * 0.5)
    return [(-100, _opens_below_long_black(bar, before) & half)]


DECLARED: Final = (
    counterattack, darkcloudcover, dojistar, engulfing, hammer, hangingman, harami, haramicross, homingpigeon, inneck,
    invertedhammer, kicking, kickingbylength, matchinglow, onneck, piercing, separatinglines, shootingstar, thrusting,
)  # fmt: skip
"""All of this file."""
