"""Trends and levels of recorded markets: said once and for all, of each symbol by itself, on any number of threads."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.analysis import levels, trend
from tradeutils.history import read_candles

pytestmark = pytest.mark.recordings

BERLIN = {"session": "1d", "day": "09:00-17:00 Europe/Berlin"}

ANALYSES: Mapping[str, Callable[[tu.Panel], Any]] = {
    "swings": levels.swings,
    "zigzag": levels.zigzag,
    "zigzag in per cent": lambda panel: levels.zigzag(panel, 0.5, by="percent"),
    "support_resistance": levels.support_resistance,
    "value_areas": lambda panel: levels.value_areas(panel, 30, bins=20),
    "value_areas of days": lambda panel: levels.value_areas(panel, session="1d"),
    "value_areas of sessions": lambda panel: levels.value_areas(panel, **BERLIN),
    "pivot_points": lambda panel: levels.pivot_points(panel, "1d", day="17:00 America/New_York"),
    "pivots": lambda panel: trend.pivots(panel.high, panel.low),
    "regression": trend.regression,
    "regime": lambda panel: trend.regime(panel, emas=(5, 10, 20), nan="hold"),
    "volatility_regime": trend.volatility_regime,
    "divergence": trend.divergence,
    "breakouts": lambda panel: trend.breakouts(panel, buffer=0.25, volume=1.2),
}
every_analysis = pytest.mark.parametrize("name", ANALYSES)


@pytest.fixture(scope="module")
def market(recordings: pathlib.Path) -> tu.Panel:
    """Return two weeks of five minutes of coins in bitcoin, thinly traded, one with gaps and a late listing."""
    folder = recordings / "freqtrade_gpl3"
    coins = ("ETH", "LTC", "XMR", "ADA")
    own = {f"{coin}/BTC": read_candles(folder / f"{coin}_BTC-5m.feather").candles for coin in coins}
    own["XMR/BTC"] = own["XMR/BTC"][700:]
    panel = tu.Panel.from_candles(own)[:4000]
    assert np.isnan(panel.close).any()
    return panel


def columns(found: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a result by name."""
    made = {}
    for name, value in zip(found._fields, found, strict=True):
        for i, part in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(part, np.ndarray):
                made[f"{name} {i}"] = part
    return made


@every_analysis
def test_more_candles_never_change_what_was_said(name: str, market: tu.Panel) -> None:
    """A day at a time, and a bar at a time around the change of a session."""
    whole = columns(ANALYSES[name](market))
    assert any(np.isfinite(values).any() and (values[np.isfinite(values)] != 0).any() for values in whole.values())
    for rows in (1, 287, 288, 289, 1000, 2500, 3999):
        for key, values in columns(ANALYSES[name](market[:rows])).items():
            np.testing.assert_array_equal(values, whole[key][:rows], err_msg=f"{key} of {rows} rows")


@every_analysis
def test_each_symbol_is_by_itself_on_any_number_of_threads(
    name: str, market: tu.Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many symbols, in blocks, on two threads, give each what it is given alone."""
    fields = ("open", "high", "low", "close", "volume")
    copies = 10
    many = tu.Panel(
        symbols=tuple(f"{symbol} {i}" for i in range(copies) for symbol in market.symbols),
        timeframe="5m",
        time=market.time,
        **{field: np.tile(getattr(market, field), copies) for field in fields},
    )
    monkeypatch.setenv("TRADEUTILS_THREADS", "2")
    made = columns(ANALYSES[name](many))
    monkeypatch.setenv("TRADEUTILS_THREADS", "1")
    for s in range(len(market.symbols)):
        one = {field: getattr(market, field)[:, s : s + 1] for field in fields}
        alone = columns(ANALYSES[name](tu.Panel(symbols=("A",), timeframe="5m", time=market.time, **one)))
        for key, values in alone.items():
            for i in (s, s + len(market.symbols) * (copies - 1)):
                np.testing.assert_array_equal(made[key][:, i], values[:, 0], err_msg=key)
