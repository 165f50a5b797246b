"""Where ``evaluate`` meets the devices: host data by blocks, resident data in place, and the choice of ``"auto"``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy.typing as npt

from tradeutils.device import default_device, devices
from tradeutils.indicators.arrays import Array
from tradeutils.indicators.asked import Asked, matrix
from tradeutils.indicators.cuda.auto import crossover
from tradeutils.indicators.cuda.blocks import Job
from tradeutils.indicators.cuda.plans import batches_of
from tradeutils.indicators.cuda.resident import evaluate_on

__all__ = ["default_device", "evaluate_on", "fill"]

# Items of all results below which "auto" does not ask: the CPU takes 0.3 ms, and to look up what was measured 0.03.
_WORTH: Final = 1 << 19


def fill(
    backend: str,
    asked: Asked,
    known: Sequence[int],
    columns: Sequence[Array],
    targets: Sequence[npt.NDArray[Any]],
    nan: str,
    threads: int,
    on_cpu: Callable[[], None],
) -> None:
    """
    Compute outputs of host data.

    Parameters
    ----------
    backend : str
        ``"cuda"``, or ``"auto"``: the faster.
    asked : Asked
    known : sequence of int
        The outputs to compute.
    columns : float64 arrays (T, S)
    targets : arrays (K,) or (K, S)
        All results, of one dtype.
    nan : str
    threads : int
        How many the CPU would use.
    on_cpu : callable
        Computes the same on the CPU.
    """
    if backend == "cuda":
        default_device()  # says why there is none
    elif not crossover.has_devices() or len(known) * columns[0].size < _WORTH:
        on_cpu()
        return
    nodes, owners = tuple([asked.nodes[at] for at in known]), tuple([asked.owners[at] for at in known])
    batches = batches_of(nodes, owners, tuple(known), nan)
    job = Job(devices(), batches, columns, {at: matrix(targets[at]) for at in known})
    if backend == "cuda":
        job.run()
    else:
        crossover.run(job, threads, on_cpu)
