"""What a request costs: held against what venues document, with ccxt's own classes, costs and parameters."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

import ccxt.async_support
import pytest
from ccxt.base.types import Entry
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.budget import rules
from tradeutils.budget.base import Charge, Window
from tradeutils.budget.ledger import UNIT, units
from tradeutils.budget.limits import limits_of
from tradeutils.budget.local import LocalBudget
from tradeutils.errors import UnknownName, UsageError

LISTED = sorted(rules.venues())
DIGEST = "3f9a"


def exchange_of(name: str) -> Any:
    return getattr(ccxt.async_support, name)({"apiKey": "k", "secret": "c2VjcmV0", "password": "p", "uid": "u"})


def entries_of(exchange: Any) -> dict[tuple[str, str, str], Entry]:
    """Return every endpoint of a class of ccxt, as its implicit methods know it."""
    entries = (entry for base in type(exchange).__mro__ for entry in vars(base).values() if isinstance(entry, Entry))
    return {(".".join(entry.api), entry.method, entry.path): entry for entry in entries}


class Asked:
    """A venue's limits, asked with ccxt's own cost."""

    def __init__(self, name: str, **options: Any) -> None:
        self.exchange = exchange_of(name)
        self.entries = entries_of(self.exchange)
        self.limits = limits_of(name, ccxt_rate_limit_ms=self.exchange.rateLimit, **options)

    def charge(self, endpoint: str, params: Any = None, account: str | None = DIGEST) -> Charge:
        api, method, path = endpoint.split(" ")
        entry = self.entries[api, method, path]
        given = {} if params is None else params
        cost = self.exchange.calculate_rate_limiter_cost(entry.api, method, path, given, entry.config)
        return self.limits.charge(api=entry.api, method=method, path=path, cost=cost, params=given, account=account)


@pytest.fixture(scope="module")
def binance() -> Asked:
    return Asked("binance")


def spent(charge: Charge, name: str, seconds: float | None = None) -> float:
    """Return what a charge takes of a window; 0.0 where it does not touch it."""
    costs = [line.cost for line in charge.lines if line.window.name == name and seconds in (None, line.window.seconds)]
    assert len(costs) <= 1
    return costs[0] if costs else 0.0


SPOT = {"symbol": "BTCUSDT"}
LISTED_SYMBOLS = {"symbols": json.dumps([f"S{n}USDT" for n in range(21)])}
DOCUMENTED = [
    ("public GET ping", {}, 1),
    ("public GET time", {}, 1),
    ("public GET exchangeInfo", {}, 20),
    ("public GET depth", SPOT, 5),
    ("public GET depth", {**SPOT, "limit": 100}, 5),
    ("public GET depth", {**SPOT, "limit": 101}, 25),
    ("public GET depth", {**SPOT, "limit": 500}, 25),
    ("public GET depth", {**SPOT, "limit": 1000}, 50),
    ("public GET depth", {**SPOT, "limit": 5000}, 250),
    ("public GET depth", {**SPOT, "limit": 9999}, 250),
    ("public GET trades", SPOT, 25),
    ("public GET historicalTrades", SPOT, 25),
    ("public GET aggTrades", SPOT, 4),
    ("public GET klines", {**SPOT, "limit": 1000}, 2),
    ("public GET uiKlines", SPOT, 2),
    ("public GET avgPrice", SPOT, 2),
    ("public GET ticker/24hr", SPOT, 2),
    ("public GET ticker/24hr", {"symbols": '["A","B"]'}, 2),
    ("public GET ticker/24hr", LISTED_SYMBOLS, 40),
    ("public GET ticker/24hr", {"symbols": [f"S{n}" for n in range(101)]}, 80),
    ("public GET ticker/24hr", {}, 80),
    ("public GET ticker/tradingDay", SPOT, 4),
    ("public GET ticker/tradingDay", {"symbols": [f"S{n}" for n in range(60)]}, 200),
    ("public GET ticker/price", SPOT, 2),
    ("public GET ticker/price", {}, 4),
    ("public GET ticker/bookTicker", SPOT, 2),
    ("public GET ticker/bookTicker", {}, 4),
    ("private GET account", {}, 20),
    ("private GET openOrders", SPOT, 6),
    ("private GET openOrders", {}, 80),
    ("private GET order", SPOT, 4),
    ("private GET allOrders", SPOT, 20),
    ("private GET myTrades", SPOT, 20),
    ("private GET rateLimit/order", {}, 40),
    ("private POST order", SPOT, 1),
    ("private POST order/test", SPOT, 1),
    ("private POST order/test", {**SPOT, "computeCommissionRates": True}, 20),
    ("private DELETE order", SPOT, 1),
    ("private DELETE openOrders", SPOT, 1),
    ("fapiPublic GET ping", {}, 1),
    ("fapiPublic GET exchangeInfo", {}, 1),
    ("fapiPublic GET depth", SPOT, 10),
    ("fapiPublic GET depth", {**SPOT, "limit": 50}, 2),
    ("fapiPublic GET depth", {**SPOT, "limit": 100}, 5),
    ("fapiPublic GET depth", {**SPOT, "limit": 500}, 10),
    ("fapiPublic GET depth", {**SPOT, "limit": 1000}, 20),
    ("fapiPublic GET trades", SPOT, 5),
    ("fapiPublic GET klines", SPOT, 5),
    ("fapiPublic GET klines", {**SPOT, "limit": 99}, 1),
    ("fapiPublic GET klines", {**SPOT, "limit": 100}, 2),
    ("fapiPublic GET klines", {**SPOT, "limit": 499}, 2),
    ("fapiPublic GET klines", {**SPOT, "limit": 500}, 5),
    ("fapiPublic GET klines", {**SPOT, "limit": 1000}, 5),
    ("fapiPublic GET klines", {**SPOT, "limit": 1500}, 10),
    ("fapiPublic GET markPriceKlines", {**SPOT, "limit": 1500}, 10),
    ("fapiPublic GET premiumIndex", {}, 10),
    ("fapiPublic GET premiumIndex", SPOT, 1),
    ("fapiPublic GET ticker/24hr", SPOT, 1),
    ("fapiPublic GET ticker/24hr", {}, 40),
    ("fapiPublic GET ticker/price", {}, 2),
    ("fapiPublic GET ticker/bookTicker", SPOT, 2),
    ("fapiPublic GET ticker/bookTicker", {}, 5),
    ("fapiPublicV2 GET ticker/price", {}, 2),
    ("fapiPrivateV2 GET account", {}, 5),
    ("fapiPrivateV3 GET balance", {}, 5),
    ("fapiPrivateV3 GET positionRisk", {}, 5),
    ("fapiPrivate GET openOrders", {}, 40),
    ("fapiPrivate GET openOrders", SPOT, 1),
    ("fapiPrivate GET allOrders", SPOT, 5),
    ("fapiPrivate GET userTrades", SPOT, 5),
    ("fapiPrivate GET income", {}, 30),
    ("fapiPrivate DELETE order", SPOT, 1),
    ("fapiPrivate POST batchOrders", {}, 5),
    ("dapiPublic GET klines", SPOT, 5),
    ("dapiPublic GET depth", {**SPOT, "limit": 1000}, 20),
    ("dapiPrivate GET openOrders", {}, 40),
    ("dapiPrivate GET allOrders", SPOT, 20),
    ("dapiPrivate GET allOrders", {"pair": "BTCUSD"}, 40),
]


@pytest.mark.parametrize(("endpoint", "params", "weight"), DOCUMENTED)
def test_binance_weights_are_the_documented_ones(
    binance: Asked, endpoint: str, params: dict[str, Any], weight: float
) -> None:
    """ccxt's cost of a call becomes the weight that Binance's documentation gives for it."""
    assert spent(binance.charge(endpoint, params), "weight") == pytest.approx(weight)


@pytest.mark.parametrize(
    "params",
    [{"limit": "many"}, {"limit": float("nan")}, {"limit": [1]}, {"limit": math.inf}, {"limit": 10**400}],
    ids=["text", "nan", "list", "infinite", "huge"],
)
def test_limit_that_cannot_be_read_weighs_the_most(binance: Asked, params: dict[str, Any]) -> None:
    """What the venue will make of it is not known, so the dearest is charged."""
    charge = binance.limits.charge(api="public", method="GET", path="depth", cost=1.0, params=params)
    assert spent(charge, "weight") == 250


def test_exchange_info_is_charged_when_real_ccxt_loads_markets() -> None:
    """The calls of an unmodified class's ``fetch_markets`` weigh what they cost: 20 of 6000, 1 of 2400."""
    asked = dict(asked_by("binance", lambda exchange: exchange.fetch_markets()))
    weights = {endpoint: spent(charge, "weight") for endpoint, charge in asked.items()}
    assert weights["public GET exchangeInfo"] == 20
    assert weights["fapiPublic GET exchangeInfo"] == 1
    assert weights["dapiPublic GET exchangeInfo"] == 1
    assert all(charge.lines for charge in asked.values())


