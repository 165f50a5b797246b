"""pandas in and out: candles and panels keep every number and moment, and frames that are none are refused."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradeutils import frames
from tradeutils.errors import DataError, TradeutilsError, UnknownName, UsageError
from tradeutils.model import Candles, Panel

START = 1_704_067_200_000  # 2024-01-01
TIME = START + 60_000 * np.arange(4)
ROWS = [[int(t), 1.0 + i, 2.5 + i, 0.5, 1.5 + i, 10.0 * i] for i, t in enumerate(TIME)]
CANDLES = Candles.from_rows(ROWS, timeframe="1m", exchange="binance", symbol="BTC/USDT", now=int(TIME[3]) + 5)
WHAT = {"timeframe": "1m", "exchange": "binance", "symbol": "BTC/USDT"}


def without_index(**columns: Any) -> pd.DataFrame:
    """Return the candles as a frame without times, and these columns beside them."""
    return CANDLES.to_frame().reset_index(drop=True).assign(**columns)


def test_candles_to_frame_keeps_times_prices_and_flags() -> None:
    """The frame has a UTC index of milliseconds named time, float64 prices and bool flags."""
    frame = CANDLES.to_frame()
    assert list(frame.columns) == ["open", "high", "low", "close", "volume", "closed"]
    assert frame.index.name == "time"
    assert str(frame.index.dtype) == "datetime64[ms, UTC]"
    assert frame.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert frame["close"].tolist() == CANDLES.close.tolist()
    assert frame["closed"].tolist() == [True, True, True, False]
    assert set(map(str, frame.dtypes)) == {"float64", "bool"}


def test_frame_is_a_copy_that_can_be_written_to() -> None:
    """Working on the frame leaves the candles as they were."""
    frame = CANDLES.to_frame()
    frame.loc[frame.index[0], "close"] = 99.0
    frame["closed"] = True
    assert CANDLES.close[0] == 1.5
    assert not CANDLES.closed[3]


def test_candles_come_back_from_their_frame() -> None:
    """to_frame and from_frame are inverse, for no candles too."""
    assert Candles.from_frame(CANDLES.to_frame(), **WHAT) == CANDLES
    assert Candles.from_frame(CANDLES[:0].to_frame(), **WHAT) == CANDLES[:0]


def test_panel_to_frame_has_a_column_a_symbol() -> None:
    """One field of a panel: symbols across, times down, NaN where a candle is missing, and a copy."""
    panel = Panel.from_candles({"BTC/USDT": CANDLES, "ETH/USDT": CANDLES[1:]})
    frame = panel.to_frame("high")
    assert list(frame.columns) == ["BTC/USDT", "ETH/USDT"]
    assert frame.index.name == "time"
    assert np.isnan(frame["ETH/USDT"].iloc[0])
    assert frame["ETH/USDT"].tolist()[1:] == CANDLES.high[1:].tolist()
    frame.iloc[0, 0] = 7.0
    assert panel.high[0, 0] == CANDLES.high[0]
    assert panel.to_frame().equals(panel.to_frame("close"))


def test_panel_of_nothing_gives_an_empty_frame() -> None:
    """No symbol and no bar is a frame of no columns and no rows."""
    empty: Any = {name: np.empty((0, 0)) for name in ("open", "high", "low", "close", "volume")}
    frame = Panel(symbols=(), timeframe="1m", time=np.empty(0, np.int64), **empty).to_frame()
    assert frame.shape == (0, 0)


@pytest.mark.parametrize("ask", [Panel.to_frame, frames.panel_to_frame])
def test_unknown_field_names_the_nearest(ask: Any) -> None:
    """A misspelt field is answered with the right one."""
    with pytest.raises(UnknownName, match="did you mean close"):
        ask(Panel.from_candles([CANDLES]), "closed")


TIMES: dict[str, pd.DataFrame] = {
    "utc index": CANDLES.to_frame(),
    "naive index": CANDLES.to_frame().tz_localize(None),
    "index of another zone": CANDLES.to_frame().tz_convert("Asia/Tokyo"),
    "index in nanoseconds": CANDLES.to_frame().set_axis(CANDLES.to_frame().index.as_unit("ns")),
    "column of datetimes": CANDLES.to_frame().reset_index(),
    "column of python datetimes": without_index(date=list(CANDLES.to_frame().index.to_pydatetime())),
    "column of text": without_index(Date=CANDLES.to_frame().index.strftime("%Y-%m-%d %H:%M:%S")),
    "column of ISO text": without_index(datetime=CANDLES.to_frame().index.strftime("%Y-%m-%dT%H:%M:%SZ")),
    "column of text of another zone": without_index(
        datetime=[t.isoformat() for t in CANDLES.to_frame().index.tz_convert("Asia/Tokyo")]
    ),
    "seconds": without_index(timestamp=TIME // 1000),
    "seconds with a fraction": without_index(TIMESTAMP=TIME / 1000),
    "milliseconds": without_index(Time=TIME),
    "milliseconds as floats": without_index(time=TIME.astype(float)),
    "microseconds": without_index(Date=TIME * 1000),
    "nanoseconds": without_index(Datetime=TIME * 1_000_000),
    "ints as objects": without_index(time=pd.Series([int(t) for t in TIME], dtype=object)),
    "unsigned": without_index(time=TIME.astype("u8")),
    "nullable": without_index(time=pd.array(TIME, dtype="Int64")),
    "integer index by name": without_index(timestamp=TIME).set_index("timestamp"),
    "upper case": CANDLES.to_frame().rename(columns=str.upper),
    "spaces": CANDLES.to_frame().rename(columns=lambda name: f" {name.title()} "),
    "other columns beside": CANDLES.to_frame().assign(rsi=5.0, note="x"),
    "times twice, the index counts": CANDLES.to_frame().assign(timestamp=0),
    "object prices": CANDLES.to_frame().assign(close=[Decimal(str(x)) for x in CANDLES.close]),
    "nullable prices": CANDLES.to_frame().astype({"close": "Float64"}),
    "flags as numbers": CANDLES.to_frame().astype({"closed": int}),
    "flags as objects": CANDLES.to_frame().astype({"closed": object}),
    "nullable flags": CANDLES.to_frame().astype({"closed": "boolean"}),
}


@pytest.mark.parametrize("frame", TIMES.values(), ids=TIMES)
def test_frame_is_read_whatever_its_times_are_written_as(frame: pd.DataFrame) -> None:
    """Datetimes of any zone, text, and numbers in any unit give the same milliseconds; no zone is UTC."""
    assert Candles.from_frame(frame, **WHAT) == CANDLES


def test_missing_prices_are_nan_and_flags_default_to_closed() -> None:
    """None, NA and NaN are all NaN; without a column closed every bar is over."""
    frame = CANDLES.to_frame().drop(columns="closed")
    frame["volume"] = pd.array([1, None, 3, 4], dtype="Int64")
    frame["high"] = [1, None, pd.NA, 4]
    read = Candles.from_frame(frame, **WHAT)
    assert read.closed.all()
    assert np.isnan(read.volume).tolist() == [False, True, False, False]
    assert np.isnan(read.high).tolist() == [False, True, True, False]


def test_fractions_of_a_millisecond_are_cut_off() -> None:
    """A moment finer than a millisecond is read as the millisecond it falls in."""
    frame = CANDLES.to_frame()
    frame.index = frame.index.as_unit("ns") + pd.Timedelta(999_999, "ns")
    assert Candles.from_frame(frame, **WHAT) == CANDLES


def test_candles_do_not_change_with_the_frame_they_came_from() -> None:
    """Working on the frame further leaves the candles as they were, whatever pandas does in place."""
    frame = CANDLES.to_frame()
    read = Candles.from_frame(frame, **WHAT)
    frame.loc[frame.index[0], ["open", "close", "closed"]] = [9.0, 9.0, False]
    frame.iloc[:, :5] *= 2
    assert read == CANDLES


FRAME = CANDLES.to_frame()
REFUSED: dict[str, tuple[Any, type[TradeutilsError], str]] = {
    "no frame": ([[1, 2]], UsageError, "frame was a list; give a pandas DataFrame"),
    "a series": (FRAME["close"], UsageError, "frame was a Series"),
    "columns missing": (FRAME[["open", "close"]], DataError, "lacks high, low, volume; rename .* has open, close"),
    "no columns": (pd.DataFrame(), DataError, "it has none"),
    "no times": (without_index(), DataError, "no times: its index is of type RangeIndex"),
    "periods": (FRAME.tz_localize(None).to_period("min"), DataError, "index time had dtype period"),
    "an index of text": (without_index().set_axis(list("abcd")), DataError, "its index is of type Index"),
    "disorder in a column": (
        without_index(Date=TIME[::-1]),
        DataError,
        r"column date: row 1 .* frame.sort_values\('Date'\).drop_duplicates\('Date'",
    ),
    "a column of periods": (without_index(time=pd.period_range("2024", periods=4)), DataError, "dtype period"),
    "a column of flags": (without_index(time=True), DataError, "dtype bool; give datetimes"),
    "words for times": (
        without_index(date=["now", "then", "a", "b"]),
        DataError,
        "column date cannot be read as times",
    ),
    "objects for times": (without_index(date=[object()] * 4), DataError, "column date holds object; give datetimes"),
    "mixed objects": (without_index(date=[*TIME[:3].tolist(), "2024"]), DataError, "column date holds int, str; give"),
    "dates beyond pandas": (without_index(date=["99999-01-01"] * 4), DataError, "column date cannot be read as times"),
    "a time missing": (without_index(time=[TIME[0], None, TIME[2], TIME[3]]), DataError, "time: row 1 has no time"),
    "NaT in the index": (FRAME.set_axis([*FRAME.index[:3], pd.NaT]), DataError, r"index: row 3 has no time \(1 rows"),
    "numbers of no unit": (without_index(time=[0, 1, 2, 3]), DataError, "of no plain unit"),
    "seconds among milliseconds": (without_index(time=[*TIME[:3], START // 1000]), DataError, "in more than one unit"),
    "infinite times": (without_index(time=[np.inf] * 4), DataError, "numbers that are no times"),
    "times beyond 64 bits": (without_index(time=[2.0**63] * 4), DataError, "numbers that are no times"),
    "times beyond unsigned": (without_index(time=np.array([2**63] * 4, dtype="u8")), DataError, "that are no times"),
    "a time twice": (FRAME.iloc[[0, 1, 1, 2]], DataError, r"index: row 2 at .*~frame.index.duplicated\(keep"),
    "disorder": (FRAME[::-1], DataError, "row 1 at 2024-01-01 00:02:00.* does not come after .*sort_index"),
    "a column twice": (FRAME.assign(Close=1.0), UsageError, "two columns that read as 'close'"),
    "a time column twice": (without_index(time=TIME, TIME=TIME), UsageError, "two columns that read as 'time'"),
    "levels": (pd.concat({"BTC": FRAME}, axis=1), UsageError, "2 levels of columns; select one symbol"),
    "prices in words": (FRAME.assign(close="high"), DataError, "column close had dtype .* not numeric"),
    "prices as objects": (FRAME.assign(close=[object()] * 4), DataError, "column close had dtype object"),
    "prices as datetimes": (FRAME.assign(close=FRAME.index), DataError, "column close had dtype datetime64.* numbers"),
    "prices as flags": (FRAME.assign(close=True), DataError, "column close had dtype bool; give numbers"),
    "flags unknown": (FRAME.assign(closed=[True, None, True, True]), DataError, "column closed .* give True or False"),
    "flags of 2": (FRAME.assign(closed=2), DataError, "column closed .* give True or False"),
    "flags in words": (FRAME.assign(closed="no"), DataError, "column closed .* give True or False"),
}


@pytest.mark.parametrize(("frame", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_frame_that_holds_no_candles_is_refused(frame: Any, error: type[TradeutilsError], message: str) -> None:
    """What is wrong is named with its row or column, and what to do about it."""
    with pytest.raises(error, match=message):
        Candles.from_frame(frame, **WHAT)


def test_unknown_timeframe_is_named() -> None:
    """A timeframe that is none is refused as anywhere else."""
    with pytest.raises(UnknownName, match="timeframe was '7q'"):
        Candles.from_frame(FRAME, timeframe="7q")


def test_frames_and_series_are_told_apart() -> None:
    """The indicators take arrays, frames and series, and ask which they hold."""
    assert frames.is_frame(FRAME)
    assert not frames.is_frame(FRAME["close"])
    assert frames.is_series(FRAME["close"])
    assert not any(map(frames.is_series, (FRAME, CANDLES.close, None, [1.0])))


def test_asking_does_not_load_pandas() -> None:
    """A program without pandas is not made to wait for it by the question whether it holds a frame."""
    script = """
