"""Many accounts and venues against the simulated venue: what they share, and what they must not."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import pathlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt.async_support
import pytest
from aiohttp import web
from relays import Relay, relayed
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange import market_tables
from tradeutils.exchange.venues.listing import words_of
from tradeutils.settings import CacheSettings, ExchangeSettings
from tradeutils.sim import Limits, SimulatedAccount, SimulatedVenue

INFO = "/api/v3/exchangeInfo"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
AnswerAs = Callable[[Answer], Awaitable[str]]
SYMBOL = "BTC/USDT"


def holders(count: int) -> list[SimulatedAccount]:
    """Return accounts of the venue that each hold another sum."""
    return [
        SimulatedAccount(name=f"a{i}", key=f"key{i:05}" * 8, secret=f"word{i:04}" * 8, balances={"USDT": 1000 + i})
        for i in range(count)
    ]


def settings_of(url: str, accounts: list[SimulatedAccount], **exchange: Any) -> tu.Settings:
    """Return settings with these accounts on Binance at ``url``."""
    return tu.Settings(
        exchanges={"binance": ExchangeSettings(url=url, **exchange)},
        accounts={
            one.name: tu.Account(
                name=one.name, exchange="binance", credentials=tu.Credentials(key=one.key, secret=one.secret)
            )
            for one in accounts
        },
    )


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Ten symbols, and twenty accounts."""
    async with SimulatedVenue("binance", symbols=10, seed=3, accounts=holders(20), limits=Limits.none()) as venue:
        yield venue


@pytest.fixture
async def relay(venue: SimulatedVenue) -> AsyncIterator[Relay]:
    """A server before that venue."""
    async with relayed(venue.url) as relay:
        yield relay


