"""``tradeutils cache``: what lies in a cache, what takes the room, and throwing out what nobody can use."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from tradeutils.cli.arguments import AsJson, ConfigFile, Verbose
from tradeutils.cli.endings import FAILED, USAGE
from tradeutils.cli.printing import progress, show_json, show_line, show_table, tell
from tradeutils.cli.stored import size_text
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    import pathlib

    from tradeutils.cache import Cache, Server, Survey

__all__ = ["COMMANDS", "cache"]

_SECONDS: Final = 5.0  # for whoever sits in front of it, longer than for a bot
_MISSING: Final = object()

CacheUrl: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The cache: redis://localhost:6379/0 ... Default: that of the settings."),
]
Namespace: TypeAlias = Annotated[
    str | None, typer.Option("--namespace", metavar="NAME", help="What stands before its keys. Default: the settings'.")
]


@contextlib.asynccontextmanager
async def _opened(url: str | None, namespace: str | None, config: pathlib.Path | None) -> AsyncIterator[Cache]:
    """Open the cache that the command line or the settings name; its password is kept out of all that is printed."""
    from tradeutils import logs
    from tradeutils.cache import Cache
    from tradeutils.cli.venues import load_settings
    from tradeutils.settings import SecretUrl

    settings = load_settings(config).cache
    given = settings.url if url is None else SecretUrl(url)
    logs.protect(given)
    if given.reveal().partition("://")[0].lower() == "memory":
        raise UsageError(
            "the cache is memory://, which nobody can see from another process; write --url redis://localhost:6379/0"
        )
    async with Cache(given.reveal(), namespace=namespace or settings.namespace, timeout=_SECONDS) as opened:
        yield opened


def stats(
    *,
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=1_000_000, metavar="N", help="How many keys to look at.")
    ] = 1000,
    url: CacheUrl = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Tell of the server, and which prefixes take how much of it, by keys chosen by chance.

    Examples
    --------
    tradeutils cache stats
    tradeutils cache stats --url redis://localhost:6379/0 --samples 5000 --json
    """

    async def look() -> tuple[str, Server, Survey]:
        async with _opened(url, namespace, config) as opened:
            server = await opened.server()
            if server is None:
                raise UsageError("this cache has no server")
            return opened.backend.name, server, await opened.survey(samples)

    name, server, found = asyncio.run(look())
    if as_json:
        show_json({"url": name, "server": dataclasses.asdict(server), "survey": dataclasses.asdict(found)})
        return
    show_table(("what", "how much"), _server_rows(server, found), title=name)
    estimated = "" if found.is_exact else f" (estimated from {found.samples:,})"
    rows = [
        (f"{'' if one.is_ours else 'others: '}{one.prefix or '(no colon)'}", f"{one.keys:,}", size_text(one.bytes))
        for one in found.prefixes
    ]
    if rows:
        show_line("")
        show_table(("prefix", ">keys", ">size"), rows, title=f"by prefix{estimated}")


def _server_rows(server: Server, found: Survey) -> list[tuple[str, str]]:
    limit = server.max_bytes
    used = size_text(server.used_bytes)
    if limit:
        used += f" of {size_text(limit)}, {max(0, limit - server.used_bytes) / limit:.0%} free"
    return [
        ("server", f"{server.name} {server.version}"),
        ("round trip", f"{server.latency * 1000:.2f} ms"),
        ("memory", used if limit else f"{used}, no limit"),
        ("when full", f"{server.policy}{': refuses writes' if server.policy == 'noeviction' else ''}"),
        ("evicted", f"{server.evicted:,}"),
        ("keys", f"{found.keys:,}"),
    ]


def clean(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; say what would be.")] = False,
    without_ttl: Annotated[
        bool, typer.Option("--without-ttl", help="Remove values that would stay for ever, too.")
    ] = False,
    url: CacheUrl = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Remove values that nobody can use: invalidated ones that still lie there, and bytes that cannot be read.

    It takes at most a fifth of the server's time, and leaves alone what changes meanwhile.

    Examples
    --------
    tradeutils cache clean --dry-run
    tradeutils cache clean --url redis://localhost:6379/0 --without-ttl
    """

    async def sweep() -> dict[str, Any]:
        async with _opened(url, namespace, config) as opened:
            with progress("looking at keys") as done:
                return dataclasses.asdict(await opened.clean(done, dry_run, without_ttl=without_ttl))

    found = asyncio.run(sweep())
    if as_json:
        show_json({**found, "dry_run": dry_run})
        return
    rows = [
        ("looked at", f"{found['looked_at']:,}"),
        ("dead", f"{found['dead']:,}"),
        ("unknown", f"{found['unknown']:,}"),
    ]
    if without_ttl:
        rows.append(("without ttl", f"{found['without_ttl']:,}"))
    rows.append(("removed", f"none of {size_text(found['bytes'])}: --dry-run" if dry_run else f"{found['removed']:,}"))
    show_table(("values", ">how many"), rows)


def get(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Without the namespace: tickers:binance")],
    *,
    url: CacheUrl = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    Print the value of a key. Ends with 1 where there is none.

    Examples
    --------
    tradeutils cache get markets:binance
    tradeutils cache get tickers:binance --json
    """

    async def read() -> Any:
        async with _opened(url, namespace, config) as opened:
            return await opened.get(key, _MISSING)

    value = asyncio.run(read())
    if value is _MISSING:
        tell(f"there is no {key!r}; tradeutils cache keys lists what there is")
        raise typer.Exit(FAILED)
    if as_json:
        show_json(_jsonable(value))
    else:
        show_line(value if isinstance(value, str) else repr(value))


def _jsonable(value: Any) -> Any:
    """Return a value of the cache as something JSON has a form for; text where there is none."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(name): _jsonable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(inner) for inner in value]
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if hasattr(value, "tolist"):
        return _jsonable(value.tolist())
    if hasattr(value, "to_dict"):
        return _jsonable(value.to_dict())
    return str(value)


def keys(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="What they begin with; default: all.")] = "",
    *,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = None,
    url: CacheUrl = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    verbose: Verbose = 0,
) -> None:
    """
    List the keys of a namespace, in no order.

    Examples
    --------
    tradeutils cache keys
    tradeutils cache keys tickers: --limit 20 --json
    """

    async def walk() -> list[str]:
        found: list[str] = []
        async with _opened(url, namespace, config) as opened:
            async for key in opened.scan(prefix):
                if not as_json:
                    show_line(key)
                found.append(key)
                if len(found) == limit:
                    break
        return found

    found = asyncio.run(walk())
    if as_json:
        show_json(found)


def cache(context: typer.Context) -> None:
    """
    A cache on Redis: what lies there, what takes the room, and throwing out what nobody can use.

    Examples
    --------
    tradeutils cache stats --url redis://localhost:6379/0
    tradeutils cache keys tickers:
    tradeutils cache get tickers:binance --json
    tradeutils cache clean --dry-run
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


COMMANDS: Final[tuple[tuple[str, Callable[..., None], str], ...]] = (
    ("stats", stats, "The server, and bytes by prefix."),
    ("clean", clean, "Remove what nobody can use."),
    ("get", get, "The value of a key."),
    ("keys", keys, "Which keys there are."),
)
"""Name, function and purpose of each subcommand."""
