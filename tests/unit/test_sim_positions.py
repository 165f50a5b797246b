"""Positions and triggers of the simulated venue: no money is made or lost but by trading, fees and funding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.model import Candles
from tradeutils.sim import ReplayMarket, SimulatedAccount
from tradeutils.sim.accounts import Position
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.orders import OrderRefused, OrderRequest
from tradeutils.sim.swaps import FUNDING_MS

_START = FUNDING_MS * 60_000 + 60_000
_KEY, _SWAP, _SPOT = "k", "AAAUSDT-PERP", "AAAUSDT"
_MINUTE = 60_000


def _candles(prices: list[float]) -> Candles:
    opens, closes = np.array(prices[:-1]), np.array(prices[1:])
    return Candles(
        timeframe="1m",
        time=_START + _MINUTE * np.arange(len(opens)),
        open=opens,
        high=np.maximum(opens, closes),
        low=np.minimum(opens, closes),
        close=closes,
        volume=np.full(len(opens), 1_000.125),
    )


def _ledger(prices: list[float], **balances: str) -> Ledger:
    """Return an account on a swap and a spot market whose minutes open at each price and close at the next."""
    market = ReplayMarket({"AAA/USDT": _candles(prices), "AAA/USDT:USDT": _candles(prices)})
    held = balances or {"USDT": "1000"}
    return Ledger(market, [SimulatedAccount(name="alice", key=_KEY, secret="s", balances=held)])


def _order(market: str = _SWAP, **fields: Any) -> OrderRequest:
    return OrderRequest(**{"market": market, "side": "buy", "type": "market", "amount": Decimal(1), **fields})


def _wallet(ledger: Ledger, now: int) -> Decimal:
    return ledger.margin(_KEY, now).wallet


_TRADES = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 10**7).map(lambda n: Decimal(n).scaleb(-4)),
        st.integers(1, 10**7).map(lambda n: Decimal(n).scaleb(-3)),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200)
@given(trades=_TRADES)
def test_gains_from_flat_to_flat_are_exactly_what_was_received_less_what_was_paid(
    trades: list[tuple[str, Decimal, Decimal]],
) -> None:
    """However a position is built, turned and closed; and at any time gains and cost add up to the money that moved."""
    position, cash = Position(_SWAP), Decimal(0)
    for side, size, price in trades:
        cost = size * price
        position.trade(side, size, cost, 0)
        cash += -cost if side == "buy" else cost
        assert position.realised - position.cost == cash
        assert (position.cost > 0) == (position.amount > 0)
        assert (position.cost == 0) == (position.amount == 0)
    if position.amount:
        side, size = ("sell", position.amount) if position.amount > 0 else ("buy", -position.amount)
        position.trade(side, size, size * 7, 0)
        cash += 7 * size if side == "sell" else -7 * size
    assert (position.amount, position.cost, position.entry) == (0, 0, 0)
    assert position.realised == cash


def test_entry_is_the_mean_price_and_stays_while_the_position_shrinks() -> None:
    """Two at 100 and two at 110 are four at 105; one sold at 115 gains 10."""
    position = Position(_SWAP)
    position.trade("buy", Decimal(2), Decimal(200), 1)
    position.trade("buy", Decimal(2), Decimal(220), 2)
    assert position.entry == 105
    assert position.trade("sell", Decimal(1), Decimal(115), 3) == 10
    assert (position.entry, position.amount, position.updated) == (105, 3, 3)
    assert position.trade("sell", Decimal(5), Decimal(500), 4) == -15
    assert (position.amount, position.entry) == (-2, 100)


def test_gains_and_fees_go_to_the_balance() -> None:
    """A short of 2 from 100 to 90: 20 won, less the fees of both trades; margin is a twentieth meanwhile."""
    ledger = _ledger([100.0, 100.0, 95.0, 90.0, 90.0])
    opened = ledger.place(_KEY, _order(side="sell", amount=Decimal(2)), _START)
    margin = ledger.margin(_KEY, _START)
    assert margin.wallet == 1_000 - opened.fills[0].fee
    assert margin.positions == Decimal(2) * 100 / 20
    assert margin.unrealised == opened.cost - 200
    assert margin.available == margin.wallet + margin.unrealised - margin.positions
    now = _START + 4 * _MINUTE
    ((position,),) = (ledger.positions(_KEY, now),)
    assert ledger.unrealised(position, now) == opened.cost - 2 * 90
    closed = ledger.place(_KEY, _order(amount=Decimal(2)), now)
    assert ledger.positions(_KEY, now) == []
    fees = sum(fill.fee for order in (opened, closed) for fill in order.fills)
    assert sum(fill.realised for fill in ledger.fills(_KEY, now)) == opened.cost - closed.cost
    assert _wallet(ledger, now) == 1_000 + opened.cost - closed.cost - fees
    assert fees == sum((fill.cost * Decimal("0.0005")).quantize(Decimal("1e-8")) for fill in ledger.fills(_KEY, now))
    assert set(ledger.holdings(_KEY, now)[0]) == {"USDT"}


def test_resting_orders_pay_the_makers_fee_and_hold_margin() -> None:
    """A limit below the market reserves its margin, and is filled when the price falls to it."""
    ledger = _ledger([100.0, 100.0, 98.0, 98.0])
    order = ledger.place(_KEY, _order(type="limit", price=Decimal(99)), _START)
    assert (order.status, ledger.margin(_KEY, _START).orders) == ("new", Decimal("4.95"))
    now = _START + 2 * _MINUTE
    assert [(fill.price, fill.maker, fill.fee) for fill in ledger.fills(_KEY, now)] == [(99, True, Decimal("0.0198"))]
    assert ledger.margin(_KEY, now).orders == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount": Decimal(500)}, "margin"),
        ({"type": "limit", "price": Decimal(99), "amount": Decimal(500)}, "margin"),
        ({"reduce_only": True}, "reduce only"),
        ({"amount": Decimal("0.001"), "type": "limit", "price": Decimal(99)}, "NOTIONAL"),
        ({"amount": Decimal("0.00001")}, "LOT_SIZE"),
        ({"type": "limit", "price": Decimal("99.00001")}, "PRICE_FILTER"),
        ({"trigger": Decimal("99.00001"), "rises": False}, "PRICE_FILTER"),
        ({"trigger": Decimal(0), "rises": False}, "PRICE_FILTER"),
        ({"type": "limit", "price": Decimal(1)}, "PERCENT_PRICE_BY_SIDE"),
        ({"type": "limit maker", "price": Decimal(110)}, "would take"),
        ({"trigger": Decimal(99), "rises": True}, "would trigger"),
        ({"trigger": Decimal(101), "rises": False}, "would trigger"),
    ],
)
def test_orders_that_are_refused_change_nothing(fields: dict[str, Any], reason: str) -> None:
    """Each with its reason; no order, no margin, no fee."""
    ledger = _ledger([100.0, 100.0])
    with pytest.raises(OrderRefused, match=f"^{reason}$"):
        ledger.place(_KEY, _order(**fields), _START)
    assert (ledger.orders(_KEY, _START), ledger.positions(_KEY, _START), _wallet(ledger, _START)) == ([], [], 1_000)


def test_what_reduces_needs_no_margin() -> None:
    """All the margin is held, and the position can be closed; as much the other way round is too much."""
    ledger = _ledger([100.0, 100.0])
    ledger.place(_KEY, _order(amount=Decimal(190)), _START)
    with pytest.raises(OrderRefused, match="margin"):
        ledger.place(_KEY, _order(amount=Decimal(20)), _START)
    with pytest.raises(OrderRefused, match="margin"):
        ledger.place(_KEY, _order(side="sell", amount=Decimal(400)), _START)
    assert ledger.place(_KEY, _order(side="sell", amount=Decimal(190)), _START).status == "filled"


def test_margin_of_positions_cannot_be_spent_on_spot() -> None:
    """What holds up a position is not free for spot, though no order has locked it."""
    ledger = _ledger([100.0, 100.0])
    ledger.place(_KEY, _order(amount=Decimal(150)), _START)
    with pytest.raises(OrderRefused, match="balance"):
        ledger.place(_KEY, _order(_SPOT, amount=Decimal(9)), _START)
    assert ledger.place(_KEY, _order(_SPOT, amount=Decimal(1)), _START).status == "filled"


def test_fill_or_kill_beyond_the_book_takes_nothing() -> None:
    """A market order for more than all that is asked: killed, and no margin held."""
    ledger = _ledger([100.0, 100.0], USDT="900000000000")
    order = ledger.place(_KEY, _order(amount=Decimal(10**9), time_in_force="FOK"), _START)
    assert (order.status, order.filled, ledger.positions(_KEY, _START)) == ("expired", 0, [])


def test_higher_leverage_holds_less() -> None:
    """Leverage is the account's own, per swap."""
    ledger = _ledger([100.0, 100.0])
    assert ledger.leverage(_KEY, _SWAP) == 20
    ledger.set_leverage(_KEY, _SWAP, 100)
    ledger.place(_KEY, _order(amount=Decimal(500)), _START)
    assert ledger.margin(_KEY, _START).positions == 500
    assert ledger.margin(_KEY, _START).maintenance == Decimal(50_000) * Decimal("0.004")


