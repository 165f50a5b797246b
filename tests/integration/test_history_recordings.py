"""Real candle files of other projects, into a history and out of it again."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest

from tradeutils.history import History, read_candles
from tradeutils.history.export_formats import FORMATS

pytestmark = pytest.mark.recordings


def test_freqtrades_folder_is_imported_whole(recordings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Ten pairs of feather and one of JSON, every row of them, gaps and all."""
    with History(tmp_path, min_free=0) as history:
        told: list[tuple[int, int]] = []
        report = history.import_files(
            recordings / "freqtrade_gpl3", exchange="binance", progress=lambda *done: told.append(done)
        )
        assert (len(report.imported), report.failed, report.quarantined) == (11, (), 0)
        assert report.added == report.rows == sum(file.rows for file in report.files)
        assert told[-1] == (11, 11)
        assert len(history.gaps("binance", "UNITTEST/BTC", "1m")) == 538
        ada = read_candles(recordings / "freqtrade_gpl3" / "ADA_BTC-5m.feather", exchange="binance").candles
        assert history.read("binance", "ADA/BTC", "5m") == ada
        again = history.import_files(recordings / "freqtrade_gpl3", exchange="binance")
        assert (again.added, again.changed) == (0, 0)


def test_gapped_import_leaves_its_holes_to_a_backfill(recordings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Nobody asked the venue for them."""
    with History(tmp_path, min_free=0) as history:
        history.import_files(recordings / "freqtrade_gpl3" / "UNITTEST_BTC-1m.json.gz", exchange="binance")
        read = history.read("binance", "UNITTEST/BTC", "1m")
        known = history.coverage("binance", "UNITTEST/BTC", "1m")
        assert (len(known.missing), known.empty) == (538, ())
        assert sum(until - since for since, until in known.missing) == 717 * 60_000
        assert sum(gap.bars for gap in read.gaps()) == 717


@pytest.mark.parametrize("layout", list(FORMATS))
def test_real_minutes_survive_every_format(recordings: pathlib.Path, tmp_path: pathlib.Path, layout: str) -> None:
    """65,178 minutes of bitcoin, to the bit."""
    with History(tmp_path / "one", min_free=0) as history, History(tmp_path / "two", min_free=0) as again:
        history.import_files(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz", exchange="binance")
        report = history.export(tmp_path / "out", format=layout)
        assert (report.rows, report.failed) == (65_178, ())
        assert again.import_files(tmp_path / "out", exchange="binance").added == 65_178
        assert again.read("binance", "BTC/USDT", "1m") == history.read("binance", "BTC/USDT", "1m")


def test_resampled_minutes_are_the_venues_five_minutes(recordings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Both imported from one folder, each as its own series."""
    for name in ("BTCUSDT.1min.csv.gz", "BTCUSDT.5min.csv.gz"):
        shutil.copy(recordings / "qubx_gpl3" / name, tmp_path)
    with History(tmp_path / "candles", min_free=0) as history:
        history.import_files(tmp_path, exchange="binance", recursive=False)
        made = history.read("binance", "BTC/USDT", "1m").resample("5m")
        fives = history.read("binance", "BTC/USDT", "5m")
        assert np.array_equal(made.time, fives.time)
        assert np.array_equal(made.close, fives.close)
        assert history.stats(timeframe="1m").bytes_a_candle < 16.0


def test_files_that_cannot_be_told_fail_with_what_to_say(recordings: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Headerless columns in an order of their own; trades that look like candles."""
    with History(tmp_path, min_free=0) as history:
        report = history.import_files(recordings / "gocryptotrader", exchange="binance")
        assert report.added == 0
        assert {file.status for file in report.files} <= {"failed", "passed over"}
        assert any("columns=" in file.why for file in report.failed)
        assert history.series() == []
