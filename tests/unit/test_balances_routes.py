"""Assets are priced over the markets that a venue lists."""

from __future__ import annotations

import dataclasses
import random
from decimal import Decimal
from typing import Any

import pytest

from tradeutils import errors
from tradeutils.balances.routes import FRESH, MAX_SPREAD, THIN, Route, Routes, Step, fair_price, routes_to
from tradeutils.balances.valuation import value
from tradeutils.model import AssetBalance, Balance, Market, Ticker

NOW = 1_700_000_000_000
BUSY = {"BTC_USDT": 50_000.0, "ETH_USDT": 2_000.0}


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


def _routes(quote: str, **prices: float | Ticker) -> Routes:
    return routes_to(quote, *_venue(**prices))


def _sound(price: float, volume: float, *, age: float = 0.0, spread: float = 0.001, **other: Any) -> Ticker:
    """A market with both sides of its book, in which ``volume`` of the quote was traded."""
    told = {"bid": price * (1 - spread / 2), "ask": price * (1 + spread / 2), "last": price, "quote_volume": volume}
    return Ticker(symbol="", time=NOW - int(age * 1000), **{**told, **other})


def _among(now: int | None = NOW, /, **tickers: Ticker) -> Routes:
    """Routes to USDT where BTC and ETH are busy, beside the given markets."""
    every = {name: _sound(price, 1e9) for name, price in BUSY.items()} | tickers
    named = {name: dataclasses.replace(one, symbol=name.replace("_", "/")) for name, one in every.items()}
    return Routes("USDT", *_venue(**named), now=now)


def test_an_asset_is_priced_directly_inversely_or_through_others() -> None:
    """By hand: 1 EUR is 1/0.8 USDT; NEO costs 0.001 BTC of 50,000 USDT; GAS is two markets from BTC."""
    found = _routes("USDT", BTC_USDT=50_000.0, USDT_EUR=0.8, NEO_BTC=0.001, GAS_NEO=0.5)
    assert found["BTC"].price == 50_000
    assert found["EUR"].price == Decimal("1.25")
    assert found["NEO"].price == 50
    assert found["GAS"].price == 25
    assert found["GAS"].legs == ("GAS/NEO", "NEO/BTC", "BTC/USDT")
    assert found["USDT"] == Route(Decimal(1), (), float("inf"), None)


def test_a_fourth_leg_is_one_too_many() -> None:
    """Each leg adds its spread and its age; past three the price means little."""
    assert "D" not in _routes("USDT", A_USDT=1.0, B_A=1.0, C_B=1.0, D_C=1.0)


def test_of_equally_many_legs_the_most_liquid_wins() -> None:
    """X trades against both BTC and ETH; ETH's market turns over more, counted in USDT."""
    found = _among(X_BTC=_sound(0.002, 1.0), X_ETH=_sound(0.05, 100.0))  # 50,000 and 200,000 USDT
    assert found["X"].legs == ("X/ETH", "ETH/USDT")
    assert found["X"].liquidity == 200_000


@pytest.mark.parametrize(
    ("direct", "legs"),
    [
        (_sound(100.0, THIN * 200_000), ("X/USDT",)),
        (_sound(100.0, THIN * 200_000 - 1), ("X/ETH", "ETH/USDT")),
        (_sound(100.0, 1e9, age=FRESH), ("X/USDT",)),
        (_sound(100.0, 1e9, age=FRESH + 1), ("X/ETH", "ETH/USDT")),
        (_sound(100.0, 1e9, spread=MAX_SPREAD - 1e-6), ("X/USDT",)),
        (_sound(100.0, 1e9, spread=MAX_SPREAD + 1e-6), ("X/ETH", "ETH/USDT")),
        (_sound(100.0, 1e9, ask=None), ("X/ETH", "ETH/USDT")),
        (_sound(100.0, 1e9, bid=0.0), ("X/ETH", "ETH/USDT")),
        (_sound(100.0, 1e9, bid=101.0, ask=100.0), ("X/ETH", "ETH/USDT")),
        (_sound(100.0, 0.0), ("X/ETH", "ETH/USDT")),
    ],
    ids=["thin enough", "too thin", "fresh", "stale", "wide", "too wide", "no ask", "no bid", "crossed", "untraded"],
)
def test_a_direct_market_wins_unless_it_is_weak_or_dead(direct: Ticker, legs: tuple[str, ...]) -> None:
    """The other way trades 200,000 USDT a day; the direct market is on either side of each limit."""
    assert _among(X_USDT=direct, X_ETH=_sound(0.05, 100.0))["X"].legs == legs


def test_a_weak_market_prices_what_has_no_other() -> None:
    """One side of a book and a trade of an hour ago are better than nothing, and the age is told."""
    route = _among(X_USDT=_sound(100.0, 0.0, age=3600.0, ask=None))["X"]
    assert (route.legs, route.price, route.time) == (("X/USDT",), 100, NOW - 3_600_000)


def test_a_longer_way_needs_to_be_sound_all_along() -> None:
    """Where the second leg is weak too, nothing is gained."""
    weak = _sound(100.0, 1e3, spread=0.5)
    assert _among(X_USDT=weak, X_Y=_sound(2.0, 1e6), Y_USDT=_sound(50.0, 1e4, spread=0.5))["X"].legs == ("X/USDT",)


