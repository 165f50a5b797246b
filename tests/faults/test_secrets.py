"""
No key, secret or passphrase is in anything that is written, and no signature: only the venue that it is for gets it.

A bot with planted credentials goes through good days and bad (see ``secrets_work``); then everything that it and the
commands wrote is searched: a real server's keys and values and all that was sent to it, logs of every library at DEBUG,
tracebacks with local variables, files, stdout and stderr, and the arguments of every process.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import traceback
import urllib.parse
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.sim import VENUES, Limits, SimulatedAccount, SimulatedVenue

WORK = pathlib.Path(__file__).resolve().parents[1] / "secrets_work.py"
KINDS = ("good", "bad", "vault")
FRAGMENT = 14
_SIGNATURE = re.compile(
    rb"(?:[?&]signature=|(?:X-BAPI-SIGN|OK-ACCESS-SIGN|API-Sign): ?)([A-Za-z0-9+/=%_-]{24,})", re.IGNORECASE
)

Planted = Mapping[str, Mapping[str, str]]


def credentials(name: str) -> dict[str, str]:
    """Return what is planted for an account: texts that come out differently in every encoding."""
    noise = hashlib.sha512(name.encode()).digest()
    found = {"key": f"pk{noise.hex()[:46]}", "secret": base64.b64encode(noise).decode()}
    return found | {"password": f"p@ss+{noise.hex()[50:64]}/%{noise.hex()[70:84]}"} if name.startswith("okx") else found


def forms(text: str) -> dict[str, bytes]:
    """Return how a text may stand in what is written: whole, in part, encoded, and within what is encoded."""
    raw = text.encode()
    found = {
        "itself": raw,
        "its beginning": raw[:FRAGMENT],
        "its end": raw[-FRAGMENT:],
        "in hex": raw.hex().encode(),
        "in capital hex": raw.hex().upper().encode(),
        "in a URL": urllib.parse.quote(text, safe="").encode(),
        "in a form": urllib.parse.quote_plus(text).encode(),
        "in a URL twice": urllib.parse.quote(urllib.parse.quote(text, safe=""), safe="").encode(),
        "backwards": raw[::-1],
        "in UTF-16": text.encode("utf-16-le"),
        "in JSON": json.dumps(text)[1:-1].encode(),
    }
    for shift in range(3):  # wherever it stands within what is encoded
        for name, encode in (("base64", base64.b64encode), ("URL-safe base64", base64.urlsafe_b64encode)):
            found[f"in {name}, shifted by {shift}"] = encode(b"\0" * shift + raw)[4 if shift else 0 : len(raw) // 3 * 4]
    return found


def needles(planted: Planted, signatures: set[bytes] = frozenset()) -> dict[str, bytes]:  # type: ignore[assignment]
    """Return what must not be found, by what it is: a finding names it and does not show it."""
    found = {
        f"{kind} of {account} {form}": needle
        for account, given in planted.items()
        for kind, text in given.items()
        for form, needle in forms(text).items()
    }
    for number, signature in enumerate(sorted(signatures)):
        plain = urllib.parse.unquote_to_bytes(signature)
        found |= {f"signature {number}": plain, f"signature {number} in a URL": urllib.parse.quote(plain, "").encode()}
    return found


def search(sought: Mapping[str, bytes], sources: Mapping[str, bytes]) -> list[str]:
    """Return what was found where."""
    return sorted(
        f"{what} in {where}" for where, data in sources.items() for what, one in sought.items() if one in data
    )


def files_of(folder: pathlib.Path) -> dict[str, bytes]:
    """Return every file below a folder, and their names."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {**found, "names of files": "\n".join(found).encode()}


