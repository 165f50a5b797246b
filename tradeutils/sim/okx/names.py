"""
OKX's own names of markets and orders, and its contracts.

A swap is counted in contracts of so much of the base asset each. The market and the ledger count in base units: amounts
are converted here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import Market
from tradeutils.sim.okx.errors import OkxError
from tradeutils.sim.okx.fields import Fields

__all__ = [
    "KINDS",
    "Names",
    "algo_name",
    "algo_number",
    "amounts",
    "contract_value",
    "family",
    "in_base",
    "inst_id",
    "inst_type",
    "on_wire",
    "order_name",
    "order_number",
    "prices",
]

KINDS: Final = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")
"""The types of instruments; those of all but SPOT and SWAP are none here."""

_KIND_OF: Final = {"SPOT": "spot", "SWAP": "linear"}
# Base units in a contract, as OKX lists them.
_CONTRACTS: Final = {
    "BTC": "0.01", "ETH": "0.1", "BNB": "0.01", "SOL": "1", "XRP": "100", "DOGE": "1000", "ADA": "100", "TRX": "1000",
    "AVAX": "1", "SHIB": "1000000", "LINK": "1", "DOT": "1", "LTC": "1", "BCH": "0.1", "NEAR": "10", "UNI": "1",
    "APT": "1", "PEPE": "10000000", "ETC": "10", "XLM": "100", "FIL": "0.1", "ATOM": "1", "ARB": "10", "OP": "1",
    "SUI": "1", "AAVE": "0.1",
}  # fmt: skip
_WIDE: Final = Context(prec=60)
_ORDERS: Final = 1_000_000_000_000_000_000  # where the numbers of orders begin, and those of orders that wait
_ALGOS: Final = 2_000_000_000_000_000_000
_NUMBER: Final = re.compile(r"[12][0-9]{18}")


def inst_id(instrument: Instrument) -> str:
    """Return OKX's name of a market: ``"BTC-USDT"``, of a swap ``"BTC-USDT-SWAP"``."""
    return family(instrument) + ("-SWAP" if instrument.kind == "linear" else "")


def family(instrument: Instrument) -> str:
    """Return the name of a pair: ``"BTC-USDT"``, which is that of its index too."""
    return f"{instrument.base}-{instrument.quote}"


def inst_type(instrument: Instrument) -> str:
    """Return the type of a market."""
    return "SWAP" if instrument.kind == "linear" else "SPOT"


def contract_value(instrument: Instrument) -> Decimal:
    """Return how many base units are one in an amount: of a swap a contract's; those OKX has not: about 100 steps."""
    if instrument.kind == "spot":
        return Decimal(1)
    known = _CONTRACTS.get(instrument.base)
    return Decimal(10) ** (2 - instrument.amount_decimals) if known is None else Decimal(known)


def in_base(amount: Decimal, instrument: Instrument) -> Decimal:
    """Return the base units of an amount as OKX counts it."""
    return _WIDE.multiply(amount, contract_value(instrument))


def on_wire(amount: Decimal, instrument: Instrument) -> str:
    """Return an amount of base units as OKX counts it, exact."""
    exact = _WIDE.divide(amount, contract_value(instrument))
    return f"{exact.normalize(_WIDE):f}"


def amounts(column: Iterable[float], instrument: Instrument) -> list[str]:
    """Return amounts of base units as OKX counts them, all digits kept: values of contracts are powers of ten."""
    value = contract_value(instrument)
    digits, size = max(0, instrument.amount_decimals + value.adjusted()), float(value)
    return [f"{amount / size:.{digits}f}" for amount in column]


def prices(column: Iterable[float], instrument: Instrument) -> list[str]:
    """Return prices with the digits of a market."""
    digits = instrument.price_decimals
    return [f"{price:.{digits}f}" for price in column]


def order_name(number: int) -> str:
    """Return OKX's id of an order, of 19 digits."""
    return str(_ORDERS + number)


def algo_name(number: int) -> str:
    """Return OKX's id of an order that waits, or waited, for a price."""
    return str(_ALGOS + number)


def order_number(name: str) -> int:
    """Return the number of an order, -1 where the id is none of ours."""
    return _number(name, _ORDERS)


def algo_number(name: str) -> int:
    """Return the number of an order that waits, or waited, -1 where the id is none of ours."""
    return _number(name, _ALGOS)


def _number(name: str, first: int) -> int:
    number = int(name) - first if _NUMBER.fullmatch(name) else -1
    return number if 0 <= number < _ORDERS else -1


class Names:
    """The markets by OKX's names."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._all = {inst_id(one): one for one in market.instruments.values()}
        self._indices = {family(one): one for one in self._all.values() if one.kind == "linear"}

    def known(self, name: str | None) -> Instrument | None:
        """Return the market of a name, ``None`` where there is none."""
        return self._all.get(name or "")

    def of(self, market: str) -> Instrument:
        """Return a market by its id, which is the same in every dialect."""
        return self._market.instruments[market]

    def instrument(self, fields: Fields) -> Instrument:
        """Return the market that a call names."""
        known = self._all.get(fields.required("instId"))
        if known is None:
            raise OkxError("51001")
        return known

    def swap(self, fields: Fields) -> Instrument:
        """Return the swap that a call names."""
        known = self.instrument(fields)
        if known.kind != "linear":
            raise OkxError("51000", "instId")
        return known

    def index(self, fields: Fields) -> Instrument:
        """Return a swap of the index that a call names."""
        known = self._indices.get(fields.required("instId"))
        if known is None:
            raise OkxError("51001")
        return known

    def of_type(self, kind: str) -> list[Instrument]:
        """Return the markets of a type."""
        wanted = _KIND_OF.get(kind)
        return [one for one in self._all.values() if one.kind == wanted]

    def chosen(self, fields: Fields, kind: str | None = None) -> list[Instrument]:
        """Return the markets that a call is about by its type, pair and names; of what it does not say, all."""
        wanted = kind or fields.text("instType")
        if wanted is not None and wanted not in KINDS:
            raise OkxError("51000", "instType")
        found = list(self._all.values()) if wanted is None else self.of_type(wanted)
        pair, names = fields.text("uly") or fields.text("instFamily"), fields.several("instId")
        if any(name not in self._all for name in names):
            raise OkxError("51001")
        return [
            one
            for one in found
            if (pair is None or (one.kind == "linear" and family(one) == pair)) and (not names or inst_id(one) in names)
        ]
