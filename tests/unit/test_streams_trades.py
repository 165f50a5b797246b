"""What is kept of trades, and when REST is asked for those that were missed."""

from __future__ import annotations

from typing import Any

import pytest
from streamed import Clock, MadeRest, Market, RestFaults

import tradeutils as tu
from tradeutils.exchange.streams.assembling.told import Told, number_of
from tradeutils.exchange.streams.assembling.trades import TradeAssembler
from tradeutils.model.streaming import Missed

START = 1_706_659_200_000


def raw(number: int, time: int | None = None, **changed: Any) -> dict[str, Any]:
    """Return ccxt's dict of a trade so many milliseconds after the start."""
    at = START + (number * 10 if time is None else time)
    return {"id": str(number), "timestamp": at, "price": 2.0, "amount": 1.0, "side": "buy", "symbol": "A/B", **changed}


def trade(number: int, time: int | None = None) -> tu.Trade:
    """Return the same as ours."""
    at = START + (number * 10 if time is None else time)
    return tu.Trade(symbol="A/B", id=str(number), time=at, price=2.0, amount=1.0, side="buy")


def ids(told: Any) -> list[int]:
    """Return the ids of what was told."""
    return [int(one.id) for one in told]


def rest_of(*numbers: int, now: int = 60_000, **faults: Any) -> MadeRest:
    """Return REST that knows these trades."""
    return MadeRest(Market([trade(one) for one in numbers]), Clock(START + now), RestFaults(latency=0, **faults))


async def done(asking: Any) -> Any:
    """Return what a question brings whose answer needs no time."""
    try:
        while True:
            asking.send(None)
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize(
    "rubbish",
    [raw(2, price=None), raw(2, amount="x"), raw(2, timestamp=None)],
    ids=["no price", "no amount", "no time"],
)
def test_what_is_no_trade_is_left_out(rubbish: dict[str, Any]) -> None:
    """The others of its message are told."""
    assembler = TradeAssembler("A/B")
    assert ids(assembler.take([raw(1), rubbish, raw(3)], None, START)) == [1, 3]


def test_a_trade_is_as_fetch_trades_has_it() -> None:
    """Equal, and with what the venue sent where that is wanted."""
    (told,) = TradeAssembler("A/B", info=True).take([raw(1, info={"p": "2.0"})], None, START)
    assert told == trade(1)
    assert told.info == {"p": "2.0"}


def test_trades_without_an_id_are_told_by_what_they_are() -> None:
    """A message that comes twice is told once; two that are alike in one message are two."""
    assembler = TradeAssembler("A/B")
    twins = [raw(1, id=None), raw(1, id=None), raw(2, id=None)]
    assert len(assembler.take(twins, None, START)) == 3
    assert assembler.take(twins, None, START) == []
    assert len(assembler.take([raw(2, id=None, price=3.0)], None, START)) == 1


async def test_the_first_connection_asks_for_nothing() -> None:
    """There is nothing to join on to."""
    assembler, rest = TradeAssembler("A/B"), rest_of(1, 2)
    assert not await assembler.resume(rest)
    assembler.interrupted(START)
    assert not await assembler.resume(rest)
    assert ids(assembler.take([raw(3)], None, START)) == [3]
    assert (rest.asked, assembler.due(START)) == (0, None)


async def test_a_number_that_follows_joins_without_a_question() -> None:
    """Nothing lies between 4 and 5; between 5 and 7 something may."""
    assembler, rest = TradeAssembler("A/B"), rest_of(*range(1, 12))
    assembler.take([raw(one) for one in range(1, 5)], None, START)
    assembler.interrupted(START)
    assert ids(assembler.take([raw(5)], None, START + 50)) == [5]
    assert assembler.due(START) is None
    assembler.interrupted(START)
    assert assembler.take([raw(7)], None, START + 70) == []
    assert assembler.due(START) == 0.0
    assert ids(await done(assembler.settle(rest, rest.clock.now))) == [6, 7, 8, 9, 10, 11]
    assert ids(assembler.take([raw(8), raw(12)], None, START + 120)) == [12]


