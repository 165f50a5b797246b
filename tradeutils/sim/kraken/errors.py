"""Kraken's errors: words in a list, beside a status of 200."""

from __future__ import annotations

from typing import Final

from tradeutils.sim.orders import OrderRefused

__all__ = ["KrakenError", "RateLimitError", "of_refused_order"]

_REFUSED: Final = {
    "balance": "EOrder:Insufficient funds",
    # That it is unique among open orders is documented; in what words its refusal is told is not.
    "duplicate": "EOrder:Invalid order:cl_ord_id is in use",
    "would trigger": "EOrder:Invalid price:Stop price would trigger at once",
    "would take": "EOrder:Post only order",
    "closed": "EService:Market in cancel_only mode",
    "empty book": "EService:Unavailable",
    "LOT_SIZE": "EGeneral:Invalid arguments:volume",
    "NOTIONAL": "EOrder:Order minimum not met",
    "PRICE_FILTER": "EGeneral:Invalid arguments:price",
    "PERCENT_PRICE_BY_SIDE": "EOrder:Invalid price:Invalid price argument",
    "MAX_NUM_ORDERS": "EOrder:Orders limit exceeded",
}


class KrakenError(Exception):
    """An answer that says no: ``{"error": ["EAPI:Invalid nonce"]}``."""


class RateLimitError(KrakenError):
    """The answer to who asks too much."""

    def __init__(self) -> None:
        super().__init__("EAPI:Rate limit exceeded")


def of_refused_order(refused: OrderRefused) -> KrakenError:
    """Return how Kraken words the reason."""
    return KrakenError(_REFUSED[refused.reason])