@pytest.fixture
async def aiohttp_answers() -> AsyncIterator[AnswerAs]:
    """Start a server that answers as it is told to."""
    runners: list[web.AppRunner] = []

    async def start(answer: Answer) -> str:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runners.append(web.AppRunner(application, access_log=None, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return "http://{}:{}".format(*runners[-1].addresses[0][:2])

    yield start
    for runner in runners:
        await runner.cleanup()


def open_all(venue: SimulatedVenue, **options: Any) -> tu.Exchanges:
    """Return the exchanges of every account of a venue, with a budget of their own."""
    return tu.Exchanges(settings_of(venue.url, list(venue.accounts)), **{"budget": LocalBudget(), **options})


def loads(venue: SimulatedVenue) -> int:
    """Return how often the venue was asked what it lists."""
    return venue.requests.paths.get(INFO, 0)


async def test_two_hundred_accounts_load_the_markets_once() -> None:
    """All at once, and every one of them has the same table, down to the objects in ccxt."""
    async with SimulatedVenue("binance", symbols=5, accounts=holders(200), limits=Limits.none()) as venue:
        async with open_all(venue) as exchanges:
            opened = [exchanges.account(name) for name in exchanges.accounts]
            tables = await asyncio.gather(*(one.load_markets() for one in opened))
            assert loads(venue) == 1
            assert all(table == tables[0] for table in tables)
            inside = [one._venue._ccxt for one in opened]  # type: ignore[attr-defined]
            assert all(one.markets is inside[0].markets for one in inside)
            assert all(one.markets_by_id is inside[0].markets_by_id for one in inside)
        assert venue.requests.rejected == 0


async def test_every_account_signs_with_its_own_key_over_shared_connections(
    venue: SimulatedVenue, relay: Relay
) -> None:
    """Balances asked for at once are each account's own, and no key signs for another."""
    accounts = list(venue.accounts)
    async with tu.Exchanges(settings_of(relay.url, accounts), budget=LocalBudget()) as exchanges:
        for _ in range(3):
            found = await asyncio.gather(*(exchanges.account(one.name).fetch_balance() for one in accounts))
            assert [balance.account for balance in found] == [one.name for one in accounts]
            assert [balance["USDT"].total for balance in found] == [1000 + i for i in range(20)]
    signed = [key for path, key in relay.seen if path == "/api/v3/account"]
    assert sorted(signed) == sorted([one.key for one in accounts] * 3)
    assert {key for path, key in relay.seen if path in (INFO, "/api/v3/time")} == {""}
    assert relay.count("/api/v3/time") == 5  # one clock for all of them
    assert len(relay.connections) <= 20 + 3  # not one more for the later rounds


async def test_no_cookie_comes_back_with_the_request_of_another(venue: SimulatedVenue, relay: Relay) -> None:
    """The venue sets one with every answer."""
    async with tu.Exchanges(settings_of(relay.url, list(venue.accounts)), budget=LocalBudget()) as exchanges:
        for name in ("a1", "a2", "a1"):
            await exchanges.account(name).fetch_balance()
        await exchanges["binance"].fetch_ticker(SYMBOL)
    assert len(relay.seen) > 5
    assert relay.cookies == []


async def test_they_are_found_by_name_and_opened_once(venue: SimulatedVenue) -> None:
    """Asked for twice it is one object; opening sends nothing."""
    async with open_all(venue) as exchanges:
        assert exchanges.accounts[:2] == ("a0", "a1")
        assert exchanges.venues == ("binance",)
        assert "binance" in exchanges
        assert "kraken" not in exchanges
        mine, theirs = exchanges.account("a1"), exchanges.account("a2")
        assert exchanges.account("a1") is mine is not theirs
        assert exchanges["binance"] is exchanges["binance"]
        assert mine.account is not None
        assert (mine.account.name, exchanges["binance"].account) == ("a1", None)
        assert exchanges["kraken"].venue == "kraken"  # not in the settings: as it comes
        assert list(exchanges) == ["binance", "kraken"]
        assert len(exchanges) == 2
        assert repr(exchanges) == "<Exchanges of 20 accounts on binance, kraken>"
    assert venue.requests.paths == {}


async def test_one_that_was_closed_by_itself_is_opened_anew(venue: SimulatedVenue) -> None:
    """Neither the others nor what they share end with it."""
    async with open_all(venue) as exchanges:
        first = exchanges.account("a1")
        async with first:
            await first.load_markets()
        with pytest.raises(errors.Closed):
            await first.fetch_balance()
        second = exchanges.account("a1")
        assert second is not first
        assert (await second.fetch_balance())["USDT"].total == 1001
        assert (await exchanges.account("a2").fetch_balance())["USDT"].total == 1002
        assert loads(venue) == 1


@pytest.mark.parametrize("name", ["binanse", "", None, 3, ["binance"]])
async def test_a_name_that_there_is_not_is_refused_with_the_nearest(venue: SimulatedVenue, name: Any) -> None:
    """Of venues and of accounts, whatever was given."""
    async with open_all(venue) as exchanges:
        with pytest.raises(errors.UnknownName, match="venue was"):
            exchanges[name]
        with pytest.raises(errors.UnknownName, match="account was"):
            exchanges.account(name)
        with pytest.raises(errors.UnknownName, match="did you mean a1"):
            exchanges.account("A1")
        assert name not in exchanges


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"settings": {"accounts": {}}}, "settings was a dict"),
        ({"cache": "redis://user:word@localhost"}, "cache was a str"),
        ({"budget": LocalBudget}, "budget was the class LocalBudget"),
        ({"retries": -1}, "retries was -1"),
        ({"deadline": 0}, "deadline was 0"),
    ],
)
def test_what_is_handed_in_wrongly_is_said(given: dict[str, Any], words: str) -> None:
    """At once, and without what may be secret."""
    with pytest.raises(errors.UsageError, match=words) as caught:
        tu.Exchanges(**{"settings": tu.Settings(), **given})
    assert "word@" not in str(caught.value)


async def test_an_account_that_is_refused_disturbs_no_other(venue: SimulatedVenue) -> None:
    """A key that the venue does not know, and one of another venue's: the rest go on."""
    settings = settings_of(venue.url, [*venue.accounts, SimulatedAccount(name="x", key="x" * 64, secret="y" * 64)])
    async with tu.Exchanges(settings, budget=LocalBudget()) as exchanges:
        outcomes = await asyncio.gather(
            *(exchanges.account(name).fetch_balance() for name in exchanges.accounts), return_exceptions=True
        )
        failed = [name for name, one in zip(exchanges.accounts, outcomes, strict=True) if isinstance(one, Exception)]
        assert failed == ["x"]
        assert isinstance(outcomes[-1], errors.AuthenticationFailed)
        assert SYMBOL in await exchanges.account("x").load_markets()  # what anybody may ask, it may


