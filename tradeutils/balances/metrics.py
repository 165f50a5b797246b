"""Accounts as Prometheus sees them; needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradeutils.balances.counts import AccountStats
from tradeutils.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

__all__ = ["AccountCollector", "Counted", "register_metrics"]

_WHO: Final = ("account", "venue")
_COUNTERS: Final[Mapping[str, str]] = {
    "attempts": "Calls for an account that were let through.",
    "held_back": "Calls for an account that were not sent, as it was suspended.",
    "suspensions": "How often a failure suspended an account, or lengthened that.",
    "probes": "Tries made at the end of a suspension.",
}
_PREFIX: Final = "tradeutils_account_"


class Counted(Protocol):
    """What has counts of accounts: `Balances`, `Suspensions`."""

    def stats(self) -> Mapping[str, AccountStats]:
        """Return them by the account's name; called in the thread that answers Prometheus."""
        ...


class AccountCollector:
    """
    Reads the counts of accounts whenever Prometheus asks; costs nothing in between.

    Labels are an account's name and venue, the class of an error and the reason of a suspension: never a key. There
    are five series an account, one for each class of error it met, and one while it is suspended.
    """

    def __init__(self, source: Counted) -> None:
        self._source = source

    def describe(self) -> list[Metric]:
        """Return the metrics without their values."""
        return list(_metrics({}))

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        return _metrics(self._source.stats())


def register_metrics(source: Counted, registry: CollectorRegistry | None = None) -> Callable[[], None]:
    """
    Show the counts of accounts to Prometheus, and return a function that ends that.

    Parameters
    ----------
    source : Balances or Suspensions
        Whose counts.
    registry : CollectorRegistry or None
        Where; ``None``: the registry of the process.

    Raises
    ------
    MissingExtra : prometheus-client is not installed.
    UsageError : the registry has such metrics already; give each source a registry of its own.
    """
    _prometheus()
    from prometheus_client.registry import REGISTRY

    where, made = REGISTRY if registry is None else registry, AccountCollector(source)
    _register(where, made)

    def end() -> None:
        nonlocal made
        collector, made = made, None  # type: ignore[assignment]  # ended
        if collector is not None:
            where.unregister(collector)

    return end


def _register(where: Any, made: AccountCollector) -> None:
    try:
        where.register(made)
    except ValueError as error:
        raise UsageError(
            "the registry shows accounts already; end that first, or give a CollectorRegistry() of its own"
        ) from error


def _prometheus() -> Any:
    try:
        import prometheus_client.metrics_core
    except ImportError as error:
        raise MissingExtra("prometheus-client", "metrics", "showing accounts to Prometheus") from error
    return prometheus_client.metrics_core


def _metrics(stats: Mapping[str, AccountStats]) -> Iterator[Metric]:
    core = _prometheus()
    for name, text in _COUNTERS.items():
        counter = core.CounterMetricFamily(f"{_PREFIX}{name}", text, labels=_WHO)
        for one in stats.values():
            counter.add_metric((one.account, one.venue), getattr(one, name))
        yield counter
    text = "Calls for an account that failed, by the class of the error."
    failures = core.CounterMetricFamily(f"{_PREFIX}failures", text, labels=(*_WHO, "error"))
    text = "Whether an account is suspended: 1, or 0."
    suspended = core.GaugeMetricFamily(f"{_PREFIX}suspended", text, labels=_WHO)
    text = "Of an account that is suspended, how many tries in a row failed, and why it is."
    refused = core.GaugeMetricFamily(f"{_PREFIX}suspension_failures", text, labels=(*_WHO, "reason"))
    for one in stats.values():
        for error, count in one.failures.items():
            failures.add_metric((one.account, one.venue, error), count)
        suspended.add_metric((one.account, one.venue), float(one.suspension is not None))
        if one.suspension is not None:
            refused.add_metric((one.account, one.venue, one.suspension.reason), one.suspension.failures)
    yield failures
    yield suspended
    yield refused
