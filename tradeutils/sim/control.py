"""
What other processes may ask of the venue itself, under a path that no venue has: ``/sim/...``.

====== ================== ===========================================================================
GET    /sim/clock         ``{"now": ms, "speed": 1.0}``
POST   /sim/clock         ``{"set": ms}``, ``{"step": "1m"}`` or ``{"speed": 1}``
GET    /sim/requests      the newest requests; ``?last=5000`` for more than 100
GET    /sim/log           counts: requests, weight, refused for asking too much, per address, orders per client id
DELETE /sim/log           forget all that was counted; limits and bans stay
GET    /sim/faults        those in force, and how often each struck
POST   /sim/faults        put one in force, or a list of them: the parameters of `Fault`
DELETE /sim/faults        take all away; ``/sim/faults/3`` takes one
GET    /sim/feeds         who is connected by websocket, and how many messages were sent of what
DELETE /sim/feeds         forget what was counted of websockets; connections stay
GET    /sim/recorded      how far a recorded session is: messages, position, and what nobody had asked for
POST   /sim/recorded      ``{"play": true}``: begin one that was told to hold
GET    /sim/feed-faults   as of faults, of websockets: also POST, the parameters of `FeedFault`, and DELETE
GET    /sim/bans          the addresses that were banned, and for how long they still are
POST   /sim/bans          ``{"address": "127.0.0.1", "seconds": 10}``; without seconds, as it has earned
DELETE /sim/bans/ADDRESS  pardon an address
====== ================== ===========================================================================
"""

from __future__ import annotations

import dataclasses
import ipaddress
import urllib.parse
from collections.abc import Callable
from typing import Any, Final, TypeVar

import orjson

from tradeutils.errors import TradeutilsError, UsageError
from tradeutils.sim.arming import Arming, Striking
from tradeutils.sim.clock import VirtualClock
from tradeutils.sim.faults import Faults
from tradeutils.sim.feeds.recorded import RecordedFeeds
from tradeutils.sim.feeds.server import FeedServer
from tradeutils.sim.limits import Gate
from tradeutils.sim.usage import RequestLog

__all__ = ["Control", "may_control"]

_OFFER: Final = "there are clock, requests, log, faults, feeds, feed-faults, recorded and bans; each answers GET"
_MAX_BAN_S: Final = 1e8

F = TypeVar("F", bound=Striking)


def may_control(remote: str | None) -> bool:
    """Tell whether an address is of this machine."""
    try:
        return ipaddress.ip_address(remote or "").is_loopback
    except ValueError:
        return False