class _Stop(Exception):
    """A call has told what it is; no answer is needed."""


def asked_by(name: str, call: Any, answers: Mapping[str, Any] | None = None) -> list[tuple[str, Charge]]:
    """Return what an unmodified class asks ``fetch2`` for until it has no answer, and what that is charged."""
    asked = Asked(name)
    exchange = asked.exchange
    found: list[tuple[str, Charge]] = []

    async def fetch2(
        path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
    ) -> Any:
        cost = exchange.calculate_rate_limiter_cost(api, method, path, params, config)
        charge = asked.limits.charge(api=api, method=method, path=path, cost=cost, params=params, account=DIGEST)
        found.append((f"{'.'.join(api)} {method} {path}", charge))
        if answers and path in answers:
            return answers[path]
        raise _Stop

    async def run() -> None:
        exchange.fetch2, exchange.timeout_on_exit = fetch2, 0
        exchange.set_markets([exchange.safe_market_structure(MARKET)])
        try:
            await call(exchange)
        except _Stop:
            pass
        finally:
            await exchange.close()

    asyncio.run(run())
    return found


MARKET = {
    "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
    "type": "spot", "spot": True, "active": True, "precision": {"amount": 1e-8, "price": 0.01},
    "info": {"orderTypes": ["LIMIT", "MARKET"]},
}  # fmt: skip
FIRST_ASKED = {  # what some classes ask before they order anything
    "detail": {"user_id": 1, "key": {"mode": 1}},
    "v3/account/settings": {"code": "00000", "data": {"accountMode": "classic"}},
    "v5/user/query-api": {"retCode": 0, "result": {"uta": 1, "unified": 0}},
    "v5/account/info": {"retCode": 0, "result": {"unifiedMarginStatus": 6}},
    "account/mode": {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}},
    "v1/account/accounts": {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}]},
}