def test_resting_reduce_only_order_takes_no_more_than_is_left() -> None:
    """The position shrank to a half meanwhile: half is filled, and the rest expires."""
    ledger = _ledger([100.0, 100.0, 103.0, 103.0])
    ledger.place(_KEY, _order(amount=Decimal(2)), _START)
    resting = {"side": "sell", "type": "limit", "price": Decimal(102), "reduce_only": True}
    order = ledger.place(_KEY, _order(**resting, amount=Decimal(5)), _START)
    late = ledger.place(_KEY, _order(**{**resting, "price": Decimal(103)}, amount=Decimal(2)), _START)
    assert (order.amount, order.request.amount) == (2, 2)
    ledger.place(_KEY, _order(side="sell"), _START)
    now = _START + 3 * _MINUTE
    assert ledger.positions(_KEY, now) == []
    assert (order.status, order.filled, order.remaining) == ("expired", 1, 1)
    assert (late.status, late.filled) == ("expired", 0)


@pytest.mark.parametrize("market", [_SPOT, _SWAP])
@pytest.mark.parametrize(("side", "rises", "trigger"), [("buy", True, 102), ("sell", False, 98)])
def test_trigger_fires_at_the_first_trade_that_reaches_it(market: str, side: str, rises: bool, trigger: int) -> None:
    """Not before, and as taker of the book of that moment; spot holds what it needs from the start."""
    far = 103.0 if rises else 97.0
    ledger = _ledger([100.0, 100.0, far, 100.0], USDT="1000", AAA="5")
    order = ledger.place(_KEY, _order(market, side=side, trigger=Decimal(trigger), rises=rises), _START)
    assert (order.waiting, order.open, order.status) == (True, True, "new")
    held = ledger.holdings(_KEY, _START)[0]["USDT" if side == "buy" else "AAA"]
    assert held.locked == (0 if market == _SWAP else trigger if side == "buy" else 1)
    assert ledger.orders(_KEY, _START + _MINUTE, only_open=True) == [order]
    ledger.holdings(_KEY, _START + 3 * _MINUTE)
    assert order.triggered is not None
    assert _START + _MINUTE < order.triggered < _START + 2 * _MINUTE
    assert (order.status, order.waiting) == ("filled", False)
    (fill,) = order.fills
    assert (fill.maker, fill.time) == (False, order.triggered)
    assert float(fill.price) == pytest.approx(trigger, rel=3e-3)
    assert all(held.locked == 0 for held in ledger.holdings(_KEY, _START + 3 * _MINUTE)[0].values())


