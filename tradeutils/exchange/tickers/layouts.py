"""Rows of tickers that have the same keys: what names their market, and their figures, column by column."""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Collection, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from tradeutils import logs
from tradeutils.exchange.tickers.plans import (
    FIGURES,
    Leaf,
    Parse,
    Plan,
    Source,
    classify,
    column_of,
    learn,
    leaves_of,
    live_leaves,
    naming_leaves,
    picker,
    take,
)
from tradeutils.exchange.venues import parse
from tradeutils.model import Ticker

__all__ = ["Layout", "Row", "alike", "declined"]

_log = logs.get_logger("exchange")

Row: TypeAlias = dict[str, Any]

_NUMBERS: Final = frozenset((str, int, float))
_MOST_NAMES: Final = 20_000  # rows that are never the same twice would fill the memory
_MOST_PATTERNS: Final = 64
_MOST_FIGURES: Final = 64  # of a row: formulas of any two of them are tried
_SLOTS: Final = {name: Ticker.__dict__[name].__set__ for name in ("symbol", *FIGURES, "info")}
_PLACEHOLDER: Final = 1.0  # for a figure of a row that is read another way
_NEW: Final[Any] = object()
_NAMELESS: Final = object()


def declined(venue: str, why: str) -> None:
    """Tell the log, once for all, that ccxt's parser does the work."""
    _log.info("%s: tickers are parsed by ccxt, row by row (%s)", venue, why)


def alike(ours: Any, theirs: Any) -> bool:
    """Tell whether every figure is the same; NaN is the same as NaN."""
    return bool(ours == theirs) or repr(ours) == repr(theirs)


@dataclass(slots=True)
class _Reading:
    """
    How the rows of one kind of market are read.

    Attributes
    ----------
    plan, live : Plan, tuple of Leaf
        Holds where all of the ``live`` leaves are numbers other than zero.
    idle : callable or None
        Takes the figures that say nothing: a row without one of them is built in another way.
    patterns : dict
        The plans for other rows, by what their figures are; ``None``: by ccxt.
    symbols : dict
        Of the rows that were proved to be read so, by the texts in them.
    """

    plan: Plan
    live: tuple[Leaf, ...]
    idle: Callable[[Row], Any] | None
    patterns: dict[str, Plan | None] = field(default_factory=dict)
    symbols: dict[Hashable, str] = field(default_factory=dict)


