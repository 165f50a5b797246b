"""
Faults on demand: what goes wrong on the way to a venue and back, by chance or by count, from any process.

They are decided here, per request and from a seed; `delivery` carries them out on the socket.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Final

from tradeutils.errors import UnknownName, UsageError
from tradeutils.sim.arming import Arming, check_number, check_whole, fault_of, shown

__all__ = ["KINDS", "Fault", "Faults", "Strike"]

KINDS: Final = ("latency", "status", "html", "reset", "silence", "truncate", "drip")
"""What can go wrong."""

_MAX_SECONDS: Final = 3_600.0
_MAX_BODY: Final = 65_536
_EXAMPLE: Final = '{"kind": "latency", "seconds": 0.2}'
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
                raise UsageError(f"{name} was {shown(text)}; write text of up to {most:,} characters")
        check_number("probability", self.probability, 1.0)
        check_number("seconds", self.seconds, _MAX_SECONDS)
        check_number("jitter", self.jitter, _MAX_SECONDS)
        check_whole("count", self.count, 1, 10**9)
        check_whole("status", self.status, 100, 599)
        check_whole("seed", self.seed, -(2**63), 2**63)
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
        """Return a fault from its parameters by name; raise `UsageError` where they make none."""
        return fault_of(cls, given, _EXAMPLE)

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


class Faults(Arming[Fault]):
    """
    The faults in force; to be changed from any thread.

    Of several that strike one request, delays add up, and of the others the oldest is what happens.
    """

    def __init__(self) -> None:
        super().__init__(Fault, _EXAMPLE)

    def strike(self, method: str, path: str) -> Strike:
        """Return what happens to a request, and count it."""
        if not self:
            return _NOTHING
        before = after = 0.0
        fault: Fault | None = None
        seconds, names = 0.0, list[str]()
        for armed in self.armed():
            if not armed.fault.matches(method, path) or (fault is not None and armed.fault.kind != "latency"):
                continue
            lasts = armed.strikes()
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
