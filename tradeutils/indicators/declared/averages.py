"""Moving averages."""

from __future__ import annotations

import math
from typing import Final

from tradeutils.indicators.declaration import Indicator, Parameter, bars
from tradeutils.indicators.expression import Node
from tradeutils.indicators.operators import (
    ema,
    highest,
    lag,
    lowest,
    mean,
    ratio,
    rma,
    smooth,
    total,
    weighted,
)
from tradeutils.indicators.operators.adaptive import adaptive, pace
from tradeutils.indicators.operators.gaussian import gaussian
from tradeutils.indicators.operators.mixing import mixture

__all__ = ["DECLARED"]

_FASTEST, _SLOWEST = 2.0 / 3.0, 2.0 / 31.0  # Kaufman's: the alphas of EMA(2) and EMA(30)


def _first(x: Node, period: int) -> Node:
    """Return TradingView's ``ta.ema``, which begins with the first value."""
    average: Node = smooth(x, 2.0 / (period + 1.0), 1)
    return average


def _rma(close: Node, period: int) -> Node:
    average: Node = rma(close, period)
    return average


def _dema(close: Node, period: int) -> Node:
    once = ema(close, period)
    return _double(once, ema(once, period))


def _dema_tradingview(close: Node, period: int) -> Node:
    once = _first(close, period)
    return _double(once, _first(once, period))


def _double(once: Node, twice: Node) -> Node:
    return 2.0 * once - twice


def _tema(close: Node, period: int) -> Node:
    once = ema(close, period)
    twice = ema(once, period)
    return _triple(once, twice, ema(twice, period))


def _tema_tradingview(close: Node, period: int) -> Node:
    once = _first(close, period)
    twice = _first(once, period)
    return _triple(once, twice, _first(twice, period))


def _triple(once: Node, twice: Node, thrice: Node) -> Node:
    made: Node = mixture(once, twice, thrice, 0.0, 3.0, -3.0, 1.0, 0.0)
    return made


def _t3(close: Node, period: int, vfactor: float) -> Node:
    averages = [close]
    for _ in range(6):
        averages.append(ema(averages[-1], period))
    third, fourth, fifth, sixth = averages[3:]
    v, w = vfactor, 1.0 + vfactor
    made: Node = mixture(third, fourth, fifth, sixth, w**3, -3.0 * w * w * v, 3.0 * w * v * v, -(v**3))
    return made


