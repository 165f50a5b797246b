"""
Volumes of tickers in base and quote units, where ccxt hands on a venue's other ones.

Read for binance, bitget, bybit, gate, htx, mexc and okx in ccxt's classes (4.5.90) and the replies that stand in them:
it converts, or takes the right field, in all but the two below. Elsewhere a contract's volume may still be a number of
contracts. Amounts at the best prices are in contracts, as in books and orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

__all__ = ["use_base_units"]

_Raw: TypeAlias = dict[str, Any]


def _of_okx(ccxt: Any, raw: _Raw, row: Mapping[str, Any]) -> None:
    """Take the base volume of contracts, of whatever kind: vol24h counts contracts, volCcy24h is in the base."""
    raw["baseVolume"] = ccxt.safe_number(row, "volCcy24h")


def _of_bybit(ccxt: Any, raw: _Raw, row: Mapping[str, Any]) -> None:
    """Exchange the volumes of inverse contracts: one of them is of one dollar, and the turnover is in the base."""
    raw["baseVolume"], raw["quoteVolume"] = ccxt.safe_number(row, "turnover24h"), ccxt.safe_number(row, "volume24h")
    raw["vwap"] = None  # ccxt's is upside down


_CONTRACTS: Final[Mapping[str, Callable[[Any, _Raw, Mapping[str, Any]], None]]] = dict.fromkeys(
    ("okx", "okxus", "myokx"), _of_okx
)
_INVERSE: Final[Mapping[str, Callable[[Any, _Raw, Mapping[str, Any]], None]]] = dict.fromkeys(
    ("bybit", "bybiteu", "bybitid"), _of_bybit
)


def use_base_units(ccxt: Any) -> None:
    """Make one instance's ``parse_ticker`` tell volumes in base and quote units, on venues where it does not."""
    of_contracts, of_inverse = _CONTRACTS.get(ccxt.id), _INVERSE.get(ccxt.id)
    mend = of_contracts or of_inverse
    if mend is None:
        return
    kind = "contract" if of_contracts else "inverse"
    parse_ticker = ccxt.parse_ticker

    def parse(ticker: Any, market: Any = None) -> _Raw:
        raw: _Raw = parse_ticker(ticker, market)
        if ((ccxt.markets or {}).get(raw.get("symbol")) or {}).get(kind):
            mend(ccxt, raw, ticker)
        return raw

    ccxt.parse_ticker = parse
