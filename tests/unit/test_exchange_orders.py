"""Orders before they leave: ids, steps, limits, and what counts as a refusal."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal, localcontext
from typing import Any

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import errors
from tradeutils.exchange.ordering.checks import Asked, check_cancel_params, check_id, check_order, is_conditional, plain
from tradeutils.exchange.ordering.client_ids import client_ids_of, lapse_of
from tradeutils.exchange.ordering.terms import estimate_fee
from tradeutils.exchange.orders import refused
from tradeutils.exchange.venues import parse
from tradeutils.exchange.venues.faults import translate
from tradeutils.exchange.venues.precision import with_precision
from tradeutils.model import Market

LISTED = ("binance", "binanceusdm", "binancecoinm", "bybit", "okx", "kraken", "coinbase", "kucoin", "gate", "bitget",
          "mexc", "htx")  # fmt: skip
MARKET = Market(
    symbol="BTC/USDT",
    id="BTCUSDT",
    base="BTC",
    quote="USDT",
    amount_step=Decimal("0.00001"),
    price_step=Decimal("0.01"),
    min_amount=Decimal("0.00001"),
    max_amount=Decimal(9000),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    min_cost=Decimal(5),
    max_cost=Decimal(9_000_000),
)
SWAP = Market(
    symbol="BTC/USDT:USDT",
    id="BTCUSDT",
    base="BTC",
    quote="USDT",
    settle="USDT",
    type="swap",
    linear=True,
    inverse=False,
    contract_size=Decimal("0.001"),
    amount_step=Decimal(1),
    min_cost=Decimal(100),
)
INVERSE = dataclasses.replace(SWAP, symbol="BTC/USD:BTC", linear=False, inverse=True, contract_size=Decimal(100))


def _check(**changed: Any) -> Any:
    asked: dict[str, Any] = {"type": "limit", "side": "buy", "amount": Decimal("0.01"), "price": Decimal(50_000)}
    return check_order(changed.pop("market", MARKET), Asked(**{**asked, **changed}))


@pytest.mark.parametrize("venue", [*LISTED, "bitmex"])
def test_a_generated_id_is_one_that_the_venue_takes(venue: str) -> None:
    """Its own pattern holds, and two are never the same."""
    ids = client_ids_of(venue)
    made = {ids.make() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ids.check(one, venue) == one for one in made)


@pytest.mark.parametrize("venue", LISTED)
def test_the_table_names_venues_and_methods_that_ccxt_has(venue: str) -> None:
    """A method that ccxt renames would turn every lost answer into an unknown outcome."""
    ids = client_ids_of(venue)
    assert ids.places
    for question in ids.questions:
        assert callable(getattr(getattr(ccxt, venue), question.method))
        head, *rest = question.method.split("_")
        assert getattr(ccxt, venue)().has[head + "".join(part.capitalize() for part in rest)]


def test_an_id_of_ones_own_is_held_to_the_venues_rules() -> None:
    """The message shows one that would do."""
    assert client_ids_of("okx").check("abc123", "okx") == "abc123"
    for venue, wrong in (("okx", "a-b"), ("okx", "a" * 33), ("gate", "x1"), ("binance", ""), ("binance", "ä"),
                         ("kraken", "x" * 19), ("binance", "a\n"), ("binance", 7)):  # fmt: skip
        with pytest.raises(errors.UsageError, match=f"{venue} takes"):
            client_ids_of(venue).check(wrong, venue)


def test_a_venue_that_is_not_listed_proves_nothing() -> None:
    """Where nobody has checked how ids travel, an order that is not found may be there."""
    assert not client_ids_of("bitmex").places


def test_how_long_a_request_can_still_arrive_is_the_venues_or_the_options() -> None:
    """Binance refuses what is older than its recvWindow, which is an option of ccxt."""
    assert lapse_of(client_ids_of("binance"), {"recvWindow": 1_500}) == 1.5
    assert lapse_of(client_ids_of("binance"), {}) == 5.0
    assert lapse_of(client_ids_of("gate"), {"recvWindow": 1_500}) == 60.0


def test_an_order_that_is_right_passes_as_it_is() -> None:
    """No digit changes."""
    amount, price = Decimal("0.01234"), Decimal("50000.10")
    assert _check(type="LIMIT", amount=amount, price=price, params={"timeInForce": "IOC"}) == (
        "limit", "buy", amount, price, None, None, {"timeInForce": "IOC"}
    )  # fmt: skip
    assert _check(type="market", price=None).price is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"amount": 0.01}, 'write Decimal("0.01")'),
        ({"amount": 1}, 'write Decimal("1")'),
        ({"price": 50_000.5}, 'write Decimal("50000.5")'),
        ({"amount": "0.01"}, 'write Decimal("0.01")'),
        ({"amount": None}, "not a Decimal"),
        ({"amount": True}, "not a Decimal"),
        ({"amount": Decimal("NaN")}, "above 0"),
        ({"amount": Decimal("Infinity")}, "above 0"),
        ({"amount": Decimal(0)}, "above 0"),
        ({"amount": Decimal(-1)}, "above 0"),
        ({"amount": Decimal("1E+999999")}, "digits"),
        ({"amount": Decimal("1E-999999")}, "digits"),
        ({"amount": Decimal("1." + "1" * 90)}, "digits"),
        (
            {"amount": Decimal("0.012345")},
            'steps of 0.00001 and nothing is rounded unasked: write 0.01234 or 0.01235, or amount_rounding="down"',
        ),
        ({"price": Decimal("50000.001")}, "write 50000.00 or 50000.01"),
        ({"price": Decimal("0.015")}, "write 0.01 or 0.02, or price_rounding="),
        ({"amount": Decimal("0.000001")}, "the minimum amount of BTC/USDT is 0.00001: write 0.00001 or more"),
        ({"amount": Decimal(9001)}, "the maximum amount of BTC/USDT is 9000: write 9000 or less"),
        ({"price": Decimal("0.001")}, "the minimum price of BTC/USDT is 0.01: write 0.01 or more"),
        ({"price": Decimal(1_000_001)}, "the maximum price of BTC/USDT is 1000000: write 1000000 or less"),
        (
            {"price": Decimal(3)},
            "notional (amount 0.01 at 3) was 0.03 USDT; the minimum notional of BTC/USDT is 5: "
            "write an amount of 1.66667 or more",
        ),
        (
            {"amount": Decimal(8000)},
            "notional (amount 8000 at 50000) was 400000000 USDT; the maximum notional of BTC/USDT is 9000000: "
            "write an amount of 180 or less",
        ),
        ({"price": None}, "a limit order needs one"),
        ({"side": "Buy"}, '"buy" or "sell"'),
        ({"type": ""}, '"limit"'),
        ({"type": None}, '"limit"'),
        ({"params": ["x"]}, "mapping"),
        ({"params": {"newClientOrderId": "x"}}, "client_order_id="),
        ({"params": {"symbol": "ETHUSDT"}}, "params had 'symbol'"),
        ({"params": {"side": "SELL"}}, "params had 'side'"),
        ({"params": {"quantity": "5"}}, "params had 'quantity'"),
        ({"params": {"order_qty": "5"}}, "params had 'order_qty'"),
        ({"params": {"px": "1"}}, "params had 'px'"),
        ({"type": "market", "price": None, "params": {"quoteOrderQty": "5000"}}, "were both given"),
        ({"params": {"cl_ord_id": "x"}}, "client_order_id="),
        ({"amount_rounding": "floor"}, 'amount_rounding was \'floor\'; write "down", "up" or "nearest"'),
        ({"price_rounding": ["up"]}, 'write "down", "up" or "nearest"'),
        ({"amount": Decimal("0.000001"), "amount_rounding": "down"}, "would be rounded to 0; the minimum amount"),
        ({"trigger_price": 51_000}, "trigger_price was 51000, not a Decimal"),
        ({"trigger_price": Decimal("0.015")}, "trigger_price was 0.015; BTC/USDT takes steps of 0.01"),
        ({"stop_loss_price": Decimal(10_000_000)}, "stop_loss_price was 10000000; the maximum price"),
        (
            {"trigger_price": Decimal(1), "take_profit_price": Decimal(2)},
            "trigger_price and take_profit_price were given; an order waits for one price",
        ),
        ({"trigger_price": Decimal(1), "params": {"stopPrice": "1"}}, "keep trigger_price="),
        ({"reduce_only": True, "params": {"reduceOnly": True}}, "keep reduce_only="),
        ({"reduce_only": True}, "there are no positions on spot"),
        ({"params": {"reduceOnly": True}}, "there are no positions on spot"),
        ({"reduce_only": "yes"}, "write True or False"),
        ({"post_only": True, "type": "market", "price": None}, "never waits in the book"),
        ({"post_only": True, "time_in_force": "IOC"}, "exclude each other"),
        ({"time_in_force": "GTT"}, "write one of GTC, IOC"),
        ({"time_in_force": 3}, "write one of GTC, IOC"),
        ({"cost": Decimal(100)}, "amount and cost were both given"),
        ({"cost": Decimal(100), "amount": None}, "cost was given for a limit order"),
        ({"cost": Decimal(100), "amount": None, "type": "market"}, "cost and price were both given"),
        (
            {"cost": Decimal(100), "amount": None, "type": "market", "price": None, "trigger_price": Decimal(1)},
            "cost was given with a trigger",
        ),
        (
            {"cost": Decimal(1), "amount": None, "type": "market", "price": None},
            "cost was 1 USDT; the minimum cost of BTC/USDT is 5: write 5 or more",
        ),
        ({"cost": 100, "amount": None, "type": "market", "price": None}, "cost was 100, not a Decimal"),
        (
            {"cost": Decimal(9), "amount": None, "type": "market", "price": None, "params": {"quoteOrderQty": 9}},
            "keep cost=",
        ),
        ({"cost": Decimal(9), "amount": None, "type": "market", "price": None, "market": SWAP}, "by their number"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(changed: dict[str, Any], words: str) -> None:
    """Nothing is rounded, guessed or cut, and the message shows the way out."""
    with pytest.raises(errors.UsageError, match=re.escape(words)):
        _check(**changed)


def test_rounding_is_done_on_request_in_the_direction_stated() -> None:
    """Amount and prices each in their own."""
    wide = {"amount": Decimal("0.012345"), "price": Decimal("50000.015")}
    terms = _check(**wide, amount_rounding="down", price_rounding="up")
    assert (terms.amount, terms.price) == (Decimal("0.01234"), Decimal("50000.02"))
    terms = _check(**wide, amount_rounding="up", price_rounding="nearest", trigger_price=Decimal("49999.994"))
    assert (terms.amount, terms.price, terms.trigger_price) == (
        Decimal("0.01235"),
        Decimal("50000.02"),
        Decimal("49999.99"),
    )
    assert terms.params == {"triggerPrice": "49999.99"}


def test_keywords_become_ccxts_unified_parameters() -> None:
    """The caller's own stay beside them, and his mapping as it was."""
    own = {"positionSide": "LONG"}
    terms = check_order(
        SWAP,
        Asked(
            "limit",
            "sell",
            Decimal(5),
            Decimal(50_000),
            take_profit_price=Decimal(51_000),
            reduce_only=True,
            post_only=True,
            time_in_force="gtc",
            params=own,
        ),
    )
    assert terms.params == {
        "positionSide": "LONG",
        "takeProfitPrice": "51000",
        "reduceOnly": True,
        "postOnly": True,
        "timeInForce": "GTC",
    }
    assert own == {"positionSide": "LONG"}
    assert is_conditional(terms.type, terms.params)
    assert not is_conditional("limit", {"timeInForce": "IOC"})
    assert is_conditional("stop_loss", {})


