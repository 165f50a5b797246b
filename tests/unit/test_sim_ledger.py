"""Accounts of the simulated venue: no money is made or lost but by trading and its fees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.errors import UsageError
from tradeutils.model import Candles
from tradeutils.sim import DEFAULT_ACCOUNT, ReplayMarket, SimulatedAccount
from tradeutils.sim import accounts as accounts_module
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.orders import OrderRefused, OrderRequest

_START = 1_700_000_040_000
_KEY = "k"


def _market(prices: list[float]) -> ReplayMarket:
    """Return a market whose minutes open at each price and close at the next."""
    opens, closes = np.array(prices[:-1]), np.array(prices[1:])
    return ReplayMarket(
        {
            "AAA/USDT": Candles(
                timeframe="1m",
                time=_START + 60_000 * np.arange(len(opens)),
                open=opens,
                high=np.maximum(opens, closes),
                low=np.minimum(opens, closes),
                close=closes,
                volume=np.full(len(opens), 1_000.125),
            )
        }
    )


def _account(**balances: str) -> SimulatedAccount:
    return SimulatedAccount(name="alice", key=_KEY, secret="s", balances=balances)


def _request(**fields: Any) -> OrderRequest:
    known = {"market": "AAAUSDT", "side": "buy", "type": "limit", "amount": Decimal(1), "price": Decimal("99.5")}
    return OrderRequest(**{**known, **fields})


def _holding(ledger: Ledger, asset: str, now: int) -> tuple[Decimal, Decimal]:
    held = ledger.holdings(_KEY, now)[0][asset]
    return held.free, held.locked


def test_resting_order_fills_at_its_price_when_a_trade_reaches_it() -> None:
    """The price falls through the limit in the third minute: filled then, as maker, at the limit."""
    ledger = Ledger(_market([100.0, 100.5, 100.0, 99.0, 99.0]), [_account(USDT="1000")])
    order = ledger.place(_KEY, _request(), _START)
    assert (order.status, _holding(ledger, "USDT", _START)) == ("new", (Decimal("900.5"), Decimal("99.5")))
    assert ledger.orders(_KEY, _START + 120_000, only_open=True) == [order]
    ledger.holdings(_KEY, _START + 200_000)
    assert (order.status, order.fills[0].price, order.fills[0].maker) == ("filled", Decimal("99.5"), True)
    assert _START + 120_000 < order.updated < _START + 180_000
    assert _holding(ledger, "USDT", _START + 200_000) == (Decimal("900.5"), Decimal(0))
    assert _holding(ledger, "AAA", _START + 200_000) == (Decimal("0.999"), Decimal(0))


def test_orders_fill_in_the_order_of_time() -> None:
    """Of two resting orders the one whose price came first is filled first, though it was placed last."""
    ledger = Ledger(_market([100.0, 99.0, 98.0, 97.0]), [_account(USDT="1000")])
    ledger.place(_KEY, _request(price=Decimal("97.5")), _START)
    ledger.place(_KEY, _request(price=Decimal("98.5")), _START)
    fills = ledger.fills(_KEY, _START + 180_000, market="AAAUSDT")
    assert [fill.price for fill in fills] == [Decimal("98.5"), Decimal("97.5")]
    assert fills[0].time < fills[1].time


def test_marketable_limit_takes_the_book_and_keeps_what_it_saved() -> None:
    """A limit far above the asks pays the asks, and the difference is not locked."""
    ledger = Ledger(_market([100.0, 100.0]), [_account(USDT="1000")])
    order = ledger.place(_KEY, _request(price=Decimal(200)), _START)
    free, locked = _holding(ledger, "USDT", _START)
    assert order.status == "filled"
    assert order.cost < 102
    assert (free + order.cost, locked) == (Decimal(1000), Decimal(0))


@pytest.mark.parametrize(("force", "status"), [("IOC", "expired"), ("FOK", "expired")])
def test_orders_that_may_not_rest_expire(force: Any, status: str) -> None:
    """Below the asks nothing is taken, and nothing stays locked."""
    ledger = Ledger(_market([100.0, 100.0]), [_account(USDT="1000")])
    order = ledger.place(_KEY, _request(time_in_force=force), _START)
    assert (order.status, order.filled) == (status, 0)
    assert _holding(ledger, "USDT", _START) == (Decimal(1000), Decimal(0))


def test_fill_or_kill_takes_all_or_nothing() -> None:
    """More than the book holds within the limit is killed; as immediate-or-cancel it takes what is there."""
    bids_and_asks = _market([100.0, 100.0]).book("AAAUSDT", _START, 1)
    top = Decimal(str(bids_and_asks[1][0, 0]))
    killed = Ledger(_market([100.0, 100.0]), [_account(USDT="9000000")])
    order = killed.place(_KEY, _request(amount=Decimal(50_000), price=top, time_in_force="FOK"), _START)
    assert (order.status, order.filled) == ("expired", 0)
    order = killed.place(_KEY, _request(amount=Decimal(50_000), price=top, time_in_force="IOC"), _START)
    assert order.status == "expired"
    assert order.filled == Decimal(str(bids_and_asks[1][0, 1]))
    assert _holding(killed, "USDT", _START)[1] == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": Decimal("99.555")}, "PRICE_FILTER"),
        ({"price": Decimal(0)}, "PRICE_FILTER"),
        ({"price": Decimal("99999999999999999999.00000001")}, "PRICE_FILTER"),
        ({"amount": Decimal("0.0001")}, "LOT_SIZE"),
        ({"amount": Decimal(0)}, "LOT_SIZE"),
        ({"amount": Decimal(99999999999999999999)}, "LOT_SIZE"),
        ({"price": Decimal(1)}, "PERCENT_PRICE_BY_SIDE"),
        ({"price": Decimal(9_999)}, "PERCENT_PRICE_BY_SIDE"),
        ({"amount": Decimal("0.001")}, "NOTIONAL"),
        ({"type": "market", "amount": None, "cost": Decimal(1), "price": None}, "NOTIONAL"),
        ({"amount": Decimal(500)}, "balance"),
        ({"side": "sell"}, "balance"),
        ({"type": "limit maker", "price": Decimal(120)}, "would take"),
        ({"type": "market", "amount": Decimal(1_000), "price": None}, "balance"),
    ],
)
def test_orders_that_break_a_rule_change_nothing(fields: dict[str, Any], reason: str) -> None:
    """Each is refused by the name of its rule, and the account is as it was."""
    ledger = Ledger(_market([100.0, 100.0]), [_account(USDT="1000")])
    with pytest.raises(OrderRefused) as refused:
        ledger.place(_KEY, _request(**fields), _START)
    assert refused.value.reason == reason
    assert ledger.orders(_KEY, _START) == []
    assert _holding(ledger, "USDT", _START) == (Decimal(1000), Decimal(0))


def test_client_id_is_free_again_when_its_order_is_over() -> None:
    """Two open orders cannot share one; after a cancel the newest order has it."""
    ledger = Ledger(_market([100.0, 100.0]), [_account(USDT="1000")])
    first = ledger.place(_KEY, _request(client_id="a"), _START)
    with pytest.raises(OrderRefused, match="duplicate"):
        ledger.place(_KEY, _request(client_id="a"), _START)
    assert ledger.cancel(_KEY, first, _START)
    assert not ledger.cancel(_KEY, first, _START)
    second = ledger.place(_KEY, _request(client_id="a"), _START)
    assert ledger.find(_KEY, _START, "AAAUSDT", client_id="a") is second
    assert ledger.find(_KEY, _START, "AAAUSDT", number=first.id) is first
    assert ledger.find(_KEY, _START, "OTHER", number=first.id) is None


def test_more_open_orders_than_the_venue_takes_are_refused() -> None:
    """The 201st in one market is one too many."""
    ledger = Ledger(_market([100.0, 100.0]), [_account(USDT="100000")])
    for _ in range(200):
        ledger.place(_KEY, _request(), _START)
    with pytest.raises(OrderRefused, match="MAX_NUM_ORDERS"):
        ledger.place(_KEY, _request(), _START)


def test_oldest_orders_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account keeps its open orders and the newest others; a forgotten client id finds nothing."""
    monkeypatch.setattr(accounts_module, "_MAX_KEPT", 3)
    ledger = Ledger(_market([100.0, 100.0]), [_account(USDT="1000")])
    resting = ledger.place(_KEY, _request(client_id="rests"), _START)
    for number in range(6):
        ledger.cancel(_KEY, ledger.place(_KEY, _request(client_id=f"c{number}"), _START), _START)
    assert [order.client_id for order in ledger.orders(_KEY, _START)] == ["rests", "c4", "c5"]
    assert ledger.find(_KEY, _START, "AAAUSDT", client_id="c1") is None
    assert ledger.find(_KEY, _START, "AAAUSDT", client_id="rests") is resting


