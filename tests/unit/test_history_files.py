"""What the paths of candle files say, and files into and out of a history."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pathlib
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import CandleFileError, Closed, HistoryError, HistoryFull, UnknownName, UsageError
from tradeutils.history import History, ImportReport, read_candles
from tradeutils.history.export_formats import FORMATS
from tradeutils.history.file_layouts import binance_folder, binance_id, freqtrade_name, name_of, resolved
from tradeutils.model import Candles
from tradeutils.timeframe import parse

JANUARY = 1_704_067_200_000  # 2024-01-01
MINUTE = 60_000


def candles_of(
    symbol: str = "BTC/USDT", timeframe: str = "1m", bars: int = 50, first: int = JANUARY, exchange: str = "binance"
) -> Candles:
    """Return candles with digits in all places, one volume of which is not known."""
    times = np.array([parse(timeframe).shift(parse(timeframe).ceil(first), at) for at in range(bars)])
    close = 100.0 + np.sin(np.arange(bars)) / 3
    volume = np.arange(bars) * 1e-8
    volume[bars // 2] = np.nan
    return Candles(
        exchange=exchange, symbol=symbol, timeframe=timeframe, time=times, open=close - 0.1, high=close + 1 / 3,
        low=close - 1e-9 - 0.1, close=close, volume=volume,
    )  # fmt: skip


def csv_of(candles: Candles, unit: int = 1) -> bytes:
    """Return candles as Binance's twelve columns without a header."""
    columns = (getattr(candles, name).tolist() for name in ("time", "open", "high", "low", "close", "volume"))
    rows = zip(*columns, strict=True)
    lines = (
        f"{t * unit},{o!r},{h!r},{lo!r},{c!r},{'' if v != v else repr(v)},{(t + MINUTE) * unit - 1},1,2,3,4,0"
        for t, o, h, lo, c, v in rows
    )
    return "\n".join(lines).encode()


