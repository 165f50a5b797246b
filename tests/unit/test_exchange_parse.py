"""ccxt's dictionaries become our values, exactly."""

from __future__ import annotations

import pickle
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from tradeutils import codec
from tradeutils.codec._decode import Decoder
from tradeutils.errors import BadReply, CodecError
from tradeutils.exchange.venues import parse
from tradeutils.model import Info


def test_balances_never_pass_through_a_float() -> None:
    """Eighteen decimals of a token survive to the last digit."""
    raw = {
        "ETH": {"free": "0.100000000000000001", "used": "0.2", "total": "0.300000000000000001"},
        "NIL": {"free": "0", "used": "0", "total": "0"},
        "USDT": {"free": "1", "used": None, "total": None},
        "BTC": {"free": None, "used": "0.5", "total": "2"},
        "free": {}, "used": {}, "total": {"ETH": "x", "NIL": "0", "USDT": None, "BTC": "2"}, "debt": {"BTC": "0.25"},
    }  # fmt: skip
    found = parse.balance(raw, "binance", "alice", 5)
    assert found["ETH"].total == Decimal("0.300000000000000001")
    assert found["ETH"].free + found["ETH"].used == found["ETH"].total
    assert found["USDT"].total == Decimal(1)
    assert (found["BTC"].free, found["BTC"].debt) == (Decimal("1.5"), Decimal("0.25"))
    assert "NIL" not in found
    assert found.time == 5


@pytest.mark.parametrize("entry", [{"free": "abc", "total": "1"}, {"total": "NaN"}, {"free": None, "total": None}])
def test_an_unreadable_balance_is_an_error_and_never_zero(entry: dict[str, object]) -> None:
    """Money that cannot be read must not look like money that is not there."""
    with pytest.raises(BadReply, match="BTC"):
        parse.balance({"BTC": entry, "total": {"BTC": None}}, "binance", None, 5)


def test_a_ticker_keeps_what_is_said_and_nothing_else() -> None:
    """Absent and unreadable figures are None; last falls back to close."""
    found = parse.ticker({"symbol": "BTC/USDT", "close": "2.5", "bid": "n/a", "ask": None, "timestamp": "7"})
    assert (found.last, found.bid, found.ask, found.time) == (2.5, None, None, 7)
    assert found.spread is found.mid is None


def test_a_market_states_its_steps_whatever_the_venue_counts_in() -> None:
    """Tick sizes and decimal places become the same step; significant digits have none."""
    raw = {
        "symbol": "A/B", "id": "AB", "base": "A", "quote": "B", "type": "spot", "active": None,
        "precision": {"amount": "3", "price": "0.01"}, "limits": {"amount": {"min": "0.001"}, "cost": None},
        "maker": "0.001",
    }  # fmt: skip
    ticks, places, digits = (parse.market(raw, mode) for mode in (4, 2, 3))
    assert ticks.price_step == Decimal("0.01")
    assert places.amount_step == Decimal("0.001")
    assert digits.amount_step is None
    assert (ticks.min_amount, ticks.min_cost, ticks.maker) == (Decimal("0.001"), None, Decimal("0.001"))
    assert ticks.active


def test_book_levels_lose_what_venues_append() -> None:
    """Kraken adds a timestamp and okx two counts to each level."""
    found = parse.order_book({"bids": [["2", "1", 99]], "asks": [], "nonce": "4"}, "A/B")
    assert np.array_equal(found.bids, [[2.0, 1.0]])
    assert found.asks.shape == (0, 2)
    assert (found.bid, found.ask, found.sequence) == (2.0, None, 4)


def test_a_trade_without_a_price_is_refused() -> None:
    """A public trade is its price, amount and time."""
    with pytest.raises(BadReply):
        parse.trade({"price": None, "amount": "1", "timestamp": 1}, "A/B")
    found = parse.trade({"price": "1.5", "amount": "2", "timestamp": 1, "id": 7, "side": "?"}, "A/B")
    assert (found.price, found.id, found.side) == (1.5, "7", None)


