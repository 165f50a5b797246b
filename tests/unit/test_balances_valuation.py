"""What a balance is worth, to the last digit, and what is told of each part."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import codec, errors
from tradeutils.balances.matrix import Holdings, value_many
from tradeutils.balances.pegs import PEGGED
from tradeutils.balances.prices import LatestPrices, Prices, fetch_prices
from tradeutils.balances.routes import Routes
from tradeutils.balances.valuation import AssetValue, Leg, Valuation, value
from tradeutils.model import AssetBalance, Balance, Market, Ticker
from tradeutils.sim import SimulatedVenue

NOW = 1_700_000_000_000


def balance(account: str = "alice", **amounts: str | AssetBalance) -> Balance:
    held = {
        asset.replace("_", "."): one if isinstance(one, AssetBalance) else AssetBalance(total=Decimal(one))
        for asset, one in amounts.items()
    }
    return Balance(venue="binance", account=account, time=NOW, assets=held)


def prices(venue: str = "binance", /, **told: float) -> Prices:
    """Prices from ``BTC_USDT=60000.0``, told a second ago."""
    symbols = {name.replace("_", "/"): price for name, price in told.items()}
    markets = {
        symbol: Market(symbol=symbol, id=symbol, base=symbol.split("/")[0], quote=symbol.split("/")[1])
        for symbol in symbols
    }
    tickers = {s: Ticker(symbol=s, last=p, time=NOW - 1_000, quote_volume=1e6) for s, p in symbols.items()}
    return Prices(venue, markets, tickers, NOW)


def worth(held: Balance, told: Prices, quote: str = "USDT", **options: Any) -> Valuation:
    pegs = options.pop("pegs", ())
    return value(held, quote, told.routes(quote, pegs=pegs), NOW, **options)


def test_each_price_tells_its_market_side_and_age() -> None:
    """NEO is sold for EUR, and USDT bought with that."""
    told = prices(NEO_EUR=8.0, USDT_EUR=0.8)
    told.tickers["USDT/EUR"] = dataclasses.replace(told.tickers["USDT/EUR"], time=NOW - 5_000)
    found = worth(balance(NEO="3"), told).assets["NEO"]
    assert (found.amount, found.price, found.value) == (3, 10, 30)
    assert (found.route, found.age) == (("NEO/EUR", "USDT/EUR"), 5.0)
    assert found.legs == (
        Leg(symbol="NEO/EUR", side="sell", price=Decimal("8.0"), age=1.0),
        Leg(symbol="USDT/EUR", side="buy", price=Decimal("0.8"), age=5.0),
    )


def test_a_ticker_from_the_future_has_no_negative_age() -> None:
    """Clocks differ by milliseconds."""
    told = prices(BTC_USDT=1.0)
    assert value(balance(BTC="1"), "USDT", told.routes("USDT"), NOW - 60_000).assets["BTC"].age == 0.0


def test_nothing_is_worth_nothing() -> None:
    """An empty account, and one that owes what it has."""
    empty = worth(balance(), prices(BTC_USDT=1.0))
    assert (empty.total, dict(empty.assets), dict(empty.unpriced)) == (0, {}, {})
    even = balance(BTC=AssetBalance(total=Decimal("0.1"), debt=Decimal("0.1")))
    assert worth(even, prices(BTC_USDT=1.0)).total == 0


def test_a_stablecoin_is_priced_unless_parity_is_asked_for() -> None:
    """A tenth of a cent is what it is worth less; asked to, it counts as a dollar and says so."""
    told = prices(USDC_USDT=0.999, XYZ_USDC=2.0)
    held = balance(USDC="1000", XYZ="10", USDT="1")
    assert worth(held, told).total == Decimal("1019.98")
    pegged = worth(held, told, pegs={"USDC": "USDT"})
    assert pegged.total == 1021
    assert {asset: one.route for asset, one in pegged.assets.items()} == {
        "USDC": ("peg",), "XYZ": ("XYZ/USDC", "peg"), "USDT": ()
    }  # fmt: skip
    assert pegged.assets["USDC"].legs == (Leg(symbol="peg", side="peg", price=Decimal(1), age=0.0),)
    assert (pegged.assets["USDC"].age, pegged.assets["XYZ"].age) == (0.0, 1.0)


def test_a_peg_is_neither_a_leg_nor_a_market_to_pass_through_twice() -> None:
    """Three markets and a parity between two of them; the market of the two coins is left out."""
    told = prices(A_B=2.0, B_USDC=3.0, USDT_EUR=0.5, USDC_USDT=0.5)
    found = told.routes("EUR", pegs={"USDC": "USDT"})
    assert found["A"].legs == ("A/B", "B/USDC", "peg", "USDT/EUR")
    assert (found["A"].price, found["USDC"].legs) == (3, ("peg", "USDT/EUR"))


def test_the_dollar_is_a_quote_where_its_coins_are_asked_to_be_it() -> None:
    """Binance has no market in USD; every coin that is redeemed in it counts as it, other coins do not."""
    told = prices(BTC_USDT=60_000.0, USDC_USDT=0.9, USTC_USDT=0.02)
    with pytest.raises(errors.UnknownName, match="USD") as caught:
        told.routes("USD")
    assert 'pegs="USD"' in caught.value.__notes__[0]
    found = worth(balance(BTC="1", USDC="5", DAI="7", USTC="1"), told, "USD", pegs="USD")
    assert found.total == Decimal("60012.02")
    assert found.assets["BTC"].route == ("BTC/USDT", "peg")
    assert found.assets["DAI"].route == ("peg",)
    assert "USTC" not in PEGGED["USD"]


def test_pegs_join_whatever_they_have_in_common() -> None:
    """A with B and B with C: all three; and a ring of them is one."""
    told = prices(X_A=2.0, C_USDT=3.0)
    assert told.routes("USDT", pegs={"A": "B", "B": "C"})["X"].price == 6
    assert told.routes("USDT", pegs={"A": "C", "C": "B", "B": "A"})["X"].legs == ("X/A", "peg", "C/USDT")
    assert told.routes("USDT", pegs={"A": "B", "C": "D", "B": "C"})["A"].price == 3


@pytest.mark.parametrize("pegs", ["GBP", ["USDC"], {"USDC": 1.0}, ("USD",), None, 1])
def test_pegs_that_are_none_are_refused(pegs: Any) -> None:
    """With what may be written."""
    with pytest.raises(errors.UsageError, match="USD"):
        prices(BTC_USDT=1.0).routes("USDT", pegs=pegs)


def test_routes_are_worked_out_once() -> None:
    """The same quote, pegs and age give the same routes; others do not."""
    told = prices(BTC_USDT=1.0)
    assert told.routes("USDT") is told.routes("USDT", pegs={})
    assert told.routes("USDT", pegs={"A": "B"}) is told.routes("USDT", pegs={"A": "B"})
    assert told.routes("USDT") is not told.routes("BTC")
    assert told.routes("USDT") is not told.routes("USDT", max_age=5.0)
    assert repr(told) == f"<Prices of 1 markets of binance at {NOW}>"


def test_what_is_locked_is_named_or_valued_as_asked() -> None:
    """In Binance's savings: BTC, the quote itself, and a coin that has no price."""
    told = prices(BTC_USDT=60_000.0, OLD_USDT=0.0)
    held = balance(LDBTC="2", LDUSDT="5", LDOLD="7", BTC="1")
    named = worth(held, told)
    assert (named.total, dict(named.unpriced)) == (60_000, {"LDBTC": 2, "LDUSDT": 5, "LDOLD": 7})
    assert dict(named.classes) == dict.fromkeys(("LDBTC", "LDUSDT", "LDOLD"), "locked")
    assert "BTC" in named.reasons["LDBTC"]
    counted = worth(held, told, locked="underlying")
    assert (counted.total, dict(counted.unpriced)) == (180_005, {"LDOLD": 7})
    assert (counted.assets["LDBTC"].underlying, counted.assets["BTC"].underlying) == ("BTC", None)
    assert (counted.assets["LDBTC"].route, counted.assets["LDUSDT"].route) == (("BTC/USDT",), ())
    assert dict(counted.classes) == dict(named.classes)
    assert set(counted.reasons) == {"LDOLD"}
    staked = balance(DOT_S="3")
    assert worth(staked, prices("kraken", DOT_USDT=7.0), locked="underlying").total == 21