def contents_of(server: ValkeyServer) -> dict[str, bytes]:
    """Return everything that lies on a server: keys, values of any type, their dumps, and what ours decode to."""
    readers: dict[bytes, Any] = {
        b"string": lambda client, key: [client.get(key)],
        b"hash": lambda client, key: [part for pair in client.hgetall(key).items() for part in pair],
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1),
        b"stream": lambda client, key: [repr(client.xrange(key)).encode()],
        b"none": lambda client, key: [],  # it expired since it was listed
    }
    found = {}
    with server.client() as client:
        for key in client.scan_iter(count=1000):
            listed = [key, *readers[client.type(key)](client, key), client.dump(key)]
            parts = [part for part in listed if part is not None]  # it may expire between any two of these
            for part in list(parts):
                with contextlib.suppress(zlib.error):
                    parts.append(zlib.decompress(part))
            found[f"the server under {key!r:.60}"] = b"\n".join(parts)
    return found


async def decoded(server: ValkeyServer) -> bytes:
    """Return what our own cache reads there, as text."""
    told = []
    async with tu.Cache(server.url, timeout=10) as cache:
        async for key in cache.scan():
            with contextlib.suppress(tu.errors.CodecError):
                told.append(f"{key} {await cache.get(key)!r}")
    return "\n".join(told).encode()


@contextlib.asynccontextmanager
async def monitored(server: ValkeyServer) -> AsyncIterator[bytearray]:
    """Note every command that a server is sent."""
    heard = bytearray()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"MONITOR\r\n")

    async def listen() -> None:
        while data := await reader.read(1 << 16):
            heard.extend(data)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        await asyncio.sleep(0.1)
        task.cancel()
        writer.close()


@contextlib.asynccontextmanager
async def watched_arguments() -> AsyncIterator[set[bytes]]:
    """Note the arguments of every process of this machine that can be seen, many times a second."""
    seen: set[bytes] = set()

    async def look() -> None:
        while True:
            for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):  # noqa: ASYNC240  # not on a disk
                with contextlib.suppress(OSError):
                    seen.add(process.read_bytes())
            await asyncio.sleep(0.05)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()


