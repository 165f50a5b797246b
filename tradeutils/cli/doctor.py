"""``tradeutils doctor``: what this machine has for the library, what is missing, and how to get it."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeutils.cli import machine
from tradeutils.cli.arguments import AsJson, ConfigFile, Url, Verbose
from tradeutils.cli.doctor_gpu import look_at_gpus
from tradeutils.cli.endings import FAILED, one_line
from tradeutils.cli.findings import Finding, State, gib
from tradeutils.cli.printing import progress, show_json, show_table
from tradeutils.errors import CacheError, HistoryError, UsageError, VenueError

if TYPE_CHECKING:
    from tradeutils.settings import Settings

__all__ = ["doctor"]

_CLOCK_TOLERANCE_MS: Final = 500.0  # venues refuse signed requests that are 1 to 5 s off
_FEW_MEMORY: Final = 2 * 2**30
_FEW_DISK: Final = 2 * 2**30
_LINE: Final = 88
_LITTLE_ROOM: Final = 0.1  # of maxmemory, below which a server that evicts nothing is about to refuse
_REDIS_SECONDS: Final = 2.0
_NO_REDIS: Final = "check the URL and that the server runs: apt install redis-server, or docker run -p 6379:6379 redis"
_SET_UP_REDIS: Final = "for one cache for all processes: [cache] url = 'redis://localhost:6379/0' in tradeutils.toml"


def doctor(
    *,
    redis: Annotated[
        str | None,
        typer.Option("--redis", metavar="URL", help="A Redis to look at; default: the cache of the settings."),
    ] = None,
    venue: Annotated[
        str | None,
        typer.Option(
            "--venue", metavar="NAME", help="A venue to compare clocks with; by default nothing is sent anywhere."
        ),
    ] = None,
    warm: Annotated[
        bool,
        typer.Option("--warm", help="Compile all indicators into the cache on disk, so that no first call waits."),
    ] = False,
    budget: Annotated[
        bool,
        typer.Option("--budget", help="Show what is spent of each venue's limits by all who share a Redis."),
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Report versions, processor, memory, Redis, GPU and clock, test the GPU, and say what is missing and how to get it.

    Exit code 0, whatever optional part is missing; 1 where what --redis or --venue asked for does not answer, or a GPU
    computes other numbers than the processor.

    Examples
    --------
    tradeutils doctor
    tradeutils doctor --redis redis://localhost:6379/0
    tradeutils doctor --venue binance --json
    tradeutils doctor --budget
    tradeutils doctor --warm
    """
    from tradeutils.cli.venues import load_settings

    if url is not None and venue is None:
        raise UsageError(f"url was {url!r} without a venue; write --venue binance --url {url}")
    settings = load_settings(config)
    if budget:
        from tradeutils.cli.budget import show_budget

        show_budget(settings, redis, as_json=as_json)
        return
    findings = [*_look_at_software(), *_look_at_hardware(), _look_at_history(settings)]
    findings += asyncio.run(_look_at_servers(settings, redis, venue, url))
    if warm:
        findings.append(_compile_indicators())
    if as_json:
        show_json({"versions": machine.read_versions(), "checks": {found.name: _plain(found) for found in findings}})
    else:
        show_table(("part", "state", "found"), [row for finding in findings for row in _rows(finding)])
    if any(found.state == "failed" for found in findings):
        raise typer.Exit(FAILED)


def _compile_indicators() -> Finding:
    """Compile every kernel, with a bar of progress where somebody watches."""
    from tradeutils.indicators.cpu import cache_folder
    from tradeutils.indicators.warm import compile_all

    began = time.perf_counter()
    with progress("compiling indicators") as done:
        kernels = compile_all(done)
    seconds = time.perf_counter() - began
    folder = cache_folder("driver")
    details = {"kernels": kernels, "seconds": round(seconds, 1), "folder": str(folder.parent) if folder else None}
    if folder is None:
        remedy = "set NUMBA_CACHE_DIR to a folder of yours that can be written to"
        return Finding("indicators", "warning", "compiled, but no folder can keep them", remedy, details)
    found = f"{kernels} kernels compiled in {seconds:.0f} s, kept in {folder.parent}"
    return Finding("indicators", "ok", found, details=details)


def _rows(finding: Finding) -> list[list[str]]:
    """Return a finding as rows of a table that fits a page, what to do below what was found."""
    lines = textwrap.wrap(finding.found, _LINE)
    if finding.remedy:
        lines += textwrap.wrap(f"-> {finding.remedy}", _LINE, subsequent_indent="   ")
    return [[finding.name, finding.state, lines[0]], *(["", "", line] for line in lines[1:])]


def _plain(finding: Finding) -> dict[str, Any]:
    return {name: value for name, value in asdict(finding).items() if name != "name"}


