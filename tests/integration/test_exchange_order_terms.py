"""Terms of orders on their way: by cost, with triggers, rounded, refused; ccxt's unmodified classes, real HTTP."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import AsyncIterator
from decimal import Decimal, localcontext
from typing import Any

import pytest

import tradeutils as tu
from tests.integration.test_exchange_client_ids import Listener, _open, listener
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.ordering.checks import Asked, NewOrder
from tradeutils.exchange.ordering.doubts import Unsettled
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue

__all__ = ["listener"]  # a fixture

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
ONE_POT = dataclasses.replace(DEFAULT_ACCOUNT, unified=True)  # trades spot and swaps with the same money
SYMBOL, SWAP = "BTC/USDT", "BTC/USDT:USDT"
AMOUNT = Decimal("0.001")
VENUES = ("binance", "bybit", "okx", "kraken", "coinbase", "kucoin", "gate", "bitget", "mexc", "htx")
BY_COST = ("coinbase", "gate", "bitget", "htx")  # take a market buy by what it costs, and no other


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Ten generated symbols on spot and ten swaps, frozen at 30 s past a minute."""
    async with SimulatedVenue("binance", symbols=10, seed=3, accounts=[ONE_POT]) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as Alice sees it."""
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=LocalBudget()) as exchange:
        yield exchange


async def _price(exchange: tu.Exchange, symbol: str, times: str) -> Decimal:
    """Return a price in proportion to the last one, on the market's step."""
    last = Decimal(repr((await exchange.fetch_ticker(symbol)).last))
    return (await exchange.load_markets())[symbol].round_price(last * Decimal(times), "down")


def _swap_or_spot(swap: bool) -> tu.Market:
    return tu.Market(
        symbol=SWAP if swap else SYMBOL,
        id="?",
        base="BTC",
        quote="USDT",
        type="swap" if swap else "spot",
        amount_step=Decimal("0.01"),
        price_step=Decimal("0.01"),
    )


async def _sent(venue: str, listener: Listener, *, swap: bool = False, **asked: Any) -> tuple[NewOrder, Unsettled, str]:
    """Send an order that is answered with nothing; return it, what is made of that, and the request."""
    async with _open(venue, listener.url) as exchange:
        inner: Any = exchange._venue._ccxt  # type: ignore[attr-defined]
        inner.markets[SYMBOL]["info"]["quoteIncrement"] = "0.01"  # kucoin's
        inner.markets[SWAP]["subType"] = "linear"
        order = exchange._order(_swap_or_spot(swap), Asked(**asked), None)
        with pytest.raises(Unsettled) as caught:
            await exchange._venue.orders.create_order(order)
        told = [line for line in listener.heard if order.client_id in line]
        return order, caught.value, told[-1]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_market_buy_by_cost_is_sent_digit_by_digit(venue: str, listener: Listener) -> None:
    """Under our id, to an endpoint that is asked by it."""
    order, unsettled, request = await _sent(venue, listener, type="market", side="buy", cost=Decimal("123.45"))
    assert "123.45" in request
    assert (order.amount, order.price) == (None, None)
    assert unsettled.provable


@pytest.mark.parametrize("venue", VENUES)
async def test_a_market_sell_by_cost_is_sent_or_refused_before(venue: str, listener: Listener) -> None:
    """As far as ccxt has it."""
    asked: dict[str, Any] = {"type": "market", "side": "sell", "cost": Decimal("123.45")}
    if venue in ("binance", "bybit", "okx", "kucoin", "mexc"):
        assert "123.45" in (await _sent(venue, listener, **asked))[2]
        return
    with pytest.raises(errors.NotSupportedByVenue, match="cannot be sent a market sell by cost; give amount"):
        await _sent(venue, listener, **asked)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_market_buy_by_amount_is_of_this_amount(venue: str, listener: Listener) -> None:
    """A price beside it makes no cost of it, save where the venue takes nothing else: there it is said."""
    asked: dict[str, Any] = {"type": "market", "side": "buy", "amount": Decimal("3.33")}
    order, _, request = await _sent(venue, listener, **asked, price=Decimal("500.55"))
    if venue in BY_COST:
        assert order.cost == Decimal("1666.83")  # of 1666.8315
        assert "1666.83" in request
        with pytest.raises(errors.UsageError, match=f"{venue} takes a market buy by what it costs: give cost="):
            await _sent(venue, listener, **asked)
        own = {**asked, "params": {"createMarketBuyOrderRequiresPrice": False}}
        assert (await _sent(venue, listener, **own))[0].cost is None  # told so by who knows
    else:
        assert order.cost is None
        assert "3.33" in request
        assert "3.33" in (await _sent(venue, listener, **asked))[2]


