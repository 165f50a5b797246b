"""
What the registry alone determines: a plain function, a method and, for several outputs, a tuple for each indicator.

``generated.pyi`` declares the same for type checkers and editors.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import GenericAlias
from typing import Any, Final, Generic, TypeVar

import numpy as np

from tradeutils.errors import UsageError
from tradeutils.indicators import documents
from tradeutils.indicators.arrays import Array, as_columns, repeated, spread_out
from tradeutils.indicators.evaluate import Request, evaluate, options_of
from tradeutils.indicators.spec import REGISTRY, Indicator

_Result = TypeVar("_Result")
_EMPTY: Final = inspect.Parameter.empty


def _tuple_of(indicator: Indicator) -> Any:
    """Make the tuple of an indicator's outputs; subscripted as ``Macd[Series]`` in annotations."""
    name = documents.result_name(indicator)
    fields = namedtuple(name, indicator.outputs)
    return type(
        name,
        (fields,),
        {
            "__slots__": (),
            "__doc__": documents.result_document(indicator),
            "__module__": __name__,
            "__class_getitem__": classmethod(GenericAlias),
        },
    )


RESULTS: Final[Mapping[str, Any]] = {
    indicator.name: _tuple_of(indicator) for indicator in REGISTRY.values() if len(indicator.outputs) > 1
}
"""The tuple of each indicator of several outputs, by the indicator's name."""


def pack(indicator: Indicator, results: Sequence[Any]) -> Any:
    """Return a single result as it is, several as the indicator's tuple."""
    return RESULTS[indicator.name](*results) if len(results) > 1 else results[0]


def _binder(indicator: Indicator) -> Callable[[Sequence[Any], Mapping[str, Any]], tuple[float, ...]]:
    """Return ``indicator.bind``; what it returns is kept, as most calls give the same values."""

    # By the types as well: True and 1.0 are equal to 1 but no numbers of bars.
    @lru_cache(maxsize=64, typed=True)
    def bound(*positional: Any, **named: Any) -> tuple[float, ...]:
        return indicator.bind(positional, named)

    def bind(positional: Sequence[Any], named: Mapping[str, Any]) -> tuple[float, ...]:
        try:
            return bound(*positional, **named)
        except TypeError:  # not hashable
            return indicator.bind(positional, named)

    return bind


def _function(indicator: Indicator) -> Callable[..., Any]:
    count = len(indicator.inputs)
    bind = _binder(indicator)

    def function(
        *given: Any,
        out: Any = None,
        threads: int | None = None,
        nan: str = "restart",
        compat: str = "talib",
        dtype: Any = np.float64,
        **named: Any,
    ) -> Any:
        if len(given) < count:
            raise UsageError(f"{indicator.name} takes {', '.join(indicator.inputs)} by position: {indicator.signature}")
        values = bind(given[count:], named)
        options = options_of(nan, compat, dtype)
        columns, device = as_columns(given[:count], indicator.inputs)
        if indicator.inputs[0] == "time":
            columns[0] = repeated(columns[0], columns[-1], device)
        names = indicator.outputs
        given = {} if out is None else dict(zip(names, spread_out(out, names), strict=True))
        request = Request(indicator, values, columns, names)
        (results,) = evaluate([request], options, out=given, threads=threads, device=device)
        return pack(indicator, results)

    data = [_argument(name, inspect.Parameter.POSITIONAL_ONLY, "ArrayLike") for name in indicator.inputs]
    options = [
        _argument(name, inspect.Parameter.KEYWORD_ONLY, kind, default)
        for name, (kind, default) in documents.OPTIONS.items()
    ]
    several = len(indicator.outputs) > 1
    returned: Any = f"{documents.result_name(indicator)}[Array]" if several else Array
    _name(function, indicator.name, indicator.name, documents.function_document(indicator))
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*data, *_parameters(indicator), *options], return_annotation=returned
    )
    return function


class Methods(ABC, Generic[_Result]):
    """A method for each indicator; the base of ``Indicators``, which says what a result is."""

    @abstractmethod
    def _result(self, indicator: Indicator, values: tuple[float, ...]) -> Any:
        """Return what the method of this indicator returns."""


def _method(indicator: Indicator) -> Callable[..., Any]:
    bind = _binder(indicator)

    def method(self: Methods[Any], *given: Any, **named: Any) -> Any:
        return self._result(indicator, bind(given, named))

    _name(method, indicator.name, f"Indicators.{indicator.name}", documents.method_document(indicator))
    owner = _argument("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = inspect.Signature([owner, *_parameters(indicator)])  # type: ignore[attr-defined]
    return method


def _parameters(indicator: Indicator) -> list[inspect.Parameter]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [_argument(p.name, kind, int if p.whole else float, p.default) for p in indicator.parameters]


def _argument(name: str, kind: Any, annotation: Any = _EMPTY, default: Any = _EMPTY) -> inspect.Parameter:
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _name(function: Callable[..., Any], name: str, qualified: str, document: str) -> None:
    function.__name__ = name
    function.__qualname__ = qualified
    function.__doc__ = document


__all__ = [*REGISTRY, *(made.__name__ for made in RESULTS.values())]

for _indicator in REGISTRY.values():
    globals()[_indicator.name] = _function(_indicator)
    setattr(Methods, _indicator.name, _method(_indicator))
for _made in RESULTS.values():
    globals()[_made.__name__] = _made
