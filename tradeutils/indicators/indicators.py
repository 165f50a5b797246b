"""``Indicators``, an object to ask for indicators of one set of data, and ``compute``, many of them in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike

from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.arrays import Array
from tradeutils.indicators.evaluate import Options, Request, check_backend, check_tail, evaluate
from tradeutils.indicators.generated import Methods, pack
from tradeutils.indicators.sources import source_of
from tradeutils.indicators.spec import Indicator, Spec, parse_all
from tradeutils.indicators.stored import compute_source, compute_stored, refuse_executor, stored_of
from tradeutils.indicators.threads import thread_count
from tradeutils.model import Candles, DevicePanel, Panel
from tradeutils.model.stored import Executors, Stored

if TYPE_CHECKING:
    import pandas as pd

    from tradeutils.device import Device

__all__ = ["Indicators", "compute"]

_Result = TypeVar("_Result")


class Indicators(Methods[_Result]):
    """
    Indicators of one set of data, with results in its kind.

    A method for each indicator (``ind.rsi(14)``, ``ind.macd(12, 26, 9).histogram``), and ``compute`` for many.

    Parameters
    ----------
    data : Candles, Panel, DataFrame, Series or array
        - Candles: results are float64 arrays (T,). Bars still forming are computed as they stand.
        - Panel: float64 arrays (T, S), NaN where unknown; a missing candle restarts its symbol.
        - DataFrame with a column close (or high and low), any case: OHLCV of one symbol; Series and DataFrames.
        - Any other DataFrame: each column is the closes of one symbol; results are DataFrames.
        - Series or array, (T,) or (T, S): closes.
        - Arrow table with OHLCV columns, or Arrow array of closes: Arrow arrays and tables, NaN where unknown.
        - What ``history.select(...)`` returns: candles on disk, read when they are computed; arrays (T, S).
        - A DevicePanel, or closes in the memory of a GPU (CuPy's, or any array with ``__cuda_array_interface__`` or
          DLPack; float64 or float32): computed there, and results are CuPy arrays there. A DevicePanel is computed
          with the bars that it has at that moment.
    backend : str
        Where data of the host are computed. ``"cpu"``; ``"cuda"``: they are sent to all GPUs by blocks of symbols, and
        the results back; ``"auto"``: the CPU, or a GPU where that has been measured to be faster: calls are timed, and
        the GPU is tried once where the transfer alone would take clearly less time than the CPU took. What lies on a
        GPU is computed there with ``"cuda"`` and ``"auto"``. A ``Stream`` is always computed on the CPU.
    threads : int, optional
        Of the CPU. Default: TRADEUTILS_THREADS, else all cores this process may run on.
    nan : str
        After a missing bar inside a series, averages and sums since the start begin anew (``"restart"``), stay unknown
        (``"propagate"``), or go on as if the bar were not there (``"hold"``). Windows recover in any case.
    compat : str
        Whose definition where they differ: ``"talib"`` or ``"tradingview"``.
    dtype : float64 or float32
        Of the results; they are computed in float64.

    Raises
    ------
    UsageError : data of another kind, ``threads`` below 1, or another dtype; ``"cpu"`` for data on a GPU.
    UnknownName : no such backend, ``nan`` or ``compat``.
    BackendUnavailable : ``"cuda"``, or data on a GPU, and no GPU that can be used; says why, and what to do.

    Notes
    -----
    Nothing is computed before it is asked for, and nothing is kept: the second ``ind.rsi(14)`` computes again.
    The first use of an indicator on a machine compiles it (about a second, logged at INFO on
    ``tradeutils.indicators``); later processes load it from disk. Safe from many threads at once.

    A GPU gives the CPU's bits, but for two things, which differ by some 1e-12 of their size: what takes exponentials or
    angles, and sums since the start, as ``obv``, of few symbols over many bars, which it adds in another order.

    Examples
    --------
    >>> import numpy as np
    >>> Indicators(np.array([1.0, 2.0, 3.0, 4.0])).sma(2)
    array([nan, 1.5, 2.5, 3.5])
    """

    @overload
    def __init__(
        self: Indicators[Array],
        data: Candles | Panel | DevicePanel | Stored | Array,
        *,
        backend: str = "auto",
        threads: int | None = None,
        nan: str = "restart",
        compat: str = "talib",
        dtype: DTypeLike = np.float64,
    ) -> None: ...

    @overload
    def __init__(
        self: Indicators[Any],
        data: pd.DataFrame | pd.Series[Any],
        *,
        backend: str = "auto",
        threads: int | None = None,
        nan: str = "restart",
        compat: str = "talib",
        dtype: DTypeLike = np.float64,
    ) -> None: ...

    def __init__(
        self,
        data: Any,
        *,
        backend: str = "auto",
        threads: int | None = None,
        nan: str = "restart",
        compat: str = "talib",
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.backend = check_backend(backend)  # before the data are read
        self._options = Options(nan, compat, dtype)
        if threads is not None:
            thread_count(threads)
        self.threads = threads
        self._kind = type(data).__name__
        self._stored = stored_of(data)
        if self._stored is None:
            self._source = source_of(data)
            _check_place(self._source.device, backend)

    @overload
    def compute(
        self: Indicators[Array],
        specs: Iterable[str],
        *,
        tail: int | None = None,
        out: Mapping[str, Array] | None = None,
        dtype: DTypeLike | None = None,
        executor: Executors | None = None,
    ) -> dict[str, Array]: ...

    @overload
    def compute(
        self: Indicators[Any],
        specs: Iterable[str],
        *,
        tail: int | None = None,
        out: Mapping[str, Array] | None = None,
        dtype: DTypeLike | None = None,
        executor: Executors | None = None,
    ) -> Any: ...

    def compute(
        self,
        specs: Iterable[str],
        *,
        tail: int | None = None,
        out: Mapping[str, Any] | None = None,
        dtype: DTypeLike | None = None,
        executor: Executors | None = None,
    ) -> Any:
        """
        Compute many indicators.

        Parameters
        ----------
        specs : iterable of str
            ``"rsi:14"``, ``"macd:12,26,9"``, ``"bbands"`` (parameters left out take their defaults).
        tail : int, optional
            Return only this many of the last rows; all earlier rows still count, but none of them is stored, or brought
            back from a GPU.
        out : mapping of str to array, optional
            Results to fill, by key; of the shape and dtype of the result. For other keys memory is found. For data on a
            GPU they are arrays there.
        dtype : float64 or float32, optional
            Of the results, where it is to be another than that of this object.
        executor : Executor or Dask Client, optional
            For what ``history.select(...)`` returns: reads and computes groups of symbols there, one thread each
            unless ``threads`` says otherwise. The values are the same to the last bit.

        Returns
        -------
        dict of float64 arrays, or a DataFrame
            By the spec as written, ``"rsi:14"``; for several outputs ``"macd:12,26,9.signal"``. For a DataFrame
            with a column for each symbol, columns are (key, symbol), or the symbols alone if there is one key.

        Raises
        ------
        UnknownName : no such indicator, or a key of ``out`` that is not asked for.
        UsageError : a parameter out of its range, data without a column that an indicator needs, or an ``out`` that
            does not fit; an ``executor`` for data in memory.
        HistoryError : workers died again and again at the same symbols.
        DeviceOutOfMemory : the memory of the GPU does not hold one symbol, or the results of data that lie there.

        Notes
        -----
        Everything is computed in one pass: each column is read once, and what several specs share (a true range, the
        same average) is computed once. Of candles on disk there is never more in memory than some groups of symbols,
        and the results: with ``tail=1`` those of 10,000 symbols are small.
        """
        wanted = check_tail(tail)
        asked = parse_all(specs)
        options = self._options if dtype is None else replace(self._options, dtype=dtype)
        if out is not None:
            self._check_out(out, [key for spec in asked for key in spec.keys])
        given, threads = out or {}, self.threads
        if self._stored is not None:
            return compute_stored(
                self._stored,
                asked,
                options,
                tail=wanted,
                out=given,
                threads=threads,
                executor=executor,
                backend=self.backend,
            )
        refuse_executor(executor, self._kind)
        source = self._source.now()
        results = compute_source(source, asked, options, tail=wanted, out=given, threads=threads, backend=self.backend)
        return source.many(results)

    def _result(self, indicator: Indicator, values: tuple[float, ...]) -> Any:
        if self._stored is not None:
            spec = Spec(indicator.label(values), indicator, values)
            results = compute_stored(self._stored, [spec], self._options, threads=self.threads, backend=self.backend)
            return pack(indicator, list(results.values()))
        source = self._source.now()
        request = Request(indicator, values, source.columns(indicator), indicator.outputs)
        (arrays,) = evaluate([request], self._options, threads=self.threads, backend=self.backend, device=source.device)
        label = indicator.label(values)
        return pack(indicator, [source.one(label, array) for array in arrays])

    def _check_out(self, out: Mapping[str, Any], keys: list[str]) -> None:
        if not isinstance(out, Mapping):
            raise UsageError(
                f'out was {type(out).__name__}; give a dict of arrays by key: {{"{(keys or ["rsi:14"])[0]}": array}}'
            )
        for name in out.keys() - set(keys):
            raise UnknownName("key of out", name, keys)


def _check_place(device: Device | None, backend: str) -> None:
    """Refuse to compute on the CPU what lies on a device."""
    if device is not None and backend == "cpu":
        raise UsageError(
            f'backend was "cpu" and the data lie on {device.name}; write backend="cuda" or "auto", or bring them to '
            "the host: panel.to_host() of a DevicePanel, cupy.asnumpy(array) of an array"
        )


@overload
def compute(
    data: Candles | Panel | DevicePanel | Stored | Array,
    specs: Iterable[str],
    *,
    tail: int | None = None,
    out: Mapping[str, Array] | None = None,
    backend: str = "auto",
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = np.float64,
    executor: Executors | None = None,
) -> dict[str, Array]: ...


@overload
def compute(
    data: pd.DataFrame | pd.Series[Any],
    specs: Iterable[str],
    *,
    tail: int | None = None,
    out: Mapping[str, Array] | None = None,
    backend: str = "auto",
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = np.float64,
    executor: Executors | None = None,
) -> pd.DataFrame: ...


def compute(
    data: Any,
    specs: Iterable[str],
    *,
    tail: int | None = None,
    out: Mapping[str, Array] | None = None,
    backend: str = "auto",
    threads: int | None = None,
    nan: str = "restart",
    compat: str = "talib",
    dtype: DTypeLike = np.float64,
    executor: Executors | None = None,
) -> Any:
    """
    Compute many indicators of one set of data: ``Indicators(data).compute(specs)`` in one call.

    Parameters
    ----------
    data, backend, threads, nan, compat, dtype
        As for :class:`Indicators`.
    specs, tail, out, executor
        As for :meth:`Indicators.compute`.

    Returns
    -------
    dict of float64 arrays for Candles, Panel, arrays and candles on disk, else a DataFrame on the same index.

    Examples
    --------
    >>> import numpy as np
    >>> compute(np.array([1.0, 2.0, 3.0, 4.0]), ["sma:2", "ema:2"], tail=1)
    {'sma:2': array([3.5]), 'ema:2': array([3.5])}
    """
    asked: Indicators[Any] = Indicators(data, backend=backend, threads=threads, nan=nan, compat=compat, dtype=dtype)
    return asked.compute(specs, tail=tail, out=out, executor=executor)
