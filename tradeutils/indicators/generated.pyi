"""Made from the registry: python -m tradeutils.indicators.stub"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import ArrayLike

from tradeutils.indicators.arrays import Array
from tradeutils.indicators.spec import Indicator

_Result = TypeVar("_Result")

RESULTS: Mapping[str, Any]

def pack(indicator: Indicator, results: Sequence[_Result]) -> Any: ...
def sma(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
) -> Array: ...
def ema(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
) -> Array: ...
def bbands(
    close: ArrayLike,
    /,
    period: int = 20,
    deviations: float = 2.0,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
) -> Bbands[Array]: ...
def rsi(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
) -> Array: ...
def macd(
    close: ArrayLike,
    /,
    fast: int = 12,
    slow: int = 26,
    signal: int = 9,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
) -> Macd[Array]: ...
def atr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
) -> Array: ...

class Bbands(NamedTuple, Generic[_Result]):
    upper: _Result
    middle: _Result
    lower: _Result

class Macd(NamedTuple, Generic[_Result]):
    macd: _Result
    signal: _Result
    histogram: _Result

class Methods(Generic[_Result]):
    def sma(self, period: int = 30) -> _Result: ...
    def ema(self, period: int = 30) -> _Result: ...
    def bbands(self, period: int = 20, deviations: float = 2.0) -> Bbands[_Result]: ...
    def rsi(self, period: int = 14) -> _Result: ...
    def macd(self, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd[_Result]: ...
    def atr(self, period: int = 14) -> _Result: ...
