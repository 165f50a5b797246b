"""
Whether a message of an order book was lost, read from the venue's own message where ccxt's class does not look.

A lost difference leaves a book that is wrong for as long as it is followed, with nothing to be seen of it. ccxt's
classes check the sequence of binance's and okx's books; here are the numbers of bybit's and the checksums of kraken's.
Messages are known by their shape, so that venues with the layout of another are understood too.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["BookChecks"]

_CHECKED: Final = 10  # levels of a side that kraken's checksum is made of
_MOST_DIGITS: Final = 12
_REMEMBERED: Final = 1_000  # numbers of a market


class BookChecks:
    """
    The books of one line.

    Parameters
    ----------
    markets : mapping
        ccxt's, by symbol: with how many digits a venue writes prices and amounts.
    """

    def __init__(self, markets: Mapping[str, Any]) -> None:
        self._markets = markets
        self._numbers: dict[str, int] = {}
        self._digits: dict[str, tuple[_Digits, _Digits] | None] = {}

    def fault(self, book: Mapping[str, Any], frame: Any) -> str | None:
        """
        Return what is wrong with a book after a message, ``None`` where nothing is, or nothing is known.

        ``book``: ccxt's, with the message already in it.
        """
        data = frame.get("data") if type(frame) is dict else None
        if type(data) is dict and type(data.get("u")) is int and str(frame.get("topic")).startswith("orderbook."):
            return self._number(str(book.get("symbol")), data["u"], whole=frame.get("type") == "snapshot")
        first = data[0] if type(data) is list and len(data) == 1 else None
        if type(first) is dict and type(first.get("checksum")) is int and frame.get("channel") == "book":
            return self._checksum(str(book.get("symbol")), book, first["checksum"], frame.get("type") == "snapshot")
        return None

    def _number(self, symbol: str, number: int, *, whole: bool) -> str | None:
        """
        Bybit's ``u``: one more with each difference, and anything with a whole book.

        References
        ----------
        https://bybit-exchange.github.io/docs/v5/sbe/level-50/sbe-level-50 (rules for the u field)
        """
        before, self._numbers[symbol] = self._numbers.get(symbol), number
        if whole or before is None or number == before + 1:
            return None
        return f"message {number} of the book came after {before}"

    def _checksum(self, symbol: str, book: Mapping[str, Any], told: int, whole: bool) -> str | None:
        """
        Kraken's CRC-32 of the digits of the best ten levels.

        Its numbers lose the zeros at their ends when they are read, so how many there are is known from the market.
        Of a book that is whole and does not fit, it is our digits that are wrong: that market is not checked.

        References
        ----------
        https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
        """
        if whole:
            digits = self._digits_of(symbol)
            fits = digits is not None and _crc(book, digits) == told
            self._digits[symbol] = digits if fits else None
            return None
        known = self._digits.get(symbol)
        if known is None or _crc(book, known) == told:
            return None
        return "the checksum of the book does not fit"

    def _digits_of(self, symbol: str) -> tuple[_Digits, _Digits] | None:
        precision = self._markets.get(symbol, {}).get("precision") or {}
        price, amount = (_decimals(precision.get(name)) for name in ("price", "amount"))
        return None if price is None or amount is None else (_Digits(price), _Digits(amount))


class _Digits(dict[float, str]):
    """
    The digits of numbers, without points and zeros in front; remembered, as most levels stay from message to message.

    So a checksum takes 4 us, and 16 us where each is written anew; what ccxt does with the message takes 12 us.
    """

    def __init__(self, decimals: int) -> None:
        super().__init__()
        self._decimals = decimals

    def __missing__(self, value: float) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        text = self[value] = f"{value:.{self._decimals}f}".replace(".", "").lstrip("0")
        return text


def _crc(book: Mapping[str, Any], digits: tuple[_Digits, _Digits]) -> int:
    """Return the CRC-32 of the best levels, asks first."""
    prices, amounts = digits
    text = "".join(
        [
            prices[level[0]] + amounts[level[1]]
            for side in (book["asks"][:_CHECKED], book["bids"][:_CHECKED])
            for level in side
        ]
    )
    return binascii.crc32(text.encode())


def _decimals(step: Any) -> int | None:
    """Return how many digits after the point the smallest step has: 2 of 0.01."""
    try:
        value = float(step)
    except (TypeError, ValueError):
        return None
    return next((count for count in range(_MOST_DIGITS + 1) if abs(value * 10**count - 1) < 1e-6), None)
