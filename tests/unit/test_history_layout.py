"""Names and folders: every name has one, no two share one, none leads outside, and each comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest

import tradeutils as tu
from tradeutils.errors import UsageError
from tradeutils.history import SeriesKey
from tradeutils.history.store.layout import folder_of, market_of, partition_at, partition_indices, partitions_in

HOSTILE = {
    "climbing": "../../x",
    "absolute": "/etc/passwd",
    "dots": "..",
    "dot": ".",
    "device": "CON",
    "device of windows": "NUL.txt",
    "dot at the end": "BTC.",
    "blank at the end": "BTC ",
    "300 characters": "A" * 300,
    "300 others": "A" * 299 + "B",
    "300 of three bytes": "₿" * 300,
    "unicode": "比特币/USDT",
    "composed": "\u00e9/USDT",
    "decomposed": "e\u0301/USDT",
    "right to left": "\u202eBTC/USDT",
    "emoji": "🚀/USDT",
    "zero": "BTC\0/USDT",
    "newline": "BTC\n/USDT",
    "percent": "BTC%2FUSDT",
    "equals": "symbol=BTC",
    "glob": "*?[a]",
    "tilde": "A~B",
    "hidden": ".BTC",
    "underscore": "_journal",
    "lower": "btc/usdt",
    "upper": "BTC/USDT",
    "mixed": "kPEPE/USDT",
    "option": "BTC/USDT:USDT-250328-100000-C",
    "backslash": "..\\..\\x",
    "number": "1000",
}


def candle(symbol: str) -> tu.Candles:
    one = np.array([float(len(symbol))])
    return tu.Candles(
        exchange="binance", symbol=symbol, timeframe="1m", time=np.array([60_000]),
        open=one, high=one, low=one, close=one, volume=one,
    )  # fmt: skip


@pytest.mark.parametrize("symbol", HOSTILE.values(), ids=HOSTILE.keys())
def test_any_symbol_is_stored_inside_and_comes_back(tmp_path: Path, symbol: str) -> None:
    """Whatever a venue calls a market, its candles lie in one folder inside the history, and are found by its name."""
    history = tu.History(tmp_path / "a" / "b" / "candles", min_free=0)
    history.write(candle(symbol))
    history.seal()
    assert [key.symbol for key in history.series()] == [symbol]
    assert history.read("binance", symbol, "1m") == candle(symbol)
    assert history.verify().ok
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"candles"}
    for path in history.path.rglob("*"):
        assert path.name.isascii()
        assert len(path.name) <= 255
        assert path.resolve().is_relative_to(history.path)
    history.close()


def test_no_two_symbols_share_a_folder_even_where_case_is_ignored(tmp_path: Path) -> None:
    """Names that differ have folders that differ in more than case or the way a letter is composed."""
    folders = [str(folder_of(tmp_path, SeriesKey("x", symbol, "1m"))).casefold() for symbol in HOSTILE.values()]
    assert len(set(folders)) == len(HOSTILE)


def test_other_programs_decode_the_symbols(tmp_path: Path) -> None:
    """Hive partitioning gives the symbol back as it is, where it was not too long for a folder."""
    names = [name for name in HOSTILE.values() if len(name) < 100]
    with tu.History(tmp_path, min_free=0) as history:
        history.write([candle(name) for name in names])
        history.seal()
    table = pyarrow.dataset.dataset(tmp_path, format="parquet", partitioning="hive").to_table()
    assert set(table.column("symbol").to_pylist()) == set(names)
    assert set(table.column("exchange").to_pylist()) == {"binance"}


@pytest.mark.parametrize("symbol", ["\ud800", "BTC\udfff"], ids=ascii)
def test_half_a_character_is_refused(tmp_path: Path, symbol: str) -> None:
    """A lone surrogate has no bytes, so no folder."""
    with tu.History(tmp_path, min_free=0) as history, pytest.raises(UsageError, match="half a character"):
        history.write(candle(symbol))


@pytest.mark.parametrize(
    ("symbol", "market"),
    [
        ("BTC/USDT", "spot"),
        ("BTC/USDT:USDT", "swap"),
        ("BTC/USD:BTC-250328", "future"),
        ("BTC/USDT:USDT-250328-100000-C", "option"),
        ("ETH/USD:ETH-250328-1500-P", "option"),
        ("BTC-PERP", "spot"),
        ("", "spot"),
    ],
)
def test_market_is_read_from_the_unified_symbol(symbol: str, market: str) -> None:
    """Spot, swap, future and option lie in different folders."""
    assert market_of(symbol) == market


def test_folders_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    """What we would have named otherwise, or what lacks its name, is no series."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(candle("BTC/USDT"))
        spot = tmp_path / "exchange=binance" / "market=spot"
        for name in (
            "timeframe=1m/symbol=ETH%2fUSDT",
            "timeframe=1m/symbol=%FF",
            "timeframe=1m/symbol=eth",
            "timeframe=60m/symbol=ETH",
            "timeframe=7q/symbol=ETH",
            f"timeframe=1m/symbol={'A' * 167}~{'0' * 32}",
            "timeframe=1m/other",
        ):
            (spot / name).mkdir(parents=True)
            (spot / name / "2024-01.parquet").write_bytes(b"")
        (tmp_path / "exchange=file").write_text("x")
        (tmp_path / "exchange=binance" / "market=swap" / "timeframe=1m" / "symbol=ETH").mkdir(parents=True)
        assert [key.symbol for key in history.series()] == ["BTC/USDT"]