async def test_a_venue_that_is_away_is_told_to_each_who_waits(venue: SimulatedVenue) -> None:
    """Each has an error of its own, after one load, and the next call loads again."""
    venue.faults.add("status", status=503, path=INFO)
    async with open_all(venue, retries=0) as exchanges:
        calls = [exchanges.account(f"a{i}").load_markets() for i in range(10)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, errors.TransientVenueError) for one in outcomes)
        assert len({id(one) for one in outcomes}) == 10
        assert [fault["struck"] for fault in venue.faults.describe()] == [1]
        venue.faults.clear()
        assert SYMBOL in await exchanges.account("a0").load_markets()


async def test_who_is_cancelled_while_the_markets_load_takes_no_other_along(venue: SimulatedVenue) -> None:
    """Not even the one for whom the load was begun."""
    venue.faults.add("latency", seconds=0.2, path=INFO)
    async with open_all(venue) as exchanges:
        first = asyncio.create_task(exchanges.account("a0").load_markets())
        second = asyncio.create_task(exchanges.account("a1").load_markets())
        await asyncio.sleep(0.05)
        first.cancel()
        assert SYMBOL in await second
        assert first.cancelled()
        assert loads(venue) == 1


async def test_origins_that_differ_have_tables_of_their_own(venue: SimulatedVenue) -> None:
    """Options may change what a venue lists, and so may asking for ``info``."""
    credentials = tu.Credentials(key=venue.accounts[0].key, secret=venue.accounts[0].secret)
    options = {"fetchMarkets": {"types": ["spot"]}}
    own = tu.Account(name="own", exchange="binance", credentials=credentials, options=options)
    settings = settings_of(venue.url, list(venue.accounts[:1]))
    settings = tu.Settings(exchanges=settings.exchanges, accounts={**settings.accounts, "own": own})
    async with tu.Exchanges(settings, budget=LocalBudget()) as exchanges:
        await exchanges.account("a0").load_markets()
        markets = await exchanges.account("own").load_markets()
        assert {market.type for market in markets.values()} == {"spot"}
        assert loads(venue) == 2
        assert exchanges.account("own").origin != exchanges.account("a0").origin


async def test_a_venue_that_lists_for_accounts_only_lists_for_each(aiohttp_answers: AnswerAs) -> None:
    """Alpaca signs even that: each account has a table of its own, which no cache sees."""
    seen: list[str] = []

    async def alpaca(request: web.Request) -> web.StreamResponse:
        key = request.headers.get("APCA-API-KEY-ID", "nobody")
        seen.append(key)
        asset = {"id": "1", "class": "crypto", "status": "active", "tradable": True, "min_order_size": "0.001"}
        symbols = ["BTC/USD", "ETH/USD"] if key == "one" else ["BTC/USD"]
        return web.json_response([{**asset, "symbol": symbol, "name": symbol} for symbol in symbols])

    url = await aiohttp_answers(alpaca)
    settings = tu.Settings(
        exchanges={"alpaca": ExchangeSettings(url=url)},
        accounts={
            name: tu.Account(name=name, exchange="alpaca", credentials=tu.Credentials(key=name, secret="word"))
            for name in ("one", "two")
        },
    )
    async with tu.Cache() as cache, tu.Exchanges(settings, cache=cache, budget=LocalBudget(), retries=0) as exchanges:
        for _ in range(2):
            assert list(await exchanges.account("one").load_markets()) == ["BTC/USD", "ETH/USD"]
            assert list(await exchanges.account("two").load_markets()) == ["BTC/USD"]
        assert sorted(seen) == ["one", "two"]
        with pytest.raises(errors.AuthenticationFailed):
            await exchanges["alpaca"].load_markets()
        await exchanges.account("one").load_markets(reload=True)
        assert sorted(seen) == ["one", "one", "two"]
        assert [key async for key in cache.scan()] == []


