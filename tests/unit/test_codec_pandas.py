"""What pandas holds comes back as it was, or is refused by name; held to pandas' own exact comparison."""

from __future__ import annotations

import datetime as dt
import math
import sys
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from equality import same

from tradeutils import codec
from tradeutils.errors import CodecError
from tradeutils.frames import _parts

MINUTES = pd.date_range("2026-03-29", periods=4, freq="30min", tz="Europe/Amsterdam", name="t")
FLOATS = pd.DataFrame({"a": [1.0, math.nan], "b": [-0.0, math.inf]})
MIXED = pd.DataFrame(
    {
        "price": [1.0, math.nan, math.inf, -0.0],
        "closed": [True, False, True, True],
        "count": np.array([1, 2, 3, 4], dtype="u2"),
        "volume": np.array([1, 2, 3, 4], dtype="f4"),
        "name": ["a", None, "é", ""],
        "when": MINUTES.tz_convert("UTC"),
        "naive": MINUTES.tz_localize(None),
        "took": pd.to_timedelta([1, 2, 3, None], unit="s"),
        "orders": pd.array([1, None, 2**62, -1], dtype="Int64"),
        "ratio": pd.array([1.5, None, 0.0, -1.0], dtype="Float32"),
        "maker": pd.array([True, None, False, True], dtype="boolean"),
        "text": pd.array(["x", None, "", "z"], dtype="string"),
        "money": [Decimal("1.10"), None, (1, 2), {"a": pd.NaT}],
    },
    index=MINUTES,
)
INDEXES: list[pd.Index[Any]] = [
    pd.RangeIndex(3), pd.RangeIndex(5, 50, 7, name="r"), pd.Index([1, 5, 2]), pd.Index([1.5, math.nan]),
    pd.Index(["a", "b"]), pd.Index(["a", "b"], dtype=object, name=("x", 1)), pd.Index([], dtype=object), pd.Index([]),
    pd.Index([1, "a", None], dtype=object), pd.Index([True, False]), pd.Index(["a", None]),
    pd.Index([], dtype="string"), pd.Index(["a", "b"], dtype="string"),
    pd.Index([1, None], dtype="Int64"), pd.Index([dt.date(2026, 1, 1)]), MINUTES,
    MINUTES.tz_localize(None), MINUTES.as_unit("ns"), MINUTES.as_unit("s")[::2], MINUTES[[0, 3]], MINUTES[:0],
    pd.DatetimeIndex(["2026-01-01", pd.NaT], tz="UTC"), pd.date_range("2026", periods=3, freq="MS", tz=dt.UTC),
    pd.date_range("2026", periods=3, tz=dt.timezone(dt.timedelta(hours=2))), pd.to_timedelta([1, 2], unit="h"),
    pd.date_range("2026", periods=2, tz=zoneinfo.ZoneInfo("UTC")), pd.timedelta_range("1h", periods=3, name="d"),
    pd.MultiIndex.from_product([["rsi:14", "ema:20"], ["BTC/USDT", "ETH/USDT"]], names=["indicator", None]),
    pd.MultiIndex.from_arrays([MINUTES, [1, 1, 2, 2]]), pd.MultiIndex.from_tuples([(1, "a"), (2, None)]),
    pd.Index([f"S{i}" for i in range(2000)], name="symbol"),
]  # fmt: skip


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: f"{type(index).__name__} {index.dtype} {len(index)}")
def test_index_comes_back_as_it_was(index: pd.Index[Any]) -> None:
    """Class, dtype, unit, zone, freq and names survive, as an index of its own, of a series, of rows and of columns."""
    read = codec.loads(codec.dumps(index))
    assert same(read, index)
    assert getattr(read, "freq", None) == getattr(index, "freq", None)
    assert read.names == index.names
    series = pd.Series(range(len(index)), index=index, name="s")
    assert same(codec.loads(codec.dumps(series)), series)
    assert same(codec.loads(codec.dumps(series.to_frame())), series.to_frame())
    assert same(codec.loads(codec.dumps(series.to_frame().T)), series.to_frame().T)


