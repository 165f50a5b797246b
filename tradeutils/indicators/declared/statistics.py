"""Statistics of the last bars: spread, lines through them, order, and how two series move together."""

from __future__ import annotations

import math
from typing import Final

from tradeutils.indicators.declaration import Indicator, Parameter, bars
from tradeutils.indicators.expression import Node
from tradeutils.indicators.operators import (
    change,
    deviation,
    lag,
    maximum,
    minimum,
    ratio,
    square_root,
    where,
)
from tradeutils.indicators.operators.extremes import highest, lowest
from tradeutils.indicators.operators.order import ranked, share_below
from tradeutils.indicators.operators.regression import angle, covariance, line, standing
from tradeutils.indicators.operators.windows import total

__all__ = ["DECLARED"]

# Where prices grow at an even pace their returns differ by rounding alone, 1e-16, and no slope can be told from it.
_SMALLEST_VARIANCE: Final = 1e-30


def _stddev(close: Node, period: int, deviations: float) -> Node:
    spread: Node = deviation(close, period)
    return spread * deviations


def _var(close: Node, period: int) -> Node:
    spread: Node = deviation(close, period)
    return spread * spread


def _linearreg(close: Node, period: int) -> Node:
    middle, slope = line(close, period)
    end: Node = middle + slope * (0.5 * (period - 1))
    return end


def _linearreg_intercept(close: Node, period: int) -> Node:
    middle, slope = line(close, period)
    begin: Node = middle - slope * (0.5 * (period - 1))
    return begin


def _linearreg_slope(close: Node, period: int) -> Node:
    slope: Node = line(close, period)[1]
    return slope


def _linearreg_angle(close: Node, period: int) -> Node:
    turned: Node = angle(_linearreg_slope(close, period))
    return turned


def _tsf(close: Node, period: int) -> Node:
    middle, slope = line(close, period)
    ahead: Node = middle + slope * (0.5 * (period + 1))
    return ahead


def _correl(close: Node, other: Node, period: int) -> Node:
    both, first, second = covariance(close, other, period)
    # Two roots: one of the product would be of fourth powers of prices, which 1e-80 of a unit takes out of float64.
    share = ratio(both, square_root(first) * square_root(second))
    bounded: Node = maximum(minimum(share, 1.0), -1.0)
    return bounded


def _returns(prices: Node) -> Node:
    return ratio(change(prices, 1), lag(prices, 1))


def _beta(close: Node, other: Node, period: int) -> Node:
    both, first, _ = covariance(_returns(close), _returns(other), period)
    slope: Node = where(first > _SMALLEST_VARIANCE, ratio(both, first), 0.0)
    return slope


def _percentrank(close: Node, period: int) -> Node:
    share: Node = share_below(close, period, 0)
    return share * 100.0


def _percentrank_tradingview(close: Node, period: int) -> Node:
    share: Node = share_below(close, period, 1)
    return share * 100.0


def _percentile(close: Node, period: int, percentile: float) -> Node:
    # Multiplied before it is divided: 7 percent of 100 bars is then exactly the seventh.
    rank = max(1, math.ceil(percentile * period / 100.0)) - 1
    value: Node = ranked(close, period, rank, rank)
    return value


