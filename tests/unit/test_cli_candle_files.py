"""Candle files that are written are read back equal."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradeutils.cli.candle_files import CANDLE_KINDS, encode, rows
from tradeutils.cli.saving import Kind
from tradeutils.history.candle_files.reading import read_candles
from tradeutils.model import Candles

PRICES = st.floats(1e-12, 1e12)
VOLUMES = st.floats(0, 1e15) | st.just(float("nan"))


@st.composite
def candle_series(draw: st.DrawFn) -> Candles:
    """Draw a few candles with gaps, prices of any size and volumes that may be unknown."""
    opens = sorted(draw(st.lists(st.integers(20_000_000, 30_000_000), min_size=2, max_size=20, unique=True)))
    prices = [sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES))) for _ in opens]
    return Candles(
        exchange="binance",
        symbol="BTC/USDT",
        timeframe="1m",
        time=np.array(opens, dtype=np.int64) * 60_000,
        low=np.array([p[0] for p in prices]),
        open=np.array([p[1] for p in prices]),
        close=np.array([p[2] for p in prices]),
        high=np.array([p[3] for p in prices]),
        volume=np.array([draw(VOLUMES) for _ in opens]),
    )


@pytest.mark.parametrize("kind", CANDLE_KINDS, ids=lambda kind: kind.suffix)
@given(candles=candle_series())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_written_candles_are_read_back_equal(kind: Kind, candles: Candles, tmp_path: pathlib.Path) -> None:
    """Bit for bit, an unknown volume stays unknown, in every kind of file."""
    path = tmp_path / f"candles{kind.suffix}"
    path.write_bytes(encode(candles, kind))
    assert kind.matches(path.read_bytes()[:1024])
    found = read_candles(path, timeframe="1m", exchange="binance", symbol="BTC/USDT")
    assert found.candles == candles


def test_rows_are_as_ccxt_returns_them() -> None:
    """Time, open, high, low, close, volume; ``None`` where the volume is not known."""
    one = Candles(
        timeframe="1m",
        time=np.array([60_000]),
        open=np.array([2.0]),
        high=np.array([4.0]),
        low=np.array([1.0]),
        close=np.array([3.0]),
        volume=np.array([np.nan]),
    )
    assert rows(one) == [[60_000, 2.0, 4.0, 1.0, 3.0, None]]
