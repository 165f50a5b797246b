"""Laws of wallets: whatever lies where, their sum is what the account holds, in every dialect and to the last digit."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tradeutils as tu
from tradeutils.balances import Balances
from tradeutils.budget import LocalBudget
from tradeutils.model import AssetBalance, Balance
from tradeutils.model.rounding import EXACT
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import Limits, SimulatedAccount, SimulatedVenue

D = Decimal
WALLETS = {"binance": ("funding", "margin", "swap"), "bybit": ("funding",), "okx": ("funding",), "kraken": ()}
PARTS = ("free", "used", "total", "debt")

# From one unit of the eighth digit to more than all of any coin.
AMOUNTS = st.integers(1, 10**20).map(lambda units: D(units).scaleb(-8, EXACT))


@st.composite
def holders(draw: st.DrawFn, venue: str) -> list[SimulatedAccount]:
    """Return accounts whose money lies in the wallets of their venue, and a part of it is borrowed."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        held = draw(st.dictionaries(st.sampled_from(["USDT", "BTC", "ETH", "XDROP"]), AMOUNTS, min_size=1))
        left = dict(held)
        moved: dict[str, dict[str, Decimal]] = {}
        for wallet in draw(st.lists(st.sampled_from(WALLETS[venue]), unique=True)) if WALLETS[venue] else []:
            moved[wallet] = {}
            for asset in draw(st.sets(st.sampled_from(sorted(held)))):
                share = D(draw(st.integers(0, 10**8))).scaleb(-8, EXACT)
                part = EXACT.multiply(left[asset], share).quantize(D("1E-8"), "ROUND_DOWN", EXACT)
                moved[wallet][asset], left[asset] = part, EXACT.subtract(left[asset], part)
        owed = draw(st.dictionaries(st.sampled_from(["USDT", "BNB"]), AMOUNTS)) if venue == "binance" else {}
        secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=" if venue == "kraken" else "s" * 64
        found.append(
            SimulatedAccount(
                name=f"a{number}", key=f"{number}" * 64, secret=secret, balances=held, wallets=moved, borrowed=owed
            )
        )
    return found


async def _told(venue: str, accounts: list[SimulatedAccount]) -> dict[str, Balance]:
    async with SimulatedVenue(venue, symbols=1, accounts=accounts, limits=Limits.none()) as running:
        known = {
            one.name: tu.Account(
                name=one.name,
                exchange=venue,
                credentials=tu.Credentials(key=one.key, secret=one.secret, password=one.passphrase),
            )
            for one in accounts
        }
        given_settings = tu.Settings(exchanges={venue: ExchangeSettings(url=running.url)}, accounts=known)
        async with (
            tu.Cache() as cache,
            tu.Exchanges(
                given_settings, cache=cache, budget=LocalBudget([tu.Window("requests", limit=1e9, seconds=60)])
            ) as exchanges,
            Balances(exchanges, cache=cache, wallets="all") as balances,
        ):
            found = await balances.fetch_all()
            assert dict(found.failures) == {}
            return dict(found)


def _sum(amounts: list[Decimal]) -> Decimal:
    found = D(0)
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


_EACH = settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
@_EACH
@given(st.data())
def test_wallets_add_up_to_what_the_account_holds(venue: str, data: st.DataObject) -> None:
    """Own and borrowed money of each asset is in exactly one wallet, and the sum is that of the parts."""
    _check(venue, data.draw(holders(venue)))


@settings(_EACH, max_examples=1)
@given(holders("kraken"))
def test_the_one_wallet_of_kraken_is_what_the_account_holds(accounts: list[SimulatedAccount]) -> None:
    """Its counter lets few requests through."""
    _check("kraken", accounts)


def _check(venue: str, accounts: list[SimulatedAccount]) -> None:
    found = asyncio.run(_told(venue, accounts))
    for account in accounts:
        whole = found[account.name]
        parts = list(whole.wallets.values()) or [whole]
        for asset in {*account.balances, *account.borrowed, *whole}:
            own, owed = D(account.balances.get(asset, 0)), D(account.borrowed.get(asset, 0))
            held = whole.get(asset, AssetBalance())
            assert (held.total, held.debt) == (EXACT.add(own, owed), owed)
            assert EXACT.add(held.free, held.used) == held.total
            for name in PARTS:
                assert getattr(held, name) == _sum([getattr(part.get(asset, AssetBalance()), name) for part in parts])
        assert tu.codec.loads(tu.codec.dumps(whole)) == whole