# What ccxt's classes take, and on which of them an order that is not found is proven not to be there.
CONDITIONS = [
    ("binance", False, "trigger_price", True),
    ("binance", True, "trigger_price", False),
    ("bybit", False, "trigger_price", False),
    ("bybit", False, "stop_loss_price", False),
    ("bybit", True, "take_profit_price", False),
    ("okx", False, "trigger_price", False),
    ("okx", True, "stop_loss_price", False),
    ("kraken", False, "stop_loss_price", True),
    ("kraken", False, "take_profit_price", True),
    ("coinbase", False, "trigger_price", True),
    ("kucoin", False, "trigger_price", False),
    ("kucoin", True, "take_profit_price", False),
    ("gate", False, "stop_loss_price", False),
    ("gate", True, "trigger_price", False),
    ("bitget", False, "stop_loss_price", False),
    ("mexc", True, "trigger_price", False),
    ("htx", False, "trigger_price", False),
    ("htx", True, "take_profit_price", False),
]


@pytest.mark.parametrize(("venue", "swap", "keyword", "proven"), CONDITIONS)
async def test_an_order_with_a_trigger_carries_it_and_our_id(
    venue: str, swap: bool, keyword: str, proven: bool, listener: Listener
) -> None:
    """Only where one list holds them all does it count as absent when it is not found."""
    asked: dict[str, Any] = {"type": "limit", "side": "sell", "amount": Decimal(3), "price": Decimal(500)}
    order, unsettled, request = await _sent(venue, listener, swap=swap, **asked, **{keyword: Decimal("510.55")})
    assert "510.55" in request
    assert order.conditional
    assert order.trigger_price == Decimal("510.55")
    assert unsettled.provable is proven


@pytest.mark.parametrize(
    ("venue", "swap", "where", "by_id"),
    [
        ("binance", False, "/api/v3/order", True),
        ("binance", True, "/fapi/v1/algoOrder", True),
        ("okx", True, "/api/v5/trade/order-algo", True),
        ("kucoin", False, "/api/v1/stop-order/queryOrderByClientOid", True),
        ("gate", False, "/api/v4/spot/price_orders", False),
        ("mexc", True, "/api/v1/private/planorder/list/orders", False),
    ],
)
async def test_an_order_with_a_trigger_is_asked_for_where_it_waits(
    venue: str, swap: bool, where: str, by_id: bool, listener: Listener
) -> None:
    """Its own list first; some cannot be asked by our id, and are searched."""
    async with _open(venue, listener.url) as exchange:
        exchange._venue._ccxt.markets[SWAP]["subType"] = "linear"  # type: ignore[attr-defined]
        client_id = exchange._venue.orders.check_client_id(None)
        with pytest.raises((errors.VenueError, AssertionError)):  # nothing is no list of orders
            assert await exchange._venue.orders.find_order(client_id, _swap_or_spot(swap), conditional=True)
    asked = next(line for line in listener.heard if where in line)
    assert (client_id in asked) is by_id


async def test_a_trigger_that_ccxt_would_drop_is_refused(listener: Listener) -> None:
    """Of bitget's unified accounts it would send the order without, to be filled at once."""
    async with _open("bitget", listener.url) as exchange:
        for asked in (
            Asked("limit", "sell", Decimal(3), Decimal(500), trigger_price=Decimal(510)),
            Asked("limit", "sell", Decimal(3), Decimal(500), params={"stopPrice": "510"}),
        ):
            order = exchange._order(_swap_or_spot(False), asked, None)
            with pytest.raises(errors.NotSupportedByVenue, match="unified accounts; give stop_loss_price"):
                await exchange._venue.orders.create_order(order)
    assert not [line for line in listener.heard if line.startswith("POST")]


@pytest.mark.parametrize(
    ("venue", "asked", "words"),
    [
        (
            "kraken",
            {"trigger_price": Decimal(1)},
            "takes no trigger_price on spot markets; it takes stop_loss_price and",
        ),
        ("mexc", {"stop_loss_price": Decimal(1)}, "takes no stop_loss_price on spot markets"),
        ("mexc", {"params": {"stopPrice": "1"}}, "takes no trigger_price"),
        ("binance", {"time_in_force": "GTD"}, "takes no time_in_force 'GTD' on spot markets; it has IOC, FOK, PO, GTC"),
    ],
)
async def test_terms_that_ccxt_knows_to_be_missing_are_refused_before(
    venue: str, asked: dict[str, Any], words: str, listener: Listener
) -> None:
    """Nothing is sent, and what there is instead is named."""
    with pytest.raises(errors.NotSupportedByVenue, match=words):
        await _sent(venue, listener, type="limit", side="sell", amount=Decimal(3), price=Decimal(500), **asked)
    assert not listener.heard


