"""Where an indicator is drawn: over the price, or in a pane below it, and with which lines for the eye."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["BANDS", "BARS", "OVERLAYS", "PRICE", "VOLUME", "Pane", "pane_of"]

OVERLAYS: Final = frozenset(
    {
        "accbands", "avgprice", "bbands", "dema", "donchian", "ema", "hma", "ht_trendline", "ichimoku",
        "kama", "keltner", "linearreg", "linearreg_intercept", "ma", "mama", "mavp", "max", "medprice",
        "midpoint", "midprice", "min", "minmax", "sar", "sarext", "sma", "supertrend", "t3", "tema",
        "trima", "tsf", "typprice", "vwap", "wclprice", "wma",
    }
)  # fmt: skip
"""Indicators in units of the price."""

BANDS: Final = (("upper", "middle", "lower"), ("upperband", "middleband", "lowerband"))
"""Outputs of indicators that make up a band, which is shaded."""

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
    "adx": Pane((25.0,)),
    "adxr": Pane((25.0,)),
    "apo": Pane((0.0,)),
    "aroon": Pane((50.0,), (0.0, 100.0)),
    "aroonosc": Pane((0.0,), (-100.0, 100.0)),
    "bop": Pane((0.0,), (-1.0, 1.0)),
    "cci": Pane((-100.0, 100.0)),
    "cmo": Pane((-50.0, 50.0), (-100.0, 100.0)),
    "macd": Pane((0.0,)),
    "macdext": Pane((0.0,)),
    "macdfix": Pane((0.0,)),
    "mfi": Pane((20.0, 80.0), (0.0, 100.0)),
    "mom": Pane((0.0,)),
    "ppo": Pane((0.0,)),
    "roc": Pane((0.0,)),
    "rsi": Pane((30.0, 70.0), (0.0, 100.0)),
    "stoch": Pane((20.0, 80.0), (0.0, 100.0)),
    "stochf": Pane((20.0, 80.0), (0.0, 100.0)),
    "stochrsi": Pane((20.0, 80.0), (0.0, 100.0)),
    "trix": Pane((0.0,)),
    "ultosc": Pane((30.0, 70.0), (0.0, 100.0)),
    "willr": Pane((-80.0, -20.0), (-100.0, 0.0)),
}


def pane_of(name: str) -> Pane | None:
    """Return the pane of an indicator, or ``None`` for one that is drawn over the price; unknown ones get their own."""
    return None if name in OVERLAYS else _PANES.get(name, Pane())
