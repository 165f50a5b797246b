"""What importing the library costs, and that its names lead where they should."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tradeutils

HEAVY = {"aiohttp", "asyncio", "ccxt", "cupy", "numba", "numpy", "pandas", "plotly", "pyarrow", "redis", "rich"}


def loaded_after(code: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after running ``code``."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


def test_importing_loads_no_heavy_package() -> None:
    """``import tradeutils`` loads its own name, the version and nothing that takes time."""
    added = loaded_after("import tradeutils") - loaded_after("")
    assert added & HEAVY == set()
    assert {name for name in added if name.startswith("tradeutils")} == {"tradeutils", "tradeutils._version"}


@pytest.mark.parametrize("name", ["errors", "timeframe"])
def test_low_rooms_load_no_exchange_and_no_frames(name: str) -> None:
    """Errors and timeframes serve programs that never speak to a venue."""
    added = loaded_after(f"import tradeutils; tradeutils.{name}")
    assert added & {"ccxt", "pandas", "numba", "redis", "pyarrow"} == set()


@pytest.mark.parametrize("name", ["Candles", "Settings", "Cache", "codec"])
def test_rooms_load_only_what_they_use(name: str) -> None:
    """Values, settings, the memory cache and the codec need neither ccxt nor pandas nor numba."""
    added = loaded_after(f"import tradeutils; tradeutils.{name}")
    assert added & {"ccxt", "pandas", "numba", "pyarrow"} == set()


@pytest.mark.parametrize("name", tradeutils.__all__)
def test_every_public_name_resolves(name: str) -> None:
    """What ``__all__`` promises is there."""
    assert getattr(tradeutils, name) is not None


def test_names_are_listed_before_they_are_loaded() -> None:
    """``dir`` shows every public name, so that completion in a shell finds them."""
    assert set(tradeutils.__all__) <= set(dir(tradeutils))


def test_misspelt_name_is_answered_with_the_nearest() -> None:
    """An attribute that is not there names the one that was probably meant."""
    with pytest.raises(AttributeError, match=r"has no attribute 'Exchnage'; did you mean Exchange"):
        _ = tradeutils.Exchnage