import sys
from tradeutils import frames
assert not frames.is_frame([]) and not frames.is_series([])
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == "False\n"


def test_columns_are_the_numbers_by_name() -> None:
    """Numeric columns as contiguous float64; OHLCV in lower case, the rest by their own names, others left out."""
    frame = pd.DataFrame(
        {"Close": [1, 2], "RSI": [0.5, None], "closed": [True, False], "note": ["a", "b"], 7: [1, None]}
    ).astype({7: "Int8"})
    found = frames.columns(frame)
    assert list(found) == ["close", "RSI", "7"]
    assert all(array.dtype == np.float64 and array.flags.c_contiguous for array in found.values())
    assert found["close"].tolist() == [1.0, 2.0]
    assert np.isnan(found["7"]).tolist() == [False, True]
    wide = pd.DataFrame(np.arange(12.0).reshape(3, 4))
    assert all(array.flags.c_contiguous for array in frames.columns(wide).values())


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pd.DataFrame({"close": [1.0], "CLOSE": [2.0]}), UsageError, "two columns that read as 'close'"),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), UsageError, "two columns that read as 'a'"),
        (pd.DataFrame({"high": ["x"]}), DataError, "column high"),
        (pd.concat({"BTC": FRAME}, axis=1), UsageError, "2 levels of columns"),
    ],
)
def test_columns_that_are_not_clear_are_refused(frame: Any, error: type[TradeutilsError], message: str) -> None:
    """Two columns of one name, or prices that are no numbers, are refused rather than guessed at."""
    with pytest.raises(error, match=message):
        frames.columns(frame)