async def test_a_number_left_out_is_waited_for_and_then_asked_for() -> None:
    """Where the venue leaves none out."""
    assembler, rest = TradeAssembler("A/B"), rest_of(*range(1, 20))
    assembler.take([raw(one) for one in range(1, 11)], None, START)
    assert assembler.take([raw(12)], None, START) == []
    assert assembler.due(START) == 0.3
    assert ids(assembler.take([raw(11)], None, START + 1)) == [11, 12]
    assert assembler.due(START) is None
    assert assembler.take([raw(14)], None, START) == []
    assert ids(await done(assembler.settle(rest, START + 300))) == [13, 14, *range(15, 20)]
    assert rest.asked == 1


async def test_a_venue_that_leaves_numbers_out_after_all_is_asked_once() -> None:
    """Its own answer shows it."""
    assembler, rest = TradeAssembler("A/B"), rest_of(*range(1, 11), 12, 14)
    assembler.take([raw(one) for one in range(1, 11)], None, START)
    assert assembler.take([raw(12)], None, START) == []
    assert ids(await done(assembler.settle(rest, START + 300))) == [12, 14]
    assert ids(assembler.take([raw(16), raw(19)], None, START)) == [16, 19]
    assert rest.asked == 1


def test_numbers_that_begin_anew_are_told() -> None:
    """A venue that restarts its count is not taken for one that repeats itself."""
    assembler = TradeAssembler("A/B")
    assembler.take([raw(one) for one in range(100, 120)], None, START)
    assert ids(assembler.take([raw(1, time=9_000)], None, START)) == [1]
    assert ids(assembler.take([raw(2, time=9_001)], None, START)) == [2]
    assert assembler.late == 0


def test_an_old_number_is_told_once_only() -> None:
    """It was before the first that was told, and is counted."""
    assembler = TradeAssembler("A/B")
    assembler.take([raw(one) for one in range(100, 120)], None, START)
    assert assembler.take([raw(100), raw(99, time=1_000)], None, START) == []
    assert assembler.late == 1


async def test_pages_are_asked_for_until_they_meet() -> None:
    """One request after the other, at once, in order."""
    assembler, rest = TradeAssembler("A/B"), rest_of(*range(1, 1000), page=150)
    assembler.take([raw(1)], None, START)
    assembler.interrupted(START)
    assembler.take([raw(900)], None, START + 9_000)
    found = ids(await done(assembler.resume(rest)))
    while assembler.due(rest.clock.now) == 0.0:
        found += ids(await done(assembler.settle(rest, rest.clock.now)))
    assert found[:899] == list(range(2, 901))
    assert found == sorted(found)
    assert assembler.due(rest.clock.now) is None


async def test_more_of_a_moment_than_a_page_holds_is_passed_after_a_while() -> None:
    """What lies beyond the page is told as missed, and nothing waits for ever."""
    many = [trade(one, time=100) for one in range(1, 301)]
    rest = MadeRest(Market(many), Clock(START + 200), RestFaults(latency=0, page=150))
    assembler = TradeAssembler("A/B", patience=5_000)
    assembler.take([raw(1, time=100)], None, START + 100)
    assembler.interrupted(START + 100)
    assembler.take([raw(400, time=150)], None, START + 150)
    told = list(await done(assembler.resume(rest)))
    for _ in range(20):
        wait = assembler.due(rest.clock.now)
        if wait is None:
            break
        rest.clock.now += round(wait * 1000)
        told += await done(assembler.settle(rest, rest.clock.now))
    assert ids(told[:149]) == list(range(2, 151))
    assert isinstance(told[149], Missed)
    assert ids(told[150:]) == [400]


async def test_a_quiet_hour_is_looked_past() -> None:
    """Binance answers for one hour from the time asked for, with nothing where nobody traded in it."""

    class Hours(MadeRest):
        async def fetch_trades(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Trade]:
            found = await super().fetch_trades(symbol, since=since, limit=limit)
            return [one for one in found if one.time < since + 3_600_000]

    late = trade(2, time=5 * 3_600_000)
    rest = Hours(Market([trade(1), late]), Clock(late.time + 100), RestFaults(latency=0))
    assembler = TradeAssembler("A/B")
    assembler.take([raw(1, time=-10_000_000)], None, START)  # that REST has forgotten
    assembler.interrupted(START)
    assembler.take([raw(3, time=5 * 3_600_000 + 50)], None, late.time + 50)
    rest.market.trades = [late, trade(3, time=5 * 3_600_000 + 50)]
    told = list(await done(assembler.resume(rest)))
    while assembler.due(rest.clock.now) == 0.0:
        told += await done(assembler.settle(rest, rest.clock.now))
    assert ids(told) == [2, 3]
    assert rest.asked <= 10


