"""Which devices there are, why there are none, and how to put others in their place."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tradeutils.device.device import Device
from tradeutils.device.driver import read_driver
from tradeutils.device.remedies import CUPY_PACKAGES, cupy_problem, driver_fault, import_problem, numpy_problem
from tradeutils.errors import BackendUnavailable

__all__ = ["default_device", "devices", "installed_cupy", "placed", "using", "why_none"]

_log = logging.getLogger("tradeutils.device")


@dataclass(frozen=True, slots=True)
class _Found:
    """What one search brought: the devices, or why there are none; and the process that searched."""

    devices: tuple[Device, ...]
    reason: str
    process: int


_lock = threading.RLock()
_kept: list[_Found] = []
_placed: dict[object, tuple[Device, ...]] = {}  # by block, since those of threads end out of turn; the last counts


def _renew_lock() -> None:
    """A process forked while another thread searched would wait for that thread for ever."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def devices() -> tuple[Device, ...]:
    """
    Return the devices that can be used, by number; none where there are none, and `why_none` says why.

    Searched once in a process and kept. Nothing is imported where there is no driver; else CuPy, about 1 s.
    """
    return _look().devices


def default_device() -> Device:
    """
    Return the first device.

    Raises
    ------
    BackendUnavailable : there is none; the message is that of `why_none`.
    """
    found = _look()
    if not found.devices:
        raise BackendUnavailable(found.reason)
    return found.devices[0]


def why_none() -> str:
    """Return in one line why no GPU can be used and what to do about it; empty where one can."""
    return _look().reason


@contextmanager
def using(those: Iterable[Device]) -> Iterator[tuple[Device, ...]]:
    """
    Put other devices in the place of those found, in all threads, until the block ends; for tests and stand-ins.

    Without any, the block runs as on a machine that has none.
    """
    given, block = tuple(those), object()
    with _lock:
        _placed[block] = given
    try:
        yield given
    finally:
        with _lock:
            del _placed[block]


def placed() -> tuple[Device, ...]:
    """Return the devices that `using` has put in place; none where it has not. Searches nothing."""
    with _lock:
        return next(reversed(_placed.values())) if _placed else ()


def _look() -> _Found:
    with _lock:
        if _placed:
            those = placed()
            return _Found(those, "" if those else "no device was put in place", os.getpid())
        if not _kept:
            _kept.append(_search())
        found = _kept[0]
    if found.devices and found.process != os.getpid():
        return _Found((), driver_fault(3, None), found.process)  # CUDA does not outlive a fork
    return found


def _search() -> _Found:
    """Look for devices: the driver first, which costs nothing where it is missing; CuPy last."""
    import importlib.metadata

    driver = read_driver()
    installed = installed_cupy()
    reason = driver.problem or cupy_problem(installed, driver.cuda)
    if not reason:
        name = next(iter(installed))
        needs = importlib.metadata.requires(name) or []
        reason = numpy_problem(name, needs, importlib.metadata.version("numpy"))
    if reason:
        return _Found((), reason, os.getpid())
    try:
        from tradeutils.device import cuda
    except (ImportError, AttributeError, OSError, RuntimeError, TypeError) as error:
        return _Found((), import_problem(name, error, driver.cuda), os.getpid())
    there, problems = cuda.find(name)
    for problem in problems if there else ():
        _log.warning("%s", problem)
    return _Found(there, "" if there else "; ".join(problems), os.getpid())


def installed_cupy() -> dict[str, str]:
    """Return CuPy's packages that are installed, and their versions; nothing is imported."""
    import importlib.metadata  # 10 ms, and this module is loaded with every panel

    found = {}
    for name in CUPY_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
