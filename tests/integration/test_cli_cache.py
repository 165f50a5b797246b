"""``tradeutils cache``: on a real server, with secrets, odd keys and bad input."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import logs
from tradeutils.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    valkey: ValkeyServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> Iterator[Run]:
    """Return a function that runs a command on the server and returns its code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, url: str | None = valkey.url) -> tuple[int, str, str]:
        code = main(["cache", *words, *(["--url", url] if url else [])])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    logs.reset()


def store(valkey: ValkeyServer, values: dict[str, Any], **options: Any) -> None:
    """Store values for a minute."""

    async def stored() -> None:
        async with tu.Cache(valkey.url, timeout=5, **options) as cache:
            await cache.set_many(values, ttl=60)

    asyncio.run(stored())


def test_keys_are_listed(run: Run, valkey: ValkeyServer) -> None:
    """Those of the namespace that begin so, at most so many; as lines, or as JSON."""
    store(valkey, {"a:1": 1, "a:2": 2, "b": 3, "a:line\nbreak": 4})
    store(valkey, {"c": 1}, namespace="other")
    code, out, _ = run("keys")
    assert (code, sorted(out.splitlines())) == (0, ["a:1", "a:2", "a:line break", "b"])
    assert sorted(json.loads(run("keys", "a:", "--json")[1])) == ["a:1", "a:2", "a:line\nbreak"]
    assert len(run("keys", "-n", "2")[1].splitlines()) == 2
    assert run("keys", "--namespace", "other")[1] == "c\n"
    assert run("keys", "nothing")[:2] == (0, "")
    assert run("keys", "nothing", "--json")[:2] == (0, "[]\n")


@pytest.mark.parametrize(
    ("value", "text", "plain"),
    [
        ({"a": [1, None]}, "{'a': [1, None]}", {"a": [1, None]}),
        ("text", "text", "text"),
        ({"x": Decimal("0.10")}, "{'x': Decimal('0.10')}", {"x": "0.10"}),
        (np.arange(3.0), "array([0., 1., 2.])", [0.0, 1.0, 2.0]),
        ((1, 2**70), f"(1, {2**70})", [1, str(2**70)]),
        (float("nan"), "nan", None),
        (None, "None", None),
    ],
)
def test_value_is_printed(run: Run, valkey: ValkeyServer, value: Any, text: str, plain: Any) -> None:
    """As Python writes it, or as JSON."""
    store(valkey, {"k": value})
    assert run("get", "k")[:2] == (0, f"{text}\n")
    code, out, _ = run("get", "k", "--json")
    assert (code, json.loads(out)) == (0, plain)


def test_value_of_the_model_is_printed_by_its_fields(run: Run, valkey: ValkeyServer) -> None:
    """Columns as lists."""
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), np.ones(2))
    candles = tu.Candles(
        exchange="binance", symbol="BTC/USDT", timeframe="1m", time=np.array([0, 60_000]), **columns,
        closed=np.array([True, False]),
    )  # fmt: skip
    store(valkey, {"k": candles, "f": candles.to_frame()})
    shown = json.loads(run("get", "k", "--json")[1])
    assert (shown["symbol"], shown["time"], shown["closed"]) == ("BTC/USDT", [0, 60_000], [True, False])
    assert list(json.loads(run("get", "f", "--json")[1])["close"].values()) == [1.0, 1.0]


def test_absent_key_ends_with_one(run: Run) -> None:
    """Nothing on stdout."""
    code, out, err = run("get", "nobody")
    assert (code, out) == (1, "")
    assert "there is no 'nobody'" in err
    assert len(err.splitlines()) == 1


def test_bytes_of_others_end_with_one_line(run: Run, valkey: ValkeyServer) -> None:
    """And what to do."""
    with valkey.client() as client:
        client.set("tu:value:k", b"\x80\x04K\x01.")
    code, out, err = run("get", "k")
    assert (code in (1, 2), out, len(err.splitlines())) == (True, "", 1)
    assert "pickle" in err


def test_server_and_prefixes_are_told(run: Run, valkey: ValkeyServer) -> None:
    """What takes the room, ours and others'."""
    store(valkey, {"tickers:1": "x" * 1000, "tickers:2": "x" * 1000, "plain": 1})
    with valkey.client() as client:
        client.mset({"others:1": "1"})
    code, out, _ = run("stats")
    assert code == 0
    assert "noeviction: refuses writes" in out
    rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert rows["tickers:"][1] == "2"
    assert rows["others: others:"][2] == "1"
    told = json.loads(run("stats", "--json")[1])
    assert told["server"]["policy"] == "noeviction"
    assert told["survey"]["prefixes"][0]["prefix"] == "tickers:"
    assert told["survey"]["is_exact"] is True


