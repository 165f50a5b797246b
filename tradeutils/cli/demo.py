"""``tradeutils demo``: the whole road once, on a simulated venue or a real one, and how long each step took."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, Venue, Verbose
from tradeutils.cli.chart import lines_of
from tradeutils.cli.computing import parse_specs
from tradeutils.cli.printing import number_text, progress, show_json, show_table, tell
from tradeutils.cli.saving import CHART, check_target, save
from tradeutils.cli.valuations import valuation_as_json
from tradeutils.cli.venues import load_settings, open_exchange
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    from tradeutils.cache import Cache
    from tradeutils.exchange import Exchange
    from tradeutils.model import Panel
    from tradeutils.model.candles import Column

    _Opened = contextlib.AbstractAsyncContextManager[Exchange]

__all__ = ["demo"]

_TIMEFRAME: Final = "1h"
_BARS: Final = 500
_QUOTE: Final = "USDT"
_SPARE: Final = 16  # markets beyond those asked for: crosses, over which assets are priced
_SPECS: Final = ("sma:50", "ema:20", "bbands:20,2", "rsi:14", "macd:12,26,9", "atr:14")


@dataclass(slots=True)
class _Report:
    """What was done: a line and seconds a step, and the results, which are the same for the same seed."""

    steps: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def demo(
    *,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Of the simulated market: the same one, the same numbers.")
    ] = 7,
    symbols: Annotated[
        int, typer.Option("--symbols", metavar="N", min=1, max=1000, help="How many markets to fetch.")
    ] = 50,
    live: Annotated[bool, typer.Option("--live", help="Ask a real venue's public endpoints instead.")] = False,
    venue: Venue = "binance",
    output: Annotated[
        pathlib.Path, typer.Option("--output", "-o", metavar="FILE", help="The chart to write.")
    ] = pathlib.Path("demo.html"),
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Do everything once: fetch, cache, value an account, compute indicators, draw a chart. No network, server or key.

    A simulated venue is started on this machine and asked through ccxt, unmodified, as a real one would be.

    Examples
    --------
    tradeutils demo
    tradeutils demo --seed 42 --symbols 200 -o market.html
    tradeutils demo --live --venue kraken
    tradeutils demo --json
    """
    check_target(output, CHART)
    report = _Report()
    if live:
        _ask_real_venue(report, venue, symbols, output)
    else:
        _simulate(report, venue, symbols, seed, output)
    if as_json:
        show_json({"results": report.results, "seconds": {name: round(s, 3) for name, s in report.seconds.items()}})
        return
    rows = [[name, text, f"{report.seconds[name]:.2f} s"] for name, text in report.steps.items()]
    show_table(("step", "what was done", ">took"), [*rows, ["total", "", f"{sum(report.seconds.values()):.2f} s"]])
    tell(f"open {output} in a browser")


def _simulate(report: _Report, venue: str, symbols: int, seed: int, output: pathlib.Path) -> None:
    from tradeutils.settings import Account, Credentials, ExchangeSettings, Settings

    with contextlib.ExitStack() as stack:
        with report.step("venue"):
            from tradeutils.sim import Limits, serve

            running = stack.enter_context(serve(venue, symbols=symbols + _SPARE, seed=seed, limits=Limits.none()))
        report.steps["venue"] = f"simulated {venue} with seed {seed}, listening on {running.url}"
        report.results["seed"] = seed
        holder = running.accounts[0]
        keys = Credentials(key=holder.key, secret=holder.secret, password=holder.passphrase)
        account = Account(name=holder.name, exchange=venue, credentials=keys)
        note = f"simulated market, seed {seed}"

        def opened(cache: Cache) -> _Opened:
            # The user's own settings are for real venues: none of them applies here. This one bans nobody.
            own = Settings(exchanges={venue: ExchangeSettings(url=running.url, rate_limit_ms=1)})
            return open_exchange(venue, own, account=account, cache=cache)

        asyncio.run(_walk(report, opened, symbols, output, note))


def _ask_real_venue(report: _Report, venue: str, symbols: int, output: pathlib.Path) -> None:
    settings = load_settings(None)
    asyncio.run(_walk(report, lambda cache: open_exchange(venue, settings, cache=cache), symbols, output, ""))


async def _walk(
    report: _Report, opened: Callable[[Cache], _Opened], count: int, output: pathlib.Path, note: str
) -> None:
    """Go the whole road; nothing is written before the last step."""
    from tradeutils.cache import Cache

    async with Cache() as cache, contextlib.AsyncExitStack() as stack:
        with report.step("markets"):  # imports ccxt, which takes most of it
            exchange = await stack.enter_async_context(opened(cache))
        symbols = await _choose_symbols(report, exchange, count)
        panel = await _fetch_twice(report, exchange, cache, symbols)
        await _value(report, exchange, cache)
    columns = _compute(report, panel)
    _draw(report, panel, columns, output, note)


