"""Parity with TA-Lib 0.8 on recorded markets, for every indicator that it has."""

import numpy as np
import pandas as pd
import pytest
import talib
from talib_reference import COVERED, PARITY, reference

from tradeutils import indicators
from tradeutils.indicators import REGISTRY, Indicators

pytestmark = pytest.mark.recordings

TOLERANCE, FLOOR = 1e-10, 0.1
"""Relative; below a tenth of an output's largest value, of that tenth, as many outputs pass through zero."""

WORSE = {
    # TA-Lib sums products of whole prices and subtracts: what is left of a small slope is 1e-16 of the price.
    "linearreg_slope": 1e-9,
    "linearreg_angle": 1e-6,
    # And of squares of whole prices: of a small variance 1e-16 of the square. Ours is held to long doubles.
    "correl": 1e-5,
    "beta": 1e-7,
    # It slides a sum, which drifts over 65,178 bars.
    "trima": 1e-8,
    # A mean deviation just above zero divides what rounding left of a distance
    "cci": 1e-8,
}
"""Tolerances where TA-Lib's own rounding is larger, as the reference in long doubles shows."""

DEPENDS_ON_THE_UNIT = {"linearreg_angle"}
"""At 1e8 of the price TA-Lib's rounding of a slope of 0 is a slope that shows."""

COLUMNS = ["open", "high", "low", "close", "volume"]
every_set = pytest.mark.parametrize(("name", "parameters"), PARITY, ids=map(str, PARITY))
SCALED = [(*one, factor) for one in PARITY for factor in (1.0, 1e-9, 1e8)]
SCALED = [one for one in SCALED if one[0] not in DEPENDS_ON_THE_UNIT or one[2] <= 1.0]


@pytest.fixture(scope="module", name="litecoin")
def _litecoin(recordings):
    """Return LTC/BTC in 5 minutes: prices of 0.01, with many bars that do not move."""
    frame = pd.read_feather(recordings / "freqtrade_gpl3" / "LTC_BTC-5m.feather", columns=COLUMNS)
    return frame.assign(other=second(recordings, len(frame)))


@pytest.fixture(scope="module", name="bitcoin")
def _bitcoin(recordings):
    """Return BTC/USDT in minutes: 65,178 bars of Binance futures, without a gap."""
    frame = pd.read_csv(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz", usecols=COLUMNS)
    return frame.assign(other=second(recordings, len(frame)))


def second(recordings, count):
    """Return closes of another market, to and fro until there are enough: ETH/BTC in 5 minutes."""
    closes = pd.read_feather(recordings / "freqtrade_gpl3" / "ETH_BTC-5m.feather")["close"].to_numpy()
    return np.resize(np.concatenate([closes, closes[::-1]]), count)


def made_and_wanted(name, frame, parameters=None, factor=1.0):
    """Return our outputs and TA-Lib's, of prices times ``factor``, with each side's defaults or these parameters."""
    inputs = [
        frame[column].to_numpy(float) * (1.0 if column == "volume" else factor) for column in REGISTRY[name].inputs
    ]
    made = getattr(indicators, name)(*inputs, *(parameters or ()))
    return np.stack(made if isinstance(made, tuple) else (made,)), reference(name, inputs, parameters)


def assert_parity(name, frame, parameters, factor=1.0):
    """Compare every output with TA-Lib's: the same NaNs, and equal to the tolerance."""
    made, wanted = made_and_wanted(name, frame, parameters, factor)
    assert made.shape == wanted.shape
    tolerance = WORSE.get(name, TOLERANCE)
    for ours, want in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(want))
        known = np.isfinite(want)
        assert known.any()
        error = np.abs(ours[known] - want[known])
        allowed = tolerance * np.maximum(np.abs(want[known]), FLOOR * np.abs(want[known]).max())
        assert (error <= allowed).all(), f"{(error > allowed).sum()} bars differ, by up to {error.max():.1e}"


@pytest.mark.parametrize(("name", "parameters", "factor"), SCALED, ids=map(str, SCALED))
def test_bitcoin_minutes_give_talibs_values(bitcoin, name, parameters, factor):
    """65,178 minutes of Bitcoin, at their own prices and at 1e-9 and 1e8 of them."""
    assert len(bitcoin) == 65_178
    assert_parity(name, bitcoin, parameters, factor)


@every_set
def test_litecoin_in_bitcoin_gives_talibs_values(litecoin, name, parameters):
    """LTC/BTC in 5 minutes, whose price stands still for many bars."""
    assert (litecoin["close"].diff() == 0).sum() > 100
    assert_parity(name, litecoin, parameters)


@every_set
def test_late_listing_gives_talibs_values(litecoin, name, parameters):
    """A symbol listed later than the panel begins: TA-Lib's begin index, the same first value."""
    late = litecoin.head(3000).copy()
    late.iloc[:777] = np.nan
    assert_parity(name, late, parameters)


@pytest.mark.parametrize("name", COVERED)
def test_defaults_and_lookback_are_talibs(litecoin, name):
    """Called with its inputs alone an indicator gives what TA-Lib gives, from the same bar on."""
    made, wanted = made_and_wanted(name, litecoin)
    first = np.isfinite(wanted).all(axis=0).argmax()
    assert REGISTRY[name].lookback(*REGISTRY[name].bind()) == first
    np.testing.assert_array_equal(np.isfinite(made).all(axis=0).argmax(), first)


@pytest.mark.parametrize("name", COVERED)
def test_recorded_markets_side_by_side_give_each_its_own(recordings, name):
    """A panel of ten recorded markets of unequal length gives, column by column, what each gives alone."""
    files = sorted((recordings / "freqtrade_gpl3").glob("*_BTC-5m.feather"))
    assert len(files) == 10
    frames = [pd.read_feather(file, columns=COLUMNS).iloc[-2000 + 50 * i :] for i, file in enumerate(files)]
    panel = {column: np.full((2000, 10), np.nan) for column in COLUMNS}
    for at, frame in enumerate(frames):
        for column in COLUMNS:
            panel[column][2000 - len(frame) :, at] = frame[column]
    panel["other"] = panel["close"][:, ::-1]
    columns = [panel[column] for column in REGISTRY[name].inputs]
    made = np.asarray(getattr(indicators, name)(*columns))
    for at in range(10):
        alone = np.asarray(getattr(indicators, name)(*(column[:, at] for column in columns)))
        np.testing.assert_array_equal(made[..., at], alone)
        assert np.isfinite(alone[..., -1]).all()


def test_frame_of_a_recording_gives_a_frame(bitcoin):
    """A recorded OHLCV frame goes in and a frame of specs comes out, row for row."""
    made = Indicators(bitcoin).compute(["rsi:14", "macd:12,26,9", "atr:14"], tail=500)
    assert made.shape == (500, 5)
    np.testing.assert_allclose(made["rsi:14"], talib.RSI(bitcoin["close"].to_numpy(), 14)[-500:], rtol=1e-10)
    assert made.index[-1] == bitcoin.index[-1]