def test_whatever_has_no_price_is_named_with_the_reason() -> None:
    """One asset of each kind."""
    told = prices(BTC_USDT=1.0, A_BTC=1.0, B_A=1.0, C_B=1.0, DEAD_USDT=0.0, OLD_USDT=1.0)
    told.markets["OLD/USDT"] = dataclasses.replace(told.markets["OLD/USDT"], active=False)  # type: ignore[index]
    held = balance(BTCUP="1", C="2", DEAD="3", OLD="4", XDROP="5", B="6")
    found = worth(held, told)
    assert dict(found.classes) == {
        "BTCUP": "leveraged", "C": "unreachable", "DEAD": "unquoted", "OLD": "delisted", "XDROP": "unlisted"
    }  # fmt: skip
    assert found.unpriced.keys() == found.reasons.keys() == found.classes.keys()
    assert all(reason.isprintable() and reason for reason in found.reasons.values())
    assert list(found.assets) == ["B"]


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+999999", "-1E+201"])
@pytest.mark.parametrize("owed", [False, True], ids=["held", "owed"])
def test_an_amount_that_is_none_is_named_and_spoils_nothing(amount: str, owed: bool) -> None:
    """The total is that of all others, and no megabyte of digits is made."""
    odd = AssetBalance(total=Decimal(1), debt=Decimal(amount)) if owed else AssetBalance(total=Decimal(amount))
    held = balance(BTC=odd, ETH="2", USDT=AssetBalance(total=Decimal(3), debt=Decimal(1)))
    found = worth(held, prices(BTC_USDT=5.0, ETH_USDT=7.0))
    assert found.total == 16
    assert found.classes == {"BTC": "not a number"}
    assert len(found.reasons["BTC"]) < 100


