"""Kinds of data: read where they lie, never written to, with results in kind and the numbers of the plain functions."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from panels import walk

from tradeutils import indicators
from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.indicators import Indicators, compute
from tradeutils.model import Candles, Panel

FIELDS = ("open", "high", "low", "close", "volume")
BAR = ("high", "low", "close", "volume")
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
SPECS = ["rsi:5", "keltner:5", "session_vwap:8"]
KEYS = ["rsi:5", "keltner:5.upper", "keltner:5.middle", "keltner:5.lower", "session_vwap:8"]


@pytest.fixture(name="prices")
def _prices():
    """Return the columns of three symbols over 60 hours, with one missing bar."""
    made = walk(60, 3, moves=0.01)
    for field in FIELDS:
        made[field][30, 1] = np.nan
    return made


@pytest.fixture(name="alone")
def _alone(prices):
    """Return the columns of the last symbol."""
    return {name: np.ascontiguousarray(column[:, 2]) for name, column in prices.items()}


def wanted(prices, columns=slice(None)):
    """Return what SPECS must give, by key, from the plain functions."""
    one = {name: prices[name][..., columns] for name in ("time", *BAR)}
    made = [
        indicators.rsi(one["close"], 5),
        *indicators.keltner(one["high"], one["low"], one["close"], 5),
        indicators.session_vwap(*(one[name] for name in ("time", *BAR)), 8),
    ]
    return dict(zip(KEYS, made, strict=True))


def test_panel_and_candles_give_arrays_of_their_shape(prices, alone):
    """Candles give (T,), a Panel (T, S); the times of both reach what needs them."""
    times = prices["time"][:, 0].astype(np.int64)
    panel = Panel(symbols=SYMBOLS, timeframe="1h", time=times, **{name: prices[name] for name in FIELDS})
    candles = Candles(exchange="x", symbol="A/B", timeframe="1h", time=times, **{name: alone[name] for name in FIELDS})
    for data, want in ((panel, wanted(prices)), (candles, wanted(prices, 2))):
        made = compute(data, SPECS)
        assert list(made) == KEYS
        for key in KEYS:
            np.testing.assert_array_equal(made[key], want[key])
        np.testing.assert_array_equal(Indicators(data).session_vwap(8), want["session_vwap:8"])


def test_times_are_given_once_for_all_symbols(prices):
    """A plain function takes the times as (T,) beside prices (T, S)."""
    inputs = [prices[name] for name in BAR]
    made = indicators.session_vwap(prices["time"][:, 0], *inputs, 8)
    np.testing.assert_array_equal(made, indicators.session_vwap(prices["time"], *inputs, 8))
    with pytest.raises(UsageError, match=r"high had shape \(60, 3\) and time \(59,\)"):
        indicators.session_vwap(prices["time"][1:, 0], *inputs)


def test_symbol_major_data_is_read_through_its_transposed_view(prices):
    """An array (S, T) is handed in as its view (T, S), and is not copied."""
    symbol_major = np.ascontiguousarray(prices["close"].T)
    ind = Indicators(symbol_major.T)
    np.testing.assert_array_equal(ind.rsi(5), wanted(prices)["rsi:5"])
    (read,) = ind._source.columns(indicators.REGISTRY["rsi"])
    assert np.shares_memory(read, symbol_major)


def test_one_symbol_is_an_array_of_one_dimension(alone, prices):
    """(T,) gives (T,), to the bit what the symbol gives among others."""
    made = Indicators(alone["close"]).rsi(5)
    assert made.shape == (60,)
    np.testing.assert_array_equal(made, wanted(prices)["rsi:5"][:, 2])


@pytest.mark.parametrize("where", ["index", "column", "capitals"])
def test_frame_of_bars_has_its_times_in_the_index_or_a_column(alone, prices, where):
    """A DataFrame of OHLCV gives a DataFrame on its index, whatever case its names are in."""
    frame = pd.DataFrame({name: alone[name] for name in FIELDS})
    moments = pd.to_datetime(alone["time"], unit="ms", utc=True)
    frame = frame.set_index(moments) if where == "index" else frame.assign(date=moments)
    frame = frame.rename(columns=str.upper) if where == "capitals" else frame
    before = frame.copy(deep=True)
    made = compute(frame, SPECS)
    assert list(made.columns) == KEYS
    pd.testing.assert_index_equal(made.index, frame.index)
    for key, want in wanted(prices, 2).items():
        np.testing.assert_array_equal(made[key].to_numpy(), want)
    assert isinstance(Indicators(frame).session_vwap(8), pd.Series)
    pd.testing.assert_frame_equal(frame, before)


def test_frame_without_times_has_no_sessions(alone):
    """Without a DatetimeIndex or a column of times the error says what to set; the others do without."""
    frame = pd.DataFrame({name: alone[name] for name in FIELDS})
    with pytest.raises(DataError, match="set a DatetimeIndex"):
        Indicators(frame).session_vwap()
    assert np.isfinite(Indicators(frame).vwap()).all()


def test_frame_of_closes_is_read_where_it_lies(prices):
    """A wide frame of one block is not copied; one of mixed dtypes gives the same numbers."""
    wide = pd.DataFrame(prices["close"], columns=SYMBOLS)
    ind = Indicators(wide)
    (read,) = ind._source.columns(indicators.REGISTRY["rsi"])
    assert np.shares_memory(read, wide.to_numpy())
    made = ind.rsi(5)
    assert list(made.columns) == list(SYMBOLS)
    np.testing.assert_array_equal(made.to_numpy(), wanted(prices)["rsi:5"])
    mixed = wide.astype({SYMBOLS[1]: "Float64"})
    np.testing.assert_array_equal(Indicators(mixed).rsi(5).to_numpy(), made.to_numpy())


def test_series_gives_a_series_of_its_name(alone, prices):
    """The index and the name stay."""
    series = pd.Series(alone["close"], index=pd.date_range("2024", periods=60), name="SOL")
    made = Indicators(series).rsi(5)
    pd.testing.assert_series_equal(made, pd.Series(wanted(prices, 2)["rsi:5"], index=series.index, name="SOL"))


@pytest.mark.parametrize("chunks", [1, 3])
def test_arrow_array_is_a_column_of_closes(alone, prices, chunks):
    """Arrow arrays, whole or in chunks, give Arrow arrays, and from compute a table."""
    column = pa.chunked_array(np.array_split(alone["close"], chunks))
    for data in (column, column.combine_chunks()):
        ind = Indicators(data)
        made = ind.rsi(5)
        assert isinstance(made, pa.Array)
        np.testing.assert_array_equal(made.to_numpy(), wanted(prices, 2)["rsi:5"])
        assert ind.compute(["rsi:5", "sma"], tail=2).column_names == ["rsi:5", "sma"]
        np.testing.assert_array_equal(indicators.rsi(data, 5), made.to_numpy())
        with pytest.raises(UsageError, match="no high, low"):
            ind.atr()


def test_arrow_column_of_one_piece_is_not_copied(alone):
    """float64 without nulls is read where it lies, and the result is handed over as it was made."""
    column = pa.array(alone["close"])
    (read,) = Indicators(column)._source.columns(indicators.REGISTRY["sma"])
    assert np.shares_memory(read, column.to_numpy())
    assert Indicators(column).sma(5).to_numpy(zero_copy_only=True).shape == (60,)


@pytest.mark.parametrize("kind", ["table", "batch", "seconds", "numbers"])
def test_arrow_table_of_bars_gives_a_table(alone, prices, kind):
    """Tables and record batches with OHLCV names in any case; times as timestamps of any unit, or numbers in ms."""
    moments = pa.array(alone["time"].astype(np.int64), pa.int64() if kind == "numbers" else pa.timestamp("ms", "UTC"))
    if kind == "seconds":
        moments = moments.cast(pa.timestamp("s", "UTC"))
    columns = {"Time": moments, **{name.title(): alone[name] for name in FIELDS}, "note": ["x"] * 60}
    data = pa.RecordBatch.from_pydict(columns) if kind == "batch" else pa.table(columns)
    made = compute(data, SPECS, tail=20)
    assert made.column_names == KEYS
    for key, want in wanted(prices, 2).items():
        np.testing.assert_array_equal(made[key].to_numpy(), want[-20:])
    keltner = Indicators(data).keltner(5)
    assert isinstance(keltner, indicators.Keltner)
    assert isinstance(keltner.upper, pa.Array)


def test_arrow_nulls_and_other_numbers_are_read_as_what_they_are():
    """A null is a missing bar; whole numbers, single precision and decimals are numbers; text is refused."""
    want = [np.nan, 1.5, np.nan, np.nan, 4.5]
    decimals = [None if price is None else decimal.Decimal(price) for price in (1, 2, None, 4, 5)]
    for column in (
        pa.array([1, 2, None, 4, 5]),
        pa.array([1, 2, None, 4, 5], pa.float32()),
        pa.array(decimals),
        pa.chunked_array([[1, 2], [None, 4, 5]]),
    ):
        np.testing.assert_array_equal(Indicators(column).sma(2).to_numpy(), want)
    with pytest.raises(UsageError, match="close"):
        Indicators(pa.array(["a", "b"]))
    with pytest.raises(UsageError, match="close"):
        Indicators(pa.table({"close": ["a", "b"]})).sma(2)


def test_arrow_table_that_says_nothing_of_bars_is_refused():
    """A table without an OHLCV column, or with two of one name, is a slip that is named."""
    with pytest.raises(UsageError, match=r"no column open, high, low, close or volume \(it has BTC, ETH\)"):
        Indicators(pa.table({"BTC": [1.0], "ETH": [1.0]}))
    with pytest.raises(UsageError, match="two columns that read as 'close'"):
        Indicators(pa.table({"close": [1.0], "Close": [1.0]}))
    with pytest.raises(UsageError, match="atr needs high, low, close and the table of close has no high, low"):
        Indicators(pa.table({"close": [1.0]})).atr()


def test_options_hold_for_methods_and_compute(prices):
    """nan, compat and dtype given to the class reach every method, and are checked when it is made."""
    close = prices["close"]
    ind = Indicators(close, nan="hold", compat="tradingview", dtype=np.float32)
    want = indicators.ema(close, 5, nan="hold", compat="tradingview", dtype=np.float32)
    assert want.dtype == np.float32
    assert not np.array_equal(want, indicators.ema(close, 5).astype(np.float32), equal_nan=True)
    np.testing.assert_array_equal(ind.ema(5), want)
    np.testing.assert_array_equal(ind.compute(["ema:5"])["ema:5"], want)
    frame = Indicators(pd.DataFrame(close), dtype="float32").compute(["ema:5", "sma:5"])
    assert set(frame.dtypes) == {np.dtype(np.float32)}
    for wrong, error in (({"nan": "hodl"}, UnknownName), ({"compat": "ta"}, UnknownName), ({"dtype": int}, UsageError)):
        with pytest.raises(error):
            Indicators(close, **wrong)
        with pytest.raises(error):
            compute(close, ["sma"], **wrong)
        with pytest.raises(error):
            indicators.sma(close, **wrong)


def test_specs_may_use_talibs_name(prices):
    """``"kc"`` asks for Keltner's channel under TA-Lib's name, and the results bear what was written."""
    times = prices["time"][:, 0].astype(np.int64)
    panel = Panel(symbols=SYMBOLS, timeframe="1h", time=times, **{name: prices[name] for name in FIELDS})
    made = compute(panel, ["kc:5", "ha", "cvi:3,3"])
    assert list(made)[:3] == ["kc:5.upper", "kc:5.middle", "kc:5.lower"]
    np.testing.assert_array_equal(made["kc:5.upper"], wanted(prices)["keltner:5.upper"])


def test_compute_fills_what_is_given_by_key(prices):
    """out= by key is filled and returned, for all keys or some, whole or for the last rows, in either precision."""
    close = prices["close"]
    specs = ["macd:3,6,2", "sma:5", "rsi:5"]
    for tail, dtype in ((None, np.float64), (7, np.float32)):
        want = compute(close, specs, tail=tail, dtype=dtype)
        out = {key: np.zeros_like(want[key]) for key in ("macd:3,6,2.signal", "rsi:5")}
        made = Indicators(close).compute(specs, tail=tail, out=out, dtype=dtype)
        assert list(made) == list(want)
        for key, array in out.items():
            assert made[key] is array
        for key, array in want.items():
            np.testing.assert_array_equal(made[key], array)


def test_compute_may_fill_over_its_own_input(prices):
    """An out that lies over the data gives what it gives elsewhere."""
    close = prices["close"].copy()
    want = compute(close, ["ema:5", "sma:5"])
    out = {"sma:5": close}
    made = compute(close, ["ema:5", "sma:5"], out=out)
    np.testing.assert_array_equal(made["ema:5"], want["ema:5"])
    np.testing.assert_array_equal(close, want["sma:5"])


def test_compute_into_a_frame_of_ones_own_arrays(alone):
    """With a frame, out= is filled and the result is a frame of the same numbers."""
    frame = pd.DataFrame({name: alone[name] for name in FIELDS})
    out = {"atr:5": np.zeros(60)}
    made = compute(frame, ["atr:5", "rsi:5"], out=out)
    np.testing.assert_array_equal(made["atr:5"].to_numpy(), out["atr:5"])
    assert out["atr:5"][-1] > 0


def test_compute_refuses_an_out_that_does_not_fit(prices):
    """A bare array, a key that was not asked for, a wrong shape or dtype, and two that overlap are named."""
    close = prices["close"]
    shared = np.zeros(close.shape)
    for out, error, part in (
        (np.zeros(close.shape), UsageError, "give a dict of arrays by key"),
        ({"rsi:6": shared}, UnknownName, "rsi:5"),
        ({"rsi:5": np.zeros((59, 3))}, UsageError, r"\(60, 3\)"),
        ({"rsi:5": np.zeros(close.shape, np.float32)}, UsageError, "float64"),
        ({"rsi:5": shared, "sma:5": shared}, UsageError, "share memory"),
    ):
        with pytest.raises(error, match=part):
            compute(close, ["rsi:5", "sma:5"], out=out)
    assert not shared.any()
