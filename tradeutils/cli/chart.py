"""``tradeutils chart``: candles and indicators as one HTML file."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tradeutils.cli.arguments import Compat, ConfigFile, Limit, Since, Specs, Until, Url, Venue, Verbose, moment
from tradeutils.cli.computing import compute, parse_specs
from tradeutils.cli.printing import tell
from tradeutils.cli.saving import CHART, check_target, save
from tradeutils.cli.sources import HOW, METAVAR, CandleRange, parse_source
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    from tradeutils.cli.drawing import Lines
    from tradeutils.indicators.spec import Spec
    from tradeutils.model.candles import Column

__all__ = ["chart", "lines_of"]


def chart(
    source: Annotated[list[str] | None, typer.Argument(metavar=METAVAR, help="A candle file, or a market.")] = None,
    *,
    specs: Specs = None,
    output: Annotated[
        pathlib.Path, typer.Option("--output", "-o", metavar="FILE", help="The HTML file to write.")
    ] = pathlib.Path("chart.html"),
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", "-t", metavar="TIMEFRAME", help="Length of a bar: 1m, 1h, 1d ...")
    ] = None,
    venue: Venue = "binance",
    limit: Limit = None,
    since: Since = None,
    until: Until = None,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Default: symbol, timeframe and exchange.")
    ] = "",
    compat: Compat = "talib",
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Draw candles and indicators into one HTML file that needs no network: it opens anywhere, light or dark.

    Moving averages and bands are drawn over the price, volume and oscillators in panes below it; gaps are shaded.

    Examples
    --------
    tradeutils chart BTC/USDT 1h --with ema:20 --with rsi:14 -o btc.html
    tradeutils chart kraken BTC/USD 1d -n 1000 --with bbands:20,2 -o btc.html
    tradeutils chart candles.parquet --with macd:12,26,9
    """
    check_target(output, CHART)
    asked = parse_specs(specs)
    if not source:
        raise UsageError(f"the candles were left out; {HOW}")
    wanted = CandleRange(moment("since", since), moment("until", until), limit)
    origin = parse_source(source, venue=venue, timeframe=timeframe)
    found = compute(origin, wanted, asked, url=url, config=config, compat=compat)

    from tradeutils.cli.drawing import draw, render

    page = render(draw(found.candles, lines_of(asked, found.columns), title=title))
    save({output: page})
    tell(f"{output}: {len(found.candles)} bars of {found.candles.symbol or 'candles'} {found.candles.timeframe}")


def lines_of(specs: Sequence[Spec], columns: Mapping[str, Column]) -> list[Lines]:
    """Return each indicator with its columns, for the drawing."""
    from tradeutils.cli.drawing import Lines

    return [
        Lines(
            spec.indicator.name,
            spec.text,
            {output: columns[key] for output, key in zip(spec.indicator.outputs, spec.keys, strict=True)},
        )
        for spec in specs
    ]