class Layout:
    """
    Rows of one venue that have the same keys.

    Parameters
    ----------
    ccxt : ccxt.async_support.Exchange
        Its ``parse_ticker`` is what is learnt from and compared with.
    rows, names : list of dict, list of str or None
        The first of them, and under which ids they came where the reply is a mapping.

    Attributes
    ----------
    prefix : str or None
        What the text of every row begins with up to the name of its market, where nothing else names it.
    symbols : dict
        By such names.
    """

    def __init__(self, ccxt: Any, rows: Sequence[Row], names: Sequence[str | None]) -> None:
        self._ccxt = ccxt
        self._known: dict[Hashable, str | None] = {}  # the symbols of all rows seen, by the texts in them
        self._readings: dict[Hashable, _Reading | None] = {}
        self._trusted = True
        row, parse_one = self._typical(rows, names)
        figures = [leaf for leaf in leaves_of(row) if _is_figure(rows, leaf)]
        if len(figures) > _MOST_FIGURES:
            self._distrust("rows have too many figures")
            figures = []
        naming = set(naming_leaves(parse_one, row, figures))
        self._figures = tuple(leaf for leaf in figures if leaf not in naming)
        texts = [leaf for leaf in leaves_of(row) if leaf not in self._figures]
        self._pick_texts: Callable[[Row], Hashable] = picker(texts)
        self.symbols: dict[str, str | None] = {}
        self.prefix = _prefix(rows, texts) if names[0] is None else None
        self._leading = [rows[0][leaf[0]] for leaf in texts[:-1]] if self.prefix is not None else []

    def _typical(self, rows: Sequence[Row], names: Sequence[str | None]) -> tuple[Row, Parse]:
        """Return a row to try things on, and what parses it."""
        for row, name in zip(rows, names, strict=True):
            parse_one = self._trying(name)
            if parse_one(row) is not None:
                return row, parse_one
        return rows[0], self._trying(names[0])

    def wanted(self, rows: Sequence[Row], names: Sequence[str | None], wanted: Container[str]) -> list[int]:
        """Return which rows are of these symbols, or may be."""
        return [
            at
            for at, texts in enumerate(self._texts(rows, names))
            if (symbol := self._known.get(texts, _NEW)) is _NEW or symbol in wanted
        ]

    def _texts(self, rows: Sequence[Row], names: Sequence[str | None]) -> Sequence[Hashable]:
        """Return what names the market of each row."""
        try:
            texts = list(map(self._pick_texts, rows))
            frozenset(texts)  # what cannot be looked up is told here
        except (LookupError, TypeError):  # built differently within
            return [_NAMELESS] * len(rows)
        return texts if not names or names[0] is None else list(zip(names, texts, strict=True))

    def tickers(self, rows: Sequence[Row], names: Sequence[str | None], *, sampled: bool = True) -> list[Ticker | None]:
        """
        Return the tickers of rows, ``None`` for those that ccxt gives no symbol.

        ``sampled``: whether to compare one of them with what ccxt makes of it.
        """
        if not rows:
            return []
        texts = self._texts(rows, names)
        made, rest = self._in_columns(rows, texts)
        for at in rest:
            made[at] = self._one(rows[at], names[at], texts[at])
        at = random.randrange(len(rows))  # noqa: S311  # a sample, no secret
        if not sampled or not self._trusted or alike(made[at], self._theirs(rows[at], names[at])):
            return made
        self._distrust("a later reply was parsed differently")
        return self.tickers(rows, names)

    def _in_columns(
        self, rows: Sequence[Row], texts: Sequence[Hashable]
    ) -> tuple[list[Ticker | None], Collection[int]]:
        """Return the tickers of rows that are read by columns, and which are left."""
        made: list[Ticker | None] = [None] * len(rows)
        for reading in self._readings.values() if self._trusted else ():
            if reading is None:
                continue
            symbols = list(map(reading.symbols.get, texts))
            if None not in symbols:  # of one kind, as usual
                return _columns(reading, rows, symbols)
            places = [at for at, symbol in enumerate(symbols) if symbol is not None]
            found, _ = _columns(reading, [rows[at] for at in places], [symbols[at] for at in places])
            for at, ticker in zip(places, found, strict=True):
                made[at] = ticker
        return made, [at for at, ticker in enumerate(made) if ticker is None]

    def _one(self, row: Row, name: str | None, texts: Hashable) -> Ticker | None:
        """Return the ticker of one row: by its pattern of zeros where that is known, else by ccxt."""
        symbol = self._known.get(texts, _NEW)
        if symbol is None:
            return None
        for reading in self._readings.values() if self._trusted else ():
            if reading is not None and texts in reading.symbols:
                found = self._by_pattern(reading, row, name, reading.symbols[texts])
                if found is not None:
                    return found
        theirs = self._theirs(row, name)
        if symbol is _NEW and texts is not _NAMELESS and self._trusted:
            self._learn(row, name, texts, theirs)
        return theirs

    def _by_pattern(self, reading: _Reading, row: Row, name: str | None, symbol: str) -> Ticker | None:
        try:
            pattern = "".join([classify(take(row, leaf)) for leaf in self._figures])
        except (LookupError, TypeError):
            return None
        if pattern not in reading.patterns:
            if "?" in pattern or len(reading.patterns) >= _MOST_PATTERNS:
                return None
            plan = learn(self._trying(name), row, self._figures, pattern)
            right = plan is not None and alike(_ticker(plan, row, symbol), self._theirs(row, name))
            reading.patterns[pattern] = plan if right else None
        found = reading.patterns[pattern]
        return None if found is None else _ticker(found, row, symbol)

    def _learn(self, row: Row, name: str | None, texts: Hashable, theirs: Ticker | None) -> None:
        """Remember what the texts of a row stand for, and whether what is read from it is what ccxt makes of it."""
        if len(self._known) >= _MOST_NAMES:
            self._known.clear()
            self.symbols.clear()
            self._distrust("rows name their markets in too many ways")
            return
        symbol = self._known[texts] = None if theirs is None else theirs.symbol
        if self.prefix is not None:
            *leading, last = texts if isinstance(texts, tuple) else (texts,)
            if leading == self._leading and isinstance(last, str):
                self.symbols[last] = symbol
        if symbol is None or not self._has_all(row):
            return
        reading = self._reading(row, name, symbol)
        if reading is None:
            return
        ours = _columns(reading, [row], [symbol])[0][0] or self._by_pattern(reading, row, name, symbol)
        if alike(ours, theirs):
            reading.symbols[texts] = symbol

    def _has_all(self, row: Row) -> bool:
        """Tell whether a row has every figure: one that only has as many keys as the others teaches nothing."""
        try:
            for leaf in self._figures:
                take(row, leaf)
        except (LookupError, TypeError):
            return False
        return True

    def _reading(self, row: Row, name: str | None, symbol: str) -> _Reading | None:
        """Return how rows of a market of this kind are read; learnt from the first of them."""
        market = (self._ccxt.markets or {}).get(symbol) or {}
        kind = (market.get("type"), market.get("linear"), market.get("inverse"))
        if kind not in self._readings:
            parse_one = self._trying(name)
            plan = learn(parse_one, row, self._figures, "n" * len(self._figures))
            self._readings[kind] = None
            if plan is None:
                declined(self._ccxt.id, "its class computes what it returns")
            else:
                live = live_leaves(parse_one, row, self._figures, plan)
                idle = [leaf for leaf in self._figures if leaf not in live and len(leaf) == 1]
                self._readings[kind] = _Reading(plan, live, picker(idle) if idle else None)
        return self._readings[kind]

    def _theirs(self, row: Row, name: str | None) -> Ticker | None:
        """Return what ccxt makes of a row; ``None`` where it gives it no symbol."""
        raw = self._ccxt.parse_ticker(row, *(() if name is None else (self._ccxt.safe_market(name),)))
        return None if raw.get("symbol") is None else parse.ticker(raw)

    def _trying(self, name: str | None) -> Parse:
        def parse_one(row: Mapping[str, Any]) -> Ticker | None:
            try:
                return self._theirs(dict(row), name)
            except Exception:  # noqa: BLE001  # any class, of ccxt's code on a row that no venue sent
                return None

        return parse_one

    def _distrust(self, why: str) -> None:
        self._trusted = False
        declined(self._ccxt.id, why)


