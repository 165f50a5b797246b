"""What a request of a venue costs: from ccxt's endpoint, cost and parameters to windows and amounts."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from tradeutils.budget.base import Charge, Line, Window
from tradeutils.budget.rules import Count, Pool, Rule, Venue, Weight, find, matches, venue_of
from tradeutils.budget.weights import entries, weigh
from tradeutils.errors import UnknownName, UsageError

__all__ = ["Api", "Limits", "limits_of"]

Api: TypeAlias = str | Sequence[str]
"""ccxt's name of a part of a venue: ``"public"``, or ``["spot", "private"]``."""

_LONGEST_S: Final = 7 * 86_400.0
_KEPT: Final = 4_096  # ccxt's largest class has some 850 endpoints
# Spans of what ccxt's rateLimit allows: bursts of up to a second's worth, while calls that are dearer than that are
# still paid in full by the longer ones. ccxt itself lets one call through and waits for the next.
_SPANS_S: Final = (1.0, 10.0, 60.0)
_ORDERS: Final = re.compile(r"(?i)order|cancel|trade|trigger")


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    """What is known of one endpoint."""

    pool: str
    label: str
    rules: tuple[Rule, ...]
    weight: Weight | None
    orders: Count | None
    places: bool
    urgent: bool


class Limits:
    """
    The windows of one venue, and what each of its endpoints charges them with; made by `limits_of`.

    Attributes
    ----------
    venue : str
        Whose limits these are: classes of ccxt that talk to one venue share its name.
    known : bool
        ``False`` where they are derived from ccxt's ``rateLimit`` alone.
    pools : mapping of str to tuple of Window
        What each pool of the venue allows.
    """

    __slots__ = ("_fallback", "_pools", "_routes", "_table", "known", "pools", "venue")

    def __init__(self, venue: str, table: Venue | None, pools: Sequence[Pool], fallback: Pool) -> None:
        self.venue = venue
        self.known = table is not None
        self.pools: Mapping[str, tuple[Window, ...]] = {
            pool.name: tuple(rule.window for rule in pool.rules) for pool in pools or (fallback,)
        }
        self._table = table
        self._pools = tuple(pools)
        self._fallback = fallback
        self._routes: dict[tuple[str, str, str], _Route] = {}

    def __repr__(self) -> str:
        return f"<Limits of {self.venue}: {', '.join(self.pools)}>"

    def charge(
        self,
        *,
        api: Api,
        method: str,
        path: str,
        cost: float,
        params: Mapping[str, Any] | Sequence[Any] | None = None,
        account: str | None = None,
        urgent: bool = False,
    ) -> Charge:
        """
        Return what one request costs.

        Parameters
        ----------
        api, method, path : str (``api`` also a list of them)
            The endpoint, as ccxt's ``fetch2`` is given it; the path with its ``{placeholders}``.
        cost : float
            What ccxt's ``calculate_rate_limiter_cost`` says, >= 0.
        params : mapping, list or None
            The parameters; a list is the body of a batch.
        account : str or None
            A digest of the API key; ``None``: nobody signs.
        urgent : bool
            Treat it as urgent though it is no order.

        Returns
        -------
        Charge, urgent for whatever places, changes or cancels orders. A call that weighs more than a whole window is
        charged the whole window.

        Raises
        ------
        UsageError : ``cost`` is not a finite number, 0 or more.
        """
        if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < math.inf:
            raise UsageError(f"cost of {self.venue} {method} {path} was {cost!r}; write ccxt's, 0 or more")
        route = self._route(api, method, path)
        lines = []
        for rule in route.rules:
            if rule.step is None or _is_multiple(cost, rule.step) is not rule.others:
                amount = _amount(route, rule, cost, params)
                if amount > 0:
                    window = _window(route, rule, amount)
                    owner = _owner(route.pool, rule, account, route.label)
                    lines.append(Line(window, _most(window, amount), owner))
        return Charge(route.pool, tuple(lines), urgent or route.urgent, account is not None)

    def places_order(self, api: Api, method: str, path: str) -> bool:
        """Return whether a call may leave a new order on the venue: it is never to be sent twice."""
        return self._route(api, method, path).places

    def is_order_call(self, api: Api, method: str, path: str) -> bool:
        """Return whether a call places, changes or cancels orders: it goes before data."""
        return self._route(api, method, path).urgent

    def _route(self, api: Api, method: str, path: str) -> _Route:
        part = api if isinstance(api, str) else ".".join(api)
        key = (part, method, path)
        route = self._routes.get(key)
        if route is None:
            if len(self._routes) >= _KEPT:
                self._routes.clear()
            route = self._routes[key] = self._find(part, method.upper(), path)
        return route

    def _find(self, api: str, method: str, path: str) -> _Route:
        pool = next((one for one in self._pools if _has(one, api)), self._fallback)
        endpoint = f"{api} {method} {path}"
        orders, places, urgent = _orders(self._table, endpoint, method, path)
        return _Route(
            pool=pool.name,
            label=f"{method} {path}".translate(_PLAIN),
            rules=tuple(rule for rule in pool.rules if rule.covers(endpoint)),
            weight=find(pool.weights, endpoint),
            orders=orders,
            places=places,
            urgent=urgent,
        )