@pytest.mark.parametrize("name", LISTED)
def test_orders_of_real_ccxt_are_known_as_orders(name: str) -> None:
    """``create_order`` and ``cancel_order`` of every listed class reach endpoints that are known for what they do."""
    limits = Asked(name).limits
    placed, charge = asked_by(
        name, lambda exchange: exchange.create_order("BTC/USDT", "limit", "buy", 1, 100), FIRST_ASKED
    )[-1]
    api, method, path = placed.split(" ")
    assert limits.places_order(api, method, path), placed
    assert charge.urgent
    assert charge.trading
    cancelled, charge = asked_by(name, lambda exchange: exchange.cancel_order("1", "BTC/USDT"), FIRST_ASKED)[-1]
    api, method, path = cancelled.split(" ")
    assert not limits.places_order(api, method, path), cancelled
    assert limits.is_order_call(api, method, path)
    assert charge.urgent


@pytest.mark.parametrize("name", [name for venue in rules.venues().values() for name in venue.ids])
def test_every_endpoint_of_a_listed_class_has_a_pool_and_a_charge_that_fits(name: str) -> None:
    """No endpoint of ccxt is left to the fallback, and no cost is more than its whole window."""
    asked = Asked(name)
    assert len(asked.entries) > 50
    for (api, method, path), entry in asked.entries.items():
        for params in ({}, {"symbol": "BTCUSDT", "limit": 1000, "coin": "BTC"}):
            cost = asked.exchange.calculate_rate_limiter_cost(entry.api, method, path, params, entry.config)
            charge = asked.limits.charge(
                api=entry.api, method=method, path=path, cost=cost, params=params, account=DIGEST
            )
            assert charge.pool in asked.limits.pools, (api, method, path)
            assert charge.lines or (name == "kraken" and path.startswith("Cancel")), (api, method, path)
            for line in charge.lines:
                assert 0 < units(line.cost) <= int(line.window.limit * UNIT)
                assert line.owner.startswith(charge.pool)


