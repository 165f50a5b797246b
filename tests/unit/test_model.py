"""The values that travel are what they claim to be, cannot change under their readers, and say what was wrong."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import pickle
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tradeutils.errors import DataError, TradeutilsError, UnknownName, UsageError
from tradeutils.model import AssetBalance, Balance, Bars, Candles, Gap, Market, Order, OrderBook, Panel, Ticker, Trade
from tradeutils.timeframe import to_ms

MINUTE = 60_000
FIELDS = ("open", "high", "low", "close", "volume")


def candles(*bars: int, timeframe: str = "1m", closed: Any = None, symbol: str = "BTC/USDT", **columns: Any) -> Candles:
    """Return candles of these bars, numbered from 1970, each a little dearer than the one before."""
    time = np.array(bars, dtype=np.int64) * MINUTE
    made = {name: np.arange(len(bars), dtype=float) + i for i, name in enumerate(FIELDS, 1)} | columns
    return Candles(exchange="binance", symbol=symbol, timeframe=timeframe, time=time, closed=closed, **made)


def test_columns_cannot_change_under_their_readers() -> None:
    """What could still be written to is copied, what is read-only is not; neither can be written to through candles."""
    close, volume = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    volume.flags.writeable = False
    made = candles(0, 1, close=close, volume=volume)
    close[0] = 99.0
    assert made.close.tolist() == [1.0, 2.0]
    assert np.shares_memory(made.volume, volume)
    for name in ("time", *FIELDS, "closed"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, name)[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.close = close  # type: ignore[misc]


def test_columns_of_other_kinds_become_the_right_ones() -> None:
    """Lists, ints, text, None, datetimes and other byte orders are read; closed is true unless told otherwise."""
    made = Candles(
        timeframe="60m",
        time=np.array(["2024-01-01T00:00", "2024-01-01T01:00"], dtype="M8[s]"),  # type: ignore[arg-type]
        open=[1, 2],  # type: ignore[arg-type]
        high=np.array([1, 2], dtype=">f4"),  # type: ignore[arg-type]
        low=["1.5", "2"],  # type: ignore[arg-type]
        close=[None, Decimal("2.5")],  # type: ignore[arg-type]
        volume=np.arange(4.0)[::2],
        closed=[1, 0],  # type: ignore[arg-type]
    )
    assert made.time.tolist() == [1_704_067_200_000, 1_704_070_800_000]
    assert [getattr(made, name).dtype for name in FIELDS] == [np.float64] * 5
    assert math.isnan(made.close[0])
    assert made.closed.tolist() == [True, False]
    assert all(getattr(made, name).flags.c_contiguous for name in FIELDS)
    assert candles(0, 1).closed.all()
    assert made.timeframe == "1h"


REFUSED: dict[str, tuple[dict[str, Any], type[TradeutilsError], str]] = {
    "a column too short": ({"close": [1.0]}, UsageError, "close had 1 rows and time 2"),
    "flags too many": ({"closed": [True] * 3}, UsageError, "closed had 3 rows and time 2"),
    "two axes": ({"high": np.ones((2, 1))}, UsageError, r"high had shape \(2, 1\); give \(T,\)"),
    "a single number": ({"high": 1.0}, UsageError, r"high had shape \(\); give \(T,\)"),
    "words": ({"low": ["a", "b"]}, UsageError, "low cannot be read as float64"),
    "ragged": ({"low": [[1], [1, 2]]}, UsageError, "low cannot be read as float64"),
    "objects": ({"low": [object(), 1]}, UsageError, "low cannot be read as float64"),
    "complex numbers": ({"open": [1j, 2]}, UsageError, "open had dtype complex128"),
    "times for prices": ({"open": np.zeros(2, "M8[s]")}, UsageError, "open had dtype datetime64"),
    "flags in words": ({"closed": ["False", "True"]}, UsageError, "closed had dtype <U5; write True or False"),
    "flags of 2": ({"closed": [2, 1]}, UsageError, "closed had dtype int64; write True or False"),
    "flags unknown": ({"closed": [True, None]}, UsageError, "closed had dtype object; write True or False"),
    "times as floats": ({"time": [0.0, 1.0]}, UsageError, "time had dtype float64; write int64 milliseconds"),
    "times as flags": ({"time": [False, True]}, UsageError, "time had dtype bool"),
    "times beyond 64 bits": ({"time": np.array([0, 2**63], "u8")}, UsageError, "time had dtype uint64"),
    "times far beyond": ({"time": [0, 2**70]}, UsageError, "time had dtype object"),
    "a time missing": ({"time": np.array(["NaT", "2024"], "M8[ms]")}, UsageError, r"^time .*NaT.* row 0"),
    "times that fall": ({"time": [5, 4]}, DataError, "binance BTC/USDT 1m: row 1 opens at 4, not after row 0 at 5"),
    "a time twice": ({"time": [5, 5]}, DataError, "drop duplicates, or build with Candles.from_rows"),
    "no timeframe": ({"timeframe": "1x"}, UnknownName, "timeframe was '1x'"),
}


@pytest.mark.parametrize(("change", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_candles_that_cannot_be_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    """The column and what it was are named; nothing is turned into something else in silence."""
    columns: Any = {"time": [0, 1], "timeframe": "1m", **{name: [1.0, 2.0] for name in FIELDS}, **change}
    with pytest.raises(error, match=message):
        Candles(exchange="binance", symbol="BTC/USDT", **columns)


def test_candles_without_a_name_say_what_they_are_when_refused() -> None:
    """The message makes sense for candles of unknown origin."""
    with pytest.raises(DataError, match=r"^1m: row 1"):
        Candles(timeframe="1m", time=[1, 1], **{name: [1.0, 1.0] for name in FIELDS})  # type: ignore[arg-type]


def test_candles_compare_by_value() -> None:
    """NaN equals NaN; a number, a flag, a name or a type that differs makes them differ."""
    one = candles(0, 1, volume=[math.nan, 1.0])
    assert one == candles(0, 1, volume=[math.nan, 1.0])
    assert one != candles(0, 1)
    assert one != candles(0, 2, volume=[math.nan, 1.0])
    assert one != candles(0, 1, volume=[math.nan, 1.0], closed=[True, False])
    assert one != candles(0, 1, volume=[math.nan, 1.0], symbol="ETH/USDT")
    assert one != "candles"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_candles_say_what_they_are_in_short() -> None:
    """The repr of a million candles is one line."""
    assert repr(candles(0, 1)) == "<Candles binance BTC/USDT 1m: 2 bars from 1970-01-01T00:00 to 1970-01-01T00:01 UTC>"
    assert repr(candles()) == "<Candles binance BTC/USDT 1m: 0 bars>"


def test_rows_are_cut_out_by_slices() -> None:
    """Slices give candles whose columns are views; single rows and backward steps are refused."""
    whole = candles(*range(10))
    assert whole[-3:].time.tolist() == [7 * MINUTE, 8 * MINUTE, 9 * MINUTE]
    assert whole[::4].close.tolist() == whole.close[::4].tolist()
    assert len(whole[20:]) == 0
    assert whole[:] == whole
    assert np.shares_memory(whole[2:5].close, whole.close)
    for wrong in (0, "close", (1, 2)):
        with pytest.raises(UsageError, match="slice candles, as in"):
            whole[wrong]  # type: ignore[index]
    for step in (-1, 0):
        with pytest.raises(UsageError, match=f"step of the slice was {step}"):
            whole[::step]


def test_between_takes_since_and_leaves_until() -> None:
    """since is inclusive, until exclusive, None open, in milliseconds or datetimes; nothing in reverse."""
    whole = candles(*range(10))
    noon = dt.datetime(1970, 1, 1, 0, 4, tzinfo=dt.UTC)
    assert whole.between(noon, 6 * MINUTE).time.tolist() == [4 * MINUTE, 5 * MINUTE]
    assert whole.between(until=noon).time[-1] == 3 * MINUTE
    assert whole.between(since=noon).time[0] == 4 * MINUTE
    assert whole.between() == whole
    assert len(whole.between(6 * MINUTE, noon)) == 0
    with pytest.raises(UsageError, match=r"^until was"):
        whole.between(until=dt.datetime(2024, 1, 1))  # noqa: DTZ001  # what is refused


def test_only_closed_leaves_bars_that_were_forming() -> None:
    """A forming bar is dropped wherever it is; where there is none nothing is copied."""
    whole = candles(0, 1, 2)
    assert whole.only_closed() is whole
    assert candles(0, 1, 2, closed=[True, False, True]).only_closed().time.tolist() == [0, 2 * MINUTE]


def test_flags_can_be_replaced() -> None:
    """Who knows better which bars are over says so; prices and times stay."""
    made = candles(0, 1).with_closed([True, False])
    assert made.closed.tolist() == [True, False]
    assert made.with_closed(np.ones(2, bool)) == candles(0, 1)
    with pytest.raises(UsageError, match="closed had 1 rows"):
        made.with_closed([True])


def test_gaps_are_what_is_missing_between_the_bars() -> None:
    """Each hole with its first and last moment and its number of bars; a bar off the grid fills its own."""
    assert candles(0, 1, 4, 5, 9).gaps() == (Gap(2 * MINUTE, 4 * MINUTE, 2), Gap(6 * MINUTE, 9 * MINUTE, 3))
    assert candles(0, 1, 2).gaps() == ()
    assert candles(7).gaps() == candles().gaps() == ()
    off = Candles(timeframe="1m", time=[5, MINUTE + 9, 3 * MINUTE], **{n: [1.0] * 3 for n in FIELDS})  # type: ignore[arg-type]
    assert off.gaps() == (Gap(2 * MINUTE, 3 * MINUTE, 1),)


def test_gaps_of_months_are_counted_in_months() -> None:
    """Months differ in length; a missing February is one bar."""
    day = 86_400_000
    time = [0, 59 * day, 90 * day]  # January, March, April 1970
    made = Candles(timeframe="1M", time=time, **{n: [1.0] * 3 for n in FIELDS})  # type: ignore[arg-type]
    assert made.gaps() == (Gap(31 * day, 59 * day, 1),)


def test_bars_are_resampled_by_hand() -> None:
    """Open first, high highest, low lowest, close last, volume summed; the last bar is not over."""
    made = candles(
        *range(4, 12), high=[5, 9, 6, 7, 8, 1, 2, 3], low=[3, 2, 4, 1, 5, 6, 7, 0.5], volume=[1, 2, 3, 4, 5, 6, 7, 8]
    ).resample("5m")
    assert made.timeframe == "5m"
    assert (made.exchange, made.symbol) == ("binance", "BTC/USDT")
    assert made.time.tolist() == [0, 5 * MINUTE, 10 * MINUTE]
    assert made.open.tolist() == [1.0, 2.0, 7.0]
    assert made.high.tolist() == [5.0, 9.0, 3.0]
    assert made.low.tolist() == [3.0, 1.0, 0.5]
    assert made.close.tolist() == [4.0, 9.0, 11.0]
    assert made.volume.tolist() == [1.0, 20.0, 15.0]
    assert made.closed.tolist() == [True, True, False]


def test_partial_bars_are_dropped_on_request() -> None:
    """A first bar of which the beginning is missing, and a last one that is not over."""
    made = candles(*range(4, 12)).resample("5m", partial=False)
    assert made.time.tolist() == [5 * MINUTE]
    assert candles(*range(10)).resample("5m", partial=False).time.tolist() == [0, 5 * MINUTE]
    assert len(candles(1, 2).resample("5m", partial=False)) == 0
    assert len(candles(1, 9).resample("5m", partial=False)) == 1


def test_resampled_bar_is_closed_once_a_later_candle_proves_it() -> None:
    """Bars nobody traded at the end of an hour do not keep the hour open; a forming candle does."""
    assert candles(0, 7).resample("5m").closed.tolist() == [True, False]
    assert candles(0, 4).resample("5m").closed.tolist() == [True]
    assert candles(0, 4, closed=[True, False]).resample("5m").closed.tolist() == [False]
    assert candles(0, 4, 5, closed=[True, False, True]).resample("5m").closed.tolist() == [False, False]


def test_resampling_handles_nothing_and_the_same_timeframe() -> None:
    """No candles stay none; the same timeframe gives the same bars."""
    assert candles().resample("1h") == candles(timeframe="1h")
    assert candles(0, 1, 5).resample("1m") == candles(0, 1, 5)
    daily = Candles(timeframe="1d", time=[0, 31 * 86_400_000], **{n: [1.0, 2.0] for n in FIELDS})  # type: ignore[arg-type]
    assert daily.resample("1M").time.tolist() == [0, 31 * 86_400_000]


@pytest.mark.parametrize("coarse", ["1s", "90s", "7s"])
def test_timeframe_not_made_of_whole_bars_is_refused(coarse: str) -> None:
    """Only multiples can be made of candles."""
    with pytest.raises(UsageError, match="1m candles make up only multiples of 1m"):
        candles(0).resample(coarse)


def test_candles_without_a_price_are_left_out_of_a_bar() -> None:
    """An unknown price says nothing of the bar; an unknown volume makes the sum unknown."""
    made = candles(0, 1, 2, 5, high=[math.nan, 2, 3, 9], low=[1, 1, 0.5, 8], volume=[1, 2, math.nan, 4]).resample("5m")
    assert made.time.tolist() == [0, 5 * MINUTE]
    assert made.open.tolist() == [2.0, 4.0]
    assert made.high.tolist() == [3.0, 9.0]
    assert made.low.tolist() == [0.5, 8.0]
    assert math.isnan(made.volume[0])
    assert made.volume[1] == 4.0


def test_rows_of_a_venue_become_candles() -> None:
    """Sorted by time, the last of two rows of one time wins, None is NaN, text is read, more columns are left out."""
    rows = [
        [2 * MINUTE, 1, 2, 0.5, 1.5, None],
        [0, "1.25", 2, 0.5, 1.5, 7, "more"],
        [2 * MINUTE, 9, 9, 9, 9, 9],
        [MINUTE, 1, 2, 0.5, 1.5, 0],
    ]
    made = Candles.from_rows(iter(rows), timeframe="1m", exchange="kraken", symbol="BTC/EUR")
    assert made.time.tolist() == [0, MINUTE, 2 * MINUTE]
    assert made.open.tolist() == [1.25, 1.0, 9.0]
    assert made.closed.all()
    assert (made.exchange, made.symbol) == ("kraken", "BTC/EUR")
    assert math.isnan(Candles.from_rows(rows[:1], timeframe="1m").volume[0])
    assert Candles.from_rows(np.array([[0, 1, 2, 3, 4, 5.0]]), timeframe="1m").close.tolist() == [4.0]  # type: ignore[arg-type]
    assert len(Candles.from_rows([], timeframe="1m")) == 0


def test_rows_are_closed_by_the_moment_of_the_request() -> None:
    """A bar is over when the next one opens, to the millisecond; months by the calendar."""
    rows = [[i * MINUTE, 1, 1, 1, 1, 1] for i in range(3)]
    for now, closed in ((3 * MINUTE, [True] * 3), (3 * MINUTE - 1, [True, True, False]), (0, [False] * 3)):
        assert Candles.from_rows(rows, timeframe="1m", now=now).closed.tolist() == closed
    february, march = (dt.datetime(2024, month, 1, tzinfo=dt.UTC) for month in (2, 3))
    month = [[to_ms(february), 1, 1, 1, 1, 1]]
    assert not Candles.from_rows(month, timeframe="1M", now=to_ms(march) - 1).closed[0]
    assert Candles.from_rows(month, timeframe="1M", now=march).closed[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5]], r"row 1 was \[1, 2, 3, 4, 5\]; write numbers"),
        ([[1, 2, 3], [4, 5, 6]], r"row 0 was \[1, 2, 3\]"),
        ([[0, "a", 2, 3, 4, 5]], "row 0 was"),
        ([[0, 1, 2, 3, 4, [5]]], "row 0 was"),
        ([5], "row 0 was 5"),
        ([{"open": 1}], "row 0 was {'open': 1}"),
        ([[0, 1, 2, 3, 4, 5], [None, 1, 2, 3, 4, 5]], r"row 1 had no time: \[None"),
        ([[math.inf, 1, 2, 3, 4, 5]], "row 0 had no time"),
    ],
)
def test_rows_that_are_no_candles_are_named(rows: Any, message: str) -> None:
    """What a venue sent is shown with its place."""
    with pytest.raises(DataError, match=message):
        Candles.from_rows(rows, timeframe="1m")


@pytest.mark.parametrize("unit", ["seconds", "microseconds", "nanoseconds"])
def test_rows_in_another_unit_are_refused(unit: str) -> None:
    """Times that step by a bar in another unit are not taken for milliseconds."""
    factor = {"seconds": 1e-3, "microseconds": 1e3, "nanoseconds": 1e6}[unit]
    rows = [[i * MINUTE * factor, 1, 1, 1, 1, 1] for i in range(5)]
    with pytest.raises(UsageError, match=f"they look like {unit}: write milliseconds"):
        Candles.from_rows(rows, timeframe="1m")
    assert len(Candles.from_rows(rows[:1], timeframe="1m")) == 1
    assert len(Candles.from_rows([[i, *row[1:]] for i, row in enumerate(rows)], timeframe="1M")) == 5


def test_what_holds_no_rows_is_refused() -> None:
    """A number in place of rows is the caller's mistake."""
    with pytest.raises(UsageError, match="rows was 5; give rows"):
        Candles.from_rows(5, timeframe="1m")  # type: ignore[arg-type]