_PLAIN: Final = {ord("{"): "<", ord("}"): ">", ord("\n"): " "}  # an owner is part of a key, where braces mean something


def _owner(pool: str, rule: Rule, account: str | None, label: str) -> str:
    """Return whose window is charged: the pool's or the account's, and the endpoint where each has its own."""
    owner = pool if rule.window.scope == "ip" else f"{pool}:{account or 'nobody'}"
    return f"{owner} {label}" if rule.per_endpoint else owner


def limits_of(
    venue: str,
    *,
    ccxt_rate_limit_ms: float,
    rate_limit_ms: float | None = None,
    windows: Sequence[Window] | None = None,
    tier: str | None = None,
    host: str | None = None,
) -> Limits:
    """
    Return the limits of a venue: those of ``windows.toml``, or what ccxt's ``rateLimit`` allows.

    Where nothing is known of a venue, a second, ten seconds and a minute may each hold what ccxt's bucket lets through
    in that time: at most a second's worth more at once than ccxt would send (for a call that is dearer than a second's
    worth: ten seconds', or a minute's).

    Parameters
    ----------
    venue : str
        ccxt's name of it.
    ccxt_rate_limit_ms : float
        The class's ``rateLimit``: milliseconds a token, > 0.
    rate_limit_ms : float or None
        Milliseconds between requests of one pool, instead of all windows of the address.
    windows : sequence of Window or None
        Instead of the venue's of the same name and scope, in every pool that has them. ``"requests"`` and ``"orders"``
        are added where the venue has none.
    tier : str or None
        The account's tier or level at the venue; ``None``: the lowest.
    host : str or None
        Where requests go instead of the venue's own hosts: such a place has pools of its own.

    Raises
    ------
    UnknownName : the venue has no window of that name and scope, or no such tier.
    UsageError : a window is given twice; a number is not above 0.
    """
    table = venue_of(venue)
    name = venue if table is None else table.name
    at = "" if host is None else f"@{host}"
    fallback = Pool(f"{name}.{'api' if table is None else 'other'}{at}", ("*",), _from_ccxt(ccxt_rate_limit_ms), {})
    pools = () if table is None else tuple(dataclasses.replace(pool, name=pool.name + at) for pool in table.pools)
    every = [_with_tier(pool, tier) for pool in (*pools, fallback)]
    _check_tier(name, table, tier)
    own = _own_windows(name, every[:-1] or every, windows or ())
    every = [_with_own(pool, own) for pool in every]
    if rate_limit_ms is not None:
        every = [_with_pace(pool, rate_limit_ms, own) for pool in every]
    return Limits(name, table, every[:-1], every[-1])


def _from_ccxt(rate_limit_ms: float) -> tuple[Rule, ...]:
    token_s = _positive("ccxt_rate_limit_ms", rate_limit_ms) / 1000
    # Whole tokens: no rounding of shared counts can make a cost larger than its window.
    tokens = dict.fromkeys(max(1, math.floor(span / token_s)) for span in _SPANS_S)
    return tuple(
        Rule(window=Window("weight", many, many * token_s), counts="weight", unit="tokens", source="ccxt's rateLimit")
        for many in tokens
    )


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"{name} was {value!r}; write milliseconds, above 0")
    return float(value)


def _check_tier(name: str, table: Venue | None, tier: str | None) -> None:
    tiers = () if table is None else table.tiers
    if tier is not None and tier not in tiers:
        raise UnknownName("tier", tier, tiers, where=name)


def _with_tier(pool: Pool, tier: str | None) -> Pool:
    if tier is None:
        return pool
    rules = tuple(dataclasses.replace(rule, window=rule.tiers.get(tier, rule.window)) for rule in pool.rules)
    return dataclasses.replace(pool, rules=rules)


_Own: TypeAlias = Mapping[tuple[str, str], Sequence[Window]]
"""The user's own windows by name and scope."""


