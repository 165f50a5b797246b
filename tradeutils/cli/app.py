"""The command line: its commands, and what stands before them."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import typer
import typer.core
import typer.main

from tradeutils._version import __version__
from tradeutils.cli import endings
from tradeutils.cli.arguments import Verbose
from tradeutils.cli.backfill import backfill
from tradeutils.cli.balances import balances
from tradeutils.cli.cache import COMMANDS as CACHE_COMMANDS
from tradeutils.cli.cache import cache
from tradeutils.cli.chart import chart
from tradeutils.cli.demo import demo
from tradeutils.cli.doctor import doctor
from tradeutils.cli.fetch import fetch
from tradeutils.cli.history import COMMANDS as HISTORY_COMMANDS
from tradeutils.cli.history import history
from tradeutils.cli.indicators import indicators
from tradeutils.cli.quality import quality
from tradeutils.cli.screen import screen
from tradeutils.cli.sim import sim
from tradeutils.cli.watch import watch
from tradeutils.errors import UnknownName

__all__ = ["app", "main"]

_SECTION: Final = re.compile(r"^(\w[^\n]*)\n-+\n((?:.+(?:\n|\Z))+)", re.MULTILINE)


class _Commands(typer.core.TyperGroup):
    """A group that names the nearest commands where there is none of the name given."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = not args or args[0].startswith("-") or args[0] in self.commands
        if not known and not ctx.resilient_parsing:  # a shell that completes a line asks with unfinished ones
            raise UnknownName("command", args[0], self.commands, where=ctx.command_path)
        return super().resolve_command(ctx, args)


def _help(command: Callable[..., object]) -> str:
    """Return a command's docstring as its help; a section under a heading keeps its lines."""
    return _SECTION.sub(_set_out, inspect.cleandoc(command.__doc__ or ""))


def _set_out(section: re.Match[str]) -> str:
    return f"\b\n{section[1]}:\n{textwrap.indent(section[2], '  ')}"


app = typer.Typer(
    name="tradeutils",
    cls=_Commands,
    pretty_exceptions_enable=False,  # tracebacks are for -vv, and locals may hold secrets
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    rich_markup_mode=None,  # plain help reads the same on a terminal, in a pipe and without colour
)
for _command, _purpose in (
    (demo, "Do everything once, on a simulated venue."),
    (fetch, "Candles of a venue."),
    (backfill, "Years of candles into a folder; goes on where it was."),
    (screen, "Which markets fit."),
    (watch, "Tickers live, as a table that tells when data stops."),
    (indicators, "Indicators over candles."),
    (chart, "Candles and indicators as an HTML file."),
    (quality, "What is wrong with candles."),
    (balances, "What an account is worth."),
    (sim, "Serve a simulated venue on this machine."),
    (doctor, "What this machine has, and what is missing."),
):
    app.command(_command.__name__, short_help=_purpose, help=_help(_command))(_command)

for _group, _subcommands, _purpose in (
    (cache, CACHE_COMMANDS, "A cache on Redis: stats, clean, get, keys."),
    (history, HISTORY_COMMANDS, "Candles on disk: stats, verify, import, export ..."),
):
    _grouped = typer.Typer(cls=_Commands, rich_markup_mode=None)
    _grouped.callback(invoke_without_command=True, help=_help(_group))(_group)
    for _name, _subcommand, _what in _subcommands:
        _grouped.command(_name, short_help=_what, help=_help(_subcommand))(_subcommand)
    app.add_typer(_grouped, name=_group.__name__, short_help=_purpose)


def _show_version(wanted: bool) -> None:  # typer calls it with the flag
    if wanted:
        typer.echo(f"tradeutils {__version__}")
        raise typer.Exit


def tradeutils(
    context: typer.Context,
    *,
    verbose: Verbose = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """
    Market data, a cache, balances and indicators for trading bots, from a shell.

    Examples
    --------
    tradeutils demo                                  everything once; no network, no key
    tradeutils fetch binance BTC/USDT -t 1h -n 500   candles
    tradeutils chart BTC/USDT 1h --with rsi:14 -o btc.html
    tradeutils watch BTC/USDT ETH/USDT               a live table
    tradeutils doctor                                what this machine has, and what is missing

    Exit codes: 0 done, 1 a venue or server failed (quality: errors found), 2 the command line or its input is wrong.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(endings.USAGE)


app.callback(invoke_without_command=True, help=_help(tradeutils))(tradeutils)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line and return its exit code: 0, 1 (a venue, server or disk failed), 2 (wrong input), 130 (Ctrl-C).

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.
    """

    def command(**given: Any) -> object:
        # Built in here: it takes a while, and Ctrl-C during it is an end like any other.
        return typer.main.get_command(app).main(**given)

    return endings.run(command, sys.argv[1:] if arguments is None else arguments, endings.Loudness())
