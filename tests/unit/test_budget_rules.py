"""The table of the venues' windows: what it says is possible, and a slip in it is an error that names the place."""

from __future__ import annotations

import importlib.resources
import tomllib
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tradeutils.budget import rules
from tradeutils.errors import DataError

LISTED = ("binance", "kraken", "bybit", "okx", "coinbase", "kucoin", "gate", "bitget", "mexc", "htx")

GOOD = """
[acme]
ids = ["acme"]
tier = "small"

[acme.pools.api]
apis = ["public", "private"]
weights_source = "https://example.com/weights"

[[acme.pools.api.windows]]
name = "weight"
limit = 100
seconds = 10
scope = "ip"
counts = "weight"
factor = 2.0
tiers = { large = { limit = 1000 } }
unit = "weight"
source = "https://example.com/limits"

[acme.pools.api.weights]
"public GET book" = { by = "limit", steps = [[10, 1], [100, 5]], above = 50, missing = 5 }

[acme.orders]
cancels = ["private DELETE order"]

[acme.orders.places]
"private POST order" = 1
"private POST orders" = { of = "orders", most = 5 }
"""


def test_every_listed_venue_has_windows_with_a_source() -> None:
    """All ten are there, under names of ccxt's classes, and each figure says where it is from and what it counts."""
    known = rules.venues()
    assert set(LISTED) <= set(known)
    for venue in known.values():
        assert set(venue.ids) <= set(ccxt.exchanges)
        for pool in venue.pools:
            assert pool.name.startswith(f"{venue.name}.")
            assert bool(pool.weights) == bool(pool.weights_source)
            for rule in pool.rules:
                assert rule.unit
                assert "http" in rule.source or rule.source.startswith(("exchangeInfo", "as ")), rule.source
                assert rule.factor > 0
                assert rule.window.limit >= 1


def test_every_pattern_of_the_table_fits_an_endpoint_of_ccxt() -> None:
    """A misspelt endpoint would never be found, and its weight never be charged."""
    idle = []
    for venue in rules.venues().values():
        known = {f"{api} {method} {path}" for name in venue.ids for api, method, path in endpoints(name)}
        patterns = [*venue.places, *venue.amends, *venue.cancels]
        for pool in venue.pools:
            patterns += [pattern for rule in pool.rules for pattern in rule.endpoints] + list(pool.weights)
        idle += [f"{venue.name}: {one}" for one in patterns if not any(rules.matches([one], name) for name in known)]
    assert idle == []


def endpoints(name: str) -> set[tuple[str, str, str]]:
    """Return every endpoint of a class of ccxt: its API dotted, method and path."""
    found: set[tuple[str, str, str]] = set()

    def walk(tree: Any, parts: tuple[str, ...]) -> None:
        for key, below in tree.items():
            if key in ("get", "post", "put", "delete", "patch"):
                found.update((".".join(parts), key.upper(), path) for path in below)
            elif isinstance(below, dict):
                walk(below, (*parts, key))

    walk(getattr(ccxt, name)().api, ())
    return found