@pytest.mark.parametrize("name", LISTED)
def test_calls_that_look_like_orders_are_orders_or_known_not_to_be(name: str) -> None:
    """A new order endpoint of ccxt does not slip by as plain data."""
    limits = Asked(name).limits
    strays = [
        f"{api} {method} {path}"
        for api, method, path in entries_of(exchange_of(name))
        if method != "GET"
        and any(word in path.lower() for word in ("place-order", "placeorder", "order/create", "order/place"))
        and not any(word in f"{api} {path}" for word in ("earn", "otc", "test", "p2p"))
        and not limits.is_order_call(api, method, path)
    ]
    assert strays == []


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("binance", "private POST order/test"),
        ("binance", "private GET order"),
        ("binance", "private GET openOrders"),
        ("kraken", "private POST OpenOrders"),
        ("kraken", "private POST QueryOrders"),
        ("htx", "contract.private POST api/v1/contract_hisorders"),
        ("mexc", "spot.private POST order/test"),
        ("coinbase", "v3.private POST brokerage/orders/preview"),
        ("okx", "private POST trade/order-precheck"),
    ],
)
def test_questions_about_orders_are_no_orders(name: str, endpoint: str) -> None:
    """What only asks, or only tests, neither goes first nor counts as an order."""
    asked = Asked(name)
    assert not asked.limits.is_order_call(*endpoint.split(" "))
    assert not asked.charge(endpoint).urgent


def test_orders_are_counted_per_account_and_the_rest_per_address(binance: Asked) -> None:
    """An order spends weight and a request of the address, and one of each count of the account."""
    charge = binance.charge("private POST order", SPOT)
    assert {(line.window.name, line.window.seconds, line.owner) for line in charge.lines} == {
        ("weight", 60, "binance.spot"),
        ("requests", 300, "binance.spot"),
        ("orders", 10, f"binance.spot:{DIGEST}"),
        ("orders", 86400, f"binance.spot:{DIGEST}"),
    }
    assert all(line.cost == pytest.approx(1) for line in charge.lines)


@pytest.mark.parametrize(
    ("name", "endpoint", "params", "orders"),
    [
        ("binance", "private POST orderList/otoco", {}, 3),
        ("binance", "private POST order/cancelReplace", {}, 1),
        ("binance", "fapiPrivate POST batchOrders", {"batchOrders": '[{"a":1},{"b":2}]'}, 2),
        ("binance", "fapiPrivate POST batchOrders", {"batchOrders": "[nonsense"}, 5),
        ("binance", "fapiPrivate POST batchOrders", {}, 5),
        ("binance", "fapiPrivate PUT order", {}, 1),
        ("binance", "private DELETE order", {}, 0),
        ("okx", "private POST trade/batch-orders", [{}, {}, {}], 3),
        ("okx", "private POST trade/batch-orders", {}, 20),
        ("okx", "private POST trade/batch-orders", [], 1),
        ("kraken", "private POST AddOrderBatch", {"orders": [{}] * 99}, 15),
    ],
)
def test_orders_of_a_batch_are_counted_each(name: str, endpoint: str, params: Any, orders: float) -> None:
    """A batch counts as many orders as it holds, and as many as it may hold where that cannot be read."""
    charge = Asked(name).charge(endpoint, params)
    assert {line.cost for line in charge.lines if line.window.name == "orders"} == ({orders} if orders else set())


