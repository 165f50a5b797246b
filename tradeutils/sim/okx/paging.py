"""
Pages of lists, as OKX cuts them.

Newest first. ``after`` wants what is older than it, ``before`` what is newer, both without the row that they name; of
what is newer, the newest come, not the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from tradeutils.sim.okx.fields import Fields

__all__ = ["PAGE", "cut", "span"]

PAGE: Final = 100
"""Rows of a page, by default and at most, of nearly every list."""

T = TypeVar("T")


def cut(found: Iterable[T], fields: Fields, key: Callable[[T], int], most: int = PAGE) -> list[T]:
    """
    Return a page of what was found.

    Parameters
    ----------
    found : iterable
        Newest first.
    key : callable
        Returns what ``after`` and ``before`` name, which falls from row to row.
    most : int
        Rows at most, and by default.
    """
    after, before = fields.whole("after"), fields.whole("before")
    rows = [one for one in found if (after is None or key(one) < after) and (before is None or key(one) > before)]
    return rows[: fields.limit(most, most)]


def span(fields: Fields, now: int, kept: int) -> tuple[int, int]:
    """Return the first and the last moment that a call is about, of those that the venue still knows."""
    since, until = fields.whole("begin"), fields.whole("end")
    return max(now - kept, since or 0), now if until is None else until
