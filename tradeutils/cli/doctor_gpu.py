"""What the doctor says of GPUs: what there is, what to install, and whether they compute what the processor does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tradeutils.cli import machine
from tradeutils.cli.endings import one_line
from tradeutils.cli.findings import Finding, gib
from tradeutils.errors import BackendUnavailable, DeviceOutOfMemory, TradeutilsError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tradeutils.device import Device
    from tradeutils.model import Panel

__all__ = ["look_at_gpus"]

_TESTED: Final = ("rsi:14", "sma:20", "macd:12,26,9")
_TOLERANCE: Final = 1e-12  # of the largest value of a result
_BARS, _SYMBOLS = 500, 64


def look_at_gpus() -> Iterator[Finding]:
    """
    Yield what is found of GPUs, and where there is one that can be used, what comes of a test of each.

    Nothing that is missing is a failure; a GPU that computes other numbers is one.
    """
    from tradeutils import device

    cards = machine.read_gpus()
    there = device.devices()
    details = _details(cards, there)
    if there:
        yield Finding("gpu", "ok", _describe(cards, there, details), device.why_none(), details)
        yield from map(_test, there)
        return
    named = ", ".join(f"{card.name} ({gib(card.memory)})" for card in cards)
    found = "none that can be used; indicators use the processor"
    if cards:
        found = f"{named}, driver {cards[0].driver}, CUDA up to {cards[0].cuda or 'unknown'}; {found}"
    yield Finding("gpu", "missing", found, device.why_none(), details)


def _details(cards: list[machine.GPU], there: tuple[Device, ...]) -> dict[str, Any]:
    """Return what is known, in figures; the extra that fits the driver, where there is one."""
    from tradeutils.device.driver import read_driver
    from tradeutils.device.found import installed_cupy
    from tradeutils.device.remedies import extra_for

    driver = read_driver()
    details: dict[str, Any] = {
        "cards": [asdict(card) for card in cards],
        "cupy": installed_cupy(),
        "cuda": None if driver.cuda is None else "{}.{}".format(*driver.cuda),
        "devices": [
            {
                "number": one.number,
                "name": one.name,
                "capability": one.capability,
                "processors": one.processors,
                "total_bytes": one.total_bytes,
                "free_bytes": _free_bytes(one),
                "compiler": one.compiler,
            }
            for one in there
        ],
    }
    if driver.cuda is not None:
        details["extra"] = extra_for(driver.cuda)
    elif cards:
        details["extra"] = machine.cuda_extra(cards[0].cuda)
    return details


def _describe(cards: list[machine.GPU], there: tuple[Device, ...], details: dict[str, Any]) -> str:
    named = ", ".join(f"{one.name} ({gib(one.total_bytes)}, compute capability {one.capability})" for one in there)
    parts = [named]
    if cards:
        parts.append(f"driver {cards[0].driver}")
    if details["cuda"]:
        parts.append(f"CUDA up to {details['cuda']}")
    parts += [f"{name} {version}" for name, version in details["cupy"].items()]
    return ", ".join([*parts, there[0].compiler])


def _free_bytes(device: Device) -> int | None:
    try:
        return device.free_bytes()
    except (BackendUnavailable, DeviceOutOfMemory):  # other programs may have taken all of it; the test says so
        return None


def _test(device: Device) -> Finding:
    """Compute a few indicators of a small panel on a device and on the processor, and compare."""
    from tradeutils.indicators import compute

    name = "gpu test" if device.number == 0 else f"gpu test {device.number}"
    panel = _made_panel()
    began = time.perf_counter()
    try:
        resident = panel.to_device(device)
        ours = {key: device.download(values) for key, values in compute(resident, _TESTED, backend="cuda").items()}
    except (BackendUnavailable, DeviceOutOfMemory) as error:
        return Finding(name, "warning", one_line(str(error)), 'indicators can use the processor: backend="cpu"')
    except TradeutilsError as error:
        return Finding(name, "failed", one_line(str(error)), 'write backend="cpu", and report this')
    seconds = time.perf_counter() - began
    apart = {key: _apart(ours[key], values) for key, values in compute(panel, _TESTED, backend="cpu").items()}
    details = {"apart": apart, "seconds": round(seconds, 3)}
    wrong = [key for key, difference in apart.items() if not difference <= _TOLERANCE]
    if wrong:
        found = f"{', '.join(wrong)} differ from the processor's by {max(apart.values()):.1e} of their scale"
        return Finding(name, "failed", found, 'write backend="cpu", and report this with the output of --json', details)
    found = f"{', '.join(apart)} of {_SYMBOLS} symbols agree with the processor's, {seconds:.1f} s with compilation"
    return Finding(name, "ok", found, details=details)


def _made_panel() -> Panel:
    """Return a panel of made prices: waves of different lengths, with a candle missing here and there."""
    import numpy as np

    from tradeutils.model import Panel

    bars = np.arange(_BARS)[:, None]
    close = 100 + 10 * np.sin(bars / (7 + np.arange(_SYMBOLS))) + np.cos(bars * 1.7)
    close[50::97, ::5] = np.nan
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": np.abs(close)}
    symbols = tuple(f"S{n}/USDT" for n in range(_SYMBOLS))
    return Panel(symbols=symbols, timeframe="1m", time=np.arange(_BARS) * 60_000, **columns)


def _apart(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> float:
    """Return the largest difference over the largest value; infinite where one is NaN and the other is not."""
    import numpy as np

    if ours.shape != theirs.shape or not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        return float("inf")
    there = ~np.isnan(theirs)
    scale = float(np.max(np.abs(theirs[there]), initial=0.0)) or 1.0
    return float(np.max(np.abs(ours[there] - theirs[there]), initial=0.0)) / scale
