"""``tradeutils doctor --budget``: what is spent of each venue's limits, who waits, and who is banned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import typer

from tradeutils.cli.endings import FAILED
from tradeutils.cli.printing import number_text, show_json, show_table, tell

if TYPE_CHECKING:
    from tradeutils.budget import PoolUsage
    from tradeutils.settings import Settings

__all__ = ["show_budget"]

_COLUMNS: Final = ("pool", "window", ">used", ">limit", ">%", ">waiting", ">processes", "ban")


def show_budget(settings: Settings, redis: str | None, *, as_json: bool) -> None:
    """
    Print the state of the shared budget.

    Parameters
    ----------
    settings : Settings
        Say where the cache lies, whose Redis the budget is on.
    redis : str or None
        Another Redis to look at.
    as_json : bool
        Print ``{"redis": ..., "pools": [...]}``.

    Raises
    ------
    typer.Exit : 1 where there is no Redis, or it does not answer.
    """
    from tradeutils.settings import redact_url

    url = redis if redis is not None else settings.cache.url.reveal()
    if url.partition("://")[0] not in ("redis", "rediss", "unix"):
        tell(
            "no Redis: each process has a budget of its own, which nobody else can see; share it with --redis URL, or "
            "[cache] url = 'redis://localhost:6379/0' in tradeutils.toml"
        )
        raise typer.Exit(FAILED)
    pools = asyncio.run(_look_at(url))
    if pools is None:
        tell(f"{redact_url(url)} does not answer: each process goes on with its fraction of every window")
        raise typer.Exit(FAILED)
    if as_json:
        show_json({"redis": redact_url(url), "pools": [asdict(pool) for pool in pools]})
    elif pools:
        show_table(_COLUMNS, [row for pool in pools for row in _rows(pool)])
    else:
        tell(f"nobody has used the budget on {redact_url(url)} in the past hour")


async def _look_at(url: str) -> list[PoolUsage] | None:
    from tradeutils.budget import RedisBudget

    budget = RedisBudget(url)
    try:
        pools = await budget.usage()
        return pools if budget.is_shared else None
    finally:
        await budget.aclose()


def _rows(pool: PoolUsage) -> Iterator[list[str]]:
    """Yield a row for each window; what holds for the whole pool stands in the first."""
    ban = f"{pool.banned_for:.0f} s: {pool.ban_reason}" if pool.banned_for else ""
    name = pool.pool if pool.egress == "default" else f"{pool.pool} from {pool.egress}"
    whole = [name, str(pool.waiters), str(pool.members), ban]
    if not pool.windows:
        yield [name, "", "", "", "", *whole[1:]]
    for each in pool.windows:
        window = each.window
        label = f"{window.name} in {number_text(window.seconds)} s"
        if each.owner != pool.pool:
            label += f" of {each.owner.removeprefix(f'{pool.pool}:')}"
        share = f"{each.used / window.limit:.0%}"
        figures = [label, number_text(each.used, digits=6), number_text(window.limit), share]
        yield [whole[0], *figures, *whole[1:]]
        whole = ["", "", "", ""]