async def _choose_symbols(report: _Report, exchange: Exchange, count: int) -> list[str]:
    with report.step("markets"):
        markets = await exchange.load_markets()
        tickers = await exchange.fetch_tickers(type="spot")
    traded = {
        symbol: tickers[symbol].quote_volume or 0.0
        for symbol, market in markets.items()
        if market.type == "spot" and market.active and market.quote == _QUOTE and symbol in tickers
    }
    if not traded:
        raise UsageError(
            f"venue was {exchange.venue!r}, which trades nothing against {_QUOTE}; write another: --venue kraken"
        )
    most = sorted(traded, key=lambda symbol: (-traded[symbol], symbol))[:count]
    report.steps["markets"] = f"{len(markets)} listed; the {len(most)} most traded against {_QUOTE} are taken"
    report.results |= {"venue": exchange.venue, "timeframe": _TIMEFRAME, "symbols": most}
    return most


async def _fetch_twice(report: _Report, exchange: Exchange, cache: Cache, symbols: Sequence[str]) -> Panel:
    with report.step("fetch"), progress("candles") as done:
        panel = await exchange.fetch_panel(symbols, _TIMEFRAME, limit=_BARS, progress=done)
    candles = int((~panel.mask).sum())
    report.steps["fetch"] = f"{candles:,} candles of {len(symbols)} symbols, {_TIMEFRAME}, through ccxt"
    before = await cache.stats()
    with report.step("cache"):
        again = await exchange.fetch_panel(symbols, _TIMEFRAME, limit=_BARS)
    after = await cache.stats()
    same = "equal" if again == panel else "newer"
    served = after.hits - before.hits
    report.steps["cache"] = f"the same once more: {served} of {len(symbols)} answers from the cache, {same}"
    report.results |= {"candles": candles, "bars": len(panel), "served_from_cache": served}
    return panel


async def _value(report: _Report, exchange: Exchange, cache: Cache) -> None:
    from tradeutils.balances import Balances

    if exchange.account is None:
        report.seconds["balances"] = 0.0
        report.steps["balances"] = "skipped: a real account needs your keys; see tradeutils balances --help"
        return
    with report.step("balances"):
        valuation = await Balances(exchange, cache=cache).total(exchange.account.name, _QUOTE)
    named = f"; without a price: {', '.join(valuation.unpriced)}" if valuation.unpriced else ""
    worth = f"{number_text(valuation.total.quantize(Decimal('0.01')))} {_QUOTE}"
    report.steps["balances"] = f"{len(valuation.assets)} assets worth {worth}{named}"
    told = valuation_as_json(valuation)
    # Ages and the time of asking are of this run; all else is of the seed.
    assets = {asset: {k: v for k, v in held.items() if k != "age"} for asset, held in told["assets"].items()}
    report.results["valuation"] = {**told, "assets": assets}
    del report.results["valuation"]["time"]


def _compute(report: _Report, panel: Panel) -> dict[str, Column]:
    from tradeutils.indicators import Indicators

    with report.step("indicators"):
        computed = Indicators(panel).compute(list(_SPECS))
    bars, symbols = panel.shape
    names = ", ".join(spec.partition(":")[0] for spec in _SPECS)
    report.steps["indicators"] = f"{names}: {len(computed)} columns of {bars} bars x {symbols} symbols"
    report.results["indicators"] = {
        key: {symbol: values[-1, s] for s, symbol in enumerate(panel.symbols)} for key, values in computed.items()
    }
    return {key: values[:, 0] for key, values in computed.items()}


def _draw(report: _Report, panel: Panel, columns: Mapping[str, Column], output: pathlib.Path, note: str) -> None:
    from tradeutils.cli.drawing import draw, render

    with report.step("chart"):
        candles = panel.candles(panel.symbols[0])
        rows = ~panel.mask[:, 0]
        lines = lines_of(parse_specs(_SPECS), {key: column[rows] for key, column in columns.items()})
        page = render(draw(candles, lines, note=note))
        save({output: page})
    report.steps["chart"] = (
        f"{output}: {len(candles)} bars of {candles.symbol}, {len(page) / 1e6:.1f} MB, opens without a network"
    )
    report.results["chart"] = {"file": str(output), "symbol": candles.symbol, "bytes": len(page)}