def test_market_without_prices_fills_nothing() -> None:
    """A market order finds no book; a limit order rests, whatever its price."""
    market = _market([100.0, 100.0])
    ledger = Ledger(market, [_account(USDT="1000")])
    before = _START - 60_000
    with pytest.raises(OrderRefused, match="empty book"):
        ledger.place(_KEY, _request(type="market", price=None), before)
    assert ledger.place(_KEY, _request(price=Decimal(999)), before).open


def test_clock_moved_back_undoes_nothing() -> None:
    """An order that was filled stays filled at an earlier moment."""
    ledger = Ledger(_market([100.0, 99.0, 98.0]), [_account(USDT="1000")])
    order = ledger.place(_KEY, _request(), _START)
    ledger.holdings(_KEY, _START + 120_000)
    ledger.holdings(_KEY, _START)
    assert order.status == "filled"


_ORDERS = st.lists(
    st.fixed_dictionaries(
        {
            "side": st.sampled_from(["buy", "sell"]),
            "type": st.sampled_from(["limit", "market", "limit maker"]),
            "amount": st.integers(1, 30_000).map(lambda steps: Decimal(steps).scaleb(-3)),
            "price": st.integers(9_000, 11_000).map(lambda steps: Decimal(steps).scaleb(-2)),
            "time_in_force": st.sampled_from(["GTC", "IOC", "FOK"]),
            "cancel": st.booleans(),
            "wait": st.integers(0, 90_000),
        }
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(orders=_ORDERS, walk=st.lists(st.integers(-9, 9), min_size=3, max_size=30))
def test_no_money_appears_or_vanishes(orders: list[dict[str, Any]], walk: list[int]) -> None:
    """Whatever is traded: nothing is negative, what is locked is what open orders need, and all adds up with fees."""
    prices = [round(100 + 0.1 * step, 1) for step in np.cumsum(walk)]
    account = _account(USDT="2000", AAA="20")
    ledger, now = Ledger(_market([100.0, *prices]), [account]), _START
    for fields in orders:
        order = dict(fields)
        cancel, wait = order.pop("cancel"), order.pop("wait")
        if order["type"] == "market":
            order |= {"price": None, "time_in_force": "GTC"}
        try:
            placed = ledger.place(_KEY, _request(**order), now)
        except OrderRefused:
            continue
        now += wait
        if cancel:
            ledger.cancel(_KEY, placed, now)
    held, _ = ledger.holdings(_KEY, now)
    fills = ledger.fills(_KEY, now, market="AAAUSDT")
    assert all(one.free >= 0 and one.locked >= 0 for one in held.values())
    for asset, side in (("USDT", "buy"), ("AAA", "sell")):
        lying = [one for one in ledger.orders(_KEY, now, only_open=True) if one.request.side == side]
        assert held[asset].locked == sum(one.locked for one in lying)
    bought = [fill for fill in fills if fill.side == "buy"]
    sold = [fill for fill in fills if fill.side == "sell"]
    assert held["AAA"].free + held["AAA"].locked == (
        Decimal(20) + sum(fill.amount - fill.fee for fill in bought) - sum(fill.amount for fill in sold)
    )
    assert held["USDT"].free + held["USDT"].locked == (
        Decimal(2000) - sum(fill.cost for fill in bought) + sum(fill.cost - fill.fee for fill in sold)
    )


def test_default_account_holds_what_a_demo_needs() -> None:
    """Coins with markets, one lent out, one that nobody trades; its secret does not print."""
    assert {"BTC", "ETH", "USDT", "BNB", "LDUSDT", "XDROP"} == set(DEFAULT_ACCOUNT.balances)
    assert DEFAULT_ACCOUNT.secret not in repr(DEFAULT_ACCOUNT)
    assert len(DEFAULT_ACCOUNT.key) == len(DEFAULT_ACCOUNT.secret) == 64


def test_anything_like_an_account_will_do() -> None:
    """A name, a key, a secret and balances are enough."""

    class Like:
        name, key, secret, balances = "bob", "bk", "bs", {"USDT": 5}

    ledger = Ledger(_market([100.0, 100.0]), [Like()])  # type: ignore[list-item]
    known = ledger.account("bk")
    assert known is not None
    assert (known.name, ledger.account("nobody")) == ("bob", None)


@pytest.mark.parametrize(
    "accounts",
    [
        [_account(), _account()],
        [SimulatedAccount(name="x", key="", secret="s")],
        [SimulatedAccount(name="x", key="k", secret="")],
        [_account(USDT="much")],
        [_account(USDT="-1")],
        [_account(USDT="NaN")],
        [_account(USDT="1e30")],
        [object()],
    ],
)
def test_accounts_that_cannot_be_are_refused(accounts: list[Any]) -> None:
    """A key twice, no key, no secret, and balances that are no amounts."""
    with pytest.raises(UsageError):
        Ledger(_market([100.0, 100.0]), accounts)


def test_balances_may_be_numbers_of_any_kind() -> None:
    """Decimal, int, text and float are read by their decimal digits."""
    account = SimulatedAccount(
        name="x",
        key=_KEY,
        secret="s",
        balances={"A": Decimal("0.1"), "B": 2, "C": "0.3", "D": 0.1},  # type: ignore[dict-item]
    )
    held, _ = Ledger(_market([100.0, 100.0]), [account]).holdings(_KEY, _START)
    assert [held[name].free for name in "ABCD"] == [Decimal("0.1"), Decimal(2), Decimal("0.3"), Decimal("0.1")]
