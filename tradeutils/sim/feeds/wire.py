"""Messages as they lie on the wire: the frames of RFC 6455 that a server sends."""

from __future__ import annotations

import struct
from typing import Final

from tradeutils.sim.feeds.dialect import Close, Frame, Ping

__all__ = ["PONG", "closing", "cut", "encoded", "wrapped"]

_TEXT, _BINARY, _CLOSE, _PING = 0x1, 0x2, 0x8, 0x9
PONG: Final = 0xA
_MAX_CONTROL: Final = 125  # bytes of a ping, a pong or a close


def encoded(frame: Frame) -> bytes:
    """Return a frame as it is sent: unmasked, uncompressed and in one piece."""
    if isinstance(frame, str):
        return wrapped(frame.encode(errors="replace"), _TEXT)
    if isinstance(frame, bytes):
        return wrapped(frame, _BINARY)
    if isinstance(frame, Ping):
        return wrapped(frame.payload[:_MAX_CONTROL], _PING)
    return closing(frame)


def closing(frame: Close) -> bytes:
    """Return a close; a reason that is too long is cut."""
    reason = frame.reason.encode()[: _MAX_CONTROL - 2].decode(errors="ignore").encode()
    return wrapped(struct.pack("!H", frame.code) + reason, _CLOSE)


def wrapped(payload: bytes, kind: int) -> bytes:
    """Return a payload with its head."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | kind, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | kind, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | kind, 127, size) + payload


def cut(frame: str | bytes) -> str | bytes:
    """Return the first half of a message: what was JSON is none any more."""
    return frame[: max(1, len(frame) // 2)]