def test_triggered_limit_order_rests_until_its_own_price_comes() -> None:
    """Triggered on the way up at 102, it buys at 101 on the way down; its margin is held from the trigger on."""
    ledger = _ledger([100.0, 103.0, 103.0, 100.0, 100.0])
    request = _order(type="limit", price=Decimal(101), trigger=Decimal(102), rises=True)
    order = ledger.place(_KEY, request, _START)
    assert ledger.margin(_KEY, _START).orders == 0
    now = _START + _MINUTE
    assert (ledger.margin(_KEY, now).orders, order.open, order.waiting) == (Decimal("5.05"), True, False)
    ledger.holdings(_KEY, _START + 4 * _MINUTE)
    assert [(fill.price, fill.maker) for fill in order.fills] == [(101, True)]
    assert order.triggered is not None
    assert order.triggered < order.fills[0].time


def test_trigger_that_cannot_be_paid_when_it_fires_expires() -> None:
    """The price ran past what was locked for it: nothing is bought, nothing stays locked."""
    ledger = _ledger([100.0, 100.0, 108.0, 108.0], USDT="101")
    order = ledger.place(_KEY, _order(_SPOT, trigger=Decimal(101), rises=True), _START)
    now = _START + 3 * _MINUTE
    held = ledger.holdings(_KEY, now)[0]["USDT"]
    assert (order.status, order.filled, held.free, held.locked) == ("expired", 0, 101, 0)
    assert order.triggered is not None


def test_trigger_may_close_the_whole_position() -> None:
    """Without an amount: what there is when it fires."""
    ledger = _ledger([100.0, 100.0, 97.0, 97.0])
    stop = _order(side="sell", amount=None, trigger=Decimal(98), reduce_only=True)
    order = ledger.place(_KEY, stop, _START)
    ledger.place(_KEY, _order(amount=Decimal(3)), _START)
    assert ledger.positions(_KEY, _START + 3 * _MINUTE) == []
    assert (order.status, order.filled, order.amount) == ("filled", 3, 3)


def test_one_of_two_triggers_that_close_a_position_finds_nothing_left() -> None:
    """In the order of time: the first closes, the second expires, and no position is opened."""
    ledger = _ledger([100.0, 100.0, 97.0, 97.0])
    ledger.place(_KEY, _order(), _START)
    second = ledger.place(_KEY, _order(side="sell", trigger=Decimal(98), reduce_only=True), _START)
    first = ledger.place(_KEY, _order(side="sell", trigger=Decimal(99), reduce_only=True), _START)
    assert ledger.positions(_KEY, _START + 3 * _MINUTE) == []
    assert (first.status, second.status) == ("filled", "expired")


