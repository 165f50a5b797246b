"""``tradeutils balances``: what an account holds and what it is worth."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Quote, Url, Verbose
from tradeutils.cli.printing import number_text, show_json, show_table, tell
from tradeutils.errors import SettingsError, UnknownName, UsageError

if TYPE_CHECKING:
    from tradeutils.balances import Valuation
    from tradeutils.settings import Account, Settings

__all__ = ["balances", "show_valuation", "valuation_as_json"]

_VALUE_DIGITS: Final = 12  # a price of several legs has up to 60


def balances(
    *,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="NAME", help="Whose; may be left out where the settings name only one."),
    ] = None,
    quote: Quote = "USDT",
    as_json: AsJson = False,
    url: Url = None,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Value an account of the settings: each asset, its price and the markets it was priced over, and the total.

    Assets that no market leads from are named, not counted.

    Examples
    --------
    tradeutils balances
    tradeutils balances --account alice --quote BTC --json
    tradeutils balances --config bots.toml

    Settings (tradeutils.toml)
    --------------------------
    [accounts.alice]
    exchange = "binance"
    key_env = "ALICE_KEY"
    secret_env = "ALICE_SECRET"
    """
    from tradeutils.cli.venues import load_settings

    settings = load_settings(config)
    chosen = _choose(settings, account)
    valuation = asyncio.run(_value(settings, chosen, quote, url))
    if as_json:
        show_json({"venue": chosen.exchange, **valuation_as_json(valuation)})
    else:
        show_valuation(valuation, chosen.exchange)


def _choose(settings: Settings, name: str | None) -> Account:
    accounts = settings.accounts
    if not accounts:
        raise SettingsError(
            "no account is set up; write one in tradeutils.toml: [accounts.alice] with exchange, key_env and "
            "secret_env (tradeutils balances --help shows it)"
        )
    if name is None and len(accounts) > 1:
        raise UsageError(f"--account was left out and there are {', '.join(accounts)}; name one")
    if name is None:
        return next(iter(accounts.values()))
    if name not in accounts:
        raise UnknownName("account", name, accounts, where="the settings")
    return accounts[name]


async def _value(settings: Settings, account: Account, quote: str, url: str | None) -> Valuation:
    from tradeutils.balances import Balances
    from tradeutils.cli.venues import open_exchange

    async with open_exchange(account.exchange, settings, url=url, account=account) as exchange:
        return await Balances(exchange).total(account.name, quote)


def valuation_as_json(valuation: Valuation) -> dict[str, Any]:
    """Return a valuation for JSON; amounts, prices and values are the exact text of their decimals."""
    return {
        "account": valuation.account,
        "quote": valuation.quote,
        "time": valuation.time,
        "total": valuation.total,
        "assets": {
            asset: {
                "amount": held.amount,
                "price": held.price,
                "value": held.value,
                "route": list(held.route),
                "age": held.age,
            }
            for asset, held in valuation.assets.items()
        },
        "unpriced": dict(valuation.unpriced),
    }


def show_valuation(valuation: Valuation, venue: str) -> None:
    """Print a valuation as a table; what has no price is named in it, and once more on stderr."""
    quote = valuation.quote
    shown = [
        [
            asset,
            number_text(held.amount),
            number_text(held.price, digits=_VALUE_DIGITS),
            " > ".join(held.route) or "-",
            number_text(held.value, digits=_VALUE_DIGITS),
        ]
        for asset, held in valuation.assets.items()
    ]
    shown += [[asset, number_text(amount), "-", "no market", "-"] for asset, amount in valuation.unpriced.items()]
    shown.append(["total", "", "", "", number_text(valuation.total, digits=_VALUE_DIGITS)])
    columns = ("asset", ">amount", f">price ({quote})", "route", f">value ({quote})")
    show_table(columns, shown, title=f"{valuation.account} on {venue}")
    if valuation.unpriced:
        tell(f"not in the total, for no market leads from them to {quote}: {', '.join(valuation.unpriced)}")
