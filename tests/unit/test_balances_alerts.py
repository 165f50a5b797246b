"""What moves a total is told, and what only looks like it is not; counts for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import logging
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import tradeutils as tu
from tradeutils import errors
from tradeutils.balances.alerts import Alert, watch_totals
from tradeutils.balances.metrics import register_metrics
from tradeutils.balances.suspensions import Suspensions
from tradeutils.model.valuations import AssetValue, Valuation


def worth(account: str, unpriced: Mapping[str, str] | None = None, **values: str) -> Valuation:
    """Return a valuation of assets with these values."""
    assets = {
        asset: AssetValue(amount=Decimal(1), price=Decimal(value), value=Decimal(value), route=(), age=0.0)
        for asset, value in values.items()
    }
    return Valuation(
        account=account,
        quote="USDT",
        total=sum((one.value for one in assets.values()), Decimal(0)),
        assets=assets,
        unpriced={asset: Decimal(amount) for asset, amount in (unpriced or {}).items()},
        time=1_750_000_000_000,
    )


class Told(dict[str, Valuation]):
    """Totals with what failed and what is stale, as `Balances` returns them."""

    def __init__(self, *found: Valuation, failures: tuple[str, ...] = (), stale: tuple[str, ...] = ()) -> None:
        super().__init__((str(one.account), one) for one in found)
        self.failures = dict.fromkeys(failures, errors.VenueTimeout("slow"))
        self.stale = dict.fromkeys(stale, 60.0)


class Source:
    """Answers in turn; its last answer for ever."""

    def __init__(self, *answers: Told | Exception, takes: float = 0.0) -> None:
        self.answers, self.takes = list(answers), takes
        self.asked = self.inside = self.most = 0

    async def totals(self, quote: str) -> Mapping[str, Valuation]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(self.takes)
        self.inside -= 1
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


async def alerts(source: Source, threshold: Any = "5%") -> list[Alert]:
    """Return the alerts until every answer has been looked at."""
    found: list[Alert] = []
    watching = watch_totals(source, threshold=threshold, interval=0.01)

    async def collect() -> None:
        async for alert in watching:
            found.append(alert)

    task = asyncio.create_task(collect())
    async with asyncio.timeout(20):
        while source.asked <= len(source.answers):  # noqa: ASYNC110  # it is counted in a method that is awaited
            await asyncio.sleep(0.005)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return found


async def test_a_loss_is_told_once_and_counted_from_there() -> None:
    """Small steps add up until they reach the threshold."""
    steps = ["100", "97", "95", "94", "91", "90.25"]
    (first, second) = await alerts(Source(*(Told(worth("alice", USDT=step)) for step in steps)))
    assert (first.account, first.before, first.after, first.change) == (
        "alice",
        Decimal(100),
        Decimal(95),
        Decimal(-5),
    )
    assert (first.relative, first.quote, first.time) == (Decimal("-0.05"), "USDT", 1_750_000_000_000)
    assert (second.before, second.after, second.relative) == (Decimal(95), Decimal("90.25"), Decimal("-0.05"))


@pytest.mark.parametrize("threshold", [Decimal("0.3"), "0.3", "100%"], ids=str)
async def test_thresholds_are_exact(threshold: Any) -> None:
    """0.1 + 0.2 is 0.3, not a little more or less."""
    source = Source(Told(worth("alice", USDT="0.3")), Told(worth("alice", USDT="0.3", BTC="0.1", ETH="0.2")))
    (alert,) = await alerts(source, threshold)
    assert (alert.change, alert.relative) == (Decimal("0.3"), Decimal(1))


@pytest.mark.parametrize("threshold", ["100", "10%"])
async def test_thresholds_are_exact_whatever_the_context_of_the_caller(threshold: str) -> None:
    """A bot may have set a narrow one, in which 99.9999 is 100."""
    source = Source(Told(worth("alice", USDT="1000")), Told(worth("alice", USDT="1099.9999")))
    with decimal.localcontext(prec=5):
        assert await alerts(source, threshold) == []


async def test_from_nothing_any_share_is_a_move() -> None:
    """There is nothing to be relative to; and nothing to nothing is no move."""
    steps = [Told(worth("alice")), Told(worth("alice")), Told(worth("alice", USDT="0.01"))]
    (alert,) = await alerts(Source(*steps))
    assert (alert.before, alert.after, alert.relative) == (Decimal(0), Decimal("0.01"), None)


async def test_an_account_that_is_missing_is_no_loss() -> None:
    """Failed, suspended or gone: it is named in the alert about the rest, and compared when it is back."""
    alice, bob = worth("alice", USDT="100"), worth("bob", USDT="900")
    source = Source(
        Told(alice, bob),
        Told(alice, failures=("bob",)),
        Told(alice),
        Told(worth("alice", USDT="50"), failures=("bob",)),
        Told(worth("alice", USDT="50"), worth("bob", USDT="450")),
    )
    found = await alerts(source)
    assert [(alert.account, alert.before, alert.after, alert.missing) for alert in found] == [
        ("alice", Decimal(100), Decimal(50), ()),
        ("all", Decimal(100), Decimal(50), ("bob",)),
        ("bob", Decimal(900), Decimal(450), ()),
        ("all", Decimal(950), Decimal(500), ()),
    ]


async def test_a_stale_account_is_not_compared() -> None:
    """What is served from before may be worth anything now."""
    alice = worth("alice", USDT="100")
    found = await alerts(
        Source(
            Told(alice, worth("bob", USDT="100")),
            Told(alice, worth("bob", USDT="1"), stale=("bob",)),
            Told(worth("alice", USDT="90"), worth("bob", USDT="1"), stale=("bob",)),
        )
    )
    assert [(alert.account, alert.change, alert.missing) for alert in found] == [
        ("alice", Decimal(-10), ()),
        ("all", Decimal(-10), ("bob",)),
    ]


async def test_a_new_account_is_no_gain() -> None:
    """It is compared from its second look on."""
    alice = worth("alice", USDT="100")
    assert await alerts(Source(Told(alice), Told(alice, worth("bob", USDT="900")))) == []


async def test_a_price_that_is_missing_is_no_loss() -> None:
    """An asset is left out while it has a price on one side only, and named where something else moved."""
    found = await alerts(
        Source(
            Told(worth("alice", USDT="100", XYZ="900")),
            Told(worth("alice", {"XYZ": "1"}, USDT="100")),
            Told(worth("alice", {"XYZ": "1"}, USDT="80")),
            Told(worth("alice", USDT="80", XYZ="900")),
            Told(worth("alice", USDT="80")),
        )
    )
    assert [(alert.before, alert.after, alert.unpriced) for alert in found] == [
        (Decimal(100), Decimal(80), ("XYZ",)),
    ]


async def test_what_is_sold_is_a_loss() -> None:
    """An asset that the account no longer holds counts as nothing."""
    source = Source(Told(worth("alice", USDT="100", XYZ="900")), Told(worth("alice", USDT="100")))
    assert [alert.change for alert in await alerts(source)] == [Decimal(-900)]


async def test_trouble_passes(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is logged once, and what moved meanwhile is told after it."""
    caplog.set_level(logging.INFO, "tradeutils.balances")
    trouble = [errors.VenueTimeout("slow"), errors.CacheUnavailable("away"), errors.RateLimited("slow down")]
    source = Source(Told(worth("alice", USDT="100")), *trouble, Told(worth("alice", USDT="50")))
    assert [alert.change for alert in await alerts(source)] == [Decimal(-50)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_what_is_wrong_for_good_is_raised() -> None:
    """A quote without markets will have none at the next look either."""
    watching = watch_totals(Source(errors.UnknownName("quote", "USDD", ["USDT"])), threshold="5%")
    with pytest.raises(errors.UnknownName):
        await anext(watching)


async def test_looks_never_overlap() -> None:
    """Neither when one takes longer than the interval, nor while an alert is worked on."""
    steps = [Told(worth("alice", USDT=str(100 * (1 + number % 2)))) for number in range(6)]
    source = Source(*steps, takes=0.03)
    seen = 0
    async for _ in watch_totals(source, threshold="5%", interval=0.01):
        asked = source.asked
        await asyncio.sleep(0.05)
        assert source.asked == asked
        seen += 1
        if seen == 3:
            break
    assert source.most == 1


async def test_watching_ends_with_its_task() -> None:
    """In the middle of a look too."""
    source = Source(Told(worth("alice", USDT="100")), takes=60.0)
    task = asyncio.create_task(anext(watch_totals(source, threshold="5%")))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.asked == 0


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": "0%"},
        {"threshold": "-5%"},
        {"threshold": "five"},
        {"threshold": "1e99999999%"},
        {"threshold": 0.05},
        {"threshold": Decimal("NaN")},
        {"threshold": Decimal(0)},
        {"threshold": True},
        {"threshold": None},
        {"threshold": "5%", "interval": 0},
        {"threshold": "5%", "interval": float("inf")},
        {"threshold": "5%", "interval": "60"},
    ],
    ids=str,
)
def test_a_watch_that_cannot_be_is_refused_at_once(options: dict[str, Any]) -> None:
    """Not only when it is iterated."""
    with pytest.raises(errors.UsageError, match="threshold" if "interval" not in options else "interval"):
        watch_totals(Source(), **options)


