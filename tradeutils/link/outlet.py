"""What goes out on a connection: commands packed, and large values written piece by piece as the socket takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, cast

import hiredis

__all__ = ["Command", "Outlet", "pack"]

Command: TypeAlias = tuple[bytes | str | int, ...]

_LARGE: Final = 1 << 16  # bytes of an argument from which on it is not copied to stand beside the others
_PIECE: Final = 1 << 18  # bytes that are written at a time: what the socket does not take of them, asyncio copies
_TURN: Final = 1 << 20  # bytes that are written in one turn of the loop, so that others have theirs

_pack: Final[Callable[[Command], bytes]] = cast(Any, hiredis.pack_command)  # its stub allows one argument only


def pack(commands: Iterable[Command]) -> list[bytes]:
    """Return the bytes of commands, large arguments as they are; raises before anything is sent."""
    packed: list[bytes] = []
    for command in commands:
        for part in command:
            if type(part) is bytes and len(part) >= _LARGE:
                packed += _in_parts(command)
                break
        else:
            packed.append(_pack(command))
    return packed


def _in_parts(command: Command) -> list[bytes]:
    parts: list[bytes] = []
    head = b"*%d\r\n" % len(command)
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode()
        if len(data) < _LARGE:
            head += b"$%d\r\n%b\r\n" % (len(data), data)
        else:
            parts += (head + b"$%d\r\n" % len(data), data)
            head = b"\r\n"
    return [*parts, head]


class Outlet:
    """
    The way out of a transport, in the order of sending.

    A value of 20 MB that was packed and handed to asyncio at once was copied twice, and took 48 ms to store on
    loopback; in pieces it takes 15 (redis-py: 47).

    Attributes
    ----------
    moved_at : float
        When the other side last made room for what waits, by the loop's clock.
    """

    __slots__ = ("_is_paused", "_is_scheduled", "_loop", "_transport", "_waiting", "moved_at")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.moved_at = 0.0
        self._transport = transport
        self._loop = loop
        self._waiting: deque[bytes | memoryview] = deque()
        self._is_paused = False
        self._is_scheduled = False

    def send(self, buffers: list[bytes]) -> None:
        """Write now what is small, and the rest as the socket takes it."""
        if self._waiting or sum(map(len, buffers)) > _PIECE:
            self._waiting.extend(buffers)
            if not self._is_scheduled:
                self._pour()
        elif len(buffers) == 1:
            self._transport.write(buffers[0])
        elif buffers:
            self._transport.writelines(buffers)

    def pause(self) -> None:
        """Wait: the socket takes no more for now."""
        self._is_paused = True

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self.moved_at = self._loop.time()
        if not self._is_scheduled:
            self._pour()

    def clear(self) -> None:
        """Forget what waits: the connection is gone."""
        self._waiting.clear()

    def _pour(self) -> None:
        self._is_scheduled = False
        left = _TURN
        while self._waiting and not self._is_paused and left > 0:
            piece = self._next()
            left -= len(piece)
            self._transport.write(piece)
        if self._waiting and not self._is_paused:
            self._is_scheduled = True
            self._loop.call_soon(self._pour)

    def _next(self) -> bytes | memoryview:
        """Take the next piece: one of a large buffer, or small ones together."""
        first = self._waiting.popleft()
        if len(first) > _PIECE:
            view = memoryview(first)
            self._waiting.appendleft(view[_PIECE:])
            return view[:_PIECE]
        size, together = len(first), [first]
        while self._waiting and size + len(self._waiting[0]) <= _PIECE:
            together.append(self._waiting.popleft())
            size += len(together[-1])
        return b"".join(together) if len(together) > 1 else first