def test_arrays_come_back_on_the_index_of_the_frame() -> None:
    """Results have the rows of the frame, or its last ones; tuple names make levels; whole numbers stay whole."""
    made = frames.like(FRAME, {"rsi": np.arange(4.0), "sma": np.ones(4)})
    assert made.index.equals(FRAME.index)
    assert list(made.columns) == ["rsi", "sma"]
    assert made["rsi"].tolist() == [0.0, 1.0, 2.0, 3.0]
    last = frames.like(FRAME, {"rsi": np.arange(2.0)})
    assert last.index.equals(FRAME.index[-2:])
    levels = frames.like(FRAME, {("rsi:14", "BTC"): np.zeros(4), "alone": np.ones(4)})
    assert levels.columns.tolist() == [("rsi:14", "BTC"), ("alone", "")]
    patterns = frames.like(FRAME, {"doji": np.array([0, 100, 0, -100])})
    assert patterns["doji"].dtype == np.int64
    assert frames.like(FRAME, {}).shape == (4, 0)
    assert frames.like(FRAME[:0], {"rsi": np.empty(0)}).shape == (0, 1)


def test_arrays_are_not_tied_to_the_frame_made_of_them() -> None:
    """A cached result is not changed by who works on the frame."""
    array = np.arange(4.0)
    made = frames.like(FRAME, {"rsi": array})
    made.iloc[0, 0] = 9.0
    assert array[0] == 0.0