def test_table_reads_what_it_says() -> None:
    """Tiers, weights and orders come out as they were written."""
    venue = rules.parse(GOOD)["acme"]
    assert venue.tiers == ("small", "large")
    pool = venue.pools[0]
    assert (pool.name, pool.apis) == ("acme.api", ("public", "private"))
    assert pool.rules[0].tiers["large"].limit == 1000
    assert pool.rules[0].tiers["large"].seconds == 10
    assert pool.weights["public GET book"].steps == ((10, 1), (100, 5))
    assert venue.places["private POST orders"] == rules.Count(5, "orders")
    assert venue.cancels == ("private DELETE order",)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("limit = 100", "limt = 100", "limit was None"),
        ("limit = 100", "limit = 100\nlimt = 5", "no key 'limt'; did you mean limit?"),
        ("limit = 100", 'limit = "many"', "limit was 'many'; write a number"),
        ("limit = 100", "limit = -1", "limit was -1"),
        ("limit = 100", "limit = nan", "limit was nan"),
        ("limit = 100", "limit = inf", "limit was inf"),
        ("limit = 100", "limit = true", "limit was True"),
        ("limit = 100", "limit = 0", "limit of the window was 0.0"),
        ("seconds = 10", "seconds = 1e9", "seconds of the window was"),
        ('name = "weight"', 'name = "a weight"', "name of the window was 'a weight'"),
        ('name = "weight"', "", "name was None; write text"),
        ('scope = "ip"', 'scope = "everybody"', "write one of ip, account"),
        ('counts = "weight"', 'counts = "weights"', "write one of requests, orders, weight"),
        ("factor = 2.0", "", "factor was None"),
        ('source = "https://example.com/limits"', "", "source was None"),
        ('unit = "weight"', 'unit = " "', "unit was ' '"),
        ('unit = "weight"', 'unit = "weight"\nper = "symbol"', "write one of pool, endpoint"),
        ('unit = "weight"', 'unit = "weight"\nendpoints = []', "endpoints was []"),
        ('unit = "weight"', 'unit = "weight"\ncosts = { are = "multiples" }', "of was None"),
        ('unit = "weight"', 'unit = "weight"\ncosts = { are = "odd", of = 1 }', "write one of multiples, others"),
        ("{ limit = 1000 }", "{ limits = 1000 }", "no key 'limits'; did you mean limit?"),
        ("tiers = { large = { limit = 1000 } }", "tiers = 5", "tiers was 5; write a table"),
        ('weights_source = "https://example.com/weights"', "", "weights_source was None"),
        ('tier = "small"', "", "has tiers and does not say which is the lowest"),
        ('apis = ["public", "private"]', 'apis = ["public", "public"]', "apis 'public' stands twice"),
        ('apis = ["public", "private"]', 'apis = "public"', "apis was 'public'; write a list"),
        ('ids = ["acme"]', 'ids = ["acme"]\nid = 1', "no key 'id'; did you mean ids?"),
        ("[[10, 1], [100, 5]]", "[[100, 5], [10, 1]]", "pairs that grow"),
        ("[[10, 1], [100, 5]]", "[10, 100]", "steps was [10, 100]; write pairs"),
        (", above = 50", "", "above was None"),
        ('by = "limit"', 'by = "limit", given = 3', "no key 'given'"),
        ('"public GET book"', '"GET book"', 'write endpoints as "api METHOD path"'),
        ('"private POST order" = 1', '"private POST order" = "one"', "write a number"),
        (', most = 5 }', " }", "most was None"),
        ("[acme.orders]", "[acme.order]", "did you mean orders"),
        ("[acme]\n", "[acme\n", "windows.toml is not TOML"),
        ("[[acme.pools.api.windows]]", "[acme.pools.api.windows]", "windows was {"),
        (GOOD, "acme = 5", "acme was 5; write a table"),
        (GOOD, '[acme]\nids = ["acme"]', "acme has no pools"),
    ],
)  # fmt: skip
def test_slip_in_the_table_is_named(old: str, new: str, told: str) -> None:
    """What is misspelt, missing or impossible is an error that says where and what to write."""
    assert old in GOOD
    with pytest.raises(DataError) as caught:
        rules.parse(GOOD.replace(old, new, 1))
    assert told in str(caught.value)
    assert "windows.toml" in str(caught.value)


def test_window_that_stands_twice_is_refused() -> None:
    """Two windows that a budget could not tell apart are an error, and so are two of a name that count differently."""
    start = GOOD.index("[[acme")
    one = GOOD[start : GOOD.index("[acme.pools.api.weights]")]
    with pytest.raises(DataError, match="stands twice"):
        rules.parse(GOOD[:start] + one + GOOD[start:])
    with pytest.raises(DataError, match="count different things"):
        rules.parse(GOOD[:start] + one.replace("seconds = 10", "seconds = 20").replace("2.0", "3.0") + GOOD[start:])
    longer = rules.parse(GOOD[:start] + one.replace("seconds = 10", "seconds = 20") + GOOD[start:])
    assert [rule.window.seconds for rule in longer["acme"].pools[0].rules] == [20, 10]


def test_api_or_class_that_stands_twice_is_refused() -> None:
    """An endpoint of two pools, or a class of two venues, would be charged by chance."""
    pool = GOOD[GOOD.index("[acme.pools.api]") : GOOD.index("[acme.pools.api.weights]")]
    with pytest.raises(DataError, match="api 'public' stands twice"):
        rules.parse(GOOD + pool.replace("pools.api", "pools.other").replace("weights_source", "# weights_source"))
    with pytest.raises(DataError, match="class of ccxt 'acme' stands twice"):
        rules.parse(GOOD + GOOD.replace("[acme", "[other").replace("[[acme", "[[other"))


def test_table_is_package_data() -> None:
    """The file lies beside the code that reads it, so a wheel that holds the package holds it."""
    file = importlib.resources.files("tradeutils.budget").joinpath("windows.toml")
    assert tomllib.loads(file.read_text(encoding="utf-8"))


def test_wheel_would_hold_the_table() -> None:
    """The build takes the whole package: nothing in its settings leaves data files out."""
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["tradeutils"]}
