"""Cache and budget on a cluster whose slots move, whose nodes freeze and die: real nodes, really so."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import random
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import hiredis
import pytest
from budgets import charge, spend
from certificates import certificates  # noqa: F401  # fixture
from fleets import Node, ValkeyCluster, _cluster_session, cluster, own_cluster, wait_until  # noqa: F401  # fixtures
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.budget import RedisBudget
from tradeutils.budget.desk import Names
from tradeutils.cache.buckets import Buckets
from tradeutils.cache.redis import Redis
from tradeutils.errors import CacheError, CacheUnavailable, Closed, RateLimited
from tradeutils.link.slots import slot_of

KEYS = [f"k{number}" for number in range(60)]


def slot_for(key: str) -> int:
    """Return the slot of a value."""
    return slot_of(Buckets().placed(f"tu:value:{key}"))


def keys_of(slot: int, count: int) -> list[str]:
    """Return keys whose values lie in a slot."""
    found = (f"m{number}" for number in range(100_000))
    return [key for key, _ in zip((key for key in found if slot_for(key) == slot), range(count), strict=False)]


async def told(cache: tu.Cache, key: str = "k0") -> Any:
    """Ask until the node of a key answers again."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(CacheUnavailable):
                return await cache.get(key)
            await asyncio.sleep(0.01)


def offer(cluster: ValkeyCluster, slot: int, source: Node, target: Node) -> None:  # noqa: F811
    """Begin to move a slot."""
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))


def hand_over(cluster: ValkeyCluster, slot: int, source: Node, target: Node) -> None:  # noqa: F811
    """End the move; who imports it goes first, for that gives him the newest epoch, by which the others believe him."""
    for node in (target, source, *cluster.primaries):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(target))


@contextlib.contextmanager
def migrating(cluster: ValkeyCluster, slot: int) -> Iterator[tuple[Node, Node]]:  # noqa: F811
    """Begin to move a slot from its primary to the next one, and give it back in the end."""
    source = cluster.owner(slot)
    target = cluster.primaries[(cluster.primaries.index(source) + 1) % 3]
    offer(cluster, slot, source, target)
    try:
        yield source, target
    finally:
        cluster.clear()
        hand_over(cluster, slot, source, target)
        offer(cluster, slot, target, source)
        cluster.clear()
        hand_over(cluster, slot, target, source)


def move(source: Node, target: Node, key: str) -> None:
    """Move one value."""
    source.ask("MIGRATE", "127.0.0.1", target.port, Buckets().placed(f"tu:value:{key}"), 0, 1000)  # type: ignore[arg-type]