@pytest.mark.parametrize(
    "arrays", [{"a": np.zeros(5)}, {"a": np.zeros(4), "b": np.zeros(3)}, {"a": np.zeros((4, 1))}, {"a": np.array(1.0)}]
)
def test_arrays_that_do_not_fit_the_frame_are_refused(arrays: Any) -> None:
    """Longer than the frame, of different lengths, or of more axes than one."""
    with pytest.raises(UsageError, match="the frame 4 rows; give arrays of one length"):
        frames.like(FRAME, arrays)


def test_array_comes_back_as_a_series() -> None:
    """The result of an indicator on a series has its index and name, or its last rows."""
    series = FRAME["close"]
    made = frames.series_like(series, np.arange(4.0))
    assert made.index.equals(series.index)
    assert made.name == "close"
    assert frames.series_like(series, np.arange(3.0)).index.equals(series.index[1:])
    assert frames.series_like(series, np.empty(0)).empty
    for wrong in (np.zeros(5), np.zeros((4, 1))):
        with pytest.raises(UsageError, match="one value a row"):
            frames.series_like(series, wrong)


def test_nothing_else_is_taken_apart() -> None:
    """What is not of pandas is left to others, and parts that are none are refused."""
    assert frames.take_apart(dt.date(2024, 1, 1)) is None
    assert frames.take_apart(pd.Categorical(["a"])) is None
    with pytest.raises(DataError, match="nothing of pandas"):
        frames.put_together(["tree"], [], [].append)
    with pytest.raises(DataError, match="no column"):
        frames.put_together(["series", ["range", 0, 1, 1, None], ["tree"], None, None], [], [].append)
    with pytest.raises(DataError, match="no index"):
        frames.put_together(["index", ["tree"]], [], [].append)
