"""Tables that are made from the code while the documentation is built: a page asks with ``<!-- table: NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
import typer.main
from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from tradeutils.indicators.declaration import Indicator


def indicators() -> str:
    """Return the registry as a table for each family."""
    from tradeutils.indicators.declared import FILES

    parts = []
    for file in FILES:
        title = file.__name__.rpartition(".")[2].capitalize()
        rows = ["| call | what it is | outputs | source |", "|---|---|---|---|", *map(_row, file.DECLARED)]
        parts.append("\n".join([f"### {title}", "", str(file.__doc__).strip(), "", *rows]))
    return "\n\n".join(parts)


def _row(indicator: Indicator) -> str:
    outputs = ", ".join(f"`{name}`" for name in indicator.outputs)
    first = indicator.lookback(*indicator.bind())
    notes = f"First value after {first} bars." if first else "Known from the first bar on."
    if indicator.tradingview is not None:
        notes += ' `compat="tradingview"` differs.'
    if indicator.aliases:
        notes += f" In specs also {', '.join(f'`{alias}`' for alias in indicator.aliases)}."
    cells = (
        f"`{indicator.signature}`",
        f"{indicator.title}<br>{indicator.formula}<br>{notes}",
        outputs,
        indicator.source,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def patterns() -> str:
    """Return the candlestick patterns as a table."""
    from tradeutils.analysis.patterns import PATTERNS

    rows = ["| name | pattern | foretells | values | bars | needs before | book |", "|---|---|---|---|---|---|---|"]
    for one in PATTERNS.values():
        values = ", ".join(f"{value:+d}" for value in one.values)
        depth = "" if one.penetration is None else f"<br>`penetration`: {one.penetration}"
        cells = (
            f"`{one.name}`",
            f"{one.title}<br>{one.says}{depth}",
            one.bias,
            values,
            one.bars,
            one.lookback,
            one.source,
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def commands() -> str:
    """Return the help text of every command."""
    from tradeutils.cli.app import app

    group = typer.main.get_command(app)
    root = click.Context(group, info_name="tradeutils", terminal_width=88)
    texts = [("tradeutils", group.get_help(root)), *_helps(group, root)]
    return "\n\n".join(f"## {title}\n\n```text\n{text.rstrip()}\n```" for title, text in texts)


def _helps(group: Any, above: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the commands of a group, and of the groups in it, with their help."""
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=above, terminal_width=88)
        yield context.command_path, command.get_help(context)
        if hasattr(command, "commands"):
            yield from _helps(command, context)


def windows() -> str:
    """Return what is known of the venues' limits, a table a venue."""
    from tradeutils.budget.rules import venues

    parts = []
    for venue in venues().values():
        names = ", ".join(f"`{name}`" for name in venue.ids)
        tiers = f" Tiers: {', '.join(f'`{tier}`' for tier in venue.tiers)}." if venue.tiers else ""
        rows = [f"## {venue.name}", f"Classes of ccxt: {names}.{tiers}", ""]
        rows += ["| pool | window | limit | of | counts | source |", "|---|---|---|---|---|---|"]
        rows += [_window_row(pool.name, rule) for pool in venue.pools for rule in pool.rules]
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _window_row(pool: str, rule: Any) -> str:
    window = rule.window
    tiers = "".join(f"<br>{tier}: {_limit(other)}" for tier, other in rule.tiers.items())
    of = ("an address" if window.scope == "ip" else "an account") + (", each endpoint" if rule.per_endpoint else "")
    counts = f"{rule.unit}: " + (", ".join(f"`{one}`" for one in rule.endpoints) or "all calls")
    cells = [f"`{pool}`", f"`{window.name}`", f"{_limit(window)}{tiers}", of, counts, _linked(rule.source)]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _linked(source: str) -> str:
    return re.sub(r"https?://[^\s;,]*[^\s;,.:]", r"<\g<0>>", source)


def _limit(window: Any) -> str:
    return f"{window.limit:,.10g} in {window.seconds:,.10g} s"


def weights() -> str:
    """Return the endpoints that weigh something else than ccxt has."""
    from tradeutils.budget.rules import venues

    parts = []
    for pool in (pool for venue in venues().values() for pool in venue.pools if pool.weights):
        rows = [
            f"### {pool.name}",
            f"Source: {_linked(pool.weights_source)}.",
            "",
            "| endpoint | weight |",
            "|---|---|",
        ]
        parts.append("\n".join(rows + [f"| `{name}` | {_weight(one)} |" for name, one in pool.weights.items()]))
    return "\n\n".join(parts)


def _weight(weight: Any) -> str:
    if weight.each is not None:
        return f"{weight.missing:.4g} an order"
    if not weight.by:
        return f"{weight.missing:g}"
    if weight.given is not None:
        return f"{weight.given:g} with `{weight.by}`, {weight.missing:g} without"
    if weight.values:
        told = ", ".join(f"{one:g} for {value}" for value, one in weight.values.items())
        return f"by `{weight.by}`: {told}, else {weight.missing:g}"
    told = ", ".join(f"{one:g} up to {most:g}" for most, one in weight.steps)
    return f"by `{weight.by}`: {told}, {weight.above:g} beyond, {weight.missing:g} without"


TABLES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "indicators": indicators,
    "patterns": patterns,
    "weights": weights,
    "windows": windows,
}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put each table where its page asks for it (a hook of mkdocs)."""

    def made(match: re.Match[str]) -> str:
        if match["name"] not in TABLES:
            raise PluginError(f"{page.file.src_uri}: no table {match['name']!r}; there are {', '.join(TABLES)}")
        return TABLES[match["name"]]()

    return re.sub(r"<!-- table: (?P<name>.+?) -->", made, markdown)