def _look_at_software() -> Iterator[Finding]:
    versions = machine.read_versions()
    own = {name: versions.pop(name) for name in ("python", "tradeutils")}
    yield Finding("tradeutils", "ok", f"{own['tradeutils']} on Python {own['python']}", details=own)
    missing = [name for name in machine.REQUIRED if name not in versions]
    yield Finding(
        "packages",
        "failed" if missing else "ok",
        f"{', '.join(missing)} missing"
        if missing
        else ", ".join(f"{name} {versions[name]}" for name in machine.REQUIRED),
        "pip install --force-reinstall tradeutils" if missing else "",
        versions,
    )
    for module, (extra, purpose) in machine.OPTIONAL.items():
        there = machine.has_module(module)
        yield Finding(
            module,
            "ok" if there else "missing",
            versions.get(module, "installed") if there else f"not installed: {purpose}",
            "" if there else f'pip install "tradeutils[{extra}]"',
        )


def _look_at_hardware() -> Iterator[Finding]:
    cpu = machine.read_cpu()
    yield Finding("cpu", "ok", f"{cpu.model}, {cpu.threads} threads, {cpu.usable:g} usable", details=asdict(cpu))
    memory = machine.read_memory()
    tight = memory.available is not None and memory.available < _FEW_MEMORY
    yield Finding(
        "memory",
        "warning" if tight else "ok",
        f"{gib(memory.total)}, {gib(memory.available)} free",
        "fetch fewer symbols at once, or free some" if tight else "",
        asdict(memory),
    )
    yield from look_at_gpus()


def _look_at_history(settings: Settings) -> Finding:
    """Look at the folder of candles that the settings name, without reading any."""
    from tradeutils.history import History

    path = settings.history.path
    details: dict[str, Any] = {"path": str(path)}
    if not path.is_dir():
        remedy = "to keep candles on disk: tradeutils backfill, or tradeutils history import"
        return Finding("history", "missing", f"no folder {path}", remedy, details)
    try:
        with History(path, read_only=True) as history:
            details |= {"series": len(history.series()), "free_bytes": shutil.disk_usage(path).free}
    except (HistoryError, OSError) as error:
        return Finding("history", "warning", one_line(str(error)), "see [history] path in tradeutils.toml", details)
    tight = details["free_bytes"] < _FEW_DISK
    found = f"{details['series']:,} series in {path}, {gib(details['free_bytes'])} free"
    remedy = "make room, or: tradeutils history prune --max-bytes SIZE" if tight else ""
    return Finding("history", "warning" if tight else "ok", found, remedy, details)


async def _look_at_servers(settings: Settings, redis: str | None, venue: str | None, url: str | None) -> list[Finding]:
    findings = [await _look_at_redis(settings, redis)]
    if venue is not None:
        findings.append(await _look_at_clock(settings, venue, url))
    return findings


async def _look_at_redis(settings: Settings, given: str | None) -> Finding:
    from tradeutils.cache import Cache
    from tradeutils.settings import redact_url

    url = given if given is not None else settings.cache.url.reveal()
    shown = redact_url(url)
    async with Cache(url, timeout=_REDIS_SECONDS) as cache:
        try:
            server = await cache.server()
        except CacheError as error:
            state: State = "failed" if given is not None else "warning"
            return Finding("redis", state, one_line(str(error)), _NO_REDIS, {"url": shown})
    if server is not None:
        return _judge_redis(shown, asdict(server))
    return Finding("redis", "missing", "not set up: each process has a cache of its own", _SET_UP_REDIS)


def _judge_redis(url: str, server: dict[str, Any]) -> Finding:
    found = f"{server['name']} {server['version']} at {url}, {server['latency'] * 1000:.2f} ms a round trip"
    limit = server["max_bytes"]
    headroom = max(0, limit - server["used_bytes"]) if limit else None
    found += f", {gib(server['used_bytes'])} of {gib(limit)} used" if limit else ", no memory limit"
    if headroom is not None:
        found += f", {headroom / limit:.0%} free"
    found += f", {server['evicted']:,} evicted" if server["evicted"] else ""
    keeps_all = server["policy"] == "noeviction"
    remedy = ""
    if keeps_all:
        remedy = "set maxmemory and maxmemory-policy allkeys-lfu: a full cache then forgets instead of refusing"
        if headroom is not None and headroom < _LITTLE_ROOM * limit:
            remedy = f"it refuses writes within {gib(headroom)}: raise maxmemory, or {remedy}"
    elif not limit:
        remedy = "set maxmemory: without it nothing is evicted until the machine has no memory left"
    details = {"url": url, **server, "headroom_bytes": headroom}
    return Finding("redis", "warning" if remedy else "ok", found, remedy, details)


async def _look_at_clock(settings: Settings, venue: str, url: str | None) -> Finding:
    from tradeutils.cli.venues import open_exchange

    async with open_exchange(venue, settings, url=url) as exchange:
        try:
            told = await exchange.fetch_time()
        except VenueError as error:
            return Finding("clock", "failed", one_line(str(error)), f"check the network and the state of {venue}")
        offset = time.time() * 1000 - told
    off = abs(offset) > _CLOCK_TOLERANCE_MS
    apart = f"{abs(offset):.0f} ms" if abs(offset) < 10_000 else str(dt.timedelta(seconds=round(abs(offset) / 1000)))
    direction = "ahead of" if offset > 0 else "behind"
    return Finding(
        "clock",
        "warning" if off else "ok",
        f"{apart} {direction} {venue}",
        "set the clock: timedatectl set-ntp true" if off else "",
        {"venue": venue, "offset_ms": round(offset, 1)},
    )