async def test_markets_keep_what_the_venue_said_only_where_asked(venue: SimulatedVenue) -> None:
    """The filters, which ccxt reads while it makes markets, are gone; what its orders look at is kept."""
    async with open_all(venue) as lean, open_all(venue, info=True) as full:
        own, whole = await lean["binance"].load_markets(), await full["binance"].load_markets()
        assert own[SYMBOL].info is None
        said = whole[SYMBOL].info
        assert isinstance(said, tu.Info)
        assert said["filters"]
        kept = lean["binance"]._venue._ccxt.markets[SYMBOL]["info"]  # type: ignore[attr-defined]
        assert kept["orderTypes"]
        assert "filters" not in kept


async def test_ccxt_has_the_same_table_as_from_its_own_load(venue: SimulatedVenue) -> None:
    """But for ``info``: markets, ids, symbols, currencies and codes, from the venue as from the cache."""
    async with tu.Cache() as cache:
        async with tu.Exchange("binance", url=venue.url, cache=cache) as loaded:
            await loaded.load_markets()
            ours = loaded._venue._ccxt  # type: ignore[attr-defined]
            async with tu.Exchange("binance", url=venue.url, cache=cache) as read:
                assert await read.load_markets() == await loaded.load_markets()
                again = read._venue._ccxt  # type: ignore[attr-defined]
        assert loads(venue) == 1
        config = {"number": ours.number, "urls": {"api": ours.urls["api"]}, "enableRateLimit": False}
        options = {"fetchCurrencies": False, "fetchMargins": False}
        theirs = ccxt.async_support.binance({**config, "options": options})
        try:
            await theirs.load_markets()
        finally:
            await theirs.close()

    def bare(market: dict[str, Any]) -> dict[str, Any]:
        return {**market, "info": None}

    for one in (ours, again):
        assert {symbol: bare(market) for symbol, market in one.markets.items()} == {
            symbol: bare(market) for symbol, market in theirs.markets.items()
        }
        assert {name: [market["symbol"] for market in found] for name, found in one.markets_by_id.items()} == {
            name: [market["symbol"] for market in found] for name, found in theirs.markets_by_id.items()
        }
        for name in ("symbols", "ids", "currencies", "currencies_by_id", "codes", "baseCurrencies", "quoteCurrencies"):
            assert getattr(one, name) == getattr(theirs, name), name


async def test_kraken_finds_its_own_names_in_a_cached_table() -> None:
    """Its class keeps them among its options, which another instance does not load again."""
    async with SimulatedVenue("kraken", symbols=5, limits=Limits.none()) as venue, tu.Cache() as cache:
        found: list[tuple[Any, list[tu.Trade]]] = []
        for loads in (2, 1):  # the first loads it twice, and the second reads what it has left
            quick = ExchangeSettings(rate_limit_ms=1)
            async with tu.Exchange(
                "kraken", url=venue.url, cache=cache, budget=LocalBudget(), settings=quick
            ) as exchange:
                for load in range(loads):
                    await exchange.load_markets(reload=load > 0)
                trades = await exchange.fetch_trades(SYMBOL, limit=5)
                found.append((exchange._venue._ccxt, trades))  # type: ignore[attr-defined]
        (first, before), (second, after) = found
        assert before == after
        assert second.options["marketsByAltname"] == first.options["marketsByAltname"] != {}
        assert venue.requests.paths["/0/public/AssetPairs"] == 2


def test_what_any_class_of_ccxt_reads_of_a_market_is_kept() -> None:
    """Every name that follows ``market['info']`` in the source of any class is among the words that are kept."""
    reads = re.compile(r"""(?:market\w*|currency)\[['"]info['"]\](?:, ?|\[)['"](\w+)['"]""")
    folder = pathlib.Path(ccxt.async_support.__file__).parent
    found = 0
    for name in ccxt.async_support.exchanges:
        words = words_of(getattr(ccxt.async_support, name))
        assert name != "binance" or "filters" not in words  # the largest part of what Binance says of a market
        read = set(reads.findall((folder / f"{name}.py").read_text(encoding="utf-8")))
        assert read <= words, name
        found += len(read)
    assert found > 20


