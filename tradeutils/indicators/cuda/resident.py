"""Indicators of columns that lie on a device: results are made there, and no column and no result travels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tradeutils.device import Device, DeviceArray, as_device_array, is_device_array
from tradeutils.errors import UsageError
from tradeutils.indicators.arrays import check_out
from tradeutils.indicators.asked import Asked, Request, asked_of, distinct, matrix, move_back
from tradeutils.indicators.cuda.engine import compute
from tradeutils.indicators.cuda.plans import batches_of

if TYPE_CHECKING:
    from tradeutils.indicators.evaluate import Options

__all__ = ["evaluate_on"]


def evaluate_on(
    device: Device,
    requests: Sequence[Request],
    options: Options,
    *,
    tail: int | None,
    out: Mapping[str, Any],
) -> list[list[DeviceArray]]:
    """
    Compute indicators of columns on a device; as ``evaluate.evaluate``, which calls this.

    Parameters
    ----------
    requests : sequence of Request
        Of device arrays (T,) or (T, S), float64 or float32.
    out : mapping of str to device array
        Results to fill; each may be of another library, if it lies on this device.

    Returns
    -------
    For each request a device array for each output. They may still be being computed: what reads them on the same
    stream waits, as does a download.
    """
    columns, names = distinct(requests, device.address)
    first = requests[0].columns[0]
    rows = len(first)
    shape = (rows if tail is None else min(tail, rows), *first.shape[1:])
    turned = first.ndim == 2 and first.flags.f_contiguous and not first.flags.c_contiguous
    wanted = tuple([(one.indicator, one.values, called) for one, called in zip(requests, names, strict=True)])
    asked = asked_of(wanted, options.compat)
    keys = [name for request in requests for name in request.names]
    given = {name: _filled(array, name, device) for name, array in out.items()}
    check_out({name: _outline(array, device) for name, array in given.items()}, shape, options.dtype)
    places = {at: given[key] for at, key in enumerate(keys) if key in given}
    made = _made(device, asked, columns, shape, options, turned, places)
    returned = [out.get(key, array) for key, array in zip(keys, made, strict=True)]
    results = iter(returned)
    return [[next(results) for _ in request.names] for request in requests]


def _made(
    device: Device,
    asked: Asked,
    columns: Sequence[DeviceArray],
    shape: tuple[int, ...],
    options: Options,
    turned: bool,
    given: Mapping[int, DeviceArray],
) -> list[DeviceArray]:
    """Return all results, of which ``given`` are filled."""
    known = asked.known(len(columns[0])) if 0 not in shape else []
    outlines = [_outline(column, device) for column in columns]
    apart = {
        at: matrix(array)
        for at, array in given.items()
        if not any(np.may_share_memory(_outline(array, device), outline) for outline in outlines)
    }
    batches = batches_of(
        tuple(asked.nodes[at] for at in known), tuple(asked.owners[at] for at in known), tuple(known), options.nan
    )
    fill = {at: apart[at] for at in known if at in apart}
    found = compute(device, batches, columns, shape[0], options.dtype, turned=turned, given=fill)
    made = []
    with device:
        for at in range(len(asked.nodes)):
            if at in found:
                array = found[at][:, 0] if len(shape) == 1 else found[at]
            else:
                array = given[at] if at in given else _new(device.xp, shape, options.dtype, turned)
                array[...] = np.nan
            made.append(array)
        for at, bars in asked.leads:
            move_back(made[at], bars)
        for at, array in given.items():
            if at in found and at not in apart:
                array[...] = made[at]
    return made


def _new(xp: Any, shape: tuple[int, ...], dtype: np.dtype[Any], turned: bool) -> DeviceArray:
    return xp.empty(shape[::-1], dtype).T if turned else xp.empty(shape, dtype)


def _filled(array: Any, name: str, device: Device) -> DeviceArray:
    """Return an array to be filled as one of the device's."""
    if not is_device_array(array):
        raise UsageError(
            f"out for {name} was {type(array).__name__}, and the data are on {device.name}; give a device array"
        )
    return as_device_array(array, device, name=f"out for {name}", writable=True)


class _Outline:
    """Where an array lies, as numpy reads it; nothing of it is ever read."""

    def __init__(self, array: DeviceArray, device: Device) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (device.address(array), False),
            "shape": tuple(array.shape),
            "strides": tuple(array.strides),
            "typestr": np.dtype(array.dtype).str,
        }


def _outline(array: DeviceArray, device: Device) -> Any:
    """
    Return an array of the host's kind over the addresses of one on a device, to ask what memory arrays share.

    Its items must not be touched: they are no memory of the host.
    """
    return np.asarray(_Outline(array, device)) if array.size else np.empty(array.shape, array.dtype)