def test_less_than_any_dust_is_no_amount() -> None:
    """A million digits after the point are a mistake, and zero is not."""
    held = balance(BTC="1E-999999", ETH="0E-999999", USDT="1E-200")
    found = worth(held, prices(BTC_USDT=5.0, ETH_USDT=7.0))
    assert (dict(found.classes), found.total) == ({"BTC": "not a number"}, Decimal("1E-200"))


def test_dust_is_marked_and_counted() -> None:
    """By value, owed too; an amount of nothing is dust as well."""
    told = prices(BTC_USDT=100.0, A_USDT=1.0)
    held = balance(BTC="0.01", A=AssetBalance(total=Decimal(0), debt=Decimal("0.999")), USDT="1.00000001", LDBTC="1")
    found = worth(held, told, dust="1.00000001")
    assert {asset: one for asset, one in found.classes.items() if one == "dust"} == {"BTC": "dust", "A": "dust"}
    assert found.total == Decimal("1.00100001")
    assert worth(held, told, dust=1).classes == {"A": "dust", "LDBTC": "locked"}
    assert worth(held, told, dust=Decimal("0.5"), locked="underlying").classes == {"LDBTC": "locked"}


@pytest.mark.parametrize("dust", [0, -1, 0.5, True, "", "much", "NaN", "Infinity", "-0", b"1"])
def test_dust_that_is_no_amount_is_refused(dust: Any) -> None:
    """A float too: it is not what was written."""
    with pytest.raises(errors.UsageError, match="dust"):
        worth(balance(), prices(BTC_USDT=1.0), dust=dust)


def test_terms_that_do_not_fit_are_refused() -> None:
    """Routes to another currency, and a word that is none."""
    routes = prices(BTC_USDT=1.0).routes("USDT")
    with pytest.raises(errors.UsageError, match="USDT"):
        value(balance(), "BTC", routes, NOW)
    with pytest.raises(errors.UsageError, match="underlying"):
        value(balance(), "USDT", routes, NOW, locked="yes")  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="USDT"):
        value_many({}, "BTC", routes, NOW)