def _own_windows(name: str, pools: Sequence[Pool], windows: Sequence[Window]) -> _Own:
    """Return the user's windows by what they replace."""
    known = {(rule.window.name, rule.window.scope) for pool in pools for rule in pool.rules}
    known |= {(counted, scope) for counted in ("requests", "orders") for scope in ("ip", "account")}
    found: dict[tuple[str, str], list[Window]] = {}
    for window in windows:
        key = (window.name, window.scope)
        if key not in known:
            offered = sorted(f"{one} ({scope})" for one, scope in known)
            raise UnknownName("window", f"{window.name} ({window.scope})", offered, where=name)
        same = found.setdefault(key, [])
        if any(other.seconds == window.seconds for other in same):
            raise UsageError(f"window {window.name!r} of {window.seconds:g} s is given twice for {name}; keep one")
        same.append(window)
    return found


def _with_own(pool: Pool, own: _Own) -> Pool:
    """Put the user's windows where the venue's of the same name and scope were, to count the same."""
    rules: list[Rule] = []
    placed: set[tuple[str, str]] = set()
    key: tuple[str, str]
    for rule in pool.rules:
        key = (rule.window.name, rule.window.scope)
        if key not in own:
            rules.append(rule)
        elif key not in placed:
            placed.add(key)
            rules += [dataclasses.replace(rule, window=window, source="your settings") for window in own[key]]
    for key, windows in own.items():
        if key not in placed and key[0] in ("requests", "orders"):
            counts: Any = key[0]
            rules += [Rule(window=window, counts=counts, unit=key[0], source="your settings") for window in windows]
    return dataclasses.replace(pool, rules=tuple(rules))


def _with_pace(pool: Pool, rate_limit_ms: float, own: _Own) -> Pool:
    """Replace the venue's windows of the address by a pause between requests."""
    kept = [rule for rule in pool.rules if rule.window.scope == "account" or (rule.window.name, "ip") in own]
    seconds = _positive("rate_limit_ms", rate_limit_ms) / 1000
    pace = Rule(window=Window("pace", 1, seconds), counts="requests", unit="requests", source="your settings")
    return dataclasses.replace(pool, rules=(pace, *kept))


def _has(pool: Pool, api: str) -> bool:
    return api in pool.apis or any(fnmatchcase(api, pattern) for pattern in pool.apis)


def _orders(table: Venue | None, endpoint: str, method: str, path: str) -> tuple[Count | None, bool, bool]:
    """Return how many orders a call counts as, whether it may place one, and whether it concerns orders at all."""
    if table is None:
        # Nobody listed this venue's endpoints: what looks like an order is one, which costs nothing but its rank.
        if method == "GET" or not _ORDERS.search(path):
            return None, False, False
        places = method != "DELETE" and "cancel" not in path.lower()
        return Count(1.0) if places else None, places, True
    if endpoint in table.places:
        return table.places[endpoint], True, True
    if matches(table.cancels, endpoint):
        return None, False, True
    amends = find(table.amends, endpoint)
    if amends is not None:
        return amends, False, True
    count = find(table.places, endpoint)
    return count, count is not None, count is not None


def _amount(route: _Route, rule: Rule, cost: float, params: object) -> float:
    """Return how much of a window a call uses, in the window's units."""
    if rule.counts == "requests":
        return 1.0
    if rule.counts == "orders":
        return 0.0 if route.orders is None else entries(route.orders, params)
    return cost * rule.factor if route.weight is None else weigh(route.weight, params)


def _window(route: _Route, rule: Rule, amount: float) -> Window:
    """
    Return the window to charge: a longer one for an endpoint that may be called less than once in it.

    Only where ccxt's cost, which is the same for every call, says so: calls of an endpoint must meet in one window.
    """
    window = rule.window
    if rule.per_endpoint and route.weight is None and amount > window.limit:
        whole = math.ceil(amount)  # room for one call, and for no second
        return Window(window.name, whole, min(window.seconds * whole / window.limit, _LONGEST_S), window.scope)
    return window


def _most(window: Window, amount: float) -> float:
    """Return the amount, or the whole window where a call weighs more."""
    if amount < window.limit:
        return amount
    # Shared counts are in millionths: a limit that has more digits must not be a larger cost than it is a limit.
    return window.limit if window.limit == int(window.limit) else (math.floor(window.limit * 1e6) - 1) / 1e6


def _is_multiple(cost: float, step: float) -> bool:
    steps = cost / step
    return math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9)
