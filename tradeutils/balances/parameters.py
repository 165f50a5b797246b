"""What `Balances` is given, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from tradeutils.errors import UsageError

__all__ = ["Limits", "check_count", "check_wallets", "names_of", "seconds"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How old an answer may be, in seconds: by itself, and where the venue is down; ``None``: as usual."""

    max_age: float | None = None
    stale: float | None = None

    @classmethod
    def of(cls, max_age: object, stale: object) -> Self:
        """Return both, checked."""
        return cls(
            None if max_age is None else seconds("max_age", max_age, least=0.0),
            None if stale is None else seconds("stale", stale, least=0.0),
        )


def check_wallets(wallets: object) -> Literal["all"] | tuple[str, ...] | None:
    """Return which wallets make up a balance."""
    if wallets is None:
        return None
    if wallets == "all":
        return "all"
    found = names_of("wallets", wallets)
    if not found:
        raise UsageError('wallets was empty; name some, write "all", or leave it out for the default one')
    return found


def names_of(what: str, given: object) -> tuple[str, ...]:
    """Return a list of names."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"{what} was {given!r}; write a list of names")
    found = tuple(given)
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"{what} was {found!r}; write a list of names")
    return found


def seconds(name: str, given: object, least: float = 0.001) -> float:
    """Return a number of seconds."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given < math.inf:
        raise UsageError(f"{name} was {given!r}; write seconds, from {least:g}")
    return float(given)


def check_count(name: str, given: object, least: int, most: int | None = None) -> int:
    """Return a whole number."""
    bounds = f"{least} or more" if most is None else f"from {least} to {most:,}"
    if isinstance(given, bool) or not isinstance(given, int) or given < least or (most is not None and given > most):
        raise UsageError(f"{name} was {given!r}; write a whole number, {bounds}")
    return given