def put(path: pathlib.Path, data: bytes) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def zip_of(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def why(report: ImportReport) -> dict[str, str]:
    return {pathlib.Path(file.path).name: f"{file.status}: {file.why}" for file in report.files}


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[History]:
    """Open an empty history."""
    with History(tmp_path / "store", min_free=0) as opened:
        yield opened


def all_of(history: History) -> list[Candles]:
    return [history.read(key.exchange, key.symbol, key.timeframe) for key in history.series()]


@pytest.mark.parametrize(
    ("path", "symbol", "timeframe"),
    [
        ("BTC_USDT-5m.feather", "BTC/USDT", "5m"),
        ("UNITTEST_BTC-1m.json.gz", "UNITTEST/BTC", "1m"),
        ("BTC_USDT-1Mo.feather", "BTC/USDT", "1M"),
        ("INDEX_USDT-1h.feather", "INDEX/USDT", "1h"),
        ("futures/BTC_USDT_USDT-1h-futures.feather", "BTC/USDT:USDT", "1h"),
        ("futures/BTC_USD_BTC-1d-futures.feather", "BTC/USD:BTC", "1d"),
        ("futures/BTC_USDT_USDT-260327-1h-futures.feather", "BTC/USDT:USDT-260327", "1h"),
        ("futures/kPEPE_USDC_USDC-1h-futures.feather", "kPEPE/USDC:USDC", "1h"),
        ("BINANCE_BTC_USDT-1m.feather", "BTC/USDT", "1m"),
        ("spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip", "BTC/USDT", "1m"),
        ("BTCUSDT-1mo-2024-01.csv", "BTC/USDT", "1M"),
        ("spot/daily/klines/1000SATSFDUSD/1s/1000SATSFDUSD-1s-2024-01-31.zip", "1000SATS/FDUSD", "1s"),
        ("futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip", "BTC/USDT:USDT", "1m"),
        ("futures/um/monthly/klines/BTCUSDT_240329/1m/BTCUSDT_240329-1m-2024-01.zip", "BTC/USDT:USDT-240329", "1m"),
        ("futures/cm/monthly/klines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2024-01.zip", "BTC/USD:BTC", "1h"),
        ("BTCUSD_PERP-1h-2024-01.zip", "BTC/USD:BTC", "1h"),
        ("futures/cm/daily/klines/ETHUSD_240628/1d/ETHUSD_240628-1d-2024-01-02.zip", "ETH/USD:ETH-240628", "1d"),
        ("BTCUSDT.1min.csv.gz", "BTC/USDT", "1m"),
        ("BTCUSDT/1m/2024.csv", "BTC/USDT", "1m"),
        ("exchange=x/market=spot/timeframe=1%4D/symbol=%6BPEPE%2FUSDT/2024.parquet", "kPEPE/USDT", "1M"),
        ("candles.csv", "", ""),
    ],
)
def test_path_tells_its_series(path: str, symbol: str, timeframe: str) -> None:
    """Spot, perpetuals and dated futures are different markets, however alike their names."""
    named = name_of(path.split("/"))
    assert (named.symbol, named.timeframe, named.refused) == (symbol, timeframe, "")


@pytest.mark.parametrize(
    "path",
    [
        "futures/BTC_USDT_USDT-1h-mark.feather",
        "futures/BTC_USDT_USDT-8h-funding_rate.feather",
        "futures/BTC_USDT_USDT-1h-premiumIndex.feather",
        "futures/um/monthly/markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip",
        "futures/um/monthly/indexPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip",
        "spot/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01.zip",
        "spot/monthly/trades/BTCUSDT/BTCUSDT-trades-2024-01.zip",
        "spot/daily/somethingNew/BTCUSDT/BTCUSDT-somethingNew-2024-01-01.zip",
        "BTCUSDT-trades.csv",
    ],
)
def test_prices_that_nobody_traded_at_are_refused(path: str) -> None:
    """Mark and index prices lie beside the candles, in files of the same form."""
    assert name_of(path.split("/")).refused.endswith(("not candles of trades", "not candles"))


def test_folders_above_tell_the_market_but_no_symbol() -> None:
    """Of the folders outside the one imported, only what none is named by chance."""
    above = ("home", "ethbtc", "futures", "um")
    assert name_of(("1m", "BTCUSDT-1m-2024-01.zip"), above).symbol == "BTC/USDT:USDT"
    assert name_of(("candles", "mine.csv"), above).symbol == ""


@given(
    st.lists(
        st.text(st.sampled_from("BTCUSD_-0123459٣mhdMo.zipcsvfeather=~%/: klines"), max_size=24), min_size=1, max_size=4
    )
)
def test_no_name_is_an_error(parts: list[str]) -> None:
    """One file with an odd name must not end an import; what is told of it is a timeframe, or nothing."""
    for ending in ("", ".csv", "-2024-01.zip", "-0m.feather", "-0m-2024-01.zip", "-0m-futures.feather"):
        named = name_of([*parts[:-1], f"{parts[-1]}{ending}"])
        if named.timeframe and not any(part.startswith("timeframe=") for part in parts):
            assert parse(named.timeframe).name == named.timeframe


def test_homes_with_odd_names_change_nothing() -> None:
    """A user named mark, a disk named um: neither makes candles into something else."""
    for above in (("home", "mark", "index"), ("mnt", "um"), ("home", "cm", "trades")):
        named = name_of(("data", "BTCUSDT-1m-2024-01.zip"), above)
        assert (named.symbol, named.refused) == ("BTC/USDT", ""), above
    assert name_of(("um", "daily", "klines", "x", "BTCUSDT-1m-2024-01.zip")).symbol == "BTC/USDT:USDT"


def test_name_that_a_history_cut_is_not_taken_for_the_whole() -> None:
    """The caller must say it."""
    named = name_of(("symbol=" + "X" * 100 + "~" + "0A" * 16, "2024-01.parquet"))
    assert (named.symbol, named.refused) == ("", "")


def test_folder_that_names_no_text_is_not_guessed_at() -> None:
    """Percent codes of bytes that are no UTF-8 stand for nothing."""
    named = name_of(["symbol=%FF%FE", "timeframe=1h", "x.csv"])
    assert (named.symbol, named.timeframe) == ("", "1h")


def test_symbol_is_as_the_caller_says() -> None:
    """One for all files, or by the market's name in them; a market that is not named keeps what it says."""
    odd, known = name_of(("BTCUSD1-1m-2024-01.zip",)), name_of(("BTCUSDT-1m-2024-01.zip",))
    assert odd.symbol == ""
    assert resolved(odd, {"BTCUSD1": "BTC/USD1"}).symbol == "BTC/USD1"
    assert resolved(known, {"BTCUSD1": "BTC/USD1"}).symbol == "BTC/USDT"
    assert resolved(known, "X/Y").symbol == "X/Y"


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USD:BTC-260327", "BTC/USDT:USDT-260327"]
)
@pytest.mark.parametrize("timeframe", ["1m", "1h", "1M"])
def test_names_that_are_given_read_back(symbol: str, timeframe: str) -> None:
    """In freqtrade's layout and in Binance's."""
    folder, head = binance_folder(symbol, timeframe)
    for path in (freqtrade_name(symbol, timeframe), f"{folder}/{head}-2024-01.zip"):
        named = name_of(path.split("/"))
        assert (named.symbol, named.timeframe, named.refused) == (symbol, timeframe, ""), path


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT-260327-100000-C", "BTC", "btc/usdt", "BTC/USDT-260327", "Ü/USDT"])
def test_binance_has_no_name_for_what_it_does_not_list(symbol: str) -> None:
    """Options lie in another layout."""
    with pytest.raises(UnknownName, match="Binance's layout"):
        binance_id(symbol)


# Files in


