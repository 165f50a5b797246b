"""
The call of ours that is under way, and the requests it sends.

One call may send several requests, one after another or at once; ccxt passes neither on, so both travel in
context variables, which the tasks that ccxt starts inherit.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tradeutils.budget.base import Charge, Grant

__all__ = ["Call", "Request", "current_call", "current_request", "header"]


@dataclass(slots=True)
class Call:
    """
    One call of ours.

    Attributes
    ----------
    operation, symbol : str, str or None
        Our method, and its market.
    urgent : bool
        Whether its requests go before those of market data.
    client_id : str or None
        The id that an order is to bear.
    leave_by : float
        Until when its requests wait for room at most, by ``time.monotonic``.
    sent, received : float
        When its last request left and was answered, by `VenueClock.monotonic`.
    status, headers : int or None, mapping
        Of the last reply; ``None`` while there is none.
    order_left, id_left : bool
        Whether a request that may place the order, and one that bears `client_id`, may have reached the venue.
    about_order : bool
        Whether the last request is one that may place the order: only then does `status` say what became of it.
    endpoint : str
        Where the last such request went: ``"private order"``, ccxt's names of the part and the path.
    resent : bool
        Whether the HTTP layer sent a request once more by itself, on another connection.
    banned_for : float or None
        For how long a refusal closed the gate, in seconds.
    decode : callable or None
        Reads the JSON of its replies. ``None``: they may be about money, and keep every digit.
    """

    operation: str
    symbol: str | None = None
    urgent: bool = False
    client_id: str | None = None
    leave_by: float = math.inf
    sent: float = 0.0
    received: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    order_left: bool = False
    id_left: bool = False
    about_order: bool = False
    endpoint: str = ""
    resent: bool = False
    banned_for: float | None = None
    decode: Callable[[str], Any] | None = None


@dataclass(slots=True)
class Request:
    """
    One HTTP request.

    Attributes
    ----------
    charge, grants : Charge, list of Grant
        What it costs, and what was paid: once for each time it is sent.
    endpoint : str
        Where it goes, as in `Call`.
    connections : int
        How often it was given a connection: more than once where it was redirected or sent anew.
    left, left_at : bool, float
        Whether any of it may have reached the venue, and when it went, by ``time.monotonic``.
    places_order, bears_id : bool
        Whether it may place the order that the call is about, and whether it carries the order's id.
    status, headers, body : int or None, mapping, str
        Of its reply; ``None`` while there is none. The last two are not in the repr: venues repeat what they were sent.
    nonce : int or None
        The number that it must be signed with, on venues that want one.
    """

    charge: Charge
    grants: list[Grant] = field(default_factory=list)
    endpoint: str = ""
    connections: int = 0
    left: bool = False
    left_at: float = 0.0
    places_order: bool = False
    bears_id: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str = field(default="", repr=False)
    nonce: int | None = None


current_call: contextvars.ContextVar[Call | None] = contextvars.ContextVar("tradeutils_call", default=None)
current_request: contextvars.ContextVar[Request | None] = contextvars.ContextVar("tradeutils_request", default=None)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header by its name in any case."""
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)
