"""
The valuation of accounts, beside the loop over ccxt's dictionaries that a bot writes, in the same run.

The loop finds each asset's last price by the name of its market and multiplies floats. It knows no routes, ages,
debts or unpriced assets; all assets here have a direct market, so that it can be run at all.

In the timed part of ours: prices and routes are there, as the loop's dictionaries are, and totals of all accounts come
out. "From columns": amounts have been read into `Holdings` before. "From balances": they are read in the timed part,
each `Decimal` made a float; the loop is given floats that ccxt made when it parsed the reply, which is timed nowhere.
All accounts list the same assets in the same order, as many venues do; where each has an order of its own, reading
takes an eighth longer. "1 % changed": 100 of the 10,000 balances are new since the last valuation, and are read in the
timed part.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tradeutils.balances.matrix import Holdings, value_many
from tradeutils.balances.prices import Prices
from tradeutils.balances.routes import Routes
from tradeutils.balances.valuation import value
from tradeutils.model import AssetBalance, Balance, Market, Ticker

ACCOUNTS, ASSETS, LISTED = 10_000, 300, 739
NOW = 1_700_000_000_000
CALLS = ("loop", "from columns", "1 % changed", "from balances")

pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture(scope="module", name="medians")
def _medians(say: Callable[[str], None]) -> Iterator[dict[str, float]]:
    """Collect the medians of a run in seconds; say the ratios when it is over."""
    medians: dict[str, float] = {}
    yield medians
    if set(CALLS) <= medians.keys():
        say(f"{ACCOUNTS:,} accounts x {ASSETS} assets: the loop over ccxt's dictionaries {medians['loop']:.3f} s")
        for name in CALLS[1:]:
            aim = " (aim 50)" if name == "from columns" else ""
            say(f"  {name}: {medians[name] * 1e3:.1f} ms, {medians['loop'] / medians[name]:.1f}x{aim}")
    if {"warm", "cold", "loop of one"} <= medians.keys():
        say(
            f"one account of {LISTED} assets: {medians['warm'] * 1e3:.2f} ms with warm prices (aim 2), with routes to "
            f"be found first {medians['cold'] * 1e3:.1f} ms; the loop in floats {medians['loop of one'] * 1e3:.3f} ms"
        )


@pytest.fixture(scope="module", name="prices")
def _prices() -> Prices:
    """Return a venue of 739 assets: all against USDT, most against BTC and some against ETH and USDC as well."""
    drawn = random.Random(11)
    price = {"BTC": 67_123.45, "ETH": 3_512.07, "USDC": 0.9998}
    price |= {f"A{number}": float(f"{10 ** drawn.uniform(-5, 3):.6g}") for number in range(LISTED - len(price) - 1)}
    told = {f"{asset}/USDT": one for asset, one in price.items()}
    told |= {f"{a}/BTC": one / price["BTC"] for n, (a, one) in enumerate(price.items()) if n % 3 and a != "BTC"}
    told |= {
        f"{a}/{c}": one / price[c] for n, (a, one) in enumerate(price.items()) for c in ("ETH", "USDC") if n % 7 == 5
    }
    markets, tickers = {}, {}
    for symbol, exact in told.items():
        base, _, quote = symbol.partition("/")
        last = float(f"{exact:.8g}")
        markets[symbol] = Market(symbol=symbol, id=base + quote, base=base, quote=quote)
        volume = 1e10 if quote == "USDT" else 10 ** drawn.uniform(4, 9)  # so that both sides take the same markets
        tickers[symbol] = Ticker(
            symbol=symbol, time=NOW, last=last, bid=last * 0.9995, ask=last * 1.0005, quote_volume=volume
        )
    return Prices("binance", markets, tickers, NOW)


@pytest.fixture(scope="module", name="ccxts")
def _ccxts(prices: Prices) -> dict[str, dict[str, float | None]]:
    """Return the tickers as ccxt's dictionaries."""
    return {symbol: {"symbol": symbol, "last": ticker.last} for symbol, ticker in prices.tickers.items()}


@pytest.fixture(scope="module", name="fleet")
def _fleet(prices: Prices) -> dict[str, Balance]:
    """Return 10,000 balances of 300 assets each, drawn from 300: amounts of 8 decimals, from dust to millions."""
    drawn, listed = random.Random(12), [market.base for market in prices.markets.values() if market.quote == "USDT"]
    return {
        f"u{number}": Balance(
            venue="binance",
            account=f"u{number}",
            time=NOW,
            assets={
                asset: AssetBalance(total=Decimal(f"{10 ** drawn.uniform(-7, 6):.8f}")) for asset in listed[:ASSETS]
            },
        )
        for number in range(ACCOUNTS)
    }


def looped(balances: list[dict[str, dict[str, float]]], tickers: dict[str, dict[str, Any]]) -> list[float]:
    """Value accounts as a bot does."""
    totals = []
    for balance in balances:
        total = 0.0
        for asset, amount in balance["total"].items():
            total += tickers[f"{asset}/USDT"]["last"] * amount
        totals.append(total)
    return totals


