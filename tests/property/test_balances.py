"""Laws of valuation."""

from __future__ import annotations

import functools
import itertools
import pickle
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tradeutils import codec
from tradeutils.balances.assets import Listing
from tradeutils.balances.routes import MAX_LEGS, Routes, routes_to
from tradeutils.balances.valuation import value
from tradeutils.model import AssetBalance, Balance, Market, Ticker

ASSETS = ("A", "B", "C", "D", "LDA", "USDT")
# To 18 decimals and 1e12 units, dust of one wei and debts.
amounts = st.decimals(min_value=0, max_value=10**12, places=18, allow_nan=False, allow_infinity=False)
dust = st.sampled_from((Decimal("1e-18"), Decimal(10**12), Decimal("1e12") + Decimal("1e-18"), Decimal("0.1")))
held = st.builds(lambda total, debt: AssetBalance(total=total, debt=debt), amounts | dust, amounts | dust)
prices = st.floats(min_value=1e-9, max_value=1e9, allow_nan=False)
graphs = st.dictionaries(st.sampled_from(("A/USDT", "B/A", "USDT/C", "D/C", "D/B")), prices)


def _balance(assets: dict[str, AssetBalance]) -> Balance:
    return Balance(venue="binance", account="a", time=0, assets=assets)


def _markets(symbols: list[str]) -> dict[str, Market]:
    pairs = [(symbol, *symbol.split("/")) for symbol in symbols]
    return {symbol: Market(symbol=symbol, id=symbol, base=base, quote=quote) for symbol, base, quote in pairs}


def _routes(price: dict[str, float], quote: str = "USDT") -> Routes:
    tickers = {symbol: Ticker(symbol=symbol, last=one) for symbol, one in price.items()}
    return routes_to(quote, _markets(list(price)), tickers, venue="binance")


@given(st.dictionaries(st.sampled_from(ASSETS), held), graphs, st.sampled_from(("unpriced", "underlying")))
def test_the_total_is_the_sum_of_its_parts_and_nothing_is_lost(
    assets: dict[str, AssetBalance], price: dict[str, float], locked: str
) -> None:
    """Every asset is valued or named, with a reason; values add up to the total, each amount times price, exactly."""
    worth = value(_balance(assets), "USDT", _routes(price), 0, locked=locked)  # type: ignore[arg-type]
    assert set(worth.assets) | set(worth.unpriced) == set(assets)
    assert not set(worth.assets) & set(worth.unpriced)
    assert set(worth.unpriced) == set(worth.reasons)
    for asset, amount in itertools.chain(worth.unpriced.items(), ((a, v.amount) for a, v in worth.assets.items())):
        assert Fraction(amount) == Fraction(assets[asset].total) - Fraction(assets[asset].debt)
    for part in worth.assets.values():
        assert Fraction(part.value) == Fraction(part.amount) * Fraction(part.price)
        assert part.route == tuple(leg.symbol for leg in part.legs)
        assert len(part.route) <= MAX_LEGS
    assert Fraction(worth.total) == sum(Fraction(part.value) for part in worth.assets.values())
    assert pickle.loads(pickle.dumps(worth)) == worth  # noqa: S301  # our own bytes
    assert codec.loads(codec.dumps(worth)) == worth


@given(graphs, st.sampled_from(ASSETS))
def test_a_price_is_the_product_of_its_legs(price: dict[str, float], quote: str) -> None:
    """Exactly where every leg is a sale, and to 60 digits where one is a purchase."""
    for asset, route in _routes(price, quote).items():
        exact, here = Fraction(1), asset
        for step in route.steps:
            base, _, counter = step.symbol.partition("/")
            assert step.price == Decimal(repr(price[step.symbol]))
            assert here == (base if step.side == "sell" else counter)
            exact *= Fraction(step.price) if step.side == "sell" else 1 / Fraction(step.price)
            here = counter if step.side == "sell" else base
        assert here == quote
        assert abs(Fraction(route.price) - exact) <= exact / 10**59
        if all(step.side == "sell" for step in route.steps):
            assert Fraction(route.price) == exact


@given(st.dictionaries(st.sampled_from(ASSETS), amounts, min_size=1), prices, st.floats(min_value=1.0, max_value=100.0))
def test_a_higher_price_never_lowers_the_total(totals: dict[str, Decimal], price: float, factor: float) -> None:
    """Without debt, worth rises with the price; of what is owed it falls."""
    for sign, assets in (
        (1, {asset: AssetBalance(total=amount) for asset, amount in totals.items()}),
        (-1, {asset: AssetBalance(debt=amount) for asset, amount in totals.items()}),
    ):
        low = value(_balance(assets), "USDT", _routes({"A/USDT": price}), 0)
        high = value(_balance(assets), "USDT", _routes({"A/USDT": price * factor}), 0)
        assert sign * (high.total - low.total) >= 0


