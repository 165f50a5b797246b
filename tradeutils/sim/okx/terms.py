"""What orders, and those that wait for a price, have in common in a call."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.okx.errors import OkxError
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.names import in_base
from tradeutils.sim.orders import Side

__all__ = ["check_mode", "client_id", "quantity", "side_of"]

_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")


def client_id(fields: Fields, name: str) -> str | None:
    """Return the account's own id of an order."""
    given = fields.text(name)
    if given is not None and _CLIENT_ID.fullmatch(given) is None:
        raise OkxError("51000", name)
    return given


def side_of(fields: Fields) -> Side:
    """Return whether an order buys or sells."""
    return "buy" if fields.choice("side", ("buy", "sell")) == "buy" else "sell"


def check_mode(instrument: Instrument, fields: Fields, *modes: str) -> None:
    """Refuse what is not spoken here: isolated margin, loans, positions both ways, orders that come with others."""
    fields.choice("tdMode", modes if instrument.kind == "spot" else ("cross",))
    fields.choice("posSide", ("net",), "net")
    if fields.text("attachAlgoOrds") is not None:
        raise OkxError("51000", "attachAlgoOrds")


def quantity(
    instrument: Instrument, fields: Fields, side: Side, *, market: bool
) -> tuple[Decimal | None, Decimal | None]:
    """Return how much an order is of, in base units, or else in quote, as market orders on spot may be counted."""
    size = fields.decimal("sz")
    if size is None:
        raise OkxError("50014", "sz")
    if market and instrument.kind == "spot":
        usual = "quote_ccy" if side == "buy" else "base_ccy"
        if fields.choice("tgtCcy", ("base_ccy", "quote_ccy"), usual) == "quote_ccy":
            return None, size
    return in_base(size, instrument), None