def panel(*symbols: str, bars: int = 3, **change: Any) -> Panel:
    """Return a panel whose close counts its cells."""
    shape = (bars, len(symbols))
    columns: Any = {name: np.arange(float(bars * len(symbols))).reshape(shape) for name in FIELDS}
    made = {"symbols": symbols, "timeframe": "1m", "time": np.arange(bars) * MINUTE, **columns} | change
    return Panel(**made)


def test_panel_is_time_major_read_only_and_not_copied() -> None:
    """Bars down, symbols across, C-contiguous views."""
    close = np.arange(6.0).reshape(3, 2)
    close.flags.writeable = False
    made = panel("A", "B", close=close)
    assert made.shape == (3, 2)
    assert len(made) == 3
    assert np.shares_memory(made.close, close)
    assert all(getattr(made, name).flags.c_contiguous for name in FIELDS)
    assert panel("A", "B", close=np.asfortranarray(close)).close.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        made.close[0, 0] = 1
    assert repr(made) == "<Panel 1m: 3 bars x 2 symbols from 1970-01-01T00:00 to 1970-01-01T00:02 UTC>"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"symbols": "AB"}, UsageError, "symbols was 'AB'; give a list of symbols"),
        ({"symbols": ("A", "A")}, UsageError, "symbols named A more than once"),
        ({"symbols": ("A",)}, UsageError, r"open had shape \(3, 2\); time and symbols ask for \(3, 1\)"),
        ({"close": np.zeros((2, 2))}, UsageError, r"close had shape \(2, 2\)"),
        ({"close": np.zeros(3)}, UsageError, r"close had shape \(3,\); give \(T, S\)"),
        ({"closed": [True]}, UsageError, "closed had 1 rows and time 3"),
        ({"time": [0, 1, 1]}, DataError, "panel 1m: row 2 opens at 1"),
        ({"timeframe": None}, UnknownName, "timeframe was None"),
    ],
)
def test_panel_that_cannot_be_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    """Shapes, symbols and times must fit together."""
    with pytest.raises(error, match=message):
        panel("A", "B", **change)


