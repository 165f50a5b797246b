"""
What comes back, before anybody believes it: bodies of bounded size, and JSON without lost digits.

Of a reply at most `REPLY_CAP` bytes are taken, after inflating: a body that claims or turns out to be larger ends in
`BadReply` with its connection dropped, whether it is sent plainly, in chunks without end, or as a small gzip of zeros.
The largest honest replies are lists of markets (Binance's spot: 14 MB). aiohttp inflates piece by piece, so what is
held at once is the cap and one piece. Of a refusal (HTTP 400 and above) `REFUSAL_CAP` bytes are read and the rest is
dropped: what it says stands at its beginning, and its status must count however long it is.

A small text can become large objects: 60 MB of ``[],`` were 1.9 GiB and 17 s, so more than `MOST_VALUES` are refused.
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, Final

import aiohttp
import orjson

from tradeutils.errors import BadReply
from tradeutils.logs import redact

__all__ = [
    "MOST_VALUES",
    "READ_AHEAD",
    "REFUSAL_CAP",
    "REPLY_CAP",
    "CappedResponse",
    "check_size",
    "collector_paused",
    "data_json",
    "exact_json",
    "rough_json",
]

REPLY_CAP: Final = 64 * 2**20
"""How many bytes of a reply are taken at most, after inflating."""

REFUSAL_CAP: Final = 2**20
"""How many bytes of a refusal are read."""

MOST_VALUES: Final = 2**22
"""How many values the JSON of a reply holds at most: 300 MB; Binance's markets are half a million."""

READ_AHEAD: Final = 2**18
"""How many bytes are taken from a connection ahead of who reads them; with aiohttp's 2**16, 1 MB costs 5 % more CPU."""

_SHOWN: Final = 20  # characters of a reply in a message

# A number outside a string whose digits may be more than a float keeps: 17 characters are 16 digits and a point.
_LONG_NUMBER = re.compile(r"[:,\[]\s*-?(?=[\d.]{17})\d")


class _NotJsonError(ValueError):
    """A constant that JSON does not have, or a depth that nobody needs."""


class CappedResponse(aiohttp.ClientResponse):
    """A reply of which `cap` bytes are taken at most, and that is UTF-8 whatever it says."""

    cap: ClassVar[int] = REPLY_CAP

    async def read(self) -> bytes:
        """Return the body; `BadReply` where it is larger than the cap, and of a refusal only the beginning."""
        if self._body is not None:
            return await super().read()
        is_refusal = self.status >= 400
        cap = min(self.cap, REFUSAL_CAP) if is_refusal else self.cap
        told = self.content_length
        if told is not None and told > cap and not is_refusal:
            self._refuse(f"is {told} bytes long")
        parts: list[bytes] = []
        taken = 0
        try:
            while part := await self.content.readany():
                taken += len(part)
                if taken > cap and not is_refusal:
                    parts.clear()
                    self._refuse("goes on")
                parts.append(part)
                if taken > cap:
                    self._body = b"".join(parts)[:cap]
                    self.close()
                    return self._body
        except BaseException:
            self.close()
            raise
        self._body = parts[0] if len(parts) == 1 else b"".join(parts)
        return await super().read()  # gives the connection back

    def __repr__(self) -> str:
        """Return aiohttp's, in which the address is, without its signature: a traceback may show local variables."""
        return redact(super().__repr__())

    def _refuse(self, what: str) -> None:
        self.close()  # what is still to come is not waited for
        raise BadReply(f"the reply {what}; at most {self.cap} bytes are taken, and the connection was dropped")

    def get_encoding(self) -> str:
        """Return UTF-8, which JSON is: a reply that names a codec like punycode could keep us busy for hours."""
        return "utf-8"


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """
    Keep Python's collector of cycles from running while thousands of values are made that hold no cycles.

    It runs after every 700 new containers, and looks through all that is alive, markets included, now and then: of the
    CPU of 2000 tickers that was a third. Everything in here must be done without waiting for anything.
    """
    if not gc.isenabled():  # not turned off once more: who found it on may turn it on before
        yield
        return
    try:
        gc.disable()
        yield
    finally:
        gc.enable()


def check_size(text: str) -> None:
    """Raise `BadReply` where a text may hold more than `MOST_VALUES` values; brackets and commas are counted."""
    if len(text) > MOST_VALUES and sum(map(text.count, ",[{")) > MOST_VALUES:
        raise BadReply(f"the reply holds more than {MOST_VALUES} values")


def rough_json(text: str | bytes) -> Any:
    """Return what a reply without money says. ``ValueError``: it is no JSON."""
    with collector_paused():
        return orjson.loads(text)


def data_json(text: str) -> Any:
    """Return what a reply with market data says; `BadReply` where it is no JSON, or says nothing at all."""
    try:
        answer = rough_json(text)
    except ValueError as error:
        raise BadReply(f"answered with {_described(text)} instead of data ({error})") from error
    if not isinstance(answer, list | dict) or answer == {}:  # {}: no venue's way to say that there is nothing
        raise BadReply(f"answered with {text[:_SHOWN]!r} instead of data")
    return answer


def _described(text: str) -> str:
    shown = text.lstrip()[:1]
    return {"": "nothing", "<": "an HTML page", "{": "broken JSON", "[": "broken JSON"}.get(shown, "a text")


def exact_json(text: str) -> Any:
    """
    Return what a reply about money says, with every digit. ``ValueError``: it is no JSON.

    A number that a float would round is left as its text, which ccxt's parsers read like the text that most venues
    send in the first place. Where no number is that long, orjson reads it, six times as fast.
    """
    if _LONG_NUMBER.search(text) is None:
        return orjson.loads(text)
    try:
        return json.loads(text, parse_float=_float_or_text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _NotJsonError("it is nested too deeply") from None


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


def _refuse_constant(text: str) -> Any:
    raise _NotJsonError(f"{text} is not JSON")