def test_what_contracts_are_worth_is_held_to_the_limits() -> None:
    """By the size of a contract; not of inverse ones, whose limits are in one currency here and another there."""
    assert check_order(SWAP, Asked("limit", "buy", Decimal(2), Decimal(50_000))).amount == 2
    with pytest.raises(errors.UsageError, match=r"was 50 USDT; the minimum notional .* 100: write an amount of 2 or"):
        check_order(SWAP, Asked("limit", "buy", Decimal(1), Decimal(50_000)))
    with pytest.raises(errors.UsageError, match="minimum notional"):
        check_order(SWAP, Asked("market", "buy", Decimal(1), stop_loss_price=Decimal(50_000)))
    assert check_order(SWAP, Asked("market", "buy", Decimal(1))).amount == 1  # nobody knows a price
    assert check_order(INVERSE, Asked("limit", "buy", Decimal(1), Decimal(50_000))).amount == 1
    sizeless = dataclasses.replace(SWAP, contract_size=None)
    assert check_order(sizeless, Asked("limit", "buy", Decimal(1), Decimal(50_000))).amount == 1


def test_prices_of_significant_digits_are_held_to_them() -> None:
    """Bitfinex counts five; hyperliquid too, save in whole prices."""
    market = dataclasses.replace(MARKET, price_step=None, price_digits=5, max_price=None, max_cost=None)
    assert _check(market=market, price=Decimal(123_450)).price == 123_450
    with pytest.raises(errors.UsageError, match=r"takes 5 significant digits .* write 123450 or 123460, or price"):
        _check(market=market, price=Decimal(123_456))
    assert _check(market=market, price=Decimal(123_456), price_rounding="up").price == 123_460
    whole = dataclasses.replace(market, whole_prices=True)
    assert _check(market=whole, price=Decimal(123_456)).price == 123_456
    assert _check(market=whole, price=Decimal("123456.5"), price_rounding="down").price == 123_456


