"""Locks and leases of a server that was held up: what it grants to somebody who has left is given back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.cache.doubts import Doubts
from tradeutils.cache.locks import Lock
from tradeutils.cache.redis import Redis
from tradeutils.errors import CacheError, CacheUnavailable, Closed


async def mine() -> str:
    """Return at once."""
    return "mine"


async def lies(server: ValkeyServer, name: str) -> bool:
    """Tell whether something lies under a name."""
    async with tu.Cache(server.url, timeout=20) as cache:
        return not await cache.backend.acquire(name, b"free", 1)


async def until_free(server: ValkeyServer, name: str) -> None:
    """Wait until a name is free, for far less than the ttl of what lies there."""
    async with asyncio.timeout(20):
        while await lies(server, name):  # noqa: ASYNC110  # another process has no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("frozen", [0.3, 1.4])
async def test_lock_granted_to_somebody_who_has_left_is_given_back(own_valkey: ValkeyServer, frozen: float) -> None:
    """On the same connection after a short freeze, on a new one after a long one; not at the end of its ttl."""
    async with tu.Cache(own_valkey.url, timeout=0.1) as cache:
        await cache.get("warm")
        own_valkey.freeze()
        with pytest.raises(CacheUnavailable):
            await cache.lock("name", ttl=600).__aenter__()
        await asyncio.sleep(frozen)
        own_valkey.thaw()
        await until_free(own_valkey, "tu:lock:name")
        assert cache.backend._doubts._open == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("ask", ["lock", "lease"])
async def test_grant_whose_reply_was_lost_is_given_back(valkey: ValkeyServer, proxy: Proxy, ask: str) -> None:
    """The connection breaks between the grant and the news of it."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.get("warm")
        proxy.change = lambda _: None
        with pytest.raises(CacheUnavailable):
            await (
                cache.backend.acquire_fenced("tu:lock:k", "tu:fence:k", b"token", 600_000)
                if ask == "lock"
                else cache.backend.claim("tu:value:k", "tu:lock:k", "tu:epoch", b"token", 600_000)
            )
        assert await lies(valkey, "tu:lock:k")
        proxy.change = lambda reply: reply
        await until_free(valkey, "tu:lock:k")


async def test_lease_whose_first_look_is_lost_is_given_back(valkey: ValkeyServer, proxy: Proxy) -> None:
    """It was granted, and the connection breaks before it is known what lies there."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.get("warm")

        def second(_: bytes) -> None:
            proxy.change = lambda reply: reply

        def first(reply: bytes) -> bytes:
            proxy.change = second
            return reply

        proxy.change = first
        with pytest.raises(CacheUnavailable):
            await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"token", 600_000)
        await until_free(valkey, "tu:lease:k")


async def test_writes_that_are_held_up_leave_no_lease_behind(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLIENT PAUSE WRITE lets the look at the value through, and holds up the claim; nobody waits for it afterwards."""
    monkeypatch.setattr("tradeutils.cache.flights._LEASE_MS", 120_000)
    async with tu.Cache(own_valkey.url, timeout=0.1) as cache, tu.Cache(own_valkey.url, timeout=20) as other:
        await cache.get("warm")
        await other.get("warm")
        with own_valkey.client() as client:
            client.client_pause(400, all=False)
        assert await cache.get_or_fetch("k", mine, ttl=60) == "mine"
        await until_free(own_valkey, "tu:lease:k")


async def test_caller_who_is_cancelled_while_asking_leaves_no_grant_behind(valkey: ValkeyServer, proxy: Proxy) -> None:
    """His release follows on the same connection."""
    async with tu.Cache(proxy.url, timeout=5) as cache:
        await cache.get("warm")
        proxy.delay = 0.1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"token", 600_000)
        await until_free(valkey, "tu:lease:k")


