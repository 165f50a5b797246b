"""
The ids that orders bear: what each venue takes, how an order is found by one, and when it is proven not to be there.

An order is sent again only if the first one is certainly not on the venue and will not get there any more. Both are
the venue's matter: what it can be asked by, and after how long it refuses a request that was held up on its way.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradeutils.errors import UsageError

__all__ = ["ClientIds", "Question", "client_ids_of", "lapse_of"]


@dataclass(frozen=True, slots=True)
class Question:
    """
    A call of ccxt that finds an order by its client id.

    Attributes
    ----------
    method : str
        ``"fetch_order"``, which says that there is none, or one that returns a list.
    parameter : str or None
        What the id is handed over as; ``None``: the list is of all orders, and is searched here.
    trigger : bool
        Whether it asks for the orders that wait for a price, where the venue lists those apart.
    """

    method: str
    parameter: str | None = "clientOrderId"
    trigger: bool = False


_DEFAULT_LAPSE_MS: Final = 5_000  # of Binance, bybit and mexc alike

_PLAIN_TYPES: Final = frozenset({"limit", "market"})
# Parameters that do not move an order to another list.
_HARMLESS: Final = frozenset(
    {
        "timeInForce",
        "postOnly",
        "reduceOnly",
        "cost",
        "quoteOrderQty",
        "recvWindow",
        "stopLoss",
        "takeProfit",
        "leverage",
    }
    | {"createMarketBuyOrderRequiresPrice", "positionSide", "hedged", "tdMode", "tgtCcy"}
)

_BY_ID: Final = (Question("fetch_order"),)
_WAITING: Final = (Question("fetch_open_orders", None, trigger=True),)
_WAITING_BY_ID: Final = (Question("fetch_order", trigger=True),)
_LISTS: Final = (Question("fetch_open_orders", None), Question("fetch_closed_orders", None))


@dataclass(frozen=True, slots=True)
class ClientIds:
    """
    A venue's rules for client ids.

    Attributes
    ----------
    pattern, says : str
        What the venue takes, as a regular expression and in words.
    prefix, digits : str, int
        What a generated one starts with, and how many hexadecimal digits follow.
    questions : tuple of Question
        How an order is found, in this order: where it can be moved from one list to the next, none is missed.
    places : tuple of str
        The endpoints ("part path", as ccxt names them) whose orders the questions are about: one of another endpoint
        (margin, triggers) may be there though it is not found. Empty: nobody has checked, and an order may be found,
        but its absence proves nothing.
    triggers : bool
        Whether orders with a trigger, or of a type of the venue's own, stand in the same lists as the others on spot.
    waiting : tuple of Question
        How an order with a trigger is found where they stand apart; the others are asked after these, as it becomes
        an order like them. What is found is found; that none is found proves nothing.
    waiting_as : str or None
        The parameter that hands over the id of an order with a trigger, beside `sent_as`.
    sent_as : str
        The parameter of ccxt's ``create_order`` that hands the id over.
    lapse : float or str
        Seconds after which the venue refuses a request that was signed before, or the option of ccxt that says so
        in milliseconds.
    """

    pattern: str
    says: str
    prefix: str = ""
    digits: int = 32
    questions: tuple[Question, ...] = _BY_ID
    places: tuple[str, ...] = ()
    triggers: bool = False
    waiting: tuple[Question, ...] = _WAITING
    waiting_as: str | None = None
    sent_as: str = "clientOrderId"
    lapse: float | str = 30.0

    def proves(self, endpoint: str, kind: str, params: Mapping[str, Any]) -> bool:
        """Return whether an order that was sent there is not on the venue if it is not found."""
        plain = kind in _PLAIN_TYPES and not (params.keys() - _HARMLESS)
        return endpoint in self.places and (plain or self.triggers)

    def asked(self, kind: str, *, conditional: bool) -> tuple[Question, ...]:
        """Return the questions that find an order in a market of this kind."""
        apart = conditional and not (self.triggers and kind == "spot")
        return (*self.waiting, *self.questions) if apart else self.questions

    def make(self) -> str:
        """Return a new id: random, at least 104 bits of it."""
        return self.prefix + uuid.uuid4().hex[: self.digits]

    def check(self, client_id: object, venue: str) -> str:
        """Return an id that the caller chose, or raise `UsageError` where the venue would not take it."""
        if not isinstance(client_id, str) or re.fullmatch(self.pattern, client_id, re.ASCII) is None:
            raise UsageError(f"client_order_id was {client_id!r}; {venue} takes {self.says}: {self.make()!r}")
        return client_id


_BINANCE: Final = ClientIds(
    r"[.A-Z:/a-z0-9_-]{1,36}",
    "up to 36 of a-z A-Z 0-9 . : / _ -",
    lapse="recvWindow",
    places=("private order", "fapiPrivate order", "dapiPrivate order"),
    triggers=True,
    waiting=_WAITING_BY_ID,
)

# What each takes and how long it honours a signature is from the venue's API documentation as of November 2026; which
# parameter finds an order is read from ccxt's classes (4.5.90).
_VENUES: Final[Mapping[str, ClientIds]] = {
    "binance": _BINANCE,
    "binanceusdm": _BINANCE,
    "binancecoinm": _BINANCE,
    "bybit": ClientIds(
        r"[A-Za-z0-9_-]{1,36}",
        "up to 36 of a-z A-Z 0-9 _ -",
        questions=(
            Question("fetch_open_orders", "orderLinkId"),
            Question("fetch_canceled_and_closed_orders", "orderLinkId"),
        ),
        places=("private v5/order/create",),
        waiting=(
            Question("fetch_open_orders", "orderLinkId", trigger=True),
            Question("fetch_canceled_and_closed_orders", "orderLinkId", trigger=True),
        ),
        lapse="recvWindow",
    ),
    "okx": ClientIds(
        r"[A-Za-z0-9]{1,32}",
        "up to 32 of a-z A-Z 0-9",
        places=("private trade/batch-orders", "private trade/order"),
        waiting=_WAITING_BY_ID,
        waiting_as="algoClOrdId",  # ccxt hands over its own name of the id alone, which that endpoint does not read
    ),
    # Free text up to 18 characters, or a UUID of 32 or 36. A signature holds until a greater nonce is seen, and
    # every look-up brings one.
    "kraken": ClientIds(
        r"[\x21-\x7e]{1,18}|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "up to 18 characters, or a UUID",
        questions=(Question("fetch_open_orders"), Question("fetch_closed_orders")),
        places=("private AddOrder",),
        triggers=True,
        waiting=(),
        lapse=1.0,
    ),
    # A second order of the same id is answered with the first one, whenever it comes. ccxt drops its own name of the
    # parameter and makes up an id.
    "coinbase": ClientIds(
        r"[A-Za-z0-9_-]{1,128}",
        "up to 128 of a-z A-Z 0-9 _ -",
        questions=(Question("fetch_orders", None),),
        places=("v3.private brokerage/orders",),
        triggers=True,
        waiting=(),
        sent_as="client_order_id",
        lapse=1.0,
    ),
    "kucoin": ClientIds(
        r"[A-Za-z0-9_-]{1,40}",
        "up to 40 of a-z A-Z 0-9 _ -",
        places=("private orders", "futuresPrivate orders"),
        waiting=_WAITING_BY_ID,
        lapse=5.0,
    ),
    "gate": ClientIds(
        r"t-[A-Za-z0-9._-]{1,26}",
        'up to 28 of a-z A-Z 0-9 . _ -, of which "t-" comes first',
        "t-",
        26,
        places=("private.spot orders", "private.futures {settle}/orders"),
        lapse=60.0,
    ),
    "bitget": ClientIds(
        r"[A-Za-z0-9_:#-]{1,32}",
        "up to 32 of a-z A-Z 0-9 _ : # -",
        places=(
            "private.uta v3/trade/place-order",
            "private.spot v2/spot/trade/place-order",
            "private.mix v2/mix/order/place-order",
        ),
    ),
    "mexc": ClientIds(
        r"[A-Za-z0-9_-]{1,32}", "up to 32 of a-z A-Z 0-9 _ -", places=("spot.private order",), lapse="recvWindow"
    ),
    # An id is refused a second time within a day.
    "htx": ClientIds(
        r"[A-Za-z0-9_-]{1,64}",
        "up to 64 of a-z A-Z 0-9 _ -",
        places=("spot.private v1/order/orders/place", "contract.private v5/trade/order"),
        waiting=_WAITING_BY_ID,
        lapse=1.0,
    ),
}
_OTHERS: Final = ClientIds(r"[A-Za-z0-9_-]{1,36}", "up to 36 of a-z A-Z 0-9 _ -", questions=_LISTS)


def client_ids_of(venue: str) -> ClientIds:
    """Return a venue's rules; of one that is not in the table what most of them have in common."""
    return _VENUES.get(venue, _OTHERS)


def lapse_of(ids: ClientIds, options: Mapping[str, Any]) -> float:
    """
    Return the seconds after which a signed request is refused, with the options of one instance of ccxt.

    Raises
    ------
    UsageError : an option that is no number of milliseconds.
    """
    if not isinstance(ids.lapse, str):
        return ids.lapse
    given = options.get(ids.lapse) or _DEFAULT_LAPSE_MS
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise UsageError(f"{ids.lapse} was {given!r}; write milliseconds, above 0")
    return given / 1000
