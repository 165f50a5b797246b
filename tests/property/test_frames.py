"""Any candles and panels go through a frame and come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tradeutils import frames
from tradeutils.errors import TradeutilsError
from tradeutils.model import Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS

# As far as nanoseconds reach: pandas works in them wherever it is not told otherwise.
moments = st.integers(-9_000_000_000_000, 9_000_000_000_000)


@st.composite
def candles(draw: st.DrawFn) -> Candles:
    """Up to 30 bars, off the grid too, with NaN, infinities and any flags."""
    time = np.array(sorted(draw(st.sets(moments, max_size=30))), np.int64)
    columns = draw(hnp.arrays(np.float64, (5, len(time))))
    closed = draw(hnp.arrays(np.bool_, len(time)))
    return Candles(timeframe="1m", time=time, closed=closed, **dict(zip(PRICE_FIELDS, columns, strict=True)))


@given(candles(), st.sampled_from(["UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata", None]))
@settings(deadline=None)
def test_candles_come_back_from_a_frame_in_any_zone(one: Candles, zone: str | None) -> None:
    """Through an index of any zone, and through a column, no bit is lost."""
    frame = one.to_frame().tz_convert(zone)
    assert Candles.from_frame(frame, timeframe="1m") == one
    if len(one):
        assert Candles.from_frame(frame.rename_axis("date").reset_index(), timeframe="1m") == one


@given(
    st.sets(st.integers(100_000_000, 9_000_000_000), min_size=1, max_size=20), st.sampled_from(["s", "ms", "us", "ns"])
)
@settings(deadline=None)
def test_unit_of_numbers_is_found(seconds: set[int], unit: str) -> None:
    """Times from 1973 to 2255 are read alike in any unit."""
    time = np.array(sorted(seconds)) * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    frame = pd.DataFrame(dict.fromkeys(PRICE_FIELDS, 1.0) | {"timestamp": time})
    assert Candles.from_frame(frame, timeframe="1s").time.tolist() == [second * 1000 for second in sorted(seconds)]


@given(st.lists(candles(), min_size=1, max_size=4), st.sampled_from(PRICE_FIELDS))
@settings(deadline=None)
def test_panel_gives_a_frame_of_its_numbers(several: list[Candles], field: str) -> None:
    """Every number of the field stands in the frame, under its symbol and at its time."""
    panel = Panel.from_candles({f"S{i}": one for i, one in enumerate(several)})
    frame = panel.to_frame(field)
    assert tuple(frame.columns) == panel.symbols
    assert frame.index.as_unit("ms").asi8.tolist() == panel.time.tolist()
    np.testing.assert_array_equal(frame.to_numpy(), getattr(panel, field))


cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes(), st.just(pd.NaT)
)


@given(st.data(), st.sampled_from(["time", "date", "close", "closed"]))
@settings(deadline=None, max_examples=300)
def test_frame_of_anything_is_read_or_refused(data: st.DataObject, column: str) -> None:
    """A column of any values gives candles or one of our own errors, never one of pandas."""
    frame: Any = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in PRICE_FIELDS})
    if column.startswith("clos"):
        frame.index = pd.date_range("2024", periods=3, tz="UTC")
    values = data.draw(st.lists(cells, min_size=3, max_size=3))
    frame[column] = pd.Series(values, dtype=data.draw(st.sampled_from([None, object]))).to_numpy()
    try:
        read = Candles.from_frame(frame, timeframe="1d")
    except TradeutilsError:
        return
    assert len(read) == 3
    frames.columns(frame)


@given(hnp.arrays(np.float64, (3, 8)), st.integers(0, 8))
@settings(deadline=None)
def test_arrays_stand_on_the_last_rows(arrays: Any, rows: int) -> None:
    """However many rows a result has, they are the last ones of the frame."""
    frame = pd.DataFrame({"close": np.arange(8.0)}, index=pd.date_range("2024", periods=8))
    made = frames.like(frame, {"a": arrays[0][:rows], "b": arrays[1][:rows]})
    assert made.index.equals(frame.index[8 - rows :])
    np.testing.assert_array_equal(made["b"].to_numpy(), arrays[1][:rows])
    assert frames.series_like(frame["close"], arrays[2][:rows]).index.equals(made.index)
    with pytest.raises(TradeutilsError):
        frames.like(frame[1:], {"a": arrays[0]})
