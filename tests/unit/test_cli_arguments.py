"""How the words of a command line are read: sources, times, indicators."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.cli.arguments import moment
from tradeutils.cli.computing import parse_specs
from tradeutils.cli.sources import CandleRange, FileSource, VenueSource, parse_source
from tradeutils.errors import UnknownName, UsageError
from tradeutils.model import Candles


def candles_of(times: list[int]) -> Candles:
    values = np.arange(1.0, len(times) + 1)
    return Candles(
        timeframe="1m", time=np.array(times), open=values, high=values, low=values, close=values, volume=values
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["BTC/USDT"], VenueSource("binance", "BTC/USDT", "1h")),
        (["BTC/USDT", "5m"], VenueSource("binance", "BTC/USDT", "5m")),
        (["BTC/USDT", "7x"], VenueSource("binance", "BTC/USDT", "7x")),
        (["kraken", "BTC/USD"], VenueSource("kraken", "BTC/USD", "1h")),
        (["kraken", "BTC/USD", "1d"], VenueSource("kraken", "BTC/USD", "1d")),
        (["kraken", "BTCUSD"], VenueSource("kraken", "BTCUSD", "1h")),
        (["btcusdt", "1h"], VenueSource("binance", "btcusdt", "1h")),
        (["BTC/USDT:USDT", "1h"], VenueSource("binance", "BTC/USDT:USDT", "1h")),
        (["nowhere.csv"], FileSource(pathlib.Path("nowhere.csv"), None)),
        (["nowhere.parqet"], FileSource(pathlib.Path("nowhere.parqet"), None)),
        (["candles.CSV.GZ"], FileSource(pathlib.Path("candles.CSV.GZ"), None)),
        (["x" * 5000], VenueSource("binance", "x" * 5000, "1h")),
    ],
)
def test_words_name_a_file_or_a_market(words: list[str], expected: FileSource | VenueSource) -> None:
    """A file is told by its ending, a symbol by its slash, a timeframe by its form; the rest is a venue."""
    assert parse_source(words, venue="binance", timeframe=None) == expected


def test_file_without_a_known_ending_is_found(tmp_path: pathlib.Path) -> None:
    """What exists is a file whatever it is called, and so is what would lie in a folder that exists."""
    (tmp_path / "candles").write_text("x")
    for name in ("candles", "missing"):
        found = parse_source([str(tmp_path / name)], venue="binance", timeframe="5m")
        assert found == FileSource(tmp_path / name, "5m")


def test_timeframe_option_names_the_timeframe() -> None:
    """``--timeframe`` serves where the words do not say one."""
    assert parse_source(["BTC/USDT"], venue="okx", timeframe="3m") == VenueSource("okx", "BTC/USDT", "3m")


@pytest.mark.parametrize(
    ("words", "timeframe", "says"),
    [
        (["BTC/USDT", "1h", "2h"], None, "'2h' was one word too many; write a candle file"),
        (["binance", "BTC/USDT", "1h", "x"], None, "'x' was one word too many"),
        (["BTC/USDT", "1h"], "1h", "write it once"),
        (["a.csv", "b.csv"], None, "'b.csv' stood behind the file a.csv"),
    ],
)
def test_words_that_mean_nothing_are_refused(words: list[str], timeframe: str | None, says: str) -> None:
    """Too many words, two timeframes and two files are each named."""
    with pytest.raises(UsageError, match=says):
        parse_source(words, venue="binance", timeframe=timeframe)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("2024-01-31", 1_706_659_200_000),
        ("20240131", 1_706_659_200_000),
        ("2024-01-31T12:00", 1_706_702_400_000),
        ("2024-01-31 12:00+02:00", 1_706_695_200_000),
        ("2024-01-31T12:00:00Z", 1_706_702_400_000),
        (" 1706702400000 ", 1_706_702_400_000),
        ("0", 0),
    ],
)
def test_times_are_dates_or_milliseconds(text: str | None, expected: int | None) -> None:
    """A time without a zone is UTC."""
    assert moment("since", text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("yesterday", "since was 'yesterday'; write a date"),
        ("2024-13-01", "since was '2024-13-01'"),
        ("1706702400", "looks like seconds"),
        ("", "since was ''"),
        ("9" * 5000, "since was '9999"),
        ("99999999999999", "in milliseconds, not micro"),
    ],
)
def test_times_that_are_none_are_refused(text: str, says: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(UsageError, match=says):
        moment("since", text)


def test_indicators_are_asked_for_once() -> None:
    """What is written twice is computed once; the order is kept."""
    assert [spec.text for spec in parse_specs(["rsi:14", "ema:20", " rsi:14 "])] == ["rsi:14", "ema:20"]
    assert parse_specs(None) == []


def test_misspelt_indicator_names_the_nearest() -> None:
    """Nothing is fetched for an indicator that is not there."""
    with pytest.raises(UnknownName, match="did you mean rsi"):
        parse_specs(["rsy:14"])


@given(
    times=st.lists(st.integers(0, 100), min_size=1, unique=True).map(sorted),
    since=st.none() | st.integers(0, 100),
    limit=st.none() | st.integers(1, 120),
)
def test_range_begins_where_both_of_its_bounds_allow(times: list[int], since: int | None, limit: int | None) -> None:
    """The rows from the first one on are those that open in the range, the newest ``limit`` of them."""
    minutes = [time * 60_000 for time in times]
    start = None if since is None else since * 60_000
    first = CandleRange(since=start, limit=limit).first_row(candles_of(minutes))
    expected = [time for time in minutes if start is None or time >= start]
    assert minutes[first:] == (expected if limit is None else expected[-limit:])