def test_an_order_is_decimal_throughout() -> None:
    """Prices and amounts on orders are money."""
    found = parse.order(
        {"symbol": "A/B", "id": 1, "clientOrderId": "c", "price": "0.1", "amount": "3", "filled": "", "side": "buy",
         "fee": {"cost": "0.001", "currency": "A"}}
    )  # fmt: skip
    assert (found.price, found.amount, found.filled, found.fee) == (Decimal("0.1"), Decimal(3), None, Decimal("0.001"))
    assert (found.id, found.client_id, found.side, found.fee_currency) == ("1", "c", "buy", "A")


def test_money_ignores_the_precision_that_the_application_has_set() -> None:
    """The sum of 30 digits is 30 digits, also where getcontext() says six."""
    raw = {"SHIB": {"free": "1234567890123.123456789012345678", "used": "1"}, "total": {"SHIB": None}}
    with localcontext(prec=6):
        found = parse.balance(raw, "binance", None, 5)
    assert found["SHIB"].total == Decimal("1234567890124.123456789012345678")


def test_fees_of_one_currency_are_summed_and_of_several_are_not() -> None:
    """What was paid in two currencies has no sum."""
    paid = [{"cost": Decimal("0.1"), "currency": "BNB"}, {"cost": Decimal("0.2"), "currency": "BNB"}]
    assert parse.order({"symbol": "A/B", "fees": paid}).fee == Decimal("0.3")
    mixed = parse.order({"symbol": "A/B", "fees": [*paid, {"cost": Decimal(1), "currency": "A"}]})
    assert (mixed.fee, mixed.fee_currency) == (None, None)
    alone = parse.order({"symbol": "A/B", "fees": [], "fee": {"cost": Decimal("-0.1"), "currency": "B"}})
    assert (alone.fee, alone.fee_currency) == (Decimal("-0.1"), "B")
    assert parse.order({"symbol": "A/B", "fee": {"cost": None, "currency": "B"}}).fee is None


def test_an_order_that_lacks_its_symbol_has_the_one_that_was_asked_for() -> None:
    """Some venues answer with nothing but an id."""
    assert parse.order({"id": "7"}, "A/B").symbol == "A/B"


def test_a_trade_of_an_account_is_exact_and_survives_the_codec() -> None:
    """Price, amount and fee as the venue wrote them; one that lacks them is an error."""
    raw = {
        "id": 1, "order": "7", "timestamp": 5, "side": "sell", "price": Decimal("0.10"), "amount": "3", "cost": None,
        "fee": {"cost": Decimal("0.001"), "currency": "B"}, "takerOrMaker": "maker",
    }  # fmt: skip
    found = parse.fill(raw, "A/B")
    assert (found.id, found.order_id, found.side, found.maker) == ("1", "7", "sell", True)
    assert (found.price, found.amount, found.cost, found.fee) == (Decimal("0.10"), Decimal(3), None, Decimal("0.001"))
    assert codec.loads(codec.dumps([found, found])) == [found, found]
    for lacking in ("price", "amount", "timestamp"):
        with pytest.raises(BadReply):
            parse.fill({**raw, lacking: None}, "A/B")


def test_a_step_has_no_zeros_at_its_end() -> None:
    """Venues write 0.00001000; multiples of it would have them too."""
    raw = {"symbol": "A/B", "precision": {"amount": "0.00001000", "price": "10"}}
    market = parse.market(raw, 4)
    assert (str(market.amount_step), str(market.price_step)) == ("0.00001", "10")


