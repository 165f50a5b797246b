"""``tradeutils balances``: what the accounts of the settings hold and what it is worth."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Quote, Url, Verbose
from tradeutils.cli.balance_tables import show_report
from tradeutils.cli.endings import FAILED
from tradeutils.cli.printing import progress, show_json, show_text, tell
from tradeutils.cli.saving import CSV, JSON, check_target, save
from tradeutils.cli.valuations import Report, report_of, suspended_only
from tradeutils.errors import SettingsError, UnknownName, UsageError

if TYPE_CHECKING:
    from tradeutils.balances import Balances
    from tradeutils.cache import Cache
    from tradeutils.settings import Account, Settings

__all__ = ["balances"]

_TABLES_UP_TO: Final = 3  # accounts: a table each, unless told otherwise
_LOCKED: Final = ("unpriced", "underlying")


def balances(
    *,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="NAME", help="One of the settings; may be repeated. Default: all."),
    ] = None,
    quote: Quote = "USDT",
    wallets: Annotated[
        str | None,
        typer.Option("--wallets", metavar="NAMES", help="spot,funding ... or all. Default: the venue's usual one."),
    ] = None,
    locked: Annotated[
        str, typer.Option("--locked", metavar="HOW", help="What lies in earning products: unpriced, or underlying.")
    ] = "unpriced",
    pegs: Annotated[
        str | None,
        typer.Option("--pegs", metavar="PAIRS", help="Coins taken for equal: USD, EUR, or USDC=USDT,FDUSD=USDT."),
    ] = None,
    min_value: Annotated[
        str | None, typer.Option("--min-value", metavar="AMOUNT", help="Put what is worth less on one line; it counts.")
    ] = None,
    stale: Annotated[
        float | None,
        typer.Option("--stale", metavar="SECONDS", min=0, help="Where a venue is down: the last known, up to so old."),
    ] = None,
    assets: Annotated[
        bool | None,
        typer.Option("--assets/--no-assets", help="A table for each account, or a line. Default: by their number."),
    ] = None,
    suspended: Annotated[
        bool, typer.Option("--suspended", help="Only those that are held back; no venue is asked.")
    ] = False,
    resume: Annotated[
        list[str] | None,
        typer.Option("--resume", metavar="NAME", help="Its key was mended: let its next call through. Repeatable."),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a row for each asset of each account.")] = False,
    output: Annotated[
        pathlib.Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a file (.csv .json) instead of a table."),
    ] = None,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Value the accounts of the settings: assets, prices with the markets they were found over, and totals.

    No account is left out: one that is suspended is listed with the reason and what is to be done, one that failed
    with its error, and assets without a price with why they have none. Suspensions are shared with the bots that use
    the same Redis: [cache] in the settings.

    Exit codes: 0 all accounts were read, 1 some failed, are suspended or stale, 2 the input is wrong.

    Examples
    --------
    tradeutils balances
    tradeutils balances --account alice --quote BTC --json
    tradeutils balances --assets --min-value 1 --locked underlying
    tradeutils balances --wallets all -o balances.csv
    tradeutils balances --suspended
    tradeutils balances --resume bob              then shows bob

    Settings (tradeutils.toml)
    --------------------------
    [accounts.alice]
    exchange = "binance"
    key_env = "ALICE_KEY"
    secret_env = "ALICE_SECRET"
    """
    from tradeutils.cli.venues import load_settings

    if as_json and as_csv:
        raise UsageError("--json and --csv were both given; write one of them")
    kind = None if output is None else check_target(output, CSV, JSON)
    terms = _terms(locked, pegs, min_value, stale)
    settings = load_settings(config)
    chosen = _chosen(settings, account or ([] if suspended else resume) or [])
    resumed = _chosen(settings, resume) if resume else {}
    report = asyncio.run(
        _report(
            _with_url(settings, chosen | resumed, url),
            shown=chosen,
            resumed=resumed,
            wallets=_wallets(wallets),
            quote=quote,
            terms=None if suspended else terms,
        )
    )
    if output is not None:
        save({output: (_json_text(report) if kind is JSON else report.as_csv()).encode()})
        tell(f"{output}: {len(report.accounts)} accounts")
    if as_json:
        show_json(report.as_json())
    elif as_csv:
        show_text(report.as_csv())
    elif output is None:
        several = len(report.accounts) > _TABLES_UP_TO
        show_report(report, assets=not several if assets is None else assets, min_value=terms["dust"])
    if not report.is_complete:
        raise typer.Exit(FAILED)


