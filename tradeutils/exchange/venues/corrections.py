"""
What some of ccxt's classes do on their own account, or read less of than the venue tells: set right on an instance.

Found with ccxt 4.5.90. Each correction can go once ccxt does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["correct"]


def correct(opened: Any) -> Any:
    """Return an instance of ccxt's class with what is known to be wrong of it set right."""
    found = _CORRECTIONS.get(str(opened.id))
    if found is not None:
        found(opened)
    return opened


def _hyperliquid(opened: Any) -> None:
    """
    Sign nothing that nobody asked for, and give no account's trades for everybody's.

    Ahead of an account's first order the class signs a referral and an approval of a builder for it, whatever its
    options say; with ccxt's option ``builderFee`` it may. And its ``fetch_trades`` asks for those of a wallet.
    """
    first = opened.initialize_client

    async def initialize_client() -> bool:
        return bool(await first()) if opened.options.get("builderFee") else True

    opened.initialize_client = initialize_client
    opened.has = {**opened.has, "fetchTrades": False}


def _krakenfutures(opened: Any) -> None:
    """
    Read what was traded of inverse contracts, and what was paid for it.

    The class leaves their amounts out, and reckons every fee from the market's usual ones.
    """
    parse = opened.parse_trade

    def parse_trade(trade: Mapping[str, Any], market: Any = None) -> Any:
        made = parse(trade, market)
        if made["amount"] is None:
            made["amount"] = opened.parse_number(opened.safe_string_n(trade, ["size", "amount", "quantity"]))
        paid = opened.safe_string(trade, "fee_paid")
        if paid is not None:
            made["fee"] = {"cost": opened.parse_number(paid), "currency": _code(opened, trade)}
            made["fees"] = [made["fee"]]
        return made

    opened.parse_trade = parse_trade


def _dydx(opened: Any) -> None:
    """Read the venue's time in milliseconds; the class gives whole seconds for them."""

    async def fetch_time(params: Mapping[str, Any] | None = None) -> Any:
        return opened.parse8601(opened.safe_string(await opened.indexerGetTime(params or {}), "iso"))

    opened.fetch_time = fetch_time


def _code(opened: Any, trade: Mapping[str, Any]) -> Any:
    return opened.safe_currency_code(opened.safe_string(trade, "fee_currency"))


_CORRECTIONS: Final[Mapping[str, Callable[[Any], None]]] = {
    "dydx": _dydx,
    "hyperliquid": _hyperliquid,
    "krakenfutures": _krakenfutures,
}
