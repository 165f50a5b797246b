"""The connection to whichever server is the primary now, as the sentinels tell it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import hiredis

from tradeutils.errors import CacheUnavailable
from tradeutils.link.address import Address
from tradeutils.link.link import Link
from tradeutils.link.wire import Abandoned, Command, Wire

__all__ = ["Sentinel"]

_LONGER: Final = 0.05  # seconds for which further sentinels are waited for after the first: it may be out of date
_ABORTED: Final = "EXECABORT Transaction discarded because of: "  # stands before the error itself


class Sentinel(Link):
    """
    A `Link` that asks the sentinels where to connect, each time that it does.

    Of those that answer, the one is believed that has seen the latest failover, and the server must say that it is a
    primary. One that says of a write that it is a replica is left for the new primary, and the write sent there.
    Parameters as for `Link`.
    """

    async def call(self, commands: list[Command], abandoned: Abandoned | None = None) -> list[Any]:
        """Send commands together and return their replies; error replies are in the list. See `Link.call`."""
        wire = self.live
        replies = await super().call(commands, abandoned)
        if not any(_is_replica(reply) for reply in replies):
            return replies
        if wire is None or wire is self.live:
            self.leave("it is a replica now")
        # None of it was done but reads: where one command of a transaction is refused, none is.
        return await super().call(commands, abandoned)

    async def _locate(self) -> Address:
        """Ask all sentinels where the primary is."""
        asking = {asyncio.ensure_future(self._ask(*seed)) for seed in self.address.seeds}
        found: list[tuple[int, str, int]] = []
        reasons: list[str] = []
        try:
            patience = None
            while asking:
                done, asking = await asyncio.wait(asking, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                for task in done:
                    told = task.result()
                    if isinstance(told, str):
                        reasons.append(told)
                    else:
                        found.append(told)
                patience = _LONGER if found else None
        finally:
            for task in asking:
                task.cancel()
        if not found:
            raise CacheUnavailable(f"{self.address.label}: no sentinel told where the primary is ({reasons[0]})")
        _, host, port = max(found)
        return self.address.node(host, port)

    async def _ask(self, host: str, port: int) -> tuple[int, str, int] | str:
        """Return how many failovers a sentinel has seen, and where the primary is; or why it did not tell."""
        address, loop = self.address.node(host, port), asyncio.get_running_loop()
        name = host if address.tls is not None else None

        def make() -> Wire:
            ignore = _ignore
            return Wire(address.label, self.timeout, on_silent=ignore, on_answer=ignore, on_lost=ignore)

        wire: Wire | None = None
        try:
            async with asyncio.timeout(self.timeout):
                connecting = loop.create_connection(make, host, port, ssl=address.tls, server_hostname=name)
                wire = (await connecting)[1]
                hello: Command = (b"HELLO", 3)
                if address.sentinel_login is not None:
                    hello = (*hello, b"AUTH", *address.sentinel_login)
                greeting, told = await wire.call([hello, (b"SENTINEL", b"MASTER", address.service)])
        except TimeoutError:
            return f"{host}:{port} did not answer"
        except OSError as error:
            return f"{host}:{port} could not be reached: {error.strerror or error}"
        except CacheUnavailable as error:
            return str(error)
        finally:
            if wire is not None:
                wire.close(lambda: CacheUnavailable("left"))
        return _read(f"{host}:{port}", address.service, greeting, told)

    async def _greet(self, wire: Wire) -> Wire:
        await super()._greet(wire)
        [role] = await wire.call([(b"ROLE",)])  # where the ACL denies it, READONLY tells later
        if isinstance(role, list) and role[0] != b"master":
            wire.close(lambda: CacheUnavailable("left"))
            raise CacheUnavailable(f"{self.address.label}: the sentinels name a server that is a replica")
        return wire


def _read(who: str, service: str, greeting: Any, told: Any) -> tuple[int, str, int] | str:
    """Read the answer of a sentinel; its own words are left out where they may repeat the login."""
    if isinstance(greeting, hiredis.ReplyError):
        return f"{who} refused the login for sentinels"
    if isinstance(told, hiredis.ReplyError):
        return f"{who} knows no service {service!r}" if "No such master" in str(told) else f"{who} refused to tell"
    if not isinstance(told, dict):
        return f"{who} is no sentinel"
    try:
        return int(told.get(b"config-epoch", 0)), told[b"ip"].decode(), int(told[b"port"])
    except (KeyError, ValueError):
        return f"{who} told of no address"


def _is_replica(reply: Any) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).removeprefix(_ABORTED).startswith("READONLY")


def _ignore(*_: Any) -> None:
    """Nobody needs to hear of it: whoever asks waits for the answer."""
