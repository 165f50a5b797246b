"""Indicators of the direction and the strength of a trend."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

from tradeutils.indicators import operators as op
from tradeutils.indicators.declaration import Indicator, Parameter, bars
from tradeutils.indicators.expression import LEAD
from tradeutils.indicators.operators import channels, directional, movements, ranges, reversal, shares
from tradeutils.indicators.operators.averages import ema_from_first

__all__ = ["DECLARED"]


def _aroon(high: op.Node, low: op.Node, period: int) -> tuple[op.Node, op.Node]:
    scale = 100.0 / period
    down = (period - op.bars_since_lowest(low, period + 1)) * scale
    up = (period - op.bars_since_highest(high, period + 1)) * scale
    return down, up


def _aroonosc(high: op.Node, low: op.Node, period: int) -> op.Node:
    newer = op.bars_since_lowest(low, period + 1) - op.bars_since_highest(high, period + 1)
    made: op.Node = newer * (100.0 / period)
    return made


def _middle(high: op.Node, low: op.Node, period: int) -> op.Node:
    made: op.Node = (op.highest(high, period) + op.lowest(low, period)) / 2.0
    return made


def _ichimoku(
    high: op.Node, low: op.Node, close: op.Node, tenkan: int, kijun: int, senkou: int, displacement: int, lookahead: int
) -> tuple[op.Node, ...]:
    turning, base = _middle(high, low, tenkan), _middle(high, low, kijun)
    first, second = (turning + base) / 2.0, _middle(high, low, senkou)
    # What was known before a missing bar is still no value of that bar.
    spans = (op.together(op.lag(span, displacement), close) for span in (first, second))
    chikou: op.Node = op.change(close, displacement)
    if lookahead:
        chikou = LEAD(op.together(close, chikou), displacement)
    return turning, base, *spans, chikou


def _ichimoku_tradingview(
    high: op.Node, low: op.Node, close: op.Node, tenkan: int, kijun: int, senkou: int, displacement: int, lookahead: int
) -> tuple[op.Node, ...]:
    return _ichimoku(high, low, close, tenkan, kijun, senkou, displacement - 1, lookahead)


def _dpo(close: op.Node, period: int, lookahead: int) -> op.Node:
    back = period // 2 + 1
    known: op.Node = op.lag(close, back) - op.mean(close, period)
    centred: op.Node = LEAD(known, back)
    return centred if lookahead else known


def _dpo_tradingview(close: op.Node, period: int, lookahead: int) -> op.Node:
    return _dpo(close, period, 1) if lookahead else close - op.lag(op.mean(close, period), period // 2 + 1)


def _vortex(high: op.Node, low: op.Node, close: op.Node, period: int) -> tuple[op.Node, op.Node]:
    up, down, way = movements.crossings(high, low, close)
    return shares.share_of_totals(up, way, period), shares.share_of_totals(down, way, period)


def _choppiness(high: op.Node, low: op.Node, moves: op.Node, period: int) -> op.Node:
    covered = op.highest(high, period) - op.lowest(low, period)
    made: op.Node = op.logarithm(op.ratio(op.total(moves, period), covered, float(period)))
    return made * (100.0 / math.log(period))


def _chop(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    return _choppiness(high, low, op.true_range(high, low, close), period)


def _chop_tradingview(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    return _choppiness(high, low, ranges.true_range_from_first(high, low, close), period)


def _massi(high: op.Node, low: op.Node, fast: int, slow: int) -> op.Node:
    once = op.ema(high - low, fast)
    made: op.Node = op.total(op.ratio(once, op.ema(once, fast), 1.0), slow)
    return made


def _massi_tradingview(high: op.Node, low: op.Node, fast: int, slow: int) -> op.Node:
    once = ema_from_first(high - low, fast)
    made: op.Node = op.total(op.ratio(once, ema_from_first(once, fast), 1.0), slow)
    return made


_LOOKAHEAD: Final = Parameter("lookahead", 0, 0, 1, "Whether what is only known later is shown where charts draw it.")


def _adx(high: op.Node, low: op.Node, close: op.Node, period: int, smoothing: int) -> op.Node:
    made: op.Node = directional.adx(high, low, period, smoothing or period)
    return made


def _adx_tradingview(high: op.Node, low: op.Node, close: op.Node, period: int, smoothing: int) -> op.Node:
    plus, minus = (op.rma(moved, period) for moved in directional.movement(high, low))
    made: op.Node = op.rma(100.0 * op.ratio(op.absolute(plus - minus), plus + minus), smoothing or period)
    return made


def _adxr(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    adx = _adx(high, low, close, period, period)
    before: op.Node = op.lag(adx, period - 1)
    return 0.5 * (adx + before)


def _movement(high: op.Node, low: op.Node, period: int, side: int) -> op.Node:
    made: op.Node = directional.decaying(directional.movement(high, low)[side], period, max(period - 1, 1))
    return made


def _indicator(high: op.Node, low: op.Node, close: op.Node, period: int, side: int) -> op.Node:
    moved: op.Node = directional.decaying(directional.movement(high, low)[side], period, period)
    return 100.0 * op.ratio(moved, directional.decaying(op.true_range(high, low, close), period, period))


def _indicator_tradingview(high: op.Node, low: op.Node, close: op.Node, period: int, side: int) -> op.Node:
    moved = op.rma(directional.movement(high, low)[side], period)
    return 100.0 * op.ratio(moved, op.rma(op.true_range(high, low, close), period))


def _dx(high: op.Node, low: op.Node, close: op.Node, period: int) -> op.Node:
    plus, minus = (directional.decaying(moved, period, period) for moved in directional.movement(high, low))
    made: op.Node = directional.directional_index(plus, minus)
    return made


def _supertrend(high: op.Node, low: op.Node, close: op.Node, period: int, multiplier: float) -> tuple[op.Node, op.Node]:
    reach = ranges.atr(high, low, close, period)
    made: tuple[op.Node, op.Node] = channels.supertrend(high, low, close, reach, multiplier, 1.0)
    return made


def _supertrend_tradingview(
    high: op.Node, low: op.Node, close: op.Node, period: int, multiplier: float
) -> tuple[op.Node, op.Node]:
    reach = op.rma(ranges.true_range_from_first(high, low, close), period)
    made: tuple[op.Node, op.Node] = channels.supertrend(high, low, close, reach, multiplier, -1.0)
    return made


_DIRECTIONAL: Final = "J. W. Wilder, New Concepts in Technical Trading Systems, 1978"


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="aroon",
        title="Aroon: how fresh the lowest low and the highest high of the last bars are, 0 to 100.",
        formula=(
            "down = 100 * (period - bars since the lowest low) / period, up the same of the highest high, both in the "
            "last ``period`` + 1 bars; of equal ones the newest counts."
        ),
        inputs=("high", "low"),
        parameters=(bars("period", 14, "The oldest age of an extreme.", 2),),
        outputs=("down", "up"),
        build=_aroon,
        source="TA-Lib ``AROON``, equal to 1e-10; T. Chande, Stocks & Commodities 13:9, 1995",
    ),
    Indicator(
        name="aroonosc",
        title="Aroon oscillator: Aroon up less Aroon down, -100 to 100.",
        formula="100 * (bars since the lowest low - bars since the highest high) / period.",
        inputs=("high", "low"),
        parameters=(bars("period", 14, "The oldest age of an extreme.", 2),),
        outputs=("aroonosc",),
        build=_aroonosc,
        source="TA-Lib ``AROONOSC``, equal to 1e-10",
    ),
    Indicator(
        name="sar",
        title="Parabolic stop and reverse: a stop that closes in on prices and turns when they touch it.",
        formula=(
            "sar += speed * (extreme - sar), held outside the last two bars; each new extreme of the trend adds "
            "``acceleration`` to speed. Touched, it turns: it stands at the extreme, and speed begins again. The first "
            "trend falls if the low has fallen by more than the high has risen, else it rises. TradingView: moved "
            "before it is tested, and held after; its first trend follows the closes, here as above."
        ),
        inputs=("high", "low"),
        parameters=(
            Parameter("acceleration", 0.02, 0.0, 1e6, "What each new extreme adds to the speed, and its first value."),
            Parameter("maximum", 0.2, 0.0, 1e6, "The highest speed."),
        ),
        outputs=("sar",),
        build=reversal.sar,
        tradingview=reversal.sar_tradingview,
        source="TA-Lib ``SAR``, equal to 1e-10; J. W. Wilder, New Concepts in Technical Trading Systems, 1978",
    ),
    Indicator(
        name="ichimoku",
        title="Ichimoku: middles of the ranges of three spans, two of them drawn later, and price against its past.",
        formula=(
            "tenkan, kijun = (highest high + lowest low) / 2 over their bars; senkou_a = (tenkan + kijun) / 2 and "
            "senkou_b = the middle over ``senkou`` bars, both as they were ``displacement`` bars ago; chikou = close - "
            "close ``displacement`` bars ago. Nothing looks ahead but, with ``lookahead``, chikou: it is then the "
            "close of ``displacement`` bars later, as charts draw it, unknown at the last bars. TradingView counts the "
            "bar itself: displaced by ``displacement`` - 1."
        ),
        inputs=("high", "low", "close"),
        parameters=(
            bars("tenkan", 9, "Bars of the turning line."),
            bars("kijun", 26, "Bars of the base line."),
            bars("senkou", 52, "Bars of the second leading span."),
            bars("displacement", 26, "Bars by which spans are drawn later, and chikou looks back."),
            _LOOKAHEAD,
        ),
        outputs=("tenkan", "kijun", "senkou_a", "senkou_b", "chikou"),
        build=_ichimoku,
        tradingview=_ichimoku_tradingview,
        source="G. Hosoda, Ichimoku Kinko Hyo, 1969",
    ),
    Indicator(
        name="dpo",
        title="Detrended price oscillator: a price of half a period ago less the average around it.",
        formula=(
            "close of period // 2 + 1 bars ago - SMA(close, period). With ``lookahead`` the same, shown at the bar of "
            "that close, as charts draw it: unknown at the last bars, and not to be traded on. TradingView: close less "
            "the average of as many bars ago, unless it looks ahead."
        ),
        inputs=("close",),
        parameters=(bars("period", 20, "Bars of the average.", 2), _LOOKAHEAD),
        outputs=("dpo",),
        build=_dpo,
        tradingview=_dpo_tradingview,
        source="TA-Lib ``DPO``, equal to 1e-10 of the prices; S. B. Achelis, Technical Analysis from A to Z, 2001",
    ),
    Indicator(
        name="vortex",
        title="Vortex: upward and downward movement in the true range.",
        formula=(
            "plus = sum of abs(high - previous low), minus = sum of abs(low - previous high), each over the sum of "
            "true ranges; 0 where nothing has moved."
        ),
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "Bars in the sums."),),
        outputs=("plus", "minus"),
        build=_vortex,
        source="TA-Lib ``VORTEX``, equal to 1e-10; E. Botes, D. Siepman, Stocks & Commodities 28:1, 2010",
    ),
    Indicator(
        name="chop",
        title="Choppiness index: the way travelled in the range covered, 100 where prices go nowhere.",
        formula=(
            "100 * log(sum of true ranges / (highest high - lowest low)) / log(period); 100 where the range is 0. "
            "TradingView: the first bar has a range as well, high - low."
        ),
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "Bars of the way and the range.", 2),),
        outputs=("chop",),
        build=_chop,
        tradingview=_chop_tradingview,
        source="pandas-ta ``chop``; E. W. Dreiss",
    ),
    Indicator(
        name="massi",
        title="Mass index: how far ranges widen against their own average.",
        formula=(
            "Sum over ``slow`` bars of EMA(high - low, fast) / EMA(EMA(high - low, fast), fast), 1 where that is 0. "
            "TradingView: every EMA begins with its first value."
        ),
        inputs=("high", "low"),
        parameters=(bars("fast", 9, "Bars of both averages.", 2), bars("slow", 25, "Bars in the sum.", 2)),
        outputs=("massi",),
        build=_massi,
        tradingview=_massi_tradingview,
        source="TA-Lib ``MASSI``, equal to 1e-10; D. Dorsey, Stocks & Commodities 10:6, 1992",
    ),
    Indicator(
        name="adx",
        title="Average directional index: how strong a trend is, whichever way it goes, 0 to 100.",
        formula=(
            "Wilder average, over ``smoothing`` bars, of DX of ``period``; where DX is not defined it stands still. "
            "The true range cancels in DX, so close is not read."
        ),
        inputs=("high", "low", "close"),
        parameters=(
            bars("period", 14, "Bars of the directional movements.", 2),
            bars("smoothing", 0, "Bars of the average; 0: as many as ``period``.", 0),
        ),
        outputs=("adx",),
        build=_adx,
        source=f"TA-Lib ``ADX``, equal to 1e-10; {_DIRECTIONAL}",
        tradingview=_adx_tradingview,
    ),
    Indicator(
        name="adxr",
        title="Average directional index rating: the mean of ADX now and ``period - 1`` bars ago.",
        formula="(ADX + ADX of period - 1 bars ago) / 2.",
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "Bars of ADX, and one more than the bars between the two.", 2),),
        outputs=("adxr",),
        build=_adxr,
        source=f"TA-Lib ``ADXR``, equal to 1e-10; {_DIRECTIONAL}",
    ),
    Indicator(
        name="dx",
        title="Directional movement index: the difference of both directional movements by their sum, 0 to 100.",
        formula="100 * abs(+DI - -DI) / (+DI + -DI); the one before, at first 0, where both are 0.",
        inputs=("high", "low", "close"),
        parameters=(bars("period", 14, "Bars of the directional movements.", 2),),
        outputs=("dx",),
        build=_dx,
        source=f"TA-Lib ``DX``, equal to 1e-10; {_DIRECTIONAL}",
    ),
    *(
        Indicator(
            name=f"{side}_di",
            title=f"Directional indicator, {way}: the share of the {move} in the true range, 0 to 100.",
            formula=(
                f"100 * S({side} DM) / S(true range), where S sums period - 1 values and then goes on as "
                "S += x - S / period; 0 where nothing has moved."
            ),
            inputs=("high", "low", "close"),
            parameters=(bars("period", 14, "Bars of the sums.", 2),),
            outputs=(f"{side}_di",),
            build=partial(_indicator, side=number),
            source=f"TA-Lib ``{side.upper()}_DI``, equal to 1e-10; {_DIRECTIONAL}",
            tradingview=partial(_indicator_tradingview, side=number),
        )
        for number, (side, way, move) in enumerate((("plus", "up", "rise"), ("minus", "down", "fall")))
    ),
    *(
        Indicator(
            name=f"{side}_dm",
            title=f"Directional movement, {way}: the sum of {move}, fading by 1 / period a bar.",
            formula=f"S({what}), where S sums period - 1 values and then goes on as S += x - S / period.",
            inputs=("high", "low"),
            parameters=(bars("period", 14, "Bars of the sum."),),
            outputs=(f"{side}_dm",),
            build=partial(_movement, side=number),
            source=f"TA-Lib ``{side.upper()}_DM``, equal to 1e-10; {_DIRECTIONAL}",
        )
        for number, (side, way, move, what) in enumerate(
            (
                ("plus", "up", "rises of the high", "rise of the high, if larger than the fall of the low, else 0"),
                ("minus", "down", "falls of the low", "fall of the low, if larger than the rise of the high, else 0"),
            )
        )
    ),
    Indicator(
        name="supertrend",
        title="Supertrend: a band that trails the price at a number of ATRs, and the side the price is on.",
        formula=(
            "Bands (high + low) / 2 +- multiplier * ATR(period) that only ever close in until the price crosses them; "
            "supertrend is the lower while the trend rises (direction 1), as at first, the upper while it falls (-1). "
            "TradingView: falling at first, on its own ATR; ``ta.supertrend`` has the opposite sign of the direction."
        ),
        inputs=("high", "low", "close"),
        parameters=(
            bars("period", 10, "Bars of ATR."),
            Parameter("multiplier", 3.0, 0.0, 1000.0, "ATRs between the middle of the bar and the bands."),
        ),
        outputs=("supertrend", "direction"),
        build=_supertrend,
        tradingview=_supertrend_tradingview,
        source="TA-Lib ``SUPERTREND``, equal to 1e-10; O. Seban",
    ),
)