async def test_the_applications_decimal_context_reaches_no_order(listener: Listener) -> None:
    """ccxt rounds in the context of its caller, and changes that one."""
    with localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)) as context:
        _, _, request = await _sent(
            "binance", listener, type="limit", side="buy", amount=Decimal("1234.56"), price=Decimal("98765.43")
        )
        assert (context.prec, context.rounding) == (3, decimal.ROUND_UP)
        assert "quantity=1234.56&price=98765.43" in request
        _, _, request = await _sent("okx", listener, type="market", side="buy", cost=Decimal("98765.43"))
        assert '"98765.43"' in request


async def test_orders_by_cost_are_filled_exactly(exchange: tu.Exchange) -> None:
    """What is spent is no more than was asked for, and less by a step at most; the id makes the call repeatable."""
    order = await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal("100.5"), client_order_id="cost-1")
    assert order.status == "closed"
    assert order.cost is not None
    assert Decimal(100) < order.cost <= Decimal("100.5")
    again = await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal("100.5"), client_order_id="cost-1")
    assert again.id == order.id
    for other in (Decimal("50.5"), Decimal(200)):
        with pytest.raises(errors.DuplicateOrder):
            await exchange.create_order(SYMBOL, "market", "buy", cost=other, client_order_id="cost-1")
    with pytest.raises(errors.DuplicateOrder):
        await exchange.create_order(SYMBOL, "market", "buy", Decimal("0.005"), client_order_id="cost-1")
    assert len(await exchange.fetch_orders(SYMBOL)) == 1
    sold = await exchange.create_order(SYMBOL, "market", "sell", cost=Decimal(50))
    assert sold.cost is not None
    assert Decimal(49) < sold.cost <= Decimal(50)


async def test_a_cost_of_too_many_digits_is_refused_or_cut(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """On request alone, and down alone: more is not spent than was said."""
    with pytest.raises(errors.UsageError, match=r'write 100.55, or amount_rounding="down"'):
        await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal("100.559"))
    with pytest.raises(errors.UsageError, match=r"write 100.55"):
        await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal("100.559"), amount_rounding="up")
    assert "/api/v3/order" not in venue.requests.paths
    order = await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal("100.559"), amount_rounding="down")
    assert order.cost is not None
    assert order.cost <= Decimal("100.55")


async def test_an_amount_is_rounded_on_request(exchange: tu.Exchange) -> None:
    """Amount down, price up: the order that the venue holds says so."""
    price = await _price(exchange, SYMBOL, "0.9")
    order = await exchange.create_order(
        SYMBOL,
        "limit",
        "buy",
        Decimal("0.0012399"),
        price + Decimal("0.001"),
        amount_rounding="down",
        price_rounding="up",
    )
    assert (order.amount, order.price) == (Decimal("0.00123"), price + Decimal("0.01"))


async def test_an_order_with_a_trigger_waits_and_is_found_among_the_others(exchange: tu.Exchange) -> None:
    """On Binance's spot market one list holds them all: it is looked up, repeated and cancelled like any order."""
    trigger, limit = await _price(exchange, SYMBOL, "0.9"), await _price(exchange, SYMBOL, "0.8")
    order = await exchange.create_order(
        SYMBOL, "limit", "sell", AMOUNT, limit, stop_loss_price=trigger, client_order_id="stop-1"
    )
    assert (order.status, order.stop_price, order.price) == ("open", trigger, limit)
    again = await exchange.create_order(
        SYMBOL, "limit", "sell", AMOUNT, limit, stop_loss_price=trigger, client_order_id="stop-1"
    )
    assert again.id == order.id
    with pytest.raises(errors.DuplicateOrder):
        await exchange.create_order(
            SYMBOL, "limit", "sell", AMOUNT, limit, stop_loss_price=trigger + 1, client_order_id="stop-1"
        )
    assert [one.id for one in await exchange.fetch_open_orders(SYMBOL, trigger=True)] == [order.id]
    assert (await exchange.cancel_order(str(order.id), SYMBOL, trigger=True)).status == "canceled"


async def test_an_order_with_a_trigger_on_a_swap_stands_in_a_list_of_its_own(exchange: tu.Exchange) -> None:
    """It is found there by either id, and not among the others."""
    await exchange.create_order(SWAP, "market", "buy", AMOUNT)
    asked: dict[str, Any] = {"stop_loss_price": await _price(exchange, SWAP, "0.8"), "reduce_only": True}
    order = await exchange.create_order(SWAP, "market", "sell", AMOUNT, **asked, client_order_id="stop-2")
    assert (order.stop_price, order.reduce_only, order.client_id) == (asked["stop_loss_price"], True, "stop-2")
    again = await exchange.create_order(SWAP, "market", "sell", AMOUNT, **asked, client_order_id="stop-2")
    assert again.id == order.id
    assert await exchange.fetch_open_orders(SWAP) == []
    assert [one.id for one in await exchange.fetch_open_orders(SWAP, trigger=True)] == [order.id]
    assert [one.id for one in await exchange.fetch_open_orders(trigger=True, type="swap")] == [order.id]
    assert (await exchange.fetch_order(order.id, SWAP, trigger=True)).id == order.id
    assert (await exchange.fetch_order(None, SWAP, client_order_id="stop-2", trigger=True)).id == order.id
    with pytest.raises(errors.OrderNotFound):
        await exchange.fetch_order(None, SWAP, client_order_id="stop-2")
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order(str(order.id), SWAP)
    assert (await exchange.cancel_order(str(order.id), SWAP, trigger=True)).id == order.id