FRAMES: dict[str, pd.DataFrame] = {
    "mixed": MIXED,
    "mixed in disorder": MIXED[list(MIXED)[::-1]],
    "interleaved": pd.concat([MIXED[["price", "closed", "count"]]] * 2, axis=1).iloc[:, [0, 1, 3, 4, 2, 5]],
    "forty columns of two dtypes": pd.DataFrame({i: [float(i)] if i % 2 else [i] for i in range(40)}),
    "forty columns of text": pd.DataFrame({str(i): ["x"] for i in range(40)}),
    "forty columns of times": pd.DataFrame({str(i): MINUTES for i in range(40)}),
    "one dtype": FLOATS,
    "transposed": FLOATS.T,
    "rows of one array": pd.DataFrame(np.arange(12.0).reshape(3, 4)),
    "every second row": pd.DataFrame(np.arange(24.0).reshape(6, 4))[::2],
    "flags alone": pd.DataFrame({"a": [True], "b": [False]}),
    "complex numbers": pd.DataFrame({"a": [1j]}),
    "a column twice": pd.DataFrame([[1, 2.0]], columns=["a", "a"]),
    "no rows": MIXED.iloc[:0],
    "no columns": MIXED.iloc[:, :0],
    "nothing": pd.DataFrame(),
    "of indicators": pd.DataFrame(np.arange(4.0).reshape(1, 4), columns=INDEXES[-4]),
    "text kept as objects": pd.DataFrame({"a": ["x", None], "b": [1.0, 2.0], "c": ["y", "z"]}, dtype=object),
    "objects among others": pd.DataFrame({"a": pd.Series(["x", None], dtype=object), "b": [1.0, 2.0]}),
    "with attrs": pd.DataFrame({"a": [1]}),
    "wide": pd.DataFrame(np.arange(1200.0).reshape(2, 600), columns=[f"S{i}" for i in range(600)]),
}
FRAMES["with attrs"].attrs = {"venue": "binance", "fee": Decimal("0.1")}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frame_comes_back_as_it_was(frame: pd.DataFrame) -> None:
    """Dtypes, labels, times, missing values and attrs survive; so does every column on its own."""
    assert same(codec.loads(codec.dumps(frame)), frame)
    assert same(codec.loads(codec.dumps([frame, (frame,)])), [frame, (frame,)])
    for at in range(min(frame.shape[1], 13)):
        column = frame.iloc[:, at]
        assert same(codec.loads(codec.dumps({"a": column})), {"a": column})


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frame_comes_back_where_pandas_cannot_take_blocks(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas 2 lacks the way in that takes blocks as they are; the other way gives the same frames."""
    monkeypatch.setitem(sys.modules, "pandas.api.internals", None)
    assert same(codec.loads(codec.dumps(frame)), frame)


def test_decoded_frame_is_one_block_that_can_be_written_to() -> None:
    """What is read can be worked on: values are the frame's own, and columns can be added and changed."""
    frame = codec.loads(codec.dumps(MIXED))
    frame.loc[frame.index[0], "price"] = 7.0
    frame["closed"] &= False
    frame["new"] = 1
    frame.columns.name = "fields"
    assert frame["price"].iloc[0] == 7.0
    again = codec.loads(codec.dumps(MIXED))
    assert again.columns.name is None
    assert same(again, MIXED)


def test_columns_of_one_frame_do_not_leak_into_another() -> None:
    """The labels kept from one frame to the next are shared, and renaming those of one leaves the others."""
    first, second = (codec.loads(codec.dumps(FLOATS)) for _ in range(2))
    first.columns.name = "changed"
    assert second.columns.name is None
    assert codec.loads(codec.dumps(FLOATS)).columns.name is None


@pytest.mark.parametrize(
    "value",
    [
        pd.Timestamp("2026-10-25 00:30", tz="UTC").tz_convert("Europe/Amsterdam"),
        pd.Timestamp("2026-10-25 01:30", tz="UTC").tz_convert("Europe/Amsterdam"),
        pd.Timestamp("2026-01-01").as_unit("ns"),
        pd.Timestamp(2**62),
        pd.Timestamp.min,
        pd.Timedelta(-5, "s"),
        pd.Timedelta("1ns"),
        pd.NaT,
        pd.NA,
    ],
    ids=repr,
)
def test_scalar_comes_back_as_it_was(value: Any) -> None:
    """A row label or a missing value taken out of a frame is kept like the rest."""
    assert same(codec.loads(codec.dumps({"a": [value]})), {"a": [value]})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (pd.DataFrame({"a": [1], "side": pd.Categorical(["buy"])}), r'value\["side"\] .* dtype category'),
        (pd.Series(pd.Categorical(["buy"])), "dtype category"),
        (pd.Series(pd.period_range("2026", periods=1)), "dtype period"),
        (pd.Series([1], index=pd.CategoricalIndex(["a"], name="k")), "index k has dtype category"),
        (pd.Series(pd.arrays.SparseArray([0, 1])), "dtype Sparse"),
        (pd.Series([1], dtype="int64[pyarrow]"), "dtype int64"),
        (pd.Series([pd.Interval(0, 1)]), "dtype interval"),
        (pd.DataFrame({"a": [object()]}), r'value\["a"\].iloc\[0\] was object'),
        (pd.Series([1, len]), r"value.iloc\[1\] was builtin_function"),
        (pd.Categorical(["a"]), "value was pandas.Categorical"),
        (pd.Period("2026"), "not kept"),
        (pd.date_range("2026", periods=1, tz="dateutil/Europe/Amsterdam"), "is not kept; use zoneinfo"),
        ({"x": pd.DataFrame({"a": [1]}, index=pd.Index([len]))}, "not kept"),
        (pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False), "flags are not kept; call set_flags"),
        (pd.Series([1]).set_flags(allows_duplicate_labels=False), "flags are not kept; call set_flags"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_not_kept_is_named(value: Any, message: str) -> None:
    """Columns of a kind that is not kept are an error before anything is stored, and say which."""
    with pytest.raises(CodecError, match=message):
        codec.dumps(value)


FREQS: list[Any] = [
    pd.DateOffset(months=1, days=2), pd.DateOffset(months=1), pd.offsets.CustomBusinessDay(holidays=["2026-01-05"]),
    pd.offsets.CustomBusinessDay(holidays=["2030-01-01"]), pd.offsets.BusinessHour(start="09:30", end="16:00"),
    pd.offsets.CustomBusinessDay(weekmask="Mon Tue Wed Thu Fri Sat"), pd.offsets.Week(),
]  # fmt: skip


@pytest.mark.parametrize("freq", FREQS, ids=repr)
def test_freq_that_its_text_does_not_tell_is_refused(freq: Any) -> None:
    """Holidays, hours and months with days would be lost or unreadable: the index is named, and what to do."""
    index = pd.date_range("2026-01-01", periods=5, freq=freq, name="t")
    for value in (index, pd.Series(range(5), index=index)):
        with pytest.raises(CodecError, match=r"index t has freq .* set index\.freq = None first"):
            codec.dumps(value)
    index.freq = None
    assert same(codec.loads(codec.dumps(index)), index)


@pytest.mark.parametrize("freq", ["W-WED", "MS", "QE-FEB", "15min", "B", "bh", "C", "WOM-3FRI", "D"])
def test_freq_that_its_text_tells_comes_back(freq: str) -> None:
    """The freq of a decoded index equals the one that was stored."""
    index = pd.date_range("2026-01-01", periods=5, freq=freq)
    assert codec.loads(codec.dumps(index)).freq == index.freq


def test_zone_of_pytz_comes_back_as_zoneinfo() -> None:
    """pandas 2 hands out zones of pytz, which say their name in ``zone``: the standard library's is kept instead."""

    class Zone(dt.tzinfo):
        def __init__(self, zone: str) -> None:
            self.zone = zone

    assert _parts._zone(Zone("Europe/Amsterdam")) is zoneinfo.ZoneInfo("Europe/Amsterdam")
    assert _parts._zone(Zone("UTC")) is dt.UTC