# The cache


_OTHER = """
import asyncio, sys
import tradeutils as tu

async def main():
    async with tu.Cache(sys.argv[1], timeout=5.0) as cache:
        async with tu.Exchange("binance", url=sys.argv[2], cache=cache, budget=tu.LocalBudget()) as exchange:
            print(len(await exchange.load_markets()))

asyncio.run(main())
"""


async def test_another_process_starts_without_asking(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """It finds the table where the first has left it; two at once ask the venue once between them."""

    async def other() -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", _OTHER, valkey.url, venue.url,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        told, _ = await process.communicate()
        return process.returncode or 0, told

    outcomes = await asyncio.gather(*(other() for _ in range(2)))
    assert {code for code, _ in outcomes} == {0}, outcomes
    assert loads(venue) == 1
    async with tu.Cache(valkey.url) as cache, open_all(venue, cache=cache) as exchanges:
        assert {int(told) for _, told in outcomes} == {len(await exchanges.account("a0").load_markets())}
        await exchanges["binance"].fetch_ticker(SYMBOL)
        assert loads(venue) == 1
    with valkey.client() as client:
        [name] = [key for key in client.scan_iter("*:markets:*") if b"{" not in key] or [None]
        assert name is None or ccxt.__version__.encode() in name


async def _table_key(cache: tu.Cache) -> str:
    [key] = [key async for key in cache.scan("binance") if ":markets:" in key]
    return key


async def test_the_cached_table_is_of_this_version_of_ccxt(venue: SimulatedVenue) -> None:
    """Another version may make other markets of the same reply."""
    async with tu.Cache() as cache, open_all(venue, cache=cache) as exchanges:
        await exchanges["binance"].load_markets()
        assert (await _table_key(cache)).endswith(f":markets:1:{ccxt.__version__}")


@pytest.mark.parametrize("foreign", [b"", b"\x78\x01\xff", "text", {"markets": {}}, None, 7])
async def test_a_damaged_or_foreign_table_is_passed_over(
    venue: SimulatedVenue, foreign: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The venue is asked instead, once, and what lies there is replaced."""
    async with tu.Cache() as cache:
        async with open_all(venue, cache=cache) as exchanges:
            markets = await exchanges["binance"].load_markets()
            key = await _table_key(cache)
            good = await cache.get(key)
        for bad in (foreign, good[:-9], good[: len(good) // 2] + good):
            await cache.set(key, bad)
            venue.requests.clear()
            caplog.clear()
            async with open_all(venue, cache=cache) as exchanges:
                assert await exchanges["binance"].load_markets() == markets
                assert loads(venue) == 1
            assert "no market table" in caplog.text
            async with open_all(venue, cache=cache) as exchanges:
                assert await exchanges["binance"].load_markets() == markets
                assert loads(venue) == 1


async def test_a_cache_of_the_settings_is_opened_and_closed_with_them(
    venue: SimulatedVenue, valkey: ValkeyServer
) -> None:
    """Their budget is then the one of all processes on that Redis."""
    given = settings_of(venue.url, list(venue.accounts))
    cache = CacheSettings(url=valkey.url, namespace="bots", timeout=1.0)
    settings = tu.Settings(cache=cache, exchanges=given.exchanges, accounts=given.accounts)
    async with tu.Exchanges(settings) as exchanges:
        await exchanges.account("a0").fetch_balance()
        assert repr(exchanges.cache).endswith("namespace='bots')")
        with valkey.client() as client:
            keys = [key.decode() for key in client.scan_iter("*")]
        assert any("bots" in key and "markets" in key for key in keys)
        assert any("weight" in key or "budget" in key for key in keys), keys
    with pytest.raises(errors.Closed):
        await exchanges.cache.get("k")
    assert "a0" not in "".join(keys)


# Renewal


@pytest.fixture
async def larger() -> AsyncIterator[SimulatedVenue]:
    """The same venue after it has listed two more symbols."""
    async with SimulatedVenue("binance", symbols=12, seed=3, accounts=holders(20), limits=Limits.none()) as venue:
        yield venue


async def newcomers(relay: Relay, exchanges: tu.Exchanges, larger: SimulatedVenue) -> set[str]:
    """Let the venue list more, and return which symbols the exchanges do not know yet."""
    known = set(await exchanges["binance"].load_markets())
    relay.target = larger.url
    async with tu.Exchange("binance", url=larger.url, budget=LocalBudget()) as other:
        return set(await other.load_markets()) - known


async def test_a_reload_reaches_everybody(relay: Relay, larger: SimulatedVenue, valkey: ValkeyServer) -> None:
    """Of these exchanges at once, and others on the same cache when they open."""
    async with tu.Cache(valkey.url) as cache:
        options: dict[str, Any] = {"cache": cache, "budget": LocalBudget()}
        settings = settings_of(relay.url, list(larger.accounts))
        async with tu.Exchanges(settings, **options) as exchanges:
            new = await newcomers(relay, exchanges, larger)
            assert new
            mine = exchanges.account("a1")
            assert not new & set(await mine.load_markets())
            await exchanges["binance"].load_markets(reload=True)
            assert new <= set(await mine.load_markets())
            assert (await mine.fetch_ticker(min(new))).symbol == min(new)
            assert relay.count(INFO) == 2
            async with tu.Exchanges(settings, **options) as others:
                assert new <= set(await others.account("a2").load_markets())
            assert relay.count(INFO) == 2


async def test_reloads_at_once_are_one(venue: SimulatedVenue) -> None:
    """Whoever asks while it is under way waits for it."""
    async with open_all(venue) as exchanges:
        await exchanges["binance"].load_markets()
        await asyncio.gather(*(exchanges.account(f"a{i}").load_markets(reload=True) for i in range(20)))
        assert loads(venue) == 2


async def test_a_symbol_listed_since_is_found_by_looking_again_at_most_once_a_minute(
    relay: Relay, larger: SimulatedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is misspelt does not become a load for each call, however many call at once."""
    async with tu.Exchanges(settings_of(relay.url, list(larger.accounts)), budget=LocalBudget()) as exchanges:
        new = sorted(await newcomers(relay, exchanges, larger))
        with pytest.raises(errors.BadSymbol):
            await exchanges.account("a1").fetch_ticker(new[0])  # the table is younger than a minute
        assert relay.count(INFO) == 1
        monkeypatch.setattr(market_tables, "EARLY_S", 0.2)
        await asyncio.sleep(0.2)
        wanted = [exchanges.account(f"a{i}").fetch_ticker(new[i % 2]) for i in range(10)]
        assert {ticker.symbol for ticker in await asyncio.gather(*wanted)} == set(new[:2])
        assert relay.count(INFO) == 2
        await asyncio.sleep(0.2)
        relay.target = "http://127.0.0.1:1"  # away: the old table stays, and the symbol is what is complained of
        with pytest.raises(errors.BadSymbol, match="BTC/USDT"):
            await exchanges["binance"].fetch_ticker("BTCC/USDT")
        assert (await exchanges["binance"].load_markets())[SYMBOL]


async def test_an_old_table_serves_while_it_is_renewed_beside(
    relay: Relay, larger: SimulatedVenue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for it; one renewal that fails keeps the old table, says so, and is tried again."""
    monkeypatch.setattr(market_tables, "LASTS_S", 0.3)
    monkeypatch.setattr(market_tables, "_RETRY_S", 0.1)
    async with tu.Exchanges(
        settings_of(relay.url, list(larger.accounts)), budget=LocalBudget(), retries=0
    ) as exchanges:
        new = await newcomers(relay, exchanges, larger)
        relay.target, away = "http://127.0.0.1:1", relay.target
        await asyncio.sleep(0.4)
        with caplog.at_level(logging.WARNING):
            assert not new & set(await exchanges["binance"].load_markets())
            async with asyncio.timeout(5):
                while "could not be renewed" not in caplog.text:  # noqa: ASYNC110  # a log rings no bell
                    await asyncio.sleep(0.02)
        assert not new & set(await exchanges["binance"].load_markets())
        relay.target = away
        async with asyncio.timeout(5):
            while not new <= set(await exchanges["binance"].load_markets()):  # noqa: ASYNC110  # nor does a table
                await asyncio.sleep(0.02)


async def test_a_newer_table_of_another_process_spares_the_request(
    venue: SimulatedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that share a cache and grow old together, one asks."""
    monkeypatch.setattr(market_tables, "LASTS_S", 0.5)
    monkeypatch.setattr(market_tables, "_RETRY_S", 0.3)
    async with tu.Cache() as cache, open_all(venue, cache=cache) as one, open_all(venue, cache=cache) as other:
        await one["binance"].load_markets()
        await other["binance"].load_markets()
        assert loads(venue) == 1
        before = other["binance"]._venue._table._kept  # type: ignore[attr-defined]
        await one["binance"].load_markets(reload=True)
        await asyncio.sleep(0.6)
        async with asyncio.timeout(5):
            while other["binance"]._venue._table._kept is before:  # type: ignore[attr-defined]
                await other["binance"].load_markets()
                await asyncio.sleep(0.01)
        assert loads(venue) <= 3


async def test_a_venue_that_lists_nothing_replaces_no_table(
    venue: SimulatedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    """Some answer so in maintenance."""
    async with tu.Cache() as cache, open_all(venue, cache=cache, retries=0) as exchanges:
        nothing = json.dumps({"symbols": []})
        for path in (INFO, "/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo"):
            venue.faults.add("status", status=200, body=nothing, path=path)
        assert await exchanges["binance"].load_markets() == {}
        assert [key async for key in cache.scan()] == []
        venue.faults.clear()
        markets = await exchanges["binance"].load_markets()
        for path in (INFO, "/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo"):
            venue.faults.add("status", status=200, body=nothing, path=path)
        with pytest.raises(errors.BadReply, match="listed no market"):
            await exchanges["binance"].load_markets(reload=True)
        assert await exchanges["binance"].load_markets() == markets


# With others


async def test_balances_of_all_accounts(venue: SimulatedVenue) -> None:
    """`Balances` takes them as they are."""
    async with open_all(venue) as exchanges:
        balances = tu.Balances(exchanges, cache=exchanges.cache)
        assert balances.accounts == exchanges.accounts
        totals = await balances.totals("USDT")
        assert [total.total for total in totals.values()] == [1000 + i for i in range(20)]
        assert loads(venue) == 1


async def test_settings_from_a_file_open_what_they_say(venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """Host, options and keys; a venue of which they say nothing is opened as it comes."""
    holder = venue.accounts[4]
    file = tmp_path / "tradeutils.toml"
    file.write_text(
        f'[exchanges.binance]\nurl = "{venue.url}"\nrate_limit_ms = 1\n'
        f'[accounts.alice]\nexchange = "binance"\nkey = "{holder.key}"\nsecret = "{holder.secret}"\n'
    )
    file.chmod(0o600)
    async with tu.Exchanges(tu.Settings.load(file, environ={})) as exchanges:
        assert (await exchanges.account("alice").fetch_balance())["USDT"].total == 1004
        assert venue.url.removeprefix("http://") in exchanges["binance"].origin
    gc.collect()


async def test_keys_of_a_vault_are_fetched_whenever_an_account_is_opened(venue: SimulatedVenue) -> None:
    """A key that was wrong once is right once the vault has another."""
    [holder, *_] = holders(1)
    words = iter(["x" * 64, holder.secret])
    asked: list[str] = []

    def vault(name: str) -> tu.Credentials:
        asked.append(name)
        return tu.Credentials(key=holder.key, secret=next(words))

    settings = tu.Settings(
        exchanges={"binance": ExchangeSettings(url=venue.url)},
        accounts={"a0": tu.Account(name="a0", exchange="binance", vault=vault)},
    )
    async with tu.Exchanges(settings) as exchanges:
        assert asked == []
        with pytest.raises(errors.AuthenticationFailed):
            await exchanges.account("a0").fetch_balance()
        await exchanges.account("a0").aclose()
        balance = await exchanges.account("a0").fetch_balance()
    assert balance["USDT"].total == 1000
    assert asked == ["a0", "a0"]
