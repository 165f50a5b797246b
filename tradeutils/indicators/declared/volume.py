"""Indicators of volume."""

from __future__ import annotations

from functools import partial
from typing import Final

from tradeutils.indicators import operators as op
from tradeutils.indicators.declaration import Indicator, Parameter, bars
from tradeutils.indicators.operators import Node, candles, carried, flows, sessions, shares
from tradeutils.indicators.operators.averages import ema_from_first

__all__ = ["DECLARED"]

_START: Final = 1000.0  # Fosback's
_BAR: Final = ("high", "low", "close", "volume")


def _ad(high: Node, low: Node, close: Node, volume: Node) -> Node:
    line: Node = op.cumulative(candles.money_flow(high, low, close, volume))
    return line


def _adosc(high: Node, low: Node, close: Node, volume: Node, fast: int, slow: int) -> Node:
    # TA-Lib begins both averages with the first bar, and shows nothing until the longer one is full.
    oscillator: Node = carried.apart(_ad(high, low, close, volume), fast, slow)
    return oscillator


def _adosc_tradingview(high: Node, low: Node, close: Node, volume: Node, fast: int, slow: int) -> Node:
    line = _ad(high, low, close, volume)
    return ema_from_first(line, fast) - ema_from_first(line, slow)


def _cmf(high: Node, low: Node, close: Node, volume: Node, period: int) -> Node:
    share: Node = shares.share_of_totals(candles.money_flow(high, low, close, volume), volume, period)
    return share


def _efi(close: Node, volume: Node, period: int) -> Node:
    force: Node = op.ema(op.change(close, 1) * volume, period)
    return force


def _efi_tradingview(close: Node, volume: Node, period: int) -> Node:
    return ema_from_first(op.change(close, 1) * volume, period)


def _pvt(close: Node, volume: Node) -> Node:
    trend: Node = op.cumulative(carried.relative_change(close) * volume)
    return trend


def _index(close: Node, counts: Node, start: float) -> Node:
    index: Node = carried.compounded(carried.relative_change(close) * counts)
    return start * index


def _nvi(close: Node, volume: Node, start: float = _START) -> Node:
    return _index(close, volume < carried.previous(volume, volume), start)


def _pvi(close: Node, volume: Node, start: float = _START) -> Node:
    return _index(close, volume > carried.previous(volume, volume), start)


def _obv_tradingview(close: Node, volume: Node) -> Node:
    line: Node = op.cumulative(op.sign(close - carried.previous(close, close)) * volume)
    return line


def _rvol(volume: Node, period: int) -> Node:
    return op.ratio(volume, op.lag(op.mean(volume, period), 1))


def _vwap(high: Node, low: Node, close: Node, volume: Node) -> Node:
    typical: Node = flows.typical(high, low, close)
    # Both sums begin anew at the same bars: where a price is missing, its volume is too.
    return op.ratio(op.cumulative(typical * volume), op.cumulative(op.together(volume, typical)), typical)


def _session_vwap(time: Node, high: Node, low: Node, close: Node, volume: Node, hours: float) -> Node:
    typical: Node = flows.typical(high, low, close)
    number = sessions.session(time, hours)
    worth = sessions.cumulative_within(typical * volume, number)
    return op.ratio(worth, sessions.cumulative_within(op.together(volume, typical), number), typical)


def _rolling_vwap(high: Node, low: Node, close: Node, volume: Node, period: int) -> Node:
    typical: Node = flows.typical(high, low, close)
    amount: Node = op.together(volume, typical)
    return op.ratio(op.total(typical * volume, period), op.total(amount, period), typical)


