"""
Open many accounts on one venue, and close them; started by ``test_exchanges`` with its task as JSON.

What it took is printed as a line of JSON: CPU of the whole process, and resident memory beyond that of one account.
"""

from __future__ import annotations

import asyncio
import gc
import json
import pathlib
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any


def resident() -> float:
    """Return the memory of this process in MiB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def keys(number: int) -> tuple[str, str]:
    """Return key and secret of an account."""
    return f"key{number:05}" * 8, f"word{number:04}" * 8


async def measured(
    count: int, opened: Callable[[int], Awaitable[Any]], close: Callable[[], Awaitable[Any]]
) -> dict[str, float]:
    """Open one account, then the others at once, then close all."""
    await opened(0)
    gc.collect()
    before, cpu, wall = resident(), time.process_time(), time.perf_counter()
    await asyncio.gather(*(opened(number) for number in range(1, count)))
    told = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    gc.collect()
    told["memory"] = resident() - before
    began = time.perf_counter()
    await close()
    return {**told, "close": time.perf_counter() - began}


async def ours(url: str, count: int) -> dict[str, float]:
    """Open the accounts of some settings."""
    import tradeutils as tu

    accounts = {}
    for number in range(count):
        key, secret = keys(number)
        credentials = tu.Credentials(key=key, secret=secret)
        accounts[f"a{number}"] = tu.Account(name=f"a{number}", exchange="binance", credentials=credentials)
    settings = tu.Settings(exchanges={"binance": tu.settings.ExchangeSettings(url=url)}, accounts=accounts)
    exchanges = tu.Exchanges(settings)
    return await measured(count, lambda number: exchanges.account(f"a{number}").load_markets(), exchanges.aclose)


async def theirs(url: str, count: int) -> dict[str, float]:
    """Open as many instances of ccxt's class, as its manual shows it."""
    import ccxt.async_support

    urls = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3")
    urls |= {name: f"{url}/{name[:4]}/v1" for name in ("fapiPublic", "dapiPublic")}
    made: list[Any] = []

    async def opened(number: int) -> None:
        key, secret = keys(number)
        config = {"apiKey": key, "secret": secret, "urls": {"api": urls}, "enableRateLimit": False}
        made.append(
            ccxt.async_support.binance({**config, "options": {"fetchCurrencies": False, "fetchMargins": False}})
        )
        await made[-1].load_markets()

    async def close() -> None:
        await asyncio.gather(*(one.close() for one in made))

    return await measured(count, opened, close)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    work = ours if task["who"] == "tradeutils" else theirs
    print(json.dumps(asyncio.run(work(task["url"], task["count"]))))
