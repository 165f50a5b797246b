"""What a process tells a server that has been away."""

from __future__ import annotations

from typing import Final

from tradeutils.budget.base import Line
from tradeutils.budget.desk import Desk
from tradeutils.budget.ledger import UNIT, Key, Pool
from tradeutils.budget.scripts import RESTORE
from tradeutils.link.wire import Command

__all__ = ["restore_call"]

# What processes had been granted in the instant before they and the server died together, nobody has seen: with a
# process killed 0.1 s before the server, 1 to 2 of 380 requests were one too many without this. Of whole units.
_UNTOLD: Final = 0.08


def restore_call(desk: Desk, alone: Pool, now: float) -> Command:
    """
    Return the call that tells what the server does not know.

    Where it has lost its data, all that we have spent lately, and how much we know to have been spent by all: the
    greatest such figure covers processes that have died. Otherwise what was spent during the outage.

    Parameters
    ----------
    desk : Desk
        The pool.
    alone : Pool
        What was spent while the server was away.
    now : float
        This process's clock.
    """
    lost = desk.forgotten
    told = desk.own if lost else alone
    keys = [desk.state]
    banned = max(0, int((desk.own.banned_until - now) * 1000)) if desk.own.banned_until > now else 0
    trading = int(lost and desk.own.trading_until > now)
    figures: list[bytes | str | int] = [desk.epoch, banned, desk.own.ban_reason[:200], trading]
    for key, count in told.counts.items():
        count.expire(now)
        slot = desk.slot(Line(count.window, 0.0, count.owner))
        seen, at = _most_seen(desk, key, now, count.keep) if lost else (0, now)
        parts = count.recent()
        keys.append(slot.key)
        unshared = alone.counts.get(key)
        figures += (slot.keep, slot.step, seen, int((now - at) * 1000), unshared.total if unshared else 0, len(parts))
        for end, amount in parts:
            figures += (max(0, int((now - end) * 1000)), amount)
    return RESTORE.call(keys, figures)


def _most_seen(desk: Desk, key: Key, now: float, keep: float) -> tuple[int, float]:
    """Return the most that all were known to have spent, and when; what is older than the window counts no more."""
    known = [found for found in (desk.seen.get(key), desk.readings.get(key)) if found is not None]
    seen, at = max((found for found in known if now - found[1] < keep), default=(0, now))
    return seen + int(seen * _UNTOLD) // UNIT * UNIT, at
