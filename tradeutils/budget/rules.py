"""What ``windows.toml`` says of a venue, checked as it is read."""

from __future__ import annotations

import functools
import importlib.resources
import math
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from tradeutils.budget.base import Window
from tradeutils.errors import DataError, UsageError, nearest

__all__ = ["Count", "Pool", "Rule", "Venue", "Weight", "find", "matches", "parse", "venue_of", "venues"]

Counts: TypeAlias = Literal["requests", "orders", "weight"]

V = TypeVar("V")

_WHERE: Final = "windows.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """
    What one endpoint weighs, by its parameters.

    Attributes
    ----------
    by : str
        The parameter that decides; ``"symbols"`` counts the list, and ``symbol`` as one; ``""``: ``missing`` always.
    steps : tuple of (float, float)
        Up to this number, this weight; ``above`` beyond the last.
    values : mapping of str to float
        Weights of certain values.
    given : float or None
        Weight wherever the parameter is there.
    above, missing : float
        Weights of what no step or value covers, and where the parameter is not there.
    each : Count or None
        ``missing`` for every entry of a list; ``alone`` for that of a list of one, where it is given.
    """

    by: str = ""
    steps: tuple[tuple[float, float], ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    given: float | None = None
    above: float = 0.0
    missing: float = 0.0
    each: Count | None = None
    alone: float | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many entries a call has: those of the list in ``of`` (``"*"``: of the body), or else ``most``."""

    most: float
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    A window of a venue, and what counts against it.

    Attributes
    ----------
    window : Window
        Of the venue's lowest tier, or of the tier that was asked for.
    counts : str
        ``"requests"``, ``"orders"`` or ``"weight"``.
    factor : float
        Units in one token of ccxt's cost.
    per_endpoint : bool
        Every endpoint has a window of its own.
    endpoints : tuple of str
        Patterns of what is counted; empty: all of the pool.
    step : float or None
        Only costs of ccxt that are multiples of it count, or, where ``others``, those that are not.
    tiers : mapping of str to Window
        The same window of other tiers.
    unit, source : str
        What is counted, and where the figure is from.
    """

    window: Window
    counts: Counts
    factor: float = 1.0
    per_endpoint: bool = False
    endpoints: tuple[str, ...] = ()
    step: float | None = None
    others: bool = False
    tiers: Mapping[str, Window] = field(default_factory=dict)
    unit: str = ""
    source: str = ""

    def covers(self, endpoint: str) -> bool:
        """Return whether calls of an endpoint (``"public GET klines"``) count here."""
        return not self.endpoints or matches(self.endpoints, endpoint)


@dataclass(frozen=True, slots=True)
class Pool:
    """One host and one ban of a venue: ``"binance.spot"``."""

    name: str
    apis: tuple[str, ...]
    rules: tuple[Rule, ...]
    weights: Mapping[str, Weight]
    weights_source: str = ""


@dataclass(frozen=True, slots=True)
class Venue:
    """
    All that is known of a venue's limits.

    Attributes
    ----------
    ids : tuple of str
        The names of ccxt's classes.
    tier : str or None
        The tier that ``Rule.window`` is of; ``None``: the venue has none.
    places, amends : mapping of str to Count
        Patterns of endpoints that place or change orders, and how many.
    cancels : tuple of str
        Patterns of endpoints that cancel orders.
    """

    name: str
    ids: tuple[str, ...]
    tier: str | None
    pools: tuple[Pool, ...]
    places: Mapping[str, Count]
    amends: Mapping[str, Count]
    cancels: tuple[str, ...]

    @property
    def tiers(self) -> tuple[str, ...]:
        """Every tier by name, lowest first."""
        named = [name for pool in self.pools for rule in pool.rules for name in rule.tiers]
        return () if self.tier is None else tuple(dict.fromkeys([self.tier, *named]))


def matches(patterns: Collection[str], endpoint: str) -> bool:
    """Return whether an endpoint is one of those named."""
    return endpoint in patterns or any(fnmatchcase(endpoint, pattern) for pattern in patterns)


def find(table: Mapping[str, V], endpoint: str) -> V | None:
    """Return what a table says of an endpoint: under its own name, else under the first pattern that fits."""
    if endpoint in table:
        return table[endpoint]
    return next((value for pattern, value in table.items() if fnmatchcase(endpoint, pattern)), None)


@functools.cache
def venues() -> Mapping[str, Venue]:
    """Return every venue of ``windows.toml`` by its name. Reads the file once: about 10 ms."""
    text = importlib.resources.files("tradeutils.budget").joinpath(_WHERE).read_text(encoding="utf-8")
    return MappingProxyType(parse(text))


def venue_of(name: str) -> Venue | None:
    """Return the venue that one of ccxt's classes talks to; ``None``: nothing is known of it."""
    return next((venue for venue in venues().values() if name in venue.ids), None)