async def test_errors_that_pass_are_kept_and_others_are_raised() -> None:
    """The venue says when to come back."""

    class Refusing(MadeRest):
        error: Exception = tu.errors.RateLimited("slow", retry_after=7.0, venue="made", operation="fetch_trades")

        async def fetch_trades(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[tu.Trade]:
            raise self.error

    rest = Refusing(Market([]), Clock(START), RestFaults(latency=0))
    assembler = TradeAssembler("A/B")
    assembler.take([raw(1)], None, START)
    assembler.interrupted(START)
    assert not await assembler.resume(rest)
    assert assembler.due(START) == 7.0
    rest.error = tu.errors.BadSymbol("A/B", [], venue="made", operation="fetch_trades")
    with pytest.raises(tu.errors.BadSymbol):
        await assembler.settle(rest, START + 7_000)


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that never answers costs memory for so many trades, and then a hole is told."""
    monkeypatch.setattr("tradeutils.exchange.streams.assembling.trades._MOST_HELD", 1_000)
    assembler = TradeAssembler("A/B")
    assembler.take([raw(1, time=1)], None, START)
    assembler.interrupted(START)
    told: list[Any] = []
    for number in range(3, 2_003, 100):
        told += assembler.take([raw(one, time=one) for one in range(number, number + 100)], None, START + number)
    assert isinstance(told[0], Missed)
    assert ids(told[1:]) == list(range(3, 2_003))


def test_what_has_been_told_is_kept_for_a_while_alone() -> None:
    """A minute of it, and the newest few however old."""
    told = Told()
    for number in range(30_000):
        told.add(str(number), START + number)
    assert len(told) == 20_000
    assert told.knows("0", START)
    assert not told.has("0")
    assert told.has("29999")
    assert not told.knows("new", START + 29_999)
    for number in range(400):
        told.add(f"b{number}", START + 10_000_000 + number * 1_000)
    assert len(told) == 64


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("007", 7), (None, None), ("", None), ("x", None), ("-1", None), ("1" * 19, None), ("²", None)],
    ids=["digit", "zeros", "none", "empty", "text", "negative", "long", "superscript"],
)
def test_only_digits_are_a_number(text: str | None, number: int | None) -> None:
    """Others are names."""
    assert number_of(text) == number


async def test_an_old_answer_with_ids_of_its_own_tells_nothing_twice() -> None:
    """It ends before the last that was told, which is seen by those before that."""
    assembler = TradeAssembler("A/B")
    assembler.take([raw(1, 0)], None, START)
    assembler.take([raw(2, 300)], None, START + 300)
    assembler.take([raw(3, 900)], None, START + 900)
    assembler.interrupted(START + 1_000)
    rest = MadeRest(
        Market([trade(7001, 0), trade(7002, 300), trade(7003, 900), trade(7004, 1_050), trade(7005, 1_200)]),
        Clock(START + 1_100), RestFaults(latency=0, lag=700),
    )  # fmt: skip
    assert not await done(assembler.resume(rest))
    rest.faults.lag = 0
    assembler.take([raw(5, 1_200)], None, START + 1_200)
    told = [*await done(assembler.settle(rest, START + 20_000)), *assembler.take([raw(6, 2_000)], None, START + 2_000)]
    rest.clock.now = START + 30_000
    told += await done(assembler.settle(rest, START + 30_000))
    assert sorted(one.time - START for one in told if isinstance(one, tu.Trade))[:2] == [1_050, 1_200]


async def test_in_a_quiet_market_rest_is_asked_once_more_for_what_it_did_not_have_yet() -> None:
    """Else a trade of the break would be told when somebody trades again, which may be tomorrow."""
    assembler, rest = TradeAssembler("A/B"), rest_of(1, 2, now=1_000, lag=990)
    assembler.take([raw(1)], None, START + 10)
    assembler.interrupted(START + 15)
    assert not await done(assembler.resume(rest))
    rest.faults.lag = 0
    assert assembler.due(START + 1_000) == 5.0
    assert not await done(assembler.settle(rest, START + 5_900))
    assert ids(await done(assembler.settle(rest, START + 6_000))) == [2]
    assert assembler.due(START + 6_000) is None
    assert ids(assembler.take([raw(3)], None, START + 9_000)) == [3]