async def test_cache_that_is_closed_gives_nothing_back(own_valkey: ValkeyServer) -> None:
    """Closing does not wait for a server that is away, and leaves no task."""
    cache = tu.Cache(own_valkey.url, timeout=0.1)
    await cache.get("warm")
    own_valkey.freeze()
    with pytest.raises(CacheUnavailable):
        await cache.lock("name", ttl=600).__aenter__()
    await cache.aclose()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_lease_given_back_for_a_while_is_not_prolonged_any_more(
    valkey: ValkeyServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever renewed it while the fetch ran has stopped before the pause after a failure is set."""

    async def fail() -> str:
        proxy.delay = 0.2  # an answer comes after the lease would have been renewed again
        raise LookupError("venue")

    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.get_or_fetch("k", mine, ttl=0.001, stale=60)
        await asyncio.sleep(0.01)
        monkeypatch.setattr("tradeutils.cache.flights._LEASE_MS", 150)
        monkeypatch.setattr("tradeutils.cache.flights._REFRESH_PAUSE_MS", 60_000)
        assert await cache.get_or_fetch("k", fail, ttl=60, stale=60) == "mine"
        while (await cache.stats()).errors == 0:  # noqa: ASYNC110  # what fails in the background has no event
            await asyncio.sleep(0.01)
    with valkey.client() as client:
        left = client.pttl("tu:lease:k")
    assert isinstance(left, int)
    assert left > 1000


async def test_fetch_outlives_the_store_it_was_for(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that its owner closes meanwhile is no reason to lose what was fetched, and leaves no failed task."""
    monkeypatch.setattr("tradeutils.cache.flights._LEASE_MS", 60)
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    backend = Redis(valkey.url, timeout=5)
    cache = tu.Cache(backend)

    async def fetch() -> str:
        await backend.aclose()
        await asyncio.sleep(0.05)
        return "fetched"

    assert await cache.get_or_fetch("k", fetch, ttl=60) == "fetched"
    assert (await cache.stats()).errors == 1
    await cache.aclose()
    gc.collect()
    assert told == []


async def test_user_who_may_run_no_scripts_is_held_up_by_no_lease_of_his_own(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing he fetches can be stored, which is logged once; but his leases go, and whoever waited is woken."""
    monkeypatch.setattr("tradeutils.cache.flights._LEASE_MS", 120_000)
    with valkey.client() as client:
        client.acl_setuser("plain", enabled=True, nopass=True, commands=["+@all", "-@scripting"], keys=["*"])
    url = f"redis://plain:any@127.0.0.1:{valkey.port}/0"

    async def fetch() -> str:
        await asyncio.sleep(0.05)
        return "mine"

    async with tu.Cache(url, timeout=5) as cache, tu.Cache(url, timeout=5) as other, asyncio.timeout(20):
        for one in (cache, cache, other):
            assert await one.get_or_fetch("k", fetch, ttl=60) == "mine"
        assert await asyncio.gather(*(one.get_or_fetch("j", fetch, ttl=60) for one in (cache, other))) == ["mine"] * 2
        assert await cache.get("k") is None
        assert (await cache.stats()).errors >= 3
    with valkey.client() as client:
        client.acl_deluser("plain")
    assert [record.message.count("NOPERM") for record in caplog.records] == [1, 1]  # one for each cache


@pytest.mark.parametrize("what", ["held", "asked for"])
async def test_lock_of_who_is_cancelled_together_with_its_cache_is_given_back(
    valkey: ValkeyServer, proxy: Proxy, what: str
) -> None:
    """As when all tasks of a program are told to end: the cache waits for a moment before it closes."""

    async def keep(cache: tu.Cache, begun: asyncio.Event) -> None:
        async with cache.lock("name", ttl=600):
            begun.set()
            await asyncio.sleep(60)

    async def run() -> None:
        async with tu.Cache(proxy.url, timeout=5) as cache:
            await cache.get("warm")
            proxy.delay = 0.0 if what == "held" else 0.2
            begun = asyncio.Event()
            keeping = asyncio.create_task(keep(cache, begun))
            tasks.append(keeping)
            await (begun.wait() if what == "held" else asyncio.sleep(0.05))
            begins.set()
            await asyncio.sleep(60)

    begins, tasks = asyncio.Event(), list[asyncio.Task[None]]()
    tasks.append(asyncio.create_task(run()))
    await begins.wait()
    assert await lies(valkey, "tu:lock:name")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await until_free(valkey, "tu:lock:name")


async def test_background_fetch_that_is_cut_off_by_closing_leaves_no_pause_behind(valkey: ValkeyServer) -> None:
    """It did not fail, so the next process may begin at once."""
    begun = asyncio.Event()

    async def fetch() -> str:
        begun.set()
        await asyncio.sleep(60)
        raise AssertionError

    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.get_or_fetch("k", mine, ttl=0.001, stale=60)
        await asyncio.sleep(0.01)
        assert await cache.get_or_fetch("k", fetch, ttl=60, stale=60) == "mine"
        await begun.wait()
    assert not await lies(valkey, "tu:lease:k")


async def test_whoever_waits_for_a_cache_that_is_closed_is_told_so(valkey: ValkeyServer) -> None:
    """At whatever moment: before there is a connection, in the turn in which it is made, or after; no task is left."""
    for turns in range(30):
        cache = tu.Cache(valkey.url, timeout=5)
        asked = [asyncio.create_task(cache.get("k")), asyncio.create_task(cache.lock("k", ttl=60).__aenter__())]
        for _ in range(turns):
            await asyncio.sleep(0)
        await cache.aclose()
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(error) for error in errors} <= {Closed, type(None), Lock}, turns
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_nonsense_in_place_of_a_grant_is_an_error(proxy: Proxy) -> None:
    """A number is nobody's token; the fetch goes on without a lease."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.get("warm")
        proxy.change = lambda _: b":4000000000000\r\n"
        with pytest.raises(CacheError, match="something else than a value"):
            await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"token", 60_000)


class Answers:
    """A store that answers requests to release with these, in turn."""

    def __init__(self, *outcomes: type[Exception] | None) -> None:
        self.left = list(outcomes)
        self.released: list[str] = []

    async def release(self, name: str, token: bytes) -> bool:
        """Answer."""
        self.released.append(name)
        outcome = self.left.pop(0)
        if outcome is not None:
            raise outcome("told")
        return True


async def unanswered() -> bool:
    """Be a request that nobody answers."""
    raise CacheUnavailable("told")


@pytest.fixture
def doubts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Doubts, Answers]]:
    """Return what makes doubts about a store that answers like this."""
    monkeypatch.setattr("tradeutils.cache.doubts._PAUSE", 0.002)

    def make(*outcomes: type[Exception] | None, away: bool = False) -> tuple[Doubts, Answers]:
        answers = Answers(*outcomes)
        return Doubts(answers.release, lambda: away), answers

    return make


