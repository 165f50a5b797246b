"""Retention and backfill together: what was let go of is not fetched again, until it is told to."""

from __future__ import annotations

import pathlib

import tradeutils as tu
from tradeutils.sim import Limits, serve

HOUR, DAY = 3_600_000, 86_400_000


async def test_pruned_months_are_fetched_again_only_when_they_are_forgotten(tmp_path: pathlib.Path) -> None:
    """Not one request goes out for them; a coarser timeframe that nobody has is fetched, not made of their rest."""
    with serve("binance", symbols=["BTC/USDT"], seed=3, limits=Limits.none()) as venue:
        async with tu.Exchange("binance", url=venue.url) as exchange:
            with tu.History(tmp_path / "candles", min_free=0) as history:
                since = await exchange.fetch_time() - 100 * DAY
                await history.backfill(exchange, ["BTC/USDT"], "1h", since=since)
                history.seal()
                whole = history.read("binance", "BTC/USDT", "1h")
                gone = history.prune(older_than="35d")
                assert gone.rows > 0
                left = history.read("binance", "BTC/USDT", "1h")
                assert len(left) == len(whole) - gone.rows
                venue.requests.clear()
                again = await history.backfill(exchange, ["BTC/USDT"], "1h", since=since)
                assert (again.added, "/api/v3/klines" in venue.requests.paths) == (0, False)
                assert history.read("binance", "BTC/USDT", "1h") == left
                await history.backfill(exchange, ["BTC/USDT"], "4h", since=since)
                fours = history.read("binance", "BTC/USDT", "4h")
                theirs = await exchange.fetch_ohlcv("BTC/USDT", "4h", since=since)
                assert fours.time.tolist() == theirs.time.tolist()
                history.noted("forgotten", "binance", "BTC/USDT", "1h", since, gone.files[-1].until)
                assert (await history.backfill(exchange, ["BTC/USDT"], "1h", since=since)).added == gone.rows
                assert history.read("binance", "BTC/USDT", "1h") == whole
