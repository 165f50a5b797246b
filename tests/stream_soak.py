"""
Everything of a venue streamed while its feeds break all the time, and what came compared with what REST has.

The venue is a process of its own. Every few seconds another fault strikes: each kind in turn, on whatever message comes
first. At the end the faults are taken away, and every candle and trade that was delivered is held to the venue's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

import tradeutils as tu

__all__ = ["FAULTS", "MINUTE", "Soak", "simulated_venue", "soak"]

MINUTE: Final = 60_000
MAX_AGE_S: Final = 2.0  # of tickers and books, which are told all the time
LEVELS: Final = 20  # that are read of a book of 1000: to make all of them costs more than the message
QUIET_S: Final = 12.0  # of candles and trades: a made-up market may have none for some seconds
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "drop", "count": 1},
    {"kind": "silent", "count": 1},
    {"kind": "slow", "count": 20, "seconds": 0.3, "jitter": 0.2},
    {"kind": "out_of_order", "count": 5},
    {"kind": "duplicate", "count": 20},
    {"kind": "malformed", "count": 1},
    {"kind": "half_open", "count": 1, "seconds": 3.0},
    {"kind": "lose", "channel": "book", "count": 2},
    {"kind": "refuse", "count": 2},  # and then what has to be opened anew
    {"kind": "silent", "channel": "klines", "count": 3},
    {"kind": "lose", "channel": "klines", "count": 10},
    {"kind": "duplicate", "channel": "trades", "count": 20},
    {"kind": "out_of_order", "channel": "klines", "count": 10},
)
_EVERY_LINE: Final = 40  # of all that watch, and some twice
_REFUSED_NEEDS: Final = {"kind": "drop", "count": 6}  # so many that not all can go on to lines that are open


_VENUE: Final = """
import asyncio, json, sys
from tradeutils.sim import Limits, run

def tell(venue):
    print(venue.url, flush=True)

