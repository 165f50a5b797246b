"""`watch_totals`: to be told when what accounts are worth has moved."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Final, Protocol

from tradeutils.errors import CacheError, Suspended, TransientVenueError, UsageError
from tradeutils.logs import get_logger
from tradeutils.model.rounding import EXACT
from tradeutils.model.valuations import Valuation

__all__ = ["ALL", "Alert", "Totals", "watch_totals"]

_log = get_logger("balances")

ALL: Final = "all"
"""What an `Alert` has as its account where it is about the sum of several."""

_ZERO: Final = Decimal(0)
_HUNDREDTH: Final = Decimal("0.01")
_WIDE: Final = Context(prec=28)
_PERCENT: Final = re.compile(r"\s*([0-9.eE+-]{1,40})\s*%\s*", re.ASCII)
_SHORTEST_S: Final = 0.01
_PASSING: Final = (TransientVenueError, CacheError, Suspended)


class Totals(Protocol):
    """What can be watched: `Balances`."""

    async def totals(self, quote: str) -> Mapping[str, Valuation]:
        """
        Return what each account is worth, by name.

        Where the mapping has ``failures`` or ``stale``, mappings from account to why or since when, those accounts are
        left out of comparisons.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    That a total has moved by the threshold or more, since the last alert about it or the beginning.

    Attributes
    ----------
    account : str
        Whose total; ``"all"``: the sum of all that could be compared.
    quote : str
        The currency of all amounts.
    before, after, change : Decimal
        The two totals, over the same accounts and the same priced assets, and their exact difference.
    relative : Decimal or None
        Change by the size of ``before``: -0.05 is a loss of five per cent; ``None`` where that was 0.
    time : int
        When it was found, ms UTC, by the venue's clock.
    missing : tuple of str
        Accounts that are in neither sum, as they failed, are suspended or are known only from before.
    unpriced : tuple of str
        Assets that are in neither sum, as they had a price only before or only now.
    """

    account: str
    quote: str
    before: Decimal
    after: Decimal
    change: Decimal
    relative: Decimal | None
    time: int
    missing: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()


def watch_totals(
    source: Totals, quote: str = "USDT", *, threshold: Decimal | int | str, interval: float = 60.0
) -> AsyncIterator[Alert]:
    """
    Yield an `Alert` whenever a total has moved: of an account, or of all together where there are several.

    Like is compared with like: an account that fails, is suspended or stale is in neither sum, and neither is an asset
    that has lost or gained its price; both are named. They never look like a loss, and when they are back they are
    compared with what they were.

    Parameters
    ----------
    source : Balances, or anything with its ``totals``
        What is watched.
    quote : str
        The currency.
    threshold : Decimal, int or str
        How far a total must move: an amount of the quote, ``Decimal("100")`` or ``"100"``, or a share of the total,
        ``"5%"``. Movements add up until they reach it. A total that was 0 has moved by any share.
    interval : float
        Seconds from one look to the next. Looks never overlap; one that took longer is followed by the next at once.

    Yields
    ------
    Alert : first those of accounts, in their order, then the one of all.

    Raises
    ------
    UsageError : a threshold or an interval that cannot be; at once.
    Whatever ``totals`` raises for good, such as `UnknownName` for a quote without markets. After an error that may pass
    (`TransientVenueError`, `CacheError`, `Suspended`) it looks again after the interval; one line is logged when that
    begins.

    Notes
    -----
    It ends when the iteration is left or its task cancelled; while what it yielded is worked on, it does not look.
    """
    limit = _Threshold.of(threshold)
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not _SHORTEST_S <= interval < math.inf:
        raise UsageError(f"interval was {interval!r}; write seconds, from {_SHORTEST_S:g}")
    return _watch(source, quote, limit, float(interval))


async def _watch(source: Totals, quote: str, limit: _Threshold, interval: float) -> AsyncIterator[Alert]:
    watched, failing = _Watched(quote, limit), False
    loop = asyncio.get_running_loop()
    while True:
        begun = loop.time()
        try:
            totals = await source.totals(quote)
        except _PASSING as error:
            if not failing:
                _log.warning("totals in %s cannot be watched, and are tried again: %s", quote, error)
            failing, begun = True, loop.time()
        else:
            if failing:
                _log.info("totals in %s are watched again", quote)
            failing = False
            for alert in watched.compare(totals):
                yield alert
        await asyncio.sleep(max(0.0, begun + interval - loop.time()))


@dataclass(frozen=True, slots=True)
class _Threshold:
    amount: Decimal
    relative: bool

    @classmethod
    def of(cls, given: object) -> _Threshold:
        share = _PERCENT.fullmatch(given) if isinstance(given, str) else None
        amount = Decimal("NaN")
        if isinstance(given, Decimal | int | str) and not isinstance(given, bool):
            with contextlib.suppress(InvalidOperation):
                amount = EXACT.multiply(Decimal(share[1]), _HUNDREDTH) if share else Decimal(given)
        if not amount.is_finite() or amount <= 0:
            raise UsageError(f"threshold was {given!r:.40}; write an amount such as Decimal('100'), or a share: '5%'")
        return cls(amount, share is not None)

    def reached(self, before: Decimal, change: Decimal) -> bool:
        """Tell whether a change is worth an alert."""
        if not self.relative:
            return change.copy_abs() >= self.amount  # abs() rounds as the caller's context says
        return change != 0 and change.copy_abs() >= EXACT.multiply(self.amount, before.copy_abs())


class _Watched:
    """What was last told of each account, and of all together."""

    def __init__(self, quote: str, limit: _Threshold) -> None:
        self._quote, self._limit = quote, limit
        self._of_account: dict[str, Valuation] = {}
        self._of_all: dict[str, Valuation] = {}

    def compare(self, totals: Mapping[str, Valuation]) -> Iterator[Alert]:
        """Yield what has moved, and remember it as told."""
        unsure = {*getattr(totals, "failures", ()), *getattr(totals, "stale", ())}
        now = {account: found for account, found in totals.items() if account not in unsure}
        for account, found in now.items():
            before = self._of_account.setdefault(account, found)
            alert = self._moved(account, {account: before}, {account: found}, ())
            if alert is not None:
                self._of_account[account] = found
                yield alert
        for account in getattr(totals, "same_as", ()):  # another name of one that is there
            now.pop(account, None)
        for account, found in now.items():
            self._of_all.setdefault(account, found)
        if len(self._of_all) > 1:
            missing = sorted((unsure | self._of_all.keys()) - now.keys())
            alert = self._moved(ALL, self._of_all, now, tuple(missing))
            if alert is not None:
                self._of_all |= now
                yield alert

    def _moved(
        self, account: str, before: Mapping[str, Valuation], after: Mapping[str, Valuation], missing: tuple[str, ...]
    ) -> Alert | None:
        was = will_be = _ZERO
        unpriced: set[str] = set()
        for name, found in after.items():
            first, second, left_out = _alike(before[name], found)
            was, will_be = EXACT.add(was, first), EXACT.add(will_be, second)
            unpriced |= left_out
        change = EXACT.subtract(will_be, was)
        if not self._limit.reached(was, change):
            return None
        return Alert(
            account=account,
            quote=self._quote,
            before=was,
            after=will_be,
            change=change,
            relative=None if was == 0 else _WIDE.divide(change, was.copy_abs()),
            time=max(found.time for found in after.values()),
            missing=missing,
            unpriced=tuple(sorted(unpriced)),
        )


def _alike(before: Valuation, after: Valuation) -> tuple[Decimal, Decimal, set[str]]:
    """Return both totals without the assets that had a price in one of them alone, and these assets."""
    gone = before.assets.keys() & after.unpriced.keys()
    come = after.assets.keys() & before.unpriced.keys()
    first, second = before.total, after.total
    for asset in gone:
        first = EXACT.subtract(first, before.assets[asset].value)
    for asset in come:
        second = EXACT.subtract(second, after.assets[asset].value)
    return first, second, gone | come
