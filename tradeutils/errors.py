"""
Every error this library raises.

::

    TradeutilsError
    ├── UsageError (also ValueError)          the call is wrong: change it
    │   ├── UnknownName                       a name that is not there; the nearest ones are named
    │   └── SettingsError                     a setting is missing, misspelt or of the wrong kind
    ├── MissingExtra (also ImportError)       an optional package is needed; the extra to install is named
    ├── DataError                             data that cannot be what it claims to be
    │   ├── CodecError                        bytes that are not ours, damaged or too large
    │   ├── CandleFileError                   a candle file that cannot be read; the line is named
    │   └── HistoryCorrupt                    stored candles that fail their checksum
    ├── VenueError                            an exchange said no, or nothing
    │   ├── TransientVenueError               worth another try
    │   │   ├── RateLimited                   slow down; ``retry_after`` seconds
    │   │   ├── VenueTimeout                  no answer in time: a write may have happened
    │   │   ├── VenueUnavailable              down, in maintenance, or unreachable
    │   │   ├── ClockSkew                     our clock or nonce was refused
    │   │   ├── BadReply                      an answer that is not what the venue documents
    │   │   └── StreamBroken                  a websocket ended, fell silent, or brought what cannot be read
    │   └── PermanentVenueError               the same request will fail again
    │       ├── AuthenticationFailed          bad key, secret or signature
    │       │   ├── PermissionDenied          the key may not do this, or not from this address
    │       │   └── AccountSuspended          the venue has closed or frozen the account
    │       ├── BadSymbol (also UnknownName)  a market the venue does not list
    │       ├── RequestRefused                the venue refused the request as it stands
    │       ├── NotSupportedByVenue           the venue cannot do this
    │       ├── RangeNotServed                the venue no longer has the first part of the range; ``first`` it has
    │       ├── InsufficientFunds
    │       └── InvalidOrder
    │           ├── OrderNotFound
    │           └── DuplicateOrder
    ├── OrderUnknown                          an order whose outcome is not known; carries its client id
    ├── CancelIncomplete                      some orders could not be cancelled; carries which, and why
    ├── Suspended                             calls for an account are held back after what its venue said
    ├── CacheError
    │   └── CacheUnavailable                  the cache did not answer in time: an outage, not a miss
    ├── HistoryError                          the history on disk could not be used; nothing stored was lost
    │   ├── HistoryLocked                     another writer has the series
    │   └── HistoryFull                       the disk is full, or would be
    ├── NotSupportedByBackend                 this backend lacks the indicator
    │   └── BackendUnavailable                no GPU that can be used; the reason and the remedy are named
    ├── DeviceOutOfMemory (also MemoryError)  even the smallest block of the work does not fit the device
    └── Closed                                used after it was closed

Whether to retry is read from the class alone: ``TransientVenueError`` yes, anything else no.
A message says what was wrong, the value, and what to write instead; it never carries a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "AccountSuspended",
    "AuthenticationFailed",
    "BackendUnavailable",
    "BadReply",
    "BadSymbol",
    "CacheError",
    "CacheUnavailable",
    "CancelIncomplete",
    "CandleFileError",
    "ClockSkew",
    "Closed",
    "CodecError",
    "DataError",
    "DeviceOutOfMemory",
    "DuplicateOrder",
    "HistoryCorrupt",
    "HistoryError",
    "HistoryFull",
    "HistoryLocked",
    "InsufficientFunds",
    "InvalidOrder",
    "MissingExtra",
    "NotSupportedByBackend",
    "NotSupportedByVenue",
    "OrderNotFound",
    "OrderUnknown",
    "PermanentVenueError",
    "PermissionDenied",
    "RangeNotServed",
    "RateLimited",
    "RequestRefused",
    "SettingsError",
    "StreamBroken",
    "Suspended",
    "TradeutilsError",
    "TransientVenueError",
    "UnknownName",
    "UsageError",
    "VenueError",
    "VenueTimeout",
    "VenueUnavailable",
    "nearest",
]


class TradeutilsError(Exception):
    """The root: ``except tradeutils.errors.TradeutilsError`` catches all that this library raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only constructors break Exception's own pickling, and errors must cross process pools.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[TradeutilsError], args: tuple[Any, ...], state: dict[str, Any]) -> TradeutilsError:
    error = Exception.__new__(cls, *args)  # not cls.__new__: found in MemoryError, it makes no class of two bases
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(TradeutilsError, ValueError):
    """The call is wrong; no request was sent and nothing was written."""


class UnknownName(UsageError):
    """
    A name that is not in the list it must come from.

    Parameters
    ----------
    kind : str
        What the name stands for: ``"timeframe"``, ``"venue"``, ``"indicator"``.
    value : object
        What was given.
    options : iterable of str
        What is valid; the nearest are named in the message and kept in ``nearest``.
    where : str
        Who has these options, for the message: ``"binance"``.
    """

    def __init__(self, kind: str, value: object, options: Iterable[str], *, where: str = "") -> None:
        self.kind = kind
        self.value = value
        names = list(options)
        self.nearest = nearest(str(value), names)
        super().__init__(f"{kind} was {value!r}; {_offer(self.nearest, names, where)}")


