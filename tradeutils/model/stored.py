"""Candles that lie on disk and are not read yet: what indicators and analyses see of a history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from tradeutils.model.candles import Candles
from tradeutils.model.panel import Panel

__all__ = ["Cluster", "Executors", "Stored"]

_Result = TypeVar("_Result")


@runtime_checkable
class Cluster(Protocol):
    """Machines that work for us, as a Dask ``Client`` stands for them."""

    def get_executor(self, **options: Any) -> Executor:
        """Return an executor that runs its tasks there."""


Executors: TypeAlias = Executor | Cluster
"""What ``executor=`` takes: a pool of threads or processes, any other ``Executor``, or a Dask ``Client``."""


@runtime_checkable
class Stored(Protocol):
    """
    Candles of some symbols in one range, in a store that other processes can read too.

    ``history.select(...)`` returns one. It holds no candles, and goes to a worker as a few names.
    """

    @property
    def exchange(self) -> str:
        """Where they come from."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Whose candles they are, length S."""

    @property
    def timeframe(self) -> str:
        """Length of a bar."""

    @property
    def shape(self) -> tuple[int, int]:
        """Bars and symbols of the panel: (T, S)."""

    def panel(self, *, threads: int | None = None) -> Panel:
        """Read all of it as one panel."""

    def candles(self) -> Iterator[Candles]:
        """Read one symbol after another."""

    def map(
        self,
        function: Callable[..., _Result],
        *,
        executor: Executors | None = None,
        whole: Literal["panel", "candles"] = "panel",
        group: int | None = None,
        ordered: bool = False,
    ) -> Iterator[tuple[tuple[str, ...], _Result]]:
        """Yield (symbols, what the function returned for their candles) as groups of symbols are done."""
