"""Indicators of how far prices move."""

from __future__ import annotations

import math
from typing import Final

from tradeutils.indicators import operators as op
from tradeutils.indicators.declaration import Indicator, Parameter, bars
from tradeutils.indicators.operators import Node, carried, extremes, flows, ranges, regression, returns, shares, windows
from tradeutils.indicators.operators.averages import ema_from_first

__all__ = ["DECLARED"]

_DEVIATIONS: Final = Parameter("deviations", 2.0, 0.0, 1000.0, "Standard deviations between the middle and each band.")
_YEAR: Final = Parameter(
    "bars_per_year", 0.0, 0.0, 1e9, "Bars in a year, whose root the result is multiplied by: 365 of a day; 0: per bar."
)
_LN_2: Final = math.log(2.0)


def _percent(close: Node, period: int, deviations: float) -> Node:
    # From the middle, not from the lower band: the same number with the digits of the distance, not of the price.
    return 0.5 + op.ratio(regression.standing(close, period), 2.0 * deviations)


def _width(close: Node, period: int, deviations: float) -> Node:
    return op.ratio(2.0 * deviations * op.deviation(close, period), op.mean(close, period))


def _width_tradingview(close: Node, period: int, deviations: float) -> Node:
    return 100.0 * _width(close, period, deviations)


def _atr_tradingview(high: Node, low: Node, close: Node, period: int) -> Node:
    made: Node = op.rma(ranges.true_range_from_first(high, low, close), period)
    return made


def _natr(high: Node, low: Node, close: Node, period: int) -> Node:
    made: Node = shares.percent(ranges.atr(high, low, close, period), close)
    return made


def _around(middle: Node, reach: Node) -> tuple[Node, ...]:
    return middle + reach, op.together(middle, reach), middle - reach


def _keltner(high: Node, low: Node, close: Node, period: int, atr_period: int, multiplier: float) -> tuple[Node, ...]:
    # TA-Lib seeds both averages with what comes last before the first bar that both can be known at.
    first = max(period - 1, atr_period)
    typical = carried.seasoned(flows.typical(high, low, close), first - period + 2)
    ranges = carried.seasoned(op.true_range(high, low, close), first - atr_period + 1)
    return _around(op.ema(typical, period), multiplier * op.rma(ranges, atr_period))


def _keltner_tradingview(
    high: Node, low: Node, close: Node, period: int, atr_period: int, multiplier: float
) -> tuple[Node, ...]:
    return _around(ema_from_first(close, period), multiplier * _atr_tradingview(high, low, close, atr_period))


def _yearly(value: Node, bars_per_year: float) -> Node:
    return value * math.sqrt(bars_per_year) if bars_per_year else value


def _realized(close: Node, period: int, bars_per_year: float) -> Node:
    spread = op.deviation(returns.log_return(close, op.lag(close, 1)), period)
    return _yearly(math.sqrt(period / (period - 1.0)) * spread, bars_per_year)


def _realized_tradingview(close: Node, period: int, bars_per_year: float) -> Node:
    return _yearly(100.0 * op.deviation(returns.log_return(close, op.lag(close, 1)), period), bars_per_year)


def _parkinson(high: Node, low: Node, period: int, bars_per_year: float) -> Node:
    move: Node = returns.log_return(high, low)
    return _yearly(op.square_root(op.mean(move * move, period) / (4.0 * _LN_2)), bars_per_year)


def _garman_klass(open_: Node, high: Node, low: Node, close: Node, period: int, bars_per_year: float) -> Node:
    reach, body = returns.log_return(high, low), returns.log_return(close, open_)
    variance = op.mean(0.5 * (reach * reach) - (2.0 * _LN_2 - 1.0) * (body * body), period)
    return _yearly(op.square_root(op.maximum(variance, 0.0)), bars_per_year)