async def test_a_stop_loss_of_a_swap_opens_no_position(exchange: tu.Exchange) -> None:
    """Whose position was closed meanwhile would be short when it is triggered; who wants that says so."""
    stop: dict[str, Any] = {"stop_loss_price": await _price(exchange, SWAP, "0.8")}
    order = await exchange.create_order(SWAP, "market", "sell", AMOUNT, **stop)
    assert order.reduce_only is True
    order = await exchange.create_order(SWAP, "market", "sell", AMOUNT, **stop, params={"reduceOnly": False})
    assert order.reduce_only is False
    order = await exchange.create_order(SWAP, "market", "sell", AMOUNT, trigger_price=stop["stop_loss_price"])
    assert order.reduce_only is False


async def test_what_was_to_be_spent_is_not_said_to_be_paid() -> None:
    """Kraken repeats the order, by its cost; what it did comes later."""
    async with SimulatedVenue("kraken", symbols=3, seed=3) as venue:
        account = tu.Account(name="alice", exchange="kraken", credentials=ALICE.credentials)
        async with tu.Exchange("kraken", url=venue.url, account=account, budget=LocalBudget()) as exchange:
            order = await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal("100.5"))
            assert order.cost is None
            paid = (await exchange.fetch_order(order.id, SYMBOL)).cost
    assert paid is not None
    assert 0 < paid < Decimal("100.5")


async def test_what_reduces_a_position_does_no_more(exchange: tu.Exchange) -> None:
    """It may be worth less than other orders, and is refused where there is nothing to reduce."""
    with pytest.raises(errors.VenueError):
        await exchange.create_order(SWAP, "market", "sell", AMOUNT, reduce_only=True)
    await exchange.create_order(SWAP, "market", "buy", AMOUNT)
    price = await _price(exchange, SWAP, "1.1")
    little = Decimal("0.0001")
    with pytest.raises(errors.UsageError, match="minimum notional"):
        await exchange.create_order(SWAP, "limit", "sell", little, price)
    order = await exchange.create_order(SWAP, "limit", "sell", little, price, reduce_only=True)
    assert (order.status, order.reduce_only) == ("open", True)


async def test_an_order_that_would_take_is_refused_where_it_may_not(exchange: tu.Exchange) -> None:
    """The venue's own no, as any other."""
    price = await _price(exchange, SYMBOL, "0.9")
    assert (await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, price, post_only=True)).post_only
    with pytest.raises(errors.VenueError):
        await exchange.create_order(
            SYMBOL, "limit", "buy", AMOUNT, await _price(exchange, SYMBOL, "1.1"), post_only=True
        )


async def test_fees_are_estimated_and_the_accounts_own_are_told(exchange: tu.Exchange) -> None:
    """What is estimated of a market order is what it costs then."""
    order = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
    assert order.average is not None
    fee = await exchange.estimate_fee(SYMBOL, "buy", AMOUNT, order.average)
    assert (fee.cost, fee.currency, fee.maker) == (order.fee, order.fee_currency, False)
    own = await exchange.fetch_trading_fee(SYMBOL)
    assert (own.symbol, own.taker) == (SYMBOL, fee.rate)
    dearer = await exchange.estimate_fee(SYMBOL, "sell", AMOUNT, order.average, rate=2 * fee.rate)
    assert (dearer.cost, dearer.currency) == (2 * fee.rate * AMOUNT * order.average, "USDT")


async def test_fees_of_a_venue_that_does_not_tell_are_said_to_be_unknown(listener: Listener) -> None:
    """Before anything is asked; and a reply without any is no fee."""
    async with _open("coinbase", listener.url) as exchange:
        exchange._venue._ccxt.has["fetchTradingFee"] = None  # type: ignore[attr-defined]
        with pytest.raises(errors.NotSupportedByVenue, match=r"Market\.maker"):
            await exchange._venue.orders.fetch_trading_fee(SYMBOL)
    assert not listener.heard
    async with _open("bybit", listener.url) as exchange:
        with pytest.raises(errors.VenueError):
            await exchange._venue.orders.fetch_trading_fee(SYMBOL)