def _rolling_median(close: Node, period: int) -> Node:
    value: Node = ranked(close, period, (period - 1) // 2, period // 2)
    return value


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="stddev",
        title="Standard deviation of the last bars.",
        formula="deviations * sqrt(mean of (close - mean)^2 over ``period`` bars): ddof 0.",
        inputs=("close",),
        parameters=(
            bars("period", 5, "Bars in the deviation.", 2),
            Parameter("deviations", 1.0, 0.0, 1000.0, "What the deviation is multiplied by."),
        ),
        outputs=("stddev",),
        build=_stddev,
        source="TA-Lib ``STDDEV``, equal to 1e-10; TradingView's ``ta.stdev`` is the same",
    ),
    Indicator(
        name="var",
        title="Variance of the last bars.",
        formula="Mean of (close - mean)^2 over ``period`` bars: ddof 0. TA-Lib's ``nbdev``, of no effect, is left out.",
        inputs=("close",),
        parameters=(bars("period", 5, "Bars in the variance."),),
        outputs=("var",),
        build=_var,
        source="TA-Lib ``VAR``, equal to 1e-10; TradingView's ``ta.variance`` is the same",
        aliases=("variance",),
    ),
    Indicator(
        name="zscore",
        title="Standard score: how many standard deviations the price is from its mean.",
        formula="(close - mean) / standard deviation (ddof 0) over ``period`` bars; 0 where they do not move.",
        inputs=("close",),
        parameters=(bars("period", 20, "Bars in the mean and the deviation.", 2),),
        outputs=("zscore",),
        build=standing,
        source="The textbook definition; on TradingView (close - ta.sma) / ta.stdev",
    ),
    Indicator(
        name="linearreg",
        title="Linear regression: where the least squares line through the last bars ends.",
        formula="Value at the newest of ``period`` bars of the line through close.",
        inputs=("close",),
        parameters=(bars("period", 14, "Bars the line goes through.", 2),),
        outputs=("linearreg",),
        build=_linearreg,
        source="TA-Lib ``LINEARREG``, equal to 1e-10; TradingView's ``ta.linreg`` with offset 0 is the same",
    ),
    Indicator(
        name="linearreg_intercept",
        title="Where the least squares line through the last bars begins.",
        formula="Value at the oldest of ``period`` bars of the line through close.",
        inputs=("close",),
        parameters=(bars("period", 14, "Bars the line goes through.", 2),),
        outputs=("linearreg_intercept",),
        build=_linearreg_intercept,
        source="TA-Lib ``LINEARREG_INTERCEPT``, equal to 1e-10",
    ),
    Indicator(
        name="linearreg_slope",
        title="Slope of the least squares line through the last bars.",
        formula="Change a bar, in units of price, of the line through close over ``period`` bars.",
        inputs=("close",),
        parameters=(bars("period", 14, "Bars the line goes through.", 2),),
        outputs=("linearreg_slope",),
        build=_linearreg_slope,
        source="TA-Lib ``LINEARREG_SLOPE``, equal to 1e-10 of the prices",
    ),
    Indicator(
        name="linearreg_angle",
        title="Slope of the least squares line through the last bars, as an angle.",
        formula="atan(slope) in degrees: a rise of one unit of price a bar is 45, so the angle depends on the unit.",
        inputs=("close",),
        parameters=(bars("period", 14, "Bars the line goes through.", 2),),
        outputs=("linearreg_angle",),
        build=_linearreg_angle,
        source="TA-Lib ``LINEARREG_ANGLE``, equal to 1e-10 of the prices",
    ),
    Indicator(
        name="tsf",
        title="Time series forecast: the least squares line through the last bars, one bar ahead.",
        formula="Value at the bar after the newest of ``period`` bars of the line through close.",
        inputs=("close",),
        parameters=(bars("period", 14, "Bars the line goes through.", 2),),
        outputs=("tsf",),
        build=_tsf,
        source="TA-Lib ``TSF``, equal to 1e-10",
    ),
    Indicator(
        name="correl",
        title="Correlation of two series: Pearson's r, -1 to 1.",
        formula="Covariance / sqrt(product of the variances) over ``period`` bars; 0 where either does not move.",
        inputs=("close", "other"),
        parameters=(bars("period", 30, "Bars in the correlation.", 2),),
        outputs=("correl",),
        build=_correl,
        source="TA-Lib ``CORREL``, equal to 1e-10; TradingView's ``ta.correlation`` is the same",
    ),
    Indicator(
        name="beta",
        title="Beta: how much the other series moves when close moves by one percent.",
        formula=(
            "Slope of the returns (price / previous price - 1) of the other series on those of close over ``period`` "
            "returns; 0 where those of close do not differ. So the market comes first and the asset second."
        ),
        inputs=("close", "other"),
        parameters=(bars("period", 5, "Returns in the slope.", 2),),
        outputs=("beta",),
        build=_beta,
        source="TA-Lib ``BETA``, equal to 1e-10, in its order of inputs",
    ),
    Indicator(
        name="percentrank",
        title="Percent rank: the share of the bars before that lie below this one, 0 to 100.",
        formula=(
            "100 * (how many of the ``period`` closes before are less than this one) / period; TradingView counts "
            "equal ones too."
        ),
        inputs=("close",),
        parameters=(bars("period", 100, "Bars before this one.", 2),),
        outputs=("percentrank",),
        build=_percentrank,
        tradingview=_percentrank_tradingview,
        source="TA-Lib ``PERCENTRANK``, equal to 1e-10; TradingView: ``ta.percentrank``",
        aliases=("percent_rank",),
    ),
    Indicator(
        name="percentile",
        title="Percentile: the smallest of the last closes that so many percent of them do not exceed.",
        formula="The close of rank ceil(percentile / 100 * period), at least 1, of ``period`` in order of size.",
        inputs=("close",),
        parameters=(
            bars("period", 30, "Bars in the window.", 2),
            Parameter("percentile", 50.0, 0.0, 100.0, "Percent of the window."),
        ),
        outputs=("percentile",),
        build=_percentile,
        source="TA-Lib ``PERCENTILE``, equal; TradingView's ``ta.percentile_nearest_rank`` is the same",
    ),
    Indicator(
        name="rolling_median",
        title="Median of the last bars.",
        formula="The middle one of ``period`` closes in order of size, or the mean of the middle two.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the median."),),
        outputs=("rolling_median",),
        build=_rolling_median,
        source="The textbook definition",
        aliases=("median",),
    ),
    Indicator(
        name="rolling_max",
        title="Largest of the last bars.",
        formula="Largest close of the last ``period`` bars.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the window."),),
        outputs=("rolling_max",),
        build=highest,
        source="TA-Lib ``MAX``, equal exactly",
        aliases=("max",),
    ),
    Indicator(
        name="rolling_min",
        title="Smallest of the last bars.",
        formula="Smallest close of the last ``period`` bars.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the window."),),
        outputs=("rolling_min",),
        build=lowest,
        source="TA-Lib ``MIN``, equal exactly",
        aliases=("min",),
    ),
    Indicator(
        name="rolling_sum",
        title="Sum of the last bars.",
        formula="Sum of close over the last ``period`` bars.",
        inputs=("close",),
        parameters=(bars("period", 30, "Bars in the sum."),),
        outputs=("rolling_sum",),
        build=total,
        source="TA-Lib ``SUM``, equal to 1e-10",
        aliases=("sum",),
    ),
)
"""The statistics."""
