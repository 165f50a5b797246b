"""Caches as Prometheus sees them; needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradeutils.cache.stats import Stats
from tradeutils.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

__all__ = ["CacheCollector", "Counted", "register_metrics"]

_WHICH: Final = ("server", "namespace")
_COUNTERS: Final[Mapping[str, str]] = {
    "hits": "Keys found fresh.",
    "misses": "Keys not found.",
    "stale": "Values served past their ttl while a fetch was under way.",
    "fetches": "Calls of a fetch function.",
    "shared": "Callers that were served by a fetch another had begun.",
    "discarded": "Outcomes of fetches that were not stored, as the key had changed.",
    "errors": "Values that could not be read, refused operations and failed background fetches.",
    "unavailable": "Operations that were not answered in time.",
}
_GAUGES: Final[Mapping[str, str]] = {
    "latency_p50": "Seconds that half of the latest round trips took at most.",
    "latency_p99": "Seconds that 99 of 100 of the latest round trips took at most.",
    "keys": "Keys held in memory.",
    "bytes": "Bytes held in memory.",
}
_NEAR: Final[Mapping[str, str]] = {
    "hits": "Reads served from the copy in this process; among the hits too.",
    "invalidations": "Keys of which the server told that they had changed.",
    "evicted": "Entries dropped from the copy to stay within its budget.",
    "losses": "How often the whole copy was dropped.",
}
_PREFIX: Final = "tradeutils_cache_"


class Counted(Protocol):
    """A cache: `tradeutils.Cache`, `tradeutils.sync.Cache`."""

    def counts(self) -> Stats:
        """Return what it has done; called in the thread that answers Prometheus."""
        ...


class CacheCollector:
    """
    Reads the counts of caches whenever Prometheus asks; costs nothing in between.

    Labels are the server (its URL without user and password) and the namespace: never a key. Caches of the same labels
    are added up.
    """

    def __init__(self, caches: Sequence[Counted]) -> None:
        self._caches = tuple(caches)

    def describe(self) -> list[Metric]:
        """Return the metrics without their values."""
        return list(_metrics([]))

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        return _metrics([cache.counts() for cache in self._caches])


def register_metrics(*caches: Counted, registry: CollectorRegistry | None = None) -> Callable[[], None]:
    """
    Show the counts of caches to Prometheus, and return a function that ends that.

    Parameters
    ----------
    *caches : Cache
        Whose counts.
    registry : CollectorRegistry or None
        Where; ``None``: the registry of the process.

    Raises
    ------
    MissingExtra : prometheus-client is not installed.
    UsageError : no cache was given, or the registry has such metrics already; show all caches with one call.
    """
    _prometheus()
    from prometheus_client.registry import REGISTRY

    if not caches:
        raise UsageError("no cache was given; write register_metrics(cache)")
    where, made = REGISTRY if registry is None else registry, [CacheCollector(caches)]
    try:
        where.register(made[0])
    except ValueError as error:
        raise UsageError("the registry shows caches already; end that first, and show all with one call") from error

    def end() -> None:
        while made:
            where.unregister(made.pop())

    return end


def _prometheus() -> Any:
    try:
        import prometheus_client.metrics_core
    except ImportError as error:
        raise MissingExtra("prometheus-client", "metrics", "showing caches to Prometheus") from error
    return prometheus_client.metrics_core


def _metrics(stats: Sequence[Stats]) -> Iterator[Metric]:
    core = _prometheus()
    groups: dict[tuple[str, str], list[Stats]] = {}
    for one in stats:
        groups.setdefault((one.server, one.namespace), []).append(one)
    for name, text in _COUNTERS.items():
        counter = core.CounterMetricFamily(f"{_PREFIX}{name}", text, labels=_WHICH)
        for labels, group in groups.items():
            counter.add_metric(labels, sum(getattr(one, name) for one in group))
        yield counter
    for name, text in _NEAR.items():
        counter = core.CounterMetricFamily(f"{_PREFIX}near_{name}", text, labels=_WHICH)
        for labels, group in groups.items():
            kept = [one.near for one in group if one.near is not None]
            if kept:
                counter.add_metric(labels, sum(getattr(near, name) for near in kept))
        yield counter
    for name, text in _GAUGES.items():
        gauge = core.GaugeMetricFamily(f"{_PREFIX}{name}", text, labels=_WHICH)
        for labels, group in groups.items():
            known = [value for one in group if (value := getattr(one, name)) is not None]
            if known:
                gauge.add_metric(labels, max(known))
        yield gauge
    away = core.GaugeMetricFamily(f"{_PREFIX}away", "Whether the server is known to be away: 1, or 0.", labels=_WHICH)
    for labels, group in groups.items():
        away.add_metric(labels, float(any(one.breaker == "open" for one in group)))
    yield away
