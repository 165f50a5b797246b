"""``Indicators`` and ``compute``: data of every kind in, results in its kind out."""

import inspect

import numpy as np
import pandas as pd
import pytest

from tradeutils import indicators
from tradeutils.device import using
from tradeutils.errors import BackendUnavailable, UnknownName, UsageError
from tradeutils.indicators import Indicators, compute
from tradeutils.model import Candles, Panel

SPECS = ["rsi:14", "macd:12,26,9", "bbands:20,2", "atr", "sma:5"]
KEYS = [
    "rsi:14",
    "macd:12,26,9.macd",
    "macd:12,26,9.signal",
    "macd:12,26,9.histogram",
    "bbands:20,2.upper",
    "bbands:20,2.middle",
    "bbands:20,2.lower",
    "atr",
    "sma:5",
]
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def prices(*shape):
    """Return open, high, low, close, volume of a random walk."""
    close = 100 * np.exp(np.random.default_rng(11).normal(0, 0.01, shape).cumsum(axis=0))
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return {"open": opened, "high": high, "low": low, "close": close, "volume": np.ones(shape)}


@pytest.fixture(name="panel")
def _panel():
    made = prices(80, 3)
    for column in made.values():
        column[40, 1] = np.nan
    return Panel(symbols=SYMBOLS, timeframe="1m", time=np.arange(80) * 60_000, **made)


@pytest.fixture(name="candles")
def _candles():
    return Candles(exchange="x", symbol="A/B", timeframe="1m", time=np.arange(80) * 60_000, **prices(80))


@pytest.fixture(name="frame")
def _frame():
    return pd.DataFrame(prices(80), index=pd.date_range("2024-01-01", periods=80, freq="1min", tz="UTC"))


def expected(high, low, close):
    """Return what ``compute(..., SPECS)`` must give, from the plain functions."""
    made = [
        indicators.rsi(close, 14),
        *indicators.macd(close, 12, 26, 9),
        *indicators.bbands(close, 20, 2.0),
        indicators.atr(high, low, close, 14),
        indicators.sma(close, 5),
    ]
    return dict(zip(KEYS, made, strict=True))


def test_candles_give_arrays_by_key(candles):
    """compute on Candles is a dict of (T,) arrays, keyed as the specs are written."""
    made = compute(candles, SPECS)
    assert list(made) == KEYS
    for key, want in expected(candles.high, candles.low, candles.close).items():
        assert made[key].shape == (80,)
        np.testing.assert_array_equal(made[key], want)


def test_panel_gives_arrays_of_all_symbols(panel):
    """compute on a Panel is a dict of (T, S) arrays; a missing candle restarts its own symbol only."""
    made = Indicators(panel).compute(SPECS)
    for key, want in expected(panel.high, panel.low, panel.close).items():
        assert made[key].shape == (80, 3)
        np.testing.assert_array_equal(made[key], want)
    np.testing.assert_array_equal(np.isnan(made["atr"]).sum(axis=0), [14, 29, 14])


def test_methods_give_what_the_functions_give(candles, panel):
    """ind.rsi(14) is rsi(close, 14), by position, by name or by default, and several outputs have names."""
    for data in (candles, panel):
        ind = Indicators(data)
        np.testing.assert_array_equal(ind.rsi(14), indicators.rsi(data.close, 14))
        np.testing.assert_array_equal(ind.rsi(), ind.rsi(period=14))
        np.testing.assert_array_equal(ind.atr(7), indicators.atr(data.high, data.low, data.close, 7))
        assert isinstance(ind.macd(), indicators.Macd)
        np.testing.assert_array_equal(ind.macd(12, 26, 9).histogram, indicators.macd(data.close).histogram)
        np.testing.assert_array_equal(ind.bbands(20, deviations=2).upper, indicators.bbands(data.close, 20, 2.0).upper)
    assert "wilder" in inspect.getdoc(Indicators.rsi).lower()


def test_ohlcv_frame_gives_a_frame_on_its_index(frame):
    """compute on a DataFrame of OHLCV columns, in any case, is a DataFrame of the keys on the same index."""
    made = compute(frame.rename(columns=str.title), SPECS)
    assert list(made.columns) == KEYS
    pd.testing.assert_index_equal(made.index, frame.index)
    for key, want in expected(*(frame[c].to_numpy() for c in ("high", "low", "close"))).items():
        np.testing.assert_array_equal(made[key].to_numpy(), want)