def _offer(close: list[str], names: list[str], where: str) -> str:
    """Say what may be written instead: the nearest names, else all of a short list, else the first few."""
    subject = f"{where} has" if where else "valid are"
    if close and len(names) > len(close):
        return f"did you mean {' or '.join(close)}? ({subject} {len(names)} in all)"
    if not names:
        return f"{subject} none"
    shown = ", ".join(names[:24])
    return f"{subject} {shown}" + (f" and {len(names) - 24} more" if len(names) > 24 else "")


def nearest(value: str, options: Iterable[str], count: int = 3, *, at_least: int = 0) -> list[str]:
    """
    Return up to ``count`` of ``options`` that look most like ``value``, best first.

    Case is ignored and so are the separators of symbols, so ``"btcusdt"`` finds ``"BTC/USDT"``. Of those that look
    little like it there are only as many as make up ``at_least``.
    """
    folded: dict[str, list[str]] = {}
    for option in options:
        folded.setdefault(_fold(option), []).append(option)
    wanted = _fold(value[:_COMPARED])
    close: list[str] = []
    for cutoff in _CUTOFFS:
        keys = difflib.get_close_matches(wanted, folded, n=count, cutoff=cutoff)
        close = [option for key in keys for option in folded[key]][:count]
        if len(close) >= min(at_least, len(folded)):
            break
    return close


_CUTOFFS = (0.6, 0.3, 0.0)  # lower ones take longer: with all three up to 100 ms among 3600 names, instead of 40
_COMPARED = 64  # characters; no name is longer, and what is given may be


def _fold(name: str) -> str:
    return name.casefold().translate({ord(c): None for c in "/-_: "})


class SettingsError(UsageError):
    """A setting is missing, misspelt or of the wrong kind; the message names the file and the key."""


