"""The connection to whichever server is the primary now, as the sentinels tell it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any, Final, NamedTuple

import hiredis

from tradeutils.errors import CacheUnavailable
from tradeutils.link.address import Address
from tradeutils.link.link import Link
from tradeutils.link.topology import is_port
from tradeutils.link.wire import Abandoned, Command, Wire

__all__ = ["Sentinel"]

_LONGER: Final = 0.05  # seconds for which further sentinels are waited for after the first: it may be out of date
_BEAT_SECONDS: Final = 2.0  # between questions to the sentinel that is listened to
_ABORTED: Final = "EXECABORT Transaction discarded because of: "  # stands before the error itself
_MORE: Final = object()


class _Told(NamedTuple):
    """What a sentinel says; the higher the epoch, the more failovers it knows of."""

    epoch: int
    host: str
    port: int


class Sentinel(Link):
    """
    A `Link` that asks the sentinels where to connect, each time that it does.

    Of those that answer, the one is believed that has seen the latest failover, and the server must say that it is a
    primary. As long as there is a connection, one sentinel is listened to: a primary that was replaced takes writes for
    ten seconds more, until it is told, and they are lost. One that says of a write that it is a replica is left too,
    and the write sent to the new primary. Parameters as for `Link`.
    """

    _watching: asyncio.Task[None] | None = None
    _primary: _Told | None = None

    async def call(self, commands: list[Command], abandoned: Abandoned | None = None) -> list[Any]:
        """Send commands together and return their replies; error replies are in the list. See `Link.call`."""
        wire = self.live
        replies = await super().call(commands, abandoned)
        if not any(_is_replica(reply) for reply in replies):
            return replies
        if wire is None or wire is self.live:
            self.leave("it is a replica now")
        return await super().call(commands, abandoned)  # a replica has done none of it but reads

    def rebind(self) -> None:
        """Forget a connection whose event loop has closed."""
        if self._watching is not None and self._watching.get_loop().is_closed():
            self._watching = None
        super().rebind()

    async def aclose(self) -> None:
        """Close the connection and listen no more."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait((watching,))
        await super().aclose()

    async def _locate(self) -> Address:
        """Ask all sentinels where the primary is."""
        asking = {asyncio.ensure_future(self._ask(*seed)) for seed in self.address.seeds}
        reasons: list[str] = []
        told = None
        try:
            patience = None
            while asking:
                done, asking = await asyncio.wait(asking, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answer = task.result()
                    if isinstance(answer, str):
                        reasons.append(answer)
                    elif told is None or answer > told:
                        told, patience = answer, _LONGER
                if not done:
                    break
        finally:
            for task in asking:
                task.cancel()
        if told is None:
            raise CacheUnavailable(f"{self.address.label}: no sentinel told where the primary is ({reasons[0]})")
        self._primary = told
        return self.address.node(told.host, told.port)

    async def _ask(self, host: str, port: int) -> _Told | str:
        """Return what a sentinel says, or why it says nothing."""
        sentinel = _Connection(self.address, host, port)
        try:
            async with asyncio.timeout(self.timeout):
                await sentinel.open()
                return await sentinel.primary()
        except TimeoutError:
            return f"{host}:{port} did not answer"
        except OSError as error:
            return f"{host}:{port} could not be reached: {error.strerror or error}"
        except CacheUnavailable as error:
            return str(error)
        finally:
            sentinel.close()

    async def _greet(self, wire: Wire) -> Wire:
        await super()._greet(wire)
        [role] = await wire.call([(b"ROLE",)])  # where the ACL denies it, READONLY tells later
        if isinstance(role, list) and role[0] != b"master":
            wire.close(lambda: CacheUnavailable("left"))
            raise CacheUnavailable(f"{self.address.label}: the sentinels name a server that is a replica")
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="tradeutils-redis-sentinel")
        return wire

    async def _watch(self) -> None:
        """Listen to one sentinel after another, and leave a primary that has been replaced."""
        while True:
            for host, port in random.sample(self.address.seeds, len(self.address.seeds)):
                sentinel = _Connection(self.address, host, port)
                try:
                    with suppress(OSError, CacheUnavailable):  # TimeoutError among them
                        await self._listen(sentinel)
                finally:
                    sentinel.close()
            await asyncio.sleep(_BEAT_SECONDS)

    async def _listen(self, sentinel: _Connection) -> None:
        async with asyncio.timeout(self.timeout):
            await sentinel.open()
            sentinel.subscribe()
        while True:
            async with asyncio.timeout(self.timeout):
                told = await sentinel.primary()
            if self._primary is not None and told.epoch >= self._primary.epoch and told != self._primary:
                self._primary = told
                self.leave("another server is the primary now")
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_SECONDS):
                    await sentinel.news()


class _Connection:
    """A connection to one sentinel."""

    def __init__(self, address: Address, host: str, port: int) -> None:
        self._address = address
        self._place = (host, port)
        self._name = f"{host}:{port}"
        self._parser = hiredis.Reader(notEnoughData=_MORE)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._switched = False

    async def open(self) -> None:
        """Connect and log in."""
        tls, login = self._address.tls, self._address.sentinel_login
        named = self._place[0] if tls is not None else None
        self._streams = await asyncio.open_connection(*self._place, ssl=tls, server_hostname=named)
        self._send((b"HELLO", 3) if login is None else (b"HELLO", 3, b"AUTH", *login))
        if isinstance(await self._reply(), hiredis.ReplyError):  # its words are left out: they may repeat the login
            raise CacheUnavailable(f"{self._name} refused the login for sentinels")

    def subscribe(self) -> None:
        """Have it tell of a failover when it happens."""
        self._send((b"SUBSCRIBE", b"+switch-master"))

    async def primary(self) -> _Told:
        """Ask where the primary is."""
        self._switched = False
        self._send((b"SENTINEL", b"MASTER", self._address.service))
        told = await self._reply()
        if isinstance(told, hiredis.ReplyError):
            unknown = "No such master" in str(told)
            what = f"knows no service {self._address.service!r}" if unknown else "refused to tell"
            raise CacheUnavailable(f"{self._name} {what}")
        try:
            primary = _Told(int(told.get(b"config-epoch", 0)), told[b"ip"].decode(), int(told[b"port"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            primary = None
        if primary is None or not primary.host or not is_port(primary.port):
            raise CacheUnavailable(f"{self._name} told of no address: is it a sentinel?")
        return primary

    async def news(self) -> None:
        """Wait until it tells of a failover."""
        while not self._switched:
            await self._read()
            while self._parsed() is not _MORE:
                pass

    def close(self) -> None:
        """Close it at once."""
        if self._streams is not None:
            self._streams[1].transport.abort()

    def _send(self, command: Command) -> None:
        assert self._streams is not None  # noqa: S101  # open
        packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub allows text only
        self._streams[1].write(packed)

    async def _reply(self) -> Any:
        while (reply := self._parsed()) is _MORE:
            await self._read()
        return reply

    async def _read(self) -> None:
        assert self._streams is not None  # noqa: S101  # open
        data = await self._streams[0].read(1 << 16)
        if not data:
            raise ConnectionResetError("it closed the connection")
        self._parser.feed(data)

    def _parsed(self) -> Any:
        """Return the next reply that has come, and take note of what was told between."""
        try:
            while isinstance(reply := self._parser.gets(), hiredis.PushNotification):
                self._switched |= reply[:1] == [b"message"]
        except hiredis.ProtocolError as error:
            raise CacheUnavailable(f"{self._name} answered something that is not Redis protocol") from error
        return reply


def _is_replica(reply: Any) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).removeprefix(_ABORTED).startswith("READONLY")
