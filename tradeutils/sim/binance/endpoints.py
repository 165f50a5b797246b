"""An endpoint as data: what answers it, its weight, its parameters, and who may call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tradeutils.sim.binance.parameters import SIGNED, Parameter

__all__ = ["Endpoint", "Table", "Weight", "keyed", "public", "signed"]

Weight: TypeAlias = int | Callable[[dict[str, Any]], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    An endpoint: ``answer`` takes the parameters and, where it is signed, the account before them.

    ``places`` tells that it places an order: such calls are counted by account, and named in the log. ``personal``
    tells that it is about the account of the key, which it takes without a signature.
    """

    answer: Callable[..., Any]
    weight: Weight
    parameters: Sequence[Parameter]
    security: Literal["none", "key", "signed"]
    places: bool = False
    personal: bool = False

    def weigh(self, values: dict[str, Any]) -> int:
        """Return what a call costs."""
        return self.weight if isinstance(self.weight, int) else self.weight(values)


Table: TypeAlias = Mapping[tuple[str, str], Endpoint]
"""Endpoints by method and path."""


def public(answer: Callable[..., Any], weight: Weight, *parameters: Parameter) -> Endpoint:
    """Return an endpoint that anybody may call."""
    return Endpoint(answer, weight, parameters, "none")


def keyed(answer: Callable[..., Any], weight: Weight, *parameters: Parameter) -> Endpoint:
    """Return an endpoint that takes a key, and is about its account."""
    return Endpoint(answer, weight, parameters, "key", personal=True)


def signed(answer: Callable[..., Any], weight: Weight, *parameters: Parameter, places: bool = False) -> Endpoint:
    """Return an endpoint that takes a key and a signature."""
    return Endpoint(answer, weight, (*parameters, *SIGNED), "signed", places)
