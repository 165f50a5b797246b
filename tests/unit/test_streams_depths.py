"""How deep a book is subscribed to for who wants so many levels."""

from __future__ import annotations

import types
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.errors import UsageError
from tradeutils.exchange.ordering.activity import Activity
from tradeutils.exchange.streams.assembling.books import BookAssembler
from tradeutils.exchange.streams.depths import book_depth, rest_depth
from tradeutils.exchange.streams.opening import Opening
from tradeutils.exchange.streams.publishing import Publisher
from tradeutils.exchange.streams.topics import Topic

SPOT, OPTION = "BTC/USDT", "BTC/USDT:USDT-261225-100000-C"


@pytest.mark.parametrize(
    ("venue", "symbol", "limit", "asked", "kept"),
    [
        ("binance", SPOT, 7, None, 7),
        ("binanceusdm", SPOT, None, None, 1000),
        ("bybit", SPOT, 1, 1, 1),
        ("bybit", SPOT, 7, 50, 7),
        ("bybit", SPOT, 51, 200, 51),
        ("bybit", OPTION, 7, 25, 7),
        ("bybit", SPOT, None, 50, None),
        ("okx", SPOT, 1, 1, 1),
        ("okx", SPOT, 4, 5, 4),
        ("myokx", SPOT, 50, None, 50),
        ("kraken", SPOT, 7, 10, 7),
        ("kraken", SPOT, 1000, 1000, 1000),
        ("kraken", SPOT, None, 100, None),
        ("krakenfutures", SPOT, 7, None, 7),
        ("somewhere", SPOT, 7, None, 7),
    ],
)
def test_the_next_deeper_book_is_taken_and_cut(
    venue: str, symbol: str, limit: int | None, asked: int | None, kept: int | None
) -> None:
    """Never a snapshot as shallow as what is wanted, where differences are laid upon it."""
    depth = book_depth(venue, symbol, limit)
    assert (depth.asked, depth.kept) == (asked, kept)
    assert depth.is_full == (venue not in ("krakenfutures", "somewhere"))


@pytest.mark.parametrize(("venue", "limit", "most"), [("kraken", 1001, 1000), ("okx", 401, 400), ("bybit", 5000, 1000)])
def test_a_book_deeper_than_the_venue_streams_is_refused_with_what_to_write(venue: str, limit: int, most: int) -> None:
    """And what to ask instead."""
    with pytest.raises(UsageError, match=f"limit was {limit}.*{venue}.*limit={most}.*fetch_order_book"):
        book_depth(venue, SPOT, limit)


def test_rest_is_asked_for_a_depth_that_venues_take() -> None:
    """The next of those that all know."""
    assert [rest_depth(limit) for limit in (None, 1, 7, 20, 99, 150)] == [None, 5, 10, 20, 100, 150]


@pytest.mark.parametrize(
    ("venue", "limit", "levels", "is_put"),
    [("binance", None, 3, True), ("binance", 5, 3, True), ("somewhere", None, 9, False), ("somewhere", 5, 3, False),
     ("somewhere", 5, 5, True)],
)  # fmt: skip
async def test_a_book_that_may_be_less_than_rest_has_is_not_put_into_the_cache(
    venue: str, limit: int | None, levels: int, is_put: bool
) -> None:
    """Others would take it for what the venue has."""
    async with tu.Cache() as cache:
        publisher = Publisher(cache, venue, 5.0)
        known: Any = types.SimpleNamespace(name=venue, streams=lambda _: True)
        opening = Opening(known, None, Activity(), publisher, info=False)
        wanted = Topic("book", SPOT, depth=limit)
        reading = opening.reading(opening.streamed(wanted, "watch"), wanted, None, "latest", 1.0)[1]()
        assert isinstance(reading.assembler, BookAssembler)
        raw = [[100.0, 1.0]] * levels
        reading.deliver(reading.assembler.take({"bids": raw, "asks": raw}, {}, 0))
        if publisher._writing is not None:
            await publisher._writing
        assert (await cache.get(f"{venue}:book:{SPOT}:{limit}") is not None) == is_put
        await publisher.aclose()
