"""Indicators of how fast prices move, and which way."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators import operators as op
from tradeutils.indicators.declaration import Indicator, Parameter, bars
from tradeutils.indicators.operators import candles, momentum, shares
from tradeutils.indicators.operators.averages import ema_from_first

__all__ = ["DECLARED"]


def _roc(close: op.Node, period: int) -> op.Node:
    # In TA-Lib's order of operations: of prices that hardly move, the last digits of the ratio are all there is.
    return (op.ratio(close, op.lag(close, period), 1.0) - 1.0) * 100.0


def _rocp(close: op.Node, period: int) -> op.Node:
    return op.ratio(op.change(close, period), op.lag(close, period))


def _rocr(close: op.Node, period: int) -> op.Node:
    return op.ratio(close, op.lag(close, period))


def _rocr100(close: op.Node, period: int) -> op.Node:
    return _rocr(close, period) * 100.0


def _average(x: op.Node, period: int, matype: int) -> op.Node:
    made: op.Node = (op.mean, op.ema, op.weighted)[matype](x, period)
    return made


def _average_tradingview(x: op.Node, period: int, matype: int) -> op.Node:
    return ema_from_first(x, period) if matype == 1 else _average(x, period, matype)


def _apo(close: op.Node, fast: int, slow: int, matype: int) -> op.Node:
    return _average(close, min(fast, slow), matype) - _average(close, max(fast, slow), matype)


def _apo_tradingview(close: op.Node, fast: int, slow: int, matype: int) -> op.Node:
    return _average_tradingview(close, min(fast, slow), matype) - _average_tradingview(close, max(fast, slow), matype)


def _ppo(close: op.Node, fast: int, slow: int, matype: int) -> op.Node:
    made: op.Node = shares.percent(_apo(close, fast, slow, matype), _average(close, max(fast, slow), matype))
    return made


def _ppo_tradingview(close: op.Node, fast: int, slow: int, matype: int) -> op.Node:
    longer = _average_tradingview(close, max(fast, slow), matype)
    made: op.Node = shares.percent(_apo_tradingview(close, fast, slow, matype), longer)
    return made


def _macd_tradingview(close: op.Node, fast: int, slow: int, signal: int) -> tuple[op.Node, op.Node, op.Node]:
    line = _apo_tradingview(close, fast, slow, 1)
    smooth = ema_from_first(line, signal)
    return line, smooth, line - smooth


def _trix(close: op.Node, period: int) -> op.Node:
    return _roc(op.ema(op.ema(op.ema(close, period), period), period), 1)


def _trix_tradingview(close: op.Node, period: int) -> op.Node:
    smoothed: op.Node = op.logarithm(close)
    for _ in range(3):
        smoothed = ema_from_first(smoothed, period)
    return op.change(smoothed, 1) * 10_000.0


def _ao(high: op.Node, low: op.Node, fast: int, slow: int) -> op.Node:
    middle = candles.middle(high, low)
    difference: op.Node = op.mean(middle, fast) - op.mean(middle, slow)
    return difference


def _kst(close: op.Node, *parameters: int) -> tuple[op.Node, op.Node]:
    changes, means, signal = parameters[:4], parameters[4:8], parameters[8]
    first, second, third, fourth = (
        op.mean(_roc(close, bars_back), period) for bars_back, period in zip(changes, means, strict=True)
    )
    line = first + second * 2.0 + third * 3.0 + fourth * 4.0
    return line, op.mean(line, signal)


def _coppock(close: op.Node, period: int, fast: int, slow: int) -> op.Node:
    made: op.Node = op.weighted(_roc(close, fast) + _roc(close, slow), period)
    return made


def _eri(high: op.Node, low: op.Node, close: op.Node, period: int) -> tuple[op.Node, op.Node]:
    average = op.ema(close, period)
    return high - average, low - average


def _eri_tradingview(high: op.Node, low: op.Node, close: op.Node, period: int) -> tuple[op.Node, op.Node]:
    average = ema_from_first(close, period)
    return high - average, low - average


_OSCILLATOR: Final = (
    bars("fast", 12, "Bars of the fast average.", 2),
    bars("slow", 26, "Bars of the slow average.", 2),
    Parameter("matype", 1, 0, 2, "The kind of average, in TA-Lib's numbers: 0 simple, 1 exponential, 2 weighted."),
)

DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="rsi",
        title="Relative strength index: the share of the rises in all moves, 0 to 100.",
        formula="100 * up / (up + down), Wilder averages of the rises and falls of close; 0 where nothing has moved.",
        inputs=("close",),
        parameters=(bars("period", 14, "Moves in the seed; alpha = 1 / period.", 2),),
        outputs=("rsi",),
        build=momentum.rsi,
        source="TA-Lib ``RSI``, equal to 1e-10; J. W. Wilder, New Concepts in Technical Trading Systems, 1978",
    ),
    Indicator(
        name="macd",
        title="Moving average convergence/divergence: a fast EMA less a slow one, its own EMA, and the difference.",
        formula=(
            "macd = EMA(close, fast) - EMA(close, slow), both seeded at bar ``slow``; signal = EMA(macd, signal); "
            "histogram = macd - signal. All three begin together. If fast is the larger, the two are exchanged. "
            "TradingView: every EMA begins with its first value."
        ),
        inputs=("close",),
        parameters=(
            bars("fast", 12, "Bars of the fast average.", 2),
            bars("slow", 26, "Bars of the slow average.", 2),
            bars("signal", 9, "Bars of the average of the difference."),
        ),
        outputs=("macd", "signal", "histogram"),
        build=momentum.macd,
        tradingview=_macd_tradingview,
        source="TA-Lib ``MACD``, equal to 1e-10 of the prices; G. Appel; TradingView's is ``ta.macd``",
    ),
    Indicator(
        name="mom",
        title="Momentum: how much prices have gained.",
        formula="close - close ``period`` bars ago.",
        inputs=("close",),
        parameters=(bars("period", 10, "Bars between the two prices."),),
        outputs=("mom",),
        build=op.change,
        source="TA-Lib ``MOM``, equal to 1e-10",
    ),
    Indicator(
        name="roc",
        title="Rate of change: how much prices have gained, in per cent.",
        formula="100 * (close / close ``period`` bars ago - 1); 0 from a price of 0.",
        inputs=("close",),
        parameters=(bars("period", 10, "Bars between the two prices."),),
        outputs=("roc",),
        build=_roc,
        source="TA-Lib ``ROC``, equal to 1e-10",
    ),
    Indicator(
        name="rocp",
        title="Rate of change as a share.",
        formula="(close - past) / past, past = close ``period`` bars ago; 0 from a price of 0.",
        inputs=("close",),
        parameters=(bars("period", 10, "Bars between the two prices."),),
        outputs=("rocp",),
        build=_rocp,
        source="TA-Lib ``ROCP``, equal to 1e-10",
    ),
    Indicator(
        name="rocr",
        title="Rate of change as a ratio.",
        formula="close / close ``period`` bars ago; 0 from a price of 0.",
        inputs=("close",),
        parameters=(bars("period", 10, "Bars between the two prices."),),
        outputs=("rocr",),
        build=_rocr,
        source="TA-Lib ``ROCR``, equal to 1e-10",
    ),
    Indicator(
        name="rocr100",
        title="Rate of change as a ratio in per cent.",
        formula="100 * close / close ``period`` bars ago; 0 from a price of 0.",
        inputs=("close",),
        parameters=(bars("period", 10, "Bars between the two prices."),),
        outputs=("rocr100",),
        build=_rocr100,
        source="TA-Lib ``ROCR100``, equal to 1e-10",
    ),
    Indicator(
        name="apo",
        title="Absolute price oscillator: a fast average less a slow one.",
        formula=(
            "average(close, fast) - average(close, slow), each seeded on its own; if fast is the larger, the two are "
            "exchanged. TradingView: an EMA begins with its first value."
        ),
        inputs=("close",),
        parameters=_OSCILLATOR,
        outputs=("apo",),
        build=_apo,
        tradingview=_apo_tradingview,
        source="TA-Lib ``APO``, equal to 1e-10 of the prices",
    ),
    Indicator(
        name="ppo",
        title="Percentage price oscillator: a fast average less a slow one, in per cent of the slow one.",
        formula=(
            "100 * (average(close, fast) - average(close, slow)) / average(close, slow), 0 where that is 0; if fast "
            "is the larger, the two are exchanged. TradingView: an EMA begins with its first value."
        ),
        inputs=("close",),
        parameters=_OSCILLATOR,
        outputs=("ppo",),
        build=_ppo,
        tradingview=_ppo_tradingview,
        source="TA-Lib ``PPO``, equal to 1e-10 of 100; G. Appel",
    ),
    Indicator(
        name="trix",
        title="TRIX: what a price smoothed three times has gained in a bar, in per cent.",
        formula=(
            "100 * (e / e one bar ago - 1), e = EMA(EMA(EMA(close))). TradingView: 10000 * (e - e one bar ago) of the "
            "logarithm of close, every EMA begun with its first value."
        ),
        inputs=("close",),
        parameters=(bars("period", 30, "Bars of each average."),),
        outputs=("trix",),
        build=_trix,
        tradingview=_trix_tradingview,
        source="TA-Lib ``TRIX``, equal to 1e-10; J. Hutson, Stocks & Commodities 1:5, 1983",
    ),
    Indicator(
        name="ao",
        title="Awesome oscillator: the mean of the middles of the last few bars less that of many.",
        formula="SMA((high + low) / 2, fast) - SMA((high + low) / 2, slow).",
        inputs=("high", "low"),
        parameters=(bars("fast", 5, "Bars of the one mean.", 2), bars("slow", 34, "Bars of the other.", 2)),
        outputs=("ao",),
        build=_ao,
        source="TA-Lib ``AO``, equal to 1e-10 of the prices; B. Williams, Trading Chaos, 1995",
    ),
    Indicator(
        name="kst",
        title="Know sure thing: four smoothed rates of change, the longest of them weighing most.",
        formula=("kst = sum of w * SMA(ROC(close, roc w), sma w) for w = 1, 2, 3, 4; signal = SMA(kst, signal)."),
        inputs=("close",),
        parameters=(
            bars("roc1", 10, "Bars of the first rate of change."),
            bars("roc2", 15, "Bars of the second."),
            bars("roc3", 20, "Bars of the third."),
            bars("roc4", 30, "Bars of the fourth."),
            bars("sma1", 10, "Bars of the mean of the first."),
            bars("sma2", 10, "Bars of the mean of the second."),
            bars("sma3", 10, "Bars of the mean of the third."),
            bars("sma4", 15, "Bars of the mean of the fourth."),
            bars("signal", 9, "Bars of the mean of the sum."),
        ),
        outputs=("kst", "signal"),
        build=_kst,
        source="TradingView ``Know Sure Thing``; M. Pring, Stocks & Commodities 10:10, 1992",
    ),
    Indicator(
        name="coppock",
        title="Coppock curve: the weighted mean of two rates of change.",
        formula="WMA(ROC(close, fast) + ROC(close, slow), period), in per cent.",
        inputs=("close",),
        parameters=(
            bars("period", 10, "Bars of the weighted mean."),
            bars("fast", 11, "Bars of the one rate of change."),
            bars("slow", 14, "Bars of the other."),
        ),
        outputs=("coppock",),
        build=_coppock,
        source="TA-Lib ``COPPOCK``, equal to 1e-10; E. S. C. Coppock, Barron's, 1962",
    ),
    Indicator(
        name="eri",
        title="Elder ray: how far the bulls lift the high above the average, and the bears push the low below.",
        formula=(
            "bull = high - EMA(close, period); bear = low - EMA(close, period). TradingView: the EMA begins with its "
            "first value."
        ),
        inputs=("high", "low", "close"),
        parameters=(bars("period", 13, "Bars of the average."),),
        outputs=("bull", "bear"),
        build=_eri,
        tradingview=_eri_tradingview,
        source="TA-Lib ``ERI``, equal to 1e-10 of the prices; A. Elder, Trading for a Living, 1993",
    ),
)
