"""What was done for each account, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradeutils import errors
from tradeutils.balances.suspension import Suspension

__all__ = ["AccountStats", "Counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStats:
    """
    What this process did for an account.

    Attributes
    ----------
    account, venue : str
        Whose.
    attempts : int
        Calls that were let through.
    held_back : int
        Calls that were not, as the account was suspended.
    failures : mapping of str to int
        Of the calls let through, those that failed, by the name of the error; ``"other"``: no error of ours.
    suspensions : int
        How often a failure suspended it, or lengthened that.
    probes : int
        Tries that were made at the end of a suspension.
    suspension : Suspension or None
        The one it is under, as far as this process knows.
    """

    account: str
    venue: str
    attempts: int = 0
    held_back: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    suspensions: int = 0
    probes: int = 0
    suspension: Suspension | None = None


class Counts:
    """The counts of one account, as they grow."""

    __slots__ = ("attempts", "failures", "held_back", "probes", "suspensions")

    def __init__(self) -> None:
        self.attempts = self.held_back = self.suspensions = self.probes = 0
        self.failures: dict[str, int] = {}

    def failed(self, error: BaseException) -> None:
        """Count a failure under the name of its class; there are as many names as this library has errors."""
        kind = type(error).__name__ if isinstance(error, errors.TradeutilsError) else "other"
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def snapshot(self, account: str, venue: str, suspension: Suspension | None) -> AccountStats:
        """Return them as they are now; safe in any thread."""
        return AccountStats(
            account=account,
            venue=venue,
            attempts=self.attempts,
            held_back=self.held_back,
            failures=dict(self.failures),
            suspensions=self.suspensions,
            probes=self.probes,
            suspension=suspension,
        )