@pytest.mark.parametrize("which", CALLS)
def test_fleet(
    which: str,
    prices: Prices,
    ccxts: dict[str, Any],
    fleet: dict[str, Balance],
    benchmark: Any,
    medians: dict[str, float],
) -> None:
    """All accounts, each way; the totals agree with the loop, and some with the exact valuation."""
    call = _call(which, fleet, prices.routes("USDT"), ccxts)
    benchmark.group = f"{ACCOUNTS:,} accounts x {ASSETS} assets"
    benchmark.extra_info["who"] = "a loop over ccxt's dictionaries" if which == "loop" else "tradeutils"
    if which in ("1 % changed", "from balances"):
        benchmark.group += f", {which}"
    benchmark.pedantic(call, rounds=3 if which in ("loop", "from balances") else 9, warmup_rounds=1)
    if benchmark.stats:  # absent with --benchmark-disable
        medians[which] = benchmark.stats.stats.median


def _call(which: str, fleet: dict[str, Balance], routes: Routes, ccxts: dict[str, Any]) -> Callable[[], object]:
    if which == "loop":
        balances = [{"total": {a: float(held.total) for a, held in one.assets.items()}} for one in fleet.values()]
        table = value_many(fleet, "USDT", routes, NOW)
        assert np.allclose(looped(balances, ccxts), table.totals, rtol=1e-9)
        for account in list(fleet)[::1000]:
            exact = float(table.exact(account).total)
            assert abs(table.totals[table.accounts.index(account)] - exact) <= 1e-9 * exact
        return lambda: looped(balances, ccxts)
    if which == "from balances":
        return lambda: value_many(fleet, "USDT", routes, NOW)
    holdings = Holdings(fleet)
    value_many(holdings, "USDT", routes, NOW)
    if which == "from columns":
        return lambda: value_many(holdings, "USDT", routes, NOW)
    changing = list(fleet.items())[::100]

    def changed() -> object:
        holdings.update({a: Balance(venue="binance", account=a, time=NOW, assets=one.assets) for a, one in changing})
        return value_many(holdings, "USDT", routes, NOW)

    return changed


@pytest.mark.parametrize("which", ["warm", "cold", "loop of one"])
def test_one_account(
    which: str, prices: Prices, ccxts: dict[str, Any], benchmark: Any, medians: dict[str, float]
) -> None:
    """One account that holds every asset: exact, with routes and the age of each price, the largest first."""
    drawn = random.Random(13)
    held = {asset: f"{10 ** drawn.uniform(-7, 6):.8f}" for asset in prices.routes("USDT") if asset != "USDT"}
    assets = {asset: AssetBalance(total=Decimal(amount)) for asset, amount in held.items()}
    balance = Balance(venue="binance", account="u", time=NOW, assets={**assets, "USDT": AssetBalance(total=Decimal(1))})
    floats = [{"total": {asset: float(amount) for asset, amount in held.items()}}]
    assert len(balance) == LISTED
    routes = prices.routes("USDT")
    assert abs(float(value(balance, "USDT", routes, NOW).total) / (looped(floats, ccxts)[0] + 1) - 1) < 1e-9

    def cold() -> object:
        told = Prices("binance", prices.markets, prices.tickers, NOW)
        return value(balance, "USDT", told.routes("USDT"), NOW)

    calls = {
        "warm": lambda: value(balance, "USDT", routes, NOW),
        "cold": cold,
        "loop of one": lambda: looped(floats, ccxts),
    }
    benchmark.group = f"one account of {LISTED} assets" + (", routes found first" if which == "cold" else "")
    benchmark.extra_info["who"] = "a loop over ccxt's dictionaries" if which == "loop of one" else "tradeutils"
    benchmark.pedantic(calls[which], rounds=50, warmup_rounds=3)
    if benchmark.stats:
        medians[which] = benchmark.stats.stats.median


def test_sparse_fleet(prices: Prices, say: Callable[[str], None]) -> None:
    """10,000 accounts that hold 15 of 739 assets each: most cells of the matrix are empty."""
    drawn, listed = random.Random(14), list(prices.routes("USDT"))
    sparse = {
        f"u{number}": Balance(
            venue="binance",
            account=f"u{number}",
            time=NOW,
            assets={asset: AssetBalance(total=Decimal(f"{drawn.random():.8f}")) for asset in drawn.sample(listed, 15)},
        )
        for number in range(ACCOUNTS)
    }
    holdings, routes = Holdings(sparse), prices.routes("USDT")
    times = []
    for _ in range(9):
        began = time.perf_counter()
        value_many(holdings, "USDT", routes, NOW)
        times.append(time.perf_counter() - began)
    say(f"{ACCOUNTS:,} accounts x 15 of {LISTED} assets, from columns: {statistics.median(times) * 1e3:.1f} ms")
