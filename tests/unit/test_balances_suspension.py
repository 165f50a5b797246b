"""Which failures suspend an account, for how long, and how it goes on."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import ccxt
import numpy as np
import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.balances.classes import REASONS, failure_of
from tradeutils.balances.events import AccountEvent, EventStream
from tradeutils.balances.standings import key_of
from tradeutils.balances.suspension import Periods, Suspension
from tradeutils.balances.suspensions import Suspensions
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.memory import Memory
from tradeutils.exchange.venues.faults import translate

ORIGIN = "binance@127.0.0.1"
START = 1_750_000_000.0


def account(name: str = "alice", *, key: str = "key-of-alice", secret: str = "secret-of-alice") -> tu.Account:  # noqa: S107  # opens nothing
    return tu.Account(name=name, exchange="binance", credentials=tu.Credentials(key=key, secret=secret))


def refused(text: str = '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}') -> errors.VenueError:
    return errors.AuthenticationFailed(text, venue="binance", operation="fetch_balance")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(cache: tu.Cache | None, clock: Clock, **options: Any) -> Suspensions:
    return Suspensions(cache, clock=clock, rng=lambda: 1.0, **options)


@pytest.fixture
async def cache(valkey: ValkeyServer) -> AsyncIterator[tu.Cache]:
    async with tu.Cache(valkey.url, timeout=5) as opened:
        yield opened


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "tradeutils.balances")
    return caplog


async def call(suspensions: Suspensions, error: BaseException | None = None, who: tu.Account | None = None) -> str:
    """Make a call that fails with ``error``, and tell in a word what became of it."""
    try:
        async with suspensions.attempt(who or account(), ORIGIN):
            if error is not None:
                raise error
    except errors.Suspended:
        return "held back"
    except BaseException as raised:
        if raised is not error:
            raise
        return "failed"
    return "made"


# Classes of failure

BAD, ADDRESS, PERMISSION, FROZEN = REASONS
_DECIDED: dict[str, dict[str | None, str]] = {
    "binance": {
        BAD: "-1022 -1099 -2008 -2014 -2015 -4004 -4056 -4057 100001003",
        ADDRESS: "-1005 -1011",
        PERMISSION: "-1002 -1109 -3001 -4080",
        FROZEN: "-2017 -3022 200003903",
        None: "-1021 -1125 -3014 -3018 -3019 -3036 -3043 -3999 -4007 -4008 -4010 -4012 -4013 -4015 -4016 -4017 -4035 "
        "-4036 -4039 -4044 -4046 -4087 -4088 -4089 -4090 -4192 -4194 -4195 -4200 -4201 -4202 -4203 -4205 -4206 -4400 "
        "-4401 -4402 -4403 -6003 -6017 -10047 -13003 -13007 -18005",
    },
    "bybit": {
        BAD: "-2015 10003 10004 10007 33004",
        ADDRESS: "10010",
        PERMISSION: "10005 10020 10028 100028",
        FROZEN: "10008 10024 10027 131004 170201",
        None: "10002 10009 10029 110065 110067 110068 110069 140065 140067 140068 140069 170224 175010 176035 176036 "
        "176037 30011 30012 30013",
    },
    "kraken": {None: ":Invalid_nonce"},
    "okx": {
        BAD: "50008 50101 50103 50104 50105 50106 50111 50113 50114 60005 60007 60009 60024 60032 4001 4007",
        ADDRESS: "50110",
        FROZEN: "50007 50009 50027 51024 51732 51733 51734 58004 59508",
        None: "50102 50107 50112 51009 51010 51763 51773 58001 58002 58101 58204 58213 59113 59260 59262 60001 60002 "
        "60003 60004 60006 60008 60010 60011 60021 60022 60026 60029 60030 60031 64003",
    },
}
DECIDED = {
    (venue, code.replace("_", " ")): reason
    for venue, of_reason in _DECIDED.items()
    for reason, codes in of_reason.items()
    for code in codes.split()
} | {
    ("binance", "API key does not exist"): BAD,
    ("binance", "You are not authorized to execute self request."): PERMISSION,
    ("binance", "Rest API trading is not enabled."): None,
    ("binance", "This account may not place or cancel orders."): None,
    ("binance", "You don't have permission."): PERMISSION,
    ("binance", "This action is disabled on self account."): FROZEN,
    ("binance", "This symbol is restricted for self account."): None,
    ("binance", "This symbol is not permitted for self account."): None,
    ("binance", "has no operation privilege"): PERMISSION,
    ("bybit", "invalid api_key"): BAD,
    ("bybit", "openapi sign params error!"): BAD,
    ("kraken", "EAPI:Invalid key"): BAD,
    ("kraken", "EGeneral:Permission denied"): PERMISSION,
    ("kraken", "ESession:Invalid session"): None,
    ("kraken", "EAPI:Invalid nonce"): None,
    ("kraken", "ETrade:User Locked"): FROZEN,
}
_BINANCE_HOSTS = {"spot": "api", "linear": "fapi", "inverse": "dapi", "portfolioMargin": "papi"}


def _account_errors() -> Iterator[tuple[str, str, str]]:
    """Yield venue, host and code of every error that ccxt has for keys, permissions, accounts and nonces."""

    def walk(rows: dict[str, Any], part: str) -> Iterator[tuple[str, str]]:
        for code, what in rows.items():
            if isinstance(what, dict):
                yield from walk(what, part or code)
            elif issubclass(what, ccxt.AuthenticationError | ccxt.InvalidNonce):
                yield part, code

    for venue in ("binance", "bybit", "kraken", "okx"):
        for part, code in dict.fromkeys(walk(getattr(ccxt, venue)().exceptions, "")):
            yield venue, _BINANCE_HOSTS.get(part, "www"), code


def said(venue: str, code: str, *, host: str = "api", status: int = 400) -> errors.TradeutilsError:
    """Return our error for what a venue answers, read by ccxt."""
    number = code.lstrip("-").isdigit()
    body: dict[str, Any] = {
        "binance": {"code": int(code), "msg": "words"} if number else {"msg": code},
        "bybit": {"retCode": int(code) if number else 10001, "retMsg": "words" if number else code},
        "kraken": {"error": [code], "result": {}},
        "okx": {"code": code, "msg": "words", "data": []},
    }[venue]
    text = json.dumps(body)
    url = f"https://{host}.{venue}.com/x"
    try:
        getattr(ccxt, venue)().handle_errors(status, "", url, "GET", {}, text, body, {}, "")
    except ccxt.BaseError as error:
        return translate(error, venue=venue, operation="fetch_balance", symbol=None, status=status)
    raise AssertionError(f"ccxt took {body} for no error")


@pytest.mark.parametrize(("venue", "host", "code"), list(_account_errors()))
def test_every_account_error_of_the_four_dialects_is_decided(venue: str, host: str, code: str) -> None:
    """A new code of ccxt fails here until somebody decides whether it is the account's own."""
    failure = failure_of(said(venue, code, host=host))
    assert (None if failure is None else failure.reason) == DECIDED[venue, code]


