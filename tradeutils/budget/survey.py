"""Looking at all pools of a shared budget, whoever uses them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tradeutils.budget.base import PoolUsage, Window, WindowUsage
from tradeutils.budget.desk import Names, is_name
from tradeutils.budget.ledger import UNIT
from tradeutils.budget.refusals import printable
from tradeutils.budget.scripts import USAGE
from tradeutils.link.wire import Command

__all__ = ["survey"]

_RECENT_SECONDS: Final = 3600
_PREFIX: Final = b"window "

Call = Callable[[Command], Awaitable[Any]]


async def survey(call: Call, names: Names) -> list[PoolUsage]:
    """Return the state of each pool of each egress that was used in the past hour; two round trips a pool."""
    since = int(time.time()) - _RECENT_SECONDS
    members = await call((b"ZRANGEBYSCORE", names.pools, since, "+inf"))
    found = sorted(bytes(member).decode(errors="replace").partition(" ")[::2] for member in members)
    return [await _look_at(call, names.of_egress(egress), pool) for egress, pool in found if is_name(egress) and pool]


async def _look_at(call: Call, names: Names, pool: str) -> PoolUsage:
    state = names.of_pool(pool, "state")
    windows = sorted(_windows(await call((b"HGETALL", state))), key=lambda found: (found[0], found[1].name))
    slots = [names.slot(pool, window, owner) for owner, window in windows]
    keys = [state, names.of_pool(pool, "members"), *(slot.key for slot in slots)]
    figures = [figure for slot in slots for figure in (slot.keep, slot.step)]
    ban, reason, members, waiters, *totals = await call(USAGE.call(keys, figures))
    used = zip(windows, totals, strict=True)
    return PoolUsage(
        pool=pool,
        windows=tuple(WindowUsage(window, owner, total / UNIT) for (owner, window), total in used),
        waiters=waiters,
        members=members,
        banned_for=ban / 1000,
        ban_reason=printable(reason.decode(errors="replace")),
        shared=True,
        egress=names.egress,
    )


def _windows(state: dict[bytes, bytes]) -> list[tuple[str, Window]]:
    """Read which windows there are; each process writes down those that it charges."""
    found = []
    for name, limit in state.items():
        if name.startswith(_PREFIX):
            owner, unit, seconds, scope = json.loads(name[len(_PREFIX) :])
            found.append((owner, Window(unit, int(limit) / UNIT, seconds, scope)))
    return found
