"""``tradeutils indicators``: indicators over a candle file or a venue's candles."""

from __future__ import annotations

from typing import Annotated

import typer

from tradeutils.cli.arguments import (
    AsJson,
    Compat,
    ConfigFile,
    Limit,
    Since,
    Specs,
    Until,
    Url,
    Venue,
    Verbose,
    moment,
)
from tradeutils.cli.computing import Computed, compute, parse_specs
from tradeutils.cli.printing import number_text, show_json, show_table, utc
from tradeutils.cli.sources import HOW, METAVAR, CandleRange, parse_source
from tradeutils.errors import UsageError

__all__ = ["indicators"]

_TAIL = 5
_DIGITS = 10


def indicators(
    source: Annotated[list[str] | None, typer.Argument(metavar=METAVAR, help="A candle file, or a market.")] = None,
    *,
    specs: Specs = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", "-t", metavar="TIMEFRAME", help="Length of a bar: 1m, 1h, 1d ...")
    ] = None,
    venue: Venue = "binance",
    limit: Limit = None,
    since: Since = None,
    until: Until = None,
    tail: Annotated[
        int | None,
        typer.Option("--tail", metavar="N", min=1, help="The newest so many rows. Default: 5; with --json, all."),
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--list", help="List the indicators there are, and their parameters.")
    ] = False,
    compat: Compat = "talib",
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Compute indicators on the candles of a file or of a venue.

    What is wrong with a file (gaps, duplicates, disorder) is told on stderr. Bars of a venue before the range are
    fetched as far as the indicators need them.

    Examples
    --------
    tradeutils indicators candles.csv --with rsi:14 --with ema:20
    tradeutils indicators BTC/USDT 1h --with macd:12,26,9 --tail 10
    tradeutils indicators kraken BTC/USD 1d --with bbands:20,2 --json
    tradeutils indicators BTC/USDT 1h --with keltner --compat tradingview
    tradeutils indicators --list
    """
    if show_all:
        _show_registry(as_json=as_json)
        return
    asked = parse_specs(specs)
    if not source:
        raise UsageError(f"the candles were left out; {HOW}")
    if not asked:
        raise UsageError("no indicator was asked for; write --with rsi:14 (tradeutils indicators --list names them)")
    wanted = CandleRange(moment("since", since), moment("until", until), limit)
    origin = parse_source(source, venue=venue, timeframe=timeframe)
    found = compute(origin, wanted, asked, url=url, config=config, compat=compat)
    if as_json:
        _show_json(found, tail or len(found.candles))
    else:
        _show_table(found, tail or _TAIL)


def _show_json(found: Computed, tail: int) -> None:
    candles = found.candles[-tail:]
    show_json(
        {
            "exchange": candles.exchange,
            "symbol": candles.symbol,
            "timeframe": candles.timeframe,
            "time": candles.time,
            "close": candles.close,
            "indicators": {key: column[-tail:] for key, column in found.columns.items()},
        }
    )


def _show_table(found: Computed, tail: int) -> None:
    candles = found.candles[-tail:]
    columns = [candles.close, *(column[-tail:] for column in found.columns.values())]
    shown = [
        [utc(int(time)), *(number_text(float(column[row]), digits=_DIGITS) for column in columns)]
        for row, time in enumerate(candles.time)
    ]
    title = " ".join(part for part in (candles.exchange, candles.symbol, candles.timeframe) if part)
    show_table(("time (UTC)", ">close", *(f">{key}" for key in found.columns)), shown, title=title)


def _show_registry(*, as_json: bool) -> None:
    from tradeutils.indicators.spec import REGISTRY

    if as_json:
        show_json(
            {
                name: {
                    "title": one.title,
                    "parameters": {parameter.name: parameter.default for parameter in one.parameters},
                    "outputs": one.outputs,
                    "inputs": one.inputs,
                    "lookback": one.lookback(*one.bind()),
                    "compat": ["talib", "tradingview"] if one.tradingview else ["talib"],
                }
                for name, one in REGISTRY.items()
            }
        )
        return
    rows = [[one.label(one.bind()), one.title, ", ".join(one.outputs)] for one in REGISTRY.values()]
    show_table(("write", "meaning", "outputs"), rows)