def _is_figure(rows: Sequence[Row], leaf: Leaf) -> bool:
    """Tell whether there are numbers at a place of rows, and nothing else but nulls."""
    try:
        sorts = {classify(take(row, leaf)) for row in rows}
    except (LookupError, TypeError):
        return False
    return "?" not in sorts and not sorts.isdisjoint("n0")


def _columns(
    reading: _Reading, rows: Sequence[Row], symbols: Sequence[str | None]
) -> tuple[list[Ticker | None], Collection[int]]:
    """Return the tickers of rows, ``None`` where a figure is zero, missing, or none; and where that is so."""
    try:
        columns = {leaf: column_of(rows, leaf) for leaf in reading.live}
        if reading.idle is not None:
            deque(map(reading.idle, rows), maxlen=0)
    except (LookupError, TypeError):
        return [None] * len(rows), range(len(rows))
    odd: set[int] = set()
    numbers = {leaf: _numbers(column, odd) for leaf, column in columns.items()}
    made: list[Any] = list(map(object.__new__, itertools.repeat(Ticker, len(rows))))
    for name, source in zip(FIGURES, reading.plan.sources, strict=True):
        _fill(name, made, _figures(source, columns, numbers, odd))
    _fill("symbol", made, symbols)
    _fill("info", made, itertools.repeat(None))
    for at in odd:
        made[at] = None
    return made, odd


def _fill(name: str, tickers: Sequence[Any], values: Iterable[Any]) -> None:
    """Set one field of new tickers, which are frozen for everybody else."""
    deque(map(_SLOTS[name], tickers, values), maxlen=0)


def _numbers(column: Sequence[Any], odd: set[int]) -> list[float]:
    """Return a column as floats; rows with anything but a number other than zero are added to ``odd``."""
    if _are_numbers(column):
        try:
            numbers = list(map(float, column))
        except (ValueError, OverflowError):
            numbers = [0.0]
        if all(numbers) and math.isfinite(sum(numbers)):
            return numbers
    good = [classify(value) == "n" for value in column]
    odd.update(at for at, one in enumerate(good) if not one)
    return [float(value) if one else _PLACEHOLDER for value, one in zip(column, good, strict=True)]


def _are_numbers(column: Sequence[Any]) -> bool:
    """Tell whether a column is text or numbers throughout; ``float`` would read True too."""
    try:
        "".join(column)  # twice as fast as to look at every type
    except TypeError:
        return _NUMBERS.issuperset(map(type, column))
    return True


def _prefix(rows: Sequence[Row], texts: Sequence[Leaf]) -> str | None:
    """Return what rows begin with where their first values are their texts, and only the last of these differs."""
    leading = [(key,) for key in itertools.islice(rows[0], len(texts))]
    if not texts or leading != list(texts) or not isinstance(rows[0][texts[-1][0]], str):
        return None
    same = {leaf[0]: rows[0][leaf[0]] for leaf in texts[:-1]}
    if any(row[key] != value for row in rows for key, value in same.items()):
        return None
    begin = orjson.dumps({**same, texts[-1][0]: ""}).decode()
    return begin[1:-2]


def _figures(
    source: Source, columns: Mapping[Leaf, Sequence[Any]], numbers: Mapping[Leaf, Sequence[float]], odd: set[int]
) -> Iterable[Any]:
    """Return one figure of all rows; those that ccxt has to compute are added to ``odd``."""
    if not source.leaves:
        return itertools.repeat(source.figure(()))
    if source.formula is None:
        values = numbers[source.leaves[0]]
        if source.scale is None:
            return values
        return map(int if source.scale == 1 else source.time, values)
    made: list[float | None] = []
    for at, told in enumerate(zip(*(columns[leaf] for leaf in source.leaves), strict=True)):
        try:
            made.append(None if at in odd else source.compute(told))
        except ValueError:
            made.append(None)
            odd.add(at)
    return made


def _ticker(plan: Plan, row: Row, symbol: str) -> Ticker | None:
    """Return the ticker of one row; ``None`` where a figure of it is to be computed by ccxt."""
    told: dict[str, Any] = {}
    try:
        for name, source in zip(FIGURES, plan.sources, strict=True):
            told[name] = source.figure([take(row, leaf) for leaf in source.leaves])
    except ValueError:
        return None
    return Ticker(symbol=symbol, **told)