@pytest.mark.parametrize(
    ("venue", "code", "reason"),
    [
        ("kraken", "EAPI:Invalid signature", BAD),
        ("okx", "50100", FROZEN),
        ("okx", "50119", BAD),
        ("okx", "50120", PERMISSION),
        ("bybit", "10009", None),
        ("bybit", "10006", None),
        ("kraken", "EGeneral:Temporary lockout", None),
        ("kraken", "EService:Unavailable", None),
        ("okx", "50001", None),
        ("binance", "-1000", None),
    ],
)
def test_codes_that_ccxt_has_no_class_for_are_told_apart(venue: str, code: str, reason: str | None) -> None:
    """So are bans of an address, which are no fault of the key that was used."""
    failure = failure_of(said(venue, code))
    assert (None if failure is None else failure.reason) == reason


def test_the_remedy_says_what_the_venue_leaves_open() -> None:
    """Binance has one code for a bad key, a strange address and a missing permission."""
    told = failure_of(refused())
    assert told is not None
    assert told.reason == BAD
    assert "which of three" in told.remedy
    other = failure_of(said("okx", "50101"))
    assert other is not None
    assert "sandbox" in other.remedy
    expired = failure_of(said("bybit", "33004"))
    assert expired is not None
    assert "expired" in expired.remedy