def parse(text: str) -> dict[str, Venue]:
    """
    Read a table of venues.

    Raises
    ------
    DataError : not TOML; a key that does not exist (the nearest is named) or is missing; a figure that cannot be; a
        window, an API or a class of ccxt that stands twice.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{_WHERE} is not TOML: {error}") from error
    found = {name: _venue(name, _Table(given, name)) for name, given in tree.items()}
    _once(_WHERE, "class of ccxt", [one for venue in found.values() for one in venue.ids])
    return found


class _Table:
    """A table of the file: what is asked for is taken out, and what is left over in the end is a mistake."""

    def __init__(self, given: object, where: str) -> None:
        if not isinstance(given, dict):
            raise DataError(f"{_WHERE}: {where} was {given!r}; write a table")
        self.left: dict[str, Any] = dict(given)
        self.where = where
        self.asked: list[str] = []

    def wrong(self, key: str, value: object, instead: str) -> DataError:
        return DataError(f"{_WHERE}: {self.where}: {key} was {value!r}; write {instead}")

    def take(self, key: str, default: object = None) -> Any:
        self.asked.append(key)
        return self.left.pop(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.take(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, value, "text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        return self.as_number(key, self.take(key, default))

    def as_number(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise self.wrong(key, value, "a number, 0 or more")
        return float(value)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and key not in self.left:
            self.asked.append(key)
            return default
        value = self.take(key)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
            raise self.wrong(key, value, 'a list of texts, such as ["public"]')
        _once(f"{_WHERE}: {self.where}", key, value)
        return tuple(value)

    def choice(self, key: str, options: tuple[str, ...], default: str | None = None) -> str:
        value = self.take(key, default)
        if value not in options:
            raise self.wrong(key, value, f"one of {', '.join(options)}")
        return str(value)

    def tables(self, key: str) -> dict[str, Any]:
        return dict(_Table(self.take(key, {}), f"{self.where}.{key}").left)

    def done(self) -> None:
        for key in self.left:
            close = nearest(key, self.asked)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(self.asked)}"
            raise DataError(f"{_WHERE}: {self.where} has no key {key!r}; {hint}")


def _once(where: str, kind: str, names: Collection[object]) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{where}: {kind} {name!r} stands twice; keep one")
        seen.add(name)


def _venue(name: str, table: _Table) -> Venue:
    ids = table.texts("ids")
    tier = table.text("tier") if "tier" in table.left else None
    pools = tuple(
        _pool(f"{name}.{key}", _Table(one, f"{name}.pools.{key}")) for key, one in table.tables("pools").items()
    )
    if not pools:
        raise DataError(f"{_WHERE}: {name} has no pools; write [{name}.pools.api]")
    orders = _Table(table.take("orders", {}), f"{name}.orders")
    venue = Venue(
        name=name,
        ids=ids,
        tier=tier,
        pools=pools,
        places=_each(orders, "places", _count),
        amends=_each(orders, "amends", _count),
        cancels=orders.texts("cancels", ()),
    )
    orders.done()
    table.done()
    _once(f"{_WHERE}: {name}", "api", [api for pool in pools for api in pool.apis])
    if tier is None and any(rule.tiers for pool in pools for rule in pool.rules):
        raise DataError(f"{_WHERE}: {name} has tiers and does not say which is the lowest; write tier")
    return venue


def _pool(name: str, table: _Table) -> Pool:
    apis = table.texts("apis")
    given = table.take("windows", [])
    if not isinstance(given, list) or not given:
        raise table.wrong("windows", given, f"[[{table.where}.windows]]")
    rules = tuple(_rule(_Table(one, f"{table.where}.windows[{at}]")) for at, one in enumerate(given))
    weights = _each(table, "weights", _weight)
    weights_source = table.text("weights_source") if weights else ""
    table.done()
    # Budgets tell windows of one owner apart by these.
    keys = [(rule.window.name, rule.window.scope, rule.window.seconds) for rule in rules]
    _once(f"{_WHERE}: {table.where}", "window", keys)
    _same(table, rules)
    return Pool(name, apis, rules, weights, weights_source)


def _same(table: _Table, rules: tuple[Rule, ...]) -> None:
    """Refuse windows of one name that count different things: a user's window would not know which to be."""
    counted: dict[tuple[str, str], object] = {}
    for rule in rules:
        what = (rule.counts, rule.factor, rule.per_endpoint, rule.endpoints, rule.step, rule.others)
        if counted.setdefault((rule.window.name, rule.window.scope), what) != what:
            raise DataError(
                f"{_WHERE}: {table.where}: windows {rule.window.name!r} count different things; give them two names"
            )


