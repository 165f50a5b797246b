"""
What a bot does with its accounts, good days and bad, leaving all that a bot may leave behind in the working folder.

Run as a program: ``python secrets_work.py PLAN.json`` or ``... PLAN.json crash``. Credentials are read from files that
the plan names; nothing of them is in the plan, the arguments or the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import faulthandler
import gc
import json
import logging
import pathlib
import pickle
import resource
import subprocess
import sys
import traceback
import types
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import tradeutils as tu
from tradeutils import codec, errors, logs, sync
from tradeutils.settings import Account, Credentials, Settings

PATHS = {
    "binance": "/api/v3/account*", "bybit": "/v5/account/wallet-balance*", "okx": "/api/v5/account/balance*",
    "kraken": "/0/private/Balance*",
}  # fmt: skip
# Each is in force for one round. {key} is the account's own: venues say back what they were sent.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 401, "body": '{{"code":-2015,"retCode":10003,"msg":"Invalid API-key {key}"}}'},
    {"kind": "status", "status": 200, "body": '{{"code":"50113","error":["EAPI:Invalid key {key}"],"data":[]}}'},
    {"kind": "status", "status": 200, "body": '{{"apiKey":"{key}","balances":[{{"asset":'},
    {"kind": "status", "status": 200, "body": '["{key}", {{"x": "{key}"}}]'},
    {"kind": "status", "status": 503},
    {"kind": "html", "status": 403, "body": "<html>{key} is not welcome</html>"},
    {"kind": "truncate"},
    {"kind": "reset"},
    {"kind": "silence", "seconds": 3.0},
    {"kind": "status", "status": 429},  # the last: nothing is sent for a while after it
)


COMMANDS: tuple[dict[str, tuple[str, ...]], ...] = (  # side by side; what follows changes what these tell
    {"csv": ("-o", "all.csv"), "json": ("--json",), "suspended": ("--suspended", "--json")},
    {"resume": ("--resume", "okx-bad")},
)


def vault_of(folder: str) -> Callable[[str], Credentials]:
    """Return a vault that reads files."""

    def fetch(name: str) -> Credentials:
        found = {one.suffix[1:]: one.read_text() for one in pathlib.Path(folder).glob(f"{name}.*")}
        return Credentials(**found)  # type: ignore[arg-type]

    return fetch


class Notes:
    """Everything that is told, into files of the working folder and onto stdout."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []

    def tell(self, *values: Any) -> None:
        """Print values in every way in which they print."""
        for value in values:
            print(value, repr(value), f"{value}", [value])
            with contextlib.suppress(TypeError, ValueError):
                print(json.dumps(value, default=str))
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                with contextlib.suppress(TypeError):
                    print(dataclasses.asdict(value))

    def keep(self, name: str, value: Any) -> None:
        """Write a value as bytes, by pickle and by the codec, where they take it; and a copy of it as text."""
        for kind, dumps in (("pickle", pickle.dumps), ("codec", codec.dumps)):
            with contextlib.suppress(TypeError, AttributeError, errors.CodecError, pickle.PicklingError):
                pathlib.Path(f"{name}.{kind}").write_bytes(dumps(value))
        with contextlib.suppress(TypeError):
            print(copy.copy(value))

    def failed(self, error: BaseException) -> None:
        """Tell of an error: itself, its chain, and the local variables of each frame, whosever it is."""
        self._errors.append(error)
        number = len(self._errors)
        self.tell(error, vars(error))
        self.keep(f"error-{number}", error)
        logging.getLogger("bot").error("failed", exc_info=error)
        with pathlib.Path("traces.txt").open("a") as file:
            traceback.print_exception(error, file=file)
            seen: set[int] = set()
            for one in chain_of(traceback.TracebackException.from_exception(error, capture_locals=True), seen):
                file.writelines(f"{frame.name}: {frame.locals}\n" for frame in one.stack)

    @property
    def count(self) -> int:
        """How many errors were told."""
        return len(self._errors)


def chain_of(one: traceback.TracebackException | None, seen: set[int]) -> Iterator[traceback.TracebackException]:
    """Yield an error, its causes, its contexts and those it groups."""
    if one is None or id(one) in seen:
        return
    seen.add(id(one))
    yield one
    for other in (one.__cause__, one.__context__, *(one.exceptions or ())):
        yield from chain_of(other, seen)


def reachable(*roots: Any) -> Iterator[Any]:
    """Yield every object of ours that can be reached from some."""
    seen, waiting = {id(one) for one in roots}, list(roots)
    while waiting:
        one = waiting.pop()
        if type(one).__module__.startswith("tradeutils"):
            yield one
        skipped = (
            type,
            types.ModuleType,
            types.FunctionType,
            types.CodeType,
            types.FrameType,
            types.BuiltinFunctionType,
        )
        if isinstance(one, skipped):
            continue
        for other in gc.get_referents(one):
            if id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)


def attributes(one: Any) -> dict[str, Any]:
    """Return what an object of ours holds under names."""
    names = [name for cls in type(one).__mro__ for name in getattr(cls, "__slots__", ())]
    return {name: getattr(one, name, None) for name in names} | dict(getattr(one, "__dict__", {}))