def test_waiting_order_is_cancelled_and_what_it_held_is_free() -> None:
    """Locked on spot, not on swaps."""
    ledger = _ledger([100.0, 100.0, 90.0])
    orders = [ledger.place(_KEY, _order(market, trigger=Decimal(102), rises=True), _START) for market in (_SPOT, _SWAP)]
    for order in orders:
        assert ledger.cancel(_KEY, order, _START)
        assert not ledger.cancel(_KEY, order, _START)
    held = ledger.holdings(_KEY, _START + 2 * _MINUTE)[0]["USDT"]
    assert (held.free, held.locked, orders[0].status) == (1_000, 0, "canceled")


def test_funding_is_paid_at_every_settlement_and_by_positions_alone() -> None:
    """Opened one minute after a settlement and closed after two more: paid twice, though nobody looked in between."""
    prices = [100.0] * (20 * 60)
    ledger = _ledger(prices)
    assert ledger.payments(_KEY, _START) == []
    ledger.place(_KEY, _order(amount=Decimal(2)), _START)
    now = _START + 17 * 3_600_000
    paid = ledger.payments(_KEY, now)
    assert [one.time % FUNDING_MS for one in paid] == [0, 0]
    assert [one.amount for one in paid] == [-2 * 100 * one.rate for one in paid]
    assert {one.rate for one in paid} == {Decimal("0.0001")}
    ledger.place(_KEY, _order(side="sell", amount=Decimal(2)), now)
    later = now + 2 * 3_600_000
    assert ledger.payments(_KEY, later, market=_SWAP) == paid
    fills = ledger.fills(_KEY, later, kind="linear")
    moved = sum(fill.realised - fill.fee for fill in fills) + sum(one.amount for one in paid)
    assert _wallet(ledger, later) == 1_000 + moved


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([_SPOT, _SWAP]),
            st.sampled_from(["buy", "sell"]),
            st.sampled_from(["market", "limit", "stop", "stop limit", "reduce"]),
            st.integers(1, 40),
            st.integers(-30, 30),
            st.integers(0, 4),
        ),
        max_size=14,
    )
)
def test_no_money_appears_whatever_is_ordered(steps: list[tuple[str, str, str, int, int, int]]) -> None:
    """The dollars of the account are what it had, moved by trades, fees, gains and funding, and by nothing else."""
    prices = [100 + 3 * float(np.sin(at / 5)) for at in range(80)]
    ledger = _ledger([round(price, 2) for price in prices], USDT="1000", AAA="5")
    now = _START
    for market, side, kind, size, offset, wait in steps:
        near = Decimal(str(round(float(ledger.mark(_SWAP, now)) + offset / 10, 2)))
        fields: dict[str, Any] = {"side": side, "amount": Decimal(size) / 10}
        if kind in ("limit", "stop limit"):
            fields |= {"type": "limit", "price": near}
        if kind.startswith("stop"):
            fields |= {"trigger": near, "rises": offset > 0}
        if kind == "reduce" and market == _SWAP:
            fields["reduce_only"] = True
        try:
            order = ledger.place(_KEY, _order(market, **fields), now)
        except OrderRefused:
            pass
        else:
            if size % 7 == 0:
                ledger.cancel(_KEY, order, now)
        now += wait * _MINUTE
        _check_books(ledger, now)


def _check_books(ledger: Ledger, now: int) -> None:
    holdings = ledger.holdings(_KEY, now)[0]
    dollars, coins = Decimal(1_000), Decimal(5)
    for fill in ledger.fills(_KEY, now, kind="spot"):
        sign = 1 if fill.side == "buy" else -1
        dollars -= sign * fill.cost + (fill.fee if fill.side == "sell" else 0)
        coins += sign * fill.amount - (fill.fee if fill.side == "buy" else 0)
    dollars += sum(fill.realised - fill.fee for fill in ledger.fills(_KEY, now, kind="linear"))
    dollars += sum(paid.amount for paid in ledger.payments(_KEY, now))
    assert holdings["USDT"].free + holdings["USDT"].locked == dollars
    assert holdings["AAA"].free + holdings["AAA"].locked == coins
    locked = {"USDT": Decimal(0), "AAA": Decimal(0)}
    for order in ledger.orders(_KEY, now, kind="spot", only_open=True):
        locked["USDT" if order.request.side == "buy" else "AAA"] += order.locked
    assert {asset: holdings[asset].locked for asset in locked} == locked
    held = sum((position.amount for position in ledger.positions(_KEY, now)), Decimal(0))
    traded = (fill.amount if fill.side == "buy" else -fill.amount for fill in ledger.fills(_KEY, now, kind="linear"))
    assert held == sum(traded, Decimal(0))
