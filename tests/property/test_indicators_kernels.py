"""Laws of the kernels, for every operator that an indicator uses: compiled or not, the same arithmetic."""

import importlib
import pkgutil

import numba
import numpy as np
import pytest
from panels import CASES, operators_of, walk

from tradeutils.indicators import REGISTRY, cpu
from tradeutils.indicators.expression import column

SHORT = 4


def operators():
    """Return each operator that an indicator is made of, once, with short parameters that occur."""
    found = {}
    for name, compat in CASES:
        declared = REGISTRY[name].parameters
        lengths = [
            int(min(max(SHORT + at, parameter.lowest), parameter.highest)) if parameter.whole else parameter.default
            for at, parameter in enumerate(declared)
        ]
        for node in REGISTRY[name].expressions(REGISTRY[name].bind(lengths), compat=compat):
            for operator, parameters in operators_of(node):
                if operator.module:  # else there is no kernel: results are shifted when they are stored
                    found.setdefault(operator, parameters)
    return sorted(found.items(), key=lambda one: (one[0].module, one[0].name))


OPERATORS = operators()
FILES = [importlib.import_module(f"{cpu.__name__}.{file.name}") for file in pkgutil.iter_modules(cpu.__path__)]


@pytest.fixture(scope="module", name="columns")
def _columns():
    """Return columns to feed: prices with gaps, an infinity and a flat stretch, times, and a condition."""
    panel = walk(60, 11, moves=0.02, flat=0.2, missing=0.02)
    panel["high"][30, 5] = np.inf
    panel["close"][40:50, 0] = panel["close"][39, 0]
    return [panel[name] for name in ("high", "low", "close", "open", "volume", "other")]


def interpret(monkeypatch):
    """Replace every compiled step in the files of kernels by its Python source."""
    for module in FILES:
        for name, value in vars(module).copy().items():
            if isinstance(value, numba.core.registry.CPUDispatcher):
                monkeypatch.setattr(module, name, value.py_func)


def fed(program, columns):
    """Return what machine code makes of columns, and what it remembers."""
    made = [np.empty(columns[0].shape) for _ in range(program.results)]
    state = cpu.State(program, columns[0].shape[1])
    state.feed(columns, made)
    return made, state.memory


@pytest.mark.parametrize("nan", ["restart", "propagate", "hold"])
@pytest.mark.parametrize(
    ("operator", "parameters"), OPERATORS, ids=[f"{one.module}.{one.name}" for one, _ in OPERATORS]
)
def test_machine_code_equals_python_to_the_bit(operator, parameters, nan, columns, monkeypatch):
    """Compiled and interpreted, a kernel gives and remembers the same bits: no fused or reordered arithmetic."""
    inputs = columns[: operator.inputs]
    names = tuple(map(str, range(operator.inputs)))
    nodes = operator(*map(column, names), *parameters)
    nodes = nodes if isinstance(nodes, tuple) else (nodes,)
    made, memory = fed(cpu.make_program(nodes, names, cpu.MODES[nan]), inputs)
    kernel, width = cpu.kernel_of(operator), inputs[0].shape[1]
    assert ("mode" in kernel.takes) == operator.recursive
    plain = [np.full(inputs[0].shape, 7.0) for _ in nodes]
    state = np.full((kernel.rows(*parameters), width), kernel.fill)
    offered = {"state": state, "seen": 0, "width": width, "mode": cpu.MODES[nan]}
    taken = [value for name, value in offered.items() if name == "width" or name in kernel.takes]
    interpret(monkeypatch)  # once the machine code is there
    with np.errstate(all="ignore"):
        kernel.function(*inputs, *plain, *taken, *parameters)
    for output, want in zip(made, plain, strict=True):
        np.testing.assert_array_equal(output, want)
        assert np.isfinite(want).any()
    np.testing.assert_array_equal(memory, state)
