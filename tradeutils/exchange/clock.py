"""
The venue's clock, as seen from here.

A candle is closed when the *venue* says so, and a local clock may be minutes off. The offset is learnt once
at the midpoint of a request and kept against the monotonic clock, which no NTP step moves. Every reply's
``Date`` header then checks it for free: a suspended machine or a stepped clock shows at the next reply, and
the offset is learnt anew.
"""

from __future__ import annotations

import email.utils
import time

__all__ = ["VenueClock"]

# A Date header is cut to whole seconds and stamped somewhere between the request and its reply.
_HEADER_RESOLUTION_MS = 1000
_HEADER_TOLERANCE_MS = 2000


class VenueClock:
    """Estimates the venue's time in milliseconds UTC from one synchronisation and the monotonic clock."""

    __slots__ = ("_hint", "_offset")

    def __init__(self) -> None:
        self._offset: float | None = None
        self._hint: float | None = None  # the offset that the last Date header suggests, half a second either way

    @property
    def known(self) -> bool:
        """Whether the venue's time has been learnt and nothing has contradicted it since."""
        return self._offset is not None

    @staticmethod
    def monotonic() -> float:
        """Milliseconds on the clock that never steps; has no relation to UTC."""
        return time.monotonic() * 1000.0

    def learn(self, venue_time: float, sent: float, received: float) -> None:
        """Take ``venue_time`` as the time half-way between ``sent`` and ``received`` (see `monotonic`)."""
        self._offset = venue_time - (sent + received) / 2

    def settle_for_hint(self) -> bool:
        """Take what the last ``Date`` header said as the time; False where none was seen."""
        self._offset = self._hint
        return self.known

    def forget(self) -> None:
        """Make the next question synchronise anew."""
        self._offset = None

    def at(self, monotonic: float) -> int:
        """
        Return the venue's time at a moment of `monotonic`.

        Before the first `learn` it is what the last ``Date`` header suggests, or else the local clock's.
        """
        offset = self._hint if self._offset is None else self._offset
        if offset is None:
            return int(time.time() * 1000.0 - (self.monotonic() - monotonic))
        return int(monotonic + offset)

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