def test_name_file_of_another_series_is_not_believed(tmp_path: Path) -> None:
    """A long name is told by a file in its folder, if that is the folder of this name."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(candle("A" * 300))
        (name,) = tmp_path.rglob("_name")
        for told in (b'{"exchange": "binance", "symbol": "B", "timeframe": "1m"}', b"[]", b"{", b'{"exchange": 1}'):
            name.write_bytes(told)
            assert history.series() == []


def test_name_file_is_written_again_where_it_is_missing(tmp_path: Path) -> None:
    """A kill between making the folder and the name leaves no series without one."""
    with tu.History(tmp_path, min_free=0) as history:
        folder_of(tmp_path, SeriesKey("binance", "A" * 300, "1m")).mkdir(parents=True)
        history.write(candle("A" * 300))
        assert [key.symbol for key in history.series()] == ["A" * 300]


@pytest.mark.parametrize(
    ("timeframe", "time", "name"),
    [
        ("1m", 0, "1970-01.parquet"),
        ("1h", 1_709_251_199_999, "2024-02.parquet"),
        ("1h", 1_709_251_200_000, "2024-03.parquet"),
        ("2h", 1_709_251_200_000, "2024.parquet"),
        ("1M", 1_735_689_599_999, "2024.parquet"),
        ("1d", -1, "1969.parquet"),
        ("1m", -1, "1969-12.parquet"),
    ],
)
def test_months_to_an_hour_and_years_above(tmp_path: Path, timeframe: str, time: int, name: str) -> None:
    """A candle lies in the file of its month or year in UTC, which is found again by its name."""
    frame = tu.timeframe.parse(timeframe)
    index = int(partition_indices(np.array([time]), frame)[0])
    part = partition_at(index, frame)
    assert part.name == name
    assert part.since <= time < part.until
    (tmp_path / name).touch()
    for other in ("2024-13.parquet", "2024-00.parquet", "x.parquet", "2024-01.parquet.tmp", ".2024-01.parquet"):
        (tmp_path / other).touch()
    assert partitions_in(tmp_path, frame) == [part]
    assert partitions_in(tmp_path, frame, part.since, part.until) == [part]
    assert partitions_in(tmp_path, frame, until=part.since) == []
    assert partitions_in(tmp_path, frame, since=part.until) == []


def test_links_to_other_disks_are_followed(tmp_path: Path) -> None:
    """A series may be moved elsewhere by hand, with a link in its place."""
    with tu.History(tmp_path / "h", min_free=0) as history:
        history.write(candle("BTC/USDT"))
    here = folder_of(tmp_path / "h", SeriesKey("binance", "BTC/USDT", "1m"))
    here.rename(tmp_path / "elsewhere")
    here.symlink_to(tmp_path / "elsewhere")
    with tu.History(tmp_path / "h", min_free=0) as history:
        assert len(history.read("binance", "BTC/USDT", "1m")) == 1
        assert [key.symbol for key in history.series()] == ["BTC/USDT"]