class MissingExtra(TradeutilsError, ImportError):
    """
    An optional package is needed.

    Parameters
    ----------
    package : str
        What could not be imported.
    extra : str
        The extra of this library that brings it.
    purpose : str
        What it is needed for.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f'{purpose} needs {package}: pip install "tradeutils[{extra}]"')


class DataError(TradeutilsError):
    """Data that cannot be what it claims to be."""


class CodecError(DataError):
    """Bytes that are not ours, are damaged, or would decode to more than the cap; or a value we do not encode."""


class CandleFileError(DataError):
    """
    A candle file that cannot be read.

    Parameters
    ----------
    path : str
        The file.
    problem : str
        What is wrong with it and what to do.
    line : int or None
        The line of a text file or the row of a table, from 1; ``None`` where the whole file is at fault.
    """

    def __init__(self, path: str, problem: str, *, line: int | None = None) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {problem}")


class HistoryCorrupt(DataError):
    """Stored candles that fail their checksum; the file is named."""


class VenueError(TradeutilsError):
    """
    An exchange said no, or nothing.

    Parameters
    ----------
    message : str
        What happened, and the remedy where there is one.
    venue, operation, symbol : str or None
        The exchange, our method (``"fetch_ohlcv"``) and the symbol concerned.
    """

    def __init__(
        self, message: str, *, venue: str | None = None, operation: str | None = None, symbol: str | None = None
    ) -> None:
        self.venue = venue
        self.operation = operation
        self.symbol = symbol
        where = " ".join(part for part in (venue, operation, symbol) if part)
        # Not super(): in BadSymbol the next class is UnknownName, which builds its own message.
        Exception.__init__(self, f"{where}: {message}" if where else message)


class TransientVenueError(VenueError):
    """Worth another try, after a pause."""


class RateLimited(TransientVenueError):
    """Too many requests (HTTP 429 or 418). ``retry_after``: seconds to stay silent, ``None`` where not said."""

    def __init__(self, message: str, *, retry_after: float | None = None, **where: Any) -> None:
        self.retry_after = retry_after
        super().__init__(message, **where)


class VenueTimeout(TransientVenueError):
    """No answer in time. A read may be repeated; a write may have happened and must be looked up first."""


class VenueUnavailable(TransientVenueError):
    """The venue is down, in maintenance, or cannot be reached."""


class ClockSkew(TransientVenueError):
    """The venue refused our timestamp or nonce; the clock is synchronised before the next try."""


class BadReply(TransientVenueError):
    """The answer is not what the venue documents: HTML, truncated, empty, or of the wrong type."""


class StreamBroken(TransientVenueError):
    """A websocket ended, fell silent or brought what cannot be read; a fresh one is opened in its place."""


class PermanentVenueError(VenueError):
    """The same request will fail again: change it, the key or the account first."""


class AuthenticationFailed(PermanentVenueError):
    """The key, the secret or the signature was refused."""


class PermissionDenied(AuthenticationFailed):
    """The key may not do this, or not from this address."""


class AccountSuspended(AuthenticationFailed):
    """The venue has closed or frozen the account."""


class BadSymbol(PermanentVenueError, UnknownName):
    """
    A market that the venue does not list; the nearest listed ones are named.

    Parameters
    ----------
    symbol : str
        What was asked for.
    options : iterable of str
        What the venue lists.
    venue, operation : str or None
        Who was asked, and for what.
    """

    def __init__(
        self, symbol: str, options: Iterable[str] = (), *, venue: str | None = None, operation: str | None = None
    ) -> None:
        names = list(options)
        self.kind = "symbol"
        self.value = symbol
        self.nearest = nearest(str(symbol), names, at_least=3)
        offer = _offer(self.nearest, names, venue or "the venue") if names else "the venue does not list it"
        super().__init__(f"symbol was {symbol!r}; {offer}", venue=venue, operation=operation)
        self.symbol = symbol


class RequestRefused(PermanentVenueError):
    """The venue refused the request as it stands (a parameter, a limit, a closed market)."""


class NotSupportedByVenue(PermanentVenueError):
    """The venue cannot do this; ``alternatives`` names some that can."""

    def __init__(self, message: str, *, alternatives: Iterable[str] = (), **where: Any) -> None:
        self.alternatives = tuple(alternatives)
        super().__init__(message, **where)


class RangeNotServed(PermanentVenueError):
    """The venue keeps only its newest data, and more was asked for. ``first``: ms UTC of the oldest that it serves."""

    def __init__(self, message: str, *, first: int | None = None, **where: Any) -> None:
        self.first = first
        super().__init__(message, **where)


class InsufficientFunds(PermanentVenueError):
    """The account does not hold what the order needs."""


class InvalidOrder(PermanentVenueError):
    """The venue refused the order."""


class OrderNotFound(InvalidOrder):
    """No such order on the venue."""


class DuplicateOrder(InvalidOrder):
    """An order with this client id exists already."""


class OrderUnknown(TradeutilsError):
    """
    An order was sent, and whether the venue has it could not be learnt in time.

    It is not repeated: look it up before sending another one.

    Parameters
    ----------
    message : str
        What happened, and how to look the order up.
    client_id : str
        The id that the order bears; the venue is asked by it.
    venue, symbol : str or None
        Where the order was sent, and its market.
    """

    def __init__(self, message: str, *, client_id: str, venue: str | None = None, symbol: str | None = None) -> None:
        self.client_id = client_id
        self.venue = venue
        self.symbol = symbol
        super().__init__(message)


class CancelIncomplete(TradeutilsError):
    """
    Of several orders that were to be cancelled, some may still be open.

    Parameters
    ----------
    message : str
        How many, and the first reason.
    canceled : iterable of Order
        The orders that were cancelled.
    failed : mapping of str to TradeutilsError
        By the venue's id of each other one, why it could not be.
    venue : str or None
        Where.
    """

    def __init__(
        self,
        message: str,
        *,
        canceled: Iterable[Any] = (),
        failed: Mapping[str, TradeutilsError] | None = None,
        venue: str | None = None,
    ) -> None:
        self.canceled = tuple(canceled)
        self.failed = dict(failed or {})
        self.venue = venue
        super().__init__(message)


class CacheError(TradeutilsError):
    """The cache refused or failed an operation."""


class CacheUnavailable(CacheError):
    """The cache did not answer in time. An outage is never reported as a miss."""


class HistoryError(TradeutilsError):
    """The history on disk could not be used (a folder that cannot be written); what was stored stays as it was."""


class HistoryLocked(HistoryError):
    """Another writer has the series; readers are not held up by it. ``pid``: the process, where it is known."""

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        self.pid = pid
        super().__init__(message)


class HistoryFull(HistoryError):
    """The disk is full, or would be below what is to stay free; nothing was lost, and what was given was not stored."""


class Suspended(TradeutilsError):
    """
    Calls for an account are held back, after what its venue said about its key; nothing was sent.

    Parameters
    ----------
    message : str
        Why, until when, and what to do.
    account : str
        Its name.
    reason : str
        The class of failure: ``"bad key"``, ``"address not allowed"``, ``"permission"``, ``"account frozen"``.
    retry_after : float or None
        Seconds until one more try is made.
    """

    def __init__(self, message: str, *, account: str, reason: str, retry_after: float | None = None) -> None:
        self.account = account
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(message)


class NotSupportedByBackend(TradeutilsError):
    """The chosen backend lacks the indicator; the message lists what it has."""


class BackendUnavailable(NotSupportedByBackend, RuntimeError):
    """No GPU that can be used: no driver, one too old, no CuPy, a device that was lost; one line with the remedy."""


class DeviceOutOfMemory(TradeutilsError, MemoryError):
    """Even the smallest block of the work does not fit the device: ``needed`` bytes, of which ``free`` can be had."""

    def __init__(self, message: str, *, needed: int | None = None, free: int | None = None) -> None:
        self.needed = needed
        self.free = free
        super().__init__(message)


class Closed(TradeutilsError):
    """The object was used after it was closed."""
