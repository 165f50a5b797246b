"""Assets are priced over the markets that a venue lists."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradeutils.balances.routes import Route, fair_price, routes_to
from tradeutils.balances.valuation import value
from tradeutils.model import AssetBalance, Balance, Market, Ticker


def _market(symbol: str, *, kind: str = "spot", active: bool = True) -> Market:
    base, quote = symbol.split("/")
    return Market(symbol=symbol, id=base + quote, base=base, quote=quote, type=kind, active=active)  # type: ignore[arg-type]


def _venue(**prices: float | Ticker) -> tuple[dict[str, Market], dict[str, Ticker]]:
    """Markets and tickers from ``BTC_USDT=60000``."""
    symbols = {name.replace("_", "/"): price for name, price in prices.items()}
    tickers = {
        symbol: price if isinstance(price, Ticker) else Ticker(symbol=symbol, last=price, quote_volume=1000.0, time=10)
        for symbol, price in symbols.items()
    }
    return {symbol: _market(symbol) for symbol in symbols}, tickers


def _routes(quote: str, **prices: float | Ticker) -> dict[str, Route]:
    return routes_to(quote, *_venue(**prices))


def test_an_asset_is_priced_directly_inversely_or_through_others() -> None:
    """By hand: 1 EUR is 1/0.8 USDT; NEO costs 0.001 BTC of 50,000 USDT; GAS is two markets from BTC."""
    found = _routes("USDT", BTC_USDT=50_000.0, USDT_EUR=0.8, NEO_BTC=0.001, GAS_NEO=0.5)
    assert found["BTC"].price == 50_000
    assert found["EUR"].price == Decimal("1.25")
    assert found["NEO"].price == 50
    assert found["GAS"].price == 25
    assert found["GAS"].legs == ("GAS/NEO", "NEO/BTC", "BTC/USDT")
    assert found["USDT"] == Route(Decimal(1), (), Decimal("Infinity"), None)


def test_a_fourth_leg_is_one_too_many() -> None:
    """Each leg adds its spread and its age; past three the price means little."""
    assert "D" not in _routes("USDT", A_USDT=1.0, B_A=1.0, C_B=1.0, D_C=1.0)


def test_fewer_legs_win_and_liquidity_decides_between_equals() -> None:
    """X trades against both BTC and ETH; ETH's market turns over more, counted in USDT."""
    thin = Ticker(symbol="X/BTC", last=0.002, quote_volume=1.0)  # 1 BTC, 50,000 USDT
    deep = Ticker(symbol="X/ETH", last=0.05, quote_volume=100.0)  # 100 ETH, 200,000 USDT
    busy = {"BTC_USDT": 50_000.0, "ETH_USDT": 2_000.0}
    tickers = {name: Ticker(symbol=name, last=price, quote_volume=1e9) for name, price in busy.items()}
    found = _routes("USDT", **tickers, X_BTC=thin, X_ETH=deep)
    assert found["X"].legs == ("X/ETH", "ETH/USDT")
    assert found["X"].liquidity == 200_000
    direct = _routes("USDT", **tickers, X_BTC=thin, X_ETH=deep, X_USDT=Ticker(symbol="X/USDT", last=99.0))
    assert direct["X"].legs == ("X/USDT",)


def test_dead_markets_and_contracts_price_nothing() -> None:
    """A halted market and a future are no way to sell a coin."""
    markets, tickers = _venue(A_USDT=1.0, B_USDT=2.0, C_USDT=3.0)
    markets["A/USDT"] = _market("A/USDT", active=False)
    markets["B/USDT"] = _market("B/USDT", kind="swap")
    assert set(routes_to("USDT", markets, tickers)) == {"USDT", "C"}
    del markets["C/USDT"]  # a ticker of a market that is not listed
    assert set(routes_to("USDT", markets, tickers)) == {"USDT"}


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [
        (9.0, 11.0, 10.0, "10.0"),
        (9.0, 11.0, 20.0, "11.0"),
        (9.0, 11.0, 1.0, "9.0"),
        (9.0, 11.0, None, "10"),
        (None, 11.0, 20.0, "20.0"),
        (11.0, 9.0, 10.0, "10.0"),
        (0.0, 0.0, 10.0, "10.0"),
        (None, None, None, None),
        (9.0, None, None, None),
        (None, None, 0.0, None),
        (None, None, float("nan"), None),
        (None, None, float("inf"), None),
    ],
)
def test_a_stale_last_price_does_not_outvote_the_book(
    bid: float | None, ask: float | None, last: float | None, expected: str | None
) -> None:
    """The last price counts only inside the spread; a crossed or one-sided book says nothing."""
    found = fair_price(Ticker(symbol="A/B", bid=bid, ask=ask, last=last))
    assert found == (None if expected is None else Decimal(expected))


def test_the_age_of_a_price_is_that_of_its_oldest_leg() -> None:
    """Seconds by the venue's clock; unknown where one leg does not say."""
    now = 1_700_000_010_000
    fresh = Ticker(symbol="A/B", last=2.0, time=now - 1_000)
    old = Ticker(symbol="B/USDT", last=3.0, time=now - 4_000)
    silent = Ticker(symbol="C/B", last=1.0)
    routes = _routes("USDT", A_B=fresh, B_USDT=old, C_B=silent)
    held = {asset: AssetBalance(total=Decimal(1)) for asset in ("A", "B", "C", "USDT")}
    worth = value(Balance(venue="x", account="alice", time=now, assets=held), "USDT", routes, now)
    assert {asset: found.age for asset, found in worth.assets.items()} == {"A": 4.0, "B": 4.0, "C": None, "USDT": 0.0}


def test_debt_is_subtracted_and_the_unpriced_are_named() -> None:
    """What is owed lowers the total; what has no market is listed with its amount."""
    held = {
        "USDT": AssetBalance(total=Decimal("10.1"), debt=Decimal("0.2")),
        "BTC": AssetBalance(total=Decimal(0), debt=Decimal("0.1")),
        "LDBTC": AssetBalance(total=Decimal(3)),
    }
    worth = value(
        Balance(venue="x", account="alice", time=None, assets=held), "USDT", _routes("USDT", BTC_USDT=100.0), 0
    )
    assert worth.total == Decimal("-0.1")
    assert dict(worth.unpriced) == {"LDBTC": Decimal(3)}
    assert list(worth.assets) == ["USDT", "BTC"]
