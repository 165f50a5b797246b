"""The compiled programs of this process: one for each structure, device and kind of storage."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Final

from tradeutils.device import Device, Module
from tradeutils.indicators.cpu import Program
from tradeutils.indicators.cuda.source import source_of
from tradeutils.indicators.cuda.table import structure_of
from tradeutils.indicators.threads import fork_lock
from tradeutils.logs import get_logger

__all__ = ["module_of"]

logger: Final = get_logger("indicators")

_KEPT: Final = 512

_modules: Final[dict[Hashable, Module]] = {}
_lock: Final = fork_lock()


def module_of(device: Device, program: Program, single_in: bool, single_out: bool) -> Module:
    """
    Return the compiled kernel of programs of this structure on a device; safe from any thread.

    Takes a second or so the first time, which is logged. Kept in memory, and by CuPy on disk.

    Parameters
    ----------
    device : Device
    program : Program
        Any of its structure.
    single_in, single_out : bool
        Whether the inputs, and the results, are float32.
    """
    key = (device, structure_of(program), single_in, single_out)
    module = _modules.get(key)
    if module is None:
        began = time.perf_counter()
        # Two threads may both come here: the device compiles a source once.
        module = device.compile(source_of(program, single_in, single_out))
        taken = time.perf_counter() - began
        with _lock:
            known = key in _modules
            if not known:
                while len(_modules) >= _KEPT:
                    del _modules[next(iter(_modules))]
                _modules[key] = module
        if not known:
            count = len(program.instructions)
            logger.info("compiled a program of %d operators for %s in %.1f s", count, device.name, taken)
    return module
