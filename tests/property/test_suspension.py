"""Laws of suspensions and of what is watched, over any course of events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tradeutils as tu
from tradeutils import codec, errors
from tradeutils.balances.alerts import Alert, watch_totals
from tradeutils.balances.classes import REASONS
from tradeutils.balances.standings import Standing, key_of, read_standing
from tradeutils.balances.suspension import Periods, Suspension
from tradeutils.balances.suspensions import Suspensions
from tradeutils.model.rounding import EXACT
from tradeutils.model.valuations import Valuation

START = 1_750_000_000
ALICE = tu.Account(name="alice", exchange="binance", credentials=tu.Credentials(key="key", secret="secret"))

_PROCESS = st.integers(0, 2)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bad"), _PROCESS),
        st.tuples(st.just("good"), _PROCESS),
        st.tuples(st.just("trouble"), _PROCESS),
        st.tuples(st.just("resume"), _PROCESS),
        st.tuples(st.just("restart"), _PROCESS),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 59, 61, 299, 301, 30_000])),
    ),
    max_size=30,
)


class Expected:
    """What ought to be known of one account: how many tries in a row failed, and until when it is held back."""

    def __init__(self) -> None:
        self.now, self.until, self.failures = float(START), 0.0, 0

    def call(self, what: str) -> str:
        """Make a call, and return what must become of it."""
        if self.failures and self.now < self.until:
            return "held back"
        if what == "good":
            self.failures = 0
            return "made"
        if what == "bad":
            self.failures += 1
            self.until = self.now + min(21_600, 60 * 5 ** (self.failures - 1))
        return "failed"


async def _call(suspensions: Suspensions, what: str) -> str:
    fails = {"bad": errors.AuthenticationFailed, "trouble": errors.VenueTimeout}
    try:
        async with suspensions.attempt(ALICE, "binance"):
            if what in fails:
                raise fails[what]("no", venue="binance")
    except errors.Suspended:
        return "held back"
    except errors.VenueError:
        return "failed"
    return "made"


@given(_STEPS)
@settings(max_examples=200)
def test_processes_that_share_a_cache_act_as_one(steps: list[tuple[str, Any]]) -> None:
    """Whatever happens in whichever of them, at any time, and whoever restarts: all do what one alone would do."""

    async def run() -> None:
        expected = Expected()

        def started() -> Suspensions:
            return Suspensions(cache, clock=lambda: expected.now, rng=lambda: 1.0)

        async with tu.Cache() as cache:
            processes = [started() for _ in range(3)]
            for what, which in steps:
                expected.now += 0.001  # no two things happen in one moment
                if what == "wait":
                    expected.now += which
                elif what == "restart":
                    processes[which] = started()
                elif what == "resume":
                    processes[which].know(ALICE, "binance")
                    await processes[which].resume("alice")
                    expected.failures = 0
                else:
                    assert await _call(processes[which], what) == expected.call(what)
            processes[0].know(ALICE, "binance")
            told = (await processes[0].get_all()).get("alice")
            assert (0 if told is None else told.failures) == expected.failures
            if told is not None:
                assert abs(told.until / 1000 - expected.until) < 0.01

    asyncio.run(run())


@given(st.integers(1, 10**6), st.floats(0.001, 3600), st.floats(1, 100), st.floats(0, 1))
def test_a_period_is_within_its_band(failures: int, base: float, more: float, chance: float) -> None:
    """Between three quarters and the whole, never above the cap, and a later one never shorter by more than that."""
    periods = Periods(base, base * more, lambda: chance)
    length = periods.length(failures)
    assert 0.75 * base <= length <= base * more
    assert periods.length(failures + 1) >= length


_TIMES = st.integers(0, START * 1000)
_SUSPENSIONS = st.builds(
    Suspension,
    account=st.just("alice"),
    venue=st.just("binance"),
    reason=st.sampled_from(REASONS),
    message=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=50),
    remedy=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=50),
    since=_TIMES,
    until=st.integers(0, START * 1000 + 7 * 86_400_000),
    failures=st.integers(1, 2**53),
    origin=st.just("binance"),
)
_STANDINGS = st.one_of(
    st.builds(Standing, st.sampled_from(["good", "fresh"]), _TIMES),
    st.builds(Standing, st.just("suspended"), _TIMES, _SUSPENSIONS),
)


@given(_STANDINGS)
def test_a_standing_comes_back_from_the_cache_as_it_was(standing: Standing) -> None:
    """Through the codec, whatever it is."""
    told = codec.loads(codec.dumps(standing.told(ALICE)))
    assert read_standing(told, ALICE, "binance", START * 1000) == standing


_JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5), st.just([1])
)


@given(_STANDINGS, st.dictionaries(st.sampled_from(sorted(Suspension.__slots__)), _JUNK, max_size=3), _JUNK)
def test_anything_in_the_cache_is_read_or_refused_in_words(
    standing: Standing, changed: Mapping[str, object], other: object
) -> None:
    """Never an exception, and never times or words that were not checked."""
    assert isinstance(read_standing(other, ALICE, "binance", START * 1000), str)
    found = read_standing({**standing.told(ALICE), **changed}, ALICE, "binance", START * 1000)
    if isinstance(found, str):
        return
    assert 0 <= found.at <= START * 1000 + 3_600_000
    if found.suspension is not None:
        assert found.suspension.until <= START * 1000 + 7 * 86_400_000 + 3_600_000
        assert found.suspension.reason in REASONS
        assert found.suspension.failures >= 1
        assert found.suspension.message.isprintable()


_WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@given(st.tuples(_WORD, _WORD, _WORD, _WORD), st.tuples(_WORD, _WORD, _WORD, _WORD))
def test_only_the_same_account_has_the_same_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Name, origin, key and secret: where one differs nothing is shared; and no secret is in it."""

    def key(name: str, origin: str, key: str, secret: str) -> str:
        credentials = tu.Credentials(key=key, secret=secret)
        return key_of(tu.Account(name=name, exchange="binance", credentials=credentials), origin)

    assert (key(*one) == key(*other)) == (one == other)
    assert len(key(*one)) == len("suspension:") + 32


