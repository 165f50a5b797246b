"""
Faults of feeds on demand: what goes wrong with messages and connections, by chance, by count or by the clock.

They are decided here, per message and from a seed; `connection` carries them out on the socket.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Final

from tradeutils.errors import UnknownName, UsageError
from tradeutils.sim.arming import Arming, check_number, check_whole, shown

__all__ = ["FEED_FAULTS", "FeedFault", "FeedFaults", "FeedStrike"]

FEED_FAULTS: Final = (
    "silent", "drop", "slow", "out_of_order", "duplicate", "malformed", "half_open", "lose", "refuse",
)  # fmt: skip
"""What can go wrong with a feed."""

_MAX_SECONDS: Final = 3_600.0
_EXAMPLE: Final = '{"kind": "drop", "every": 5}'


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFault:
    """
    Something that goes wrong with some messages of feeds: never with answers, nor with pongs.

    Parameters
    ----------
    kind : str
        ``"silent"``: the topic of the message says nothing on this connection for ``seconds``, where 0 until the fault
        is taken away or the topic is subscribed anew; pings are answered.
        ``"drop"``: the connection is reset.
        ``"slow"``: the message comes ``seconds`` late, and all after it after it.
        ``"out_of_order"``: it comes after the next one of its topic.
        ``"duplicate"``: it comes twice.
        ``"malformed"``: it is cut in its middle, and so is no JSON.
        ``"half_open"``: the connection stays, and nothing is read or sent any more, no end either; for ``seconds``,
        where 0 for good, and then it is reset.
        ``"lose"``: it is left out.
        ``"refuse"``: a connection that is opened is answered with ``status`` instead.
    channel, market : str
        Which messages: a pattern of the kind of their topic (``"trades" "ticker" "klines" "book" "best" "orders"
        "balances"``, of recorded feeds the recorded channel), and one of the id of the instrument (``"BTCUSDT"``).
        A refusal matches by neither.
    probability : float
        Of those, how many, by chance.
    count : int, optional
        Of those, how many at most; ``None``: no end.
    seconds, jitter : float
        How long; with ``jitter`` each time by chance between ``seconds - jitter`` and ``seconds + jitter``, at least 0.
    every : float, optional
        Strike no sooner than so many seconds of real time after the last time, or after it was put in force.
    seed : int
        Of all that is by chance: with one seed, the same of the matching messages are struck, in their order.
    status : int
        Of a refusal: 400 to 599.
    """

    kind: str
    channel: str = "*"
    market: str = "*"
    probability: float = 1.0
    count: int | None = None
    seconds: float = 0.0
    jitter: float = 0.0
    every: float | None = None
    seed: int = 0
    status: int = 503

    def __post_init__(self) -> None:
        if self.kind not in FEED_FAULTS:
            raise UnknownName("kind of feed fault", str(self.kind)[:64], FEED_FAULTS, where="the simulated venue")
        for name in ("channel", "market"):
            text = getattr(self, name)
            if not isinstance(text, str) or not 0 < len(text) <= 256:
                raise UsageError(f'{name} was {shown(text)}; write a pattern such as "*", up to 256 characters')
        check_number("probability", self.probability, 1.0)
        check_number("seconds", self.seconds, _MAX_SECONDS)
        check_number("jitter", self.jitter, _MAX_SECONDS)
        if self.every is not None:
            check_number("every", self.every, _MAX_SECONDS)
        check_whole("count", self.count, 1, 10**9)
        check_whole("seed", self.seed, -(2**63), 2**63)
        if isinstance(self.status, bool) or self.status not in range(400, 600):
            raise UsageError(f"status was {shown(self.status)}; give one from 400 to 599")
        if self.kind == "slow" and not (self.seconds or self.jitter):
            raise UsageError(f"seconds was {self.seconds!r}; say how late a slow message comes")

    def matches(self, channel: str, market: str) -> bool:
        """Tell whether a message may be struck."""
        return fnmatch.fnmatchcase(channel, self.channel) and fnmatch.fnmatchcase(market, self.market)


@dataclass(frozen=True, slots=True)
class FeedStrike:
    """What happens to one message: ``delay`` seconds, and ``kind`` for ``seconds``; of no kind, nothing else."""

    kind: str = ""
    seconds: float = 0.0
    number: int = 0
    delay: float = 0.0


_NOTHING: Final = FeedStrike()


class FeedFaults(Arming[FeedFault]):
    """
    The faults of feeds in force; to be changed from any thread.

    Of several that strike one message, delays add up, and of the others the oldest is what happens.
    """

    def __init__(self) -> None:
        super().__init__(FeedFault, _EXAMPLE)

    def strike(self, channel: str, market: str) -> FeedStrike:
        """Return what happens to a message, and count it."""
        if not self:
            return _NOTHING
        struck, delay = _NOTHING, 0.0
        for armed in self.armed():
            fault = armed.fault
            if fault.kind == "refuse" or (struck.kind and fault.kind != "slow") or not fault.matches(channel, market):
                continue
            lasts = armed.strikes(fault.every)
            if lasts is None:
                continue
            if fault.kind == "slow":
                delay += lasts
            else:
                struck = FeedStrike(fault.kind, lasts, armed.number)
        return FeedStrike(struck.kind, struck.seconds, struck.number, delay) if delay else struck

    def refusal(self) -> int | None:
        """Return the status with which a connection is refused, ``None`` where it is not."""
        for armed in self.armed():
            fault = armed.fault
            if fault.kind == "refuse" and armed.strikes(fault.every) is not None:
                return fault.status
        return None
