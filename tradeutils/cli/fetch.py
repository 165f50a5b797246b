"""``tradeutils fetch``: candles of a venue, as a table, as JSON or into files."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Limit, Since, TimeframeOption, Until, Url, Verbose, moment
from tradeutils.cli.candle_files import CANDLE_KINDS, encode, rows
from tradeutils.cli.printing import number_text, progress, show_json, show_table, tell, utc
from tradeutils.cli.saving import Kind, check_target, save
from tradeutils.cli.sources import CandleRange
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    from tradeutils.model import Candles

__all__ = ["fetch"]


def fetch(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="The exchange, by its ccxt name: binance, kraken ...")],
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL", help="Markets: BTC/USDT ETH/USDT ...")],
    *,
    timeframe: TimeframeOption = "1h",
    limit: Limit = None,
    since: Since = None,
    until: Until = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="Write a file (.csv .parquet .feather .json) instead; for several symbols with {symbol} in its name.",
        ),
    ] = None,
    tail: Annotated[int, typer.Option("--tail", metavar="N", min=1, help="Rows of each symbol in the table.")] = 10,
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:  # fmt: skip
    """
    Fetch candles from a venue. Only closed ones; times are UTC.

    Without --limit and --since, the newest 500.

    Examples
    --------
    tradeutils fetch binance BTC/USDT
    tradeutils fetch binance BTC/USDT -t 1m --since 2024-01-01 --until 2024-02-01 -o btc.parquet
    tradeutils fetch kraken BTC/USD ETH/USD -t 1d -o 'candles-{symbol}.csv'
    tradeutils fetch binance BTC/USDT -n 5 --json
    """
    wanted = CandleRange(moment("since", since), moment("until", until), limit)
    asked = list(dict.fromkeys(symbols))
    targets = _targets(output, asked, timeframe) if output is not None else None
    fetched = asyncio.run(_fetch(venue, asked, timeframe, wanted, url, config))
    _refuse_empty(fetched, each=targets is not None)
    if targets is not None:
        save({path: encode(candles, kind) for (path, kind), candles in zip(targets, fetched, strict=True)})
        for (path, _), candles in zip(targets, fetched, strict=True):
            tell(f"{path}: {_described(candles)}")
    if as_json:
        show_json(
            {
                "exchange": venue,
                "timeframe": fetched[0].timeframe,
                "candles": {candles.symbol: rows(candles) for candles in fetched},
            }
        )
    elif targets is None:
        _show(fetched, tail)


def _targets(output: str, symbols: Sequence[str], timeframe: str) -> list[tuple[pathlib.Path, Kind]]:
    """Return the file of each symbol and its kind; refuse what cannot be written before anything is fetched."""
    if len(symbols) > 1 and "{symbol}" not in output:
        raise UsageError(
            f"output was {output!r} for {len(symbols)} symbols; write one with {{symbol}}: '{{symbol}}-{timeframe}.csv'"
        )
    targets = []
    for symbol in symbols:
        name = symbol.replace("/", "_").replace(":", "_")
        path = pathlib.Path(output.replace("{symbol}", name))
        targets.append((path, check_target(path, *CANDLE_KINDS)))
    if len({path for path, _ in targets}) < len(targets):
        raise UsageError(
            f"output was {output!r}, which gives two of {', '.join(symbols)} one name; fetch them one by one"
        )
    return targets


async def _fetch(
    venue: str,
    symbols: Sequence[str],
    timeframe: str,
    wanted: CandleRange,
    url: str | None,
    config: pathlib.Path | None,
) -> list[Candles]:
    from tradeutils.cli.venues import load_settings, open_exchange

    async with open_exchange(venue, load_settings(config), url=url) as exchange:
        with progress(f"{venue} {timeframe}") as done:
            panel = await exchange.fetch_panel(
                symbols, timeframe, since=wanted.since, until=wanted.until, limit=wanted.limit, progress=done
            )
    return [panel.candles(symbol) for symbol in symbols]


def _refuse_empty(fetched: Sequence[Candles], *, each: bool) -> None:
    empty = [candles.symbol for candles in fetched if not len(candles)]
    if empty and (each or len(empty) == len(fetched)):
        raise UsageError(f"{', '.join(empty)} has no candle in that range; widen --since and --until")


def _described(candles: Candles) -> str:
    gaps = candles.gaps()
    missing = f", {len(gaps)} gaps ({sum(gap.bars for gap in gaps)} bars missing)" if gaps else ""
    return f"{len(candles)} bars of {candles.symbol} {candles.timeframe}{missing}"


def _show(fetched: Sequence[Candles], tail: int) -> None:
    shown = [
        [candles.symbol, utc(int(row[0] or 0)), *(number_text(value) for value in row[1:])]
        for candles in fetched
        for row in rows(candles[-tail:])
    ]
    show_table(("symbol", "time (UTC)", ">open", ">high", ">low", ">close", ">volume"), shown)
    for candles in fetched:
        tell(f"{_described(candles)}; the newest {min(tail, len(candles))} are shown")
