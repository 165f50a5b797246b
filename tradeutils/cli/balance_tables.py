"""What accounts are worth, as tables: narrow enough for 80 columns where amounts and names allow."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tradeutils.cli.printing import number_text, show_line, show_table, utc
from tradeutils.cli.valuations import Report, Told, exact_text
from tradeutils.errors import TransientVenueError

if TYPE_CHECKING:
    from tradeutils.balances import AssetValue, Valuation

__all__ = ["show_report"]

_DIGITS: Final = 12  # of a price or a sum, which may have 60; all of those before the point are shown
_CENTS: Final = 2
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def show_report(report: Report, *, assets: bool, min_value: Decimal | None) -> None:
    """
    Print a report: the assets of each account if asked for, a line for each account, and what is to be done.

    Parameters
    ----------
    report : Report
        Of any number of accounts; of none where only those that are suspended were asked for.
    assets : bool
        Whether to print a table for each account, too.
    min_value : Decimal or None
        Assets worth less are one line of their table, together.
    """
    if not report.accounts:
        show_line("no account is suspended")
        return
    sections: list[Callable[[], None]] = [
        functools.partial(_show_assets, one, one.valuation, min_value)
        for one in report.accounts
        if assets and one.valuation is not None
    ]
    troubled = [one for one in report.accounts if one.valuation is None]
    if len(report.accounts) > 1 or not (sections or troubled):
        sections.append(functools.partial(_show_accounts, report))
    sections += [functools.partial(_show_trouble, one) for one in troubled]
    for number, section in enumerate(sections):
        if number:
            show_line("")
        section()


def _show_assets(one: Told, valuation: Valuation, min_value: Decimal | None) -> None:
    from tradeutils.model.rounding import EXACT  # here: it brings numpy, and --help does without

    rows: list[list[str]] = []
    small: list[AssetValue] = []
    for asset, held in valuation.assets.items():
        if min_value is not None and held.value.copy_abs() < min_value:
            small.append(held)
        else:
            rows.append(_row(asset, held, valuation.classes.get(asset)))
    if small:
        together = functools.reduce(EXACT.add, [held.value for held in small])
        rows.append([f"{len(small)} others", "", "", _figure(together), f"each under {min_value}", ""])
    for asset, amount in valuation.unpriced.items():
        rows.append([asset, _exact(amount), "-", "-", f"no price: {valuation.classes.get(asset, 'unknown')}", "-"])
    rows.append(["total", "", "", _figure(valuation.total), "", ""])
    quote = valuation.quote
    title = f"{one.name} on {one.venue}" + ("" if one.stale is None else f", as it was {_age(one.stale)} ago")
    show_table(("asset", ">amount", f">price ({quote})", f">value ({quote})", "route", ">age"), rows, title=title)
    for asset, reason in valuation.reasons.items():
        show_line(f"{asset} not counted: {reason}")


def _row(asset: str, held: AssetValue, kind: str | None) -> list[str]:
    route = " > ".join(held.route) or "-"
    if held.underlying is not None:
        route = f"{kind} {held.underlying}" + (f": {route}" if held.route else "")
    elif kind is not None:
        route = f"{route} ({kind})"
    age = _age(held.age) if held.route else "-"
    return [asset, _exact(held.amount), _figure(held.price), _figure(held.value), route, age]


def _show_accounts(report: Report) -> None:
    rows = [_line(one) for one in report.accounts]
    valued = sum(one.valuation is not None for one in report.accounts)
    if report.total is not None and len(report.accounts) > 1:
        share = f"of {valued} of {len(report.accounts)} accounts" if valued < len(rows) else f"of {valued} accounts"
        rows.append(["total", "", _figure(report.total), "", share])
    show_table(("account", "venue", f">total ({report.quote})", ">assets", "state"), rows)


def _line(one: Told) -> list[str]:
    if one.valuation is None:
        return [one.name, one.venue, "-", "-", f"{one.state}: {one.reason}"]
    count, unpriced = len(one.valuation.assets), len(one.valuation.unpriced)
    state = one.state if one.stale is None else f"stale: {_age(one.stale)} old"
    if unpriced:
        state += f", {unpriced} more without a price"
    return [one.name, one.venue, _figure(one.valuation.total), f"{count:,}", state]


def _show_trouble(one: Told) -> None:
    """Print why an account has no value, and what is to be done."""
    where, suspension = f"{one.name} on {one.venue}", one.suspension
    if suspension is None:
        show_line(f"{where} {one.state}: {one.message}")
        return
    times = "1 failure" if suspension.failures == 1 else f"{suspension.failures:,} failures"
    since, until = (utc(moment // 1000 * 1000) for moment in (suspension.since, suspension.until))
    show_line(f"{where} is suspended since {since} UTC ({one.reason}, {times}): {one.message}")
    show_line(f"{where} is tried again after {until} UTC; {suspension.remedy}; then: --resume {one.name}")
    if isinstance(one.error, TransientVenueError):
        show_line(f"{where} was tried just now: {one.error}")


def _exact(number: Decimal) -> str:
    text = exact_text(number)
    return text if "E" in text else number_text(number) if number.is_finite() else text


def _figure(number: Decimal) -> str:
    """Return a price or a sum, rounded; never before the point."""
    if "E" in exact_text(number):
        return exact_text(number)
    return number_text(number, digits=max(_DIGITS, number.adjusted() + 1 + _CENTS))


def _age(seconds: float | None) -> str:
    """Return seconds in the largest unit that is whole."""
    if seconds is None:
        return "-"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