def _rule(table: _Table) -> Rule:
    name, scope = table.text("name"), table.choice("scope", ("ip", "account"))
    limit, seconds = table.number("limit"), table.number("seconds")
    table.where += f" ({name})"
    window = _window(table, name, limit, seconds, scope)
    counts = table.choice("counts", get_args(Counts))
    costs = _Table(table.take("costs", {}), f"{table.where}.costs")
    kept = costs.left != {}
    tiers = {}
    for tier, one in table.tables("tiers").items():
        own = _Table(one, f"{table.where}.tiers.{tier}")
        tiers[tier] = _window(own, name, own.number("limit", limit), own.number("seconds", seconds), scope)
        own.done()
    rule = Rule(
        window=window,
        counts=counts,  # type: ignore[arg-type]  # one of the choices
        factor=table.number("factor") if counts == "weight" else 1.0,
        per_endpoint=table.choice("per", ("pool", "endpoint"), "pool") == "endpoint",
        endpoints=table.texts("endpoints", ()),
        others=kept and costs.choice("are", ("multiples", "others")) == "others",
        step=costs.number("of") if kept else None,
        tiers=MappingProxyType(tiers),
        unit=table.text("unit"),
        source=table.text("source"),
    )
    costs.done()
    table.done()
    return rule


def _window(table: _Table, name: str, limit: float, seconds: float, scope: str) -> Window:
    try:
        return Window(name, limit, seconds, scope)  # type: ignore[arg-type]  # one of the choices
    except UsageError as error:
        raise DataError(f"{_WHERE}: {table.where}: {error}") from error


def _each(table: _Table, key: str, read: Callable[[_Table, str, object], V]) -> Mapping[str, V]:
    """Read a table of endpoints."""
    found = {}
    for endpoint, value in table.tables(key).items():
        if len(endpoint.split(" ")) != 3:
            raise table.wrong(key, endpoint, 'endpoints as "api METHOD path"')
        found[endpoint] = read(table, endpoint, value)
    return MappingProxyType(found)


def _count(table: _Table, endpoint: str, value: object) -> Count:
    if not isinstance(value, dict):
        return Count(table.as_number(endpoint, value))
    own = _Table(value, f"{table.where}: {endpoint}")
    count = Count(own.number("most"), own.text("of"))
    own.done()
    return count


def _weight(table: _Table, endpoint: str, value: object) -> Weight:
    if not isinstance(value, dict):
        return Weight(missing=table.as_number(endpoint, value))
    own = _Table(value, f"{table.where}: {endpoint}")
    if "each" in value:
        alone = own.number("alone") if "alone" in value else None
        weight = Weight(missing=own.number("each"), each=Count(own.number("most"), own.text("of")), alone=alone)
    elif "steps" in value:
        weight = Weight(by=own.text("by"), steps=_steps(own), above=own.number("above"), missing=own.number("missing"))
    elif "values" in value:
        values = {text: own.as_number(text, one) for text, one in own.tables("values").items()}
        missing = own.number("missing")
        weight = Weight(by=own.text("by"), values=MappingProxyType(values), above=missing, missing=missing)
    else:
        weight = Weight(by=own.text("by"), given=own.number("given"), missing=own.number("missing"))
    own.done()
    return weight


def _steps(table: _Table) -> tuple[tuple[float, float], ...]:
    given = table.take("steps")
    if not isinstance(given, list) or not all(isinstance(step, list) and len(step) == 2 for step in given):
        raise table.wrong("steps", given, "pairs, as in [[100, 5], [500, 25]]")
    steps = tuple((table.as_number("steps", most), table.as_number("steps", weight)) for most, weight in given)
    if not steps or list(steps) != sorted(set(steps)):
        raise table.wrong("steps", given, "pairs that grow, as in [[100, 5], [500, 25]]")
    return steps