class _Steps:
    def __init__(self, totals: list[Decimal]) -> None:
        self.totals_, self.done = totals, asyncio.Event()
        self.asked = 0

    async def totals(self, quote: str) -> dict[str, Valuation]:
        if self.asked == len(self.totals_):
            self.done.set()
            await asyncio.Event().wait()
        self.asked += 1
        total = self.totals_[self.asked - 1]
        return {"alice": Valuation(account="alice", quote=quote, total=total, assets={}, unpriced={}, time=self.asked)}


_AMOUNTS = st.decimals(-(10**12), 10**12, places=18)


@given(st.lists(_AMOUNTS, min_size=1, max_size=6), st.decimals("1e-18", 10**6, places=18))
@settings(max_examples=30)
def test_alerts_add_up_to_what_moved(totals: list[Decimal], threshold: Decimal) -> None:
    """Each begins where the last ended, and what is not told is less than the threshold; exactly."""

    async def run() -> list[Alert]:
        source, found = _Steps(totals), []

        async def collect() -> None:
            async for alert in watch_totals(source, "USDT", threshold=threshold, interval=0.01):
                found.append(alert)  # it ends by being cancelled

        task = asyncio.create_task(collect())
        await asyncio.wait([task, asyncio.create_task(source.done.wait())], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return found

    last = totals[0]
    for alert in asyncio.run(run()):
        assert (alert.before, alert.after) == (last, totals[alert.time - 1])
        assert alert.change.copy_abs() >= threshold
        last = alert.after
    assert EXACT.subtract(totals[-1], last).copy_abs() < threshold