def test_binance_months_are_imported_as_they_are_published(history: History, tmp_path: pathlib.Path) -> None:
    """Zips and plain files, with and without a header, in ms and since 2025 in us; futures are another market."""
    spot, later = candles_of(bars=60), candles_of(bars=60, first=1_735_689_600_000)
    um = candles_of("BTC/USDT:USDT", bars=60)
    header = b"open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    header += b"taker_buy_quote_volume,ignore\n"
    data = tmp_path / "data"
    put(
        data / "spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip",
        zip_of(**{"BTCUSDT-1m-2024-01.csv": csv_of(spot)}),
    )
    put(data / "spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01.csv", csv_of(later, unit=1000))
    put(data / "futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip", zip_of(x=header + csv_of(um)))
    put(data / "futures/um/daily/markPriceKlines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip", zip_of(x=header + csv_of(um)))
    report = history.import_files(data, exchange="binance")
    assert (len(report.imported), len(report.passed_over), report.failed) == (3, 1, ())
    assert (report.added, report.rows, report.changed, report.quarantined) == (180, 180, 0, 0)
    assert history.read("binance", "BTC/USDT", "1m", until=later.time[0]) == spot
    assert history.read("binance", "BTC/USDT", "1m", since=int(later.time[0])) == later
    assert history.read("binance", "BTC/USDT:USDT", "1m") == um
    again = history.import_files(data, exchange="binance")
    assert (again.added, again.changed, again.to_dict()["unchanged"]) == (0, 0, 180)


def test_freqtrades_folder_is_imported(history: History, tmp_path: pathlib.Path) -> None:
    """Feather as pandas writes it, JSON, futures; not the mark prices and funding rates beside them."""
    candles = candles_of(bars=40)
    frame = candles.to_frame().reset_index()[["time", "open", "high", "low", "close", "volume"]]
    frame = frame.rename(columns={"time": "date"})
    folder = tmp_path / "user_data" / "data" / "binance"
    (folder / "futures").mkdir(parents=True)
    frame.to_feather(folder / "BTC_USDT-1m.feather", compression="lz4", compression_level=9)
    for name in ("BTC_USDT_USDT-1m-futures", "BTC_USDT_USDT-1m-mark", "BTC_USDT_USDT-8h-funding_rate"):
        frame.to_feather(folder / "futures" / f"{name}.feather")
    rows = frame.assign(date=candles.time).to_numpy().tolist()
    put(folder / "ETH_BTC-1m.json.gz", gzip.compress(str(rows).replace("nan", "null").encode()))
    report = history.import_files(folder, exchange="binance")
    assert len(report.imported) == 3
    assert {file.why for file in report.passed_over} == {
        "holds mark prices, not candles of trades", "holds funding rates, not candles"
    }  # fmt: skip
    assert [key.symbol for key in history.series()] == ["BTC/USDT", "BTC/USDT:USDT", "ETH/BTC"]
    for read in all_of(history):
        assert np.array_equal(read.time, candles.time)
        assert np.array_equal(read.close, candles.close)
        assert np.array_equal(read.volume, candles.volume, equal_nan=True)


def test_one_bad_file_stops_nothing(history: History, tmp_path: pathlib.Path) -> None:
    """Each is told with its line or its reason; the others are stored."""
    good = csv_of(candles_of(bars=30))
    put(tmp_path / "in/AUSDT-1m.csv", good)
    put(tmp_path / "in/BUSDT-1m.csv", good + b"\n1,2,3\n")
    put(tmp_path / "in/CUSDT-1m.feather", b"ARROW1\0\0nothing")
    put(tmp_path / "in/DUSDT-1m.zip", zip_of(x=good)[:-40])
    put(tmp_path / "in/EUSDT-1m.zip", zip_of(a=good, b=good))
    put(tmp_path / "in/FUSDT-5m.csv", good)
    put(tmp_path / "in/mine.csv", good)
    put(tmp_path / "in/GUSDT-1m.csv", b"")
    put(tmp_path / "in/HUSDT-1m.csv", good)
    put(tmp_path / "in/readme.txt", b"no candles")
    report = history.import_files(tmp_path / "in", exchange="binance")
    assert [key.symbol for key in history.series()] == ["A/USDT", "H/USDT"]
    told = why(report)
    assert told["BUSDT-1m.csv"].startswith("failed: line 31: has 3 columns")
    assert told["CUSDT-1m.feather"].startswith("failed: is not a feather file")
    assert "the zip data is damaged" in told["DUSDT-1m.zip"]
    assert told["EUSDT-1m.zip"] == "failed: holds 2 files where one is expected; unpack it into a folder"
    assert "its rows lie 60,000 ms apart" in told["FUSDT-5m.csv"]
    assert told["GUSDT-1m.csv"] == "failed: is empty"
    assert told["mine.csv"].startswith("failed: its name does not say of which market it is; say symbol=")
    assert "readme.txt" not in told
    assert str(report).startswith("2 of 9 files imported: 60 candles added; 7 failed (first: ")


