"""Parity with TA-Lib 0.8 on recorded markets."""

import numpy as np
import pandas as pd
import pytest
import talib

from tradeutils import indicators
from tradeutils.indicators import REGISTRY, Indicators

pytestmark = pytest.mark.recordings

CASES = [
    *((name, (period,)) for name in ("sma", "ema", "rsi", "atr") for period in (2, 5, 14, 33, 200)),
    ("sma", (1,)),
    ("ema", (1,)),
    ("atr", (1,)),
    ("macd", (12, 26, 9)),
    ("macd", (26, 12, 9)),
    ("macd", (5, 34, 5)),
    ("macd", (12, 26, 1)),
    ("bbands", (20, 2.0)),
    ("bbands", (5, 1.5)),
    ("bbands", (200, 2.0)),
]


@pytest.fixture(scope="module", name="bitcoin")
def _bitcoin(recordings):
    """Return BTC/USDT in minutes: 65,178 bars of Binance futures, without a gap."""
    return pd.read_csv(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz", usecols=["high", "low", "close"])


@pytest.fixture(scope="module", name="litecoin")
def _litecoin(recordings):
    """Return LTC/BTC in 5 minutes: prices of 0.01, with many bars that do not move."""
    return pd.read_feather(recordings / "freqtrade_gpl3" / "LTC_BTC-5m.feather", columns=["high", "low", "close"])


def reference(name, frame, parameters):
    """Return TA-Lib's outputs."""
    inputs = [np.ascontiguousarray(frame[column], dtype=float) for column in REGISTRY[name].inputs]
    if name == "bbands":
        return talib.BBANDS(*inputs, parameters[0], parameters[1], parameters[1])
    made = getattr(talib, name.upper())(*inputs, *parameters)
    return made if isinstance(made, tuple) else (made,)


def assert_parity(name, frame, parameters):
    """
    Compare every output with TA-Lib's: the same NaNs, and 1e-10 relative.

    MACD's outputs are differences of averages and pass through zero, where nothing is relative: they are held to
    1e-10 of their largest value there, as any output is below a hundredth of it.
    """
    inputs = [frame[column].to_numpy(float) for column in REGISTRY[name].inputs]
    made = getattr(indicators, name)(*inputs, *parameters)
    for ours, want in zip(
        made if isinstance(made, tuple) else (made,), reference(name, frame, parameters), strict=True
    ):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(want))
        floor = 1e-2 * np.nanmax(np.abs(want))
        excess = np.abs(ours - want) - 1e-10 * np.maximum(np.abs(want), floor)
        assert np.nanmax(excess) <= 0, f"{name}{parameters}: {np.nanmax(np.abs(ours - want)):.1e} apart"


@pytest.mark.parametrize(("name", "parameters"), CASES)
@pytest.mark.parametrize("factor", [1.0, 1e-9, 1e8])
def test_bitcoin_minutes_give_talibs_values(bitcoin, name, parameters, factor):
    """65,178 minutes of Bitcoin, at their own prices and at 1e-9 and 1e8 of them."""
    assert len(bitcoin) == 65_178
    assert_parity(name, bitcoin * factor, parameters)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_litecoin_in_bitcoin_gives_talibs_values(litecoin, name, parameters):
    """LTC/BTC in 5 minutes, whose price stands still for many bars."""
    assert (litecoin["close"].diff() == 0).sum() > 100
    assert_parity(name, litecoin, parameters)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_leading_gap_gives_talibs_values(litecoin, name, parameters):
    """A symbol listed later than the panel begins: TA-Lib's begin index, the same first value."""
    late = litecoin.head(3000).copy()
    late.iloc[:777] = np.nan
    assert_parity(name, late, parameters)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_recorded_markets_side_by_side_give_each_its_own(recordings, bitcoin, name, parameters):
    """A panel of ten recorded markets of unequal length gives, column by column, what each gives alone."""
    files = sorted((recordings / "freqtrade_gpl3").glob("*_BTC-5m.feather"))
    assert len(files) == 10
    columns = REGISTRY[name].inputs
    frames = [pd.read_feather(file, columns=list(columns)).iloc[-2000 + 50 * i :] for i, file in enumerate(files)]
    panel = {column: np.full((2000, 10), np.nan) for column in columns}
    for at, frame in enumerate(frames):
        for column in columns:
            panel[column][2000 - len(frame) :, at] = frame[column]
    made = np.asarray(getattr(indicators, name)(*panel.values(), *parameters))
    for at in range(10):
        alone = np.asarray(getattr(indicators, name)(*(panel[column][:, at] for column in columns), *parameters))
        np.testing.assert_array_equal(made[..., at], alone)
        assert np.isfinite(alone[..., -1]).all()


def test_frame_of_a_recording_gives_a_frame(bitcoin):
    """A recorded OHLCV frame goes in and a frame of specs comes out, row for row."""
    made = Indicators(bitcoin).compute(["rsi:14", "macd:12,26,9", "atr:14"], tail=500)
    assert made.shape == (500, 5)
    np.testing.assert_allclose(made["rsi:14"], talib.RSI(bitcoin["close"].to_numpy(), 14)[-500:], rtol=1e-10)
    assert made.index[-1] == bitcoin.index[-1]
