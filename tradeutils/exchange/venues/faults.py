"""
One table from ccxt's errors to ours.

Keyed by class name, so that this file needs no ccxt; the nearest ancestor in the table decides. A test walks
every error class of ccxt and fails on one that only its root would catch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tradeutils import errors
from tradeutils.logs import redact

__all__ = ["TABLE", "dialect_of", "redact_chain", "translate"]

TABLE: Final[Mapping[str, type[errors.TradeutilsError]]] = {
    # OperationFailed: the request may succeed when repeated
    "OperationFailed": errors.TransientVenueError,
    "NetworkError": errors.VenueUnavailable,
    "DDoSProtection": errors.RateLimited,  # binance raises it for 429 and 418, others for Cloudflare
    "RateLimitExceeded": errors.RateLimited,
    "ExchangeNotAvailable": errors.VenueUnavailable,
    "OnMaintenance": errors.VenueUnavailable,
    "InvalidNonce": errors.ClockSkew,
    "ChecksumError": errors.BadReply,
    "RequestTimeout": errors.VenueTimeout,
    "BadResponse": errors.BadReply,
    "NullResponse": errors.BadReply,
    "CancelPending": errors.TransientVenueError,
    # ExchangeError: the venue understood and refused
    "ExchangeError": errors.RequestRefused,
    "AuthenticationError": errors.AuthenticationFailed,
    "PermissionDenied": errors.PermissionDenied,
    "AccountNotEnabled": errors.PermissionDenied,
    "AccountSuspended": errors.AccountSuspended,
    "ArgumentsRequired": errors.UsageError,
    "BadRequest": errors.RequestRefused,
    "BadSymbol": errors.BadSymbol,
    "OperationRejected": errors.RequestRefused,
    "NoChange": errors.RequestRefused,
    "MarginModeAlreadySet": errors.RequestRefused,
    "MarketClosed": errors.RequestRefused,
    "ManualInteractionNeeded": errors.PermissionDenied,
    "RestrictedLocation": errors.PermissionDenied,
    "InsufficientFunds": errors.InsufficientFunds,
    "InvalidAddress": errors.RequestRefused,
    "AddressPending": errors.RequestRefused,
    "InvalidOrder": errors.InvalidOrder,
    "OrderNotFound": errors.OrderNotFound,
    "OrderNotCached": errors.OrderNotFound,
    "OrderImmediatelyFillable": errors.InvalidOrder,
    "OrderNotFillable": errors.InvalidOrder,
    "DuplicateOrderId": errors.DuplicateOrder,
    "ContractUnavailable": errors.InvalidOrder,
    "NotSupported": errors.NotSupportedByVenue,
    "InvalidProxySettings": errors.SettingsError,
    "ExchangeClosedByUser": errors.Closed,
    "UnsubscribeError": errors.VenueUnavailable,
}

# Venues have no common code for a client id that is taken, and ccxt no class for most of them.
_DUPLICATE = re.compile(r"(?i)duplicat|(client.?(order|oid)|cl_ord_id).{0,20}(exist|in use)")
_REFUSED_ORDERS = (errors.InvalidOrder, errors.RequestRefused, errors.InsufficientFunds)
# ccxt takes "invalid key, address or permissions" for a ban once a login has succeeded; a ban comes with 418.
_BAD_KEY = re.compile(r'"code":\s*-2015\b')
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)  # float() also reads "nan", "inf" and "1_0"
_MESSAGE_CAP = 500  # an HTML error page is no message
# What these venues say of a key or an account and ccxt has no class for, or another one: bybit's 10009 bans an address,
# whichever keys it used, and okx's 50112 and 60004 are about a timestamp.
_WORDS: Final[Mapping[str, Mapping[str, type[errors.VenueError]]]] = {
    "bybit": {"10009": errors.RateLimited},
    "kraken": {"EAPI:Invalid signature": errors.AuthenticationFailed},
    "okx": {
        "50100": errors.AccountSuspended,
        "50112": errors.ClockSkew,
        "50119": errors.AuthenticationFailed,
        "50120": errors.PermissionDenied,
        "60004": errors.ClockSkew,
    },
}
_SAID: Final = re.compile(r'"(?:code|retCode|ret_code)"\s*:\s*"?(\d{4,6})(?!\d)|"(E[A-Za-z]{1,16}:[A-Za-z ]{1,40})')
# ccxt turns these into ExchangeNotAvailable, its "try again": the same request would be refused again.
_REFUSALS: Final[Mapping[int, type[errors.PermanentVenueError]]] = {
    400: errors.RequestRefused,
    401: errors.AuthenticationFailed,
    403: errors.PermissionDenied,
    404: errors.RequestRefused,
    405: errors.RequestRefused,
    422: errors.RequestRefused,
}


# Of a request without a reply ccxt says only what was asked.
_UNANSWERED: Final[Mapping[type[errors.TradeutilsError], str]] = {
    errors.VenueUnavailable: "could not be reached",
    errors.VenueTimeout: "did not answer in time",
}


def translate(
    error: BaseException,
    *,
    venue: str,
    operation: str,
    symbol: str | None,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    now_ms: int | None = None,
) -> errors.TradeutilsError:
    """
    Return our error for one of ccxt's.

    Parameters
    ----------
    error : BaseException
        What ccxt raised.
    status, headers : int, mapping or None
        HTTP status and headers of the reply it raised for, where there was one.
    now_ms : int or None
        The venue's time, to turn a "banned until" into seconds.
    """
    cls = _class_of(error)
    if operation == "create_order" and issubclass(cls, _REFUSED_ORDERS) and _DUPLICATE.search(str(error)):
        cls = errors.DuplicateOrder
    if operation == "create_order" and cls is errors.RequestRefused and _took_none(error):
        cls = errors.InvalidOrder
    if (
        cls is errors.RateLimited
        and dialect_of(venue) == "binance"
        and status not in (418, 429)
        and _BAD_KEY.search(str(error))
    ):
        cls = errors.AuthenticationFailed
    if issubclass(cls, errors.PermanentVenueError):
        cls = _of_words(venue, str(error)) or cls
    if cls is errors.VenueUnavailable and status is not None and status in _REFUSALS:
        cls = _REFUSALS[status]
    if cls in (errors.TransientVenueError, errors.RequestRefused) and status is not None and status >= 500:
        cls = errors.VenueUnavailable  # bybit's and okx's classes read words that they do not know as a refusal
    if cls is errors.RequestRefused and status == 429:
        cls = errors.RateLimited
    text = _message(error, venue, status)
    if status is None and cls in _UNANSWERED:
        text = f"{_UNANSWERED[cls]} ({text}); check the network and the address"
    where: dict[str, Any] = {"venue": venue, "operation": operation, "symbol": symbol}
    if cls is errors.RateLimited:
        return errors.RateLimited(text, retry_after=_retry_after(headers, text, now_ms), **where)
    if cls is errors.BadSymbol:
        if symbol is not None:
            return errors.BadSymbol(symbol, venue=venue, operation=operation)
        cls = errors.RequestRefused  # nobody named a symbol: the venue's own words say more
    if issubclass(cls, errors.VenueError):
        return cls(text, **where)
    return cls(f"{venue} {operation}: {text}")


def _took_none(error: BaseException) -> bool:
    """
    Tell whether a venue's answer says of each order in it that it was not taken: with a code, and without an id.

    So okx answers, and ccxt knows only some of the codes. Those that begin with 50 are about the venue or the request
    as a whole ("timed out", "system busy"), and say nothing of orders.
    """
    text = str(error)
    try:
        rows = json.loads(text[text.index("{") :])["data"]
        codes = [str(row.get("sCode") or "0") for row in rows if not row.get("ordId") and not row.get("algoId")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
    return bool(rows) and len(codes) == len(rows) and not any(code == "0" or code[:2] == "50" for code in codes)


def dialect_of(venue: str | None) -> str:
    """Return whose codes a venue has: ccxt's binanceusdm has binance's, bybiteu bybit's, and myokx those of okx."""
    for known in ("binance", "bybit", "okx"):
        if known in (venue or ""):
            return known
    return venue or ""


