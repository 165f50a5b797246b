"""
How one of ccxt's classes makes a ticker of a row, found out by asking it.

A row is copied, its figures are replaced by marks, and ccxt's own ``parse_ticker`` is asked what it makes of that. A
mark that comes out again is a figure that is merely handed on; what follows from one or two marks by one of the
formulas that ccxt's classes use (the change of the day in percent, the mean price) is told by trying them. Each
finding must hold for two sets of marks, and every plan is proved on real rows by whoever uses it (see
`tradeutils.exchange.tickers.rows`): nothing here has to be believed.

ccxt takes a price of zero for none, and computes one figure from others where some are missing. So there is a plan for
every pattern of zeros and nulls that occurs, found out in the same way.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias

from tradeutils.model import Ticker

__all__ = [
    "FIGURES",
    "Leaf",
    "Parse",
    "Plan",
    "Source",
    "classify",
    "column_of",
    "learn",
    "leaves_of",
    "live_leaves",
    "naming_leaves",
    "picker",
    "take",
]

FIGURES: Final = tuple(field.name for field in fields(Ticker) if field.name not in ("symbol", "info"))
"""What a ticker says in figures; the first is its time."""

Leaf: TypeAlias = tuple[Any, ...]
"""Where in a row a value stands: the key, and within a list or mapping the place."""

Parse: TypeAlias = Callable[[Mapping[str, Any]], Ticker | None]
"""ccxt's parser of a row, and ours after it; ``None`` where it fails, or gives no symbol."""

_EXACT: Final = Context(prec=80)
_LONGEST: Final = 18  # characters of a figure that goes into a formula: ccxt divides to 18 decimals
_HUNDRED: Final = Decimal(100)
_SCALES: Final = (1, 1000, 0.001, 1e-6)  # from a venue's seconds, micro- or nanoseconds to ms, as ccxt writes them
# Two sets of marks, exact as floats, and still apart when they are taken for times in nanoseconds.
_MARKS: Final = ((1_600_000_000_000_000, 1_000_000_000_000), (1_710_000_007_000_000, 7_003_000_000_000))


class _NotAlikeError(ValueError):
    """A figure of which ccxt might make something else."""


def _mul(a: Decimal, b: Decimal) -> Decimal:
    return _EXACT.multiply(a, b)


def _div(a: Decimal, b: Decimal) -> Decimal:
    """Divide as ccxt does: cut after 18 decimals."""
    return _EXACT.scaleb(_EXACT.divide_int(_EXACT.scaleb(a, 18), b), -18)


def _percent_of(change: Decimal, opened: Decimal) -> Decimal:
    return _mul(_div(change, opened), _HUNDRED)


FORMULAS: Final[tuple[Callable[..., Decimal], ...]] = (
    lambda a: _mul(a, _HUNDRED),
    lambda a: _div(a, _HUNDRED),
    lambda a, b: _mul(a, b),
    lambda a, b: _div(a, b),
    lambda a, b: _EXACT.subtract(a, b),
    lambda a, b: _EXACT.add(a, b),
    lambda last, opened: _percent_of(_EXACT.subtract(last, opened), opened),
    lambda change, opened: _percent_of(change, opened),
    lambda last, change: _percent_of(change, _EXACT.subtract(last, change)),
    lambda last, percent: _div(last, _EXACT.add(Decimal(1), _div(percent, _HUNDRED))),
)


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where one figure comes from.

    Attributes
    ----------
    leaves : tuple of Leaf
        None: it is not told, or zero; one: it is handed on; else what goes into the formula.
    formula : callable or None
        Of the leaves as Decimal.
    scale : float or None
        What makes milliseconds of a time; ``None``: it is no time.
    zero : bool
        Without leaves: zero instead of not told.
    """

    leaves: tuple[Leaf, ...] = ()
    formula: Callable[..., Decimal] | None = None
    scale: float | None = None
    zero: bool = False

    def figure(self, values: Sequence[Any]) -> float | None:
        """Return the figure, of the values at its leaves; ``ValueError`` where ccxt might make something else."""
        if not values:
            return 0.0 if self.zero else None
        if self.formula is not None:
            return self.compute(values)
        return float(values[0]) if self.scale is None else self.time(values[0])

    def compute(self, values: Sequence[Any]) -> float:
        """Return what the formula makes of its leaves; ``ValueError`` where ccxt might make something else of them."""
        texts = [str(value) for value in values]
        if max(map(len, texts)) > _LONGEST or self.formula is None:
            raise _NotAlikeError("more digits than are cut alike")
        try:
            return float(self.formula(*map(Decimal, texts))) + 0.0  # ccxt knows no negative zero
        except ArithmeticError as error:  # no figures, or a division by zero
            raise _NotAlikeError("not to be computed") from error

    def time(self, value: Any) -> int:
        """Return a time in ms UTC, computed as ccxt does."""
        return int(float(value) * (self.scale or 1))


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each of `FIGURES` comes from, and the leaves that all of them need."""

    sources: tuple[Source, ...]
    leaves: tuple[Leaf, ...]


def leaves_of(row: Mapping[str, Any]) -> list[Leaf]:
    """Return where the values of a row stand, down to one list or mapping within it."""
    found: list[Leaf] = []
    for key, value in row.items():
        if isinstance(value, list):
            found += [(key, at) for at, one in enumerate(value) if not isinstance(one, list | dict)]
        elif isinstance(value, dict):
            found += [(key, at) for at, one in value.items() if not isinstance(one, list | dict)]
        else:
            found.append((key,))
    return found