@pytest.mark.parametrize("venue", ["bitfinex", "hyperliquid"])
@given(st.decimals("0.0001", 10**6, places=9), st.sampled_from(["spot", "swap"]))
def test_digits_of_the_venues_that_count_them_are_ccxts(venue: str, price: Decimal, kind: Any) -> None:
    """What is rounded to the nearest here is what ccxt's own class would send."""
    inner = getattr(ccxt, venue)({"number": Decimal})
    raw = {
        "symbol": "A/B", "id": "AB", "base": "A", "quote": "B", "type": kind, "spot": kind == "spot",
        "swap": kind == "swap", "contract": kind == "swap", "limits": {}, "info": {},
        "precision": {"amount": 8, "price": 5} if venue == "bitfinex" else {"amount": "0.001", "price": None},
    }  # fmt: skip
    inner.markets = {"A/B": raw}
    market = with_precision(parse.market(raw, inner.precisionMode), raw, inner.precisionMode, venue)
    theirs = Decimal(inner.price_to_precision("A/B", format(price, "f")))
    if theirs:
        assert market.round_price(price, "nearest") == theirs
    assert market.amount_step == Decimal("1E-8" if venue == "bitfinex" else "0.001")


def test_a_precision_that_the_venue_does_not_tell_stays_unknown() -> None:
    """Nothing is made up."""
    raw: dict[str, Any] = {"symbol": "A/B", "type": "spot", "precision": {}}
    market = parse.market(raw, 4)
    assert with_precision(market, raw, 4, "binance") is market
    assert with_precision(market, raw, 3, "polymarket").price_digits is None
    told = with_precision(market, raw, 4, "hyperliquid")
    assert (told.price_step, told.price_digits, told.whole_prices) == (None, 5, True)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("fee_side", [None, "get", "give", "base", "quote", "swap"])