# Prometheus


@pytest.fixture
async def counted() -> Suspensions:
    """Return suspensions with one good account and one bad one."""
    suspensions = Suspensions(None)
    for name in ("alice", "bob"):
        credentials = tu.Credentials(key=f"planted-key-of-{name}", secret=f"planted-secret-of-{name}")
        account = tu.Account(name=name, exchange="binance", credentials=credentials)
        with contextlib.suppress(errors.VenueError, errors.Suspended):
            async with suspensions.attempt(account, "binance"):
                if name == "bob":
                    raise errors.AuthenticationFailed('{"code":-2015}', venue="binance")
        with contextlib.suppress(errors.Suspended):
            async with suspensions.attempt(account, "binance"):
                pass
    return suspensions


async def test_prometheus_sees_accounts_and_no_keys(counted: Suspensions) -> None:
    """By name and venue, with the class of errors and the reason."""
    registry = CollectorRegistry()
    end = register_metrics(counted, registry)
    shown = generate_latest(registry).decode()
    for line in (
        'tradeutils_account_attempts_total{account="alice",venue="binance"} 2.0',
        'tradeutils_account_attempts_total{account="bob",venue="binance"} 1.0',
        'tradeutils_account_held_back_total{account="bob",venue="binance"} 1.0',
        'tradeutils_account_failures_total{account="bob",error="AuthenticationFailed",venue="binance"} 1.0',
        'tradeutils_account_suspensions_total{account="bob",venue="binance"} 1.0',
        'tradeutils_account_probes_total{account="bob",venue="binance"} 0.0',
        'tradeutils_account_suspended{account="alice",venue="binance"} 0.0',
        'tradeutils_account_suspended{account="bob",venue="binance"} 1.0',
        'tradeutils_account_suspension_failures{account="bob",reason="bad key",venue="binance"} 1.0',
    ):
        assert line in shown.splitlines()
    assert "planted" not in shown
    end()
    end()
    assert generate_latest(registry) == b""


async def test_a_second_source_needs_a_registry_of_its_own(counted: Suspensions) -> None:
    """Two of one name would be taken for one account."""
    registry = CollectorRegistry()
    register_metrics(counted, registry)
    with pytest.raises(errors.UsageError, match="of its own"):
        register_metrics(Suspensions(None), registry)


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to install it."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "prometheus_client.metrics_core", None)
    with pytest.raises(errors.MissingExtra, match=r"tradeutils\[metrics\]"):
        register_metrics(Suspensions(None))
