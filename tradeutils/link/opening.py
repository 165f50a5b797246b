"""From an address to the connections that it needs."""

from __future__ import annotations

from collections.abc import Callable

from tradeutils.link.address import Address
from tradeutils.link.changes import Changes
from tradeutils.link.cluster import Cluster
from tradeutils.link.link import Link
from tradeutils.link.sentinel import Sentinel
from tradeutils.link.slots import Names
from tradeutils.link.wire import Refusal

__all__ = ["open_link"]


def open_link(
    address: Address,
    timeout: float,
    *,
    names: Names | None = None,
    longest_pause: float = 0.5,
    changes: Changes | None = None,
    refused: Callable[[str], Exception] = Refusal,
) -> Link | Cluster:
    """
    Return what talks to the servers at an address, not yet connected: a `Link`, `Sentinel` or `Cluster`.

    Parameters
    ----------
    names : Names or None
        How keys are spread over the slots of a cluster; ``None``: they carry their hash tags.
    address, timeout, longest_pause, changes, refused
        As for `Link`.
    """
    if address.kind == "cluster":
        return Cluster(address, timeout, names=names, longest_pause=longest_pause, changes=changes, refused=refused)
    kind = Sentinel if address.kind == "sentinel" else Link
    return kind(address, timeout, longest_pause=longest_pause, changes=changes, refused=refused)