def test_each_endpoint_of_okx_has_a_window_of_its_own() -> None:
    """Candles do not use up what tickers may, and an account's questions are the account's."""
    okx = Asked("okx")
    candles, tickers = okx.charge("public GET market/candles"), okx.charge("public GET market/tickers")
    assert [line.owner for line in candles.lines] == ["okx.api GET market/candles"]
    assert [line.owner for line in tickers.lines] == ["okx.api GET market/tickers"]
    (line,) = candles.lines
    assert line.window.limit / line.cost == 40  # documented: 40 in 2 s
    assert line.window.seconds == 2
    (line,) = okx.charge("private GET account/balance").lines
    assert line.owner == f"okx.api:{DIGEST} GET account/balance"
    assert line.window.limit / line.cost == 10


@pytest.mark.parametrize(
    ("name", "endpoint", "params", "calls", "seconds"),
    [
        ("okx", "private POST trade/order", {}, 60, 2),
        ("okx", "private POST trade/batch-orders", [{}], 60, 2),  # counts as a single order
        ("okx", "private POST trade/cancel-batch-orders", [{}], 60, 2),
        ("okx", "private POST trade/amend-batch-orders", [{}], 60, 2),
        ("okx", "private POST trade/batch-orders", [{}] * 2, 150, 2),
        ("okx", "private POST trade/batch-orders", [{}] * 20, 15, 2),
        ("okx", "private POST account/bills-history-archive", {}, 1, 7200),  # 12 a day
        ("bybit", "private POST v5/order/create", {"category": "spot"}, 20, 1),
        ("bybit", "private POST v5/order/create", {"category": "linear"}, 10, 1),
        ("bybit", "private POST v5/order/create", {}, 10, 1),
        ("bybit", "private POST v5/order/cancel-all", {"category": "option"}, 1, 1),
        ("bybit", "private GET v5/account/wallet-balance", {}, 50, 1),
        ("bitget", "private.spot POST v2/spot/trade/place-order", {}, 10, 1),
        ("gate", "public.spot GET tickers", {}, 200, 10),
        ("htx", "spot.private POST v1/order/orders/place", {}, 100, 2),
        ("mexc", "contract.public GET ticker", {}, 20, 2),
        ("mexc", "contract.public GET detail", {}, 1, 5),
    ],
)
def test_endpoint_may_be_called_as_often_as_documented(
    name: str, endpoint: str, params: Any, calls: float, seconds: float
) -> None:
    """ccxt's cost of an endpoint, in its window, is the documented number of calls in the documented time."""
    charge = Asked(name).charge(endpoint, params)
    line = next(line for line in charge.lines if line.window.name == "endpoint")
    assert line.window.limit / line.cost * seconds / line.window.seconds == pytest.approx(calls, rel=0.01)


def test_requests_of_a_batch_weigh_each() -> None:
    """Ten orders in one request of bybit use up the second that ten requests would."""
    line = next(
        line
        for line in Asked("bybit").charge("private POST v5/order/create-batch", {"request": [{}] * 4}).lines
        if line.window.name == "endpoint"
    )
    assert line.cost == 20
    assert line.window.limit == 50


def test_krakens_counter_never_passes_its_limit() -> None:
    """A window of limit / decay seconds keeps a counter that decays below its limit, whatever is asked when."""
    counter = Asked("kraken").charge("private POST Balance").lines[0]
    assert counter.cost == pytest.approx(1)
    assert Asked("kraken").charge("private POST TradesHistory").lines[0].cost == pytest.approx(2)
    for tier, (most, decay) in {"starter": (15, 0.33), "intermediate": (20, 0.5), "pro": (20, 1.0)}.items():
        window = Asked("kraken", tier=tier).charge("private POST Balance").lines[0].window
        # The worst that fits: the whole window at once, and again as soon as it has passed.
        assert window.limit <= most
        assert window.limit - decay * window.seconds + window.limit <= most