@pytest.mark.parametrize("role", ["maker", "taker"])
def test_fees_are_taken_from_what_ccxt_says(side: Any, fee_side: str | None, role: Any) -> None:
    """Cost, currency and rate are those of its ``calculate_fee``, on spot and on linear contracts of size one."""
    swap = fee_side == "swap"
    market = dataclasses.replace(SWAP, contract_size=Decimal(1)) if swap else MARKET
    raw = {
        "maker": "0.0002", "taker": "0.00055", "symbol": market.symbol, "base": "BTC", "quote": "USDT",
        "settle": market.settle, "spot": not swap, "feeSide": None if swap else fee_side,
    }  # fmt: skip
    inner = ccxt.binance({"number": Decimal})
    inner.markets = {market.symbol: raw}
    theirs = inner.calculate_fee(market.symbol, "limit", side, Decimal("0.01234"), Decimal("50000.1"), role)
    ours = dataclasses.replace(
        market, fee_side=None if swap else fee_side, maker=Decimal("0.0002"), taker=Decimal("0.00055")
    )
    fee = estimate_fee(ours, side, Decimal("0.01234"), Decimal("50000.1"), maker=role == "maker")
    assert (fee.cost, fee.currency, fee.rate) == (theirs["cost"], theirs["currency"], theirs["rate"])
    assert fee.maker is (role == "maker")


def test_fees_on_contracts_are_of_what_they_are_worth() -> None:
    """Linear ones by their size, inverse ones in the coin."""
    linear = estimate_fee(SWAP, "buy", Decimal(7), Decimal(50_000), rate=Decimal("0.0005"))
    assert (linear.cost, linear.currency) == (Decimal("0.175"), "USDT")
    inverse = dataclasses.replace(INVERSE, settle="BTC", base="BTC", quote="USD")
    fee = estimate_fee(inverse, "sell", Decimal(7), Decimal(50_000), rate=Decimal("-0.0001"), maker=True)
    assert (fee.cost, fee.currency, fee.maker) == (Decimal("-0.0000014"), "BTC", True)


def test_a_fee_that_cannot_be_known_is_not_guessed() -> None:
    """What is missing is named, and how to give it."""
    for market, more, words in (
        (MARKET, {}, "the taker fee of BTC/USDT is not known; give rate="),
        (MARKET, {"maker": True}, "the maker fee"),
        (MARKET, {"rate": 0.1}, "rate was 0.1; write a fraction"),
        (MARKET, {"rate": Decimal("NaN")}, "rate was"),
        (dataclasses.replace(SWAP, contract_size=None), {"rate": Decimal(1)}, "size of a contract"),
    ):
        with pytest.raises(errors.UsageError, match=words):
            estimate_fee(market, "buy", Decimal(1), Decimal(2), **more)
    for wrong in ({"side": "bid"}, {"amount": 1}, {"price": Decimal(0)}):
        asked: Any = {"side": "buy", "amount": Decimal(1), "price": Decimal(2), "rate": Decimal(1), **wrong}
        with pytest.raises(errors.UsageError):
            estimate_fee(MARKET, **asked)


