"""What the doctor says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Finding", "State", "gib"]

State: TypeAlias = Literal["ok", "warning", "missing", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Attributes
    ----------
    name : str
        What: ``"redis"``.
    state : str
        ``"ok"``; ``"warning"``: it works, but; ``"missing"``: optional and not there; ``"failed"``: asked for and
        not there.
    found : str
        What was found, in one line.
    remedy : str
        What to do; empty where there is nothing to do.
    details : dict
        The same in figures, for ``--json``.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def gib(size: int | None) -> str:
    """Return a size as ``"15.0 GiB"``."""
    return "not known" if size is None else f"{size / 2**30:.1f} GiB"
