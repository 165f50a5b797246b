"""Memory of a device that runs out at each of its allocations in turn: results are right or the error says so."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from host_device import HostDevice

from tradeutils.device import using
from tradeutils.errors import DeviceOutOfMemory
from tradeutils.indicators import compute
from tradeutils.model import Panel

SPECS = ["rsi:14", "sma:5", "obv", "bbands:20,2", "vwap", "rsi:3..7"]


class Failing(HostDevice):
    """Refuses one allocation, or all from one on; pinned memory counts too."""

    def __init__(self) -> None:
        super().__init__(optimised=False)
        self.made = 0
        self.refused: range = range(0)

    def _refuse(self) -> None:
        self.made += 1
        if self.made in self.refused:
            raise DeviceOutOfMemory("refused", needed=1, free=0)

    def _kept(self, made: Any) -> Any:
        self._refuse()
        return super()._kept(made)

    def pinned(self, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        self._refuse()
        return super().pinned(shape, dtype)


def made_panel(bars: int, symbols: int) -> Panel:
    random = np.random.default_rng(7)
    close = 100.0 * np.exp(random.normal(0, 0.01, (bars, symbols)).cumsum(axis=0))
    close[random.random(close.shape) < 0.01] = np.nan
    return Panel(
        symbols=[f"S{n}" for n in range(symbols)],
        timeframe="1m",
        time=60_000 * np.arange(bars),
        open=close,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        volume=close * 0.1,
    )


def computed(device: Failing, panel: Panel, resident: bool) -> dict[str, np.ndarray[Any, Any]]:
    """Return results on the host, counted from the first allocation."""
    device.made = 0
    data = panel.to_device(device) if resident else panel
    found = compute(data, SPECS, backend="cuda", tail=40)
    return {key: device.download(one) if resident else one for key, one in found.items()}


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("resident", [False, True], ids=["host", "resident"])
@pytest.mark.parametrize("shape", [(300, 3), (4100, 1), (200, 70)], ids=str)
def test_memory_that_runs_out_anywhere_does_no_harm(shape: tuple[int, int], resident: bool, lasting: bool) -> None:
    """Nothing is kept, not even until garbage is collected; one refusal costs data of the host no more than a try."""
    panel, device = made_panel(*shape), Failing()
    with using([device]):
        want = computed(device, panel, resident)
        count, free = device.made, device.free_bytes()
        assert free == device.total_bytes
        gc.disable()
        try:
            for at in range(1, count + 1):
                device.refused = range(at, 1 << 30) if lasting else range(at, at + 1)
                try:
                    got = computed(device, panel, resident)
                except DeviceOutOfMemory:
                    assert lasting or resident
                else:
                    assert not lasting
                    for key, one in want.items():
                        # Where stages do not fit, a sum is added up in another order.
                        np.testing.assert_allclose(got[key], one, rtol=1e-12, err_msg=f"{key} at {at}")
                    del got
                assert device.free_bytes() == free, at
        finally:
            gc.enable()
        device.refused = range(0)
        for key, one in computed(device, panel, resident).items():
            np.testing.assert_array_equal(one, want[key])