def test_panel_aligns_candles_on_the_union_of_their_times() -> None:
    """What a symbol lacks is NaN; rows nobody traded are not invented; a row is closed when all in it are."""
    one, other = candles(0, 1, 4, closed=[True, True, False]), candles(1, 2, symbol="ETH/USDT")
    made = Panel.from_candles([one, other])
    assert made.symbols == ("BTC/USDT", "ETH/USDT")
    assert made.exchange == "binance"
    assert made.time.tolist() == [0, MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert made.mask.tolist() == [[False, True], [False, False], [True, False], [False, True]]
    assert made.closed.tolist() == [True, True, True, False]
    assert made["BTC/USDT"] == one
    assert made.candles("ETH/USDT") == other
    assert Panel.from_candles({"X": one}).symbols == ("X",)
    assert Panel.from_candles({"X": one})["X"].symbol == "X"
    assert Panel.from_candles(iter([one, other])) == made  # type: ignore[arg-type]


def test_panel_of_several_venues_has_no_venue() -> None:
    """Candles of one symbol from two venues make a panel by the names they are given."""
    kraken = Candles.from_rows([[0, 1, 1, 1, 1, 1]], timeframe="1m", exchange="kraken", symbol="BTC/USDT")
    assert Panel.from_candles({"binance": candles(0), "kraken": kraken}).exchange == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "candles was empty"),
        ({}, "candles was empty"),
        ([candles(0), candles(1)], "held a symbol more than once"),
        ([candles(0), candles(0, timeframe="5m", symbol="E")], "had timeframes 1m, 5m; resample"),
        (5, "candles was 5; give a list of Candles"),
        ([5], r"candles was \[5\]; give a list of Candles"),
    ],
)
def test_candles_that_make_no_panel_are_refused(given: Any, message: str) -> None:
    """None at all, one symbol twice, or two timeframes."""
    with pytest.raises(UsageError, match=message):
        Panel.from_candles(given)


