"""
One process of a fleet that asks a venue for candles as fast as it may; started by ``budget_fleet``.

Its configuration is a line of JSON on stdin. It writes ``ready`` when it has its markets, waits for a line with the
moment at which to begin (``time.time()``), asks until its time is over, and writes what it got as a line of JSON.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

SYMBOL = "BTC/USDT"


class Tally:
    """What came back: when, and which errors."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.errors: collections.Counter[str] = collections.Counter()

    async def ask(self, call: Callable[[], Awaitable[Any]], ends: float, pause: float) -> None:
        """Ask again and again until the end."""
        while time.time() < ends:
            try:
                await call()
            except Exception as error:  # noqa: BLE001  # of either library: what is wanted is how often each came
                self.errors[type(error).__name__] += 1
                await asyncio.sleep(0.01)
            else:
                self.times.append(time.time())
            if pause:
                await asyncio.sleep(pause)


async def ours(config: dict[str, Any], tally: Tally) -> None:
    """Ask through this library, on a budget that all share."""
    import tradeutils as tu

    windows = [tu.Window("weight", config["weight"], config["window"])]
    budget = tu.RedisBudget(config["redis"], windows=windows)
    async with tu.Exchange("binance", url=config["url"], budget=budget) as exchange:
        await exchange.load_markets()
        await exchange.fetch_ohlcv(SYMBOL, "1m", limit=1)
        await race(lambda: exchange.fetch_ohlcv(SYMBOL, "1m", limit=1), config, tally)
    await budget.aclose()


async def ccxts(config: dict[str, Any], tally: Tally) -> None:
    """Ask through ccxt alone, whose limiter is told the same limit."""
    import ccxt.async_support

    urls = dict.fromkeys(("public", "private", "v1"), f"{config['url']}/api/v3")
    urls |= {name: f"{config['url']}/{name[:4]}/v1" for name in ("fapiPublic", "dapiPublic")}
    # A cost of 1 is a weight of 5 in ccxt's table for binance.
    rate = 1000 * config["window"] / (config["weight"] / 5)
    own: dict[str, Any] = {"urls": {"api": urls}, "rateLimit": rate, "rollingWindowSize": config["window"] * 1000}
    async with ccxt.async_support.binance({**own, "options": {"fetchMarkets": {"types": ["spot"]}}}) as exchange:
        while not exchange.markets:  # eight at once are too much for a small window, and nobody tells them to wait
            try:
                await exchange.load_markets()
            except ccxt.async_support.DDoSProtection:
                await asyncio.sleep(config["window"] * random.uniform(1, 3))
        await race(lambda: exchange.fetch_ohlcv(SYMBOL, "1m", None, 1), config, tally)


async def race(call: Callable[[], Awaitable[Any]], config: dict[str, Any], tally: Tally) -> None:
    """Wait for the word, and ask with many at once."""
    print("ready", flush=True)
    begins = float(await asyncio.to_thread(sys.stdin.readline))
    ends = begins + config["seconds"]
    await asyncio.sleep(max(0.0, begins - time.time()))
    tasks = [asyncio.create_task(tally.ask(call, ends, config["pause"])) for _ in range(config["tasks"])]
    await asyncio.sleep(max(0.0, ends - time.time()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Do what the configuration says."""
    config, tally = json.loads(sys.stdin.readline()), Tally()
    asyncio.run({"tradeutils": ours, "ccxt": ccxts}[config["who"]](config, tally))
    print(json.dumps({"times": tally.times, "errors": tally.errors}), flush=True)


if __name__ == "__main__":
    main()