def test_the_largest_value_comes_first() -> None:
    """Debts last; equal values by name."""
    told = prices(A_USDT=1.0, B_USDT=1.0, C_USDT=5.0)
    held = balance(B="1", A="1", C="1", USDT=AssetBalance(debt=Decimal(3)))
    assert list(worth(held, told).assets) == ["C", "A", "B", "USDT"]


def whole() -> Valuation:
    told = prices(BTC_USDT=60_000.0, ETH_BTC=0.05, USDT_EUR=0.9)
    return worth(balance(BTC="1.5", ETH="-2", EUR="3", LDBTC="1", XDROP="4"), told, locked="underlying", dust="5")


def test_a_valuation_comes_back_from_the_codec_as_it_was() -> None:
    """Alone, in a list, and its parts; order and digits with it."""
    found = whole()
    parts = [found, found.assets["ETH"], found.assets["ETH"].legs, found.assets]
    for one in (found, parts):
        again = codec.loads(codec.dumps(one))
        assert again == one
        assert type(again) is type(one)
    again = codec.loads(codec.dumps(found))
    assert list(again.assets) == list(found.assets)
    assert str(again.total) == str(found.total)
    with pytest.raises(TypeError):
        again.assets["BTC"] = None


def test_a_valuation_can_be_copied_pickled_and_taken_apart() -> None:
    """As any frozen value; in it nothing can be changed."""
    found = whole()
    assert copy.deepcopy(found) == pickle.loads(pickle.dumps(found)) == dataclasses.replace(found) == found  # noqa: S301
    assert hash(copy.copy(found)) == hash(found)
    plain = dataclasses.asdict(found)
    assert plain["assets"]["ETH"]["legs"][0]["symbol"] == "ETH/BTC"
    assert json.loads(json.dumps(plain, default=str))["total"] == str(found.total)
    for change in (
        lambda held: held.update(BTC=1),
        lambda held: held.pop("BTC"),
        lambda held: held.clear(),
        lambda held: held.setdefault("X", 1),
        lambda held: held.popitem(),
        lambda held: held.__delitem__("BTC"),
        lambda held: held.__ior__({}),
    ):
        with pytest.raises(TypeError, match="read-only"):
            change(found.assets)


@pytest.mark.parametrize(
    "wrong",
    [
        {"assets": {"BTC": 1}},
        {"assets": {5: None}},
        {"unpriced": {"BTC": "1"}},
        {"reasons": {"BTC": b""}},
        {"assets": {"A": AssetValue(amount=Decimal(1), price=Decimal(1), value=Decimal(1), route=(5,), age=None)}},  # type: ignore[arg-type]
    ],
    ids=["no value", "no name", "no amount", "no reason", "no route"],
)
def test_a_valuation_of_something_else_is_refused(wrong: dict[str, Any]) -> None:
    """It may come from a cache that others write to."""
    with pytest.raises(errors.UsageError, match="of a valuation held"):
        dataclasses.replace(whole(), **wrong)


async def test_prices_are_asked_for_once_a_second() -> None:
    """One request for all tickers, however many assets; the exchange has no cache of its own."""
    async with (
        SimulatedVenue(symbols=["BTC/USDT", "ETH/BTC"]) as venue,
        tu.Cache() as cache,
        tu.Exchange("binance", url=venue.url) as exchange,
    ):
        for _ in range(3):
            told = await fetch_prices(exchange, cache)
            assert told.routes("USDT")["ETH"].legs == ("ETH/BTC", "BTC/USDT")
        assert venue.requests.paths["/api/v3/ticker/24hr"] == 1
        await fetch_prices(exchange)
        assert venue.requests.paths["/api/v3/ticker/24hr"] == 2
    assert told.venue == "binance"
    assert abs(told.time - told.tickers["BTC/USDT"].time) < 60_000  # type: ignore[operator]


