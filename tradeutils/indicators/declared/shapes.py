"""Bars and levels in another shape: Heikin-Ashi, pivots, Ichimoku."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators import operators as op
from tradeutils.indicators.declaration import Indicator
from tradeutils.indicators.operators import Node, candles, flows

__all__ = ["DECLARED"]


def _pivots(high: Node, low: Node, close: Node) -> tuple[Node, ...]:
    high, low, close = (op.together(op.lag(price, 1), price) for price in (high, low, close))
    pivot, reach = (high + low + close) / 3.0, high - low
    return (
        pivot,
        2.0 * pivot - low,
        pivot + reach,
        high + 2.0 * (pivot - low),
        2.0 * pivot - high,
        pivot - reach,
        low - 2.0 * (high - pivot),
    )


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="avgprice",
        title="Average price of a bar.",
        formula="(open + high + low + close) / 4.",
        inputs=("open", "high", "low", "close"),
        parameters=(),
        outputs=("avgprice",),
        build=candles.mean_of_four,
        source="TA-Lib ``AVGPRICE``, equal to 1e-10",
    ),
    Indicator(
        name="medprice",
        title="Median price of a bar: the middle of its range.",
        formula="(high + low) / 2.",
        inputs=("high", "low"),
        parameters=(),
        outputs=("medprice",),
        build=candles.middle,
        source="TA-Lib ``MEDPRICE``, equal to 1e-10",
    ),
    Indicator(
        name="typprice",
        title="Typical price of a bar.",
        formula="(high + low + close) / 3.",
        inputs=("high", "low", "close"),
        parameters=(),
        outputs=("typprice",),
        build=flows.typical,
        source="TA-Lib ``TYPPRICE``, equal to 1e-10",
    ),
    Indicator(
        name="wclprice",
        title="Weighted close price of a bar: close counts twice.",
        formula="(high + low + 2 * close) / 4.",
        inputs=("high", "low", "close"),
        parameters=(),
        outputs=("wclprice",),
        build=candles.weighted_close,
        source="TA-Lib ``WCLPRICE``, equal to 1e-10",
    ),
    Indicator(
        name="heikin_ashi",
        title="Heikin-Ashi: averaged bars, which hide small moves against the trend.",
        formula=(
            "close = (open + high + low + close) / 4; open = mean of the previous averaged bar's open and close, of "
            "the first bar (open + close) / 2; high and low: the largest and smallest of the bar's own and these two."
        ),
        inputs=("open", "high", "low", "close"),
        parameters=(),
        outputs=("open", "high", "low", "close"),
        build=candles.heikin_ashi,
        source="TA-Lib ``HA``, equal to 1e-10; D. Valcu, Using the Heikin-Ashi Technique, Stocks & Commodities, 2004",
        aliases=("ha",),
    ),
    Indicator(
        name="pivots",
        title="Floor traders' pivots: levels for a bar from the one before it.",
        formula=(
            "Of the previous bar: p = (high + low + close) / 3; r1 = 2p - low; r2 = p + (high - low); "
            "r3 = high + 2(p - low); s1 = 2p - high; s2 = p - (high - low); s3 = low - 2(high - p)."
        ),
        inputs=("high", "low", "close"),
        parameters=(),
        outputs=("p", "r1", "r2", "r3", "s1", "s2", "s3"),
        build=_pivots,
        source="J. Person, A Complete Guide to Technical Trading Tactics, 2004; TradingView's Traditional levels",
    ),
)
