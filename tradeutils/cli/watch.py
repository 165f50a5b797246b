"""``tradeutils watch``: tickers as they come, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import signal
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Url, Venue, Verbose
from tradeutils.cli.endings import FAILED
from tradeutils.cli.printing import tell
from tradeutils.cli.watch_views import View, Watched, view_for
from tradeutils.errors import BadSymbol, UsageError

if TYPE_CHECKING:
    from tradeutils.exchange import Exchange

__all__ = ["watch"]

_REDRAWN_EVERY_S: Final = 0.25  # often enough to see ages grow, seldom enough to read


def watch(
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL", help="Markets: BTC/USDT ETH/USDT ...")],
    *,
    venue: Venue = "binance",
    max_age: Annotated[
        float, typer.Option("--max-age", metavar="SECONDS", help="Without data for so long a market is stale.")
    ] = 30.0,
    rest: Annotated[
        bool, typer.Option("--rest", help="Ask over REST while a stream is stale, and say so: state rest.")
    ] = False,
    seconds: Annotated[float | None, typer.Option("--seconds", metavar="N", help="End after so long.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="End after so many updates, of all together.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Watch tickers live: price, change of the day, spread, volume, age of the data, and whether it still comes.

    On a terminal a table that stays where it is; elsewhere a line an update. A market whose data stops is stale, with
    the reason, until it comes again: the connection is opened anew by itself. --json prints an object a line, of the
    same keys each time.

    Ends with Ctrl-C, or as --seconds and --count say; 1 where a market told nothing in --seconds.

    Examples
    --------
    tradeutils watch BTC/USDT ETH/USDT
    tradeutils watch BTC/USD --venue kraken --max-age 60 --rest
    tradeutils watch BTC/USDT --count 100 --json > ticks.jsonl
    """
    if seconds is not None and not 0 < seconds < float("inf"):
        raise UsageError(f"--seconds was {seconds:g}; write how long to watch, above 0")
    asked = list(dict.fromkeys(symbols))
    watched = asyncio.run(_watch(venue, asked, max_age, rest, seconds, count, as_json, url, config))
    silent = [one.symbol for one in watched if not one.updates]
    if silent and seconds is not None:
        tell(f"tradeutils: {', '.join(silent)} told nothing in {seconds:g} s")
        raise typer.Exit(FAILED)


async def _watch(
    venue: str,
    symbols: list[str],
    max_age: float,
    rest: bool,
    seconds: float | None,
    count: int | None,
    as_json: bool,
    url: str | None,
    config: pathlib.Path | None,
) -> list[Watched]:
    from tradeutils.cli.venues import load_settings, open_exchange

    async with open_exchange(venue, load_settings(config), url=url) as exchange:
        markets = await exchange.load_markets()
        for symbol in symbols:  # before there is a table to tell it under
            if symbol not in markets:
                raise BadSymbol(symbol, markets, venue=exchange.venue, operation="watch_ticker")
        fallback: Any = "rest" if rest else "event"
        async with _streams(exchange, symbols, max_age=max_age, fallback=fallback) as watched:
            view = view_for(f"{exchange.venue}, tickers", watched, as_json=as_json)
            with view.open(), _stopped() as stopped:
                await _show(watched, view, stopped, seconds, count)
    return watched


@contextlib.asynccontextmanager
async def _streams(exchange: Exchange, symbols: list[str], **terms: Any) -> AsyncIterator[list[Watched]]:
    """Open a stream for each symbol, each with an age of its own; they share what the venue lets them share."""
    async with contextlib.AsyncExitStack() as stack:
        streams = [exchange.watch_ticker(symbol, **terms) for symbol in symbols]
        for stream in streams:
            await stack.enter_async_context(stream)
        yield [Watched(symbol, stream) for symbol, stream in zip(symbols, streams, strict=True)]


async def _show(
    watched: list[Watched], view: View, stopped: asyncio.Future[None], seconds: float | None, count: int | None
) -> None:
    """Show what comes until it is stopped, was long enough, or one of the streams fails."""
    from tradeutils.model.streaming import StreamEvent

    left = count

    async def read(one: Watched) -> None:
        nonlocal left
        async for item in one.stream:
            if isinstance(item, StreamEvent):
                one.reason = getattr(item, "reason", "")
                view.happened(one, item)
                continue
            one.take(item)
            view.updated(one)
            if left is not None:
                left -= 1
                if left <= 0 and not stopped.done():
                    stopped.set_result(None)
                    return

    async def redraw() -> None:
        while True:
            await asyncio.sleep(_REDRAWN_EVERY_S)
            view.refresh()

    tasks = [asyncio.ensure_future(work) for work in (*map(read, watched), redraw())]
    try:
        ended, _ = await asyncio.wait([*tasks, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _stopped() -> Iterator[asyncio.Future[None]]:
    """Yield a future that SIGTERM sets, so that a terminal is left as it was found; Ctrl-C cancels, as everywhere."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    handled = False
    # Only the main thread may handle signals, and only on Unix through the loop.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, stop)
        handled = True
    try:
        yield stopped
    finally:
        if handled:
            loop.remove_signal_handler(signal.SIGTERM)
