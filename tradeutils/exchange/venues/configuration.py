"""What a class of ccxt is made with: options, credentials, and the name of what it will answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from tradeutils import errors
from tradeutils.settings import Account

__all__ = ["account_digest", "credentials_of", "defaults_of", "origin_of", "own_options_of"]

_OPTIONS: Final[Mapping[str, Any]] = {
    # ccxt refuses to ask for open orders of all markets unless told that the cost is known; our docstring says it.
    "fetchOpenOrders": {"warnWithoutSymbol": False},
    "warnOnFetchOpenOrdersWithoutSymbol": False,
    # Some classes (hyperliquid, aster, grvt, lighter, pacifica) would have the account pay ccxt a part of each order.
    "builderFee": False,
    # Of each market that is streamed ccxt keeps so many trades; its 1000, of 1.3 KB, are 65 MB for 50 markets. Readers
    # are told of each as it comes (`streams.arrivals`), so none needs them later.
    "tradesLimit": 16,
}
# With keys set, binance's load_markets would make private calls too, so that a bad key hid public markets.
# Ten seconds, as ccxt has it, is for clocks that are off; ours is the venue's. What was held up on its way is refused
# after this, so that an order whose answer is lost is known the sooner not to be there.
# Trades are streamed as they are over REST: summed up by the order that took them, and under the numbers of those sums,
# so that what a break took is known from what came. ccxt's default streams single fills, whose numbers are others.
_AGGREGATED: Final = {"name": "aggTrade"}
_BINANCE_OPTIONS: Final[Mapping[str, Any]] = {
    "fetchCurrencies": False,
    "fetchMargins": False,
    "recvWindow": 5_000,
    "watchTrades": _AGGREGATED,
    "watchTradesForSymbols": _AGGREGATED,
}


def defaults_of(name: str) -> dict[str, Any]:
    """Return the options that every class of a venue is made with."""
    return {**_OPTIONS, **(_BINANCE_OPTIONS if name.startswith("binance") else {})}


def own_options_of(name: str, account: Account | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the account's and the caller's options of ccxt as one."""
    if account is not None and not isinstance(account, Account):
        raise errors.UsageError(f"account was a {type(account).__name__}; give an Account, with its credentials")
    if account is not None and account.exchange != name:
        raise errors.UsageError(f"account {account.name!r} belongs to {account.exchange}, not to {name}")
    return {**(account.options if account else {}), **(options or {})}


def origin_of(name: str, host: str | None, sandbox: bool, options: Mapping[str, Any]) -> str:
    """Name where answers come from: two exchanges of one origin give the same ones, and may share a cache."""
    parts = [name, f"@{host}" if host else "", "~sandbox" if sandbox else ""]
    if options:
        told = repr(sorted(options.items(), key=lambda item: item[0])).encode()
        parts.append(f"~{hashlib.blake2b(told, digest_size=6).hexdigest()}")
    return "".join(parts)


def account_digest(account: Account | None) -> str | None:
    """Return a name for the key of an account, from which the key cannot be told; ``None``: nobody signs."""
    if account is None:
        return None
    given = account.unlocked().credentials
    key = given.key or given.wallet_address or given.uid or given.private_key or given.token or given.secret
    text = "" if key is None else key.reveal()
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def credentials_of(account: Account) -> dict[str, Any]:
    """Return an account's credentials under ccxt's names, revealed: they go nowhere but into the instance."""
    names = {
        "key": "apiKey",
        "secret": "secret",
        "password": "password",
        "uid": "uid",
        "wallet_address": "walletAddress",
        "private_key": "privateKey",
        "token": "token",
    }
    given = account.unlocked().credentials
    found = {theirs: getattr(given, ours, None) for ours, theirs in names.items()}
    return {name: secret.reveal() for name, secret in found.items() if secret is not None}