def test_times_that_python_cannot_name_fail_their_file_alone(history: History, tmp_path: pathlib.Path) -> None:
    """A damaged table may hold any 64 bits as a time, and text any number; none becomes another time."""
    source = tmp_path / "files"
    put(source / "BTCUSDT-1h.csv", csv_of(candles_of(timeframe="1h")))
    put(source / "ETHUSDT-1h.csv", b"time,open,high,low,close,volume\n1e300,1,1,1,1,1\n2e300,1,1,1,1,1\n")
    for name, time_ in (("SOLUSDT", -(2**62)), ("XRPUSDT", 2**62)):
        columns = {column: np.full(2, 5.0) for column in ("open", "high", "low", "close", "volume")}
        times = pa.array(np.array([JANUARY, time_])).view(pa.timestamp("ms", "UTC"))
        pyarrow.feather.write_feather(pa.table({"date": times, **columns}), str(source / f"{name}-1h.feather"))
    report = history.import_files(source, exchange="binance")
    assert [pathlib.Path(file.path).name for file in report.imported] == ["BTCUSDT-1h.csv"]
    assert [file.why for file in report.failed] == [
        "line 2: time was 1e300, after the year 3000",
        "line 2: time was -4611686018427387904, before 1970",
        "line 2: time was 4611686018427387904, after the year 3000",
    ]
    assert [candles.symbol for candles in all_of(history)] == ["BTC/USDT"]


@pytest.mark.parametrize(
    ("checksum", "status"),
    [("right", "imported"), ("wrong", "failed: is not what"), ("empty", "failed: x.zip.CHECKSUM holds no SHA-256")],
)
def test_checksum_beside_a_file_is_honoured(
    history: History, tmp_path: pathlib.Path, checksum: str, status: str
) -> None:
    """A download that was cut or changed is not stored."""
    data = zip_of(x=csv_of(candles_of(bars=30)))
    put(tmp_path / "in/x.zip", data)
    digest = hashlib.sha256(data if checksum == "right" else b"").hexdigest()
    put(tmp_path / "in/x.zip.CHECKSUM", b"" if checksum == "empty" else f"{digest.upper()}  x.zip\n".encode())
    report = history.import_files(tmp_path / "in", exchange="binance", symbol="X/Y")
    assert why(report)["x.zip"].startswith(status)
    assert len(history.series()) == (status == "imported")


def test_bomb_is_refused_before_it_is_unpacked(history: History, tmp_path: pathlib.Path) -> None:
    """A few kB that unpack to more than ``max_bytes``, also where the archive lies about its size."""
    bomb = zip_of(x=b"1704067200000,1,2,1,2,3\n" * 400_000)
    at = bomb.rindex(b"PK\x01\x02") + 24
    liar = bomb[:at] + struct.pack("<I", 10) + bomb[at + 4 :]
    put(tmp_path / "in/AUSDT-1m.zip", bomb)
    put(tmp_path / "in/BUSDT-1m.zip", liar)
    report = history.import_files(tmp_path / "in", exchange="binance", max_bytes=1 << 20)
    assert "holds more than 1,048,576 bytes" in why(report)["AUSDT-1m.zip"]
    assert why(report)["BUSDT-1m.zip"].startswith("failed: ")
    assert history.series() == []


def test_archives_that_are_no_single_file_are_refused(tmp_path: pathlib.Path) -> None:
    """Empty, encrypted, of thousands of files, packed in an unknown way; macOS's clutter is no file."""
    good = csv_of(candles_of(bars=30))
    whole = zip_of(x=good)
    flags = whole.rindex(b"PK\x01\x02") + 8
    cases = {
        "no file": zip_of(**{"a/": b""}),
        "encrypted": whole[:flags] + b"\x01\x00" + whole[flags + 2 :],
        "not known": whole[: flags + 2] + b"\x63\x00" + whole[flags + 4 :],
        "many files": whole[: whole.rindex(b"PK\x05\x06") + 12] + b"\xff\xff\xff\x0f" + whole[-6:],
    }
    for said, data in cases.items():
        with pytest.raises(CandleFileError, match=said):
            read_candles(put(tmp_path / "XUSDT-1m.zip", data))
    fine = zip_of(**{"__MACOSX/._x.csv": b"?", ".DS_Store": b"?", "../../x.csv": good})
    assert len(read_candles(put(tmp_path / "XUSDT-1m.zip", fine)).candles) == 30
    assert not (tmp_path.parent.parent / "x.csv").exists()


def test_links_and_hidden_files_are_not_followed(history: History, tmp_path: pathlib.Path) -> None:
    """What lies outside the folder is not read; a link that is named itself is."""
    outside = put(tmp_path / "outside/OUTUSDT-1m.csv", csv_of(candles_of(bars=30)))
    put(tmp_path / "in/.hidden/HUSDT-1m.csv", outside.read_bytes())
    put(tmp_path / "in/.AUSDT-1m.csv", outside.read_bytes())
    (tmp_path / "in/LINKUSDT-1m.csv").symlink_to(outside)
    (tmp_path / "in/folder").symlink_to(outside.parent)
    (tmp_path / "in/GONEUSDT-1m.csv").symlink_to(tmp_path / "nowhere")
    report = history.import_files(tmp_path / "in", exchange="binance")
    assert {name: told.partition(",")[0] for name, told in why(report).items()} == {
        "LINKUSDT-1m.csv": "passed over: is a link", "folder": "passed over: is a link"
    }  # fmt: skip
    assert history.series() == []
    assert history.import_files(tmp_path / "in/LINKUSDT-1m.csv", exchange="binance").added == 30
    assert history.import_files(tmp_path / "in/folder", exchange="binance").added == 30


