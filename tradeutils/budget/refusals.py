"""What is said to who asks for what cannot be had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tradeutils.budget.base import Charge, Line, Window
from tradeutils.errors import RateLimited, UsageError

__all__ = ["ban_length", "check_timeout", "check_windows", "no_room", "printable", "too_much"]

_LONGEST_BAN: Final = 7 * 86_400.0
_LONGEST_REASON: Final = 200


def too_much(line: Line) -> UsageError:
    """Say that a cost will never fit."""
    window = line.window
    return UsageError(
        f"cost was {line.cost:g} {window.name}; {line.owner} has {window.limit:g} in {window.seconds:g} s: "
        "ask for less at once, or set a larger window"
    )


def no_room(charge: Charge, timeout: float, wait: float | None, reason: str = "") -> RateLimited:
    """Say that a charge cannot be had in time; ``wait``: seconds until it can, ``None`` where nobody knows."""
    cost = " and ".join(f"{line.cost:g} {line.window.name}" for line in charge.lines) or "a request"
    why = f"banned ({reason})" if reason else f"no room for {cost}"
    when = "" if wait is None else f"; in {wait:.3g} s there is"
    return RateLimited(f"{why} within {timeout:g} s{when}", retry_after=wait, venue=charge.pool)


def ban_length(seconds: float) -> float:
    """Return for how long to close a gate: what a venue writes may be anything, and a week is as good as for ever."""
    if not seconds >= 0:  # NaN fails this too
        raise UsageError(f"seconds of the ban was {seconds!r}; write 0 or more")
    return min(seconds, _LONGEST_BAN)


def printable(reason: str) -> str:
    """Return what a venue gave as a reason fit to be sent, logged and shown: it may hold anything."""
    return "".join(char if char.isprintable() else "?" for char in reason[:_LONGEST_REASON])


def check_timeout(timeout: float | None) -> None:
    """Refuse a timeout that is no number of seconds."""
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout >= 0):  # NaN fails this too
        raise UsageError(f"timeout was {timeout!r}; write seconds, 0 or more, or None to wait as long as it takes")


def check_windows(windows: Any) -> Sequence[Window] | None:
    """Return the user's windows as a tuple; ``None`` stands for the venue's own."""
    if windows is None:
        return None
    if isinstance(windows, Window):
        return (windows,)
    given = tuple(windows) if isinstance(windows, Sequence) and not isinstance(windows, str) else (windows,)
    for window in given:
        if not isinstance(window, Window):
            raise UsageError(f"windows held {window!r}; write tu.Window('weight', limit=6000, seconds=60)")
    if len({(window.name, window.seconds, window.scope) for window in given}) < len(given):
        raise UsageError("windows named one unit twice for the same seconds; write each once")
    if not given:
        raise UsageError("windows was empty; write None for the venue's own windows")
    return given