def test_funding_and_open_interest_keep_what_is_said() -> None:
    """Present rates may lack anything, past ones neither rate nor time; figures that are none are not known."""
    raw = {
        "symbol": "A/B:B",
        "fundingRate": Decimal("0.0001"),
        "timestamp": "5",
        "fundingTimestamp": 9,
        "interval": "8h",
    }
    rate = parse.funding_rate(raw)
    assert (rate.rate, rate.time, rate.funding_time, rate.interval, rate.next_rate) == (0.0001, 5, 9, "8h", None)
    assert parse.funding_rate({"symbol": "A/B:B"}).rate is None
    past = parse.past_funding_rate({"fundingRate": "-0.5", "timestamp": 7}, "A/B:B")
    assert (past.rate, past.time, past.funding_time) == (-0.5, 7, 7)
    for lacking in ({"fundingRate": None, "timestamp": 7}, {"fundingRate": "1", "timestamp": None}):
        with pytest.raises(BadReply, match="funding"):
            parse.past_funding_rate(lacking, "A/B:B")
    interest = parse.open_interest({"openInterestAmount": "2.5", "openInterestValue": "x", "timestamp": 3}, "A/B:B")
    assert (interest.symbol, interest.amount, interest.value, interest.time) == ("A/B:B", 2.5, None, 3)
    with pytest.raises(BadReply, match="open interest"):
        parse.open_interest({"openInterestAmount": None}, "A/B:B")


def test_what_the_venue_sent_is_kept_where_it_is_wanted() -> None:
    """An object or a list, read-only all the way down; nothing else tells anything."""
    raw: dict[str, Any] = {"symbol": "A/B", "info": {"a": [{"b": 1}]}}
    assert parse.ticker(raw).info is None
    info = parse.ticker(raw, info=True).info
    assert isinstance(info, Info)
    assert info["a"][0]["b"] == 1
    assert info.to_dict() == raw["info"]
    with pytest.raises(TypeError):
        info["a"][0]["b"] = 2
    raw["info"]["a"].append("later")
    assert info.to_dict() == {"a": [{"b": 1}]}
    trade = {"price": 1, "amount": 1, "timestamp": 1, "info": ["1.0", ["2"]]}
    assert parse.trade(trade, "A/B", info=True).info == ("1.0", ("2",))
    assert parse.order({"symbol": "A/B", "info": "text"}, info=True).info is None
    kept: list[Any] = [
        parse.market({"symbol": "A/B", "info": {"x": 1}}, 4, info=True),
        parse.order_book({"bids": [], "asks": [], "info": {"x": 1}}, "A/B", info=True),
        parse.order({"symbol": "A/B", "info": {"x": 1}}, info=True),
        parse.fill({"price": 1, "amount": 1, "timestamp": 1, "info": {"x": 1}}, "A/B", info=True),
        parse.balance({"total": {}, "info": {"x": 1}}, "v", None, 5, info=True),
        parse.funding_rate({"symbol": "A/B:B", "info": {"x": 1}}, info=True),
        parse.past_funding_rate({"fundingRate": 1, "timestamp": 1, "info": {"x": 1}}, "A/B:B", info=True),
        parse.open_interest({"openInterestAmount": 1, "info": {"x": 1}}, "A/B:B", info=True),
    ]
    for value in kept:
        assert value.info == {"x": 1}
        assert "'x'" not in repr(value)
        for again in (codec.loads(codec.dumps(value)), pickle.loads(pickle.dumps(value))):  # noqa: S301  # our own bytes
            assert again == value
            assert again.info == value.info
            assert isinstance(again.info, Info)


def test_bytes_that_claim_to_be_what_a_venue_sent_are_checked() -> None:
    """Nothing but an object comes back as one."""
    whole = codec.dumps(Info({"x": 1}))
    assert codec.loads(whole) == Info({"x": 1})
    reader = Decoder([], 0)
    for form in ([1, [1]], 5, None, ["tuple", [1, []]]):
        with pytest.raises(CodecError, match="venue sent"):
            reader.decode(["info", form])
    assert repr(Info({"x": 1})) == "Info({'x': 1})"
    assert len(Info({})) == 0
