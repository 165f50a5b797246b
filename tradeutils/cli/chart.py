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
    from tradeutils.cli.drawing import Finding, Lines
    from tradeutils.indicators.spec import Spec
    from tradeutils.model import Candles
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
    patterns: Annotated[bool, typer.Option("--patterns", help="Mark candlestick patterns.")] = False,
    chosen: Annotated[
        list[str] | None,
        typer.Option("--pattern", metavar="NAME", help="Mark this one, as hammer or engulfing; may be repeated."),
    ] = None,
    levels: Annotated[bool, typer.Option("--levels", help="Draw support and resistance, and mark swings.")] = False,
    profile: Annotated[bool, typer.Option("--volume-profile", help="Draw the volume by price.")] = False,
    compat: Compat = "talib",
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Draw candles and indicators into one HTML file that needs no network: it opens anywhere, light or dark.

    Moving averages and bands are drawn over the price, volume and oscillators in panes below it; gaps are shaded.
    Levels are those of the bars drawn, each from the bar on at which it was known. Point at a mark or a label to read
    what it is.

    Examples
    --------
    tradeutils chart BTC/USDT 1h --with ema:20 --with rsi:14 -o btc.html
    tradeutils chart kraken BTC/USD 1d -n 1000 --with bbands:20,2 -o btc.html
    tradeutils chart BTC/USDT 1h --patterns --levels -o btc.html
    tradeutils chart candles.parquet --with macd:12,26,9 --pattern hammer --pattern engulfing
    """
    check_target(output, CHART)
    asked, names = parse_specs(specs), _pattern_names(chosen, all_of_them=patterns)
    if not source:
        raise UsageError(f"the candles were left out; {HOW}")
    wanted = CandleRange(moment("since", since), moment("until", until), limit)
    origin = parse_source(source, venue=venue, timeframe=timeframe)
    found = compute(origin, wanted, asked, url=url, config=config, compat=compat, warm_up=_lookback(names))
    findings = _patterns(found.read, found.candles, names, chosen=bool(chosen)) if names else []
    findings += _levels(found.candles) if levels else []
    findings += _profile(found.candles) if profile else []

    from tradeutils.cli.drawing import draw, render

    save({output: render(draw(found.candles, lines_of(asked, found.columns), findings=findings, title=title))})
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


def _pattern_names(chosen: Sequence[str] | None, *, all_of_them: bool) -> list[str]:
    """Return TA-Lib's names of the patterns to mark; those that were chosen by name win over ``--patterns``."""
    if not chosen and not all_of_them:
        return []
    import numpy as np

    from tradeutils.analysis.patterns import find
    from tradeutils.model import Candles

    # Searched in no candles at all, a wrong name is told before anything is fetched.
    no: Column = np.empty(0)
    none = Candles(timeframe="1h", time=np.empty(0, np.int64), open=no, high=no, low=no, close=no, volume=no)
    return list(find(none, chosen or None))


def _lookback(names: Sequence[str]) -> int:
    from tradeutils.analysis.patterns import PATTERNS

    return max((PATTERNS[name].lookback for name in names), default=0)


def _patterns(read: Candles, drawn: Candles, names: Sequence[str], *, chosen: bool) -> list[Finding]:
    from tradeutils.analysis.patterns import find
    from tradeutils.cli.drawing import pattern_marks

    return [*pattern_marks(find(read, names, tail=len(drawn)), drawn, chosen=chosen)]


def _levels(drawn: Candles) -> list[Finding]:
    from tradeutils.analysis.levels import support_resistance, swings
    from tradeutils.cli.drawing import level_lines, swing_marks

    return [*level_lines(support_resistance(drawn), drawn), *swing_marks(swings(drawn), drawn)]


def _profile(drawn: Candles) -> list[Finding]:
    from tradeutils.analysis.levels import volume_profile
    from tradeutils.cli.drawing import profile_of

    found = profile_of(volume_profile(drawn), drawn)
    return [] if found is None else [found]
