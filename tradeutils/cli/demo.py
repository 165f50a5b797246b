"""``tradeutils demo``: the whole road once, on a simulated venue or a real one, and how long each step took."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, Venue, Verbose
from tradeutils.cli.balances import valuation_as_json
from tradeutils.cli.chart import lines_of
from tradeutils.cli.computing import parse_specs
from tradeutils.cli.printing import figure, progress, show_json, show_table, tell
from tradeutils.cli.saving import CHART, check_target, save
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    from tradeutils.cache import Cache
    from tradeutils.exchange import Exchange
    from tradeutils.model import Panel
    from tradeutils.model.candles import Column

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
        self.seconds[name] = time.perf_counter() - started


def demo(
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulated market: the same one, the same numbers.")] = 7,
    symbols: Annotated[int, typer.Option("--symbols", min=1, max=1000, help="How many markets to fetch.")] = 50,
    live: Annotated[bool, typer.Option("--live", help="Ask a real venue's public endpoints instead.")] = False,
    venue: Venue = "binance",
    output: Annotated[pathlib.Path, typer.Option("--output", "-o", help="The chart to write.")] = pathlib.Path("demo.html"),
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """
    Do everything once: fetch, cache, value an account, compute indicators, draw a chart. No network, server or key.

    A simulated venue is started on this machine and asked through ccxt, unmodified, as a real one would be.

    \b
    Examples:
      tradeutils demo
      tradeutils demo --seed 42 --symbols 200 -o market.html
      tradeutils demo --live --venue kraken
      tradeutils demo --json
    """
    check_target(output, CHART)
    report = _Report()
    if live:
        asyncio.run(_walk(report, venue, symbols, output, note=""))
    else:
        _simulate(report, venue, symbols, seed, output)
    if as_json:
        show_json({"results": report.results, "seconds": {name: round(s, 3) for name, s in report.seconds.items()}})
        return
    rows = [[name, text, f"{report.seconds[name]:.2f} s"] for name, text in report.steps.items()]
    show_table(("step", "what was done", ">took"), [*rows, ["total", "", f"{sum(report.seconds.values()):.2f} s"]])
    tell(f"open {output} in a browser")
