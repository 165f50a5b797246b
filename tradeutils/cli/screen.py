"""``tradeutils screen``: which of a venue's markets fit, and why the others do not."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Url, Verbose
from tradeutils.cli.printing import number_text, progress, show_json, show_table, tell

if TYPE_CHECKING:
    from tradeutils.exchange.tickers.screening import Screened

__all__ = ["screen"]

_DIGITS = 4  # that count, in the table; --json has them all


def screen(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="The exchange, by its ccxt name: binance, kraken ...")],
    *,
    quote: Annotated[list[str] | None, typer.Option("--quote", metavar="CURRENCY", help="May be repeated.")] = None,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="spot, swap, future ...")] = "spot",
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="PATTERN", help="Symbols: 'BTC/*'; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="Symbols: '*UP/USDT'; may be repeated.")
    ] = None,
    min_quote_volume: Annotated[
        float | None, typer.Option("--min-quote-volume", metavar="AMOUNT", help="Of 24 hours, in quote.")
    ] = None,
    max_spread: Annotated[
        float | None, typer.Option("--max-spread", metavar="FRACTION", help="0.002 is 0.2 %.")
    ] = None,
    min_price: Annotated[float | None, typer.Option("--min-price", metavar="PRICE", help="In quote.")] = None,
    max_price: Annotated[float | None, typer.Option("--max-price", metavar="PRICE", help="In quote.")] = None,
    min_age_days: Annotated[
        float | None, typer.Option("--min-age-days", metavar="DAYS", help="Since trading began.")
    ] = None,
    min_volatility: Annotated[
        float | None, typer.Option("--min-volatility", metavar="FRACTION", help="Of daily returns: 0.03 is 3 % a day.")
    ] = None,
    max_volatility: Annotated[
        float | None, typer.Option("--max-volatility", metavar="FRACTION", help="As --min-volatility.")
    ] = None,
    correlation_to: Annotated[
        str | None, typer.Option("--correlation-to", metavar="SYMBOL", help="Whose daily returns to compare with.")
    ] = None,
    min_correlation: Annotated[
        float | None, typer.Option("--min-correlation", metavar="R", help="-1 to 1; wants --correlation-to.")
    ] = None,
    max_correlation: Annotated[
        float | None, typer.Option("--max-correlation", metavar="R", help="-1 to 1; wants --correlation-to.")
    ] = None,
    window: Annotated[int, typer.Option("--window", metavar="DAYS", help="Of volatility and correlation.")] = 30,
    sort_by: Annotated[
        str, typer.Option("--sort-by", metavar="FIGURE", help="quote_volume, volatility, spread, price ...")
    ] = "quote_volume",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="The first so many.")] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Show the others instead, each with its reason.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Pick markets by what they are and how they trade.

    Examples
    --------
    tradeutils screen binance --quote USDT --min-quote-volume 1e6 --max-spread 0.002
    tradeutils screen binance --quote USDT --min-volatility 0.02 --sort-by volatility -n 20
    tradeutils screen kraken --quote USD --correlation-to BTC/USD --max-correlation 0.5 --json
    """
    asked = {
        "quote": quote or None, "type": kind, "include": include or None, "exclude": exclude or None,
        "min_quote_volume": min_quote_volume, "max_spread": max_spread, "min_price": min_price,
        "max_price": max_price, "min_age_days": min_age_days, "min_volatility": min_volatility,
        "max_volatility": max_volatility, "correlation_to": correlation_to, "min_correlation": min_correlation,
        "max_correlation": max_correlation, "window": window, "sort_by": sort_by, "limit": limit,
    }  # fmt: skip
    found = asyncio.run(_screen(venue, asked, url, config))
    if as_json:
        figures = {symbol: dataclasses.asdict(known) for symbol, known in found.figures.items()}
        show_json({"exchange": venue, "symbols": list(found), "figures": figures, "rejected": dict(found.rejected)})
    elif rejected:
        show_table(("symbol", "why not"), sorted(found.rejected.items()))
    else:
        _show(found)
    tell(f"{len(found)} of {len(found) + len(found.rejected)} markets fit")


async def _screen(venue: str, asked: dict[str, Any], url: str | None, config: pathlib.Path | None) -> Screened:
    from tradeutils.cli.venues import load_settings, open_exchange

    async with open_exchange(venue, load_settings(config), url=url) as exchange:
        with progress(f"{venue} daily candles") as done:
            return await exchange.screen(**asked, progress=done)


def _show(found: Screened) -> None:
    """Show what fits, without the figures that nobody asked about."""
    names = [
        name
        for name in ("price", "quote_volume", "spread", "age_days", "volatility", "correlation")
        if any(getattr(known, name) is not None for known in found.figures.values())
    ]
    rows = [
        [symbol, *(number_text(getattr(found.figures[symbol], name), digits=_DIGITS) for name in names)]
        for symbol in found
    ]
    show_table(("symbol", *(f">{name.replace('_', ' ')}" for name in names)), rows)