async def test_routes_are_found_once_while_the_same_tickers_are_served() -> None:
    """Whoever asks within a second is served the same tickers, each time decoded anew; their ages go on."""
    async with (
        SimulatedVenue(symbols=["BTC/USDT", "ETH/BTC"]) as venue,
        tu.Cache() as cache,
        tu.Exchange("binance", url=venue.url) as exchange,
    ):
        latest = LatestPrices(cache)
        before = await latest.fetch(exchange)
        routes = before.routes("USDT")
        after = await latest.fetch(exchange)
        assert after is not before
        assert after.time >= before.time
        assert after.routes("USDT") is routes
        assert after.routes("BTC") is not routes
        await cache.delete(f"prices:{exchange.origin}")
        venue.clock.step("1m")
        moved = await latest.fetch(exchange)
        assert moved.routes("USDT") is not routes


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"time": NOW + 598_999}, True),  # all are a second old: 10 minutes are not over
        ({"time": NOW + 599_000}, True),
        ({"time": NOW + 599_001}, False),
        ({"time": NOW - 1}, False),
        ({"venue": "okx"}, False),
        ({"markets": {}}, False),
        ({"tickers": {}}, False),
    ],
    ids=["same", "later", "just fresh", "no more fresh", "earlier", "venue", "markets", "tickers"],
)
def test_routes_are_kept_only_where_they_would_be_found_again(changes: dict[str, Any], kept: bool) -> None:
    """That is, while no ticker grows too old for what it was taken for."""
    told = prices(BTC_USDT=60_000.0, ETH_BTC=0.05)
    routes = told.routes("USDT")
    given: dict[str, Any] = {"venue": "binance", "markets": told.markets, "tickers": told.tickers, "time": NOW}
    later = Prices(**given | changes)
    found = told.renewed(later)
    assert found.time == later.time
    assert (found is later) == (not kept)
    if kept:
        assert found.routes("USDT") is routes
        assert dict(routes) == dict(later.routes("USDT"))


def test_routes_are_kept_no_longer_than_their_tickers_are_prices() -> None:
    """Those that take older ones are kept on."""
    told = prices(BTC_USDT=60_000.0)
    short, long = told.routes("USDT", max_age=1.5), told.routes("USDT")
    found = told.renewed(Prices("binance", told.markets, told.tickers, NOW + 501))
    assert found.routes("USDT") is long
    assert "BTC" in short
    assert "BTC" not in found.routes("USDT", max_age=1.5)