class Control:
    """Answers calls under ``/sim/``; every mistake is answered with 400 and a message."""

    def __init__(self, clock: VirtualClock, log: RequestLog, faults: Faults, gate: Gate, feeds: FeedServer) -> None:
        self._clock, self._log, self._gate, self._feeds = clock, log, gate, feeds
        self._actions: dict[tuple[str, str], Callable[[str, bytes], Any]] = {
            ("GET", "clock"): self._tell_time,
            ("POST", "clock"): self._change_clock,
            ("GET", "requests"): self._tell_requests,
            ("GET", "log"): lambda *_: self._log.summary(),
            ("DELETE", "log"): self._clear_log,
            ("GET", "feeds"): lambda *_: feeds.log.summary(),
            ("DELETE", "feeds"): self._clear_feeds,
            ("GET", "recorded"): lambda *_: self._playing().summary(),
            ("POST", "recorded"): self._play,
            ("GET", "bans"): self._tell_bans,
            ("POST", "bans"): self._ban,
            ("DELETE", "bans"): self._pardon,
        }
        self._actions |= _of_faults("faults", faults) | _of_faults("feed-faults", feeds.faults)

    def respond(self, method: str, path: str, query: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a call; ``path`` is what follows ``/sim/``."""
        what, _, which = path.partition("/")
        action = self._actions.get((method, what))
        try:
            if action is None:
                raise UsageError(f"there is no {method[:16]} /sim/{what[:64]}; {_OFFER}")
            return 200, action(urllib.parse.unquote(which) if method == "DELETE" else query, body)
        except orjson.JSONDecodeError as error:
            return 400, {"error": f"the body is not JSON: {error}"}
        except TradeutilsError as error:
            return 400, {"error": str(error)}

    def _tell_time(self, *_: object) -> dict[str, Any]:
        return {"now": self._clock.now(), "speed": self._clock.speed}

    def _change_clock(self, _query: str, body: bytes) -> dict[str, Any]:
        actions: dict[str, Callable[[Any], Any]] = {
            "set": self._clock.set, "step": self._clock.step, "speed": self._clock.run,
        }  # fmt: skip
        wanted = orjson.loads(body)
        if not isinstance(wanted, dict) or len(wanted) != 1 or not wanted.keys() <= actions.keys():
            raise UsageError('send one of {"set": ms}, {"step": "1m"} and {"speed": 1}')
        for name, value in wanted.items():
            actions[name](value)
        return self._tell_time()

    def _tell_requests(self, query: str, _body: bytes) -> dict[str, Any]:
        given = dict(urllib.parse.parse_qsl(query))
        text = given.pop("last", "100")
        if given or not (text.isascii() and text.isdecimal() and len(text) <= 9):
            raise UsageError(f"the query was {query[:64]!r}; write last=100, or nothing")
        log = self._log
        last = [dataclasses.asdict(one) for one in log.last(int(text))]
        counts = {"total": log.total, "weight": log.weight, "errors": log.errors}
        return {**counts, "rejected": log.rejected, "banned": log.banned, "paths": log.paths, "last": last}

    def _clear_log(self, *_: object) -> dict[str, Any]:
        self._log.clear()
        return self._log.summary()

    def _clear_feeds(self, which: str, _body: bytes) -> dict[str, Any]:
        if which:
            raise UsageError(f"feeds were {which[:64]!r}; write DELETE /sim/feeds, which forgets all that was counted")
        self._feeds.log.clear()
        return self._feeds.log.summary()

    def _playing(self) -> RecordedFeeds:
        recorded = self._feeds.recorded
        if recorded is None:
            raise UsageError("no recorded session is served; start the venue with recorded=, or --recorded FILE")
        return recorded

    def _play(self, _query: str, body: bytes) -> dict[str, Any]:
        recorded = self._playing()
        if orjson.loads(body) != {"play": True}:
            raise UsageError('send {"play": true}')
        recorded.play()
        return recorded.summary()

    def _tell_bans(self, *_: object) -> dict[str, Any]:
        return {"bans": self._gate.bans()}

    def _ban(self, _query: str, body: bytes) -> dict[str, Any]:
        wanted = orjson.loads(body)
        example = 'send one such as {"address": "127.0.0.1", "seconds": 10}'
        if not isinstance(wanted, dict) or not {"address"} <= wanted.keys() <= {"address", "seconds"}:
            raise UsageError(f"a ban has an address and seconds; {example}")
        seconds = wanted.get("seconds")
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise UsageError(f"seconds was {str(seconds)[:64]!r}; {example}")
        if seconds is not None and not 0 < seconds <= _MAX_BAN_S:
            raise UsageError(f"seconds was {seconds!r}; give more than 0, up to {_MAX_BAN_S:g}")
        return {"seconds": self._gate.ban(_address(wanted["address"]), seconds)}

    def _pardon(self, which: str, _body: bytes) -> dict[str, Any]:
        self._gate.pardon(_address(which))
        return self._tell_bans()


def _of_faults(what: str, faults: Arming[F]) -> dict[tuple[str, str], Callable[[str, bytes], Any]]:
    """Return what may be asked of faults of one kind."""

    def tell(*_: object) -> dict[str, Any]:
        return {"faults": faults.describe()}

    def add(_query: str, body: bytes) -> dict[str, Any]:
        wanted = orjson.loads(body)
        made = [faults.made(one) for one in (wanted if isinstance(wanted, list) else [wanted])]  # all, or none
        return {"ids": faults.add_all(made)}

    def remove(which: str, _body: bytes) -> dict[str, Any]:
        if not which:
            faults.clear()
        elif which.isascii() and which.isdecimal() and len(which) <= 9:
            faults.remove(int(which))
        else:
            raise UsageError(f"the fault was {which[:64]!r}; write its number, as in DELETE /sim/{what}/3")
        return tell()

    return {("GET", what): tell, ("POST", what): add, ("DELETE", what): remove}


def _address(given: object) -> str:
    """Return an address as connections have it."""
    try:
        return str(ipaddress.ip_address(given if isinstance(given, str) else ""))
    except ValueError:
        raise UsageError(f"address was {str(given)[:64]!r}; write one such as 127.0.0.1") from None