def test_panel_is_cut_by_rows_and_asked_by_symbol() -> None:
    """Slices and spans give panels, symbols candles, anything else an error that names the nearest."""
    made = panel("BTC/USDT", "ETH/USDT", bars=5)
    assert made[-2:].time.tolist() == [3 * MINUTE, 4 * MINUTE]
    assert made[::2].close.tolist() == made.close[::2].tolist()
    assert made.between(MINUTE, dt.datetime(1970, 1, 1, 0, 3, tzinfo=dt.UTC)).shape == (2, 2)
    assert made.between().shape == (5, 2)
    assert len(made.between(4 * MINUTE, MINUTE)) == 0
    for wrong in (0, slice(None, None, -1), None):
        with pytest.raises(UsageError, match="write a symbol or a slice of rows"):
            made[wrong]  # type: ignore[index]
    with pytest.raises(UnknownName, match=r"symbol was 'btcusdt'; .*BTC/USDT"):
        made["btcusdt"]


def test_panels_compare_by_value() -> None:
    """As candles do."""
    one = panel("A", "B", close=[[1, math.nan]] * 3)
    assert one == panel("A", "B", close=[[1, math.nan]] * 3)
    assert one != panel("A", "B")
    assert one != panel("A", "C", close=[[1, math.nan]] * 3)
    assert one != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_bar_is_appended_to_a_copy() -> None:
    """From Bars or from a mapping, after the last row; the panel itself stays as it was."""
    made = panel("A", "B", closed=[True, True, False])
    bar = Bars(time=3 * MINUTE, **{name: np.array([1.0, 2.0]) for name in FIELDS})
    longer = made.append(bar)
    assert longer.shape == (4, 2)
    assert longer.close[-1].tolist() == [1.0, 2.0]
    assert longer.closed.tolist() == [True, True, False, True]
    assert longer[:3] == made
    assert len(made) == 3
    mapping: Mapping[str, Any] = {"time": np.int64(3 * MINUTE), **{name: [1, 2] for name in FIELDS}}
    assert made.append(mapping) == longer
    assert panel("A", "B", bars=0).append(bar).shape == (1, 2)


