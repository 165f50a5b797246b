"""Which budget is taken where none is named."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from tradeutils.budget.base import Budget
from tradeutils.budget.local import LocalBudget

__all__ = ["default_budget"]


class _ProcessBudget(LocalBudget):
    """The one budget of this process; it outlives who uses it."""

    async def aclose(self) -> None:
        """Do nothing: others use it."""


_lock = threading.Lock()
_process = _ProcessBudget()
_shared: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _after_fork() -> None:
    global _lock, _process, _shared
    _lock, _process, _shared = threading.Lock(), _ProcessBudget(), weakref.WeakKeyDictionary()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def default_budget(cache: Any = None, *, egress: str = "default") -> Budget:
    """
    Return the budget of who names none: shared through the Redis that ``cache`` lies on, else this process's own.

    Every call with one cache and egress returns the same budget, and so does every call without Redis: two that know
    nothing of each other would spend twice what the venue allows. Close what is returned; it ends with its last user.

    Parameters
    ----------
    cache : Cache or None
        Looked at for ``address`` alone.
    egress : str
        As for `RedisBudget`; without Redis it makes no difference.
    """
    if getattr(cache, "address", None) is None:
        return _process
    from tradeutils.budget.shared import RedisBudget  # only for those who use it

    with _lock:
        budgets: dict[str, RedisBudget] = _shared.setdefault(cache, {})
        found = budgets.get(egress)
        if found is not None and not found.is_closed:
            return found.share()
        made = budgets[egress] = RedisBudget(cache, egress=egress)
        return made
