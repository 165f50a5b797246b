"""Streams while their feeds break all the time, for seconds; ``benchmarks/soak_streams.py`` does it for ten minutes."""

from __future__ import annotations

import asyncio
import time

from stream_soak import FAULTS, MINUTE, simulated_venue, soak


def test_nothing_is_lost_doubled_or_left_behind_while_feeds_break() -> None:
    """
    A fault a second, each kind in turn, and a minute that ends in the middle of it.

    The venue's clock is set so that its minute ends eight seconds after the venue is asked to start.
    """
    now = time.time_ns() // 1_000_000
    skew = MINUTE - 10_000 - now % MINUTE
    with simulated_venue(symbols=6, skew=skew) as url:
        (found,), left = asyncio.run(soak(url, 1.0 * len(FAULTS), every=1.0, symbols=6))
    assert (found.missing, found.doubled, found.wrong, found.misplaced) == ([], [], [], [])
    assert (found.trades_missing, found.trades_doubled, found.dropped) == (0, 0, 0)
    assert min(found.compared, found.trades, found.tickers, found.books) >= 6
    assert sum(count > 0 for count in found.struck.values()) > 5
    assert left == {}