def test_three_legs_win_where_nothing_shorter_trades() -> None:
    """X is traded for Y alone, and Y for BTC; X for USDT hardly."""
    found = _among(X_USDT=_sound(90.0, 10.0), X_Y=_sound(2.0, 1e6), Y_BTC=_sound(0.001, 1e3))
    assert found["X"].legs == ("X/Y", "Y/BTC", "BTC/USDT")
    assert [step.side for step in found["X"].steps] == ["sell", "sell", "sell"]


def test_no_route_passes_an_asset_twice() -> None:
    """X by way of Y to X again and on to USDT would be the more liquid of two legs."""
    found = _among(X_USDT=_sound(100.0, 1e9), X_Y=_sound(2.0, 1e9))
    assert found["X"].legs == ("X/USDT",)
    assert found["Y"].legs == ("X/Y", "X/USDT")
    assert found["USDT"].legs == ()


def test_the_order_of_markets_does_not_matter() -> None:
    """Equally good routes: the names of the legs decide, whichever comes first."""
    markets, tickers = _venue(A_USDT=1.0, B_USDT=1.0, X_A=1.0, X_B=1.0, Y_X=1.0)
    shuffler, symbols = random.Random(4), list(tickers)
    for _ in range(20):
        shuffler.shuffle(symbols)
        found = Routes("USDT", markets, {symbol: tickers[symbol] for symbol in symbols})
        assert {asset: route.legs for asset, route in found.items()} == {
            "USDT": (), "A": ("A/USDT",), "B": ("B/USDT",), "X": ("X/A", "A/USDT"), "Y": ("Y/X", "X/A", "A/USDT")
        }  # fmt: skip


def test_old_tickers_price_nothing() -> None:
    """A ticker tells of 24 hours; the limit may be set, and where no clock is given there is none."""
    old = {"X_USDT": _sound(100.0, 1e9, age=86_401.0)}
    assert "X" not in _among(**old)
    assert "X" in _among(None, **old)
    markets, tickers = _venue(X_USDT=Ticker(symbol="X/USDT", last=1.0, time=NOW - 2_000))
    assert "X" not in Routes("USDT", markets, tickers, now=NOW, max_age=1.9)
    assert "X" in Routes("USDT", markets, tickers, now=NOW, max_age=2.0)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(errors.UsageError, match="max_age"):
            Routes("USDT", markets, tickers, max_age=wrong)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-300])
def test_what_is_no_price_prices_nothing(price: float) -> None:
    """Neither as a last price nor as a book."""
    markets, tickers = _venue(A_USDT=price, B_USDT=Ticker(symbol="B/USDT", bid=price, ask=price))
    assert set(Routes("USDT", markets, tickers)) == {"USDT"}


def test_volumes_that_are_none_count_as_nothing_traded() -> None:
    """Infinite or negative volumes must not win; a missing volume in quote follows from the one in base."""
    broken = [_sound(0.002, volume, base_volume=volume) for volume in (float("inf"), float("nan"), -5.0)]
    for one in broken:
        assert _among(X_BTC=one, X_ETH=_sound(0.05, 1.0))["X"].legs == ("X/ETH", "ETH/USDT")
    told = _sound(0.002, 0.0, base_volume=1e6, quote_volume=None)
    assert _among(X_BTC=told)["X"].liquidity == 100_000_000


def test_steps_tell_what_each_market_says() -> None:
    """Side, the market's own price and its time; a purchase divides, to 60 digits."""
    found = _routes("USDT", USDT_EUR=Ticker(symbol="USDT/EUR", last=0.9, time=7), X_EUR=1.0)
    steps = (Step("X/EUR", "sell", Decimal("1.0"), 10), Step("USDT/EUR", "buy", Decimal("0.9"), 7))
    assert found["X"].steps == steps
    assert found["X"].time == 7
    assert str(found["X"].price) == "1." + "1" * 59


def test_a_market_is_known_by_the_name_it_is_listed_under() -> None:
    """Whatever its ticker calls itself."""
    markets, tickers = _venue(A_USDT=1.0)
    tickers["A/USDT"] = dataclasses.replace(tickers["A/USDT"], symbol="B/USDT")
    assert routes_to("USDT", markets, tickers)["A"].legs == ("A/USDT",)


def test_a_market_of_a_coin_in_itself_prices_nothing() -> None:
    """A venue may list nonsense."""
    assert "A" not in _routes("USDT", A_A=2.0)


def test_routes_are_a_mapping() -> None:
    """As any: members, length, and an error for what is not there."""
    found = _routes("USDT", A_USDT=1.0, B_C=1.0)
    assert (len(found), sorted(found), "B" in found, 5 in found) == (2, ["A", "USDT"], False, False)
    assert repr(found) == "<Routes of 2 assets to USDT>"
    assert found.of(["A", "B", "never heard of"]) == [found["A"], None, None]
    with pytest.raises(KeyError):
        found["B"]


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
        (11.0, 9.0, 10.0, None),
        (10.0, 10.0, 11.0, "10.0"),
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
    """The last price counts only inside the spread; a one-sided book says nothing, and a crossed one is broken."""
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
