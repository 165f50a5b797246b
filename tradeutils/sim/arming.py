"""What is in force at a venue until it is taken away, from any thread: faults, by chance or by count."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from tradeutils.errors import UnknownName, UsageError

__all__ = ["Armed", "Arming", "Striking", "check_number", "check_whole", "fault_of", "shown"]

_MAX_FAULTS: Final = 256


class Striking(Protocol):
    """What every fault has: its chance, how often at most, how long, and what chance depends on."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def probability(self) -> float: ...
    @property
    def count(self) -> int | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def jitter(self) -> float: ...
    @property
    def seed(self) -> int: ...


F = TypeVar("F", bound=Striking)


class Armed(Generic[F]):
    """A fault in force: its dice, how often it struck, and how often it still may."""

    def __init__(self, number: int, fault: F) -> None:
        self.number, self.fault = number, fault
        self.struck, self.since = 0, time.monotonic()
        self._dice = random.Random(fault.seed)  # noqa: S311  # must be the same every time

    def strikes(self, every: float | None = None) -> float | None:
        """
        Return for how many seconds it strikes, ``None`` where it does not.

        ``every``: not sooner than so many seconds after it last did, or was put in force.
        """
        fault = self.fault
        if self.struck == fault.count or (every is not None and time.monotonic() - self.since < every):
            return None
        if self._dice.random() >= fault.probability:
            return None
        self.struck, self.since = self.struck + 1, time.monotonic()
        return max(0.0, fault.seconds + fault.jitter * (2 * self._dice.random() - 1))


class Arming(Generic[F]):
    """
    The faults of one kind in force; to be changed from any thread.

    Parameters
    ----------
    kind : class
        The dataclass that they are.
    example : str
        What one looks like over HTTP, for messages.
    """

    def __init__(self, kind: type[F], example: str) -> None:
        self._kind, self._example = kind, example
        self._armed: dict[int, Armed[F]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._armed)

    def add(self, fault: F | str, **parameters: Any) -> int:
        """
        Put a fault in force and return its number: ``add("latency", seconds=0.2)``.

        Raises
        ------
        UsageError : parameters that make no fault, or more than 256 at once.
        """
        made = self.made({"kind": fault, **parameters}) if isinstance(fault, str) else fault
        return self.add_all([made])[0]

    def made(self, given: object) -> F:
        """Return a fault from its parameters by name; raise `UsageError` where they make none."""
        return fault_of(self._kind, given, self._example)

    def add_all(self, faults: Sequence[F]) -> list[int]:
        """Put all in force, or none; see `add`."""
        with self._lock:
            if len(self._armed) + len(faults) > _MAX_FAULTS:
                raise UsageError(f"{len(self._armed)} faults are in force, of at most {_MAX_FAULTS}; remove some first")
            made = [Armed(next(self._numbers), fault) for fault in faults]
            self._armed |= {one.number: one for one in made}
        return [one.number for one in made]

    def remove(self, number: int) -> None:
        """
        Take a fault away.

        Raises
        ------
        UnknownName : no fault has this number.
        """
        with self._lock:
            if number not in self._armed:
                raise UnknownName("fault", number, map(str, self._armed), where="the simulated venue")
            del self._armed[number]

    def clear(self) -> None:
        """Take all away."""
        with self._lock:
            self._armed.clear()

    def has(self, number: int) -> bool:
        """Tell whether a fault is still in force."""
        return number in self._armed

    def armed(self) -> list[Armed[F]]:
        """Return those in force, the oldest first."""
        with self._lock:
            return list(self._armed.values())

    def describe(self) -> list[dict[str, Any]]:
        """Return each fault with its number and how often it struck, as it is told over HTTP."""
        with self._lock:
            return [
                {"id": one.number, "struck": one.struck, **dataclasses.asdict(one.fault)}
                for one in self._armed.values()
            ]


def fault_of(kind: type[F], given: object, example: str) -> F:
    """
    Return a fault from its parameters by name, as they come over HTTP.

    Raises
    ------
    UsageError : not a mapping; a parameter that no fault has, or one with a value that cannot be.
    """
    if not isinstance(given, Mapping) or "kind" not in given:
        raise UsageError(f"a fault was {shown(given)}; send one such as {example}")
    names = [one.name for one in dataclasses.fields(kind)]
    for name in given:
        if name not in names:
            raise UnknownName("parameter of a fault", str(name)[:64], names)
    return kind(**given)


def check_number(name: str, value: object, most: float) -> None:
    """Raise `UsageError` where a value is no number from 0 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or math.isnan(value):
        raise UsageError(f"{name} was {shown(value)}; give a number from 0 to {most:g}")


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raise `UsageError` where a value is no whole number in a range; ``None`` will do, but for a seed."""
    if value is None and name != "seed":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name} was {shown(value)}; give a whole number from {least} to {most}")


def shown(value: object) -> str:
    """Return a value as messages show it: 80 characters at most."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
