"""How the keys of a cache are spread over the slots of a cluster."""

from __future__ import annotations

import binascii
import functools
import itertools
from collections.abc import Sequence
from typing import Final

from tradeutils.link.slots import SLOTS, Name, slot_of

__all__ = ["BUCKETS", "Buckets"]

# Keys of one bucket lie in one slot, so that they travel in one MGET: with 128, the 500 keys of a bulk read are 126 of
# them, where each key in a slot of its own made 500. An invalidation is noted once for each bucket, in one message a
# node. Their slots are equally far apart, so that nodes with as many slots have as many buckets.
BUCKETS: Final = 128


@functools.cache
def _tags() -> tuple[bytes, ...]:
    """Return for each bucket the first number whose slot lies in its part of the slots: the same in every process."""
    found: dict[int, bytes] = {}
    numbers = itertools.count()
    while len(found) < BUCKETS:
        tag = b"%d" % next(numbers)
        found.setdefault(slot_of(tag) * BUCKETS // SLOTS, tag)
    return tuple(tag for _, tag in sorted(found.items()))


class Buckets:
    """
    `tradeutils.link.slots.Names` of a cache, ``namespace:kind:subject``: what concerns one subject lies in one slot.

    ``tu:value:tickers`` and ``tu:lease:tickers`` become ``tu:{17}:value:tickers`` and ``tu:{17}:lease:tickers``. A name
    without a subject, ``tu:epoch``, is everywhere: in each bucket.
    """

    def placed(self, name: Name) -> Name:
        """Return the name with the tag of its bucket after the namespace."""
        head, rest, subject = _split(name)
        return b"%b:{%b}:%b" % (head, _tags()[binascii.crc32(subject) % BUCKETS], rest)

    def plain(self, name: bytes) -> bytes:
        """Return the name without the tag; one that is not placed as ours are is another's, and stays as it is."""
        head, colon, rest = name.partition(b":")
        tag, end, rest = rest.partition(b"}:")
        if not colon or not end or tag[:1] != b"{":
            return name
        plain = b"%b:%b" % (head, rest)
        is_ours = tag[1:] in _tags() if self.is_everywhere(plain) else self.placed(plain) == name
        return plain if is_ours else name

    def is_everywhere(self, name: Name) -> bool:
        """Tell whether there is no subject."""
        return not _split(name)[2]

    def beside(self, name: Name, placed: Name) -> Name:
        """Return ``name`` in the bucket of what has been placed."""
        head, rest, _ = _split(name)
        return b"%b:{%b}:%b" % (head, _bytes(placed).partition(b":{")[2].partition(b"}")[0], rest)

    def all(self, name: Name) -> Sequence[Name]:
        """Return ``name`` in each bucket."""
        head, rest, _ = _split(name)
        return [b"%b:{%b}:%b" % (head, tag, rest) for tag in _tags()]

    def pattern(self, pattern: Name) -> Name:
        """Return a pattern for any bucket; one without a colon, ``*``, is for all that there is."""
        head, colon, rest = _bytes(pattern).partition(b":")
        return b"%b:{*}:%b" % (head, rest) if colon else pattern


def _split(name: Name) -> tuple[bytes, bytes, bytes]:
    """Return the namespace, what follows it, and of that the subject."""
    head, _, rest = _bytes(name).partition(b":")
    return head, rest, rest.partition(b":")[2]


def _bytes(name: Name) -> bytes:
    return name if isinstance(name, bytes) else str(name).encode()
