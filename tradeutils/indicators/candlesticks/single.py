"""Patterns of one bar, judged against the ten before it."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.candlesticks.bars import Bars, Score, signed
from tradeutils.indicators.candlesticks.declaration import pattern

__all__ = ["DECLARED"]


@pattern(
    "Belt-hold", bars=1, lookback=10, bias="both", source="Nison",
    says="A long body that opens at its extreme: the side that holds the open holds the day.",
)  # fmt: skip
def belthold(bars: Bars) -> list[Score]:
    bar = bars[0]
    return [(100, bar.long & bar.white & bar.no_lower), (-100, bar.long & bar.black & bar.no_upper)]


@pattern(
    "Closing marubozu", bars=1, lookback=10, bias="both",
    says="A long body that closes at its extreme: the move had not ended at the close.",
)  # fmt: skip
def closingmarubozu(bars: Bars) -> list[Score]:
    bar = bars[0]
    return [(100, bar.long & bar.white & bar.no_upper), (-100, bar.long & bar.black & bar.no_lower)]


@pattern(
    "Doji", bars=1, lookback=10, bias="neutral", source="Nison",
    says="Open and close are nearly the same: neither side won.",
)  # fmt: skip
def doji(bars: Bars) -> list[Score]:
    return [(100, bars[0].doji)]


@pattern(
    "Dragonfly doji", bars=1, lookback=10, bias="bullish", source="Nison",
    says="Open and close at the high, with a lower shadow: sellers were there, and were turned back.",
)  # fmt: skip
def dragonflydoji(bars: Bars) -> list[Score]:
    bar = bars[0]
    return [(100, bar.doji & bar.no_upper & bar.has_lower)]


@pattern(
    "Gravestone doji", bars=1, lookback=10, bias="bearish", source="Nison",
    says="Open and close at the low, with an upper shadow: buyers were there, and were turned back. TA-Lib gives +100.",
)  # fmt: skip
def gravestonedoji(bars: Bars) -> list[Score]:
    bar = bars[0]
    return [(100, bar.doji & bar.no_lower & bar.has_upper)]


@pattern(
    "High wave", bars=1, lookback=10, bias="neutral", source="Nison",
    says="A short body with two very long shadows: the market does not know where to. The sign is the body's colour.",
)  # fmt: skip
def highwave(bars: Bars) -> list[Score]:
    bar = bars[0]
    return signed(bar.short & bar.very_long_upper & bar.very_long_lower, by=bar)


@pattern(
    "Long-legged doji", bars=1, lookback=10, bias="neutral", source="Nison",
    says="A doji with at least one long shadow: a wide fight that nobody won.",
)  # fmt: skip
def longleggeddoji(bars: Bars) -> list[Score]:
    bar = bars[0]
    return [(100, bar.doji & (bar.long_lower | bar.long_upper))]


@pattern(
    "Long line", bars=1, lookback=10, bias="both",
    says="A long body with short shadows: one side ruled from open to close.",
)  # fmt: skip
def longline(bars: Bars) -> list[Score]:
    bar = bars[0]
    return signed(bar.long & bar.short_upper & bar.short_lower, by=bar)


@pattern(
    "Marubozu", bars=1, lookback=10, bias="both",
    says="A long body without shadows: one side ruled from the first trade to the last.",
)  # fmt: skip
def marubozu(bars: Bars) -> list[Score]:
    bar = bars[0]
    return signed(bar.long & bar.no_upper & bar.no_lower, by=bar)


@pattern(
    "Rickshaw man", bars=1, lookback=10, bias="neutral", source="Nison",
    says="A long-legged doji whose body is near the middle of its range.",
)  # fmt: skip
def rickshawman(bars: Bars) -> list[Score]:
    bar = bars[0]
    middle = bar.low.moved(bar.span * 0.5)
    central = (bar.bottom <= middle + bar.near) & (bar.top >= middle - bar.near)
    return [(100, bar.doji & bar.long_lower & bar.long_upper & central)]


@pattern(
    "Short line", bars=1, lookback=10, bias="both",
    says="A short body with short shadows: little happened. The sign is the body's colour.",
)  # fmt: skip
def shortline(bars: Bars) -> list[Score]:
    bar = bars[0]
    return signed(bar.short & bar.short_upper & bar.short_lower, by=bar)


@pattern(
    "Spinning top", bars=1, lookback=10, bias="neutral", source="Nison",
    says="A short body with longer shadows on both sides: neither side gains. The sign is the body's colour.",
)  # fmt: skip
def spinningtop(bars: Bars) -> list[Score]:
    bar = bars[0]
    return signed(bar.short & bar.long_upper & bar.long_lower, by=bar)


@pattern(
    "Takuri", bars=1, lookback=10, bias="bullish",
    says="A dragonfly doji with a very long lower shadow: the bottom was tested and held.",
)  # fmt: skip
def takuri(bars: Bars) -> list[Score]:
    bar = bars[0]
    return [(100, bar.doji & bar.no_upper & bar.very_long_lower)]


DECLARED: Final = (
    belthold, closingmarubozu, doji, dragonflydoji, gravestonedoji, highwave, longleggeddoji, longline, marubozu,
    rickshawman, shortline, spinningtop, takuri,
)  # fmt: skip
"""All of this file."""