def test_methods_on_an_ohlcv_frame_give_series(frame):
    """A method on OHLCV columns gives Series named for their spec, on the index."""
    ind = Indicators(frame)
    rsi = ind.rsi(14)
    assert isinstance(rsi, pd.Series)
    assert rsi.name == "rsi:14"
    pd.testing.assert_index_equal(rsi.index, frame.index)
    assert isinstance(ind.macd().histogram, pd.Series)
    assert not np.shares_memory(ind.sma(1).to_numpy(), frame["close"].to_numpy())


def test_wide_frame_is_closes_of_symbols(panel):
    """A DataFrame with a column for each symbol gives DataFrames of the symbols, side by side for several keys."""
    wide = panel.to_frame("close")
    ind = Indicators(wide)
    pd.testing.assert_index_equal(ind.rsi(14).columns, wide.columns)
    np.testing.assert_array_equal(ind.rsi(14).to_numpy(), indicators.rsi(panel.close, 14))
    np.testing.assert_array_equal(ind.macd().signal.to_numpy(), indicators.macd(panel.close).signal)
    one = ind.compute(["rsi:14"])
    pd.testing.assert_frame_equal(one, ind.rsi(14))
    several = ind.compute(["rsi:14", "bbands:20,2"], tail=10)
    assert list(several.columns.get_level_values(0).unique()) == ["rsi:14", *KEYS[4:7]]
    np.testing.assert_array_equal(several["rsi:14"].to_numpy(), one.to_numpy()[-10:])
    pd.testing.assert_index_equal(several.index, wide.index[-10:])


def test_series_and_array_are_closes(frame):
    """A Series gives Series with its name, and a DataFrame from compute; an array gives arrays."""
    close = frame["close"]
    ind = Indicators(close)
    want = indicators.rsi(close.to_numpy(), 14)
    pd.testing.assert_series_equal(ind.rsi(14), pd.Series(want, index=close.index, name="close"))
    assert list(ind.compute(["rsi:14", "sma"]).columns) == ["rsi:14", "sma"]
    np.testing.assert_array_equal(Indicators(close.to_numpy()).rsi(14), want)
    np.testing.assert_array_equal(Indicators(np.column_stack([close, close])).compute(["rsi"])["rsi"][:, 1], want)


@pytest.mark.parametrize("tail", [0, 1, 7, 79, 80, 81, 10_000])
def test_tail_gives_the_last_rows_of_the_whole(panel, candles, frame, tail):
    """tail=k returns the last k rows, with the bits of the whole computation, in every kind."""
    for data in (panel, candles):
        whole, last = compute(data, SPECS), compute(data, SPECS, tail=tail)
        for key in KEYS:
            np.testing.assert_array_equal(last[key], whole[key][max(0, 80 - tail) :])
            assert last[key].flags.owndata
    pd.testing.assert_frame_equal(compute(frame, SPECS, tail=tail), compute(frame, SPECS).iloc[max(0, 80 - tail) :])


def test_repeated_spec_is_one_result(candles):
    """A spec asked for twice is one key; the same indicator written in two ways is two, of equal values."""
    made = compute(candles, ["rsi:14", "rsi", " rsi:14 "])
    assert list(made) == ["rsi:14", "rsi"]
    np.testing.assert_array_equal(made["rsi:14"], made["rsi"])


def test_no_specs_give_nothing(candles, frame):
    """An empty list of specs gives an empty dict, or a frame without columns."""
    assert compute(candles, []) == {}
    empty = compute(frame, [])
    assert empty.shape == (80, 0)
    pd.testing.assert_index_equal(empty.index, frame.index)


def test_empty_frames_give_empty_results():
    """A frame without rows or without symbols gives results without them."""
    assert compute(pd.DataFrame({"close": []}), ["rsi:14"]).shape == (0, 1)
    assert Indicators(pd.DataFrame({"A": [], "B": []}, dtype=float)).rsi(14).shape == (0, 2)
    assert Indicators(pd.DataFrame(index=range(3))).rsi(14).shape == (3, 0)


