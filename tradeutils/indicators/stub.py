"""
The type stub of what is made from the registry.

``python -m tradeutils.indicators.stub`` writes ``generated.pyi`` anew; a test fails while it is out of date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tradeutils.indicators.documents import result_name
from tradeutils.indicators.spec import REGISTRY, Indicator

__all__ = ["PATH", "stub"]

PATH: Final = Path(__file__).with_name("generated.pyi")
"""Where the stub lies."""

_STUB_HEAD: Final = '''"""Made from the registry: python -m tradeutils.indicators.stub"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import ArrayLike, DTypeLike

from tradeutils.indicators.arrays import Array
from tradeutils.indicators.spec import Indicator

_Result = TypeVar("_Result")

RESULTS: Mapping[str, Any]

def pack(indicator: Indicator, results: Sequence[_Result]) -> Any: ...
'''


def stub() -> str:
    """Return the text of ``generated.pyi``."""
    names = sorted([*REGISTRY, *(result_name(one) for one in REGISTRY.values() if len(one.outputs) > 1)])
    parts = [_STUB_HEAD, "\n__all__ = [\n", *(f'    "{name}",\n' for name in names), "]\n\n"]
    parts += [_function_stub(indicator) for indicator in REGISTRY.values()]
    parts += [_result_stub(indicator) for indicator in REGISTRY.values() if len(indicator.outputs) > 1]
    parts += ["\nclass Methods(Generic[_Result]):\n"]
    parts += [_method_stub(indicator) for indicator in REGISTRY.values()]
    return "".join(parts)


def _typed(indicator: Indicator) -> list[str]:
    return [
        f"{parameter.name}: {'int' if parameter.whole else 'float'} = {parameter.default}"
        for parameter in indicator.parameters
    ]


def _function_stub(indicator: Indicator) -> str:
    several = len(indicator.outputs) > 1
    arguments = [
        *(f"{name}: ArrayLike" for name in indicator.inputs),
        "/",
        *_typed(indicator),
        "*",
        f"out: {'Sequence[Array]' if several else 'Array'} | None = None",
        "threads: int | None = None",
        'nan: str = "restart"',
        'compat: str = "talib"',
        "dtype: DTypeLike = ...",
    ]
    returned = f"{result_name(indicator)}[Array]" if several else "Array"
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return f"def {indicator.name}(\n{lines}) -> {returned}: ...\n"


def _result_stub(indicator: Indicator) -> str:
    fields = "".join(f"    {output}: _Result\n" for output in indicator.outputs)
    return f"\nclass {result_name(indicator)}(NamedTuple, Generic[_Result]):\n{fields}"


def _method_stub(indicator: Indicator) -> str:
    several = len(indicator.outputs) > 1
    returned = f"{result_name(indicator)}[_Result]" if several else "_Result"
    return f"    def {indicator.name}({', '.join(['self', *_typed(indicator)])}) -> {returned}: ...\n"


if __name__ == "__main__":
    PATH.write_text(stub(), encoding="utf-8")