def _chaikin(high: Node, low: Node, period: int, roc_period: int) -> Node:
    average = op.ema(high - low, period)
    return 100.0 * op.ratio(op.change(average, roc_period), op.lag(average, roc_period))


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="bbands",
        title="Bollinger bands: a mean, and a number of standard deviations above and below it.",
        formula="middle = SMA(close, period); upper, lower = middle +- deviations * standard deviation (ddof 0).",
        inputs=("close",),
        parameters=(
            bars("period", 20, "Bars in the mean and the deviation.", 2),
            Parameter("deviations", 2.0, 0.0, 1000.0, "Standard deviations between the middle and each band."),
        ),
        outputs=("upper", "middle", "lower"),
        build=windows.bands,
        source="TA-Lib ``BBANDS`` with one deviation for both bands and MA type 0, equal to 1e-10; J. Bollinger",
    ),
    Indicator(
        name="atr",
        title="Average true range: how far prices move in a bar, gaps included.",
        formula=(
            "Wilder average of max(high - low, abs(high - previous close), abs(low - previous close)). TradingView: "
            "the first bar has a range as well, high - low."
        ),
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "True ranges in the seed; alpha = 1 / period."),),
        outputs=("atr",),
        build=ranges.atr,
        tradingview=_atr_tradingview,
        source=(
            "TA-Lib ``ATR``, equal to 1e-10; J. W. Wilder, New Concepts in Technical Trading Systems, 1978; "
            "TradingView's is ``ta.atr``"
        ),
    ),
    Indicator(
        name="bbands_percent",
        title="Bollinger's %B: where price stands between the bands, 0 on the lower and 1 on the upper.",
        formula=(
            "(close - lower) / (upper - lower) of ``bbands``; 0.5 where the bands fall together, as on a price that "
            "stands still."
        ),
        inputs=("close",),
        parameters=(bars("period", 20, "Bars in the mean and the deviation.", 2), _DEVIATIONS),
        outputs=("bbands_percent",),
        build=_percent,
        source="J. Bollinger, Bollinger on Bollinger Bands, 2001",
    ),
    Indicator(
        name="bbands_width",
        title="Bollinger's BandWidth: the distance between the bands as a share of the middle.",
        formula="(upper - lower) / middle of ``bbands``; 0 where the middle is 0. TradingView: times 100.",
        inputs=("close",),
        parameters=(bars("period", 20, "Bars in the mean and the deviation.", 2), _DEVIATIONS),
        outputs=("bbands_width",),
        build=_width,
        source="J. Bollinger, Bollinger on Bollinger Bands, 2001; TradingView's is ``ta.bbw``",
        tradingview=_width_tradingview,
    ),
    Indicator(
        name="keltner",
        title="Keltner channel: an average of the price, and a number of average true ranges above and below it.",
        formula=(
            "middle = EMA((high + low + close) / 3, period); upper, lower = middle +- multiplier * ATR(atr_period); "
            "both averages are seeded with the bars before the first value. TradingView: EMA(close), begun with the "
            "first close, and a first range of high - low."
        ),
        inputs=("high", "low", "close"),
        parameters=(
            bars("period", 20, "Bars of the middle; alpha = 2 / (period + 1).", 2),
            bars("atr_period", 10, "Bars of the average true range; alpha = 1 / atr_period."),
            Parameter("multiplier", 2.0, 0.0, 1000.0, "Average true ranges between the middle and each band."),
        ),
        outputs=("upper", "middle", "lower"),
        build=_keltner,
        source=(
            "TA-Lib ``KC``, equal to 1e-10; C. W. Keltner, How To Make Money in Commodities, 1960 (middle); "
            "L. B. Raschke (band); TradingView's is its built-in Keltner Channels"
        ),
        tradingview=_keltner_tradingview,
        aliases=("kc",),
    ),
    Indicator(
        name="trange",
        title="True range: how far price moved in a bar, the gap before it included.",
        formula="max(high - low, abs(high - previous close), abs(low - previous close)).",
        inputs=("high", "low", "close"),
        parameters=(),
        outputs=("trange",),
        build=op.true_range,
        source="TA-Lib ``TRANGE``, equal to 1e-10; J. W. Wilder, New Concepts in Technical Trading Systems, 1978",
    ),
    Indicator(
        name="natr",
        title="Normalised average true range: ATR as a percentage of price, to compare symbols by.",
        formula="100 * ATR(period) / close; 0 where close is 0.",
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "True ranges in the seed; alpha = 1 / period.", 2),),
        outputs=("natr",),
        build=_natr,
        source="TA-Lib ``NATR``, equal to 1e-10 (its period of 1 leaves the percentage out, and is refused here)",
    ),
    Indicator(
        name="realized_volatility",
        title="Realised volatility: the standard deviation of logarithmic returns from close to close.",
        formula=(
            "Sample standard deviation (ddof 1) of ln(close / previous close) over the last ``period`` returns, times "
            "sqrt(bars_per_year) unless that is 0. A price of 0 or below is missing. TradingView: ddof 0, times 100."
        ),
        inputs=("close",),
        parameters=(bars("period", 20, "Returns in the deviation.", 2), _YEAR),
        outputs=("realized_volatility",),
        build=_realized,
        source=(
            "J. Hull, Options, Futures, and Other Derivatives, on historical volatility; TradingView's is its built-in "
            "Historical Volatility"
        ),
        tradingview=_realized_tradingview,
    ),
    Indicator(
        name="parkinson",
        title="Parkinson's volatility, from the ranges of bars: the same accuracy as closes from a fifth of the bars.",
        formula=(
            "sqrt(mean of ln(high / low)^2 over ``period`` bars / (4 ln 2)), times sqrt(bars_per_year) unless that is "
            "0. A price of 0 or below is missing."
        ),
        inputs=("high", "low"),
        parameters=(bars("period", 20, "Bars in the mean."), _YEAR),
        outputs=("parkinson",),
        build=_parkinson,
        source="M. Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return, 1980",
    ),
    Indicator(
        name="garman_klass",
        title="Garman and Klass's volatility, from all four prices of bars.",
        formula=(
            "sqrt(mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2 over ``period`` bars), times "
            "sqrt(bars_per_year) unless that is 0. A price of 0 or below is missing; a mean below 0, of malformed "
            "bars, is 0."
        ),
        inputs=("open", "high", "low", "close"),
        parameters=(bars("period", 20, "Bars in the mean."), _YEAR),
        outputs=("garman_klass",),
        build=_garman_klass,
        source="M. B. Garman, M. J. Klass, On the Estimation of Security Price Volatilities from Historical Data, 1980",
    ),
    Indicator(
        name="chaikin_volatility",
        title="Chaikin's volatility: how much wider bars have become, in per cent.",
        formula="100 * (EMA(high - low, period) / the same ``roc_period`` bars ago - 1); 0 from an average of 0.",
        inputs=("high", "low"),
        parameters=(
            bars("period", 10, "Bars of the average; alpha = 2 / (period + 1).", 2),
            bars("roc_period", 10, "Bars between the two averages."),
        ),
        outputs=("chaikin_volatility",),
        build=_chaikin,
        source="TA-Lib ``CVI``, equal to 1e-10; S. B. Achelis, Technical Analysis from A to Z, 2001",
        aliases=("cvi",),
    ),
    Indicator(
        name="donchian",
        title="Donchian channel: the highest high and the lowest low of the last bars, and the middle.",
        formula="upper = highest high, lower = lowest low of ``period`` bars, this one included; middle = their mean.",
        inputs=("high", "low"),
        parameters=(bars("period", 20, "Bars, the last included."),),
        outputs=("upper", "middle", "lower"),
        build=extremes.channel,
        source="R. Donchian; TA-Lib ``MAX`` of high and ``MIN`` of low, equal exactly",
    ),
)
