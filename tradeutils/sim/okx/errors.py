"""OKX's errors: a code and words, in the envelope of an answer or beside the order that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.orders import OrderRefused, OrderRequest

__all__ = ["OkxError", "of_refused_order"]

# By code: the status that it is answered with, and the words.
_KNOWN: Final[Mapping[str, tuple[int, str]]] = {
    "50000": (400, "Body for POST request cannot be empty."),
    "50002": (400, "JSON syntax error"),
    "50011": (429, "Too Many Requests"),
    "50014": (400, "Parameter {} cannot be empty."),
    "50015": (400, "Either parameter {} or {} is required."),
    "50025": (200, "Parameter {} count exceeds the limit {}"),
    "50061": (200, "Sub-account rate limit reached. Please throttle your requests."),
    "50102": (401, "Timestamp request expired."),
    "50103": (401, 'Request header "OK-ACCESS-KEY" cannot be empty.'),
    "50104": (401, 'Request header "OK-ACCESS-PASSPHRASE" cannot be empty.'),
    "50105": (401, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.'),
    "50106": (401, 'Request header "OK-ACCESS-SIGN" cannot be empty.'),
    "50107": (401, 'Request header "OK-ACCESS-TIMESTAMP" cannot be empty.'),
    "50111": (401, "Invalid OK-ACCESS-KEY."),
    "50112": (401, "Invalid OK-ACCESS-TIMESTAMP."),
    "50113": (401, "Invalid signature."),
    "50115": (405, "Invalid request method."),
    "51000": (400, "Parameter {} error"),
    "51001": (200, "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
    "51005": (200, "Your order amount exceeds the max order amount."),
    "51006": (200, "Order price is not within the price limit."),
    "51008": (200, "Order failed. Insufficient {} balance in account."),
    "51016": (200, "Client order ID already exists."),
    "51020": (200, "Your order should meet or exceed the minimum order amount."),
    "51022": (200, "Instrument expired or suspended."),
    "51068": (200, "{} already exists within algoClOrdId and attachAlgoClOrdId."),
    "51109": (200, "Order failed. No opponent orders are available."),
    "51111": (200, "Maximum {} orders can be placed in bulk."),
    "51112": (200, "Close order size exceeds your available size."),
    "51121": (200, "Order quantity must be a multiple of the lot size."),
    "51169": (200, "Order failed because you don't have any positions in this direction to reduce or close."),
    "51174": (200, "The number of pending orders reached the upper limit."),
    "51250": (200, "Algo order price is out of the available range."),
    "51400": (200, "Cancellation failed as the order has been filled, canceled or does not exist."),
    "51603": (200, "Order does not exist."),
    "59102": (200, "Leverage exceeds the maximum leverage."),
}
_REFUSED: Final = {
    "balance": "51008",
    "margin": "51008",
    "duplicate": "51016",
    "closed": "51022",
    "empty book": "51109",
    "would trigger": "51250",
    "reduce only": "51169",
    "NOTIONAL": "51020",
    "PERCENT_PRICE_BY_SIDE": "51006",
    "MAX_NUM_ORDERS": "51174",
}


class OkxError(Exception):
    """
    An answer that says no, ``{"code": "50111", "msg": "Invalid OK-ACCESS-KEY.", "data": []}``, or says so of an order.

    Parameters
    ----------
    code : str
        One of those that are known here.
    *parts : str
        What stands in the gaps of its words.
    """

    def __init__(self, code: str, *parts: str) -> None:
        self.code = code
        self.status, words = _KNOWN[code]
        self.message = words.format(*parts)
        super().__init__(code, self.message)


def of_refused_order(refused: OrderRefused, request: OrderRequest, instrument: Instrument) -> OkxError:
    """Return how OKX words the reason."""
    if refused.reason == "PRICE_FILTER":
        return OkxError("51000", "px" if request.trigger is None else "triggerPx")
    if refused.reason == "LOT_SIZE" and request.amount is not None:
        if request.amount < instrument.min_amount:
            return OkxError("51020")
        return OkxError("51005" if request.amount > instrument.max_amount else "51121")
    if refused.reason in ("balance", "margin"):
        spent = instrument.settle or (instrument.quote if request.side == "buy" else instrument.base)
        return OkxError("51008", spent)
    return OkxError(_REFUSED[refused.reason])