def test_files_that_are_no_regular_files_are_not_waited_for(history: History, tmp_path: pathlib.Path) -> None:
    """A pipe that is named like a candle file would be read for ever."""
    put(tmp_path / "in/AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    os.mkfifo(tmp_path / "in/BUSDT-1m.csv")
    assert len(history.import_files(tmp_path / "in", exchange="binance").files) == 1


def test_rows_that_are_no_candles_are_counted_and_not_stored(history: History, tmp_path: pathlib.Path) -> None:
    """Impossible prices and times off the grid are kept aside; bars that are not over are left out."""
    now = parse("1m").floor(int(time.time() * 1000))
    times = [JANUARY, JANUARY + MINUTE, JANUARY + 2 * MINUTE + 7, JANUARY + 3 * MINUTE, now, now + MINUTE]
    rows = [f"{t},2,{1 if at == 1 else 4},1.5,3,5" for at, t in enumerate(times)] + [f"{JANUARY},2,4,1.5,3,5"]
    text = "time,open,high,low,close,volume\n" + "\n".join(rows)
    report = history.import_files(put(tmp_path / "AUSDT-1m.csv", text.encode()), exchange="binance")
    (file,) = report.files
    assert (file.rows, file.added, file.quarantined, file.forming) == (7, 2, 2, 2)
    assert file.found is not None
    assert file.found.duplicates == 1
    assert {row.reason for row in history.quarantined("binance", "A/USDT", "1m")} == {"off_grid", "high_below_low"}
    assert "2 not over yet (left out); 2 quarantined" in str(report)


def test_caller_says_symbol_timeframe_and_columns(history: History, tmp_path: pathlib.Path) -> None:
    """Of all files, or of a market by its name in them."""
    put(tmp_path / "in/BTCUSD1-1m-2024-01.csv", csv_of(candles_of(bars=30)))
    put(tmp_path / "in/ETHUSDT-1m-2024-01.csv", csv_of(candles_of(bars=30)))
    history.import_files(tmp_path / "in", exchange="binance", symbol={"BTCUSD1": "BTC/USD1"})
    assert [key.symbol for key in history.series()] == ["BTC/USD1", "ETH/USDT"]
    odd = put(tmp_path / "odd.csv", b"2024-01-01,5,1,3,0.5,2\n2024-01-02,5,2,3,1,2\n")
    names = ["time", "volume", "open", "high", "low", "close"]
    assert "say what they are" in history.import_files(odd, exchange="x", symbol="A/B").files[0].why
    history.import_files(odd, exchange="x", symbol="A/B", timeframe="1d", columns=names)
    assert history.read("x", "A/B", "1d").volume.tolist() == [5, 5]


def test_exchange_is_told_by_the_caller_or_the_folder(history: History, tmp_path: pathlib.Path) -> None:
    """It is never guessed."""
    put(tmp_path / "AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    assert why(history.import_files(tmp_path / "AUSDT-1m.csv")) == {
        "AUSDT-1m.csv": 'failed: its exchange is not known; say exchange="binance"'
    }
    put(tmp_path / "in/exchange=kraken/timeframe=1m/symbol=A%2FB/x.csv", csv_of(candles_of(bars=30)))
    assert history.import_files(tmp_path / "in").imported[0].exchange == "kraken"


@pytest.mark.parametrize("symbol", ["", 5, {"A": 5}, {"A": ""}, {5: "A/B"}])
def test_symbol_that_is_none_is_refused(history: History, tmp_path: pathlib.Path, symbol: Any) -> None:
    """Before any file is read."""
    put(tmp_path / "AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    with pytest.raises(UsageError, match="symbol was"):
        history.import_files(tmp_path / "AUSDT-1m.csv", exchange="x", symbol=symbol)


def test_folder_that_cannot_be_read_is_told(
    history: History, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its candles would seem to be imported; root may read everything, so the system's answer is given here."""
    for name in ("AUSDT-1m.csv", "closed/BUSDT-1m.csv", "odd/CUSDT-1m.csv"):
        put(tmp_path / "in" / name, csv_of(candles_of(bars=30)))
    scandir, is_file = os.scandir, pathlib.Path.is_file

    def refuse(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def refuse_file(path: pathlib.Path) -> bool:
        if path.parent.name == "odd":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(pathlib.Path, "is_file", refuse_file)
    told = why(history.import_files(tmp_path / "in", exchange="x"))
    assert told == {
        "AUSDT-1m.csv": "imported: ",
        "CUSDT-1m.csv": "failed: cannot be looked at: Permission denied",
        "closed": "failed: cannot be looked into: Permission denied",
    }


def test_name_that_is_no_text_can_be_told_as_json(history: History, tmp_path: pathlib.Path) -> None:
    """File names are bytes."""
    folder = tmp_path / os.fsdecode(b"\xff")
    put(folder / "AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    report = history.import_files(folder, exchange="x")
    assert report.added == 30
    orjson.dumps(report.to_dict()["files"][0]["path"])
    exported = history.export(folder / "out", format="freqtrade")
    orjson.dumps(exported.to_dict()["files"])


def test_what_cannot_be_imported_at_all_is_an_error(history: History, tmp_path: pathlib.Path) -> None:
    """Nothing there, a history, a read-only or closed history, a wrong timeframe."""
    history.write(candles_of())
    with pytest.raises(CandleFileError, match="no such file or folder"):
        history.import_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CandleFileError, match="holds no file that ends as candle files do"):
        history.import_files(tmp_path / "empty")
    for inside in (history.path, history.path / "exchange=binance"):
        with pytest.raises(UsageError, match="in a history"):
            history.import_files(inside)
    put(tmp_path / "AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    with pytest.raises(UnknownName, match="timeframe was '1x'"):
        history.import_files(tmp_path / "AUSDT-1m.csv", timeframe="1x")
    for wrong in ("", None, 5):
        with pytest.raises(UsageError, match="path was"):
            history.import_files(wrong)  # type: ignore[arg-type]
    with History(history.path, read_only=True) as reader, pytest.raises(UsageError, match="read_only=True"):
        reader.import_files(tmp_path / "AUSDT-1m.csv", exchange="x")
    history.close()
    with pytest.raises(Closed):
        history.import_files(tmp_path / "AUSDT-1m.csv", exchange="x")


def test_history_in_the_folder_is_passed_over(history: History, tmp_path: pathlib.Path) -> None:
    """Its journals would be left behind without a word."""
    history.write(candles_of())
    put(tmp_path / "AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    report = history.import_files(tmp_path, exchange="binance")
    assert why(report) == {
        "AUSDT-1m.csv": "imported: ",
        "store": "passed over: is a history; open it and write what it reads",
    }


def test_series_that_another_writes_fails_alone(history: History, tmp_path: pathlib.Path) -> None:
    """The others of the folder are stored."""
    for name in ("AUSDT", "BUSDT"):
        put(tmp_path / f"in/{name}-1m.csv", csv_of(candles_of(bars=30)))
    with History(history.path, min_free=0) as other:
        other.write(candles_of("A/USDT"))
        report = history.import_files(tmp_path / "in", exchange="binance")
    assert "is locked" in why(report)["AUSDT-1m.csv"]
    assert [file.symbol for file in report.imported] == ["B/USDT"]


def test_full_disk_ends_an_import_that_goes_on_later(history: History, tmp_path: pathlib.Path) -> None:
    """It is no fault of a file, and what was stored stays."""
    put(tmp_path / "in/AUSDT-1m.csv", csv_of(candles_of(bars=30)))
    with History(history.path, min_free=1 << 60) as full, pytest.raises(HistoryFull):
        full.import_files(tmp_path / "in", exchange="binance")
    assert history.import_files(tmp_path / "in", exchange="binance").added == 30


def test_progress_is_told_after_each_file(history: History, tmp_path: pathlib.Path) -> None:
    """Failed ones count; without ``recursive`` the folders below are not looked into."""
    for name in ("AUSDT-1m.csv", "below/BUSDT-1m.csv"):
        put(tmp_path / "in" / name, csv_of(candles_of(bars=30)))
    put(tmp_path / "in/CUSDT-1m.csv", b"?")
    told: list[Any] = []
    history.import_files(tmp_path / "in", exchange="x", progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(history.import_files(tmp_path / "in", exchange="x", recursive=False).files) == 2


def test_frames_are_written_in_one_line(history: History) -> None:
    """`Candles.from_frame` says all that a DataFrame does not."""
    frame = candles_of().to_frame()
    history.write(Candles.from_frame(frame, timeframe="1m", exchange="binance", symbol="BTC/USDT"))
    assert history.read("binance", "BTC/USDT", "1m") == candles_of()


# Files out


def assorted() -> list[Candles]:
    return [
        candles_of("BTC/USDT", "1m", 3_000, JANUARY - 1_500 * MINUTE),
        candles_of("BTC/USDT", "1h", 900),
        candles_of("BTC/USDT", "1d", 300, JANUARY - 150 * 1440 * MINUTE),
        candles_of("BTC/USDT", "1M", 12, JANUARY - 300 * 1440 * MINUTE),
        candles_of("BTC/USDT:USDT", "1w", 12),
        candles_of("ETH/USD:ETH-260327", "4h", 60, first=1_735_689_600_000),
    ]


@pytest.mark.parametrize("layout", list(FORMATS))
def test_export_reads_back_equal(history: History, tmp_path: pathlib.Path, layout: str) -> None:
    """To the bit, in every format, across months and years; futures and months included."""
    history.write(assorted())
    told: list[Any] = []
    report = history.export(tmp_path / "out", format=layout, progress=lambda *done: told.append(done))
    assert (report.failed, report.passed_over, told[-1]) == ((), (), (6, 6))
    assert report.rows == sum(map(len, assorted()))
    assert report.bytes == sum(pathlib.Path(file.path).stat().st_size for file in report.files)
    with History(tmp_path / "again", min_free=0) as again:
        read = again.import_files(tmp_path / "out", exchange="binance")
        assert (read.failed, read.passed_over, read.quarantined) == ((), (), 0)
        assert all_of(again) == all_of(history)
    assert not list((tmp_path / "out").rglob(".*"))


@pytest.mark.parametrize("layout", ["csv", "parquet", "feather"])
def test_symbols_of_any_kind_are_exported_in_hive_folders(
    history: History, tmp_path: pathlib.Path, layout: str
) -> None:
    """Names that no other layout has; one that is too long for a folder is told."""
    symbols = ["../../x", "CON", "kPEPE/USDT", "Ü/€", "a b.c./d"]
    history.write([candles_of(symbol, bars=3, exchange="o.k") for symbol in [*symbols, "x" * 300]])
    report = history.export(tmp_path / "out", format=layout)
    assert [file.symbol for file in report.failed] == ["x" * 300]
    with History(tmp_path / "again", min_free=0) as again:
        again.import_files(tmp_path / "out")
        assert [(key.exchange, key.symbol) for key in again.series()] == [("o.k", name) for name in sorted(symbols)]


def test_symbols_that_a_layout_cannot_name_are_told(history: History, tmp_path: pathlib.Path) -> None:
    """A file under a name that reads back as another market would be worse than none."""
    history.write(
        [candles_of(name, bars=3) for name in ("BTC/USDT", "A_B/USDT", "BTC/ODD", "BTC/USDT:USDT-260327-1-C")]
    )
    for layout, lost in (("freqtrade", 2), ("binance", 3)):
        report = history.export(tmp_path / layout, format=layout)
        assert (len(report.exported), len(report.failed)) == (4 - lost, lost), str(report)
        assert all(file.why for file in report.failed)


def test_name_that_no_file_can_have_fails_its_series_alone(history: History, tmp_path: pathlib.Path) -> None:
    """And a target that cannot be is refused at once."""
    history.write([candles_of("X" * 300 + "/USDT"), candles_of()])
    report = history.export(tmp_path / "out", format="freqtrade")
    assert [file.symbol for file in report.exported] == ["BTC/USDT"]
    assert "name that is too long" in report.failed[0].why
    for target in ("x" * 300, "a\0b"):
        with pytest.raises(UsageError, match=r"^target was .* cannot be looked at"):
            history.export(target)
        with pytest.raises(UsageError, match=r"^path was .* cannot be looked at"):
            history.import_files(target)


def test_ending_of_a_file_may_be_in_capitals(history: History, tmp_path: pathlib.Path) -> None:
    """It is a file all the same, not a folder of that name."""
    history.write(candles_of())
    history.export(tmp_path / "BTCUSDT.CSV", format="csv")
    assert read_candles(tmp_path / "BTCUSDT.CSV", exchange="binance", timeframe="1m").candles == candles_of()


def test_freqtrades_columns_and_types(history: History, tmp_path: pathlib.Path) -> None:
    """As it reads them: a file a pair, ``date`` in UTC, then the five as float64, no index."""
    history.write(assorted()[:1])
    history.export(tmp_path / "binance", format="freqtrade")
    frame = pd.read_feather(tmp_path / "binance/BTC_USDT-1m.feather")
    assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume"]
    assert str(frame["date"].dtype) == "datetime64[ms, UTC]"
    assert (frame.dtypes[1:] == "float64").all()
    assert frame["date"].is_monotonic_increasing


def test_binance_months_are_as_binance_writes_them(history: History, tmp_path: pathlib.Path) -> None:
    """Twelve columns without a header, times of spot in us since 2025, a checksum beside each; and always the same."""
    history.write([candles_of(first=1_735_689_600_000 - 5 * MINUTE, bars=10), candles_of("BTC/USDT:USDT", bars=2)])
    for target in ("out", "out2"):
        history.export(tmp_path / target, format="binance")
    folder = tmp_path / "out/spot/monthly/klines/BTCUSDT/1m"
    names = sorted(path.name for path in folder.iterdir())
    heads = [f"BTCUSDT-1m-{month}.zip" for month in ("2024-12", "2025-01")]
    assert names == sorted([*heads, *(f"{name}.CHECKSUM" for name in heads)])
    lines = [zipfile.ZipFile(folder / name).read(name.replace("zip", "csv")).decode().splitlines() for name in heads]
    assert [line[0].split(",")[0] for line in lines] == ["1735689300000", "1735689600000000"]
    assert [line[0].split(",")[6] for line in lines] == ["1735689359999", "1735689659999999"]
    assert {len(row.split(",")) for line in lines for row in line} == {12}
    digest = hashlib.sha256((folder / heads[0]).read_bytes()).hexdigest()
    assert (folder / f"{heads[0]}.CHECKSUM").read_text() == f"{digest}  {heads[0]}\n"
    other = tmp_path / "out2/spot/monthly/klines/BTCUSDT/1m" / heads[0]
    assert other.read_bytes() == (folder / heads[0]).read_bytes()
    assert (tmp_path / "out/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip").is_file()


def test_one_series_goes_to_a_file_and_a_range_is_cut(history: History, tmp_path: pathlib.Path) -> None:
    """``since`` is inclusive, ``until`` exclusive."""
    history.write(assorted())
    whole = history.read("binance", "BTC/USDT", "1m")
    since, until = int(whole.time[100]), int(whole.time[200])
    target = tmp_path / "btc.csv"
    asked = {"exchange": "binance", "symbols": ["BTC/USDT"], "timeframe": "1m", "since": since, "until": until}
    report = history.export(target, format="csv", **asked)  # type: ignore[arg-type]
    assert [file.path for file in report.exported] == [str(target)]
    assert target.read_text().splitlines()[0] == "time,open,high,low,close,volume"
    assert read_candles(target, exchange="binance", symbol="BTC/USDT").candles == whole[100:200]
    with pytest.raises(UsageError, match="one file, for 6 series"):
        history.export(tmp_path / "all.csv", format="csv")
    nothing = history.export(tmp_path / "none", timeframe="1m", until=5)
    assert [(file.status, file.why) for file in nothing.files] == [("passed over", "nothing lies in the range")]


def test_files_that_exist_are_replaced_only_where_asked_for(history: History, tmp_path: pathlib.Path) -> None:
    """Somebody's own downloads are not ours to write over."""
    history.write(assorted()[:1])
    mine = put(tmp_path / "binance/BTC_USDT-1m.feather", b"years of candles")
    report = history.export(tmp_path / "binance", format="freqtrade")
    assert [file.why for file in report.passed_over] == ["exists already; overwrite=True (--overwrite) replaces it"]
    assert mine.read_bytes() == b"years of candles"
    assert len(history.export(tmp_path / "binance", format="freqtrade", overwrite=True).exported) == 1
    assert len(read_candles(mine).candles) == 3_000


def test_export_that_cannot_be_is_an_error(history: History, tmp_path: pathlib.Path) -> None:
    """Unknown formats and names, a target inside the history, two exchanges in a layout of one."""
    history.write([candles_of(), candles_of(exchange="okx")])
    with pytest.raises(UnknownName, match="format was 'cvs'; did you mean csv"):
        history.export(tmp_path, format="cvs")
    with pytest.raises(UsageError, match="inside the history"):
        history.export(history.path / "out")
    with pytest.raises(UsageError, match="keeps an exchange a folder, and these are binance, okx"):
        history.export(tmp_path / "out", format="freqtrade")
    for wrong, said in (
        ({"exchange": "binanc"}, "exchange was 'binanc'; did you mean binance"),
        ({"symbols": ["BTC/USDT", "BTC/USD"]}, "symbol was 'BTC/USD'; .*has BTC/USDT"),
        ({"timeframe": "5m"}, "timeframe was '5m'"),
        ({"symbols": "BTC/USDT"}, "give a list"),
    ):
        with pytest.raises(UsageError, match=said):
            history.export(tmp_path / "out", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_damaged_series_fails_alone_and_leaves_no_half_file(history: History, tmp_path: pathlib.Path) -> None:
    """What is read of it before the damage is not taken for the whole."""
    history.write([candles_of("A/USDT", bars=3), candles_of("B/USDT", "1m", 3_000, JANUARY - 1_500 * MINUTE)])
    history.seal()
    second = sorted(history.path.rglob("symbol=B*/*.parquet"))[1]
    second.write_bytes(second.read_bytes()[:-100])
    report = history.export(tmp_path / "out", format="csv")
    assert [file.symbol for file in report.failed] == ["B/USDT"]
    assert second.name in report.failed[0].why
    assert [path.name for path in (tmp_path / "out").rglob("*.csv*")] == ["candles.csv"]
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_target_that_cannot_be_written_is_an_error(history: History, tmp_path: pathlib.Path) -> None:
    """A file stands where a folder belongs."""
    history.write(candles_of())
    put(tmp_path / "out/exchange=binance", b"")
    with pytest.raises(HistoryError, match="could not be written"):
        history.export(tmp_path / "out")


def test_full_disk_leaves_no_half_export(history: History, tmp_path: pathlib.Path) -> None:
    """The file that was there stands, and nothing lies beside it."""
    history.write(assorted()[:1])
    history.seal()
    target = put(tmp_path / "out/btc.csv", b"time,open\n")
    program = textwrap.dedent(f"""
        import resource, signal
        from tradeutils.errors import HistoryFull
        from tradeutils.history import History
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        with History({str(history.path)!r}, read_only=True) as history:
            for layout in ("csv", "parquet", "feather", "freqtrade", "binance"):
                target = {str(tmp_path / "out")!r} + ("/btc.csv" if layout == "csv" else "")
                try:
                    history.export(target, format=layout, overwrite=True)
                except HistoryFull as error:
                    print(layout)
    """)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["csv", "parquet", "feather", "freqtrade", "binance"]
    assert target.read_bytes() == b"time,open\n"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [target]


def test_export_beside_a_writer_holds_whole_candles(history: History, tmp_path: pathlib.Path) -> None:
    """While somebody writes and seals, each file reads back as rising candles that were written."""
    history.write(candles_of(bars=10))
    ended = threading.Event()

    def write() -> None:
        for bars in range(11, 120):
            history.write(candles_of(bars=bars))
            if bars % 20 == 0:
                history.seal()
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    counts = []
    while not ended.is_set() or not counts:
        history.export(tmp_path / "out.feather", format="feather", overwrite=True)
        counts.append(len(read_candles(tmp_path / "out.feather", timeframe="1m").candles))
    thread.join()
    assert counts == sorted(counts)
    assert counts[0] >= 10