def control(url: str, method: str, body: Any = None) -> None:
    """Put faults in force at a simulated venue, or take them away."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/sim/faults", data=data, method=method)  # noqa: S310  # on this machine
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


async def each_fault(plan: dict[str, Any], settings: Settings, balances: Any, notes: Notes) -> None:
    """Let everything go wrong, one after the other, for all accounts."""
    vault = vault_of(plan["vault"])
    for fault in FAULTS:
        for venue, url in plan["venues"].items():
            name = f"{venue}-good"
            body = {"body": fault["body"].format(key=vault(name).key.reveal())} if "body" in fault else {}  # type: ignore[union-attr]
            await asyncio.to_thread(control, url, "POST", {**fault, **body, "path": PATHS[venue]})
        print("fault", fault["kind"], asyncio.get_running_loop().time())
        found = await balances.fetch_all(max_age=0)
        for name, error in found.failures.items():
            notes.failed(error)
            notes.tell(balances.suspension(name))
        notes.tell(await balances.suspensions())
        for url in plan["venues"].values():
            await asyncio.to_thread(control, url, "DELETE")
        for name in settings.accounts:
            await balances.resume(name)


async def work(plan: dict[str, Any], settings: Settings) -> None:
    """Do all that is done with accounts."""
    notes = Notes()
    notes.tell(settings, *settings.accounts.values(), *settings.secrets())
    async with (
        tu.Cache(plan["redis"], timeout=5) as cache,
        tu.Exchanges(settings, cache=cache, retries=plan["retries"], deadline=5) as exchanges,
        tu.Balances(exchanges, cache=cache) as balances,
    ):
        end = balances.subscribe(notes.tell)
        first = await balances.fetch_all()
        for error in first.failures.values():
            notes.failed(error)
        assert len(first) == plan["good"], first.failures
        totals = await balances.totals()
        notes.tell(totals.total, *totals.values())
        for name in first:
            notes.tell(await balances.total(name), await balances.history(name))
        with contextlib.suppress(errors.TradeutilsError):
            await exchanges.account("binance-good").create_order("BTC/USDT", "limit", "buy", 1, 10**9)
        notes.tell(await exchanges.account("binance-good").fetch_open_orders())
        last = await balances.fetch_all(max_age=0)
        notes.tell(balances.diff(first, last), balances.stats(), await cache.stats())
        await each_fault(plan, settings, balances, notes)
        for account in settings.accounts.values():
            notes.keep(f"account-{account.name}", account)
            notes.keep(f"credentials-{account.name}", account.credentials)
        for name, value in (("first", dict(first)), ("totals", dict(totals)), ("stats", balances.stats())):
            notes.keep(name, value)
        for name, whole in (("settings", settings), ("balances", balances), ("exchanges", exchanges)):
            notes.keep(name, whole)
        expose(balances, exchanges, settings, cache)
        export(balances)
        end()
    notes.tell(notes.count)


def expose(*roots: Any) -> None:
    """Print every object of ours, and what it holds."""
    count = 0
    with pathlib.Path("objects.txt").open("w") as file:
        for one in reachable(*roots):
            count += 1
            file.write(f"{one!r} {attributes(one)!r}\n")
    print("objects:", count)


def export(balances: tu.Balances) -> None:
    """Have the figures collected, as Prometheus does."""
    from prometheus_client import CollectorRegistry, generate_latest

    from tradeutils.balances.metrics import register_metrics

    registry = CollectorRegistry()
    end = register_metrics(balances, registry)
    pathlib.Path("metrics.txt").write_bytes(generate_latest(registry))
    end()


def command_lines() -> None:
    """Run the command as a person does who looks for what is wrong."""
    command = [sys.executable, "-m", "tradeutils.cli", "-vv", "balances", "--config", "command.toml"]
    for together in COMMANDS:
        with contextlib.ExitStack() as stack:
            for name, words in together.items():
                out, err = (stack.enter_context(pathlib.Path(f"{name}.{end}").open("wb")) for end in ("out", "err"))
                stack.enter_context(subprocess.Popen([*command, *words], stdout=out, stderr=err))


def blocking(settings: Settings) -> None:
    """Do some of it from threads."""
    with sync.Exchanges(settings) as exchanges, sync.Balances(exchanges) as balances:
        print(repr(balances), repr(exchanges), balances.fetch_all(), balances.suspensions())


async def crash(settings: Settings) -> None:
    """End in the middle of a call, with an account and its exchanges at hand."""
    async with tu.Exchanges(settings) as exchanges, tu.Balances(exchanges) as balances:
        account: Account = settings.accounts["binance-good"].unlocked()
        found = await balances.fetch_all()
        raise RuntimeError(f"the bot fell over {account} {balances} {found}")


@contextlib.contextmanager
def post_mortem() -> Iterator[None]:
    """Print an error that nobody caught, with all local variables, and end as a process does that is aborted."""
    try:
        yield
    except RuntimeError as error:
        print(
            "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()), file=sys.stderr
        )
        sys.stderr.flush()
        faulthandler._sigabrt()  # type: ignore[attr-defined]


def run() -> None:
    """Log all that any library logs, to a file, in asyncio's debug mode."""
    plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with pathlib.Path("faults.log").open("a") as faults, pathlib.Path("ours.log").open("a") as ours:
        faulthandler.enable(faults)
        logging.basicConfig(filename="root.log", level=logging.DEBUG, format="%(name)s %(message)s %(args)s")
        logging.captureWarnings(True)
        settings = Settings.load("bots.toml", vault=vault_of(plan["vault"]))
        logs.setup("DEBUG", stream=ours, secrets=settings.secrets())
        if "crash" in sys.argv:
            with post_mortem():
                asyncio.run(crash(settings), debug=True)
        asyncio.run(work(plan, settings), debug=True)
        blocking(settings)
        command_lines()
        logs.reset()


if __name__ == "__main__":
    run()
