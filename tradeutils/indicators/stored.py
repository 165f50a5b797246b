"""Indicators of candles on disk: groups of symbols are read and computed where an executor runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tradeutils.errors import UsageError
from tradeutils.indicators.arrays import Array, check_out
from tradeutils.indicators.evaluate import Options, Request, evaluate
from tradeutils.indicators.memory import arena
from tradeutils.indicators.sources import Source, source_of
from tradeutils.indicators.spec import Spec, parse_all
from tradeutils.model import Candles, Panel
from tradeutils.model.stored import Executors, Stored

__all__ = ["Computation", "compute_source", "compute_stored", "refuse_executor", "stored_of"]


def stored_of(data: object) -> Stored | None:
    """Return what stands for candles on disk; ``None`` for data in memory."""
    if isinstance(data, Candles | Panel | np.ndarray):  # most calls; to ask the protocol takes 9 us
        return None
    return data if isinstance(data, Stored) else None


def refuse_executor(executor: object, kind: str) -> None:
    """Refuse an executor for data in memory: to send it there costs more than to compute here."""
    if executor is not None:
        raise UsageError(
            f"executor was given with {kind}, which is in memory; an executor reads candles on disk: "
            'give history.select("binance", symbols, "1m"), or leave executor out and set threads='
        )


def compute_source(
    source: Source,
    asked: Sequence[Spec],
    options: Options,
    *,
    tail: int | None,
    out: Mapping[str, Any],
    threads: int | None,
    backend: str = "cpu",
) -> dict[str, Array]:
    """Return the arrays of all specs, by key, for data that is in memory; one pass over it."""
    requests = [Request(spec.indicator, spec.values, source.columns(spec.indicator), spec.keys) for spec in asked]
    device = source.device
    results = evaluate(requests, options, tail=tail, out=out, threads=threads, backend=backend, device=device)
    return {
        key: array
        for spec, arrays in zip(asked, results, strict=True)
        for key, array in zip(spec.keys, arrays, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Computation:
    """
    What a worker does with the panel of its symbols; goes there as texts and numbers.

    Parameters
    ----------
    specs : tuple of str
    options, tail, threads, backend
        As for ``Indicators``.
    """

    specs: tuple[str, ...]
    options: Options
    tail: int | None
    threads: int | None
    backend: str = "cpu"

    def __call__(self, panel: Panel) -> dict[str, Array]:
        """Return the arrays by key, (T, S) of the panel's symbols."""
        asked = parse_all(self.specs)
        return compute_source(
            source_of(panel),
            asked,
            self.options,
            tail=self.tail,
            out={},
            threads=self.threads,
            backend=self.backend,
        )


def compute_stored(
    stored: Stored,
    asked: Sequence[Spec],
    options: Options,
    *,
    tail: int | None = None,
    out: Mapping[str, Any] = MappingProxyType({}),
    threads: int | None = None,
    executor: Executors | None = None,
    backend: str = "cpu",
) -> dict[str, Array]:
    """Return the arrays of all specs, by key, for candles on disk: bit for bit those of ``stored.panel()``."""
    if executor is not None and backend == "cuda":
        raise UsageError(
            'executor was given with backend="cuda"; its workers compute on their CPUs: leave one of the two out'
        )
    bars, symbols = stored.shape
    shape = (bars if tail is None else min(tail, bars), symbols)
    check_out(out, shape, options.dtype)
    keys = [key for spec in asked for key in spec.keys]
    if not keys:
        return {}
    made: dict[str, Array] = {key: out[key] if key in out else arena.empty(shape, options.dtype) for key in keys}
    here = backend if executor is None else "cpu"
    work = Computation(tuple(spec.text for spec in asked), options, tail, threads, here)
    first = {symbol: at for at, symbol in enumerate(stored.symbols)}
    for group, results in stored.map(work, executor=executor):
        columns = slice(first[group[0]], first[group[0]] + len(group))
        for key, part in results.items():
            made[key][:, columns] = part
    return made
