"""Candles of many symbols at once, where some may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tradeutils import logs
from tradeutils.errors import BadSymbol, Closed, TradeutilsError
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.model import Candles

__all__ = ["fetch_each"]

_log = logs.get_logger("exchange")

_AT_ONCE: Final = 32  # symbols in flight; the rate limit decides the pace, this only bounds memory
_NAMED: Final = 10  # symbols that the log names


async def fetch_each(
    symbols: Sequence[str],
    look_up: Callable[[str], Awaitable[object]],
    fetch: Callable[[str], Awaitable[Candles]],
    *,
    skip: bool,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Candles], dict[str, TradeutilsError]]:
    """
    Return the candles of each symbol in order, and the errors of those that were skipped.

    Parameters
    ----------
    look_up : callable
        Raises `BadSymbol`; called for all before any is fetched.
    skip : bool
        Go on without those that fail; where all do, the error of the first is raised.
    progress : callable or None
        Called with the number done and their total; what it raises ends the whole.
    """
    failed: dict[str, TradeutilsError] = {}
    for symbol in symbols:
        try:
            await look_up(symbol)
        except BadSymbol as error:
            if not skip:
                raise
            failed[symbol] = error
    gate, done = asyncio.Semaphore(_AT_ONCE), 0

    async def one(symbol: str) -> Candles | None:
        nonlocal done
        found = None
        if symbol not in failed:
            async with gate:
                try:
                    found = await fetch(symbol)
                except TradeutilsError as error:
                    if not skip or isinstance(error, Closed):  # that is not of this symbol alone
                        raise
                    failed[symbol] = error
        done += 1
        if progress is not None:
            progress(done, len(symbols))
        return found

    fetched = [one for one in await all_or_first_error([one(symbol) for symbol in symbols]) if one is not None]
    errors = {symbol: failed[symbol] for symbol in symbols if symbol in failed}
    if not fetched:
        raise next(iter(errors.values()))
    if errors:
        named = ", ".join(map(str, list(errors)[:_NAMED])) + (" ..." if len(errors) > _NAMED else "")
        _log.warning("a panel lacks %d of %d symbols: %s", len(errors), len(symbols), named)
    return fetched, errors
