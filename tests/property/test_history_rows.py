"""Laws of rows: merging is an upsert by time, and cutting and joining lose nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import DataError
from tradeutils.history.store.rows import FIELDS, Rows, joined, merged

times = st.lists(st.integers(-(2**40), 2**40), unique=True, max_size=40).map(sorted)
near = st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted)
some = st.one_of(times, near)


def rows_at(opens: list[int], mark: float) -> Rows:
    """Return rows whose numbers tell their time and who wrote them."""
    time = np.array(opens, dtype=np.int64)
    return Rows(time, *(time * 8.0 + mark + place / 8 for place in range(5)))


def as_dict(rows: Rows) -> dict[int, tuple[float, ...]]:
    """Return rows by their time."""
    return {int(one[0]): tuple(map(float, one[1:])) for one in zip(*rows.columns(), strict=True)}


def assert_sound(rows: Rows) -> None:
    """Times rise, and all columns are of their type and of one length."""
    assert rows.time.dtype == np.int64
    assert (np.diff(rows.time) > 0).all()
    for name in FIELDS[1:]:
        assert getattr(rows, name).dtype == np.float64
        assert getattr(rows, name).shape == (len(rows),)


@given(some, some)
def test_merging_is_an_upsert_in_which_the_newer_wins(older: list[int], newer: list[int]) -> None:
    """As a dictionary that is updated, oldest first."""
    first, second = rows_at(older, 0.0), rows_at(newer, 0.5)
    found = merged(first, second)
    assert_sound(found)
    assert as_dict(found) == {**as_dict(first), **as_dict(second)}
    assert list(found.time) == sorted({*older, *newer})


@given(near, near, near)
def test_merging_may_be_grouped_at_will(first: list[int], second: list[int], third: list[int]) -> None:
    """(a + b) + c is a + (b + c), so the journal and the files may be merged in either order of the work."""
    a, b, c = rows_at(first, 0.0), rows_at(second, 0.25), rows_at(third, 0.5)
    assert as_dict(merged(merged(a, b), c)) == as_dict(merged(a, merged(b, c)))


@given(some)
def test_merging_with_itself_or_nothing_changes_nothing(opens: list[int]) -> None:
    """Writing the same rows twice is writing them once."""
    rows = rows_at(opens, 0.0)
    for found in (merged(rows, rows), merged(rows, Rows.empty()), merged(Rows.empty(), rows)):
        assert_sound(found)
        assert as_dict(found) == as_dict(rows)


@given(some, st.lists(st.integers(0, 40), max_size=5))
def test_cut_and_joined_rows_are_what_they_were(opens: list[int], cuts: list[int]) -> None:
    """However they are cut."""
    rows = rows_at(opens, 0.0)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows.slice(first, last) for first, last in itertools.pairwise(edges)]
    found = joined(parts)
    assert_sound(found)
    assert as_dict(found) == as_dict(rows)


@given(some, st.none() | st.integers(-5, 65), st.none() | st.integers(-5, 65))
def test_between_takes_since_and_leaves_until(opens: list[int], since: int | None, until: int | None) -> None:
    """Since is inclusive, until exclusive; an until before since leaves nothing."""
    rows = rows_at(opens, 0.0)
    expected = [t for t in opens if (since is None or t >= since) and (until is None or t < until)]
    found = rows.between(since, until)
    assert_sound(found)
    assert list(found.time) == expected
    assert not len(found) or np.shares_memory(found.close, rows.close)


@given(some, st.integers(-3, 50))
def test_last_takes_the_newest(opens: list[int], count: int) -> None:
    """As many as there are; none where less than one is asked for."""
    rows = rows_at(opens, 0.0)
    found = rows.last(count)
    assert_sound(found)
    assert list(found.time) == (opens[-count:] if count > 0 else [])


def test_parts_that_overlap_are_not_joined() -> None:
    """Joining is for parts that follow each other; a row that came twice would be there twice."""
    with pytest.raises(DataError, match="merge them"):
        joined([rows_at([1, 2, 3], 0.0), Rows.empty(), rows_at([3, 4], 0.5)])


def test_rows_say_how_many_and_from_when_to_when() -> None:
    """What a debugger shows."""
    assert repr(rows_at([60, 120], 0.0)) == "<Rows: 2 60..120>"
    assert repr(Rows.empty()) == "<Rows: 0>"
