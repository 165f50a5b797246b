"""One process that fetches the balances of a fleet; what it is to do comes as JSON, what it found goes out as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import pathlib
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any


def key_of(number: int) -> tuple[str, str]:
    """Return the key and the secret of an account, as the venue was given them."""
    return hashlib.sha256(f"key {number}".encode()).hexdigest(), hashlib.sha256(f"word {number}".encode()).hexdigest()


def memory() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Pulse:
    """How long the loop was held, and how many connections were open, while something was done."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.connections = 0

    async def beat(self) -> None:
        """Look every 50 ms."""
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.05)
            self.longest = max(self.longest, time.perf_counter() - begun - 0.05)
            self.connections = max(self.connections, connections())


def connections() -> int:
    """Return how many TCP connections this process has open."""
    inodes = set()
    for entry in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    table = [line.split() for line in pathlib.Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(1 for fields in table if fields[9] in inodes and fields[3] == "01")


async def ours(task: Mapping[str, Any]) -> dict[str, Any]:
    """Ask through `Balances`."""
    import tradeutils as tu
    from tradeutils.budget import LocalBudget
    from tradeutils.settings import ExchangeSettings, WindowSettings

    accounts = {}
    for number in range(task["accounts"]):
        key, secret = key_of(number)
        name = f"a{number}"
        accounts[name] = tu.Account(name=name, exchange="binance", credentials=tu.Credentials(key=key, secret=secret))
    window = WindowSettings(name="weight", limit=task["weight"], seconds=task["window"], scope="ip")
    settings = tu.Settings(
        exchanges={"binance": ExchangeSettings(url=task["url"], windows=[window])}, accounts=accounts
    )
    async with tu.Exchanges(settings, budget=LocalBudget()) as exchanges:
        await exchanges["binance"].load_markets()
        balances = tu.Balances(exchanges)
        before, begun = memory(), time.perf_counter()
        held = await balances.fetch_all()
        seconds, middle = time.perf_counter() - begun, memory()
        found = {name: {asset: str(one.total) for asset, one in balance.items()} for name, balance in held.items()}
        await balances.aclose()
    failures = sorted({type(error).__name__ for error in held.failures.values()})
    return {"seconds": seconds, "found": found, "memory": middle - before, "failures": failures}


async def theirs(task: Mapping[str, Any]) -> dict[str, Any]:
    """
    Ask through ccxt, one instance an account, each with its own limiter, 32 at a time.

    They share the markets of the first and its session. What is refused is asked again after as long as the venue
    says.
    """
    import ccxt.async_support as ccxt

    url = task["url"]
    urls = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3")
    urls |= {name: f"{url}/{name[:4]}/v1" for name in ("fapiPublic", "dapiPublic")} | {"sapi": f"{url}/sapi/v1"}
    config = {"urls": {"api": urls}, "options": {"fetchCurrencies": False, "fetchMargins": False}}
    first = ccxt.binance(config)
    await first.load_markets()
    found: dict[str, dict[str, str]] = {}
    refused = 0
    waiting = list(range(task["accounts"]))
    ends = time.perf_counter() + task["patience"]
    before, begun = memory(), time.perf_counter()

    async def work() -> None:
        nonlocal refused
        while waiting and time.perf_counter() < ends:
            number = waiting.pop(0)
            key, secret = key_of(number)
            one = ccxt.binance({**config, "apiKey": key, "secret": secret, "session": first.session})
            one.set_markets(first.markets, first.currencies)
            while time.perf_counter() < ends:
                try:
                    held = await one.fetch_balance()
                except (ccxt.RateLimitExceeded, ccxt.DDoSProtection, ccxt.NetworkError):
                    refused += 1
                    pause = float((one.last_response_headers or {}).get("Retry-After", 1.0))
                    await asyncio.sleep(max(0.0, min(pause, ends - time.perf_counter())))
                else:
                    found[f"a{number}"] = {asset: repr(total) for asset, total in held["total"].items()}
                    break
            one.own_session = False
            await one.close()

    await asyncio.gather(*(work() for _ in range(32)))
    seconds, grown = time.perf_counter() - begun, memory() - before
    await first.close()
    return {"seconds": seconds, "found": found, "memory": grown, "failures": [f"{refused} refusals"] if refused else []}


async def main(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do it, and watch the loop."""
    pulse = Pulse()
    watching = asyncio.create_task(pulse.beat())
    told = await (ours if task["who"] == "tradeutils" else theirs)(task)
    watching.cancel()
    processor = resource.getrusage(resource.RUSAGE_SELF)
    return {
        **told,
        "held": pulse.longest,
        "connections": pulse.connections,
        "cpu": processor.ru_utime + processor.ru_stime,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