@pytest.mark.parametrize(
    "error",
    [
        errors.VenueTimeout("slow", venue="binance"),
        errors.VenueUnavailable("down", venue="binance"),
        errors.ClockSkew("early", venue="binance"),
        errors.RateLimited("slow down", venue="binance"),
        errors.BadReply("half of it", venue="binance"),
        errors.RequestRefused("no", venue="binance"),
        errors.CacheUnavailable("away"),
        errors.UsageError("wrong"),
        errors.Closed("closed"),
        KeyError("ours"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_of_others_is_never_the_accounts(error: BaseException) -> None:
    """Neither the venue's, nor the cache's, nor our own."""
    assert failure_of(error) is None


@pytest.mark.parametrize("words", ["answered with an HTML page instead of JSON", "GET https://x/y 403 Forbidden"])
def test_what_a_gateway_refuses_is_not_the_accounts(words: str) -> None:
    """A firewall in front of a venue refuses addresses and knows no accounts."""
    assert (
        failure_of(errors.PermissionDenied(f"{words} (HTTP 403)", venue="binance", operation="fetch_balance")) is None
    )


@pytest.mark.parametrize(
    "words",
    ["IP [1.2.3.4] not in the ip white list", "This key does not allow access from this IP.", "Invalid IP"],
)
def test_words_about_an_address_are_understood_on_any_venue(words: str) -> None:
    """Venues that we know no codes of say it in words."""
    told = failure_of(errors.PermissionDenied(words, venue="mexc"))
    assert told is not None
    assert told.reason == ADDRESS


def test_a_group_of_failures_is_judged_by_the_one_that_counts() -> None:
    """A task group raises what several calls raised."""
    group = ExceptionGroup("two", [errors.VenueTimeout("slow"), ExceptionGroup("inner", [refused()])])
    assert failure_of(group) is not None
    assert failure_of(ExceptionGroup("one", [errors.VenueTimeout("slow")])) is None


# Periods


def test_periods_grow_up_to_the_cap() -> None:
    """A minute, 5, 25 and 125 minutes, six hours, and then no longer."""
    whole = Periods(rng=lambda: 1.0)
    assert [whole.length(n) for n in (1, 2, 3, 4, 5, 6, 10**9)] == [60, 300, 1500, 7500, 21_600, 21_600, 21_600]
    assert Periods(rng=lambda: 0.0).length(1) == 45


@pytest.mark.parametrize(
    "options",
    [{"base": 0}, {"base": -1}, {"cap": 1}, {"cap": 1e9}, {"base": float("nan")}, {"cap": True}, {"base": "60"}],
    ids=str,
)
def test_periods_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    """At once, and not when the first key fails."""
    with pytest.raises(errors.UsageError):
        Suspensions(**options)


@pytest.mark.parametrize("options", [{"cache": "redis://"}, {"lease": 0}, {"first_wait": -1}], ids=str)
def test_suspensions_of_nonsense_are_refused(options: dict[str, Any]) -> None:
    """A cache that is none, times that are none."""
    with pytest.raises(errors.UsageError):
        Suspensions(**options)


# Calls


async def test_a_bad_key_is_held_back_until_its_period_ends(clock: Clock) -> None:
    """Then one try is made, and the next period is longer."""
    suspensions = made(None, clock)
    assert await call(suspensions, refused()) == "failed"
    assert await call(suspensions) == "held back"
    clock.now += 59.9
    assert await call(suspensions) == "held back"
    clock.now += 0.2
    assert await call(suspensions, refused()) == "failed"
    clock.now += 299
    assert await call(suspensions) == "held back"
    clock.now += 2
    assert await call(suspensions) == "made"
    assert suspensions.get("alice") is None
    assert await call(suspensions, refused()) == "failed"
    assert suspensions.get("alice") is not None
    clock.now += 61  # it was good between, so the first period again
    assert await call(suspensions) == "made"


async def test_the_error_says_why_until_when_and_what_to_do(clock: Clock) -> None:
    """It is raised to whoever calls for the account."""
    suspensions = made(None, clock)
    await call(suspensions, refused())
    with pytest.raises(errors.Suspended) as raised:
        async with suspensions.attempt(account(), ORIGIN):
            raise AssertionError("a call was let through")
    assert (raised.value.account, raised.value.reason, raised.value.retry_after) == ("alice", BAD, 60.0)
    text = str(raised.value)
    assert "alice on binance is suspended (bad key) until 2025-06-15 15:07:40 UTC, after 1 failure" in text
    assert "-2015" in text
    assert "which of three" in text
    assert "resume('alice')" in text
    told = suspensions.get("alice")
    assert told is not None
    assert (told.account, told.venue, told.reason, told.failures) == ("alice", "binance", BAD, 1)
    assert told.until - told.since == 60_000
    assert told.retry_after == 0.0  # by this machine's clock it is long over


@pytest.mark.parametrize(
    "error", [errors.VenueTimeout("slow"), errors.RateLimited("slow down"), KeyError("ours")], ids=repr
)
async def test_trouble_costs_an_account_nothing(clock: Clock, error: Exception) -> None:
    """Not before it was ever good, not after, and not while it is probed."""
    suspensions = made(None, clock)
    assert [await call(suspensions, error), await call(suspensions)] == ["failed", "made"]
    assert [await call(suspensions, error), await call(suspensions)] == ["failed", "made"]
    await call(suspensions, refused())
    clock.now += 61
    assert await call(suspensions, error) == "failed"
    told = suspensions.get("alice")
    assert told is not None
    assert told.failures == 1
    assert await call(suspensions) == "made"  # the next is a try too, at once


async def test_a_cancelled_probe_is_no_failure(clock: Clock) -> None:
    """Its turn goes to the next call."""
    suspensions = made(None, clock)
    await call(suspensions, refused())
    clock.now += 61
    inside = asyncio.Event()

    async def stuck() -> None:
        async with suspensions.attempt(account(), ORIGIN):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await inside.wait()
    assert await call(suspensions) == "held back"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await call(suspensions) == "made"


async def test_only_one_of_many_calls_is_the_probe(clock: Clock, cache: tu.Cache) -> None:
    """The rest are told to ask again in a second."""
    suspensions = made(cache, clock)
    await call(suspensions, refused())
    clock.now += 61
    others = made(cache, clock)

    async def slow(which: Suspensions) -> str:
        try:
            async with which.attempt(account(), ORIGIN):
                await asyncio.sleep(0.2)
                raise refused()
        except errors.Suspended as held:
            return f"held back for {held.retry_after}"
        except errors.AuthenticationFailed:
            return "failed"

    outcomes = await asyncio.gather(*(slow(which) for which in (suspensions, others) for _ in range(10)))
    assert sorted(outcomes) == ["failed"] + ["held back for 1.0"] * 19
    assert sum(which.stats()["alice"].probes for which in (suspensions, others)) == 1


async def test_of_the_first_calls_one_goes_ahead(clock: Clock, cache: tu.Cache) -> None:
    """A key of which nothing is known is tried once, whoever asks; the others wait for what comes of it."""
    which = [made(cache, clock), made(cache, clock), made(None, clock)]
    tried: list[int] = []

    async def first(number: int, bad: bool) -> str:
        try:
            async with which[number % 2].attempt(account("bad" if bad else "good"), ORIGIN):
                tried.append(number)
                await asyncio.sleep(0.05)
                if bad:
                    raise refused()
        except errors.Suspended:
            return "held back"
        except errors.AuthenticationFailed:
            return "failed"
        return "made"

    outcomes = await asyncio.gather(*(first(number, True) for number in range(10)))
    assert sorted(outcomes) == ["failed"] + ["held back"] * 9
    assert len(tried) == 1
    assert await asyncio.gather(*(first(number, False) for number in range(10))) == ["made"] * 10


async def test_nobody_waits_for_a_slow_first_call_for_long(clock: Clock, cache: tu.Cache) -> None:
    """Nothing speaks against the key yet."""
    suspensions = made(cache, clock, first_wait=0.05)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with suspensions.attempt(account(), ORIGIN):
            inside.set()
            await go_on.wait()

    task = asyncio.create_task(slow())
    await inside.wait()
    assert await call(suspensions) == "made"
    assert await call(made(cache, clock, first_wait=0.05)) == "made"
    go_on.set()
    await task


class Stubborn(Memory):
    """A store whose leases are slow, or not to be had."""

    def __init__(self, *, slow: bool) -> None:
        super().__init__()
        self.slow = slow
        self.asked = asyncio.Event()
        self.renewals = 0

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        granted = await super().acquire(name, token, ttl)
        self.asked.set()
        if self.slow:
            await asyncio.sleep(60)
        if not granted:
            return False
        await super().release(name, token)
        raise errors.CacheUnavailable("away")

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        self.renewals += 1
        raise errors.CacheUnavailable("away")


async def test_a_call_that_is_cancelled_while_it_asks_for_its_turn_leaves_none_behind(clock: Clock) -> None:
    """The store may have granted it before the answer was dropped."""
    store = Stubborn(slow=True)
    async with tu.Cache(store) as slow:
        task = asyncio.create_task(call(made(slow, clock)))
        await store.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    key = Keyspace("tu").lock(key_of(account(), ORIGIN))
    assert await Memory.acquire(store, key, b"another", 1000)


class Overtaken(Memory):
    """A store that answers a wish for a lease only after something else has happened."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], Awaitable[object]] | None = None

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        before, self.before = self.before, None
        if before is not None:
            await before()
        return await super().acquire(name, token, ttl)


async def test_a_turn_that_comes_late_is_not_used(clock: Clock) -> None:
    """Between the look and the lease another process may have tried, failed and given the lease back."""
    store = Overtaken()
    async with tu.Cache(store) as cache:
        here, there = made(cache, clock), made(cache, clock)
        await call(here, refused())
        clock.now += 61
        store.before = lambda: call(there, refused())
        assert await call(here, refused()) == "held back"
        assert (await here.get_all())["alice"].failures == 2
        store.before = None
        clock.now += 301
        assert await call(here) == "made"  # the lease was not left behind


async def test_leases_that_cannot_be_had_or_renewed_stop_nobody(clock: Clock) -> None:
    """Each process then tries by itself, once at a time."""
    store = Stubborn(slow=False)
    async with tu.Cache(store) as cache:
        suspensions = made(cache, clock, lease=0.01)
        async with suspensions.attempt(account(), ORIGIN), asyncio.timeout(20):
            while store.renewals < 2:  # noqa: ASYNC110  # counted in a method that is awaited
                await asyncio.sleep(0.005)
        assert await call(suspensions, refused()) == "failed"
        clock.now += 61
        assert await call(suspensions) == "made"


async def test_without_a_cache_all_is_known_here(clock: Clock) -> None:
    """The same questions have answers."""
    suspensions = made(None, clock)
    assert await suspensions.get_all() == {}
    await call(suspensions, refused())
    async with suspensions.attempt(account(), f"{ORIGIN} margin"):
        pass
    assert (await suspensions.get_all()).keys() == {"alice"}
    assert suspensions.stats()["alice"].attempts == 2  # over both origins
    found = suspensions.get("alice")
    assert found is not None
    assert found.origin == ORIGIN


async def test_failures_of_one_moment_count_once(clock: Clock, cache: tu.Cache) -> None:
    """A key that is withdrawn while fifty calls are under way has failed once, not fifty times."""
    here, there = made(cache, clock), made(cache, clock)
    assert [await call(here), await call(there)] == ["made", "made"]
    go_on = asyncio.Event()

    async def under_way(which: Suspensions) -> None:
        async with which.attempt(account(), ORIGIN):
            await go_on.wait()
            raise refused()

    calls = [asyncio.create_task(under_way(which)) for which in (here, there) for _ in range(25)]
    await asyncio.sleep(0.1)
    go_on.set()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in done} == {errors.AuthenticationFailed}
    told = (await here.get_all())["alice"]
    assert told.failures == 1
    assert (await there.get_all())["alice"] == told


async def test_a_success_that_began_before_a_failure_does_not_undo_it(clock: Clock) -> None:
    """Its answer is older news."""
    suspensions = made(None, clock)
    assert await call(suspensions) == "made"
    go_on = asyncio.Event()

    async def early() -> None:
        async with suspensions.attempt(account(), ORIGIN):
            await go_on.wait()

    task = asyncio.create_task(early())
    await asyncio.sleep(0)
    clock.now += 1
    await call(suspensions, refused())
    go_on.set()
    await task
    assert suspensions.get("alice") is not None


# Who shares what


async def test_a_restart_does_not_try_at_once(clock: Clock, cache: tu.Cache) -> None:
    """What one process learnt, the next one knows."""
    await call(made(cache, clock), refused())
    later = made(cache, clock)
    assert await call(later) == "held back"
    told = later.get("alice")
    assert told is not None
    assert told.reason == BAD
    assert "-2015" in told.message
    clock.now += 61
    assert await call(later, refused()) == "failed"
    assert (await made_and_known(cache, clock).get_all())["alice"].failures == 2


def made_and_known(cache: tu.Cache | None, clock: Clock) -> Suspensions:
    suspensions = made(cache, clock)
    suspensions.know(account(), ORIGIN)
    return suspensions


async def test_another_key_starts_anew_at_once(clock: Clock, cache: tu.Cache) -> None:
    """So do another secret, another name, and another origin."""
    suspensions = made(cache, clock)
    await call(suspensions, refused())
    assert await call(suspensions, who=account(secret="another-secret")) == "made"
    assert suspensions.get("alice") is None
    assert await call(suspensions, who=account(key="another-key")) == "made"
    assert await call(suspensions, who=account("bob")) == "made"
    async with suspensions.attempt(account(), "binance@elsewhere"):
        pass
    assert await call(suspensions) == "held back"  # the old key is still what it was


async def test_nothing_of_a_key_is_stored(clock: Clock, valkey: ValkeyServer, cache: tu.Cache) -> None:
    """Neither in the cache's keys nor in its values, in no spelling; and equal keys look unlike."""
    who = account(key="Planted0Key1234567890", secret="Planted0Secret1234567890")
    await call(made(cache, clock), refused(), who)
    with valkey.client() as client:
        stored = [part for key in client.scan_iter() for part in (key, client.get(key) or b"")]
    assert any(b"bad key" in part for part in stored)
    assert not any(b"Planted" in part or b"UGxhbnRlZ" in part for part in stored)
    twin = account("bob", key="Planted0Key1234567890", secret="Planted0Secret1234567890")
    assert key_of(who, ORIGIN) != key_of(twin, ORIGIN)
    assert key_of(who, ORIGIN) == key_of(
        account(key="Planted0Key1234567890", secret="Planted0Secret1234567890"), ORIGIN
    )


async def test_moving_text_between_credentials_changes_the_digest() -> None:
    """Parts are framed: a key and a secret cannot run into each other."""
    assert key_of(account(key="ab", secret="c"), ORIGIN) != key_of(account(key="a", secret="bc"), ORIGIN)
    only_password = tu.Account(name="alice", exchange="binance", credentials=tu.Credentials(password="ab"))
    only_key = tu.Account(name="alice", exchange="binance", credentials=tu.Credentials(key="ab"))
    assert key_of(only_password, ORIGIN) != key_of(only_key, ORIGIN)


GOOD = {"is": "tradeutils.suspension", "version": 1, "account": "alice", "venue": "binance", "kind": "suspended"}
GOOD |= {"at": 1, "since": 1, "until": 10**12 * 2, "failures": 1, "reason": "bad key", "message": "m", "remedy": "r"}
HOSTILE = {
    "text": "suspended",
    "number": 7,
    "none": None,
    "list": [GOOD],
    "array": np.zeros(4),
    "mark is an array": GOOD | {"is": np.zeros(3)},
    "other version": GOOD | {"version": 2},
    "other account": GOOD | {"account": "bob"},
    "other venue": GOOD | {"venue": np.array(["binance", "okx"])},
    "no kind": GOOD | {"kind": "friendly"},
    "time is text": GOOD | {"at": "1"},
    "time is true": GOOD | {"at": True},
    "from the future": GOOD | {"kind": "good", "at": int(START * 1000) + 10**9},
    "never ends": GOOD | {"until": 2**62},
    "ends in a month": GOOD | {"until": int(START * 1000) + 30 * 86_400_000},
    "no failures": GOOD | {"failures": 0},
    "huge failures": GOOD | {"failures": 2**60},
    "other reason": GOOD | {"reason": "disliked"},
    "words are bytes": GOOD | {"message": b"m"},
    "words are endless": GOOD | {"remedy": "x" * 10_000},
    "no end": {name: value for name, value in GOOD.items() if name != "until"},
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
async def test_content_of_others_never_stops_an_account(
    clock: Clock, cache: tu.Cache, warned: pytest.LogCaptureFixture, content: object
) -> None:
    """Whatever lies under its key is ignored with a warning, and replaced by what is true."""
    await cache.set(key_of(account(), ORIGIN), content)
    suspensions = made(cache, clock)
    assert await call(suspensions) == "made"
    assert any("not used" in record.message for record in warned.records) == (content is not None)
    warned.clear()
    assert await call(made(cache, clock)) == "made"
    assert not warned.records


async def test_bytes_of_others_never_stop_an_account(
    clock: Clock, valkey: ValkeyServer, cache: tu.Cache, warned: pytest.LogCaptureFixture
) -> None:
    """The same for what no codec can read, among many accounts too."""
    with valkey.client() as client:
        client.set(f"tu:value:{key_of(account(), ORIGIN)}", b"\x80\x04rubbish", px=60_000)
    suspensions = made(cache, clock)
    suspensions.know(account(), ORIGIN)
    suspensions.know(account("bob"), ORIGIN)
    assert await suspensions.get_all() == {}
    assert await call(suspensions) == "made"
    assert any("cannot be read" in record.message for record in warned.records)


async def test_words_from_the_cache_are_shown_clean(clock: Clock, cache: tu.Cache) -> None:
    """They may have been written by anybody: no line ends, no cursor movements, no signatures."""
    told = GOOD | {"at": 5, "until": int(START * 1000) + 1000, "message": "a\x1b[2Jb\nsignature=deadbeef"}
    await cache.set(key_of(account(), ORIGIN), told)
    suspensions = made_and_known(cache, clock)
    shown = (await suspensions.get_all())["alice"].message
    assert shown == "a [2Jb signature=***"


async def test_what_the_cache_forgot_is_told_again(clock: Clock, valkey: ValkeyServer, cache: tu.Cache) -> None:
    """A cache may evict anything: that an account is suspended is not lost with it."""
    suspensions = made(cache, clock)
    await call(suspensions, refused())
    with valkey.client() as client:
        client.flushall()
    assert await call(suspensions) == "held back"
    assert await call(made(cache, clock)) == "held back"


async def test_clocks_that_differ_do_not_undo_each_other(clock: Clock, cache: tu.Cache) -> None:
    """What is newer is told by what was read before, not by the clock alone."""
    ahead = Clock()
    ahead.now += 30
    here, there = made(cache, clock), made(cache, ahead)
    assert [await call(there), await call(here, refused())] == ["made", "failed"]
    assert await call(there) == "held back"


# What a person does


async def test_resume_lets_the_next_call_through_everywhere(clock: Clock, cache: tu.Cache) -> None:
    """It is not awaited, holds here at once, and elsewhere from the next call on."""
    here, there = made(cache, clock), made(cache, clock)
    await call(here, refused())
    assert await call(there) == "held back"
    here.resume("alice")
    assert here.get("alice") is None
    assert await call(here) == "made"
    assert await call(there) == "made"


async def test_resume_can_be_awaited_until_it_is_shared(clock: Clock, cache: tu.Cache) -> None:
    """As often as one likes; the key is tried once more, and if it still fails, suspended for the first period."""
    here, there = made(cache, clock), made_and_known(cache, clock)
    await call(here, refused())
    clock.now += 61
    await call(here, refused())
    resumed = here.resume(account())
    await resumed
    await resumed
    assert await there.get_all() == {}
    assert await call(there, refused()) == "failed"
    assert (await here.get_all())["alice"].failures == 1


def test_resume_works_without_a_loop(clock: Clock, valkey: ValkeyServer) -> None:
    """It is told to the others with the next call, and nothing is left that was never awaited."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        suspensions = Suspensions(None, clock=clock)
        asyncio.run(_suspend(suspensions))
        suspensions.resume("alice")
        gc.collect()
        assert suspensions.get("alice") is None
        assert asyncio.run(call(suspensions)) == "made"

    async def first() -> Suspensions:
        async with tu.Cache(valkey.url, timeout=5) as cache:
            shared = made(cache, clock)
            await call(shared, refused())
        return shared

    async def second() -> list[str]:
        async with tu.Cache(valkey.url, timeout=5) as cache:
            return [await call(made(cache, clock))]

    asyncio.run(first())
    cache = tu.Cache(valkey.url, timeout=5)
    offline = made(cache, clock)
    offline.know(account(), ORIGIN)
    offline.resume("alice")
    assert asyncio.run(second()) == ["held back"]

    clock.now -= 30  # and this machine's clock is behind

    async def flush() -> None:
        assert await offline.get_all() == {}
        await cache.aclose()

    asyncio.run(flush())
    assert asyncio.run(second()) == ["made"]

    async def third() -> None:
        async with tu.Cache(valkey.url, timeout=5) as cache:
            await call(made(cache, clock), refused())

    clock.now += 61
    asyncio.run(third())
    cache = tu.Cache(valkey.url, timeout=5)
    offline = made(cache, clock)
    offline.know(account(), ORIGIN)
    clock.now += 1
    resumed = offline.resume("alice")

    async def awaited() -> None:
        await resumed
        await cache.aclose()

    asyncio.run(awaited())
    assert asyncio.run(second()) == ["made"]


async def _suspend(suspensions: Suspensions) -> None:
    await call(suspensions, refused())


async def test_a_call_that_was_under_way_does_not_undo_a_resume(clock: Clock) -> None:
    """The address was added to the list after it was sent."""
    suspensions = made(None, clock)
    assert await call(suspensions) == "made"
    go_on = asyncio.Event()

    async def early() -> None:
        async with suspensions.attempt(account(), ORIGIN):
            await go_on.wait()
            raise refused()

    task = asyncio.create_task(early())
    await asyncio.sleep(0)
    suspensions.resume("alice")
    go_on.set()
    with pytest.raises(errors.AuthenticationFailed):
        await task
    assert suspensions.get("alice") is None


async def test_unknown_names_are_refused(clock: Clock) -> None:
    """The nearest one is named."""
    suspensions = made_and_known(None, clock)
    assert suspensions.get("alice") is None
    for ask in (suspensions.get, suspensions.resume):
        with pytest.raises(errors.UnknownName, match="alice"):
            ask("alise")
    for wrong in ("alice", None):
        with pytest.raises(errors.UsageError):
            suspensions.know(wrong, ORIGIN)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError):
        suspensions.know(account(), "")


# Events and counts


async def test_events_tell_what_happened_in_order(clock: Clock, cache: tu.Cache) -> None:
    """Here, and elsewhere as it is learnt."""
    here, there = made(cache, clock), made(cache, clock)
    seen: list[AccountEvent] = []
    end = here.subscribe(seen.append)
    stream = there.events()
    await call(here, refused())
    clock.now += 61
    await call(here, refused())
    await call(there)
    clock.now += 301
    await call(here)
    await call(there)
    here.resume("alice")
    assert [(event.kind, event.here) for event in seen] == [
        ("suspended", True),
        ("probing", True),
        ("extended", True),
        ("probing", True),
        ("resumed", True),
    ]
    assert [event.suspension.failures for event in seen if event.suspension] == [1, 1, 2, 2, 2]
    end()
    end()
    await call(here, refused())
    assert len(seen) == 5
    stream.close()
    assert [(event.kind, event.here) async for event in stream] == [("suspended", False), ("resumed", False)]


async def test_a_listener_that_fails_stops_nothing(clock: Clock, warned: pytest.LogCaptureFixture) -> None:
    """Its error is logged, and the next listener hears all the same."""
    suspensions, seen = made(None, clock), []

    def broken(event: AccountEvent) -> None:
        raise ZeroDivisionError(event.account)

    suspensions.subscribe(broken)
    suspensions.subscribe(seen.append)
    assert await call(suspensions, refused()) == "failed"
    assert [event.kind for event in seen] == ["suspended"]
    assert any("a listener failed" in record.message for record in warned.records)
    with pytest.raises(errors.UsageError):
        suspensions.subscribe("nothing")  # type: ignore[arg-type]


async def test_a_slow_reader_loses_the_oldest_and_is_told() -> None:
    """Memory stays bounded; one that waits is woken."""
    stream = EventStream()
    event = AccountEvent(kind="resumed", account="a", venue="v", suspension=None, time=0, here=True)
    for _ in range(1005):
        stream.add(event)
    assert stream.dropped == 5
    stream.close()
    stream.add(event)
    assert len([one async for one in stream]) == 1000
    waiting = EventStream()
    reading = asyncio.create_task(anext(waiting))
    await asyncio.sleep(0)
    waiting.add(event)
    assert await reading is event


async def test_counts_of_each_account(clock: Clock) -> None:
    """What was let through, what failed and how, and what was held back."""
    suspensions = made(None, clock)
    await call(suspensions)
    await call(suspensions, errors.VenueTimeout("slow"))
    await call(suspensions, KeyError("ours"))
    await call(suspensions, refused())
    await call(suspensions)
    clock.now += 61
    await call(suspensions, refused())
    await call(suspensions, who=account("bob"))
    found = suspensions.stats()
    alice = found["alice"]
    assert (alice.attempts, alice.held_back, alice.suspensions, alice.probes) == (5, 1, 2, 1)
    assert alice.failures == {"VenueTimeout": 1, "other": 1, "AuthenticationFailed": 2}
    assert alice.suspension is not None
    assert (found["bob"].attempts, found["bob"].suspension) == (1, None)
    assert repr(suspensions) == "<Suspensions of 1 of 2 accounts>"


def test_a_suspension_says_how_often() -> None:
    """For people to read."""
    told = Suspension(
        account="a", venue="v", reason="permission", message="m", remedy="do", since=0, until=0, failures=3
    )
    assert str(told) == "a on v is suspended (permission) until 1970-01-01 00:00:00 UTC, after 3 failures: m; do"