async def refused(doubts: Doubts, name: str, ttl: int, asked: Callable[[], Awaitable[bool]] = unanswered) -> None:
    """Ask for a lock in vain."""
    with pytest.raises(CacheUnavailable):
        await doubts.answer(asked(), name, b"token", ttl)


async def settled(doubts: Doubts) -> None:
    """Wait until nothing is to be given back."""
    async with asyncio.timeout(20):
        while doubts._open:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.002)
    await doubts.aclose()


async def test_outage_is_waited_out_and_a_refusal_is_final(doubts: Callable[..., tuple[Doubts, Answers]]) -> None:
    """All that is open waits for the first that is answered."""
    some, answers = doubts(CacheUnavailable, CacheError, CacheUnavailable, None)
    await refused(some, "a", 60_000)
    await refused(some, "b", 60_000)
    await settled(some)
    assert answers.released == ["a", "a", "b", "b"]


async def test_what_has_ended_by_itself_is_not_given_back(doubts: Callable[..., tuple[Doubts, Answers]]) -> None:
    """Somebody else may hold it by now."""
    some, answers = doubts()
    await refused(some, "a", 1)
    await settled(some)
    assert answers.released == []


async def test_closed_store_is_left_alone(doubts: Callable[..., tuple[Doubts, Answers]]) -> None:
    """Nothing can be given back through it."""
    some, answers = doubts(Closed)
    await refused(some, "a", 60_000)
    await settled(some)
    assert answers.released == ["a"]


async def test_what_was_never_sent_is_not_given_back(doubts: Callable[..., tuple[Doubts, Answers]]) -> None:
    """While a server is known to be away, asking costs nothing afterwards either."""
    some, answers = doubts(away=True)
    await refused(some, "a", 60_000)
    await settled(some)
    assert answers.released == []


async def test_doubts_of_a_closed_event_loop_are_dropped(doubts: Callable[..., tuple[Doubts, Answers]]) -> None:
    """Its task has gone with it; the next doubt begins another."""
    some, answers = doubts(None)
    await refused(some, "a", 60_000)
    task = some._task
    some.forget()
    assert task is not None
    await task
    await refused(some, "b", 60_000)
    await settled(some)
    assert answers.released == ["b"]
