"""An asset without a price is named for what it is, and never by its name alone."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Iterable, Mapping

import pytest

from tradeutils.balances.assets import Listing, locked_underlying
from tradeutils.model import Market

COINS = ("BTC", "ETH", "ETH2", "ADA", "DOT", "ATOM", "C98", "XRP", "T", "J", "HT", "1INCH", "USDT", "EUR")


def market(symbol: str, *, active: bool = True, kind: str = "spot", settle: str | None = None) -> Market:
    base, quote = symbol.split("/")
    return Market(symbol=symbol, id=base + quote, base=base, quote=quote, active=active, type=kind, settle=settle)  # type: ignore[arg-type]


def listing(*markets: Market, venue: str | None = "binance", coins: Iterable[str] = COINS) -> Listing:
    """A venue that lists the coins for USD, and these markets."""
    listed = [*(market(f"{coin}/USD") for coin in coins), *markets]
    return Listing({one.symbol: one for one in listed}, venue)


def kind(asset: str, *markets: Market, venue: str | None = "binance") -> str:
    return listing(*markets, venue=venue).standing(asset, quoted=False).kind


@pytest.mark.parametrize(
    ("venue", "asset", "underlying"),
    [
        ("binance", "LDBTC", "BTC"),
        ("binance", "LDUSDT", "USDT"),
        ("binanceus", "LDETH", "ETH"),
        ("kraken", "DOT.S", "DOT"),
        ("kraken", "ATOM21.S", "ATOM"),
        ("kraken", "C98.S", "C98"),
        ("kraken", "BTC.M", "BTC"),
        ("kraken", "XBT.M", "BTC"),
        ("kraken", "XXRP.F", "XRP"),
        ("kraken", "USDT.F", "USDT"),
        ("kraken", "ETH.B", "ETH"),
        ("kraken", "ETH2.S", "ETH2"),
        ("kraken", "DOT.P", "DOT"),
        ("kraken", "EUR.HOLD", "EUR"),
        ("kraken", "ZEUR.HOLD", "EUR"),
    ],
)
def test_what_is_locked_is_known_by_what_it_stands_for(venue: str, asset: str, underlying: str) -> None:
    """As Binance and Kraken name what is in their earning products."""
    standing = listing(venue=venue).standing(asset, quoted=False)
    assert (standing.kind, standing.underlying) == ("locked", underlying)
    assert underlying in standing.reason


def test_krakens_first_staked_ether_is_ether() -> None:
    """ETH2.S is ETH where the venue lists no ETH2."""
    assert locked_underlying("ETH2.S", "kraken", {"ETH", "USD"}) == "ETH"


@pytest.mark.parametrize(
    ("venue", "asset"),
    [
        ("binance", "LDO"),  # a coin; so is O, but it is not listed
        ("binance", "LD"),
        ("binance", "LDSHIB2"),
        ("binance", "LDBAKET"),
        ("binance", "DOT.S"),
        ("kraken", "LDBTC"),
        ("kraken", "TSLA.T"),
        ("kraken", "AAPLX.S"),
        ("kraken", ".S"),
        ("bybit", "LDBTC"),
        ("okx", "DOT.S"),
        (None, "LDBTC"),
    ],
)
def test_what_is_not_listed_is_not_guessed_at(venue: str | None, asset: str) -> None:
    """Another venue's way of naming, or a name whose rest the venue does not list."""
    assert kind(asset, venue=venue) == "unlisted"


@pytest.mark.parametrize(
    "asset", ["BTCUP", "BTCDOWN", "ETHBULL", "ADABEAR", "1INCHUP", "BTC3L", "BTC5S", "HT3S", "ETH1S"]
)
def test_leveraged_tokens_are_known_by_what_they_follow(asset: str) -> None:
    """Delisted or never listed: what is told is that it is one."""
    assert kind(asset) == kind(asset, venue="gate") == "leveraged"
    assert kind(asset, market(f"{asset}/USD", active=False)) == "leveraged"


@pytest.mark.parametrize(
    "asset",
    ["JUP", "SYRUP", "PUMP", "SETUP", "TUP", "BULL", "UP", "3L", "T3L", "BTC6L", "BTC3X", "DOWN", "btcup", "XBTCUP"],
)
def test_coins_that_only_look_like_leveraged_tokens_are_none(asset: str) -> None:
    """T and J are listed coins, and too short to be followed by a token."""
    assert kind(asset) == "unlisted"