@given(steps=st.integers(1, 10**12), decimals=st.integers(0, 18), off=st.integers(1, 9))
def test_exactly_the_multiples_of_the_step_pass(steps: int, decimals: int, off: int) -> None:
    """Whatever precision the application has set for its own numbers."""
    step = Decimal(1).scaleb(-decimals)
    market = Market(symbol="A/B", id="AB", base="A", quote="B", amount_step=step)
    with localcontext() as context:
        context.prec = 40
        right, wrong = steps * step, steps * step + step * off / 10
        context.prec = 3
        assert check_order(market, Asked("market", "sell", right)).amount == right
        with pytest.raises(errors.UsageError, match="steps"):
            check_order(market, Asked("market", "sell", wrong))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_numbers_are_written_with_all_digits_and_no_exponent(number: Decimal) -> None:
    """Venues read no exponents."""
    assert Decimal(plain(number)) == number
    assert "E" not in plain(number.scaleb(-9))


def test_an_id_is_a_string() -> None:
    """Of an order the id is given, not the order."""
    assert check_id("7") == "7"
    for wrong in (None, "", 7):
        with pytest.raises(errors.UsageError, match="id"):
            check_id(wrong)


def _translated(error: Exception, status: int | None) -> errors.TradeutilsError:
    ours = translate(error, venue="okx", operation="create_order", symbol="BTC/USDT", status=status)
    ours.__cause__ = error
    return ours


@pytest.mark.parametrize(
    ("error", "status", "is_refusal"),
    [
        (ccxt.InsufficientFunds("okx no"), 200, True),
        (ccxt.InvalidOrder("okx no"), 400, True),
        (ccxt.InvalidNonce("okx -1021"), 400, True),
        (ccxt.AuthenticationError("okx signature"), 401, True),
        (ccxt.DDoSProtection("okx 418"), 418, True),
        (ccxt.RateLimitExceeded("okx 429"), 429, True),
        (ccxt.BadRequest("okx bad"), 200, True),
        (ccxt.ExchangeNotAvailable("okx 404"), 404, True),
        (ccxt.ExchangeError("okx 99999 whatever"), 200, False),
        (ccxt.InvalidOrder("okx no"), 500, False),
        (ccxt.DDoSProtection("okx cloudflare"), 503, False),
        (ccxt.ExchangeError("okx POST"), None, False),
        (ccxt.RequestTimeout("okx POST"), None, False),
        (ccxt.RequestTimeout("okx -1007"), 408, False),
        (ccxt.ExchangeNotAvailable("okx 502"), 502, False),
        (ccxt.OnMaintenance("okx"), 200, False),
        (ccxt.BadResponse("okx"), 200, False),
    ],
)
def test_only_a_plain_no_counts_as_a_refusal(error: Exception, status: int | None, is_refusal: bool) -> None:
    """All else is looked up: the order may be there."""
    assert refused(_translated(error, status), status) is is_refusal


@pytest.mark.parametrize(
    "text",
    [
        'binance {"code":-2010,"msg":"Duplicate order sent."}',
        'okx {"sCode":"51016","sMsg":"Client order ID already exists."}',
        'bybit {"retCode":110072,"retMsg":"OrderLinkedID is duplicate"}',
        'kucoin {"code":"102426","msg":"duplicate clientOid"}',
    ],
)
def test_an_id_that_is_taken_is_one_error_on_all_venues(text: str) -> None:
    """ccxt has a class for it and most of its venues do not use it."""
    assert type(_translated(ccxt.InvalidOrder(text), 400)) is errors.DuplicateOrder
    elsewhere = translate(ccxt.InvalidOrder(text), venue="okx", operation="cancel_order", symbol=None, status=400)
    assert type(elsewhere) is errors.InvalidOrder


@pytest.mark.parametrize("name", ["orderId", "clientOrderId", "symbol", "ord_id", "txid", "orderLinkId", "algoId"])
def test_a_cancel_names_one_order(name: str) -> None:
    """A parameter that would replace the id or the market is refused; others are ccxt's business."""
    with pytest.raises(errors.UsageError, match=f"params had '{name}'; name the order by id and symbol alone"):
        check_cancel_params({name: "7"})
    assert check_cancel_params({"orderFilter": "StopOrder"}) == {"orderFilter": "StopOrder"}
    assert check_cancel_params(None) == {}