def test_public_calls_of_kraken_are_a_second_apart() -> None:
    """Candles wait a little longer, as ccxt found out."""
    kraken = Asked("kraken")
    assert {(line.window.limit, line.window.seconds) for line in kraken.charge("public GET OHLC").lines} == {
        (1, 1), (1, 1.2),
    }  # fmt: skip
    assert [line.window.seconds for line in kraken.charge("public GET Ticker").lines] == [1]


def test_cancels_of_kraken_pass_the_gate_alone() -> None:
    """They count for no window that could hold them back, and still wait out a ban."""
    charge = Asked("kraken").charge("private POST CancelOrder")
    assert charge.lines == ()
    assert charge.pool == "kraken.spot"
    assert charge.urgent


def test_wallet_endpoints_have_windows_of_their_own(binance: Asked) -> None:
    """``sapi`` weighs by address or by account, each endpoint apart, and passes the gate of the same host."""
    charge = binance.charge("sapi GET capital/config/getall")
    (line,) = charge.lines
    assert charge.pool == "binance.spot"
    assert (line.window.name, line.window.scope, line.cost) == ("sapi_ip", "ip", pytest.approx(10))
    (line,) = binance.charge("sapi GET fiat/orders").lines
    assert (line.window.name, line.window.scope) == ("sapi_uid", "account")
    assert line.cost == pytest.approx(90_000, rel=1e-3)


def test_classes_of_one_venue_share_its_pools() -> None:
    """``binanceusdm`` spends what ``binance`` does on futures."""
    usdm, both = Asked("binanceusdm"), Asked("binance")
    assert usdm.charge("fapiPublic GET klines") == both.charge("fapiPublic GET klines")
    assert usdm.limits.venue == "binance"


def test_another_host_has_pools_of_its_own() -> None:
    """What a simulated venue or a sandbox is asked does not count at the venue."""
    charge = Asked("binance", host="127.0.0.1:8080").charge("private POST order", SPOT)
    assert charge.pool == "binance.spot@127.0.0.1:8080"
    assert {line.owner for line in charge.lines} == {charge.pool, f"{charge.pool}:{DIGEST}"}


def test_private_endpoint_without_an_account_is_somebodys() -> None:
    """Nobody's calls are counted together; the charge does not trade."""
    charge = Asked("okx").charge("private GET account/balance", account=None)
    assert [line.owner for line in charge.lines] == ["okx.api:nobody GET account/balance"]
    assert not charge.trading


def test_placeholders_of_a_path_are_no_braces_in_an_owner() -> None:
    """Braces mean something in the keys of a cluster."""
    charge = Asked("gate").charge("public.futures GET {settle}/candlesticks")
    assert [line.owner for line in charge.lines] == ["gate.api GET <settle>/candlesticks"]