class Tap(Proxy):
    """A relay before a venue that notes what was signed."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.sent = bytearray()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                self.sent += data
                writer.write(data)
        writer.transport.abort()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the venue resets connections where it is told to
            await super()._back(reader, writer)
        writer.transport.abort()


@contextlib.asynccontextmanager
async def venues(planted: Planted) -> AsyncIterator[tuple[dict[str, SimulatedVenue], dict[str, Tap]]]:
    """Open all four venues with the accounts whose credentials are right, each behind a tap."""
    async with contextlib.AsyncExitStack() as stack:
        running, taps = {}, {}
        for venue in VENUES:
            holders = [
                SimulatedAccount(
                    name=name,
                    key=given["key"],
                    secret=given["secret"],
                    passphrase=given.get("password", ""),
                    balances={"USDT": 1000, "BTC": "0.5", "XDROP": 7},
                )
                for name, given in planted.items()
                if name.startswith(venue) and not name.endswith("bad")
            ]
            running[venue] = await stack.enter_async_context(
                SimulatedVenue(venue, symbols=3, linear=0, accounts=holders, limits=Limits.none(), skew=0)
            )
            taps[venue] = Tap(int(running[venue].url.rpartition(":")[2]))
            await taps[venue].start()
            stack.push_async_callback(taps[venue].stop)
        yield running, taps


def write_settings(
    folder: pathlib.Path, vault: pathlib.Path, planted: Planted, taps: Mapping[str, Tap], redis: str
) -> None:
    """Write the settings of bot and command, and the credentials into a folder of their own."""
    vault.mkdir(mode=0o700)
    common = f'[cache]\nurl = "{redis}"\ntimeout = 5.0\n'
    for venue, tap in taps.items():
        common += f'[exchanges.{venue}]\nurl = "http://127.0.0.1:{tap.port}"\ntimeout = 0.5\nrate_limit_ms = 1\n'
        common += 'windows = [{ name = "counter", limit = 1000, seconds = 1, scope = "account" }]\n' * (
            venue == "kraken"
        )
    bots, command = common, common.replace("timeout = 0.5", "timeout = 20")  # four commands at once on a busy machine
    for name, given in planted.items():
        table = f'[accounts.{name}]\nexchange = "{name.partition("-")[0]}"\n'
        for kind, text in given.items():
            (vault / f"{name}.{kind}").write_text(text)
        if name.endswith("vault"):
            bots += table
            continue
        table += "".join(f'{kind}_file = "{vault}/{name}.{kind}"\n' for kind in given)
        bots, command = bots + table, command + table
    (folder / "bots.toml").write_text(bots)
    (folder / "command.toml").write_text(command)


async def run(folder: pathlib.Path, *words: str) -> int:
    """Run the bot; what it prints is a file of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRADEUTILS_")}
    with (folder / f"stdout{len(words)}").open("wb") as out, (folder / f"stderr{len(words)}").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORK), "plan.json", *words, cwd=folder, stdout=out, stderr=err,
            env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )  # fmt: skip
        try:
            async with asyncio.timeout(120):
                return await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def test_nothing_that_is_written_holds_a_credential_or_a_signature(
    tmp_path: pathlib.Path, own_valkey: ValkeyServer
) -> None:
    """Twelve accounts on four venues, from files and a vault; every class of error; commands at -vv; a crash."""
    planted = {f"{venue}-{kind}": credentials(f"{venue}-{kind}") for venue in VENUES for kind in KINDS}
    folder, vault = tmp_path / "bot", tmp_path / "vault"
    folder.mkdir()
    async with (
        venues(planted) as (running, taps),
        monitored(own_valkey) as traffic,
        watched_arguments() as arguments,
    ):
        write_settings(folder, vault, planted, taps, own_valkey.url)
        plan = {"redis": own_valkey.url, "vault": str(vault), "good": 8, "retries": 1}
        plan["venues"] = {name: venue.url for name, venue in running.items()}
        (folder / "plan.json").write_text(json.dumps(plan))
        async with asyncio.TaskGroup() as both:
            ended, crashed = both.create_task(run(folder)), both.create_task(run(folder, "crash"))
        assert (ended.result(), crashed.result()) == (0, -signal.SIGABRT), (folder / "stderr0").read_text()[-3000:]
        sent = {name: bytes(tap.sent) for name, tap in taps.items()}
    signatures: set[bytes] = set()
    for name, given in planted.items():  # what is sought was really used: the venues were sent it
        venue = name.partition("-")[0]
        assert given["key"].encode() in sent[venue]
        found = set(_SIGNATURE.findall(sent[venue]))
        assert len(found) > 10
        signatures |= found
    sources = {**files_of(folder), **contents_of(own_valkey), "the server's cache": await decoded(own_valkey)}
    sources |= {"what the server was sent": bytes(traffic), "arguments": b"\n".join(arguments)}
    check_that_all_was_written(sources)
    assert search(needles(planted, signatures), sources) == []


def check_that_all_was_written(sources: Mapping[str, bytes]) -> None:
    """What is empty holds no secret either: see that each source holds what it is there for."""
    wanted = {
        "root.log": rb"GET https?://[^ ]+signature=",
        "ours.log": rb"DEBUG tradeutils",
        "traces.txt": rb"AuthenticationFailed[^\0]*\'self\': [^\0]*VenueTimeout",
        "objects.txt": rb"<Exchange binance",
        "stdout0": rb"suspended[^\0]*Credentials\(key=\*\*\*",
        "stderr1": rb"the bot fell over[^\0]*account = Account",
        "faults.log": rb"Fatal Python error: Aborted",
        "csv.err": rb"DEBUG tradeutils",
        "json.out": rb'"state":"suspended"',
        "suspended.out": rb'"complete":',
        "all.csv": rb"okx-bad,okx,suspended",
        "metrics.txt": rb'account="kraken-bad"',
        "error-1.pickle": rb"AuthenticationFailed",
        "first.codec": rb"USDT",
        "the server's cache": rb"suspension:[^\0]*kraken-bad",
        "what the server was sent": rb"balance:",
        "arguments": rb"-vv\0balances\0--config\0",
    }
    lacking = [where for where, pattern in wanted.items() if not re.search(pattern, sources[where])]
    assert lacking == []