def _terms(locked: str, pegs: str | None, min_value: str | None, stale: float | None) -> dict[str, Any]:
    """Return how accounts are valued, for `Balances.totals`; what cannot be is told before anything is asked."""
    if locked not in _LOCKED:
        raise UnknownName("locked", locked, _LOCKED)
    least = None
    if min_value is not None:
        with contextlib.suppress(InvalidOperation):
            least = Decimal(min_value)
        if least is None or not least.is_finite() or least <= 0:
            raise UsageError(f"--min-value was {min_value!r:.40}; write an amount of the quote above 0: 1 or 0.5")
    return {"locked": locked, "pegs": _pegs(pegs), "dust": least, "stale": stale}


def _pegs(written: str | None) -> Mapping[str, str] | str | tuple[()]:
    """Return what ``--pegs`` says: the name of a currency, or pairs."""
    if written is None:
        return ()
    from tradeutils.balances.pegs import frozen_pegs

    pairs = [pair.split("=") for pair in written.split(",")]
    if all(len(pair) == 2 and all(pair) for pair in pairs):
        return {coin.strip(): other.strip() for coin, other in pairs}
    if "=" in written or "," in written:
        raise UsageError(f"--pegs was {written!r:.80}; write USD, EUR, or pairs: USDC=USDT,FDUSD=USDT")
    frozen_pegs(written)  # names the nearest
    return written


def _wallets(written: str | None) -> str | list[str] | None:
    if written is None or written.strip() == "all":
        return None if written is None else "all"
    names = [name.strip() for name in written.split(",")]
    if not all(names):
        raise UsageError(f"--wallets was {written!r:.80}; write names with commas between them, or all")
    return names


def _chosen(settings: Settings, names: list[str]) -> dict[str, Account]:
    """Return the accounts that are asked for, in the order of the settings; without names, all."""
    accounts = settings.accounts
    if not accounts:
        raise SettingsError(
            "no account is set up; write one in tradeutils.toml: [accounts.alice] with exchange, key_env and "
            "secret_env (tradeutils balances --help shows it)"
        )
    for name in names:
        if name not in accounts:
            raise UnknownName("account", name, accounts, where="the settings")
    return {name: account for name, account in accounts.items() if not names or name in names}


def _with_url(settings: Settings, accounts: dict[str, Account], url: str | None) -> Settings:
    """Return the settings of some accounts, whose venue lies elsewhere where the command line says so."""
    from tradeutils.exchange.requests.endpoints import parse_target
    from tradeutils.settings import ExchangeSettings

    exchanges = dict(settings.exchanges)
    if url is not None:
        parse_target(url)  # says what is wrong with it, as no setting is
        venues = sorted({account.exchange for account in accounts.values()})
        if len(venues) > 1:
            raise UsageError(
                f"--url was given for accounts on {' and '.join(venues)}; name those of one with --account, or write "
                f"url under [exchanges.{venues[0]}] in the settings"
            )
        own = exchanges.get(venues[0], ExchangeSettings())
        exchanges[venues[0]] = dataclasses.replace(own, url=url)
    return dataclasses.replace(settings, accounts=accounts, exchanges=exchanges)


@contextlib.asynccontextmanager
async def _open(settings: Settings, wallets: Any) -> AsyncIterator[tuple[Balances, Cache]]:
    from tradeutils.balances import Balances
    from tradeutils.exchange import Exchanges

    async with Exchanges(settings) as exchanges, Balances(exchanges, cache=exchanges.cache, wallets=wallets) as found:
        yield found, exchanges.cache


async def _report(
    settings: Settings,
    *,
    shown: dict[str, Account],
    resumed: dict[str, Account],
    wallets: Any,
    quote: str,
    terms: dict[str, Any] | None,
) -> Report:
    """Resume accounts, and return what is told of others; without ``terms`` only who is held back."""
    if terms is None or resumed:
        async with _open(settings, wallets) as (found, cache):
            await _refuse_unshared(cache)
            for name in resumed:
                await found.resume(name)
                await _refuse_unshared(cache)  # it may have gone away before it was told
                tell(f"{name} is resumed: its next call goes through")
            if terms is None:
                held = await found.suspensions()
                await _refuse_unshared(cache)
                return suspended_only(shown, held, quote)
    settings = dataclasses.replace(settings, accounts=shown)
    with progress("balances"):
        async with _open(settings, wallets) as (found, _):
            return report_of(shown, await found.totals(quote, **terms), found)


async def _refuse_unshared(cache: Cache) -> None:
    """Raise where no other process could have said, or could hear, who is suspended."""
    if cache.address is None:
        raise UsageError(
            "--suspended and --resume speak to other processes, and the settings name no cache to do so; write in "
            'tradeutils.toml: [cache] url = "redis://localhost:6379/0", as your bots have it'
        )
    await cache.get("suspension")  # one that is away would look like one that knows of none


def _json_text(report: Report) -> str:
    import json

    return json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