DECLARED: Final[tuple[Indicator, ...]] = (
    Indicator(
        name="ad",
        title="Accumulation/distribution line: the money flow volumes of all bars so far.",
        formula=(
            "ad += volume * ((close - low) - (high - close)) / (high - low); nothing is added where high does not "
            "exceed low."
        ),
        inputs=_BAR,
        parameters=(),
        outputs=("ad",),
        build=_ad,
        source="TA-Lib ``AD``, equal to 1e-10; M. Chaikin",
    ),
    Indicator(
        name="adosc",
        title="Chaikin's oscillator: a fast average of the accumulation/distribution line less a slow one.",
        formula=(
            "EMA(ad, fast) - EMA(ad, slow), both begun with the first value of the line, shown once the longer has "
            "seen its period. Fast and slow are not exchanged. TradingView: shown from the first bar on."
        ),
        inputs=_BAR,
        parameters=(
            bars("fast", 3, "Bars of the fast average.", 2),
            bars("slow", 10, "Bars of the slow average.", 2),
        ),
        outputs=("adosc",),
        build=_adosc,
        tradingview=_adosc_tradingview,
        source="TA-Lib ``ADOSC``, the same seed, equal to 1e-10; M. Chaikin",
    ),
    Indicator(
        name="cmf",
        title="Chaikin's money flow: the money flow volumes of the last bars over their volumes, -1 to 1.",
        formula=(
            "Sum of volume * ((close - low) - (high - close)) / (high - low) over ``period`` bars, over the sum of "
            "volume; 0 where there was no volume."
        ),
        inputs=_BAR,
        parameters=(bars("period", 20, "Bars in both sums.", 2),),
        outputs=("cmf",),
        build=_cmf,
        source="TA-Lib ``CMF``, equal to 1e-10; M. Chaikin; TradingView's is the same",
    ),
    Indicator(
        name="efi",
        title="Elder's force index: how much volume moved price how far.",
        formula="EMA((close - previous close) * volume, period). TradingView: begun with the first product.",
        inputs=("close", "volume"),
        parameters=(bars("period", 13, "Bars; alpha = 2 / (period + 1)."),),
        outputs=("efi",),
        build=_efi,
        source=(
            "TA-Lib ``EFI``, equal to 1e-10; A. Elder, Trading for a Living, 1993; TradingView's is its built-in Elder "
            "Force Index"
        ),
        tradingview=_efi_tradingview,
    ),
    Indicator(
        name="pvt",
        title="Price volume trend: volume summed in the measure that price moved.",
        formula=(
            "pvt += volume * (close / previous close - 1), from 0 at the first bar; a change from 0 counts nothing."
        ),
        inputs=("close", "volume"),
        parameters=(),
        outputs=("pvt",),
        build=_pvt,
        source="TA-Lib ``PVT``, equal to 1e-10; TradingView's ``ta.pvt`` is the same",
    ),
    Indicator(
        name="nvi",
        title="Negative volume index: what price did on bars whose volume fell.",
        formula=(
            "nvi *= close / previous close where volume is below the previous; from 1000 at the first bar. A "
            "change from 0 counts nothing. TradingView: from 1."
        ),
        inputs=("close", "volume"),
        parameters=(),
        outputs=("nvi",),
        build=_nvi,
        tradingview=partial(_nvi, start=1.0),
        source="TA-Lib ``NVI``, equal to 1e-10; N. Fosback, Stock Market Logic, 1976",
    ),
    Indicator(
        name="pvi",
        title="Positive volume index: what price did on bars whose volume rose.",
        formula=(
            "pvi *= close / previous close where volume is above the previous; from 1000 at the first bar. A "
            "change from 0 counts nothing. TradingView: from 1."
        ),
        inputs=("close", "volume"),
        parameters=(),
        outputs=("pvi",),
        build=_pvi,
        tradingview=partial(_pvi, start=1.0),
        source="TA-Lib ``PVI``, equal to 1e-10; N. Fosback, Stock Market Logic, 1976",
    ),
    Indicator(
        name="rvol",
        title="Relative volume: a bar's volume as a multiple of what was usual before it.",
        formula="volume / mean of the ``period`` volumes before this bar; 0 where these were all 0 (TA-Lib: infinite).",
        inputs=("volume",),
        parameters=(bars("period", 20, "Bars in the mean."),),
        outputs=("rvol",),
        build=_rvol,
        source="TA-Lib ``RVOL``, equal to 1e-10",
    ),
    Indicator(
        name="vwap",
        title="Volume-weighted average price since the first bar; to anchor it elsewhere, hand in the data from there.",
        formula=(
            "Sum of volume * (high + low + close) / 3 over the sum of volume, from the first bar on; the bar's own "
            "(high + low + close) / 3 while there is no volume (TA-Lib: 0)."
        ),
        inputs=_BAR,
        parameters=(),
        outputs=("vwap",),
        build=_vwap,
        source="TA-Lib ``VWAP``, equal to 1e-10; S. A. Berkowitz, D. E. Logue, E. A. Noser, J. Finance 43, 1988",
        aliases=("anchored_vwap",),
    ),
    Indicator(
        name="session_vwap",
        title="Volume-weighted average price since the session began: the day, the week, or any number of hours.",
        formula=(
            "As ``vwap``, begun anew with each session of ``hours``. Sessions are counted from Monday "
            "1970-01-05 00:00 UTC: 24 are days of UTC, 168 weeks from Monday, 8 what lies between fundings."
        ),
        inputs=("time", *_BAR),
        parameters=(Parameter("hours", 24.0, 1.0 / 60.0, 100_000.0, "Length of a session."),),
        outputs=("session_vwap",),
        build=_session_vwap,
        source="As ``vwap``; TradingView's ``ta.vwap`` on an intraday chart is this with 24 hours",
    ),
    Indicator(
        name="obv",
        title="On-balance volume: the volume of rising bars less that of falling ones.",
        formula=(
            "volume of the first bar; then + volume where close rose, - volume where it fell. TradingView: 0 at the "
            "first bar."
        ),
        inputs=("close", "volume"),
        parameters=(),
        outputs=("obv",),
        build=flows.obv,
        tradingview=_obv_tradingview,
        source="TA-Lib ``OBV``, equal to 1e-10; J. Granville, 1963",
    ),
    Indicator(
        name="rolling_vwap",
        title="Volume-weighted average price of the last bars.",
        formula=(
            "Sum of volume * (high + low + close) / 3 over the sum of volume, of the last ``period`` bars; the bar's "
            "own (high + low + close) / 3 where there was no volume."
        ),
        inputs=_BAR,
        parameters=(bars("period", 20, "Bars in the sums."),),
        outputs=("rolling_vwap",),
        build=_rolling_vwap,
        source="As ``vwap``, over a window",
    ),
)