async def test_what_a_caller_was_handling_keeps_its_frames() -> None:
    """Local variables below our own errors are dropped; those of an error during which we were asked are not ours."""
    account = tu.Account(name="a", exchange="binance", credentials=tu.Credentials(key="k" * 64, secret="s" * 64))
    async with (
        SimulatedVenue("binance", symbols=2, linear=0) as venue,
        tu.Exchange("binance", url=venue.url, account=account, retries=0) as exchange,
    ):
        await exchange.load_markets()
        try:
            raise LookupError("the caller's")
        except LookupError as theirs:
            with pytest.raises(tu.errors.AuthenticationFailed) as ours:
                await exchange.fetch_balance()
            frames = traceback.extract_tb(theirs.__traceback__)
            assert [frame.name for frame in frames] == ["test_what_a_caller_was_handling_keeps_its_frames"]
            chain: list[BaseException | None] = [ours.value]
            while chain[-1] is not None:
                chain.append(chain[-1].__context__)
            within = theirs in chain
    assert within  # it could have been taken for one of ours


# The search itself


@pytest.fixture
def medium(tmp_path: pathlib.Path, valkey: ValkeyServer) -> Iterator[Any]:
    """Return a function that searches everything there is for one planted secret."""
    planted = {"alice": {"secret": credentials("alice")["secret"]}}

    async def found(write: Any) -> list[str]:
        async with monitored(valkey) as traffic, watched_arguments() as arguments:
            await asyncio.to_thread(write, planted["alice"]["secret"])
            await asyncio.sleep(0.2)
        sources = {**files_of(tmp_path), **contents_of(valkey), "the cache": await decoded(valkey)}
        return search(needles(planted), sources | {"traffic": bytes(traffic), "arguments": b"\n".join(arguments)})

    return found


@pytest.mark.parametrize("kind", ["string", "hash", "list", "set", "zset", "stream", "key", "compressed"])
async def test_a_secret_on_the_server_is_found(kind: str, medium: Any, valkey: ValkeyServer) -> None:
    """Of every type, in the name of a key, and compressed; and in what was sent."""

    def write(secret: str) -> None:
        with valkey.client() as client:
            {
                "string": lambda: client.set("a", f"x{secret}x"),
                "hash": lambda: client.hset("a", secret, "1"),
                "list": lambda: client.rpush("a", "1", secret),
                "set": lambda: client.sadd("a", secret),
                "zset": lambda: client.zadd("a", {secret: 1}),
                "stream": lambda: client.xadd("a", {"b": secret}),
                "key": lambda: client.set(f"a:{secret}", 1),
                "compressed": lambda: client.set("a", zlib.compress(secret.encode() * 9)),
            }[kind]()

    told = await medium(write)
    assert any(one.startswith("secret of alice itself in the server under") for one in told)
    assert (kind == "compressed") or "secret of alice itself in traffic" in told


@pytest.mark.parametrize("form", list(forms("abc")))
def test_a_secret_in_a_file_is_found_in_each_of_its_forms(form: str, tmp_path: pathlib.Path) -> None:
    """Whole or in part, encoded by itself or within something else."""
    secret = credentials("alice")["secret"]
    text = forms(secret)[form]
    if "base64" in form:
        encode = base64.urlsafe_b64encode if "URL" in form else base64.b64encode
        text = encode(b"login "[: 3 + int(form[-1])] + secret.encode() + b" x")
    (tmp_path / "a.log").write_bytes(b"told: " + text + b"\n")
    found = search(needles({"alice": {"secret": secret}}), files_of(tmp_path))
    assert f"secret of alice {form} in a.log" in found


async def test_a_secret_among_arguments_or_in_our_cache_is_found(medium: Any, valkey: ValkeyServer) -> None:
    """While a process runs that was given it; and in a value that our codec wrote."""

    def write(secret: str) -> None:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)", secret], check=True)

    assert "secret of alice itself in arguments" in await medium(write)

    def store(secret: str) -> None:
        async def put() -> None:
            async with tu.Cache(valkey.url, timeout=5) as cache:
                await cache.set("a", {"told": [secret] * 5000}, ttl=60)

        asyncio.run(put())

    assert "secret of alice itself in the cache" in await medium(store)