def test_cleaning_says_what_it_does(run: Run, valkey: ValkeyServer) -> None:
    """First what it would, then what it did."""
    store(valkey, {"k": 1})
    with valkey.client() as client:
        client.set("tu:value:foreign", b"hello")
        client.set("tu:value:lasting", b"1")
        code, out, _ = run("clean", "--dry-run")
        assert (code, "none of 5 bytes: --dry-run" in out) == (0, True)
        assert client.exists("tu:value:foreign")
        found = json.loads(run("clean", "--json")[1])
        assert (found["looked_at"], found["unknown"], found["removed"], found["dry_run"]) == (3, 1, 1, False)
        assert not client.exists("tu:value:foreign")
        assert "without ttl" in run("clean", "--without-ttl")[1]
        assert not client.exists("tu:value:lasting")


def test_cleaning_shows_a_bar_on_a_terminal(valkey: ValkeyServer, tmp_path: pathlib.Path) -> None:
    """On stderr alone."""
    store(valkey, {f"k{number}": number for number in range(3000)})
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "tradeutils", "cache", "clean", "--json", "--url", valkey.url],
        stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path, timeout=60, check=True,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert json.loads(done.stdout)["looked_at"] == 3000
    assert b"looking at keys" in shown


@pytest.mark.parametrize(
    ("words", "url", "code", "said"),
    [
        (["keys"], "nonsense", 2, "scheme"),
        (["keys"], "redis://bot:s3cret@host:port/0", 2, "cannot be read"),
        (["keys"], "redis://bot:s3cret@127.0.0.1:1/0", 1, "could not be reached"),
        (["stats"], "memory://", 2, "--url redis://"),
        (["stats", "--samples", "0"], None, 2, "--samples"),
        (["keys", "--namespace", "a:b"], "redis://bot:s3cret@127.0.0.1:1/0", 2, "namespace was"),
        (["get"], None, 2, "KEY"),
        (["get", ""], "redis://127.0.0.1:1/0", 2, "key was empty"),
        (["get", "x" * 2000], "redis://127.0.0.1:1/0", 2, "at most 1024 bytes"),
        (["lean"], None, 2, "clean"),
        (["keys"], None, 2, "--url redis://"),
    ],
)
def test_bad_input_is_one_line(run: Run, words: list[str], url: str | None, code: int, said: str) -> None:
    """With what to write instead, and without the password."""
    ended, out, err = run(*words, url=url)
    assert (ended, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert "s3cret" not in err


def test_password_is_never_shown(run: Run, valkey_with: Callable[..., ValkeyServer], tmp_path: pathlib.Path) -> None:
    """Not where it serves, not where it is wrong, not from the settings, however loud."""
    server = valkey_with("--requirepass", "s3cret-word")
    right = server.url.replace("redis://", "redis://:s3cret-word@")
    for words in (["stats"], ["stats", "--json"], ["clean", "-vv"], ["get", "k"]):
        _, out, err = run(*words, url=right)
        assert "s3cret" not in out + err
    code, out, err = run("stats", url=server.url.replace("redis://", "redis://:wr0ng-word@"))
    assert (code, out) == (1, "")
    assert "refused the user name or password" in err
    assert "wr0ng" not in err
    (tmp_path / "tradeutils.toml").write_text(f'[cache]\nurl = "{right}"\nnamespace = "mine"\n')
    code, out, err = run("stats", "-vv", url=None)
    assert (code, "s3cret" in out + err) == (0, False)


def test_group_alone_prints_its_help(run: Run) -> None:
    """And ends with 2."""
    code, out, _ = run(url=None)
    assert code == 2
    assert "clean" in out


@pytest.mark.parametrize(
    ("options", "state", "said"),
    [
        (("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"), "ok", "free"),
        (("--maxmemory", "100mb", "--maxmemory-policy", "noeviction"), "warning", "allkeys-lfu"),
        (("--maxmemory-policy", "allkeys-lfu"), "warning", "set maxmemory"),
        (("--maxmemory", "3mb", "--maxmemory-policy", "noeviction"), "warning", "refuses writes within"),
    ],
    ids=["roomy", "refusing", "unlimited", "full"],
)
def test_doctor_tells_how_much_room_is_left(
    valkey_with: Callable[..., ValkeyServer], capsys: pytest.CaptureFixture[str], options: tuple[str, ...],
    state: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    """And warns where it runs out, or where nothing keeps it from doing so."""
    monkeypatch.chdir(tmp_path)
    server = valkey_with(*options)
    if "3mb" in options:
        with server.client() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", int(used * 1.02))
    assert main(["doctor", "--redis", server.url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["checks"]["redis"]
    assert found["state"] == state
    assert said in found["found"] + found["remedy"]
    headroom = found["details"]["headroom_bytes"]
    assert (headroom is None) == ("--maxmemory" not in options)