@pytest.mark.parametrize("junk", ["hello", None, [1], {"BTC/USDT": 5}], ids=["text", "none", "list", "no tickers"])
async def test_what_is_no_tickers_in_the_cache_prices_nothing(junk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Others write to it as well: the venue is asked then."""
    async with (
        SimulatedVenue(symbols=["BTC/USDT", "ETH/BTC"]) as venue,
        tu.Cache() as cache,
        tu.Exchange("binance", url=venue.url) as exchange,
    ):
        await cache.set(f"prices:{exchange.origin}", junk, ttl=60)
        told = await fetch_prices(exchange, cache)
        assert told.routes("USDT")["ETH"].legs == ("ETH/BTC", "BTC/USDT")
    assert "is no tickers, and is not used" in caplog.text


@pytest.mark.parametrize("quote", [None, 5, ["USDT"]])
def test_a_quote_that_is_no_name_is_refused(quote: Any) -> None:
    """Of ``None`` everything was worth nothing."""
    with pytest.raises(errors.UsageError, match=r'quote was .*; write the code of a currency, as in "USDT"'):
        prices(BTC_USDT=60_000.0).routes(quote)


async def test_a_venue_of_contracts_alone_is_asked_for_no_prices() -> None:
    """What an account there holds has no spot price; the currency it settles in is itself."""
    async with (
        SimulatedVenue(symbols=["BTC/USDT"], linear=["BTC/USDT:USDT"]) as venue,
        tu.Exchange("binanceusdm", url=venue.url) as exchange,
    ):
        told = await fetch_prices(exchange)
        before = sum(venue.requests.paths.values())
        await fetch_prices(exchange)
        assert sum(venue.requests.paths.values()) == before
    found = worth(balance(USDT="5", BTC="1"), told)
    assert (found.total, dict(found.classes)) == (5, {"BTC": "contracts"})


def test_many_accounts_are_valued_as_one_is() -> None:
    """Totals, what has no price, and the whole of one account; an account of nothing among them."""
    told = prices(BTC_USDT=60_000.0, A_USDT=0.1)
    held = {
        "alice": balance("alice", BTC="0.5", A="3", XDROP="7"),
        "bob": balance("bob"),
        "carol": balance("carol", A=AssetBalance(total=Decimal("0.3"), debt=Decimal("0.1")), LDBTC="1"),
        "dave": balance("dave", USDT="0.2"),
    }
    table = value_many(held, "USDT", told.routes("USDT"), NOW)
    assert table.accounts == tuple(held)
    assert table.totals.tolist() == pytest.approx([30_000.3, 0.0, 0.02, 0.2], rel=1e-12)
    assert table.unpriced == {"alice": {"XDROP": 7}, "carol": {"LDBTC": 1}}
    assert table.exact("alice") == worth(held["alice"], told)
    assert (len(table), table.quote, table.time, repr(table)) == (
        4, "USDT", NOW, "<ValuationTable of 4 accounts in USDT>"
    )  # fmt: skip
    assert not table.totals.flags.writeable
    counted = value_many(held, "USDT", told.routes("USDT"), NOW, locked="underlying")
    assert counted.totals[2] == pytest.approx(60_000.02)
    assert counted.unpriced == {"alice": {"XDROP": 7}}
    with pytest.raises(errors.UnknownName, match="alice"):
        table.exact("alicia")


def test_no_accounts_are_a_table_of_none() -> None:
    """And accounts that hold nothing are worth 0."""
    routes = prices(BTC_USDT=1.0).routes("USDT")
    assert value_many({}, "USDT", routes, NOW).totals.tolist() == []
    assert value_many({"a": balance(), "b": balance()}, "USDT", routes, NOW).totals.tolist() == [0.0, 0.0]


def test_holdings_read_only_what_is_new() -> None:
    """A balance that is the same object is not read again; one that left is forgotten; a table made before stays."""
    routes = prices(BTC_USDT=2.0, A_USDT=3.0).routes("USDT")
    first = {"alice": balance("alice", BTC="1"), "bob": balance("bob", BTC="2")}
    holdings = Holdings(first)
    before = value_many(holdings, "USDT", routes, NOW)
    assert holdings.update(first) == 0
    assert holdings.update({"bob": balance("bob", A="1"), "carol": balance("carol", BTC="5")}) == 2
    assert (holdings.accounts, holdings.assets, len(holdings)) == (("alice", "bob", "carol"), ("BTC", "A"), 3)
    after = value_many(holdings, "USDT", routes, NOW)
    assert (before.totals.tolist(), after.totals.tolist()) == ([2.0, 4.0], [2.0, 3.0, 10.0])
    assert before.exact("bob").total == 4
    assert before.gross.tolist() == [2.0, 4.0]
    holdings.remove("alice")
    holdings.remove(["bob", "nobody"])
    assert value_many(holdings, "USDT", routes, NOW).totals.tolist() == [10.0]
    assert repr(holdings) == "<Holdings of 1 accounts in 2 assets>"
    with pytest.raises(errors.UsageError, match="dict"):
        holdings.update({"dave": {"BTC": 1}})  # type: ignore[dict-item]


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "1E+180", "1E-180", "1E-999999", "-1E+400"])
def test_amounts_that_no_float_holds_are_valued_in_decimals(amount: str) -> None:
    """They spoil neither their account nor others, and are named where they are no amounts."""
    routes = prices(BTC_USDT=2.0, A_USDT=3.0).routes("USDT")
    held = {"odd": balance("odd", BTC=amount, A="1"), "even": balance("even", BTC="1", A="0")}
    table = value_many(held, "USDT", routes, NOW)
    exact = table.exact("odd")
    assert table.totals.tolist() == [float(exact.total), 2.0]
    assert table.gross.tolist() == [float(exact.total), 2.0]
    assert table.unpriced.get("odd", {}).keys() == exact.unpriced.keys()


def test_routes_made_for_another_venue_name_nothing_as_locked() -> None:
    """Names are read only by the rules of the venue."""
    told = prices(BTC_USDT=1.0)
    routes = Routes("USDT", told.markets, told.tickers)
    assert value(balance(LDBTC="1"), "USDT", routes, NOW, locked="underlying").classes == {"LDBTC": "unlisted"}