class TestUnlistedVenue:
    def test_it_may_do_what_ccxt_would(self) -> None:
        """Nothing is known of it: a second, ten and a minute hold what ccxt's bucket lets through in that time."""
        charge = Asked("bitstamp").charge("public GET ticker/")
        cost = charge.lines[0].cost
        rate = exchange_of("bitstamp").rateLimit / 1000
        for line, seconds in zip(charge.lines, (1, 10, 60), strict=True):
            assert line.window.seconds <= seconds
            assert line.window.limit / line.window.seconds == pytest.approx(1 / rate)
            assert (line.cost, line.owner) == (cost, "bitstamp.api")

    @given(st.floats(0.1, 100_000), st.floats(0, 10_000))
    def test_no_cost_is_more_than_its_window(self, rate_limit_ms: float, cost: float) -> None:
        """A call that is dearer than a minute's worth takes the minute."""
        charge = limits_of("acme", ccxt_rate_limit_ms=rate_limit_ms).charge(
            api="public", method="GET", path="x", cost=cost
        )
        for line in charge.lines:
            assert line.cost > 0
            assert units(line.cost) <= int(line.window.limit * UNIT)
        assert bool(charge.lines) == (cost > 0)

    def test_slow_venue_gets_one_token_at_a_time(self) -> None:
        """Where a token takes three seconds, so does the shortest window."""
        charge = limits_of("acme", ccxt_rate_limit_ms=3000).charge(api="public", method="GET", path="x", cost=1)
        assert [(line.window.limit, line.window.seconds) for line in charge.lines] == [(1, 3), (3, 9), (20, 60)]

    def test_what_looks_like_an_order_is_one(self) -> None:
        """Nobody listed its endpoints, so their names decide; a read is never an order."""
        limits = limits_of("acme", ccxt_rate_limit_ms=100)
        assert limits.places_order("private", "POST", "Order/New")
        assert limits.is_order_call("private", "DELETE", "orders/{id}")
        assert not limits.places_order("private", "DELETE", "orders/{id}")
        assert limits.is_order_call("private", "POST", "cancelOrder")
        assert not limits.places_order("private", "POST", "cancelOrder")
        assert not limits.is_order_call("private", "GET", "orders")
        assert not limits.is_order_call("private", "POST", "balances")
        assert not limits.known

    def test_new_api_of_a_listed_venue_is_held_to_ccxts_figure(self) -> None:
        """ccxt may learn an API that the table does not have."""
        charge = limits_of("binance", ccxt_rate_limit_ms=50).charge(api="newApi", method="GET", path="x", cost=1)
        assert charge.pool == "binance.other"
        assert [line.window.limit for line in charge.lines] == [20, 200, 1200]


class TestOwnFigures:
    def test_pause_between_requests_replaces_the_windows_of_the_address(self) -> None:
        """``rate_limit_ms = 500`` means a request every half second; orders of the account are still counted."""
        charge = Asked("binance", rate_limit_ms=500).charge("private POST order", SPOT)
        assert {(line.window.name, line.window.limit, line.window.seconds) for line in charge.lines} == {
            ("pace", 1, 0.5), ("orders", 100, 10), ("orders", 200_000, 86_400),
        }  # fmt: skip
        (line,) = Asked("bitstamp", rate_limit_ms=500).charge("public GET ticker/").lines
        assert (line.window.limit, line.window.seconds, line.cost) == (1, 0.5, 1)

    def test_own_window_replaces_those_of_its_name_and_scope(self) -> None:
        """It counts what the venue's counted, in every pool that has one."""
        own = Asked("binance", windows=[Window("weight", 1200, 60), Window("orders", 5, 1, "account")])
        charge = own.charge("private POST order", SPOT)
        assert {(line.window.name, line.window.limit, line.window.seconds) for line in charge.lines} == {
            ("weight", 1200, 60), ("requests", 61_000, 300), ("orders", 5, 1),
        }  # fmt: skip
        assert spent(own.charge("public GET exchangeInfo"), "weight") == 20
        assert own.charge("fapiPublic GET klines", {"limit": 99}).lines[0].window == Window("weight", 1200, 60)

    def test_requests_and_orders_can_be_limited_where_the_venue_has_no_such_window(self) -> None:
        """They can be counted anywhere."""
        own = Asked("okx", windows=[Window("requests", 10, 1), Window("orders", 3, 1)])
        charge = own.charge("private POST trade/order")
        assert spent(charge, "requests") == 1
        assert {(line.owner, line.cost) for line in charge.lines if line.window.name == "orders"} == {
            ("okx.api", 1), (f"okx.api:{DIGEST}", 1),
        }  # fmt: skip
        assert spent(own.charge("public GET market/tickers"), "orders") == 0

    def test_own_window_stands_beside_a_pause(self) -> None:
        """Both are the user's wish, so both hold."""
        own = Asked("binance", rate_limit_ms=100, windows=[Window("weight", 50, 60)])
        assert {line.window.name for line in own.charge("public GET klines").lines} == {"pace", "weight"}

    def test_cost_beyond_an_own_window_takes_all_of_it(self) -> None:
        """A window smaller than a call would otherwise forbid it."""
        own = Asked("binance", windows=[Window("weight", 12.3456789, 60)])
        line = own.charge("public GET exchangeInfo").lines[0]
        assert units(line.cost) <= int(line.window.limit * UNIT)
        assert line.cost == pytest.approx(12.345678, abs=1e-5)

    def test_window_that_the_venue_does_not_have_is_named(self) -> None:
        """A wish that would be ignored is an error."""
        with pytest.raises(UnknownName, match="did you mean weight"):
            limits_of("binance", ccxt_rate_limit_ms=50, windows=[Window("weigth", 1, 1)])
        with pytest.raises(UnknownName):
            limits_of("okx", ccxt_rate_limit_ms=110, windows=[Window("weight", 1, 1)])
        with pytest.raises(UsageError, match="given twice"):
            limits_of("okx", ccxt_rate_limit_ms=110, windows=[Window("requests", 1, 1), Window("requests", 2, 1)])

    def test_tier_widens_what_depends_on_it(self) -> None:
        """A window that the tier says nothing of stays as it is."""
        for tier, limits in {"vip0": (4000, 2000), "vip1": (6000, 2000), "vip5": (16_000, 7000)}.items():
            kucoin = Asked("kucoin", tier=tier)
            assert kucoin.charge("private POST hf/orders").lines[0].window.limit == limits[0]
            assert kucoin.charge("futuresPrivate POST orders").lines[0].window.limit == limits[1]

    @pytest.mark.parametrize(("venue", "tier"), [("kraken", "gold"), ("binance", "vip1"), ("acme", "pro")])
    def test_tier_that_does_not_exist_is_an_error(self, venue: str, tier: str) -> None:
        """It would be ignored in silence."""
        with pytest.raises(UnknownName, match="tier was"):
            limits_of(venue, ccxt_rate_limit_ms=50, tier=tier)


