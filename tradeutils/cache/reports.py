"""What looking after a cache has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from tradeutils.cache.keys import Keyspace

__all__ = ["Cleaned", "PrefixUsage", "Progress", "Survey", "grouped"]

_MOST_GROUPS: Final = 200
_OTHERS: Final = "..."


class Progress(Protocol):
    """Told how many keys have been looked at, and of how many; the latter is an estimate while others write."""

    def __call__(self, done: int, total: int, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """
    What `Cache.clean` found.

    Attributes
    ----------
    looked_at : int
        Values of this namespace.
    dead : int
        Values that were invalidated and not removed yet.
    unknown : int
        Values that nobody can read: bytes of others, or of a newer version.
    without_ttl : int
        Values that stay for ever; 0 where they were not asked for.
    bytes : int
        How long those three were together; what their keys take comes on top.
    removed : int
        How many of those were removed: none with ``dry_run``; not those that changed meanwhile.
    seconds : float
        How long it took.
    """

    looked_at: int
    dead: int
    unknown: int
    without_ttl: int
    bytes: int
    removed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixUsage:
    """
    What lies under one prefix.

    Attributes
    ----------
    prefix : str
        What the keys of this namespace start with, as far as the first colon (``"tickers:"``; without one ``""``), or
        what the names of others on the same server start with.
    is_ours : bool
        Whether it is a prefix of keys of this namespace.
    keys, bytes : int
        How many, and what they take in memory; estimates where the survey is one.
    """

    prefix: str
    is_ours: bool
    keys: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """
    What takes the room.

    Attributes
    ----------
    keys : int
        On the whole server, or in this process.
    samples : int
        How many of them were looked at.
    is_exact : bool
        Whether those were all.
    prefixes : tuple of PrefixUsage
        The largest first.
    """

    keys: int
    samples: int
    is_exact: bool
    prefixes: tuple[PrefixUsage, ...]


def grouped(weighed: Iterable[tuple[bytes, int]], names: Keyspace, scale: float = 1.0) -> tuple[PrefixUsage, ...]:
    """Add up names and their sizes by prefix, the largest first."""
    values = names.value_prefix.encode()
    sums: dict[tuple[bool, str], list[int]] = {}
    for name, size in weighed:
        is_ours = name.startswith(values)
        head, colon, _ = (name[len(values) :] if is_ours else name).partition(b":")
        group = sums.setdefault((is_ours, (head + colon if colon else b"").decode(errors="backslashreplace")), [0, 0])
        group[0] += 1
        group[1] += size
    rows = sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))
    if len(rows) > _MOST_GROUPS:
        rest = rows[_MOST_GROUPS - 1 :]
        rows = [
            *rows[: _MOST_GROUPS - 1],
            ((False, _OTHERS), [sum(one[0] for _, one in rest), sum(one[1] for _, one in rest)]),
        ]
    return tuple(
        PrefixUsage(prefix=prefix, is_ours=is_ours, keys=round(keys * scale), bytes=round(size * scale))
        for (is_ours, prefix), (keys, size) in rows
    )