@pytest.mark.parametrize(
    ("bar", "error", "message"),
    [
        ({"time": 2 * MINUTE}, DataError, "opens at 120000, not after the last row at 120000"),
        ({"close": [1.0]}, UsageError, r"close had shape \(1,\); the panel has 2 symbols"),
        ({"time": "now"}, UsageError, "time was 'now'"),
        ({"volume": None}, UsageError, "bars lacked volume; give time, open"),
    ],
)
def test_bar_that_does_not_fit_is_refused(bar: dict[str, Any], error: type[Exception], message: str) -> None:
    """It must come later, and have a number for every symbol."""
    whole: dict[str, Any] = {"time": 3 * MINUTE, **{name: [1.0, 2.0] for name in FIELDS}} | bar
    given = {name: value for name, value in whole.items() if value is not None}
    with pytest.raises(error, match=message):
        panel("A", "B").append(given)


def test_book_holds_its_own_levels() -> None:
    """A book is a moment: the levels are copied, and read-only."""
    bids = np.array([[2.0, 1.0], [1.0, 5.0]])
    book = OrderBook(symbol="A", bids=bids, asks=[[3, 1]])  # type: ignore[arg-type]
    bids[0, 0] = 99
    assert (book.bid, book.ask) == (2.0, 3.0)
    with pytest.raises(ValueError, match="read-only"):
        book.bids[0, 0] = 1
    empty = OrderBook(symbol="A", bids=[], asks=[])  # type: ignore[arg-type]
    assert (empty.bid, empty.ask, empty.bids.shape) == (None, None, (0, 2))
    assert book == OrderBook(symbol="A", bids=[[2, 1], [1, 5]], asks=[[3, 1]])  # type: ignore[arg-type]
    assert book != empty
    assert book != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(book)


