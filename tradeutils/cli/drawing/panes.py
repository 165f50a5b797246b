"""Where an indicator is drawn: over the price, or in a pane below it, and with which lines for the eye."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["BANDS", "BARS", "OVERLAYS", "PRICE", "UNDRAWN", "VOLUME", "Pane", "pane_of"]

OVERLAYS: Final = frozenset(
    {
        "accbands", "alma", "avgprice", "bbands", "dema", "donchian", "ema", "heikin_ashi", "hma",
        "ht_trendline", "ichimoku", "kama", "keltner", "linearreg", "linearreg_intercept", "ma", "mama", "mavp",
        "max", "medprice", "midpoint", "midprice", "min", "minmax", "percentile", "pivots", "rma",
        "rolling_max", "rolling_median", "rolling_min", "rolling_vwap", "sar", "sarext", "session_vwap", "sma",
        "supertrend", "t3", "tema", "trima", "tsf", "typprice", "vwap", "vwma", "wclprice", "wma", "zlema",
    }
)  # fmt: skip
"""Indicators in units of the price."""

BANDS: Final = (("upper", "middle", "lower"), ("upperband", "middleband", "lowerband"))
"""Outputs of indicators that make up a band, which is shaded."""

UNDRAWN: Final = frozenset({"direction", "trend"})
"""Outputs that say which of two sides holds; over the price they would lie at its foot."""

BARS: Final = frozenset({"histogram", "hist", "macdhist"})
"""Outputs drawn as bars from zero."""


@dataclass(frozen=True, slots=True)
class Pane:
    """
    A pane of a chart.

    Attributes
    ----------
    levels : tuple of float
        Where lines are drawn across: 30 and 70 for RSI.
    scale : (float, float) or None
        From where to where; ``None``: as far as what is seen reaches.
    weight : float
        Its share of the height, beside the others' weights.
    """

    levels: tuple[float, ...] = ()
    scale: tuple[float, float] | None = None
    weight: float = 1.7


PRICE: Final = Pane(weight=5.0)
VOLUME: Final = Pane(weight=1.0)
_PANES: Final[Mapping[str, Pane]] = {
    "adosc": Pane((0.0,)),
    "adx": Pane((25.0,)),
    "adxr": Pane((25.0,)),
    "ao": Pane((0.0,)),
    "apo": Pane((0.0,)),
    "aroon": Pane((50.0,), (0.0, 100.0)),
    "aroonosc": Pane((0.0,), (-100.0, 100.0)),
    "bbands_percent": Pane((0.0, 0.5, 1.0)),
    "bop": Pane((0.0,), (-1.0, 1.0)),
    "cci": Pane((-100.0, 100.0)),
    "chop": Pane((38.2, 61.8), (0.0, 100.0)),
    "cmf": Pane((0.0,), (-1.0, 1.0)),
    "cmo": Pane((-50.0, 50.0), (-100.0, 100.0)),
    "cmou": Pane((-50.0, 50.0), (-100.0, 100.0)),
    "coppock": Pane((0.0,)),
    "correl": Pane((0.0,), (-1.0, 1.0)),
    "dpo": Pane((0.0,)),
    "efi": Pane((0.0,)),
    "eri": Pane((0.0,)),
    "fisher": Pane((0.0,)),
    "kst": Pane((0.0,)),
    "linearreg_slope": Pane((0.0,)),
    "macd": Pane((0.0,)),
    "macdext": Pane((0.0,)),
    "macdfix": Pane((0.0,)),
    "mfi": Pane((20.0, 80.0), (0.0, 100.0)),
    "mom": Pane((0.0,)),
    "ppo": Pane((0.0,)),
    "roc": Pane((0.0,)),
    "rocp": Pane((0.0,)),
    "rocr": Pane((1.0,)),
    "rocr100": Pane((100.0,)),
    "rsi": Pane((30.0, 70.0), (0.0, 100.0)),
    "rvol": Pane((1.0,)),
    "stoch": Pane((20.0, 80.0), (0.0, 100.0)),
    "stochf": Pane((20.0, 80.0), (0.0, 100.0)),
    "stochrsi": Pane((20.0, 80.0), (0.0, 100.0)),
    "trix": Pane((0.0,)),
    "tsi": Pane((0.0,)),
    "ultosc": Pane((30.0, 70.0), (0.0, 100.0)),
    "vortex": Pane((1.0,)),
    "willr": Pane((-80.0, -20.0), (-100.0, 0.0)),
    "zscore": Pane((0.0,)),
}


def pane_of(name: str) -> Pane | None:
    """Return the pane of an indicator, or ``None`` for one that is drawn over the price; unknown ones get their own."""
    return None if name in OVERLAYS else _PANES.get(name, Pane())