def test_frames_are_left_as_they_are(frame, panel):
    """Computing writes nothing into a frame."""
    wide = panel.to_frame("close")
    for data, specs in ((frame, SPECS), (wide, ["rsi:14", "macd"])):
        before = data.copy(deep=True)
        compute(data, specs)
        pd.testing.assert_frame_equal(data, before)


def test_data_without_a_column_says_which(frame, panel):
    """An indicator whose column is not there raises UsageError that names it and what is there."""
    with pytest.raises(UsageError, match=r"atr needs high, low, close and the frame has no high, low .*it has close"):
        Indicators(frame[["close"]]).atr()
    with pytest.raises(UsageError, match="rsi needs close and the frame has no close"):
        compute(frame[["high", "low"]], ["rsi"])
    for closes in (panel.to_frame("close"), frame["close"], panel.close):
        with pytest.raises(UsageError, match="no high, low"):
            Indicators(closes).atr()


@pytest.mark.parametrize("data", [[1.0, 2.0], None, "BTC/USDT", {"close": [1.0]}, 3])
def test_data_of_no_known_kind_is_refused(data):
    """Anything but Candles, Panel, frame, Series or array raises UsageError that lists these."""
    with pytest.raises(UsageError, match="give Candles, a Panel"):
        Indicators(data)


def test_backend_is_the_cpu_or_refused(candles):
    """auto and cpu compute; cuda says in one line why it cannot, where there is no device; another name is unknown."""
    with using([]):
        np.testing.assert_array_equal(Indicators(candles, backend="cpu").rsi(14), Indicators(candles).rsi(14))
        with pytest.raises(BackendUnavailable, match=r"^[^\n]+$"):
            Indicators(candles, backend="cuda")
    with pytest.raises(UnknownName, match="cuda"):
        compute(candles, ["rsi"], backend="cudaa")


def test_a_slip_in_any_spec_computes_nothing(candles):
    """Specs are read before any is computed, and a bare string is taken for a slip."""
    with pytest.raises(UnknownName, match="rsi"):
        compute(candles, ["sma:5", "rsii"])
    with pytest.raises(UsageError, match=r"give a list of them: \['rsi:14'\]"):
        compute(candles, "rsi:14")
    with pytest.raises(UsageError, match="tail was -1"):
        compute(candles, ["rsi:14"], tail=-1)
    with pytest.raises(UsageError, match="takes 1 parameters"):
        Indicators(candles).rsi(14, 15)


def test_threads_are_checked_at_once(candles):
    """A wrong thread count is refused when the object is made."""
    with pytest.raises(UsageError, match="threads"):
        Indicators(candles, threads=0)
    np.testing.assert_array_equal(Indicators(candles, threads=1).rsi(), Indicators(candles, threads=2).rsi())


def test_frame_of_closes_keeps_its_symbols(panel):
    """Symbols are labels of any kind, LOW and OPEN among them, and come back as they were."""
    wide = pd.DataFrame(panel.close, columns=["LOW", "OPEN", 7])
    assert list(Indicators(wide).rsi(14).columns) == ["LOW", "OPEN", 7]
    assert list(Indicators(wide).compute(["rsi", "sma"])["sma"].columns) == ["LOW", "OPEN", 7]


def test_frame_of_closes_with_another_column_is_refused(panel):
    """A column that is not numeric is named, and no symbol is left out unsaid."""
    wide = panel.to_frame("close")
    for other in ("text", pd.Timestamp("2024-01-01"), True):
        with pytest.raises(UsageError, match="extra is not numeric"):
            Indicators(wide.assign(extra=other))


def test_missing_values_of_pandas_are_missing(frame):
    """pd.NA in a Series or a column of a nullable dtype is a missing bar."""
    close = frame["close"].astype("Float64")
    close.iloc[50] = pd.NA
    want = frame["close"].where(np.arange(80) != 50)
    np.testing.assert_array_equal(Indicators(close).sma(5).to_numpy(), indicators.sma(want.to_numpy(), 5))
    np.testing.assert_array_equal(Indicators(frame.assign(close=close)).rsi(5), Indicators(want).rsi(5))
