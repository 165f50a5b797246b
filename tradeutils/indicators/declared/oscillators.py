"""Oscillators: momentum measured against its own range, so that symbols can be compared."""

from __future__ import annotations

import sys
from typing import Final

from tradeutils.indicators import operators as op
from tradeutils.indicators.declaration import Indicator, bars
from tradeutils.indicators.operators import candles, channels, flows, momentum, movements, shares, transforms, windows
from tradeutils.indicators.operators.averages import ema_from_first

__all__ = ["DECLARED"]

# In an RSI of prices that stand still, rounding makes moves of 1e-14 to 1e-12, whose range would be all there is.
_STILL: Final = 1e-11


def _willr(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    made: op.Node = shares.depth(close, op.highest(high, period), op.lowest(low, period))
    return made


def _cmo(close: op.Node, period: int) -> op.Node:
    rise, fall = (op.rma(one, period) for one in movements.rises_and_falls(close))
    made: op.Node = shares.percent(rise - fall, rise + fall)
    return made


def _cmou(close: op.Node, period: int) -> op.Node:
    rise, fall = (op.total(one, period) for one in movements.rises_and_falls(close))
    made: op.Node = shares.percent(rise - fall, rise + fall)
    return made


def _place_of_rsi(close: op.Node, period: int, fastk: int) -> op.Node:
    strength = momentum.rsi(close, period)
    bottom = op.lowest(strength, fastk)
    reach = op.highest(strength, fastk) - bottom
    made: op.Node = shares.percent(strength - bottom, op.where(reach > _STILL, reach, 0.0))
    return made


def _stochrsi(close: op.Node, period: int, fastk_period: int, fastd_period: int) -> tuple[op.Node, op.Node]:
    k = _place_of_rsi(close, period, fastk_period)
    d = op.mean(k, fastd_period)
    return op.together(k, d), d


def _stochrsi_tradingview(close: op.Node, period: int, fastk_period: int, fastd_period: int) -> tuple[op.Node, op.Node]:
    k = op.mean(_place_of_rsi(close, period, fastk_period), fastd_period)
    d = op.mean(k, fastd_period)
    return op.together(k, d), d


def _ultosc(high: op.Node, low: op.Node, close: op.Node, *periods: int) -> op.Node:
    pressure, way = movements.buying_pressure(high, low, close)
    made: op.Node = shares.ultimate(*(shares.share_of_totals(pressure, way, period) for period in sorted(periods)))
    return made


def _tsi(close: op.Node, first: int, second: int) -> op.Node:
    moved, way = (op.ema(op.ema(one, first), second) for one in movements.moves(close))
    made: op.Node = shares.percent(moved, way)
    return made


def _tsi_tradingview(close: op.Node, first: int, second: int) -> op.Node:
    moved, way = (ema_from_first(ema_from_first(one, first), second) for one in movements.moves(close))
    made: op.Node = shares.percent(moved, way)
    return made


def _fisher(high: op.Node, low: op.Node, period: int) -> tuple[op.Node, op.Node]:
    middle = candles.middle(high, low)
    bottom = op.lowest(middle, period)
    line = transforms.fisher(op.ratio(middle - bottom, op.highest(middle, period) - bottom, 0.5))
    return line, op.together(op.lag(line, 1), line)


def _stoch(
    high: op.Node, low: op.Node, close: op.Node, fastk_period: int, slowk_period: int, slowd_period: int
) -> tuple[op.Node, op.Node]:
    slow: op.Node = op.mean(_fastk(high, low, close, fastk_period), slowk_period)
    signal: op.Node = op.mean(slow, slowd_period)
    shown: op.Node = op.together(slow, signal)
    return shown, signal


def _stochf(
    high: op.Node, low: op.Node, close: op.Node, fastk_period: int, fastd_period: int
) -> tuple[op.Node, op.Node]:
    fast = _fastk(high, low, close, fastk_period)
    signal: op.Node = op.mean(fast, fastd_period)
    shown: op.Node = op.together(fast, signal)
    return shown, signal


def _fastk(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    made: op.Node = channels.position(close, op.highest(high, period), op.lowest(low, period))
    return made


def _cci(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    typical = flows.typical(high, low, close)
    middle, spread = windows.spread(typical, period)
    # TA-Lib adds the prices up anew at each bar. Equal prices then have a mean that may be off in the last digit.
    made: op.Node = channels.distance(typical, middle, spread, 0.015, period * sys.float_info.epsilon)
    return made


def _mfi(high: op.Node, low: op.Node, close: op.Node, volume: op.Node, period: int) -> op.Node:
    made: op.Node = flows.money_flow_index(flows.typical(high, low, close), volume, period)
    return made


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="willr",
        title="Williams' %R: how far below the highest high of the last bars the price is, 0 to -100.",
        formula="-100 * (highest high - close) / (highest high - lowest low); 0 where nothing has moved.",
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "Bars in the range.", 2),),
        outputs=("willr",),
        build=_willr,
        source="TA-Lib ``WILLR``, equal to 1e-10; L. Williams, 1973",
    ),
    Indicator(
        name="cmo",
        title="Chande momentum oscillator: rises less falls in per cent of both, -100 to 100.",
        formula=(
            "100 * (up - down) / (up + down), Wilder averages of the rises and falls of close; 0 where nothing has "
            "moved. TradingView: plain sums of the last moves, as T. Chande has it."
        ),
        inputs=("close",),
        parameters=(bars("period", 14, "Moves in the seed; alpha = 1 / period.", 2),),
        outputs=("cmo",),
        build=_cmo,
        tradingview=_cmou,
        source="TA-Lib ``CMO``, equal to 1e-10; T. Chande, S. Kroll, The New Technical Trader, 1994",
    ),
    Indicator(
        name="cmou",
        title="Chande momentum oscillator, unsmoothed: as T. Chande has it, -100 to 100.",
        formula="100 * (up - down) / (up + down), sums of the last rises and falls of close; 0 where it has not moved.",
        inputs=("close",),
        parameters=(bars("period", 14, "Moves in the sums.", 2),),
        outputs=("cmou",),
        build=_cmou,
        source="TA-Lib ``CMOU``, equal to 1e-10; T. Chande, S. Kroll, The New Technical Trader, 1994",
    ),
    Indicator(
        name="stochrsi",
        title="Stochastic RSI: where RSI stands in its own range of the last bars, 0 to 100.",
        formula=(
            "fastk = 100 * (RSI - lowest RSI) / (highest RSI - lowest RSI) over ``fastk_period`` bars, 0 where RSI has "
            "not moved (by more than 1e-11, which is rounding); fastd = mean of ``fastd_period`` fastk. Both begin "
            "together. TradingView: fastk is itself a mean of ``fastd_period`` such places."
        ),
        inputs=("close",),
        parameters=(
            bars("period", 14, "Moves in the seed of RSI.", 2),
            bars("fastk_period", 5, "Bars in the range of RSI."),
            bars("fastd_period", 3, "Bars in the mean of fastk."),
        ),
        outputs=("fastk", "fastd"),
        build=_stochrsi,
        tradingview=_stochrsi_tradingview,
        source="TA-Lib ``STOCHRSI`` with MA type 0, equal to 1e-10 of 100; T. Chande, S. Kroll, 1994",
    ),
    Indicator(
        name="ultosc",
        title="Ultimate oscillator: buying pressure in the true range over three spans, 0 to 100.",
        formula=(
            "100 * (4 * short + 2 * middle + long) / 7; each the sum of close - min(low, previous close) over the sum "
            "of true ranges (0 where that is 0), over the shortest, the middle and the longest of the three periods."
        ),
        inputs=("high", "low", "close"),
        parameters=(
            bars("period1", 7, "Bars of one span."),
            bars("period2", 14, "Bars of another."),
            bars("period3", 28, "Bars of the third; their order does not matter."),
        ),
        outputs=("ultosc",),
        build=_ultosc,
        source="TA-Lib ``ULTOSC``, equal to 1e-10; L. Williams, Stocks & Commodities 3:4, 1985",
    ),
    Indicator(
        name="bop",
        title="Balance of power: the body of a bar in its range, -1 to 1.",
        formula="(close - open) / (high - low); 0 where high is not above low.",
        inputs=("open", "high", "low", "close"),
        parameters=(),
        outputs=("bop",),
        build=candles.balance,
        source="TA-Lib ``BOP``, equal to 1e-10; I. Livshin, Stocks & Commodities 19:8, 2001",
    ),
    Indicator(
        name="tsi",
        title="True strength index: twice smoothed moves in per cent of their twice smoothed sizes, -100 to 100.",
        formula=(
            "100 * EMA(EMA(move, first), second) / EMA(EMA(abs(move), first), second), 0 where nothing has moved. "
            "TradingView: every EMA begins with its first value."
        ),
        inputs=("close",),
        parameters=(
            bars("first", 25, "Bars of the first average.", 2),
            bars("second", 13, "Bars of the average of that.", 2),
        ),
        outputs=("tsi",),
        build=_tsi,
        tradingview=_tsi_tradingview,
        source="TA-Lib ``TSI``, equal to 1e-10; W. Blau, Momentum, Direction and Divergence, 1995",
    ),
    Indicator(
        name="fisher",
        title="Fisher transform: the place of the price in its range, with its extremes drawn out.",
        formula=(
            "v = 0.66 * (place - 0.5) + 0.67 * v, held below 0.999; fisher = ln((1 + v) / (1 - v)) / 2 + fisher / 2, "
            "begun with 0; place = that of (high + low) / 2 in its range, 0.5 where it has none. signal = fisher one "
            "bar ago."
        ),
        inputs=("high", "low"),
        parameters=(bars("period", 9, "Bars in the range."),),
        outputs=("fisher", "signal"),
        build=_fisher,
        source="TradingView ``Fisher Transform``; J. F. Ehlers, Stocks & Commodities 20:11, 2002",
    ),
    Indicator(
        name="stoch",
        title="Slow stochastic: where close stands in the range of the last bars, smoothed, and smoothed again.",
        formula=(
            "fastk = 100 * (close - lowest low) / (highest high - lowest low) of fastk_period bars, 0 where the range "
            "is 0; slowk = SMA(fastk, slowk_period); slowd = SMA(slowk, slowd_period). Both begin together."
        ),
        inputs=("high", "low", "close"),
        parameters=(
            bars("fastk_period", 5, "Bars of the range."),
            bars("slowk_period", 3, "Bars of the first mean."),
            bars("slowd_period", 3, "Bars of the mean of that mean."),
        ),
        outputs=("slowk", "slowd"),
        build=_stoch,
        source="TA-Lib ``STOCH`` with MA type 0 for both, equal to 1e-10; G. Lane",
    ),
    Indicator(
        name="stochf",
        title="Fast stochastic: where close stands in the range of the last bars, and its mean.",
        formula=(
            "fastk = 100 * (close - lowest low) / (highest high - lowest low) of fastk_period bars, 0 where the range "
            "is 0; fastd = SMA(fastk, fastd_period). Both begin together."
        ),
        inputs=("high", "low", "close"),
        parameters=(bars("fastk_period", 5, "Bars of the range."), bars("fastd_period", 3, "Bars of the mean.")),
        outputs=("fastk", "fastd"),
        build=_stochf,
        source="TA-Lib ``STOCHF`` with MA type 0, equal to 1e-10; G. Lane",
    ),
    Indicator(
        name="cci",
        title="Commodity channel index: how far the typical price is from its mean, in mean distances.",
        formula=(
            "(tp - SMA(tp)) / (0.015 * mean of abs(tp - SMA(tp))) over ``period`` bars, tp = (high + low + close) / 3; "
            "0 where the prices stand still. The cost grows with the period."
        ),
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "Bars of both means.", 2),),
        outputs=("cci",),
        build=_cci,
        source="TA-Lib ``CCI``, equal to 1e-10; D. Lambert, Commodities, October 1980",
    ),
    Indicator(
        name="mfi",
        title="Money flow index: the share of the turnover of rising bars in all turnover, 0 to 100.",
        formula=(
            "100 * up / (up + down), sums over ``period`` bars of tp * volume where tp rose and where it fell, "
            "tp = (high + low + close) / 3; 0 where nothing has moved."
        ),
        inputs=("high", "low", "close", "volume"),
        parameters=(bars("period", 14, "Moves in the sums.", 2),),
        outputs=("mfi",),
        build=_mfi,
        source="TA-Lib ``MFI``, equal to 1e-10; G. Quong, A. Soudack, 1989",
    ),
)