asyncio.run(run("binance", linear=0, limits=Limits.none(), on_ready=tell, **json.loads(sys.argv[1])))
"""


@contextlib.contextmanager
def simulated_venue(*, symbols: int, skew: int = 0, pulse: float = 0.1) -> Iterator[str]:
    """Run the simulated venue in a process of its own, without limits; yields its address."""
    root = pathlib.Path(tu.__file__).resolve().parents[1]
    told = json.dumps({"symbols": symbols, "skew": skew, "pulse": pulse})
    command = [sys.executable, "-c", _VENUE, told]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@dataclass
class Candle:
    """What is compared of a bar."""

    opened: int
    figures: tuple[float, ...]


@dataclass
class Soak:
    """
    A soak and what was found.

    Attributes
    ----------
    url : str
        The venue's.
    seconds : float
        How long faults strike.
    every : float
        Seconds between two of them.
    symbols : int
        How many markets are watched; each is four subscriptions.
    breaks : bool
        Whether this one makes the faults, which strike all that watch the venue.
    missing, doubled, wrong, misplaced : list of str
        Candles that REST has and that did not come; that came twice; with other figures; out of order.
    trades_missing, trades_doubled : int
        Of the trades, by their numbers.
    messages, struck : int
        Frames that the venue sent, and faults that struck.
    memory : list of (float, float)
        Seconds since the start and resident MiB.
    """

    url: str
    seconds: float
    every: float = 5.0
    symbols: int = 50
    breaks: bool = True
    candles: dict[str, list[Candle]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    compared: int = 0
    trades: int = 0
    trades_missing: int = 0
    trades_doubled: int = 0
    tickers: int = 0
    books: int = 0
    events: dict[str, int] = field(default_factory=dict)
    reconnects: int = 0
    dropped: int = 0
    messages: int = 0
    struck: dict[str, int] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)
    rate: float = 0.0
    _last_trade: dict[str, int] = field(default_factory=dict)
    _excused: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Watch, break, heal, compare."""
        async with self._exchange() as exchange:
            names = [name for name, market in (await exchange.load_markets()).items() if market.type == "spot"]
            names = names[: self.symbols]
            async with self._watching(exchange, names) as streams:
                await self._all_live(streams)
                began = await exchange.fetch_time()
                started, sent = time.monotonic(), await self._sent()
                await (self._break() if self.breaks else asyncio.sleep(self.seconds))
                self.rate = ((sent_now := await self._sent()) - sent) / (time.monotonic() - started)
                self.messages = sent_now - sent
                await self._all_live(streams)
                last = await exchange.fetch_time() // MINUTE * MINUTE
                await self._until(lambda: self._reached(names, last), "candles of the last minute to come")
                self.reconnects = sum(stream.reconnects for stream in streams)
                self.dropped = sum(stream.dropped for stream in streams[:2])
            await self._compare(exchange, names, began // MINUTE * MINUTE, last)

    def _exchange(self) -> tu.Exchange:
        budget = tu.LocalBudget([tu.Window("weight", 10**9, 60)])
        return tu.Exchange("binance", url=self.url, budget=budget)

    @contextlib.asynccontextmanager
    async def _watching(self, exchange: tu.Exchange, names: list[str]) -> AsyncIterator[list[Any]]:
        """Consume streams of everything; yields them, candles first, trades next."""
        streams: list[Any] = [
            exchange.watch_ohlcv(names, "1m", max_age=QUIET_S),
            exchange.watch_trades(names, max_age=QUIET_S),
            exchange.watch_tickers(names, max_age=MAX_AGE_S),
            *(exchange.watch_order_book(name, limit=LEVELS, max_age=MAX_AGE_S) for name in names),
        ]
        takes = [self._take_candles, self._take_trade, self._take_ticker, *([self._take_book] * len(names))]
        async with contextlib.AsyncExitStack() as stack:
            for stream in streams:
                await stack.enter_async_context(stream)

            async def consume(stream: Any, take: Any) -> None:
                async for item in stream:
                    if isinstance(item, tu.StreamEvent):
                        self._note(item)
                    else:
                        take(item)

            tasks = [asyncio.create_task(consume(*pair)) for pair in zip(streams, takes, strict=True)]
            try:
                yield streams
            finally:
                for task in tasks:
                    task.cancel()
                for ended in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(ended, Exception):
                        raise ended

    def _take_candles(self, candles: tu.Candles) -> None:
        held = self.candles.setdefault(candles.symbol, [])
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        assert candles.closed.all()
        for row, opened in enumerate(candles.time.tolist()):
            held.append(Candle(opened, tuple(float(column[row]) for column in columns)))

    def _take_trade(self, trade: tu.Trade) -> None:
        self.trades += 1
        assert trade.id is not None
        number, last = int(trade.id), self._last_trade.get(trade.symbol)
        if last is not None:
            self.trades_doubled += number <= last
            missed = number - last - 1
            if trade.symbol in self._excused:  # it was told that the venue no longer has them
                self._excused.discard(trade.symbol)
            elif missed > 0:
                self.trades_missing += missed
        self._last_trade[trade.symbol] = max(number, last or 0)

    def _take_ticker(self, ticker: tu.Ticker) -> None:
        self.tickers += 1

    def _take_book(self, book: tu.OrderBook) -> None:
        self.books += 1
        assert book.bid is not None
        assert book.ask is not None
        assert book.bid < book.ask
        assert (np.diff(book.bids[:, 0]) < 0).all()
        assert (np.diff(book.asks[:, 0]) > 0).all()

    def _note(self, event: tu.StreamEvent) -> None:
        name = f"{type(event).__name__} {event.kind}"
        if isinstance(event, tu.Stale):
            name += f": {event.reason}"
        elif event.kind == "trades" and event.symbol is not None:
            self._excused.add(event.symbol)
        self.events[name] = self.events.get(name, 0) + 1

    async def _break(self) -> None:
        """
        Break every line once, then strike with each kind of fault in turn, and note the memory meanwhile.

        A line of many books takes its most when it is opened beside the one that it replaces, which by chance it would
        be after minutes.
        """
        started, number = time.monotonic(), 0
        await self._ask("/sim/feed-faults", {"kind": "drop", "count": _EVERY_LINE})
        await asyncio.sleep(self.every)
        await self._ask("/sim/feed-faults", method="DELETE")
        while (passed := time.monotonic() - started) < self.seconds:
            self.memory.append((passed, _resident_mib()))
            fault = FAULTS[number % len(FAULTS)]
            await self._ask("/sim/feed-faults", fault)
            if fault["kind"] == "refuse":
                await self._ask("/sim/feed-faults", _REFUSED_NEEDS)
            number += 1
            await asyncio.sleep(min(self.every, max(0.0, self.seconds - passed)))
            for told in (await self._ask("/sim/feed-faults"))["faults"]:
                self.struck[told["kind"]] = self.struck.get(told["kind"], 0) + told["struck"]
            await self._ask("/sim/feed-faults", method="DELETE")
        self.memory.append((time.monotonic() - started, _resident_mib()))

    async def _all_live(self, streams: list[Any]) -> None:
        def all_live() -> bool:
            states = {stream.state for stream in streams}
            assert "closed" not in states, [stream for stream in streams if stream.state == "closed"]
            # Of candles and trades one market may always be quiet for longer than that.
            return "connecting" not in states and all(stream.state == "live" for stream in streams[2:])

        await self._until(all_live, "all streams to be live")

    async def _until(self, true: Any, what: str, patience: float = 90.0) -> None:
        ends = time.monotonic() + patience
        while not true():
            assert time.monotonic() < ends, f"waited {patience:g} s for {what}"
            await asyncio.sleep(0.05)

    def _reached(self, names: list[str], last: int) -> bool:
        return all(self.candles.get(name) and self.candles[name][-1].opened >= last - MINUTE for name in names)

    async def _compare(self, exchange: tu.Exchange, names: list[str], since: int, until: int) -> None:
        """Hold the candles of ``[since, until)`` to those of REST."""
        if until <= since:
            return
        for name in names:
            truth = await exchange.fetch_ohlcv(name, "1m", since=since, until=until)
            columns = (truth.open, truth.high, truth.low, truth.close, truth.volume)
            expected = {
                opened: tuple(float(column[row]) for column in columns)
                for row, opened in enumerate(truth.time.tolist())
            }
            self.compared += len(expected)
            held = [one for one in self.candles.get(name, ()) if since <= one.opened < until]
            opens = [one.opened for one in held]
            self.misplaced += [name] if opens != sorted(opens) else []
            self.missing += [f"{name} {opened}" for opened in expected if opened not in set(opens)]
            self.doubled += [f"{name} {opened}" for opened in set(opens) if opens.count(opened) > 1]
            self.wrong += [
                f"{name} {one.opened}: {one.figures} is {expected.get(one.opened)}"
                for one in held
                if one.figures != expected.get(one.opened)
            ]

    async def _sent(self) -> int:
        """Return how many frames the venue has sent."""
        return int((await self._ask("/sim/feeds"))["sent"])

    async def _ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        return await asyncio.to_thread(_asked, self.url + path, body, method)


async def soak(url: str, seconds: float, *, exchanges: int = 1, **terms: Any) -> tuple[list[Soak], dict[str, int]]:
    """
    Soak several exchanges at once, each with sockets of its own.

    Returns
    -------
    list of Soak
        The first is the one that made the faults.
    dict of str to int
        Tasks, sockets and futures that were there after all was closed and not before.
    """
    before = _counted()
    soaks = [Soak(url, seconds, breaks=number == 0, **terms) for number in range(exchanges)]
    await asyncio.gather(*(one.run() for one in soaks))
    gc.collect()
    await asyncio.sleep(0.1)
    after = _counted()
    return soaks, {name: count - before[name] for name, count in after.items() if count > before[name]}


def _asked(url: str, body: Any, method: str | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310  # loopback
        return json.loads(reply.read() or b"null")


def _counted() -> dict[str, int]:
    """Count what a leak would leave: tasks, futures that nobody resolves, open sockets."""
    return {
        "tasks": len(asyncio.all_tasks()),
        "futures": sum(issubclass(type(one), asyncio.Future) and not one.done() for one in gc.get_objects()),
        "sockets": sum(1 for one in pathlib.Path("/proc/self/fd").iterdir() if "socket" in _target(one)),
    }


def _target(entry: pathlib.Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:  # closed meanwhile
        return ""


def _resident_mib() -> float:
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