def picker(leaves: Sequence[Leaf]) -> Callable[[Mapping[str, Any]], Any]:
    """Return what takes these values of a row at once, as something to look them up by."""
    if leaves and all(len(leaf) == 1 for leaf in leaves):
        return operator.itemgetter(*(leaf[0] for leaf in leaves))
    return lambda row: tuple([take(row, leaf) for leaf in leaves])


def column_of(rows: Sequence[Mapping[str, Any]], leaf: Leaf) -> list[Any]:
    """Return one value of all rows; ``LookupError`` or ``TypeError`` where one is not built like that."""
    if len(leaf) == 1:
        key = leaf[0]
        return [row[key] for row in rows]
    return [take(row, leaf) for row in rows]


def take(row: Mapping[str, Any], leaf: Leaf) -> Any:
    """Return a value of a row; ``LookupError`` or ``TypeError`` where it is not built like that."""
    value = row[leaf[0]]
    return value if len(leaf) == 1 else value[leaf[1]]


def classify(value: Any) -> str:
    """Return what a value is: ``"n"`` a number, ``"0"`` zero, ``"-"`` null or empty, ``"?"`` anything else."""
    if value is None or (isinstance(value, str) and not value):
        return "-"
    if type(value) not in (str, int, float):
        return "?"
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return "?"
    if number == 0:
        return "0"
    return "n" if abs(number) < 1e300 else "?"


def learn(parse: Parse, row: Mapping[str, Any], leaves: Sequence[Leaf], pattern: str) -> Plan | None:
    """
    Return how a ticker is made of rows like this one; ``None`` where the formulas known here do not tell.

    Parameters
    ----------
    parse : callable
        What is asked.
    row : mapping
        A row of the venue.
    leaves : sequence of Leaf
        Its figures.
    pattern : str
        What each of them is, as `classify` says; those that are ``"n"`` are replaced by marks.
    """
    marked = [leaf for leaf, sort in zip(leaves, pattern, strict=True) if sort == "n"]
    sets = [{leaf: first + at * step for at, leaf in enumerate(marked)} for first, step in _MARKS]
    made = [parse(_with(row, marks)) for marks in sets]
    plain = parse(row)
    if plain is None or any(one is None or one.symbol != plain.symbol for one in made):
        return None
    sources = []
    for name in FIGURES:
        source = _source([getattr(one, name) for one in made], sets, name == "time")
        if source is None:
            return None
        sources.append(source)
    needed = dict.fromkeys(itertools.chain.from_iterable(source.leaves for source in sources))
    return Plan(tuple(sources), tuple(needed))


def live_leaves(parse: Parse, row: Mapping[str, Any], leaves: Sequence[Leaf], plan: Plan) -> tuple[Leaf, ...]:
    """Return the leaves that a plan needs, and those whose being zero or missing would call for another plan."""
    first, step = _MARKS[0]
    marks: dict[Leaf, Any] = {leaf: first + at * step for at, leaf in enumerate(leaves)}
    usual = parse(_with(row, marks))
    others = [leaf for leaf in leaves if leaf not in plan.leaves]
    decisive = [leaf for leaf in others if any(parse(_with(row, marks, {leaf: odd})) != usual for odd in ("0", None))]
    return (*plan.leaves, *decisive)


def naming_leaves(parse: Parse, row: Mapping[str, Any], leaves: Iterable[Leaf]) -> list[Leaf]:
    """Return the figures that are none: another number there is another symbol, or no ticker any more."""
    plain = parse(row)
    found = []
    for leaf in leaves:
        other = parse(_with(row, {leaf: _MARKS[0][0]}))
        if plain is None or other is None or other.symbol != plain.symbol:
            found.append(leaf)
    return found


def _with(row: Mapping[str, Any], marks: Mapping[Leaf, Any], odd: Mapping[Leaf, Any] | None = None) -> dict[str, Any]:
    """Return a copy of a row with other values, as text where there was text."""
    made = {key: value.copy() if isinstance(value, list | dict) else value for key, value in row.items()}
    for leaf, mark in itertools.chain(marks.items(), (odd or {}).items()):
        inner: Any = made if len(leaf) == 1 else made[leaf[0]]
        was = inner[leaf[-1]]
        inner[leaf[-1]] = mark if isinstance(was, int | float) or mark is None else str(mark)
    return made


def _source(values: Sequence[Any], sets: Sequence[Mapping[Leaf, int]], is_time: bool) -> Source | None:
    """Return where a figure comes from that took these values with these sets of marks."""
    if all(value is None for value in values):
        return Source()
    if None in values:
        return None
    if not any(values):
        return None if is_time else Source(zero=True)
    for leaf, scale in itertools.product(sets[0], _SCALES if is_time else (None,)):
        found = Source((leaf,), scale=scale)
        if all(found.figure([marks[leaf]]) == value for marks, value in zip(sets, values, strict=True)):
            return found
    return None if is_time else _formula(values, sets)


def _formula(values: Sequence[Any], sets: Sequence[Mapping[Leaf, int]]) -> Source | None:
    for formula, leaves in _candidates(list(sets[0])):
        found = Source(leaves, formula)
        try:
            right = all(
                found.compute([marks[leaf] for leaf in leaves]) == value
                for marks, value in zip(sets, values, strict=True)
            )
        except ValueError:
            continue
        if right:
            return found
    return None


def _candidates(leaves: Sequence[Leaf]) -> Iterable[tuple[Callable[..., Decimal], tuple[Leaf, ...]]]:
    for formula in FORMULAS:
        count = formula.__code__.co_argcount
        for chosen in itertools.permutations(leaves, count):
            yield formula, chosen
