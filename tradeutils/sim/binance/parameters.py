"""Parameters as Binance reads them: each with its legal range, each once, none that it does not know."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from tradeutils.sim.binance.errors import BinanceError
from tradeutils.sim.dialect import Call

__all__ = [
    "INTERVALS",
    "RECV_WINDOW",
    "SIGNED",
    "Parameter",
    "boolean",
    "choice",
    "client_id",
    "decimal",
    "futures_client_id",
    "interval",
    "long",
    "payload_of",
    "raw_parameters",
    "read",
    "symbol",
    "symbols",
    "text",
]

INTERVALS: Final = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)  # fmt: skip
RECV_WINDOW: Final = (5_000, 60_000)
"""Milliseconds that a signed request is good for, by default and at most."""
_MAX_LONG: Final = 2**63 - 1
_MAX_PARAMETERS: Final = 64
_SYMBOL: Final = "^[A-Z0-9-_.]{1,20}$"
_SYMBOLS: Final = r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$'
_DECIMAL: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_CLIENT_ID: Final = "^[a-zA-Z0-9-_]{1,36}$"
_FUTURES_CLIENT_ID: Final = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an endpoint: its name, its legal range, and how its text is read."""

    name: str
    legal: str
    convert: Callable[[str, str], Any]
    mandatory: bool = False

    def read(self, value: str) -> Any:
        """Return the value of its text, or raise `BinanceError`."""
        if not value:
            if self.mandatory:
                raise BinanceError(-1102, self.name)
            raise BinanceError(-1105, self.name)
        if re.fullmatch(self.legal, value) is None or value.endswith("\n"):
            raise BinanceError(-1100, self.name, self.legal)
        return self.convert(self.name, value)


def _same(_name: str, value: str) -> str:
    return value


def _long(name: str, value: str) -> int:
    number = int(value)
    if number > _MAX_LONG:
        raise BinanceError(-1108, name)
    return number


def _decimal(name: str, value: str) -> Decimal:
    number = Decimal(value)
    if len(value.partition(".")[2].rstrip("0")) > 8:
        raise BinanceError(-1111, name)
    return number


def _interval(_name: str, value: str) -> str:
    if value not in INTERVALS:
        raise BinanceError(-1120)
    return value


def _json_list(_name: str, value: str) -> tuple[str, ...]:
    names = tuple(orjson.loads(value))  # its legal range lets nothing pass that is no list of strings
    if len(set(names)) < len(names):
        raise BinanceError(-1151)
    return names


def text(name: str, *, mandatory: bool = False) -> Parameter:
    """Any printable text."""
    return Parameter(name, r"^[\x20-\x7e]{1,4096}$", _same, mandatory)


def symbol(name: str = "symbol", *, mandatory: bool = False) -> Parameter:
    """The name of a market."""
    return Parameter(name, _SYMBOL, _same, mandatory)


def symbols() -> Parameter:
    """A JSON list of names of markets."""
    return Parameter("symbols", _SYMBOLS, _json_list)


def long(name: str, *, mandatory: bool = False) -> Parameter:
    """A whole number, not negative."""
    return Parameter(name, "^[0-9]{1,20}$", _long, mandatory)


def decimal(name: str) -> Parameter:
    """A price or an amount."""
    return Parameter(name, _DECIMAL, _decimal)


def interval() -> Parameter:
    """The length of a kline."""
    return Parameter("interval", "^[0-9a-zA-Z]{1,10}$", _interval, mandatory=True)


def client_id(name: str) -> Parameter:
    """An order's id as the client chose it."""
    return Parameter(name, _CLIENT_ID, _same)


def futures_client_id(name: str) -> Parameter:
    """An order's id as the client chose it, by the rules of the futures."""
    return Parameter(name, _FUTURES_CLIENT_ID, _same)


def boolean(name: str) -> Parameter:
    """``true`` or ``false``."""
    return Parameter(name, "^(?i:true|false)$", lambda _name, value: value.lower() == "true")


def choice(name: str, options: Iterable[str], code: int, *, mandatory: bool = False) -> Parameter:
    """One of some words; another is answered with the error ``code``."""
    allowed = frozenset(options)

    def convert(_name: str, value: str) -> str:
        if value not in allowed:
            raise BinanceError(code, name)
        return value

    return Parameter(name, r"^[\x20-\x7e]{1,64}$", convert, mandatory)


SIGNED: Final = (long("recvWindow"), long("timestamp", mandatory=True), text("signature", mandatory=True))
"""The parameters of every signed endpoint."""


def raw_parameters(call: Call) -> dict[str, str]:
    """Return the text of each parameter; of one in both query and body, that of the query."""
    merged: dict[str, str] = {}
    for source in (_form(call), call.query):
        found: dict[str, str] = {}
        parts = [part for part in source.split("&") if part]
        if len(parts) > _MAX_PARAMETERS:
            message = f"Too many parameters; expected '{_MAX_PARAMETERS}' and received '{len(parts)}'."
            raise BinanceError(-1101, message=message)
        for part in parts:
            name, _, value = part.partition("=")
            name = urllib.parse.unquote_plus(name)
            if name in found:
                raise BinanceError(-1101, name[:64])
            found[name] = urllib.parse.unquote_plus(value)
        merged.update(found)
    return merged


def _form(call: Call) -> str:
    """Return the parameters in the body; those of a GET are not read."""
    return call.body.decode("latin-1") if call.method in ("POST", "PUT", "DELETE") else ""


def payload_of(call: Call) -> bytes:
    """Return what a signature is made over: query and body without the signature, one after the other."""
    bare = (
        "&".join(part for part in source.split("&") if not part.startswith("signature="))
        for source in (call.query, _form(call))
    )
    return "".join(bare).encode("latin-1", "replace")


def read(raw: Mapping[str, str], parameters: Iterable[Parameter]) -> dict[str, Any]:
    """
    Return the value of each parameter that was sent.

    Raises
    ------
    BinanceError : one is missing, empty or outside its legal range, or one was sent that the endpoint does not know.
    """
    values: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name in raw:
            values[parameter.name] = parameter.read(raw[parameter.name])
        elif parameter.mandatory:
            raise BinanceError(-1102, parameter.name)
    if len(values) < len(raw):
        raise BinanceError(-1104, len(values), len(raw))
    return values
