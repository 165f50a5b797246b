"""The parameters of a call, from a query or a JSON body, all as text."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final, overload

import orjson

from tradeutils.sim.bybit.errors import BybitError

__all__ = ["Fields", "body_fields", "query_fields"]

_MAX_FIELDS: Final = 64
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_MOST: Final = 2**53  # of a moment or a count; more is no number of milliseconds


class Fields:
    """The parameters of a call by name. What is empty counts as not sent; names that nobody reads do no harm."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name: value for name, value in given.items() if value}

    @overload
    def text(self, name: str) -> str | None: ...
    @overload
    def text(self, name: str, default: str) -> str: ...
    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a parameter as it came."""
        return self._given.get(name, default)

    def choice(self, name: str, options: Collection[str], default: str | None = None) -> str:
        """Return one of some words; without a default it must be sent."""
        value = self._given.get(name, default)
        if value is None or value not in options:
            raise BybitError(10001, f"params error: {name} invalid")
        return value

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """Return a whole number, ``None`` where none was sent."""
        value = self._given.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) <= 16 and least <= int(value) <= _MOST):
            raise BybitError(10001, f"params error: {name} invalid")
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Return how many rows to answer with; more than the most is cut to it."""
        return min(self.whole("limit", least=1) or default, most)

    def decimal(self, name: str) -> Decimal | None:
        """Return an amount or a price, ``None`` where none was sent."""
        value = self._given.get(name)
        if value is None:
            return None
        if _DECIMAL.fullmatch(value) is None:
            raise BybitError(10001, f"params error: {name} invalid")
        return Decimal(value)

    def flag(self, name: str) -> bool:
        """Return whether a parameter is true; one that was not sent is not."""
        return self.choice(name, ("true", "false", "1", "0"), "false") in ("true", "1")


def query_fields(query: str) -> Fields:
    """Return the parameters of a query; of one that is named twice, the last."""
    try:
        return Fields(dict(urllib.parse.parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)))
    except ValueError:
        raise BybitError(10001, "params error: too many parameters") from None


def body_fields(body: bytes) -> Fields:
    """Return the parameters of a body, which is a JSON object of texts, numbers and flags."""
    try:
        parsed = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise BybitError(10001, "params error: the body is not JSON") from None
    if not isinstance(parsed, dict) or len(parsed) > _MAX_FIELDS:
        raise BybitError(10001, "params error: the body is not an object of parameters")
    return Fields({name: _text(name, value) for name, value in parsed.items() if value is not None})


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise BybitError(10001, f"params error: {name} invalid")
