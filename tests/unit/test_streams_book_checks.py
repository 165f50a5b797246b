"""Books of which a message was lost: known by the venue's own numbers and checksums."""

from __future__ import annotations

import binascii
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.exchange.streams.book_checks import BookChecks

MARKETS: dict[str, Any] = {"A/B": {"precision": {"price": 0.01, "amount": 1e-8}}, "C/D": {}}
Level = tuple[int, int]


def _told(number: int, kind: str = "delta") -> dict[str, Any]:
    return {"topic": "orderbook.50.AB", "type": kind, "data": {"s": "AB", "u": number, "b": [], "a": []}}


def test_a_number_that_is_left_out_is_a_fault() -> None:
    """Also one that comes twice or late; a whole book begins anew, with whatever number."""
    checks, book = BookChecks(MARKETS), {"symbol": "A/B"}
    assert checks.fault(book, _told(7, "snapshot")) is None
    assert checks.fault(book, _told(8)) is None
    assert checks.fault(book, _told(10)) == "message 10 of the book came after 8"
    assert checks.fault(book, _told(1, "snapshot")) is None
    assert checks.fault(book, _told(2)) is None
    assert checks.fault(book, _told(2)) is not None


def test_books_are_numbered_each_by_itself() -> None:
    """One line has books of many markets."""
    checks = BookChecks(MARKETS)
    assert checks.fault({"symbol": "A/B"}, _told(7, "snapshot")) is None
    assert checks.fault({"symbol": "C/D"}, _told(70, "snapshot")) is None
    assert checks.fault({"symbol": "A/B"}, _told(8)) is None
    assert checks.fault({"symbol": "C/D"}, _told(71)) is None


def _crc(bids: list[Level], asks: list[Level]) -> int:
    """Return the checksum, of prices in hundredths and amounts in hundred-millionths."""
    return binascii.crc32("".join(f"{price}{amount}" for side in (asks, bids) for price, amount in side[:10]).encode())


def _book(bids: list[Level], asks: list[Level], symbol: str = "A/B") -> dict[str, Any]:
    sides = {"bids": bids, "asks": asks}
    return {"symbol": symbol, **{name: [[one / 100, two / 1e8] for one, two in side] for name, side in sides.items()}}


def _sum(crc: int, kind: str = "update") -> dict[str, Any]:
    return {"channel": "book", "type": kind, "data": [{"symbol": "A/B", "checksum": crc}]}


SIDE = st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**12)), min_size=1, max_size=14)


@given(SIDE, SIDE, SIDE)
def test_a_book_that_does_not_fit_its_checksum_is_a_fault(
    bids: list[Level], asks: list[Level], other: list[Level]
) -> None:
    """And one that does is none, whatever zeros its figures end with."""
    checks = BookChecks(MARKETS)
    assert checks.fault(_book(bids, asks), _sum(_crc(bids, asks), "snapshot")) is None
    assert checks.fault(_book(other, asks), _sum(_crc(other, asks))) is None
    if other[:10] != bids[:10]:
        assert checks.fault(_book(bids, asks), _sum(_crc(other, asks))) == "the checksum of the book does not fit"


@pytest.mark.parametrize("symbol", ["A/B", "C/D", "E/F"], ids=["other-digits", "no-digits", "unknown"])
def test_a_market_whose_first_book_does_not_fit_is_not_checked(symbol: str) -> None:
    """That one is whole, so it is our digits that are wrong; a book that never comes would be worse."""
    checks = BookChecks(MARKETS)
    book = _book([(100, 5)], [(200, 5)], symbol)
    assert checks.fault(book, _sum(12345, "snapshot")) is None
    assert checks.fault(book, _sum(54321)) is None


@pytest.mark.parametrize(
    "frame",
    [
        None,
        [],
        "pong",
        {},
        {"data": None},
        {"data": []},
        {"data": [1]},
        {"data": {"u": "7"}},
        {"stream": "a@depth", "data": {"e": "depthUpdate", "U": 1, "u": 9}},
        {"topic": "orderbook.50.AB", "data": {"u": True}},
        {"channel": "book", "data": [{"checksum": "x"}]},
    ],
    ids=[
        "rest",
        "list",
        "text",
        "empty",
        "none",
        "no-row",
        "odd-row",
        "text-number",
        "binance",
        "odd-number",
        "odd-sum",
    ],
)
def test_what_tells_nothing_is_no_fault(frame: Any) -> None:
    """Other venues' messages, and those that are damaged in a way that ccxt's class can live with."""
    checks = BookChecks(MARKETS)
    assert checks.fault({"symbol": "A/B", "bids": [], "asks": []}, frame) is None
    assert checks.fault({"symbol": "A/B", "bids": [], "asks": []}, frame) is None
