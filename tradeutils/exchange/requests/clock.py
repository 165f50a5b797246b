"""
The venue's clock, as seen from here.

A candle is closed when the *venue* says so, and a request is signed with the *venue's* time; a local clock may
be minutes off. The offset is learnt at the midpoint of a request and kept against the monotonic clock, which no
NTP step moves. Every reply's ``Date`` header then checks it for free: a suspended machine or a stepped clock
shows at the next reply, and the offset is learnt anew.

One sample tells whether a candle is closed. A signature may be refused for a second, so before the first signed
request the median of five is taken: a single reply that was held up by a second does not move it.
"""

from __future__ import annotations

import email.utils
import statistics
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["SAMPLES", "Sample", "VenueClock", "parse_date"]

SAMPLES: Final = 5
"""Requests that a precise offset is the median of."""

# A Date header is cut to whole seconds and stamped somewhere between the request and its reply.
_HEADER_RESOLUTION_MS = 1000
_HEADER_TOLERANCE_MS = 2000


class Sample(NamedTuple):
    """The venue's time in ms UTC, and when the request for it left and was answered (`VenueClock.monotonic`)."""

    told: float
    sent: float
    received: float


class VenueClock:
    """Estimates the venue's time in milliseconds UTC from some samples of it and the monotonic clock."""

    __slots__ = ("_hint", "_learnt", "_offset", "_precise")

    def __init__(self) -> None:
        self._offset: float | None = None
        self._precise = False
        self._learnt = float("-inf")
        self._hint: float | None = None  # the offset that the last Date header suggests, half a second either way

    @property
    def known(self) -> bool:
        """Whether the venue's time has been learnt and nothing has contradicted it since."""
        return self._offset is not None

    @property
    def precise(self) -> bool:
        """Whether it has been learnt from several samples, or can be learnt no better."""
        return self._precise

    @staticmethod
    def monotonic() -> float:
        """Milliseconds on the clock that never steps; has no relation to UTC."""
        return time.monotonic() * 1000.0

    def learn(self, venue_time: float, sent: float, received: float) -> None:
        """Take ``venue_time`` as the time half-way between ``sent`` and ``received`` (see `monotonic`)."""
        self._take([Sample(venue_time, sent, received)])

    def learn_median(self, samples: Sequence[Sample]) -> None:
        """Take the median of the offsets that the samples suggest, and be `precise`."""
        self._take(samples)
        self._precise = True

    def _take(self, samples: Sequence[Sample]) -> None:
        self._offset = statistics.median(one.told - (one.sent + one.received) / 2 for one in samples)
        self._learnt = self.monotonic()

    def settle_for_hint(self) -> bool:
        """Take what the last ``Date`` header said as the time; False where none was seen."""
        self._offset = self._hint
        self._precise = self.known  # asking again would bring no better one
        self._learnt = self.monotonic()
        return self.known

    def forget(self) -> None:
        """Make the next question synchronise anew."""
        self._offset = None
        self._precise = False

    def refused(self, sent: float) -> None:
        """
        Forget the time after the venue refused a timestamp that was made at ``sent``.

        Of many requests that are refused at once only those made since the time was learnt say anything about it.
        """
        if sent >= self._learnt:
            self.forget()

    def at(self, monotonic: float) -> int:
        """
        Return the venue's time at a moment of `monotonic`.

        Before the first `learn` it is what the last ``Date`` header suggests, or else the local clock's.
        """
        return int(self._at(monotonic))

    def now_ns(self) -> int:
        """Return the venue's time now, in nanoseconds: what ccxt's own clocks are made of."""
        return int(self._at(self.monotonic()) * 1_000_000)

    def _at(self, monotonic: float) -> float:
        offset = self._hint if self._offset is None else self._offset
        if offset is None:
            return time.time() * 1000.0 - (self.monotonic() - monotonic)
        return monotonic + offset

    def observe(self, date_header: str | None, sent: float, received: float) -> None:
        """Check the offset against a reply's ``Date`` header, and forget it where the two cannot both be true."""
        stamped = parse_date(date_header)
        if stamped is None:
            return
        self._hint = stamped + _HEADER_RESOLUTION_MS / 2 - (sent + received) / 2
        if self._offset is None:
            return
        earliest = self.at(sent) - _HEADER_RESOLUTION_MS - _HEADER_TOLERANCE_MS
        latest = self.at(received) + _HEADER_TOLERANCE_MS
        if not earliest <= stamped <= latest:
            self.forget()


def parse_date(header: str | None) -> int | None:
    """Return an HTTP ``Date`` header as milliseconds UTC; ``None`` where it is absent or unreadable."""
    if not header:
        return None
    try:
        return int(email.utils.parsedate_to_datetime(header).timestamp() * 1000)
    except (TypeError, ValueError):
        return None
