"""
Closed candles, each once, in order, never with values that could still change.

A bar is told when its values are known to be the last:

- the venue's own flag in the message says so; or
- where its messages have no such flag: a later bar has come on the same connection, and a moment more has passed for
  what overtook; but what a connection begins with may be an old state, and counts only once it has changed; or
- REST says so: with a later bar after it in the same answer, or long enough after its end: soon where the stream, which
  was whole, says the same. Never a timer alone: a slow feed would close bars with half their volume, and so would an
  answer that is behind.

And it is told when all before it have been. Bars that did not come are asked for over REST, which also says that nobody
traded: what is told is what REST has. What REST cannot give is told as `Missed`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final, TypeAlias

from tradeutils import timeframe as _timeframe
from tradeutils.errors import NotSupportedByVenue, RangeNotServed, RateLimited, TransientVenueError
from tradeutils.exchange.streams.assembling.base import Rest
from tradeutils.exchange.streams.assembling.finals import final_flags, is_of_another_length
from tradeutils.exchange.streams.assembling.retrying import PATIENCE_MS, Retrying
from tradeutils.exchange.streams.assembling.rows import Row, made_candles, read_row
from tradeutils.model import Candles
from tradeutils.model.candles import one_candle
from tradeutils.model.streaming import Missed, StreamEvent

__all__ = ["CandleAssembler", "Told"]

Told: TypeAlias = "Candles | StreamEvent"

_LINGER_MS: Final = 500  # for messages that others overtook
_GRACE_MS: Final = 2_000  # after its end a bar may still be corrected on REST
_SETTLED_MS: Final = 10_000  # after that its newest bar on REST is as it will stay, though none follows: as streamed
_LAGGED_MS: Final = 70_000  # the same where the stream has not told it so: caches of REST are a minute behind at most
_AHEAD_MS: Final = 60_000  # by which a clock may be wrong; a bar that opens later is rubbish
_QUIET_MS: Final = _SETTLED_MS - _GRACE_MS  # first pause between two questions while nobody trades
_QUIET_BARS: Final = 16  # longest, in bars
_QUIET_LONGEST_MS: Final = 3_600_000


class _Held:
    """A bar that is not told yet."""

    __slots__ = ("closing", "final", "is_moving", "session", "values")

    def __init__(self, values: Row, final: bool, session: int) -> None:
        self.values = values
        self.final = final
        self.session = session  # the connection that brought it
        self.is_moving = True  # whether these are no mere snapshot, of nobody knows when
        self.closing: int | None = None  # when it is over, as a later bar has come

    def is_over(self, now: int) -> bool:
        """Tell whether its values are the last."""
        return self.final or (self.closing is not None and self.closing <= now)


class CandleAssembler:
    """
    Makes candles of one symbol; an `Assembler`.

    Parameters
    ----------
    exchange, symbol, timeframe : str
        What the candles are of; a timeframe that the venue offers.
    closed_only : bool
        False: the forming bar is told as well, each time that it changes, once all before it have been told.
    since : int, optional
        Open of the first bar, ms UTC. Default: the bar that forms when the first message comes.
    patience : int
        Milliseconds for which later bars wait for one that REST owes.

    Attributes
    ----------
    late : int
        Rows that came for bars that had been told.
    """

    def __init__(
        self,
        exchange: str,
        symbol: str,
        timeframe: str,
        *,
        closed_only: bool = True,
        since: int | None = None,
        patience: int = PATIENCE_MS,
    ) -> None:
        self.late = 0
        self._frame = _timeframe.parse(timeframe)
        self._names = (exchange, symbol, self._frame.name)
        self._closed_only = closed_only
        self._patience = patience
        self._next: int | None = None  # the bar that is told next
        self._end = 0  # of that bar
        self._rows: dict[int, _Held] = {}
        self._resolved = 0  # of bars that open before, REST has told all that were traded
        self._session = 0
        self._whole: int | None = None  # since when this connection has told all there was
        self._first: int | None = None  # of the bars that this connection brought
        self._newest = -1  # of the same
        self._begun = -1  # of bars that were open by then, its first rows may be old
        self._flagged = False
        self._doubt: int | None = None  # since when a later bar has waited for an earlier one
        self._asks = True
        self._retry = Retrying()
        if since is not None:
            self._advance(self._frame.ceil(since))

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Told]:
        """Take rows ``[time, open, high, low, close, volume]`` of one message; see `Assembler`."""
        flags = final_flags(frame)
        if flags is None and is_of_another_length(frame, self._frame.ms):
            return ()
        shown: int | None = None
        rows = [row for row in map(read_row, value) if row is not None]
        if self._first is None:
            self._begun = max(now, *(row[0] for row in rows)) if rows else now
        for row in rows:
            shown = self.put(row, now, final=flags.get(row[0]) if flags else None)
        return self.told(shown, now)

    def wake(self, opened: int) -> None:
        """Note that somebody trades in a bar: REST is asked as soon as it is over, however quiet it has been."""
        self._newest = max(self._newest, opened)
        if self._doubt is None:
            self._retry.done()

    def distrust(self, until: int) -> None:
        """Forget what is held of bars that open before ``until``, but for what REST or a flag has confirmed."""
        self._rows = {key: held for key, held in self._rows.items() if key >= until or held.final}

    def told(self, shown: int | None, now: int) -> Sequence[Told]:
        """Return what can be told; ``shown``: the bar that a message changed last, see `put`."""
        told = self._release(now)
        return told if self._closed_only else self._with_forming(told, shown)

    def is_told(self, opened: int) -> bool:
        """Tell whether the bar that opens then has been told, or will not be."""
        return self._next is not None and opened < self._next

    def put(self, row: Row, now: int, *, final: bool | None) -> int | None:
        """
        Hold a row of a bar, whose values are the bar's as of then.

        Parameters
        ----------
        final : bool or None
            Whether the venue says that it is over; ``None``: it does not say.

        Returns
        -------
        int or None
            The open of its bar; ``None`` where it told nothing new.
        """
        if self._next is None:
            self._advance(self._frame.floor(now))
        if final is not None:
            self._flagged = True
        key = self._frame.floor(row[0])
        if self._next is None or key < self._next:
            self.late += 1
            return None
        held = self._rows.get(key)
        if held is None:
            if row[0] > now + _AHEAD_MS:
                return None
            held = self._rows[key] = _Held(row, bool(final), self._session)
            held.is_moving = key > self._begun
            if self._doubt is None:
                self._retry.done()
        elif held.final or (not final and row[5] < held.values[5]):
            return None  # overtaken: within a bar the volume only grows
        else:
            held.is_moving = held.is_moving or held.values != row
            held.values, held.final, held.session = row, bool(final), self._session
        if not self._flagged:
            self._mark(key, held, now)
        self._newest = max(self._newest, key)
        self._first = key if self._first is None else min(self._first, key)
        return key

    def _mark(self, key: int, held: _Held, now: int) -> None:
        """Note which bars are over because a later one has come on this connection."""
        if key < self._newest:
            held.closing = now + _LINGER_MS if held.is_moving else None
        elif key > self._newest:
            for opened, earlier in self._rows.items():
                if opened < key and earlier.is_moving and earlier.session == self._session and earlier.closing is None:
                    earlier.closing = now + _LINGER_MS

    def interrupted(self, now: int) -> None:
        """Trust no bar that had not ended: another connection says nothing of what its last values were."""
        self._session += 1
        self._whole = None
        self._first, self._newest = None, -1
        self._rows = {key: held for key, held in self._rows.items() if held.is_over(now)}
        if self._next is None or self._newest_held() <= self._next:
            self._doubt = None

    async def resume(self, rest: Rest) -> Sequence[Told]:
        """Ask for the bars that ended meanwhile; where none did, nothing is asked."""
        try:
            now = await rest.fetch_time()
        except TransientVenueError:
            return ()  # `due` comes back to it
        self.begin(now, whole=True)
        return self._release(now) if self._next is None or now < self._end else await self._ask(rest, now)

    def begin(self, now: int, *, whole: bool) -> None:
        """Note that messages come again; ``whole``: none is held back for what was missed."""
        self._whole = now if whole else None
        if self._next is None:
            self._advance(self._frame.floor(now))
        if self._doubt is None:
            self._retry.done()  # however quiet it was: nobody knows what has been missed

    def due(self, now: int) -> float | None:
        """Return in how many seconds a bar can be told, or has to be asked for."""
        held = None if self._next is None else self._rows.get(self._next)
        at = self._ask_at() if held is None or held.closing is None else held.closing
        return None if at is None else max(0.0, (at - now) / 1000)

    def _ask_at(self) -> int | None:
        """Return when REST is asked for the next bar."""
        if self._next is None:
            return None
        if self._doubt is not None:
            return max(self._doubt + _LINGER_MS, self._retry.at)
        return max(self._end + _GRACE_MS, self._retry.at) if self._asks else None

    async def settle(self, rest: Rest, now: int) -> Sequence[Told]:
        """Tell what has been waited for, or ask for it; at most one question (a few requests, if it is long)."""
        told = self._release(now)
        if told:
            return told
        at = self._ask_at()
        if at is None or at > now:
            return ()
        return await self._ask(rest, now) if self._asks else self._give_up(now)

    async def _ask(self, rest: Rest, now: int) -> Sequence[Told]:
        """Ask for all bars from the next one on."""
        _, symbol, name = self._names
        try:
            candles = await rest.fetch_ohlcv(symbol, name, since=self._next, closed_only=False)
        except RangeNotServed as error:
            return self._unserved(error.first, now)
        except NotSupportedByVenue:
            self._asks = False
            return self._give_up(now)
        except TransientVenueError as error:
            self._retry.again(now, wait=error.retry_after if isinstance(error, RateLimited) else None)
            return self._give_up(now) if self._is_over(now) else ()
        before = self._next
        self._absorb(candles, now)
        told = self._release(now)
        if self._next == before:
            self._pause(now)
            return self._give_up(now) if self._is_over(now) else ()
        return told

    def _pause(self, now: int) -> None:
        """Ask later: soon, where a bar is known to be missing; where nobody trades, ever more rarely."""
        if self._doubt is not None:
            self._retry.again(now)
            return
        longest = max(_QUIET_MS, min(_QUIET_BARS * self._frame.nominal_ms, _QUIET_LONGEST_MS))
        self._retry.again(now, first=_QUIET_MS, longest=longest)
        if now < self._end + _LAGGED_MS:
            self._retry.at = min(self._retry.at, self._end + _LAGGED_MS)

    def _absorb(self, candles: Candles, asked: int) -> None:
        """Take what REST had when the venue's clock showed ``asked``, or a moment later."""
        if not len(candles):
            return
        floor = self._frame.floor
        columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
        rows: list[Row] = list(zip(*(column.tolist() for column in columns), strict=True))
        newest = floor(rows[-1][0])
        sure = min(newest, floor(asked - _GRACE_MS))  # bars that open before are over
        if self._frame.shift(newest) + (_SETTLED_MS if self._is_as_told(rows[-1]) else _LAGGED_MS) <= asked:
            sure = self._frame.shift(newest)
        found = {floor(row[0]): row for row in rows}
        start = self._next or 0
        for key, row in found.items():
            held = self._rows.get(key)
            if start <= key < sure and (held is None or not held.final):
                self._rows[key] = _Held(row, True, self._session)
        # Before its newest, REST has all there is: what it lacks nobody traded.
        self._resolved = max(self._resolved, min(sure, self._frame.shift(newest)))
        for key in [key for key, held in self._rows.items() if key < self._resolved and not held.final]:
            del self._rows[key]

    def _is_as_told(self, row: Row) -> bool:
        """
        Tell whether the stream has told the same of REST's newest bar, and nothing after it.

        Where it flags what is over, it has lost the message that did.
        """
        key = self._frame.floor(row[0])
        if self._whole is None or self._flagged or max(self._newest, self._newest_held()) > key:
            return False
        held = self._rows.get(key)
        if held is None:
            return self._newest < key and not row[5] and self._whole <= key
        return held.is_moving and held.session == self._session and held.values[5] == row[5]

    def _release(self, now: int) -> list[Told]:
        """Return the bars that can be told."""
        start = self._next
        if start is None:
            return []
        reached, told = start, []
        for key in sorted(self._rows):
            if key > reached:
                if self._resolved < key:
                    break
                reached = key
            held = self._rows[key]
            if not held.is_over(now):
                break
            told.append(held.values)
            del self._rows[key]
            reached = self._frame.shift(key)
        reached = max(reached, min(self._resolved, min(self._rows, default=self._resolved)))
        if reached != start:
            self._advance(reached)
        if self._doubt is None and self._newest_held() > reached:
            self._doubt = now
            self._retry.done()
        return [made_candles(*self._names, told)] if told else []

    def _newest_held(self) -> int:
        return max(self._rows, default=-1)

    def _advance(self, opened: int) -> None:
        self._next = opened
        self._end = self._frame.shift(opened)
        self._doubt = None
        self._retry.done()

    def _with_forming(self, told: list[Told], key: int | None) -> list[Told]:
        """Add the forming bar where this message changed it, and all before it have been told."""
        held = None if key is None or key != self._next else self._rows.get(key)
        if held is not None:
            told.append(one_candle(*self._names, held.values, closed=False))
        return told

    def _is_over(self, now: int) -> bool:
        return self._doubt is not None and now - self._doubt >= self._patience

    def _give_up(self, now: int) -> list[Told]:
        """Tell as missed what REST does not give, up to the first bar that has come, or is coming, whole."""
        start = self._next or 0
        later = [key for key in self._rows if key > start]
        until = min(later) if later else self._frame.floor(now)
        whole = self._first is not None and self._first <= start
        held = self._rows.get(start)
        if not self._asks and whole and later and held is not None and not self._flagged:
            held.closing = now  # though a connection began with it, as nobody else can be asked
            return self._release(now)
        if not self._asks and whole and (start not in self._rows or not later):
            # Nobody can be asked, but the connection was whole: what it left out nobody traded.
            self._resolved = max(self._resolved, start if start in self._rows else until)
            return self._release(now)
        return self._miss(until, now)

    def _unserved(self, first: int | None, now: int) -> list[Told]:
        """Tell as missed what REST no longer keeps: all before ``first``, or whatever it has."""
        until = self._frame.floor(now) if first is None else self._frame.ceil(first)
        came = [key for key, held in self._rows.items() if held.final and self._next is not None and key >= self._next]
        return self._miss(min(until, *came) if came else until, now)

    def _miss(self, until: int, now: int) -> list[Told]:
        since = self._next
        if since is None or until <= since:
            return self._release(now)
        self._advance(until)
        self._rows = {key: held for key, held in self._rows.items() if key >= until}
        return [Missed(kind="ohlcv", symbol=self._names[1], time=now, since=since, until=until), *self._release(now)]

    def finish(self, item: Candles) -> Candles:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return the symbol."""
        return self._names[1]