def _trima(close: Node, period: int) -> Node:
    once: Node = mean(mean(close, (period + 1) // 2), period // 2 + 1)
    return once


def _hma(close: Node, period: int) -> Node:
    nearer = 2.0 * weighted(close, max(period // 2, 1)) - weighted(close, period)
    average: Node = weighted(nearer, math.isqrt(period))
    return average


def _zlema(close: Node, period: int) -> Node:
    average: Node = ema(2.0 * close - lag(close, (period - 1) // 2), period)
    return average


def _kama(close: Node, period: int) -> Node:
    rate: Node = pace(close, period, _SLOWEST, _FASTEST)
    average: Node = adaptive(close, rate, _SLOWEST * _SLOWEST)
    return average


def _alma(close: Node, period: int, offset: float, sigma: float) -> Node:
    average: Node = gaussian(close, period, offset, sigma)
    return average


def _vwma(close: Node, volume: Node, period: int) -> Node:
    return ratio(total(close * volume, period), total(volume, period), math.nan)


def _midpoint(close: Node, period: int) -> Node:
    return _midprice(close, close, period)


def _midprice(high: Node, low: Node, period: int) -> Node:
    between: Node = (highest(high, period) + lowest(low, period)) * 0.5
    return between


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="sma",
        title="Simple moving average: the mean of the last bars.",
        formula="Mean of close over the last ``period`` bars.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the mean."),),
        outputs=("sma",),
        build=mean,
        source="TA-Lib ``SMA``, equal to 1e-10",
    ),
    Indicator(
        name="ema",
        title="Exponential moving average, seeded with the mean of the first ``period`` bars.",
        formula=(
            "ema += alpha * (close - ema), alpha = 2 / (period + 1). TradingView begins with the first close, not with "
            "a mean."
        ),
        inputs=("close",),
        parameters=(bars("period", 30, "Bars; alpha = 2 / (period + 1)."),),
        outputs=("ema",),
        build=ema,
        tradingview=_first,
        source="TA-Lib ``EMA``, the same seed, equal to 1e-10; TradingView: ``ta.ema``",
    ),
    Indicator(
        name="rma",
        title="Wilder's moving average, seeded with the mean of the first ``period`` bars.",
        formula="rma += (close - rma) / period.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars; alpha = 1 / period."),),
        outputs=("rma",),
        build=_rma,
        source=(
            "TA-Lib ``RMA``, equal to 1e-10; TradingView's ``ta.rma`` is the same; J. W. Wilder, New Concepts in "
            "Technical Trading Systems, 1978"
        ),
    ),
    Indicator(
        name="dema",
        title="Double exponential moving average: an EMA with most of its lag taken out.",
        formula="2 * EMA - EMA(EMA). TradingView begins each EMA with its first value, not with a mean.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars; alpha = 2 / (period + 1)."),),
        outputs=("dema",),
        build=_dema,
        tradingview=_dema_tradingview,
        source="TA-Lib ``DEMA``, equal to 1e-10; P. Mulloy, Stocks & Commodities 12:1, 1994",
    ),
    Indicator(
        name="tema",
        title="Triple exponential moving average: an EMA with nearly all its lag taken out.",
        formula="3 * EMA - 3 * EMA(EMA) + EMA(EMA(EMA)). TradingView begins each EMA with its first value.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars; alpha = 2 / (period + 1)."),),
        outputs=("tema",),
        build=_tema,
        tradingview=_tema_tradingview,
        source="TA-Lib ``TEMA``, equal to 1e-10; P. Mulloy, Stocks & Commodities 12:2, 1994",
    ),
    Indicator(
        name="t3",
        title="Tillson's T3: three double exponential averages in a row, less eager by ``vfactor``.",
        formula=(
            "GD(GD(GD(close))), GD(x) = (1 + v) * EMA(x) - v * EMA(EMA(x)), written out in the third to sixth of six "
            "EMAs in a row, each seeded on the one before."
        ),
        inputs=("close",),
        parameters=(
            bars("period", 5, "Bars of each average; alpha = 2 / (period + 1)."),
            Parameter("vfactor", 0.7, 0.0, 1.0, "0: a triple EMA of an EMA; 1: three DEMAs."),
        ),
        outputs=("t3",),
        build=_t3,
        source="TA-Lib ``T3``, equal to 1e-10; T. Tillson, Stocks & Commodities 16:1, 1998",
    ),
    Indicator(
        name="trima",
        title="Triangular moving average: the middle of the window counts most.",
        formula="Weights 1, 2, .. to the middle of ``period`` bars and down again: an SMA of an SMA.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the mean."),),
        outputs=("trima",),
        build=_trima,
        source="TA-Lib ``TRIMA``, equal to 1e-10",
    ),
    Indicator(
        name="hma",
        title="Hull moving average: quick, and smooth again.",
        formula="WMA(2 * WMA(close, period / 2) - WMA(close, period), sqrt(period)), both lengths rounded down.",
        inputs=("close",),
        parameters=(bars("period", 20, "Bars of the longest average."),),
        outputs=("hma",),
        build=_hma,
        source="TA-Lib ``HMA``, equal to 1e-10; TradingView's ``ta.hma`` is the same; A. Hull, 2005",
    ),
    Indicator(
        name="zlema",
        title="Zero lag exponential moving average.",
        formula="EMA of 2 * close - close[lag], lag = (period - 1) / 2 rounded down.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars; alpha = 2 / (period + 1)."),),
        outputs=("zlema",),
        build=_zlema,
        source="TA-Lib ``ZLEMA``, equal to 1e-10; J. Ehlers and R. Way, Stocks & Commodities 28:12, 2010",
    ),
    Indicator(
        name="kama",
        title="Kaufman's adaptive moving average: quick in a trend, slow where prices go to and fro.",
        formula=(
            "kama += (ER * (2/3 - 2/31) + 2/31)^2 * (close - kama), begun from the close before; ER = "
            "abs(close - close[period]) / sum of abs(changes), 1 where nothing has moved."
        ),
        inputs=("close",),
        parameters=(bars("period", 30, "Changes in the efficiency ratio.", 2),),
        outputs=("kama",),
        build=_kama,
        source="TA-Lib ``KAMA``, equal to 1e-10; P. Kaufman, Smarter Trading, 1995",
    ),
    Indicator(
        name="alma",
        title="Arnaud Legoux moving average: a mean with weights in the shape of a bell.",
        formula=(
            "Mean of ``period`` bars with weights exp(-(i - m)^2 / (2 * s^2)), i = 0 the oldest, "
            "m = offset * (period - 1), s = period / sigma."
        ),
        inputs=("close",),
        parameters=(
            bars("period", 9, "Bars in the mean."),
            Parameter("offset", 0.85, 0.0, 1.0, "Where the bell stands: 0 the oldest bar, 1 the newest."),
            Parameter("sigma", 6.0, 0.01, 1000.0, "The larger, the narrower the bell."),
        ),
        outputs=("alma",),
        build=_alma,
        source="TradingView's ``ta.alma`` with floor = false; A. Legoux and D. Kouzis-Loukas, 2009",
    ),
    Indicator(
        name="vwma",
        title="Volume weighted moving average.",
        formula="Sum of close * volume / sum of volume over ``period`` bars; unknown where no volume was traded.",
        inputs=("close", "volume"),
        parameters=(bars("period", 30, "Bars in the mean."),),
        outputs=("vwma",),
        build=_vwma,
        source="TA-Lib ``VWMA``, equal to 1e-10; TradingView's ``ta.vwma`` is the same",
    ),
    Indicator(
        name="midpoint",
        title="Middle between the highest and the lowest of the last closes.",
        formula="(highest close + lowest close) / 2 over ``period`` bars.",
        inputs=("close",),
        parameters=(bars("period", 14, "Bars in the window.", 2),),
        outputs=("midpoint",),
        build=_midpoint,
        source="TA-Lib ``MIDPOINT``, equal to 1e-10",
    ),
    Indicator(
        name="midprice",
        title="Middle between the highest high and the lowest low of the last bars.",
        formula="(highest high + lowest low) / 2 over ``period`` bars.",
        inputs=("high", "low"),
        parameters=(bars("period", 14, "Bars in the window.", 2),),
        outputs=("midprice",),
        build=_midprice,
        source="TA-Lib ``MIDPRICE``, equal to 1e-10; TradingView's Donchian basis is the same",
    ),
    Indicator(
        name="wma",
        title="Weighted moving average: the newest bar weighs the most.",
        formula="Mean of the last ``period`` bars with weights 1, 2 .. period, the newest the heaviest.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the mean."),),
        outputs=("wma",),
        build=weighted,
        source="TA-Lib ``WMA``, equal to 1e-10",
    ),
)
"""The moving averages."""
