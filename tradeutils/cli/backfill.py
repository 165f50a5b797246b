"""``tradeutils backfill``: candles of many markets into a folder; run again, it goes on where it was."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Until, Url, Verbose, moment
from tradeutils.cli.endings import FAILED
from tradeutils.cli.printing import show_json, show_table, tell, utc
from tradeutils.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from tradeutils.exchange import Exchange
    from tradeutils.history.backfilling.report import BackfillReport, Progress
    from tradeutils.model import Market
    from tradeutils.settings import Settings

__all__ = ["backfill"]

_ROWS: Final = 40  # of the table of what is missing; --json has them all


def backfill(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="The exchange, by its ccxt name: binance, kraken ...")],
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From this time on: 2024-01-31, 2024-01-31T12:00 (UTC), ms.")
    ],
    until: Until = None,
    timeframes: Annotated[
        list[str] | None,
        typer.Option(
            "--timeframe", "-t", metavar="TIMEFRAME", help="Or several, with commas; may be repeated. Default: 1m."
        ),
    ] = None,
    symbols: Annotated[
        list[str] | None, typer.Option("--symbols", metavar="SYMBOL", help="Or several, with commas; may be repeated.")
    ] = None,
    quote: Annotated[
        list[str] | None, typer.Option("--quote", metavar="CURRENCY", help="All active markets of it; may be repeated.")
    ] = None,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="With --quote: spot, swap, future ...")] = "spot",
    path: Annotated[
        pathlib.Path | None,
        typer.Option("--path", metavar="FOLDER", help="Where to. Default: that of the settings, else candles."),
    ] = None,
    fetch_all: Annotated[
        bool, typer.Option("--fetch-all", help="Ask for coarser timeframes too, instead of making them of finer ones.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Fetch what a folder of candles lacks. Stopped at any moment, the same command goes on where it was.

    Examples
    --------
    tradeutils backfill binance --quote USDT --timeframe 1m --since 2024-01-01
    tradeutils backfill binance --symbols BTC/USDT,ETH/USDT -t 1m -t 1h -t 1d --since 2024-01-01 --until 2024-02-01
    tradeutils backfill kraken --symbols BTC/USD -t 1h --since 2024-01-01 --path /data/candles --json
    """
    from tradeutils.cli.venues import load_settings

    start, end = moment("since", since) or 0, moment("until", until)
    if not symbols and not quote:
        raise UsageError("neither --symbols nor --quote was given; write which markets, as in --symbols BTC/USDT")
    settings = load_settings(config)
    wanted = _Wanted(symbols or (), tuple(quote or ()), kind, tuple(_each(timeframes or ("1m",))), start, end)
    folder = (settings.history.path if path is None else path).expanduser()
    try:
        report = asyncio.run(_backfill(venue, wanted, folder, settings, url=url, derive=not fetch_all))
    except KeyboardInterrupt:
        tell("stopped; what was fetched is kept, and the same command goes on from there")
        raise
    _show(report, folder, as_json=as_json)
    if not report.complete:
        raise typer.Exit(FAILED)


def _each(texts: Sequence[str]) -> list[str]:
    """Return what stands between commas."""
    return [one.strip() for text in texts for one in text.split(",") if one.strip()]


@dataclasses.dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command line asks for."""

    symbols: Sequence[str]
    quotes: tuple[str, ...]
    kind: str
    timeframes: tuple[str, ...]
    since: int
    until: int | None

    def of(self, markets: Mapping[str, Market], venue: str) -> list[str]:
        """Return the symbols, those that were named first."""
        named = _each(self.symbols)
        alike = [one for one in markets.values() if one.type == self.kind]
        if self.quotes and not alike:
            raise UnknownName("type", self.kind, sorted({one.type for one in markets.values()}), where=venue)
        for quote in self.quotes:
            found = [one.symbol for one in alike if one.quote == quote and one.active]
            if not found:
                raise UnknownName("quote", quote, sorted({one.quote for one in alike}), where=venue)
            named.extend(found)
        return list(dict.fromkeys(named))


async def _backfill(
    venue: str, wanted: _Wanted, folder: pathlib.Path, settings: Settings, *, url: str | None, derive: bool
) -> BackfillReport:
    from tradeutils.history import History

    async with _open(venue, settings, url) as exchange:
        symbols = wanted.of(await exchange.load_markets(), venue)
        with History(folder) as history, _bar(f"{venue} {' '.join(wanted.timeframes)}") as show:
            return await history.backfill(
                exchange,
                symbols,
                wanted.timeframes,
                since=wanted.since,
                until=wanted.until,
                progress=show,
                derive=derive,
            )


@contextlib.asynccontextmanager
async def _open(venue: str, settings: Settings, url: str | None) -> AsyncIterator[Exchange]:
    """
    Open an exchange that pays from the budget of the settings' cache, and keeps no candles in that cache.

    Years of them would push out what other programs keep there, and nobody asks for the same piece again.
    """
    from tradeutils.budget import default_budget
    from tradeutils.cache import Cache
    from tradeutils.exchange import Exchange
    from tradeutils.settings import ExchangeSettings

    own = settings.exchanges.get(venue, ExchangeSettings())
    named = settings.cache
    async with Cache(named.url.reveal(), namespace=named.namespace, timeout=named.timeout) as cache:
        budget = default_budget(cache, egress=own.egress or "default")
        try:
            async with Exchange(venue, budget=budget, url=url, settings=own) as exchange:
                yield exchange
        finally:
            await budget.aclose()


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[[Progress], object] | None]:
    """Show how far it is, how fast and how long still, on stderr while that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[pace]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=None, pace="")

        def show(progress: Progress) -> None:
            left = "" if progress.eta is None else f", {_duration(progress.eta)} left"
            bar.update(task, completed=progress.done, total=progress.total, pace=f"{progress.rate:,.0f} bars/s{left}")

        yield show


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _show(report: BackfillReport, folder: pathlib.Path, *, as_json: bool) -> None:
    if as_json:
        show_json(_plain(report, folder))
        return
    missing = [
        (one.symbol, one.timeframe, utc(gap.since), utc(gap.until), f"{gap.bars:,}", gap.detail or gap.reason)
        for one in report.series
        for gap in one.missing
    ]
    if missing:
        show_table(("symbol", "timeframe", "since (UTC)", "until (UTC)", ">missing", "why"), missing[:_ROWS])
    if len(missing) > _ROWS:
        tell(f"and {len(missing) - _ROWS} more rows; --json has them all")
    # The first line says what was added, the others what is missing, as the table does.
    tell(f"{folder}: {str(report).splitlines()[0]}")


def _plain(report: BackfillReport, folder: pathlib.Path) -> dict[str, Any]:
    return {
        "exchange": report.exchange,
        "path": str(folder),
        "since": report.since,
        "until": report.until,
        "seconds": report.seconds,
        "complete": report.complete,
        "series": [dataclasses.asdict(one) for one in report.series],
    }