@pytest.mark.parametrize("cost", [-1, math.nan, math.inf, "1", None, True], ids=repr)
def test_cost_that_cannot_be_is_refused(binance: Asked, cost: Any) -> None:
    """A cost that is no number from 0 on comes from no class of ccxt."""
    with pytest.raises(UsageError, match="cost of binance GET klines was"):
        binance.limits.charge(api="public", method="GET", path="klines", cost=cost)


@pytest.mark.parametrize("number", [0, -5, math.nan, math.inf, True, "50"], ids=repr)
def test_rate_that_cannot_be_is_refused(number: Any) -> None:
    """Neither ccxt's figure nor the user's may be nothing."""
    with pytest.raises(UsageError, match="above 0"):
        limits_of("acme", ccxt_rate_limit_ms=number)
    with pytest.raises(UsageError, match="above 0"):
        limits_of("binance", ccxt_rate_limit_ms=50, rate_limit_ms=number)


def test_endpoints_without_end_are_not_all_remembered(binance: Asked) -> None:
    """Paths that somebody makes up do not fill the memory, and cost the same each time."""
    charges = {binance.limits.charge(api=["public"], method="get", path=f"x{n}", cost=1).lines for n in range(5000)}
    assert len(charges) == 1
    assert len(binance.limits._routes) <= 4096


def test_limits_say_what_they_are(binance: Asked) -> None:
    """The pools and their windows can be listed, and the repr names them."""
    assert "binance.usdm" in repr(binance.limits)
    assert Window("weight", 6000, 60) in binance.limits.pools["binance.spot"]
    assert binance.limits.known


@pytest.mark.parametrize("name", [*LISTED, "bitstamp"])
async def test_charges_are_ones_that_a_budget_grants(name: str) -> None:
    """The first call of any endpoint goes through an empty budget at once."""
    asked = Asked(name)
    for api, method, path in list(asked.entries)[::25]:
        budget = LocalBudget()
        grant = await budget.acquire(asked.charge(f"{api} {method} {path}"), timeout=0)
        grant.settle()
        await budget.aclose()
