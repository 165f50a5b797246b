"""Everything of 50 markets streamed for ten minutes while feeds break every 5 s: ``nox -s soak -- streams``."""

from __future__ import annotations

import asyncio
import functools
import operator
import pathlib
import sys
from collections import Counter
from collections.abc import Mapping

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from stream_soak import FAULTS, simulated_venue, soak

SECONDS = 600.0
SETTLED_S = 60.0
GROWTH = 0.05
SYMBOLS = 50
EXCHANGES = 4  # each with sockets of its own: what the venue works out once it sends to all of them
PULSE_S = 0.04  # of the venue: some 600 messages a second for each exchange


def test_ten_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    """No candle missing, doubled or wrong, no trade twice, memory flat after the first minute, nothing left behind."""
    with simulated_venue(symbols=SYMBOLS, pulse=PULSE_S) as url:
        soaks, left = asyncio.run(soak(url, SECONDS, exchanges=EXCHANGES, symbols=SYMBOLS))
    breaking = soaks[0]
    first = next(size for at, size in breaking.memory if at >= SETTLED_S)
    last = breaking.memory[-1][1]
    said = functools.reduce(operator.add, (Counter(one.events) for one in soaks))
    candles = {
        name: sum(len(getattr(one, name)) for one in soaks) for name in ("missing", "doubled", "wrong", "misplaced")
    }
    trades = {name: sum(getattr(one, f"trades_{name}") for one in soaks) for name in ("missing", "doubled")}
    rows = {
        "messages": f"{breaking.messages:,} ({breaking.rate:,.0f} a second)",
        "faults that struck": listed(breaking.struck),
        "said of it": listed(said),
        "candles compared": f"{sum(one.compared for one in soaks):,}: {listed(candles)}",
        "trades": f"{sum(one.trades for one in soaks):,}: {listed(trades)}",
        "tickers, books": f"{sum(one.tickers for one in soaks):,}, {sum(one.books for one in soaks):,}",
        "dropped for slow consumers": f"{sum(one.dropped for one in soaks):,}",
        "memory after a minute, at the end": f"{first:.1f} MiB, {last:.1f} MiB ({100 * (last / first - 1):+.1f} %)",
        "left behind": listed(left) or "nothing",
    }
    width = max(map(len, rows))
    with capsys.disabled():
        print("\n" + "\n".join(f"{name.ljust(width)}  {told}" for name, told in rows.items()))
    assert set(candles.values()) | set(trades.values()) == {0}
    assert all(one.dropped == 0 and one.compared >= SYMBOLS * (SECONDS // 60 - 1) for one in soaks)
    assert {kind for kind, count in breaking.struck.items() if count} == {str(fault["kind"]) for fault in FAULTS}
    assert last < (1 + GROWTH) * first
    assert left == {}


def listed(counts: Mapping[str, int]) -> str:
    """Return counts as a text."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
