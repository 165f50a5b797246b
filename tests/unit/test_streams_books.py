"""Books that are made when they are taken, and the newest tickers."""

from __future__ import annotations

from typing import Any

import ccxt.pro
import pytest

import tradeutils as tu
from tradeutils.exchange.streams.assembling.books import BookAssembler
from tradeutils.exchange.streams.assembling.tickers import TickerAssembler
from tradeutils.exchange.venues import parse

NOW = 1_706_659_200_000


@pytest.fixture
def kept() -> Any:
    """A book as ccxt keeps it."""
    book = ccxt.pro.Exchange().order_book({"symbol": "A/B", "bids": [[9.0, 1.0], [8.0, 2.0]], "asks": [[10.0, 3.0]]})
    book["timestamp"], book["nonce"] = NOW, 7
    return book


def test_a_book_is_of_the_moment_at_which_it_is_taken(kept: Any) -> None:
    """One that waits is the newest that there is, and equal to what `fetch_order_book` would make of it."""
    assembler = BookAssembler("A/B")
    (first,) = assembler.take(kept, None, NOW)
    kept["bids"].store(9.5, 4.0)
    kept["nonce"] = 8
    (second,) = assembler.take(kept, None, NOW)
    book = assembler.finish(first)
    assert book == parse.order_book(kept, "A/B")
    assert (book.bid, book.sequence) == (9.5, 8)
    assert assembler.finish(second) is book
    kept["asks"].store(9.9, 1.0)
    assert book.ask == 10.0
    assembler.take(kept, None, NOW)
    assert assembler.finish(second).ask == 9.9
    assert assembler.conflation_key(first) == first.symbol == "A/B"


def test_each_book_is_made_at_once_where_all_are_wanted(kept: Any) -> None:
    """None changes with those that follow."""
    assembler = BookAssembler("A/B", each=True, depth=1)
    (first,) = assembler.take(kept, None, NOW)
    kept["bids"].store(9.5, 4.0)
    (second,) = assembler.take(kept, None, NOW)
    assert [assembler.finish(book).bids.tolist() for book in (first, second)] == [[[9.0, 1.0]], [[9.5, 4.0]]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([[9.0, 1.0, 77], [8.0, 2.0, 78]], [[9.0, 1.0], [8.0, 2.0]], id="numbers of levels"),
        pytest.param([["9", "1.5"]], [[9.0, 1.5]], id="texts"),
        pytest.param([[9.0], [8.0]], None, id="no amounts"),
        pytest.param([[9.0, 1.0], [8.0]], None, id="one without an amount"),
        pytest.param([["x", "1"]], None, id="no figures"),
    ],
)
def test_of_each_level_price_and_amount_are_taken(rows: list[Any], expected: list[Any] | None) -> None:
    """Whatever else is in it; and what has not both is no book."""
    (book,) = BookAssembler("A/B", each=True).take({"bids": rows, "asks": []}, None, NOW) or (None,)
    assert (None if book is None else book.bids.tolist()) == expected


def test_a_book_that_broke_is_worth_nothing(kept: Any) -> None:
    """What ccxt keeps after a wrong checksum is not a book; the next snapshot is."""
    assembler = BookAssembler("A/B")
    (broken,) = assembler.take(kept, None, NOW)
    assembler.interrupted(NOW)
    assert assembler.finish(broken) is None
    kept.reset({})
    assert assembler.take(kept, None, NOW) == ()
    kept.reset({"bids": [[5.0, 1.0]], "asks": [], "nonce": 1, "timestamp": None})
    (renewed,) = assembler.take(kept, None, NOW)
    assert renewed is not broken
    assert assembler.finish(renewed).bid == 5.0
    assert assembler.finish(broken) is None


@pytest.mark.parametrize("rubbish", [None, [], {"bids": []}], ids=["nothing", "a list", "no levels"])
def test_what_is_no_book_is_left_out(rubbish: Any) -> None:
    """Nothing is told."""
    assert BookAssembler("A/B").take(rubbish, None, NOW) == ()


def test_levels_that_are_none_make_no_book() -> None:
    """Text where numbers are due is left out when the book is taken."""
    assembler = BookAssembler("A/B")
    (item,) = assembler.take({"bids": [["x", "y"]], "asks": []}, None, NOW)
    assert assembler.finish(item) is None
    assert BookAssembler("A/B", each=True).take({"bids": [["x", "y"]]}, None, NOW) == ()


async def test_books_and_tickers_ask_rest_for_nothing() -> None:
    """Their subscriptions begin with a snapshot."""
    rest: Any = None
    for assembler in (BookAssembler("A/B"), TickerAssembler()):
        assembler.interrupted(NOW)
        assert not await assembler.resume(rest)
        assert not await assembler.settle(rest, NOW)
        assert assembler.due(NOW) is None


def ticker(symbol: str = "A/B", time: int | None = NOW, **figures: Any) -> dict[str, Any]:
    """Return ccxt's dict of a ticker."""
    return {"symbol": symbol, "timestamp": time, "last": 2.0, **figures}


def test_a_ticker_is_as_fetch_ticker_has_it() -> None:
    """Equal, and with what the venue sent where that is wanted."""
    assembler = TickerAssembler(info=True)
    (told,) = assembler.take(ticker(bid=1.0, ask=3.0, info={"b": "1"}), None, NOW)
    assert told == tu.Ticker(symbol="A/B", time=NOW, last=2.0, bid=1.0, ask=3.0)
    assert told.info == {"b": "1"}
    assert assembler.finish(told) is told
    assert assembler.conflation_key(told) == "A/B"


def test_a_ticker_that_others_overtook_is_left_out() -> None:
    """Of each market by itself; one without a time is never late."""
    assembler = TickerAssembler()
    assembler.take(ticker(), None, NOW)
    assert assembler.take(ticker(time=NOW - 1), None, NOW) == []
    assert len(assembler.take(ticker("C/D", NOW - 1), None, NOW)) == 1
    assert len(assembler.take(ticker(time=None), None, NOW)) == 1
    assert len(assembler.take(ticker(), None, NOW)) == 1
    assert assembler.late == 1


def test_tickers_of_many_markets_come_in_any_shape() -> None:
    """By symbol, or in a list; those that are not wanted are left out."""
    assembler = TickerAssembler(["A/B", "C/D"])
    both = {"A/B": ticker(), "C/D": ticker("C/D"), "E/F": ticker("E/F")}
    assert [one.symbol for one in assembler.take(both, None, NOW)] == ["A/B", "C/D"]
    assert [one.symbol for one in assembler.take([ticker(), {"last": 1.0}], None, NOW)] == ["A/B"]
    assert assembler.take(None, None, NOW) == []


def test_one_wrong_time_does_not_silence_a_market() -> None:
    """A ticker of next year would have all that follow count as overtaken; so would a clock that is set back."""
    assembler = TickerAssembler()

    def told(time: int) -> bool:
        return bool(assembler.take({"symbol": "A/B", "timestamp": time, "last": 1.0}, {}, 0))

    assert [told(time) for time in (1_000, 9_000_000, 2_000, 3_000, 4_000)] == [True, True, False, False, False]
    assert [told(time) for time in (5_000, 6_000, 7_000, 8_000, 7_500)] == [False, False, True, True, False]
    assert told(8_000)
    assembler.interrupted(0)
    assert told(10)
