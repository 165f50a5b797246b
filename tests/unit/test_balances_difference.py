"""What moved between two balances."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tradeutils as tu
from tradeutils.balances.difference import AssetChange, difference, differences
from tradeutils.errors import UsageError
from tradeutils.model import AssetBalance, Balance

D = Decimal
amounts = st.decimals(min_value=0, max_value=10**12, places=18, allow_nan=False, allow_infinity=False)
assets = st.dictionaries(
    st.sampled_from("ABCD"),
    st.builds(AssetBalance, free=amounts, used=amounts, total=amounts, debt=amounts),
)


def balance(
    held: dict[str, AssetBalance], *, account: str = "alice", wallet: str | None = "spot", time: int | None = 1_000
) -> Balance:
    return Balance(venue="x", account=account, time=time, assets=held, wallet=wallet)


def test_a_difference_worked_by_hand() -> None:
    """An order was placed, another filled, a loan repaid; what stayed as it was is not named."""
    before = balance(
        {
            "USDT": AssetBalance(free=D("100.1"), used=D(0), total=D("100.1"), debt=D(50)),
            "ETH": AssetBalance(free=D(1), total=D(1)),
            "DOGE": AssetBalance(free=D(7), total=D(7)),
        }
    )
    after = balance(
        {
            "USDT": AssetBalance(free=D("30.2"), used=D(20), total=D("50.2"), debt=D(0)),
            "BTC": AssetBalance(free=D("0.1"), total=D("0.1")),
            "DOGE": AssetBalance(free=D("7.00"), total=D(7)),
        },
        time=3_500,
    )
    found = difference(before, after)
    assert list(found) == ["BTC", "ETH", "USDT"]
    assert len(found) == 3
    assert found["USDT"] == AssetChange(free=D("-69.9"), used=D(20), total=D("-49.9"), debt=D(-50))
    assert found["BTC"] == AssetChange(free=D("0.1"), used=D(0), total=D("0.1"), debt=D(0), added=True)
    assert (found.added, found.gone, found.seconds, found.account) == (("BTC",), ("ETH",), 2.5, "alice")
    assert hash(found) == hash(difference(before, after))
    assert difference(balance({}, time=None), after).seconds is None


@given(assets, assets)
def test_before_and_the_difference_make_after(first: dict[str, AssetBalance], second: dict[str, AssetBalance]) -> None:
    """To the last of 18 digits, in every part; and the way back is the same with the other sign."""
    before, after = balance(first), balance(second)
    found, back = difference(before, after), difference(after, before)
    for asset in {*first, *second}:
        for name in ("free", "used", "total", "debt"):
            old = getattr(first.get(asset, AssetBalance()), name)
            new = getattr(second.get(asset, AssetBalance()), name)
            moved = getattr(found[asset], name) if asset in found else D(0)
            assert Fraction(old) + Fraction(moved) == Fraction(new)
            returned = getattr(back[asset], name) if asset in back else D(0)
            assert Fraction(moved) == -Fraction(returned)
    assert found.added == back.gone
    assert not difference(before, before)


def test_a_transfer_between_wallets_changes_them_and_not_the_sum() -> None:
    """The parts tell it; the sum tells that nothing was lost."""

    def whole(spot: str, funding: str) -> Balance:
        parts = {"spot": spot, "funding": funding}
        return Balance.combined(
            {
                name: balance({"A": AssetBalance(free=D(text), total=D(text))}, wallet=name)
                for name, text in parts.items()
            }
        )

    found = difference(whole("10", "0"), whole("7.5", "2.5"))
    assert dict(found) == {}
    assert (found.wallets["spot"]["A"].total, found.wallets["funding"]["A"].total) == (D("-2.5"), D("2.5"))
    named = differences({"alice": whole("10", "0")}, {"alice": whole("7.5", "2.5")})
    assert list(named) == ["alice"]


def test_accounts_that_only_one_side_has_did_not_change() -> None:
    """One that failed is no loss, one that was added is no gain, and who stayed the same is not named."""
    rich, poor = AssetBalance(free=D(5), total=D(5)), AssetBalance(free=D(1), total=D(1))
    before = {name: balance({"A": rich}, account=name) for name in ("a", "b", "c")}
    after = {name: balance({"A": poor if name == "b" else rich}, account=name) for name in ("b", "c", "d")}
    found = tu.Balances.diff(before, after)
    assert list(found) == ["b"]
    assert found["b"]["A"].total == -4
    assert isinstance(tu.Balances.diff(before["a"], before["a"]).assets, dict)


def test_balances_that_were_never_one_sum_have_no_difference() -> None:
    """Of two accounts, or of different wallets, or of two kinds."""
    one = balance({})
    for other, told in (
        (balance({}, account="bob"), "two balances of one account"),
        (balance({}, wallet="swap"), "the same wallets"),
        (Balance.combined({"spot": one, "swap": balance({}, wallet="swap")}), "the same wallets"),
    ):
        with pytest.raises(UsageError, match=told):
            difference(one, other)
    for first, second in ((one, {"alice": one}), ({"alice": one}, one), (1, 2)):
        with pytest.raises(UsageError, match="two kinds"):
            tu.Balances.diff(first, second)  # type: ignore[arg-type]
