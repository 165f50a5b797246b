"""Made from the registry: python -m tradeutils.indicators.stub"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import ArrayLike, DTypeLike

from tradeutils.indicators.arrays import Array
from tradeutils.indicators.spec import Indicator

_Result = TypeVar("_Result")

RESULTS: Mapping[str, Any]

def pack(indicator: Indicator, results: Sequence[_Result]) -> Any: ...

__all__ = [
    "Aroon",
    "Bbands",
    "Donchian",
    "Eri",
    "Fisher",
    "HeikinAshi",
    "Ichimoku",
    "Keltner",
    "Kst",
    "Macd",
    "Pivots",
    "Stoch",
    "Stochf",
    "Stochrsi",
    "Supertrend",
    "Vortex",
    "ad",
    "adosc",
    "adx",
    "adxr",
    "alma",
    "ao",
    "apo",
    "aroon",
    "aroonosc",
    "atr",
    "avgprice",
    "bbands",
    "bbands_percent",
    "bbands_width",
    "beta",
    "bop",
    "cci",
    "chaikin_volatility",
    "chop",
    "cmf",
    "cmo",
    "cmou",
    "coppock",
    "correl",
    "dema",
    "donchian",
    "dpo",
    "dx",
    "efi",
    "ema",
    "eri",
    "fisher",
    "garman_klass",
    "heikin_ashi",
    "hma",
    "ichimoku",
    "kama",
    "keltner",
    "kst",
    "linearreg",
    "linearreg_angle",
    "linearreg_intercept",
    "linearreg_slope",
    "macd",
    "massi",
    "medprice",
    "mfi",
    "midpoint",
    "midprice",
    "minus_di",
    "minus_dm",
    "mom",
    "natr",
    "nvi",
    "obv",
    "parkinson",
    "percentile",
    "percentrank",
    "pivots",
    "plus_di",
    "plus_dm",
    "ppo",
    "pvi",
    "pvt",
    "realized_volatility",
    "rma",
    "roc",
    "rocp",
    "rocr",
    "rocr100",
    "rolling_max",
    "rolling_median",
    "rolling_min",
    "rolling_sum",
    "rolling_vwap",
    "rsi",
    "rvol",
    "sar",
    "session_vwap",
    "sma",
    "stddev",
    "stoch",
    "stochf",
    "stochrsi",
    "supertrend",
    "t3",
    "tema",
    "trange",
    "trima",
    "trix",
    "tsf",
    "tsi",
    "typprice",
    "ultosc",
    "var",
    "vortex",
    "vwap",
    "vwma",
    "wclprice",
    "willr",
    "wma",
    "zlema",
    "zscore",
]

def sma(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def ema(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rma(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def dema(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def tema(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def t3(
    close: ArrayLike,
    /,
    period: int = 5,
    vfactor: float = 0.7,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def trima(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def hma(
    close: ArrayLike,
    /,
    period: int = 20,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def zlema(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def kama(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def alma(
    close: ArrayLike,
    /,
    period: int = 9,
    offset: float = 0.85,
    sigma: float = 6.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def vwma(
    close: ArrayLike,
    volume: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def midpoint(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def midprice(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def wma(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def bbands(
    close: ArrayLike,
    /,
    period: int = 20,
    deviations: float = 2.0,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Bbands[Array]: ...
def atr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def bbands_percent(
    close: ArrayLike,
    /,
    period: int = 20,
    deviations: float = 2.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def bbands_width(
    close: ArrayLike,
    /,
    period: int = 20,
    deviations: float = 2.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def keltner(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 20,
    atr_period: int = 10,
    multiplier: float = 2.0,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Keltner[Array]: ...
def trange(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def natr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def realized_volatility(
    close: ArrayLike,
    /,
    period: int = 20,
    bars_per_year: float = 0.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def parkinson(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 20,
    bars_per_year: float = 0.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def garman_klass(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 20,
    bars_per_year: float = 0.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def chaikin_volatility(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 10,
    roc_period: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def donchian(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 20,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Donchian[Array]: ...
def rsi(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
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
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Macd[Array]: ...
def mom(
    close: ArrayLike,
    /,
    period: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def roc(
    close: ArrayLike,
    /,
    period: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rocp(
    close: ArrayLike,
    /,
    period: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rocr(
    close: ArrayLike,
    /,
    period: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rocr100(
    close: ArrayLike,
    /,
    period: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def apo(
    close: ArrayLike,
    /,
    fast: int = 12,
    slow: int = 26,
    matype: int = 1,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def ppo(
    close: ArrayLike,
    /,
    fast: int = 12,
    slow: int = 26,
    matype: int = 1,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def trix(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def ao(
    high: ArrayLike,
    low: ArrayLike,
    /,
    fast: int = 5,
    slow: int = 34,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def kst(
    close: ArrayLike,
    /,
    roc1: int = 10,
    roc2: int = 15,
    roc3: int = 20,
    roc4: int = 30,
    sma1: int = 10,
    sma2: int = 10,
    sma3: int = 10,
    sma4: int = 15,
    signal: int = 9,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Kst[Array]: ...
def coppock(
    close: ArrayLike,
    /,
    period: int = 10,
    fast: int = 11,
    slow: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def eri(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 13,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Eri[Array]: ...
def willr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def cmo(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def cmou(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def stochrsi(
    close: ArrayLike,
    /,
    period: int = 14,
    fastk_period: int = 5,
    fastd_period: int = 3,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Stochrsi[Array]: ...
def ultosc(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period1: int = 7,
    period2: int = 14,
    period3: int = 28,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def bop(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def tsi(
    close: ArrayLike,
    /,
    first: int = 25,
    second: int = 13,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def fisher(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 9,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Fisher[Array]: ...
def stoch(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    fastk_period: int = 5,
    slowk_period: int = 3,
    slowd_period: int = 3,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Stoch[Array]: ...
def stochf(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    fastk_period: int = 5,
    fastd_period: int = 3,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Stochf[Array]: ...
def cci(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def mfi(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def aroon(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Aroon[Array]: ...
def aroonosc(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def sar(
    high: ArrayLike,
    low: ArrayLike,
    /,
    acceleration: float = 0.02,
    maximum: float = 0.2,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def ichimoku(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    tenkan: int = 9,
    kijun: int = 26,
    senkou: int = 52,
    displacement: int = 26,
    lookahead: int = 0,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Ichimoku[Array]: ...
def dpo(
    close: ArrayLike,
    /,
    period: int = 20,
    lookahead: int = 0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def vortex(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Vortex[Array]: ...
def chop(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def massi(
    high: ArrayLike,
    low: ArrayLike,
    /,
    fast: int = 9,
    slow: int = 25,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def adx(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    smoothing: int = 0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def adxr(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def dx(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def plus_di(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def minus_di(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def plus_dm(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def minus_dm(
    high: ArrayLike,
    low: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def supertrend(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    period: int = 10,
    multiplier: float = 3.0,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Supertrend[Array]: ...
def ad(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def adosc(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    fast: int = 3,
    slow: int = 10,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def cmf(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    period: int = 20,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def efi(
    close: ArrayLike,
    volume: ArrayLike,
    /,
    period: int = 13,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def pvt(
    close: ArrayLike,
    volume: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def nvi(
    close: ArrayLike,
    volume: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def pvi(
    close: ArrayLike,
    volume: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rvol(
    volume: ArrayLike,
    /,
    period: int = 20,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def vwap(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def session_vwap(
    time: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    hours: float = 24.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def obv(
    close: ArrayLike,
    volume: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rolling_vwap(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    volume: ArrayLike,
    /,
    period: int = 20,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def stddev(
    close: ArrayLike,
    /,
    period: int = 5,
    deviations: float = 1.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def var(
    close: ArrayLike,
    /,
    period: int = 5,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def zscore(
    close: ArrayLike,
    /,
    period: int = 20,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def linearreg(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def linearreg_intercept(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def linearreg_slope(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def linearreg_angle(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def tsf(
    close: ArrayLike,
    /,
    period: int = 14,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def correl(
    close: ArrayLike,
    other: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def beta(
    close: ArrayLike,
    other: ArrayLike,
    /,
    period: int = 5,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def percentrank(
    close: ArrayLike,
    /,
    period: int = 100,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def percentile(
    close: ArrayLike,
    /,
    period: int = 30,
    percentile: float = 50.0,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rolling_median(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rolling_max(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rolling_min(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def rolling_sum(
    close: ArrayLike,
    /,
    period: int = 30,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def avgprice(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def medprice(
    high: ArrayLike,
    low: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def typprice(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def wclprice(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Array | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Array: ...
def heikin_ashi(
    open: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> HeikinAshi[Array]: ...
def pivots(
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    /,
    *,
    out: Sequence[Array] | None = None,
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = ...,
) -> Pivots[Array]: ...

class Bbands(NamedTuple, Generic[_Result]):
    upper: _Result
    middle: _Result
    lower: _Result

class Keltner(NamedTuple, Generic[_Result]):
    upper: _Result
    middle: _Result
    lower: _Result

class Donchian(NamedTuple, Generic[_Result]):
    upper: _Result
    middle: _Result
    lower: _Result

class Macd(NamedTuple, Generic[_Result]):
    macd: _Result
    signal: _Result
    histogram: _Result

class Kst(NamedTuple, Generic[_Result]):
    kst: _Result
    signal: _Result

class Eri(NamedTuple, Generic[_Result]):
    bull: _Result
    bear: _Result

class Stochrsi(NamedTuple, Generic[_Result]):
    fastk: _Result
    fastd: _Result

class Fisher(NamedTuple, Generic[_Result]):
    fisher: _Result
    signal: _Result

class Stoch(NamedTuple, Generic[_Result]):
    slowk: _Result
    slowd: _Result

class Stochf(NamedTuple, Generic[_Result]):
    fastk: _Result
    fastd: _Result

class Aroon(NamedTuple, Generic[_Result]):
    down: _Result
    up: _Result

class Ichimoku(NamedTuple, Generic[_Result]):
    tenkan: _Result
    kijun: _Result
    senkou_a: _Result
    senkou_b: _Result
    chikou: _Result

class Vortex(NamedTuple, Generic[_Result]):
    plus: _Result
    minus: _Result

class Supertrend(NamedTuple, Generic[_Result]):
    supertrend: _Result
    direction: _Result

class HeikinAshi(NamedTuple, Generic[_Result]):
    open: _Result
    high: _Result
    low: _Result
    close: _Result

class Pivots(NamedTuple, Generic[_Result]):
    p: _Result
    r1: _Result
    r2: _Result
    r3: _Result
    s1: _Result
    s2: _Result
    s3: _Result

class Methods(Generic[_Result]):
    def sma(self, period: int = 30) -> _Result: ...
    def ema(self, period: int = 30) -> _Result: ...
    def rma(self, period: int = 30) -> _Result: ...
    def dema(self, period: int = 30) -> _Result: ...
    def tema(self, period: int = 30) -> _Result: ...
    def t3(self, period: int = 5, vfactor: float = 0.7) -> _Result: ...
    def trima(self, period: int = 30) -> _Result: ...
    def hma(self, period: int = 20) -> _Result: ...
    def zlema(self, period: int = 30) -> _Result: ...
    def kama(self, period: int = 30) -> _Result: ...
    def alma(self, period: int = 9, offset: float = 0.85, sigma: float = 6.0) -> _Result: ...
    def vwma(self, period: int = 30) -> _Result: ...
    def midpoint(self, period: int = 14) -> _Result: ...
    def midprice(self, period: int = 14) -> _Result: ...
    def wma(self, period: int = 30) -> _Result: ...
    def bbands(self, period: int = 20, deviations: float = 2.0) -> Bbands[_Result]: ...
    def atr(self, period: int = 14) -> _Result: ...
    def bbands_percent(self, period: int = 20, deviations: float = 2.0) -> _Result: ...
    def bbands_width(self, period: int = 20, deviations: float = 2.0) -> _Result: ...
    def keltner(self, period: int = 20, atr_period: int = 10, multiplier: float = 2.0) -> Keltner[_Result]: ...
    def trange(self) -> _Result: ...
    def natr(self, period: int = 14) -> _Result: ...
    def realized_volatility(self, period: int = 20, bars_per_year: float = 0.0) -> _Result: ...
    def parkinson(self, period: int = 20, bars_per_year: float = 0.0) -> _Result: ...
    def garman_klass(self, period: int = 20, bars_per_year: float = 0.0) -> _Result: ...
    def chaikin_volatility(self, period: int = 10, roc_period: int = 10) -> _Result: ...
    def donchian(self, period: int = 20) -> Donchian[_Result]: ...
    def rsi(self, period: int = 14) -> _Result: ...
    def macd(self, fast: int = 12, slow: int = 26, signal: int = 9) -> Macd[_Result]: ...
    def mom(self, period: int = 10) -> _Result: ...
    def roc(self, period: int = 10) -> _Result: ...
    def rocp(self, period: int = 10) -> _Result: ...
    def rocr(self, period: int = 10) -> _Result: ...
    def rocr100(self, period: int = 10) -> _Result: ...
    def apo(self, fast: int = 12, slow: int = 26, matype: int = 1) -> _Result: ...
    def ppo(self, fast: int = 12, slow: int = 26, matype: int = 1) -> _Result: ...
    def trix(self, period: int = 30) -> _Result: ...
    def ao(self, fast: int = 5, slow: int = 34) -> _Result: ...
    def kst(self, roc1: int = 10, roc2: int = 15, roc3: int = 20, roc4: int = 30, sma1: int = 10, sma2: int = 10, sma3: int = 10, sma4: int = 15, signal: int = 9) -> Kst[_Result]: ...
    def coppock(self, period: int = 10, fast: int = 11, slow: int = 14) -> _Result: ...
    def eri(self, period: int = 13) -> Eri[_Result]: ...
    def willr(self, period: int = 14) -> _Result: ...
    def cmo(self, period: int = 14) -> _Result: ...
    def cmou(self, period: int = 14) -> _Result: ...
    def stochrsi(self, period: int = 14, fastk_period: int = 5, fastd_period: int = 3) -> Stochrsi[_Result]: ...
    def ultosc(self, period1: int = 7, period2: int = 14, period3: int = 28) -> _Result: ...
    def bop(self) -> _Result: ...
    def tsi(self, first: int = 25, second: int = 13) -> _Result: ...
    def fisher(self, period: int = 9) -> Fisher[_Result]: ...
    def stoch(self, fastk_period: int = 5, slowk_period: int = 3, slowd_period: int = 3) -> Stoch[_Result]: ...
    def stochf(self, fastk_period: int = 5, fastd_period: int = 3) -> Stochf[_Result]: ...
    def cci(self, period: int = 14) -> _Result: ...
    def mfi(self, period: int = 14) -> _Result: ...
    def aroon(self, period: int = 14) -> Aroon[_Result]: ...
    def aroonosc(self, period: int = 14) -> _Result: ...
    def sar(self, acceleration: float = 0.02, maximum: float = 0.2) -> _Result: ...
    def ichimoku(self, tenkan: int = 9, kijun: int = 26, senkou: int = 52, displacement: int = 26, lookahead: int = 0) -> Ichimoku[_Result]: ...
    def dpo(self, period: int = 20, lookahead: int = 0) -> _Result: ...
    def vortex(self, period: int = 14) -> Vortex[_Result]: ...
    def chop(self, period: int = 14) -> _Result: ...
    def massi(self, fast: int = 9, slow: int = 25) -> _Result: ...
    def adx(self, period: int = 14, smoothing: int = 0) -> _Result: ...
    def adxr(self, period: int = 14) -> _Result: ...
    def dx(self, period: int = 14) -> _Result: ...
    def plus_di(self, period: int = 14) -> _Result: ...
    def minus_di(self, period: int = 14) -> _Result: ...
    def plus_dm(self, period: int = 14) -> _Result: ...
    def minus_dm(self, period: int = 14) -> _Result: ...
    def supertrend(self, period: int = 10, multiplier: float = 3.0) -> Supertrend[_Result]: ...
    def ad(self) -> _Result: ...
    def adosc(self, fast: int = 3, slow: int = 10) -> _Result: ...
    def cmf(self, period: int = 20) -> _Result: ...
    def efi(self, period: int = 13) -> _Result: ...
    def pvt(self) -> _Result: ...
    def nvi(self) -> _Result: ...
    def pvi(self) -> _Result: ...
    def rvol(self, period: int = 20) -> _Result: ...
    def vwap(self) -> _Result: ...
    def session_vwap(self, hours: float = 24.0) -> _Result: ...
    def obv(self) -> _Result: ...
    def rolling_vwap(self, period: int = 20) -> _Result: ...
    def stddev(self, period: int = 5, deviations: float = 1.0) -> _Result: ...
    def var(self, period: int = 5) -> _Result: ...
    def zscore(self, period: int = 20) -> _Result: ...
    def linearreg(self, period: int = 14) -> _Result: ...
    def linearreg_intercept(self, period: int = 14) -> _Result: ...
    def linearreg_slope(self, period: int = 14) -> _Result: ...
    def linearreg_angle(self, period: int = 14) -> _Result: ...
    def tsf(self, period: int = 14) -> _Result: ...
    def correl(self, period: int = 30) -> _Result: ...
    def beta(self, period: int = 5) -> _Result: ...
    def percentrank(self, period: int = 100) -> _Result: ...
    def percentile(self, period: int = 30, percentile: float = 50.0) -> _Result: ...
    def rolling_median(self, period: int = 30) -> _Result: ...
    def rolling_max(self, period: int = 30) -> _Result: ...
    def rolling_min(self, period: int = 30) -> _Result: ...
    def rolling_sum(self, period: int = 30) -> _Result: ...
    def avgprice(self) -> _Result: ...
    def medprice(self) -> _Result: ...
    def typprice(self) -> _Result: ...
    def wclprice(self) -> _Result: ...
    def heikin_ashi(self) -> HeikinAshi[_Result]: ...
    def pivots(self) -> Pivots[_Result]: ...