TRUE = {"BTC": 60_000.0, "ETH": 3_000.0, "X": 0.37, "USDC": 0.9995, "EUR": 1.08, "USDT": 1.0}
PAIRS = ("BTC/USDT", "ETH/USDT", "ETH/BTC", "X/USDT", "X/BTC", "X/ETH", "X/USDC", "USDC/USDT", "BTC/EUR", "EUR/USDT")


@given(
    st.lists(st.sampled_from(PAIRS), min_size=1, unique=True),
    st.fixed_dictionaries(dict.fromkeys(PAIRS, st.tuples(st.floats(0, 0.05), st.floats(-1, 1), st.floats(0, 1e9)))),
    st.sampled_from(sorted(TRUE)),
)
def test_any_route_tells_the_same_within_the_spreads(
    listed: list[str], told: dict[str, tuple[float, float, float]], quote: str
) -> None:
    """Where every book encloses the true price, a price is off by no more than the spreads of its legs."""
    markets, tickers, widest = _markets(listed), {}, dict.fromkeys(listed, 0.0)
    for symbol in listed:
        half, where, volume = told[symbol]
        base, _, counter = symbol.partition("/")
        true = TRUE[base] / TRUE[counter]
        bid, ask = true * (1 - half), true * (1 + half)
        tickers[symbol] = Ticker(
            symbol=symbol, bid=bid, ask=ask, last=true * (1 + 3 * where * half), quote_volume=volume
        )
        widest[symbol] = half / (1 - half)
    for asset, route in routes_to(quote, markets, tickers).items():
        allowed = functools.reduce(lambda off, symbol: off * (1 + widest[symbol]), route.legs, 1.0) * (1 + 1e-12)
        ratio = float(route.price) / (TRUE[asset] / TRUE[quote])
        assert 1 / allowed <= ratio <= allowed


@given(st.dictionaries(st.sampled_from(PAIRS), st.tuples(prices, st.floats(0, 1e9)), min_size=1), st.randoms())
def test_routes_do_not_depend_on_the_order_of_markets(told: dict[str, tuple[float, float]], shuffler: object) -> None:
    """The same markets, in any order: the same routes."""
    tickers = {symbol: Ticker(symbol=symbol, last=p, quote_volume=v) for symbol, (p, v) in told.items()}
    symbols = list(tickers)
    shuffler.shuffle(symbols)  # type: ignore[attr-defined]
    again = {symbol: tickers[symbol] for symbol in symbols}
    assert dict(routes_to("USDT", _markets(list(told)), tickers)) == dict(routes_to("USDT", _markets(symbols), again))


words = st.text("ABCJLDUPOWNS3.", min_size=1, max_size=7)


@given(st.lists(st.tuples(words, words, st.booleans()), max_size=8), words, st.sampled_from(("binance", "kraken", "x")))
def test_what_has_a_live_market_is_never_taken_for_anything_else(
    pairs: list[tuple[str, str, bool]], asset: str, venue: str
) -> None:
    """Whatever its name; and what it is taken for instead of itself is listed."""
    markets = [
        Market(symbol=f"{base}/{quote}", id="", base=base, quote=quote, active=active) for base, quote, active in pairs
    ]
    listing = Listing({one.symbol: one for one in markets}, venue)
    standing = listing.standing(asset, quoted=False)
    live = any(asset in (one.base, one.quote) for one in listing_of(markets))
    assert live == (standing.kind == "unquoted")
    if standing.underlying is not None:
        assert standing.kind == "locked"
        assert standing.underlying in listing.spot - {asset}
        assert asset not in listing.spot


def listing_of(markets: list[Market]) -> list[Market]:
    """Those that are listed: of one symbol the last, and only live ones."""
    return [one for one in {one.symbol: one for one in markets}.values() if one.active]


def test_a_tenth_and_two_tenths_are_three_tenths() -> None:
    """The float artefact that money must not have."""
    assets = {"A": AssetBalance(total=Decimal("0.1")), "USDT": AssetBalance(total=Decimal("0.2"))}
    assert value(_balance(assets), "USDT", _routes({"A/USDT": 1.0}), 0).total == Decimal("0.3")


def test_a_wei_beside_all_tokens_there_are_is_not_lost() -> None:
    """1e12 units and 1e-18 of another, at prices 18 orders apart: 48 digits, and each of them right."""
    assets = {"A": AssetBalance(total=Decimal(10**12)), "B": AssetBalance(total=Decimal("1e-18"))}
    worth = value(_balance(assets), "USDT", _routes({"A/USDT": 1e9, "B/USDT": 1e-9}), 0)
    assert worth.total == Decimal("1000000000000000000000.000000000000000000000000001")