@pytest.mark.parametrize(
    "levels", [[1.0], [[1.0]], [[1, 2, 3]], [[1, 2], [3]], [["a", 1]], 5.0, [[[1, 2]]], [None, [1, 2]]]
)
def test_levels_that_are_none_are_refused(levels: Any) -> None:
    """Rows of price and amount, nothing else."""
    with pytest.raises(UsageError, match=r"^bids .*write rows of \[price, amount\], shape \(N, 2\)"):
        OrderBook(symbol="A", bids=levels, asks=np.empty((0, 2)))


@pytest.mark.parametrize(
    ("bid", "ask", "mid", "spread"),
    [
        (99.0, 101.0, 100.0, 0.02),
        (None, 1.0, None, None),
        (1.0, None, None, None),
        (0.0, 1.0, 0.5, None),
        (1.0, 1.0, 1.0, 0.0),
    ],
)
def test_mid_and_spread_of_a_ticker(
    bid: float | None, ask: float | None, mid: float | None, spread: float | None
) -> None:
    """Half-way, and the distance as a fraction of it; unknown where a side is."""
    ticker = Ticker(symbol="A", bid=bid, ask=ask)
    assert (ticker.mid, ticker.spread) == (mid, spread)


def test_records_are_frozen_small_and_hashable() -> None:
    """No dict, no change, equal by value, and usable as keys."""
    records = [
        Market(symbol="A", id="a", base="A", quote="B"),
        Ticker(symbol="A"),
        Trade(symbol="A", id="1", time=0, price=1.0, amount=1.0),
        Order(symbol="A"),
        AssetBalance(),
        Gap(0, 1, 1),
    ]
    for record in records:
        assert not hasattr(record, "__dict__")
        assert {record: 1}[dataclasses.replace(record)] == 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, "x")
        with pytest.raises(TypeError):
            type(record)("positional", "arguments", "by", "mistake", "are", "refused")  # type: ignore[call-arg]


