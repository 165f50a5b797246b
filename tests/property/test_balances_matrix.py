"""The valuation of many accounts in float64 is held to the exact one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.balances.matrix import Holdings, value_many
from tradeutils.balances.routes import EXACT, Routes
from tradeutils.model import AssetBalance, Balance, Market, Ticker

ASSETS = [f"A{number}" for number in range(8)]
NEAR = Fraction(1, 10**9)
amounts = st.one_of(
    st.decimals(min_value=0, max_value=10**12, places=18, allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal(0), Decimal("1e-18"), Decimal(10**12), Decimal("999999999999.999999999999999999")]),
)
held = st.builds(lambda total, debt: AssetBalance(total=total, debt=debt), amounts, st.just(Decimal(0)) | amounts)
cancelling = amounts.map(lambda amount: AssetBalance(total=EXACT.add(amount, Decimal("1e-18")), debt=amount))
accounts = st.dictionaries(st.sampled_from([*ASSETS, "USDT", "LDA0", "XDROP"]), held | cancelling)
prices = st.lists(st.floats(min_value=1e-12, max_value=1e9) | st.just(0.0), min_size=8, max_size=8)


def _routes(told: list[float]) -> Routes:
    symbols = [f"{asset}/USDT" for asset in ASSETS]
    markets = {s: Market(symbol=s, id=s, base=s.split("/", maxsplit=1)[0], quote="USDT") for s in symbols}
    tickers = {s: Ticker(symbol=s, last=one) for s, one in zip(symbols, told, strict=True)}
    return Routes("USDT", markets, tickers, venue="binance")


def _balances(told: list[dict[str, AssetBalance]]) -> dict[str, Balance]:
    return {
        f"u{at}": Balance(venue="binance", account=f"u{at}", time=0, assets=assets) for at, assets in enumerate(told)
    }


@given(st.lists(accounts, max_size=8), prices, st.sampled_from(("unpriced", "underlying")))
def test_totals_are_within_a_billionth_of_the_gross_value(
    told: list[dict[str, AssetBalance]], price: list[float], locked: str
) -> None:
    """Dust, supplies, 18 decimals, debts that cancel; whether most cells of the matrix are filled or few."""
    table = value_many(_balances(told), "USDT", _routes(price), 0, locked=locked)  # type: ignore[arg-type]
    assert len(table) == len(told) == len(table.totals) == len(table.gross)
    for at, name in enumerate(table.accounts):
        exact = table.exact(name)
        gross = sum((abs(Fraction(part.value)) for part in exact.assets.values()), Fraction(0))
        assert abs(Fraction(float(table.totals[at])) - Fraction(exact.total)) <= NEAR * gross
        assert abs(Fraction(float(table.gross[at])) - gross) <= NEAR * gross
        assert table.unpriced.get(name, {}) == exact.unpriced
    assert all(table.unpriced.values())


@given(st.lists(st.lists(accounts, min_size=4, max_size=4), min_size=1, max_size=4), prices)
@settings(max_examples=50)
def test_reading_only_what_changed_ends_where_reading_all_does(
    steps: list[list[dict[str, AssetBalance]]], price: list[float]
) -> None:
    """However often accounts change, and whichever."""
    holdings, routes = Holdings(), _routes(price)
    for at, told in enumerate(steps):
        balances = _balances(told)
        del balances[f"u{at}"]
        holdings.update(balances)
        updated = value_many(holdings, "USDT", routes, 0)
        anew = value_many(holdings.balances, "USDT", routes, 0)
        assert updated.accounts == anew.accounts
        assert updated.unpriced == anew.unpriced
        assert np.allclose(updated.totals, anew.totals, rtol=0, atol=1e-9 * updated.gross.max(initial=0))
