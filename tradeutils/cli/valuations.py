"""What accounts are worth, as the command tells it: every account in one of four states, none left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from tradeutils.cli.endings import one_line
from tradeutils.errors import Suspended, TradeutilsError

if TYPE_CHECKING:
    from tradeutils.balances import Balances, Suspension, Totals, Valuation
    from tradeutils.settings import Account

__all__ = ["Report", "State", "Told", "exact_text", "report_of", "suspended_only", "valuation_as_json"]

State: TypeAlias = Literal["read", "stale", "suspended", "failed"]

_MOST_DIGITS: Final = 200  # before or after the point: beyond, zeros are not written out
_COLUMNS: Final = (
    "account", "venue", "state", "asset", "amount", "price", "value", "quote", "route", "price_age", "class", "note"
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    What is told of one account.

    Attributes
    ----------
    name, venue : str
        Whose, and where.
    valuation : Valuation or None
        Of one that was read, or is stale.
    stale : float or None
        Seconds since the venue told what a stale one holds.
    suspension : Suspension or None
        Why nothing, or one try alone, was sent for it.
    error : Exception or None
        Why it was not read.
    """

    name: str
    venue: str
    valuation: Valuation | None = None
    stale: float | None = None
    suspension: Suspension | None = None
    error: Exception | None = None

    @property
    def state(self) -> State:
        """``"read"``, ``"stale"``, ``"suspended"`` or ``"failed"``."""
        if self.valuation is not None:
            return "read" if self.stale is None else "stale"
        return "suspended" if self.suspension is not None or isinstance(self.error, Suspended) else "failed"

    @property
    def reason(self) -> str:
        """The class of failure of a suspended one, and the class of the error of a failed one."""
        if self.suspension is not None:
            return self.suspension.reason
        return self.error.reason if isinstance(self.error, Suspended) else type(self.error).__name__

    @property
    def message(self) -> str:
        """What was said, on one line and without secrets."""
        said = self.error if self.suspension is None else self.suspension.message
        return one_line(str(said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is told of accounts, in the order of the settings; ``total`` is of those with a value, if there are any."""

    quote: str
    total: Decimal | None
    accounts: Sequence[Told]

    @property
    def is_complete(self) -> bool:
        """Whether every account was read."""
        return all(one.state == "read" for one in self.accounts)

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON: amounts, prices and values as exact text, times in ms UTC, ages in seconds."""
        return {
            "quote": self.quote,
            "total": None if self.total is None else exact_text(self.total),
            "complete": self.is_complete,
            "accounts": _encodable({one.name: _account_as_json(one) for one in self.accounts}),
        }

    def as_csv(self) -> str:
        """
        Return it as CSV (RFC 4180): a row for each asset of each account, and one for an account that has none to tell.

        Text that a spreadsheet would take for a formula has an apostrophe before it: names of assets and messages are
        the venue's words, and names of accounts may be those that users chose. Numbers are left as they are.
        """
        written = io.StringIO()
        writer = csv.writer(written)
        writer.writerow(_COLUMNS)
        for one in self.accounts:
            writer.writerows(_rows(one, self.quote))
        return written.getvalue()


def report_of(accounts: Mapping[str, Account], totals: Totals, balances: Balances) -> Report:
    """Return what is told of accounts of the settings, after their totals were asked for."""
    told = [
        Told(name=name, venue=account.exchange, valuation=totals[name], stale=totals.stale.get(name))
        if name in totals
        else Told(
            name=name,
            venue=account.exchange,
            suspension=_suspension(balances, name),
            error=totals.failures[name],
        )
        for name, account in accounts.items()
    ]
    return Report(quote=totals.quote, total=totals.total if totals else None, accounts=told)


def suspended_only(accounts: Mapping[str, Account], suspensions: Mapping[str, Suspension], quote: str) -> Report:
    """Return what is told of those that are suspended, where nothing was asked of any venue."""
    told = [
        Told(name=name, venue=account.exchange, suspension=suspensions[name])
        for name, account in accounts.items()
        if name in suspensions
    ]
    return Report(quote=quote, total=None, accounts=told)


def _suspension(balances: Balances, name: str) -> Suspension | None:
    try:
        return balances.suspension(name)
    except TradeutilsError:  # an account that cannot be opened; that error is among the failures
        return None


def exact_text(number: Decimal) -> str:
    """
    Return a decimal plainly, to its last digit.

    One of more than 200 digits before or after the point is written in powers of ten: ``1E-999999`` from a venue would
    be a megabyte.
    """
    if not number.is_finite():
        return str(number)
    exponent = number.as_tuple().exponent
    sizes = (number.adjusted(), exponent if isinstance(exponent, int) else 0)
    return format(number, "f") if max(map(abs, sizes)) <= _MOST_DIGITS else str(number)


def valuation_as_json(valuation: Valuation) -> dict[str, Any]:
    """Return a valuation for JSON; amounts, prices and values are the exact text of their decimals."""
    return {
        "account": valuation.account,
        "quote": valuation.quote,
        "time": valuation.time,
        "total": exact_text(valuation.total),
        "assets": {
            asset: {
                "amount": exact_text(held.amount),
                "price": exact_text(held.price),
                "value": exact_text(held.value),
                "route": list(held.route),
                "age": held.age,
                "underlying": held.underlying,
            }
            for asset, held in valuation.assets.items()
        },
        "unpriced": {asset: exact_text(amount) for asset, amount in valuation.unpriced.items()},
        "reasons": dict(valuation.reasons),
        "classes": dict(valuation.classes),
    }


_NOTHING: Final[Mapping[str, Any]] = {
    "time": None, "total": None, "assets": {}, "unpriced": {}, "reasons": {}, "classes": {}
}  # fmt: skip


def _account_as_json(one: Told) -> dict[str, Any]:
    valued = _NOTHING if one.valuation is None else valuation_as_json(one.valuation)
    suspension, error = one.suspension, one.error
    return {
        "venue": one.venue,
        "state": one.state,
        **{name: valued[name] for name in _NOTHING},
        "stale": one.stale,
        "suspension": None if suspension is None else _suspension_as_json(suspension),
        "error": None if error is None else {"type": type(error).__name__, "message": one_line(str(error))},
    }


def _encodable(value: Any) -> Any:
    """Return a value in which all text can be UTF-8; in a venue's JSON half a surrogate pair can be written."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(entry) for name, entry in value.items()}
    return [_encodable(entry) for entry in value] if isinstance(value, list) else value


def _suspension_as_json(suspension: Suspension) -> dict[str, Any]:
    told = {one.name: getattr(suspension, one.name) for one in fields(suspension)}
    told = {name: one_line(value) if isinstance(value, str) else value for name, value in told.items()}
    return {name: told[name] for name in ("reason", "message", "remedy", "since", "until", "failures")}


def _rows(one: Told, quote: str) -> Iterator[list[str]]:
    first = [_text(one.name), _text(one.venue), one.state]
    if one.valuation is None:
        note = one.message if one.suspension is None else f"{one.message}; {one.suspension.remedy}"
        yield [*first, "", "", "", "", quote, "", "", _text(one.reason), _text(note)]
        return
    note = "" if one.stale is None else f"as it was {one.stale:.0f} s ago"
    valuation = one.valuation
    for asset, held in valuation.assets.items():
        figures = [exact_text(number) for number in (held.amount, held.price, held.value)]
        age = "" if held.age is None else f"{held.age:.3f}"
        priced_as = [] if held.underlying is None else [f"priced as {held.underlying}"]
        said = _text("; ".join([*priced_as, *([note] if note else [])]))
        route = _text(" > ".join(held.route))
        yield [*first, _text(asset), *figures, quote, route, age, valuation.classes.get(asset, ""), said]
    for asset, amount in valuation.unpriced.items():
        why = _text("; ".join([valuation.reasons.get(asset, ""), *([note] if note else [])]))
        yield [*first, _text(asset), exact_text(amount), "", "", quote, "", "", valuation.classes.get(asset, ""), why]
    if not valuation.assets and not valuation.unpriced:
        yield [*first, "", "", "", "", quote, "", "", "", _text(note or "holds nothing")]


def _text(text: str) -> str:
    """Return text for a cell, on one line, and never a formula."""
    return f"'{one_line(text)}" if text.startswith(_FORMULA) else one_line(text)
