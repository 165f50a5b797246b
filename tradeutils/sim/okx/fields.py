"""The parameters of a call, from a query or a JSON body, all as text."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final, overload

import orjson

from tradeutils.sim.okx.errors import OkxError

__all__ = ["Fields", "body_fields", "query_fields"]

_MAX_FIELDS: Final = 64
_MAX_ITEMS: Final = 20  # of a body that is a list
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_MOST: Final = 2**63  # of a moment, a count or an id


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

    def required(self, name: str) -> str:
        """Return a parameter that must be sent."""
        value = self._given.get(name)
        if value is None:
            raise OkxError("50014", name)
        return value

    def several(self, name: str) -> tuple[str, ...]:
        """Return the parts of a parameter that names several things between commas."""
        return tuple(part for part in self._given.get(name, "").split(",") if part)

    def choice(self, name: str, options: Collection[str], default: str | None = None) -> str:
        """Return one of some words; without a default it must be sent."""
        value = self.required(name) if default is None else self._given.get(name, default)
        if value not in options:
            raise OkxError("51000", name)
        return value

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """Return a whole number, ``None`` where none was sent."""
        value = self._given.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) <= 19 and least <= int(value) < _MOST):
            raise OkxError("51000", name)
        return int(value)

    def limit(self, default: int, most: int, name: str = "limit") -> int:
        """Return how many rows to answer with; more than the most is cut to it."""
        return min(self.whole(name, least=1) or default, most)

    def decimal(self, name: str) -> Decimal | None:
        """Return an amount or a price above 0, ``None`` where none was sent."""
        value = self._given.get(name)
        if value is None:
            return None
        if _DECIMAL.fullmatch(value) is None or not Decimal(value):
            raise OkxError("51000", name)
        return Decimal(value)

    def flag(self, name: str) -> bool:
        """Return whether a parameter is true; one that was not sent is not."""
        return self.choice(name, ("true", "false"), "false") == "true"


def query_fields(query: str) -> Fields:
    """Return the parameters of a query; of one that is named twice, the last."""
    try:
        return Fields(dict(urllib.parse.parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)))
    except ValueError:
        raise OkxError("51000", "query") from None


def body_fields(body: bytes) -> list[Fields]:
    """Return the parameters of a body: those of one object, or of each in a list of up to 20."""
    if not body:
        raise OkxError("50000")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise OkxError("50002") from None
    rows = parsed if isinstance(parsed, list) else [parsed]
    if len(rows) > _MAX_ITEMS:
        raise OkxError("51111", str(_MAX_ITEMS))
    if not rows or not all(isinstance(row, dict) and len(row) <= _MAX_FIELDS for row in rows):
        raise OkxError("50002")
    return [Fields({name: _text(value) for name, value in row.items()}) for row in rows]


def _text(value: Any) -> str:
    """Return a value as text, a list or an object as JSON, which is no number and no known word."""
    if isinstance(value, str):
        return value
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value) if isinstance(value, int | float) else orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # it reads deeper lists than it writes
        raise OkxError("50002") from None
