"""Our ids on their way: what ccxt's unmodified classes send when an order is placed, and when it is looked up."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.ordering.checks import NewOrder
from tradeutils.exchange.ordering.client_ids import client_ids_of
from tradeutils.exchange.ordering.doubts import Unsettled

ACCOUNTS = {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}], "code": 200}
IDS = {"okx": ("BTC-USDT", "BTC-USDT-SWAP"), "gate": ("BTC_USDT", "BTC_USDT"), "htx": ("btcusdt", "BTC-USDT")}


class Listener:
    """A venue that writes down what it is asked, and says nothing to it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(f"{request.method} {request.path_qs} {await request.text()}")
        return web.json_response(ACCOUNTS if request.path.endswith("/account/accounts") else {})


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """On a port of its own."""
    listener = Listener()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", listener.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield listener
    await runner.cleanup()


def _market(venue: str, swap: bool) -> dict[str, Any]:
    """One market as ccxt's classes make it."""
    return {
        "id": IDS.get(venue, ("BTCUSDT", "BTCUSDT"))[swap], "symbol": "BTC/USDT:USDT" if swap else "BTC/USDT",
        "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT", "active": True,
        "settle": "USDT" if swap else None, "settleId": "usdt" if swap else None,
        "type": "swap" if swap else "spot", "spot": not swap, "swap": swap, "contract": swap, "linear": swap or None,
        "inverse": False if swap else None, "margin": False, "future": False, "option": False,
        "contractSize": 1 if swap else None, "precision": {"amount": 0.01, "price": 0.01},
        "limits": {"amount": {"min": 0.01}, "price": {}, "cost": {}, "leverage": {}},
        "info": {"orderTypes": ["LIMIT", "MARKET", "STOP_LOSS_LIMIT", "STOP"]},
    }  # fmt: skip


def _open(venue: str, url: str) -> tu.Exchange:
    secret = "c2VjcmV0LW9mLW5vYm9keQ=="
    if venue == "coinbase":  # signs with a key of its own kind
        made = ec.generate_private_key(ec.SECP256R1())
        secret = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
    credentials = tu.Credentials(key="some-key", secret=secret, password="word", uid="1")
    account = tu.Account(name="alice", exchange=venue, credentials=credentials)
    options: dict[str, Any] = {
        "bybit": {"unifiedMarginStatus": 5, "enableUnifiedAccount": True, "enableUnifiedMargin": False},
        "kucoin": {"uta": False},
    }
    exchange = tu.Exchange(venue, url=url, account=account, budget=LocalBudget(), options=options.get(venue), retries=0)
    inner: Any = exchange._venue._ccxt  # type: ignore[attr-defined]
    inner.set_markets([_market(venue, False), _market(venue, True)])

    async def load_markets(*_: Any) -> Any:
        return inner.markets

    inner.load_markets = load_markets
    return exchange


async def _place(exchange: tu.Exchange, swap: bool, **params: Any) -> Unsettled:
    """Send an order that is answered with nothing, and return what is made of that."""
    orders: Any = exchange._venue.orders
    market = tu.Market(
        symbol="BTC/USDT:USDT" if swap else "BTC/USDT",
        id="?",
        base="BTC",
        quote="USDT",
        type="swap" if swap else "spot",
    )
    order = NewOrder(market, "limit", "buy", Decimal(3), Decimal(500), orders.check_client_id(None), params)
    with pytest.raises(Unsettled) as caught:
        await orders.create_order(order)
    caught.value.args = (order,)
    return caught.value


@pytest.mark.parametrize(
    ("venue", "swap"),
    [(venue, False) for venue in ("binance", "bybit", "okx", "kraken", "coinbase", "kucoin", "gate", "bitget", "mexc",
                                  "htx")]
    + [(venue, True) for venue in ("binance", "binanceusdm", "bybit", "okx", "kucoin", "gate", "bitget", "htx")],
)  # fmt: skip
async def test_an_order_carries_our_id_and_is_asked_for_by_it(venue: str, swap: bool, listener: Listener) -> None:
    """An id that ccxt drops or replaces would make every repeated call a second order."""
    async with _open(venue, listener.url) as exchange:
        unsettled = await _place(exchange, swap)
        order: NewOrder = unsettled.args[0]
        assert [line for line in listener.heard if order.client_id in line]
        assert unsettled.provable
        asked = len(listener.heard)
        with contextlib.suppress(errors.VenueError):  # nothing is no list of orders to some
            assert await exchange._venue.orders.find_order(order.client_id, order.market) is None
        questions = client_ids_of(venue).questions
        told = [order.client_id in line for line in listener.heard[asked:]]
        assert told
        assert any(told) is any(question.parameter for question in questions)


@pytest.mark.parametrize(
    ("venue", "swap", "params"),
    [
        ("mexc", True, {}),  # ccxt's class asks for contracts by the venue's id alone
        ("binance", True, {"triggerPrice": "400"}),
        ("binance", False, {"marginMode": "cross"}),
        ("bybit", False, {"triggerPrice": "400"}),
        ("okx", False, {"triggerPrice": "400"}),
        ("kucoin", False, {"triggerPrice": "400"}),
        ("gate", False, {"triggerPrice": "400"}),
        ("htx", True, {"triggerPrice": "400", "triggerType": "ge"}),
    ],
)
async def test_an_order_that_stands_in_a_list_of_its_own_is_never_proven_absent(
    venue: str, swap: bool, params: dict[str, Any], listener: Listener
) -> None:
    """It is not found among the plain ones, and would be placed again."""
    async with _open(venue, listener.url) as exchange:
        assert not (await _place(exchange, swap, **params)).provable