def _of_words(venue: str, text: str) -> type[errors.VenueError] | None:
    """Return the class of what a venue says, where it is one of those that ccxt does not know."""
    known = _WORDS.get(dialect_of(venue))
    said = None if known is None else _SAID.search(text)
    return None if said is None or known is None else known.get(said[1] or said[2])


def _class_of(error: BaseException) -> type[errors.TradeutilsError]:
    return next((TABLE[c.__name__] for c in type(error).__mro__ if c.__name__ in TABLE), errors.VenueError)


def redact_chain(error: BaseException) -> None:
    """
    Redact the texts of an error and of those that led to it; they are kept for the traceback.

    One that makes its text of something else than its arguments (aiohttp's of too many redirects: the signed URL) is
    replaced by its text.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(redact(part) if isinstance(part, str) else part for part in one.args)
        suppressed = one.__suppress_context__
        one.__cause__, one.__context__ = _told(one.__cause__), _told(one.__context__)
        one.__suppress_context__ = suppressed
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]


def _told(error: BaseException | None) -> BaseException | None:
    """Return an error, or its redacted text as one where it cannot be redacted itself."""
    if error is None:
        return None
    error.args = tuple(redact(part) if isinstance(part, str) else part for part in error.args)
    text = str(error)
    clean = redact(text)
    return error if clean == text else Exception(f"{type(error).__name__}: {clean}").with_traceback(error.__traceback__)


def _message(error: BaseException, venue: str, status: int | None) -> str:
    text = " ".join(redact(str(error)).split()).removeprefix(venue).strip()
    if "<html" in text.lower() or "<!doctype" in text.lower():
        text = "answered with an HTML page instead of JSON"
    if len(text) > _MESSAGE_CAP:
        text = text[:_MESSAGE_CAP] + "..."
    text = text or type(error).__name__
    return f"{text} (HTTP {status})" if status is not None and status >= 400 and str(status) not in text else text


def _retry_after(headers: Mapping[str, str] | None, text: str, now_ms: int | None) -> float | None:
    """Read how long to stay silent: the ``Retry-After`` header in seconds, else "banned until <ms>" in the text."""
    for name, value in (headers or {}).items():
        if name.lower() == "retry-after":
            if _SECONDS.fullmatch(value.strip()):
                return float(value)
            break  # a date, or no time at all
    banned = _BANNED_UNTIL.search(text)
    if banned and now_ms is not None:
        return max(0.0, (int(banned[1]) - now_ms) / 1000)
    return None
