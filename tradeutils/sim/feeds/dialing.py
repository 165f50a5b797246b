"""How often an address may open a connection; venues count that beside what is asked over REST."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tradeutils.sim.usage import UsageMeter, Window

if TYPE_CHECKING:  # the venue holds keys and books, which are parts of this room
    from tradeutils.sim.limits import Gate

__all__ = ["Dialing", "sliding_meter"]


def sliding_meter(gate: Gate, limit: int, seconds: float) -> UsageMeter:
    """Return a count of the last so many seconds, of what the limits of the venue make of a limit of its feeds."""
    most = max(1, math.floor(limit * gate.limits.endpoints))
    # The clock of the gate is asked for each time, as it may be another one later.
    return UsageMeter(Window("feeds", most, seconds), sliding=True, clock=lambda: gate.clock())


class Dialing:
    """
    Counts the connections that each address opens.

    Parameters
    ----------
    gate : Gate
        Whose limits and clock are those of the venue.
    limit, seconds : int, float
        How many in how long; ``limits.endpoints`` of the venue makes it more or less.
    """

    def __init__(self, gate: Gate, limit: int, seconds: float) -> None:
        self._meter = sliding_meter(gate, limit, seconds)

    def admits(self, remote: str) -> bool:
        """Count one more connection of an address, or tell that it is one too many, which is not counted."""
        if self._meter.exceeded(remote, 1) is not None:
            return False
        self._meter.charge(remote)
        return True
