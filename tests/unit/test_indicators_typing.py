"""What a type checker sees."""

import textwrap

import pytest

from tradeutils.indicators import Indicators

USER = textwrap.dedent(
    """
    from typing import Any, assert_type

    import numpy as np

    from tradeutils.indicators import Indicators, Macd, compute, macd, rsi
    from tradeutils.indicators.arrays import Array
    from tradeutils.model import Candles, Panel


    def arrays(candles: Candles, panel: Panel) -> None:
        ind = Indicators(candles)
        assert_type(ind.rsi(14), Array)
        assert_type(ind.macd(12, 26, 9).histogram, Array)
        assert_type(ind.macd(), Macd[Array])
        assert_type(Indicators(panel, threads=2).bbands(20, 2.0).upper, Array)
        assert_type(ind.compute(["rsi:14"]), dict[str, Array])
        assert_type(compute(panel, ["rsi"], tail=1), dict[str, Array])
        assert_type(rsi([1.0, 2.0]), Array)
        assert_type(macd(np.ones(3), out=(np.ones(3), np.ones(3), np.ones(3))).signal, Array)


    def frames(frame: Any) -> None:
        assert_type(Indicators(frame).rsi(14), Any)


    def slips(candles: Candles) -> None:
        Indicators(candles).rsi("14")  # type: ignore[arg-type]
        Indicators(candles).nothing()  # type: ignore[attr-defined]
        rsi(close=[1.0])  # type: ignore[call-arg]
    """
)


def test_strict_users_see_typed_methods_functions_and_tuples(tmp_path):
    """mypy --strict knows the type of every result, and finds a wrong parameter and a wrong name."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    assert Indicators.__doc__
    user = tmp_path / "user.py"
    user.write_text(USER)
    options = ["--strict", "--follow-imports=silent", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    report, errors, status = api.run([*options, str(user)])
    assert (status, errors) == (0, ""), report