@pytest.mark.parametrize("asset", ["LDBTC", "BTCUP", "ETH3L", "JUP", "DOT.S", "NEW"])
@pytest.mark.parametrize("venue", ["binance", "kraken", "gate"])
def test_an_asset_with_a_live_market_is_never_reclassified(asset: str, venue: str) -> None:
    """It is what it says, and only its price is missing."""
    live = market(f"{asset}/USD")
    assert kind(asset, live, venue=venue) == "unquoted"
    assert listing(live, venue=venue).standing(asset, quoted=True).kind == "unreachable"
    assert kind("NEW", market("BTC/NEW"), venue=venue) == "unquoted"


def test_an_asset_is_delisted_only_where_it_was_listed() -> None:
    """All markets closed, contracts alone, or nothing at all."""
    closed = market("OLD/USD", active=False)
    swap = market("PERP/USD", kind="swap", settle="COIN")
    found = {asset: kind(asset, closed, swap) for asset in ("OLD", "PERP", "COIN", "XDROP")}
    assert found == {"OLD": "delisted", "PERP": "contracts", "COIN": "contracts", "XDROP": "unlisted"}
    assert kind("LDOLD", closed) == "locked"
    assert kind("LDPERP", closed, swap) == "unlisted"


def _bases(recordings: pathlib.Path) -> Mapping[str, set[str]]:
    """Return Binance's assets of October 2021 by what their markets permit."""
    text = gzip.decompress((recordings / "cryptofeed" / "BINANCE.0.gz").read_bytes()).decode()
    reply = json.loads(text.splitlines()[0].partition(" -> ")[2].partition(": ")[2])
    found: dict[str, set[str]] = {}
    for row in reply["symbols"]:
        found.setdefault(row["baseAsset"], set()).update(row["permissions"] or ["NONE"])
        found.setdefault(row["quoteAsset"], set()).add("SPOT")
    return found


@pytest.mark.recordings
def test_binance_says_the_same_of_its_leveraged_tokens(recordings: pathlib.Path) -> None:
    """All that it permits as such, and beside them only the tokens of FTX, among 500 assets; none passes for locked."""
    permits = _bases(recordings)
    markets = [market(f"{asset}/X", active=False) for asset in permits]
    venue = Listing({one.symbol: one for one in markets}, "binance")
    kinds = {asset: venue.standing(asset, quoted=False).kind for asset in permits}
    leveraged = {asset for asset, told in permits.items() if told == {"LEVERAGED"}}
    found = {asset for asset, one in kinds.items() if one == "leveraged"}
    assert len(leveraged) == 40
    assert found - leveraged == {f"{coin}{way}" for coin in ("BNB", "EOS", "ETH", "XRP") for way in ("BULL", "BEAR")}
    assert leveraged <= found
    assert set(kinds.values()) == {"leveraged", "delisted"}
    assert all(venue.standing(f"LD{asset}", quoted=False).underlying == asset for asset in permits)


@pytest.mark.recordings
def test_gate_lists_coins_that_end_like_tokens(recordings: pathlib.Path) -> None:
    """Of 843 assets every one of a number and L or S follows a listed coin; SUP is a coin."""
    text = gzip.decompress((recordings / "cryptofeed" / "GATEIO.0.gz").read_bytes()).decode()
    pairs = json.loads(text.splitlines()[0].partition(" -> ")[2].partition(": ")[2])
    closed = {row["id"]: market(f"{row['base']}/{row['quote']}", active=False) for row in pairs}
    venue = Listing(closed, "gate")
    found = {asset for asset in venue.spot if venue.standing(asset, quoted=False).kind == "leveraged"}
    numbered = {asset for asset in venue.spot if asset[-2:] in ("3L", "3S", "5L", "5S")}
    assert len(numbered) > 100
    assert found - numbered == {f"{coin}{way}" for coin in ("BTC", "EOS", "ETH", "XRP") for way in ("BULL", "BEAR")}
    assert not {"SUP", "BULL", "BEAR"} & found
    assert {asset for asset in numbered - found if asset[:-2] in venue.spot} == set()
