"""Our errors for what ccxt's classes and sockets raise on a line."""

from __future__ import annotations

from tradeutils import errors
from tradeutils.errors import TradeutilsError
from tradeutils.exchange.venues.faults import translate

__all__ = ["passing", "told_of"]


def told_of(error: BaseException, venue: str, symbol: str | None = None) -> TradeutilsError:
    """Return our error for whatever ccxt's class or a socket raised."""
    if isinstance(error, TradeutilsError):
        return error
    told = translate(error, venue=venue, operation="watch", symbol=symbol)
    if isinstance(told, errors.PermanentVenueError | errors.RateLimited):
        return told
    # Of other errors than ccxt's own the text may hold anything that the venue sent.
    known = isinstance(told, errors.VenueError) and type(told) is not errors.VenueError
    said = str(told) if known else f"a message could not be read ({type(error).__name__})"
    return errors.StreamBroken(f"{said}; what was on it is subscribed to anew", venue=None if known else venue)


def passing(error: TradeutilsError) -> TradeutilsError:
    """
    Return an error that may pass: on a fresh line, what is refused for good is refused once more.

    Of what had been confirmed nobody can tell: a login may have expired, and words may be about another request.
    """
    if not isinstance(error, errors.PermanentVenueError):
        return error
    return errors.StreamBroken(f"{error}; what was on it is subscribed to anew")
