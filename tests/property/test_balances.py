"""Laws of valuation."""

from __future__ import annotations

import pickle
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradeutils.balances.routes import EXACT, Route, routes_to
from tradeutils.balances.valuation import value
from tradeutils.model import AssetBalance, Balance, Market, Ticker

ASSETS = ("A", "B", "C", "D", "USDT")
amounts = st.decimals(min_value=0, max_value=10**12, places=18, allow_nan=False, allow_infinity=False)
prices = st.floats(min_value=1e-9, max_value=1e9, allow_nan=False)


def _balance(held: dict[str, Decimal]) -> Balance:
    return Balance(venue="x", account="a", time=0, assets={k: AssetBalance(total=v) for k, v in held.items()})


def _routes(price: dict[str, float]) -> dict[str, Route]:
    markets = {
        s: Market(symbol=s, id=s, base=s.split("/", maxsplit=1)[0], quote=s.split("/", maxsplit=1)[1]) for s in price
    }
    return routes_to("USDT", markets, {s: Ticker(symbol=s, last=p) for s, p in price.items()})


@given(
    st.dictionaries(st.sampled_from(ASSETS), amounts),
    st.dictionaries(st.sampled_from(("A/USDT", "B/A", "USDT/C")), prices),
)
def test_the_total_is_the_sum_of_its_parts_and_nothing_is_lost(
    held: dict[str, Decimal], price: dict[str, float]
) -> None:
    """Every asset is valued or named as unpriced, and the values add up to the total exactly."""
    worth = value(_balance(held), "USDT", _routes(price), 0)
    assert set(worth.assets) | set(worth.unpriced) == set(held)
    assert not set(worth.assets) & set(worth.unpriced)
    total = Decimal(0)
    for part in worth.assets.values():
        total = EXACT.add(total, part.value)
    assert abs(total - worth.total) <= abs(total) * Decimal("1e-50")
    assert pickle.loads(pickle.dumps(worth)) == worth  # noqa: S301  # our own bytes


@given(amounts, prices)
def test_a_product_is_exact_to_the_last_digit(amount: Decimal, price: float) -> None:
    """An amount of 18 decimals times a float's own decimal form: no digit is rounded away."""
    worth = value(_balance({"A": amount}), "USDT", _routes({"A/USDT": price}), 0)
    numerator, denominator = amount.as_integer_ratio()
    shown, shown_denominator = Decimal(repr(price)).as_integer_ratio()
    found, found_denominator = worth.total.as_integer_ratio()
    assert found * denominator * shown_denominator == numerator * shown * found_denominator


@given(st.dictionaries(st.sampled_from(ASSETS), amounts, min_size=1), prices, st.floats(min_value=1.0, max_value=100.0))
def test_a_higher_price_never_lowers_the_total(held: dict[str, Decimal], price: float, factor: float) -> None:
    """Without debt, worth rises with the price."""
    low = value(_balance(held), "USDT", _routes({"A/USDT": price}), 0)
    high = value(_balance(held), "USDT", _routes({"A/USDT": price * factor}), 0)
    assert high.total >= low.total


def test_a_tenth_and_two_tenths_are_three_tenths() -> None:
    """The float artefact that money must not have."""
    worth = value(_balance({"A": Decimal("0.1"), "USDT": Decimal("0.2")}), "USDT", _routes({"A/USDT": 1.0}), 0)
    assert worth.total == Decimal("0.3")
