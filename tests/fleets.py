"""Real servers that belong together: a cluster of three primaries, and a primary under three sentinels."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from servers import _DIE_WITH_PARENT, _binary, free_port

_NODE_TIMEOUT = "1000"  # milliseconds after which the others take a node for dead


class Node:
    """One server of many on a loopback port, with its files in a folder of its own."""

    def __init__(self, folder: pathlib.Path, *options: str, config: str = "") -> None:
        self.port = free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        self.password: str | None = None
        self._options = options
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        places = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--loglevel", "warning"]
        first = []
        if self._config:
            file = self.folder / "sentinel.conf"
            if not file.exists():
                file.write_text(self._config)
            first = [str(file)]
        else:
            places += ["--save", "", "--appendonly", "no"]
        dying = [sys.executable, "-c", _DIE_WITH_PARENT, str(os.getpid())]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*dying, str(_binary()), *first, *places, *self._options],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self.answers, f"server on port {self.port} to start", while_runs=self._process)

    def answers(self) -> bool:
        """Tell whether it answers."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """Return a plain client to look behind ours with."""
        never = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        return redis.Redis(port=self.port, socket_timeout=5, retry=never, password=self.password)

    def ask(self, *command: str | int) -> object:
        """Send it one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def freeze(self) -> None:
        """Stop it where it stands."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def count_clients(self) -> int:
        """Count the connections that ours have to it."""
        return str(self.ask("CLIENT", "LIST")).count("name=tradeutils")


class ValkeyCluster:
    """Three primaries with a third of the slots each, and as many replicas as asked for."""

    def __init__(self, folder: pathlib.Path, replicas: int = 0, *options: str) -> None:
        settings = [
            "--cluster-enabled",
            "yes",
            "--cluster-config-file",
            "nodes.conf",
            "--repl-diskless-sync-delay",
            "0",
        ]
        settings += ["--cluster-node-timeout", _NODE_TIMEOUT, "--cluster-require-full-coverage", "no", *options]
        self.primaries = [Node(folder, *settings) for _ in range(3)]
        self.replicas = [Node(folder, *settings) for _ in range(replicas)]

    @property
    def nodes(self) -> list[Node]:
        """All of them."""
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        """Two of the seeds."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.primaries[:2])

    def start(self) -> None:
        """Start all and join them."""
        for node in self.nodes:
            node.start()
        third = 16_384 // 3 + 1
        for number, node in enumerate(self.primaries):
            node.ask("CLUSTER", "ADDSLOTS", *range(number * third, min(16_384, (number + 1) * third)))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.primaries[0].port)
        wait_until(lambda: all(node.answers() and self._knows_all(node) for node in self.nodes), "the nodes to meet")
        for number, node in enumerate(self.replicas):
            node.ask("CLUSTER", "REPLICATE", self.id_of(self.primaries[number % 3]))
        wait_until(lambda: all(map(self.is_linked, self.replicas)), "the replicas to be in step")
        self.settle()

    def settle(self) -> None:
        """Wait until every node thinks that all are well."""
        wait_until(
            lambda: all("cluster_state:ok" in _text(n.ask("CLUSTER", "INFO")) for n in self.nodes), "the cluster"
        )

    def _knows_all(self, node: Node) -> bool:
        return f"cluster_known_nodes:{len(self.nodes)}" in _text(node.ask("CLUSTER", "INFO"))

    def is_linked(self, node: Node) -> bool:
        """Tell whether a replica is in step with its primary."""
        with node.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    def id_of(self, node: Node) -> str:
        """Return what the cluster calls a node."""
        return _text(node.ask("CLUSTER", "MYID"))

    def owner(self, slot: int) -> Node:
        """Return the primary that a slot was given to."""
        return self.primaries[slot // (16_384 // 3 + 1)]

    def clear(self) -> None:
        """Empty every primary."""
        for node in self.primaries:
            node.ask("FLUSHALL")

    def kill(self) -> None:
        """End all."""
        for node in self.nodes:
            node.kill()


class Watched:
    """A primary and a replica under three sentinels."""

    service = "prices"

    def __init__(self, folder: pathlib.Path, *options: str) -> None:
        common = ["--repl-diskless-sync-delay", "0", *options]
        self.primary = Node(folder, *common)
        self.replica = Node(folder, *common, "--replicaof", f"127.0.0.1 {self.primary.port}")
        config = (
            f"sentinel monitor {self.service} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {self.service} 500\n"
            f"sentinel failover-timeout {self.service} 3000\n"
        )
        self.sentinels = [Node(folder, "--sentinel", config=config) for _ in range(3)]

    @property
    def url(self) -> str:
        """The sentinels."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{self.service}?db=0"

    def start(self) -> None:
        """Start all, and wait until the sentinels know each other and the replica."""
        for node in (self.primary, self.replica, *self.sentinels):
            node.start()
        # They say hello every two seconds, and ask who is there every ten. Who says hello every 0.1 s also makes a
        # replica of a primary that he knows as one after 0.4 s: before the leader, whom a promoted one has cut off, has
        # seen that it is promoted (a second at most), and the failover is for nothing.
        for sentinel in self.sentinels:
            sentinel.ask("SENTINEL", "DEBUG", "INFO-PERIOD", 200, "PUBLISH-PERIOD", 500)
        wait_until(lambda: all(map(self._is_ready, self.sentinels)), "the sentinels to meet")

    def _is_ready(self, sentinel: Node) -> bool:
        """Tell whether it knows all and thinks them well: it would promote no replica that has not told it so."""
        with sentinel.client() as client:
            told, replicas = client.sentinel_master(self.service), client.sentinel_slaves(self.service)
        well = [(one["flags"], one["master-link-status"]) for one in replicas] == [("slave", "ok")]
        return well and told["flags"] == "master" and int(told["num-other-sentinels"]) == 2

    def kill(self) -> None:
        """End all."""
        for node in (self.primary, self.replica, *self.sentinels):
            node.kill()


def wait_until(
    ready: Callable[[], bool], what: str, seconds: float = 60, while_runs: subprocess.Popen[bytes] | None = None
) -> None:
    """Wait until something is so; in vain once the process has ended that it depends on."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(redis.RedisError):
            if ready():
                return
        if while_runs is not None and while_runs.poll() is not None:
            raise RuntimeError(f"waited for {what}, which ended: {while_runs.returncode}")
        time.sleep(0.02)
    raise RuntimeError(f"waited {seconds:g} s for {what}")


def _text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


@pytest.fixture(scope="session")
def _cluster_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    made = ValkeyCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def cluster(_cluster_session: ValkeyCluster) -> ValkeyCluster:
    """Return the one cluster of the test run, emptied, without replicas; do not stop its nodes, nor freeze for long."""
    _cluster_session.settle()
    _cluster_session.clear()
    return _cluster_session


@pytest.fixture
def own_cluster(tmp_path: pathlib.Path) -> Iterator[ValkeyCluster]:
    """Return a cluster of the test's own with a replica for each primary, whose nodes may be frozen and killed."""
    made = ValkeyCluster(tmp_path, 3)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def watched(tmp_path: pathlib.Path) -> Iterator[Watched]:
    """Return a primary under sentinels of the test's own."""
    made = Watched(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.kill()