def test_balance_is_a_mapping_of_what_is_held() -> None:
    """Assets by name; what is not held is absent; the mapping cannot be changed from outside."""
    held = {"BTC": AssetBalance(free=Decimal(1), total=Decimal(1))}
    balance = Balance(venue="binance", account="alice", time=5, assets=held)
    held["ETH"] = AssetBalance()
    assert list(balance) == ["BTC"]
    assert len(balance) == 1
    assert balance["BTC"].total == 1
    assert "ETH" not in balance
    assert balance.get("ETH") is None
    with pytest.raises(KeyError):
        balance["ETH"]
    with pytest.raises(TypeError):
        balance.assets["ETH"] = AssetBalance()  # type: ignore[index]
    same = Balance(venue="binance", account="alice", time=5, assets=dict(balance))
    assert same == balance
    assert hash(same) == hash(balance)
    assert same != Balance(venue="kraken", account="alice", time=5, assets=dict(balance))


@pytest.mark.parametrize(
    "value",
    [
        candles(0, 1, 4, closed=[True, True, False]),
        panel("A", "B"),
        OrderBook(symbol="A", bids=np.ones((1, 2)), asks=np.ones((2, 2))),
        Market(symbol="A", id="a", base="A", quote="B", maker=Decimal("0.0010")),
        Ticker(symbol="A", last=1.0),
        Balance(venue="b", account=None, time=1, assets={"A": AssetBalance(total=Decimal("1.0"))}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_cross_process_pools(value: Any) -> None:
    """Pickled and back they are equal."""
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301  # our own bytes


def test_what_crosses_a_process_is_read_only_there_too() -> None:
    """Pickled arrays come back writable; ours do not."""
    for made in (candles(1, 2, 3), panel("A", "B")):
        back = pickle.loads(pickle.dumps(made))  # noqa: S301  # our own bytes
        assert back == made
        assert not back.close.flags.writeable
        assert not back.time.flags.writeable