async def test_slot_that_moves_is_followed(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Each key is found where it is by then: moved, left behind, or neither; and all of them after the move."""
    slot = slot_for("k0")
    here, gone, neither, written = keys_of(slot, 4)
    async with tu.Cache(cluster.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set_many({here: 1, gone: 2}, ttl=60)
        with migrating(cluster, slot) as (source, target):
            move(source, target, gone)
            assert [await cache.get(key) for key in (here, gone, neither)] == [1, 2, None]
            reading = asyncio.ensure_future(cache.get_many([here, gone]))
            writing = asyncio.ensure_future(cache.set(written, 3, ttl=60))
            await asyncio.sleep(0.05)
            assert not reading.done()  # TRYAGAIN: one is here and one is there
            move(source, target, here)
            assert await reading == {here: 1, gone: 2}
            hand_over(cluster, slot, source, target)
            await writing  # value and lease together, and neither was there: TRYAGAIN as long as the slot moves
            assert await cache.get_many([here, gone, written]) == {here: 1, gone: 2, written: 3}
            await cache.set(here, 4, ttl=60)
            assert await cache.get(here) == 4
            assert await cache.delete(here, gone) == 2


async def test_slot_torn_between_two_nodes_is_an_outage_after_the_timeout(cluster: ValkeyCluster) -> None:  # noqa: F811
    """A bulk read of what lies here and there cannot be answered: no miss, and it ends."""
    slot = slot_for("k0")
    here, gone = keys_of(slot, 2)
    async with tu.Cache(cluster.url, timeout=0.5) as cache, asyncio.timeout(20):
        await cache.set_many({here: 1, gone: 2}, ttl=60)
        with migrating(cluster, slot) as (source, target):
            move(source, target, gone)
            with pytest.raises(CacheUnavailable, match="TRYAGAIN"):
                await cache.get_many([here, gone])


async def test_slot_that_nobody_serves_is_an_outage_of_its_keys(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Waited for once, then refused at once, until it is served again; the others are not concerned."""
    slot = slot_for("k0")
    other = next(key for key in KEYS if slot_for(key) != slot)
    async with tu.Cache(cluster.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set_many({"k0": 0, other: 1}, ttl=60)
        cluster.owner(slot).ask("CLUSTER", "DELSLOTS", slot)
        try:
            for _ in range(300):  # 90 s if each were to wait
                with pytest.raises(CacheUnavailable, match=r"CLUSTERDOWN|no node for slot"):
                    await cache.get("k0")
            assert (await cache.stats()).breaker == "open"
            assert await cache.get(other) == 1
        finally:
            cluster.owner(slot).ask("CLUSTER", "ADDSLOTS", slot)
        assert await told(cache) in (0, None)  # DELSLOTS has dropped the keys, or not, by version
        assert (await cache.stats()).breaker == "closed"


async def test_other_keys_are_served_while_a_node_is_frozen(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Its own are unavailable, at once after the first; no call waits longer than the timeout."""
    victim = cluster.primaries[1]
    mine = [key for key in KEYS if cluster.owner(slot_for(key)) is victim]
    others = [key for key in KEYS if key not in mine]
    async with tu.Cache(cluster.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set_many({key: key for key in KEYS}, ttl=60)
        victim.freeze()
        try:
            outcomes = await asyncio.gather(*(cache.get(key) for key in KEYS), return_exceptions=True)
            for key, outcome in zip(KEYS, outcomes, strict=True):
                assert isinstance(outcome, CacheUnavailable) if key in mine else outcome == key
            assert await cache.get_many(others) == {key: key for key in others}
            with pytest.raises(CacheUnavailable):
                await cache.get_many(KEYS)
            assert (await cache.stats()).misses == 0
        finally:
            victim.thaw()
        assert await told(cache, mine[0]) == mine[0]


async def test_failover_of_a_node_is_followed_under_load(own_cluster: ValkeyCluster) -> None:  # noqa: F811
    """
    Calls of the other nodes' keys never fail; its own do until a replica has taken over, and then find the data.

    So does a cache that was idle meanwhile, and one that is new and has the dead node among its seeds.
    """
    victim, replica = own_cluster.primaries[1], own_cluster.replicas[1]
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(40):
        cache, writer, idle, fresh = [
            await stack.enter_async_context(tu.Cache(own_cluster.url, near=near)) for near in ("*", None, None, None)
        ]
        await idle.get_many(KEYS)
        await writer.set_many(dict.fromkeys(KEYS, 0), ttl=600)
        wait_until(lambda: replica.ask("DBSIZE") == victim.ask("DBSIZE"), "the replica to have it all")
        failed: dict[str, int] = dict.fromkeys(KEYS, 0)
        latest: dict[str, int] = dict.fromkeys(KEYS, 0)
        number = 0

        async def turn(key: str) -> None:
            try:
                await writer.set(key, number, ttl=600)
                latest[key] = number
                await cache.get(key)
            except CacheUnavailable:
                failed[key] += 1

        async def turns(until: Any) -> None:
            nonlocal number
            while not until():
                number += 1
                await asyncio.gather(*map(turn, KEYS))
                await asyncio.sleep(0.01)

        await turns(lambda: number > 20)
        victim.kill()
        mine = [key for key in KEYS if own_cluster.owner(slot_for(key)) is victim]
        await turns(lambda: any(failed[key] for key in mine))
        noticed = number
        await turns(lambda: min(latest.values()) > noticed)
        assert {key for key in KEYS if failed[key]} <= set(mine)
        assert replica.ask("ROLE")[0] == b"master"  # type: ignore[index]
        assert await writer.get_many(KEYS) == latest
        assert await cache.get_many(KEYS) == latest
        for other in (idle, fresh):
            await told(other, mine[0])
            assert await other.get_many(KEYS) == latest
        victim.start()
        wait_until(lambda: own_cluster.is_linked(victim), "the dead to be back as a replica")
        back = number
        await turns(lambda: min(latest.values()) > back + 5)
        assert {key for key in KEYS if failed[key]} <= set(mine)
        assert victim.count_clients() == 0


async def test_one_connection_for_each_node_and_user(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Of sixteen caches and sixteen budgets, however much is asked at once: at most two a process."""
    async with contextlib.AsyncExitStack() as stack:
        caches = [await stack.enter_async_context(tu.Cache(cluster.url, timeout=5)) for _ in range(16)]
        budgets = [RedisBudget(cache) for cache in caches]
        for budget in budgets:
            stack.push_async_callback(budget.aclose)
        await asyncio.gather(*(cache.set(key, 1, ttl=60) for cache in caches for key in KEYS))
        await asyncio.gather(*(cache.get(key) for cache in caches for key in KEYS))
        await asyncio.gather(*(spend(budget, charge(1, 1000), None) for budget in budgets))
        await asyncio.sleep(0.6)  # seeds that were asked under another name are let go
        assert all(16 <= node.count_clients() <= 32 for node in cluster.primaries)
    wait_until(lambda: all(node.count_clients() == 0 for node in cluster.primaries), "the connections to end")


def test_processes_need_two_connections_a_node_at_most(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Four real ones, each with a cache, a budget and five hundred calls at once, counted on the servers."""
    script = (
        "import asyncio, sys, tradeutils as tu\n"
        "from tradeutils.budget import RedisBudget\n"
        "async def main():\n"
        "    async with tu.Cache(sys.argv[1], timeout=20, near='*') as cache:\n"
        "        budget = RedisBudget(cache)\n"
        "        await asyncio.gather(*(cache.set(f'k{n}', n, ttl=60) for n in range(250)))\n"
        "        await asyncio.gather(*(cache.get(f'k{n}') for n in range(250)), budget.usage())\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.readline)\n"
        "        await budget.aclose()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script, cluster.url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(4)
    ]
    try:
        assert [process.stdout.readline() for process in started if process.stdout] == ["ready\n"] * 4
        assert all(4 <= node.count_clients() <= 8 for node in cluster.primaries)
        for process in started:
            process.communicate("\n", timeout=30)
        assert [process.returncode for process in started] == [0] * 4
    finally:
        for process in started:
            process.kill()
            process.wait()
    wait_until(lambda: all(node.count_clients() == 0 for node in cluster.primaries), "the connections to end")


async def test_cancelled_caller_costs_no_connection_and_no_other_reply(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Half of all callers are cancelled at any time; the rest read their own values, over the same connections."""

    def connections() -> int:
        total = 0
        for node in cluster.primaries:
            with node.client() as client:
                total += int(client.info("stats")["total_connections_received"])
        return total

    async with tu.Cache(cluster.url, timeout=5) as cache, asyncio.timeout(30):
        await cache.set_many({key: key for key in KEYS}, ttl=60)
        before = connections()
        for _ in range(20):
            reads = {key: asyncio.ensure_future(cache.get(key)) for key in KEYS}
            bulk = asyncio.ensure_future(cache.get_many(KEYS))
            for _ in range(random.randint(0, 3)):
                await asyncio.sleep(0)
            for key in KEYS[::2]:
                reads[key].cancel()
            bulk.cancel()
            outcomes = await asyncio.gather(*reads.values(), bulk, return_exceptions=True)
            assert outcomes[1:-1:2] == KEYS[1::2]
        assert connections() == before + 3  # those of the second count itself


async def test_copy_in_this_process_is_kept_true_by_every_node(cluster: ValkeyCluster) -> None:  # noqa: F811
    """What another process writes is seen, whichever node it lies on; what does not change is not asked for."""
    async with tu.Cache(cluster.url, near="*", timeout=5) as near, tu.Cache(cluster.url, timeout=5) as other:
        await other.set_many(dict.fromkeys(KEYS, 0), ttl=60)
        await near.get_many(KEYS)
        assert await near.get_many(KEYS) == dict.fromkeys(KEYS, 0)
        told = (await near.stats()).near
        assert told is not None
        assert told.hits == len(KEYS)
        assert told.server is not None
        assert told.server.clients >= 3
        for number in range(1, 20):
            await asyncio.gather(*(other.set(key, number, ttl=60) for key in KEYS))
            async with asyncio.timeout(5):
                while await near.get_many(KEYS) != dict.fromkeys(KEYS, number):  # noqa: ASYNC110  # the server tells
                    await asyncio.sleep(0.001)


async def test_closed_cache_on_a_cluster_stays_closed(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Its connections are gone, and nothing opens them again."""
    cache = tu.Cache(cluster.url, timeout=5)
    await cache.set("k", 1, ttl=60)
    backend = cache.backend
    await cache.aclose()
    with pytest.raises(Closed):
        await cache.get("k")
    with pytest.raises(Closed):
        await backend.get("k")


def test_cluster_can_be_used_in_one_event_loop_after_another(cluster: ValkeyCluster) -> None:  # noqa: F811
    """As scripts do that call ``asyncio.run`` more than once."""
    script = (
        "import asyncio, sys, tradeutils as tu\n"
        "cache, keys = tu.Cache(sys.argv[1], timeout=5), [f'k{number}' for number in range(60)]\n"
        "asyncio.run(cache.set_many(dict.fromkeys(keys, 1), ttl=60))\n"
        "assert asyncio.run(cache.get_many(keys)) == dict.fromkeys(keys, 1)\n"
        "asyncio.run(cache.aclose())\n"
    )
    quiet = [sys.executable, "-W", "ignore::ResourceWarning"]  # a loop ends with connections open: that is the point
    done = subprocess.run([*quiet, "-c", script, cluster.url], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_second_cache_on_a_cluster_leaves_alone_what_the_first_has_asked(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Both outlive an event loop; who joins in the next one drops nothing that runs in it."""
    one = tu.Cache(Redis(cluster.url, timeout=5))
    two = tu.Cache(one.backend, namespace="two")
    nodes = one.backend._link._nodes  # type: ignore[attr-defined]

    async def use() -> None:
        await one.set("k", 1, ttl=60)
        await two.set("k", 2, ttl=60)
        for link in nodes:
            link._wire._transport.abort()
        await asyncio.sleep(0.01)

    async def join() -> list[Any]:
        await one.set("k", 3, ttl=60)
        asked = nodes.update()
        storing = asyncio.create_task(two.set("k", 4, ttl=60))
        await asyncio.sleep(0)
        assert nodes._updating is asked
        await storing
        got = [await one.get("k"), await two.get("k")]
        await one.backend.aclose()
        return got

    asyncio.run(use())
    assert asyncio.run(join()) == [3, 4]


async def test_cluster_that_is_away_is_an_outage_and_heals(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Nobody can be asked where the keys lie: each call ends, and the first after the thaw finds them."""
    async with tu.Cache(cluster.url, timeout=0.3) as cache, asyncio.timeout(30):
        for node in cluster.nodes:
            node.freeze()
        try:
            for _ in range(300):
                with pytest.raises(CacheUnavailable):
                    await cache.get("k0")
            assert (await cache.stats()).breaker == "open"
        finally:
            for node in cluster.nodes:
                node.thaw()
        assert await told(cache) is None


async def test_single_server_is_no_cluster(valkey: ValkeyServer) -> None:
    """It says so, and with what to write."""
    async with tu.Cache(f"redis+cluster://127.0.0.1:{valkey.port}", timeout=5) as cache:
        with pytest.raises(CacheError, match=r"no node of a cluster: write redis://host:port/0"):
            await cache.get("k")


@contextlib.asynccontextmanager
async def lone_node(folder: pathlib.Path, front: Proxy | None, *options: str) -> AsyncIterator[Node]:
    """Start a cluster of one node, which tells of itself as ``front``."""
    named = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"]
    places = [] if front is None else [*named, "--cluster-announce-port", str(front.port)]
    node = Node(folder, "--cluster-enabled", "yes", *places, *options)
    try:
        node.start()
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"), "the cluster")  # type: ignore[operator]
        yield node
    finally:
        node.kill()


async def test_cluster_speaks_tls_and_checks_certificates(tmp_path: pathlib.Path, certificates: pathlib.Path) -> None:  # noqa: F811
    """Also of the nodes that the first one has told of."""
    pem = certificates / "server.pem"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, certificates / "server.key")
    front = Proxy(0)
    await front.start(context)
    try:
        async with lone_node(tmp_path, front) as node:
            front._target = node.port
            url = f"rediss+cluster://localhost:{front.port}"
            async with tu.Cache(f"{url}?ssl_ca_certs={pem}", timeout=5) as cache:
                await cache.set_many(dict.fromkeys(KEYS, 1), ttl=60)
                assert await cache.get_many(KEYS) == dict.fromkeys(KEYS, 1)
            async with tu.Cache(url, timeout=5) as cache:
                with pytest.raises(CacheUnavailable, match=r"(?i)certificate"):
                    await cache.get("k")
    finally:
        await front.stop()


async def test_user_logs_in_to_every_node(tmp_path: pathlib.Path) -> None:
    """With a password that no message shows; a wrong one is refused, and so is a user who may not ask for the nodes."""
    async with lone_node(tmp_path, None) as node:
        groups = ["+@read", "+@write", "+@scripting", "+@transaction", "+@connection", "+cluster"]  # as the docs say
        node.ask("ACL", "SETUSER", "bot", "on", ">s3cret", "~tu:*", *groups)
        node.ask("ACL", "SETUSER", "blind", "on", ">s3cret", "~tu:*", "+@all", "-cluster")
        async with tu.Cache(f"redis+cluster://bot:s3cret@127.0.0.1:{node.port}", timeout=5) as cache:
            await cache.set("k", 1, ttl=60)
            assert await cache.get("k") == 1
            await cache.map("m", layout="hash").set("field", 2)
            assert await cache.invalidate() == 1
        for login, said in (("bot:wr0ng", "WRONGPASS"), ("blind:s3cret", "does not tell where the nodes are.*NOPERM")):
            async with tu.Cache(f"redis+cluster://{login}@127.0.0.1:{node.port}", timeout=5) as cache:
                with pytest.raises(CacheError, match=said) as refused:
                    await cache.get("k")
                assert login.partition(":")[2] not in str(refused.value)


@contextlib.asynccontextmanager
async def pretender(answer: Callable[[list[bytes], int], bytes]) -> AsyncIterator[str]:
    """Listen as a node that greets as it should and answers the rest as it likes; yields its URL."""
    port = 0

    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        parser = hiredis.Reader()
        while data := await reader.read(1 << 16):
            parser.feed(data)
            while (command := parser.gets()) is not False:
                greeting = {b"HELLO": b"%0\r\n", b"CLIENT": b"+OK\r\n", b"TIME": b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n"}
                writer.write(greeting.get(command[0]) or answer(command, port))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"redis+cluster://127.0.0.1:{port}"
        if tasks:
            await asyncio.wait(tasks, timeout=10)  # they end with their connections


def whole(port: int) -> bytes:
    """Return the answer of a node that owns every slot and does not know its address."""
    return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:%d\r\n" % port


def range_told(first: int, last: int, host: bytes) -> bytes:
    """Return the answer of a node that knows one owner of some slots."""
    return b"*1\r\n*3\r\n:%d\r\n:%d\r\n*2\r\n$%d\r\n%b\r\n:7\r\n" % (first, last, len(host), host)


@pytest.mark.parametrize(
    "slots",
    [
        b"*0\r\n",
        b"+OK\r\n",
        b"*1\r\n:1\r\n",
        b"_\r\n",
        range_told(0, 99_999, b"a"),
        pytest.param(range_told(0, 99_999_999_999, b"a"), id="more slots than memory"),
        range_told(-5, 16_383, b"a"),
        pytest.param(range_told(0, 16_383, b"a..b"), id="host that cannot be"),
        pytest.param(range_told(0, 16_383, b"\xff\xfe"), id="host of foreign bytes"),
        pytest.param(b"*1100\r\n" + b"".join(range_told(n, n, b"h%d" % n)[4:] for n in range(1100)), id="1100 nodes"),
    ],
)
async def test_topology_that_is_none_is_an_error(slots: bytes) -> None:
    """No slots, another form, slots that there are not: never a crash, and never a miss."""

    def answer(command: list[bytes], _: int) -> bytes:
        return slots if command[1:] == [b"SLOTS"] else b"$0\r\n\r\n"

    async with pretender(answer) as url, tu.Cache(url, timeout=0.5) as cache, asyncio.timeout(10):
        with pytest.raises(CacheError):
            await cache.get("k")


@pytest.mark.parametrize("told", ["MOVED 1 127.0.0.1:{port}", "ASK 1 :{port}", "MOVED 1 ?:{port}"])
async def test_nodes_that_send_each_other_the_caller_are_an_outage(told: str) -> None:
    """It ends after so many times, and says so."""

    def answer(command: list[bytes], port: int) -> bytes:
        if command[0] == b"CLUSTER":
            return whole(port) if command[1] == b"SLOTS" else b"$0\r\n\r\n"
        return b"+OK\r\n" if command[0] == b"ASKING" else f"-{told.format(port=port)}\r\n".encode()

    async with pretender(answer) as url, tu.Cache(url, timeout=0.3) as cache, asyncio.timeout(20):
        with pytest.raises(CacheUnavailable, match="from node to node"):
            await cache.get("k")


@pytest.mark.parametrize(
    "told", ["MOVED", "MOVED x y:1", "MOVED 99999 h:1", "ASK 5 nowhere", "MOVED 1 h:999999", "ASK 1 h:99999"]
)
async def test_redirection_to_nowhere_is_an_error(told: str) -> None:
    """The server's words are shown; nobody is asked anything."""

    def answer(command: list[bytes], port: int) -> bytes:
        if command[0] == b"CLUSTER":
            return whole(port) if command[1] == b"SLOTS" else b"$0\r\n\r\n"
        return f"-{told}\r\n".encode()

    async with pretender(answer) as url, tu.Cache(url, timeout=5) as cache, asyncio.timeout(20):
        with pytest.raises(CacheError, match=told):
            await cache.get("k")


@pytest.mark.parametrize(
    "info", [b":100000000000\r\n", b"*1\r\n:1000\r\n", b"_\r\n", b"+cluster_current_epoch:" + b"9" * 5000 + b"\r\n"],
    ids=["number", "list", "nothing", "long epoch"],
)  # fmt: skip
async def test_news_of_the_cluster_that_cannot_be_read_are_none(info: bytes) -> None:
    """Who owns what counts all the same."""

    def answer(command: list[bytes], port: int) -> bytes:
        if command[0] == b"CLUSTER":
            return whole(port) if command[1] == b"SLOTS" else info
        return b"*1\r\n$-1\r\n"

    async with pretender(answer) as url, tu.Cache(url, timeout=5) as cache, asyncio.timeout(10):
        assert await cache.get("k") is None


async def test_nodes_that_send_the_caller_in_circles_are_not_flooded() -> None:
    """While two disagree, as after a partition, each call asks a dozen times at most, with growing pauses."""
    asked = 0

    def answer(command: list[bytes], port: int) -> bytes:
        nonlocal asked
        if command[0] == b"CLUSTER":
            return whole(port) if command[1] == b"SLOTS" else b"$0\r\n\r\n"
        asked += 1
        return b"-MOVED %d 127.0.0.1:%d\r\n" % (slot_for("k"), port)

    async with pretender(answer) as url, tu.Cache(url, timeout=0.25) as cache, asyncio.timeout(10):
        with pytest.raises(CacheUnavailable, match="from node to node"):
            await cache.get("k")
    assert 2 <= asked <= 12


async def test_node_that_is_replaced_when_the_time_is_up_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new owner was found, but too late to ask it: the call has no replies to show."""
    monkeypatch.setattr("tradeutils.link.cluster._FIRST_PAUSE", 60)
    monkeypatch.setattr("tradeutils.link.cluster._AT_ONCE", 0)
    told = 0

    def answer(command: list[bytes], port: int) -> bytes:
        nonlocal told
        told += command[1:] == [b"SLOTS"]
        return (
            (whole(port) if told > 1 else range_told(0, 16_383, b"127.0.0.1")) if command[1] == b"SLOTS" else b"_\r\n"
        )

    async with pretender(answer) as url, tu.Cache(url, timeout=5) as cache, asyncio.timeout(10):
        with pytest.raises(CacheUnavailable, match="they change places"):
            await cache.get("k")


async def test_budget_outlives_the_failover_of_its_node(own_cluster: ValkeyCluster) -> None:  # noqa: F811
    """What was spent before counts after, and while nobody is there each process has its fraction."""
    slot = slot_of(Names("tu", "default").of_pool("venue.spot", "state"))
    victim = own_cluster.owner(slot)
    replica = own_cluster.replicas[own_cluster.primaries.index(victim)]
    budgets = [RedisBudget(own_cluster.url) for _ in range(2)]
    try:
        async with asyncio.timeout(60):
            for budget in budgets:
                await spend(budget, charge(3, 10, 600), None)
            wait_until(lambda: replica.ask("DBSIZE") == victim.ask("DBSIZE"), "the replica to have it all")
            await asyncio.sleep(1.2)  # both have said hello since, and know of each other
            victim.kill()
            while any(budget.is_shared for budget in budgets):  # noqa: ASYNC110  # its own timer
                await asyncio.sleep(0.01)
            while not all(budget.is_shared for budget in budgets):  # noqa: ASYNC110  # its own timer
                await asyncio.sleep(0.01)
            [pool] = await budgets[0].usage()
            assert pool.shared
            assert pool.windows[0].used == 6
            await spend(budgets[0], charge(4, 10, 600), None)
            with pytest.raises(RateLimited):
                await spend(budgets[1], charge(1, 10, 600), 0.5)
    finally:
        for budget in budgets:
            await budget.aclose()
