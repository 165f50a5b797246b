"""
Faults on demand: what goes wrong on the way to a venue and back, by chance or by count, from any process.

They are decided here, per request and from a seed; `delivery` carries them out on the socket.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import math
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tradeutils.errors import UnknownName, UsageError

__all__ = ["KINDS", "Fault", "Faults", "Strike"]

KINDS: Final = ("latency", "status", "html", "reset", "silence", "truncate", "drip")
"""What can go wrong."""

_MAX_SECONDS: Final = 3_600.0
_MAX_BODY: Final = 65_536
_MAX_FAULTS: Final = 256
_ALWAYS_AFTER: Final = ("truncate", "drip")  # they need an answer to spoil


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    Something that goes wrong with some requests.

    Parameters
    ----------
    kind : str
        ``"latency"``: the request is processed ``seconds`` late, or with ``after`` its answer is sent late.
        ``"status"``: it is answered with ``status`` and ``body``.
        ``"html"``: the same with a web server's page, as a gateway in front of a venue sends it, by default with 200.
        ``"reset"``: the connection is reset.
        ``"silence"``: the connection stays open for ``seconds`` and nothing comes; then it is reset.
        ``"truncate"``: the answer is cut in its middle and the connection closed.
        ``"drip"``: the answer comes in small pieces, over ``seconds``.
        The last two spoil an answer, so the request is processed.
    after : bool
        The request is processed first: an order is placed, and its sender is not told. False: the venue never sees
        it, and it counts towards no limit.
    method, path : str, optional
        Which requests: ``"POST"``, and a pattern such as ``"/api/v3/order"`` or ``"/api/*"``.
    probability : float
        Of those, how many, by chance.
    count : int, optional
        Of those, how many at most; ``None``: no end.
    seconds, jitter : float
        How long; with ``jitter`` each time by chance between ``seconds - jitter`` and ``seconds + jitter``, at
        least 0.
    status : int, optional
        100 to 599. Default: 503, of a page 200.
    body : str, optional
        Of the answer. Default: what the venue says at that status, or a page.
    seed : int
        Of all that is by chance: with one seed, the same of the matching requests are struck, in their order.
    """

    kind: str
    after: bool = False
    method: str | None = None
    path: str = "*"
    probability: float = 1.0
    count: int | None = None
    seconds: float = 0.0
    jitter: float = 0.0
    status: int | None = None
    body: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownName("kind of fault", str(self.kind)[:64], KINDS, where="the simulated venue")
        if not isinstance(self.after, bool):
            raise UsageError(f"after was {self.after!r}; write true or false")
        for name, most in (("method", 16), ("path", 256), ("body", _MAX_BODY)):
            text = getattr(self, name)
            if not ((isinstance(text, str) and len(text) <= most) or (text is None and name != "path")):
                raise UsageError(f"{name} was {_shown(text)}; write text of up to {most:,} characters")
        _check_number("probability", self.probability, 1.0)
        _check_number("seconds", self.seconds, _MAX_SECONDS)
        _check_number("jitter", self.jitter, _MAX_SECONDS)
        _check_whole("count", self.count, 1, 10**9)
        _check_whole("status", self.status, 100, 599)
        _check_whole("seed", self.seed, -(2**63), 2**63)
        if self.kind in ("latency", "drip") and self.seconds <= self.jitter * (self.kind == "drip"):
            raise UsageError(
                f"seconds was {self.seconds!r}; say how long the {self.kind} lasts, longer than its jitter"
            )
        if self.kind == "truncate" and (self.seconds or self.jitter):
            raise UsageError(
                f"seconds was {self.seconds!r}; what is truncated comes at once: add a latency to delay it"
            )

    @classmethod
    def of(cls, given: object) -> Fault:
        """
        Return a fault from its parameters by name, as they come over HTTP.

        Raises
        ------
        UsageError : not a mapping; a parameter that no fault has, or one with a value that cannot be.
        """
        names = [one.name for one in dataclasses.fields(cls)]
        if not isinstance(given, Mapping) or "kind" not in given:
            raise UsageError(f'a fault was {_shown(given)}; send one such as {{"kind": "latency", "seconds": 0.2}}')
        for name in given:
            if name not in names:
                raise UnknownName("parameter of a fault", str(name)[:64], names)
        return cls(**given)

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request may be struck."""
        return self.method in (None, method) and fnmatch.fnmatchcase(path, self.path)


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens to one request: it waits before and after, and then ``fault`` with its own ``seconds``."""

    before: float = 0.0
    after: float = 0.0
    fault: Fault | None = None
    seconds: float = 0.0
    name: str = ""

    @property
    def processed(self) -> bool:
        """Whether the venue sees the request."""
        return self.fault is None or self.fault.after or self.fault.kind in _ALWAYS_AFTER


_NOTHING: Final = Strike()


class _Armed:
    """A fault in force: its dice, how often it struck, and how often it still may."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.dice = random.Random(fault.seed)  # noqa: S311  # must be the same every time
        self.struck = 0

    def strikes(self, method: str, path: str) -> float | None:
        """Return for how many seconds it strikes a request, ``None`` where it does not."""
        fault = self.fault
        if not fault.matches(method, path) or self.struck == fault.count:
            return None
        if self.dice.random() >= fault.probability:
            return None
        self.struck += 1
        return max(0.0, fault.seconds + fault.jitter * (2 * self.dice.random() - 1))


class Faults:
    """
    The faults in force; to be changed from any thread.

    Of several that strike one request, delays add up, and of the others the oldest is what happens.
    """

    def __init__(self) -> None:
        self._armed: dict[int, _Armed] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, fault: Fault | str, **parameters: Any) -> int:
        """
        Put a fault in force and return its number: ``add("latency", seconds=0.2)``.

        Raises
        ------
        UsageError : parameters that make no fault, or more than 256 at once.
        """
        made = fault if isinstance(fault, Fault) else Fault.of({"kind": fault, **parameters})
        return self.add_all([made])[0]

    def add_all(self, faults: Sequence[Fault]) -> list[int]:
        """Put all in force, or none; see `add`."""
        with self._lock:
            if len(self._armed) + len(faults) > _MAX_FAULTS:
                raise UsageError(f"{len(self._armed)} faults are in force, of at most {_MAX_FAULTS}; remove some first")
            made = {next(self._numbers): _Armed(fault) for fault in faults}
            self._armed |= made
        return list(made)

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

    def strike(self, method: str, path: str) -> Strike:
        """Return what happens to a request, and count it."""
        if not self._armed:
            return _NOTHING
        before = after = 0.0
        fault, seconds, names = None, 0.0, []
        with self._lock:
            for armed in self._armed.values():
                if fault is not None and armed.fault.kind != "latency":
                    continue
                lasts = armed.strikes(method, path)
                if lasts is None:
                    continue
                names.append(armed.fault.kind)
                if armed.fault.kind != "latency":
                    fault, seconds = armed.fault, lasts
                elif armed.fault.after:
                    after += lasts
                else:
                    before += lasts
        return Strike(before, after, fault, seconds, "+".join(names))

    def describe(self) -> list[dict[str, Any]]:
        """Return each fault with its number and how often it struck, as ``GET /sim/faults`` tells them."""
        with self._lock:
            return [
                {"id": number, "struck": armed.struck, **dataclasses.asdict(armed.fault)}
                for number, armed in self._armed.items()
            ]


def _check_number(name: str, value: object, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or math.isnan(value):
        raise UsageError(f"{name} was {_shown(value)}; give a number from 0 to {most:g}")


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if value is None and name != "seed":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name} was {_shown(value)}; give a whole number from {least} to {most}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
