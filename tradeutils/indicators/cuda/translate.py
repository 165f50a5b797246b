"""
The kernels of the CPU as C++ for CUDA devices, so that there is one source of arithmetic.

``python -m tradeutils.indicators.cuda.translate`` writes the part of ``kernels.cu`` between its two markers anew; a
test fails while it is out of date. Every operator becomes a class: ``begin`` does what its kernel does before the loop
over bars, ``bar`` what it does at one bar for one symbol. What a kernel says that has no translation raises, with its
file and line: teach ``expressions.py`` or ``statements.py``, or say it otherwise.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import textwrap
from pathlib import Path
from types import FunctionType
from typing import Final

from tradeutils.indicators import expression as expressions_of_indicators
from tradeutils.indicators import operators
from tradeutils.indicators.cpu.program import kernel_of
from tradeutils.indicators.cuda.expressions import step_name
from tradeutils.indicators.cuda.scopes import COLUMN, CPP, STATE, Scope, parsed, python_of
from tradeutils.indicators.cuda.source import class_name
from tradeutils.indicators.cuda.statements import declared, indented, read_first, statements, stored
from tradeutils.indicators.expression import COLUMN as AN_INPUT
from tradeutils.indicators.expression import CONSTANT, LEAD, Operator

__all__ = ["BEGIN", "END", "PATH", "operator_of", "operators_found", "step_of", "translated", "written"]

PATH: Final = Path(__file__).with_name("kernels.cu")
BEGIN: Final = "// begin: made by python -m tradeutils.indicators.cuda.translate\n"
END: Final = "// end\n"

_WIDTH: Final = 120
_NO_PARAMETERS: Final = ("seen", "width", "mode")
_BY_HAND: Final = frozenset({"tu_logarithms_parts"})
"""Steps that the first part of ``kernels.cu`` has: they read the bits of a float."""
_SINGLE: Final[dict[str, tuple[str, ...]]] = {
    "adaptive.pace": ("total", "last"),
    "extremes.bars_since_highest": ("running", "running_at"),
    "extremes.bars_since_lowest": ("running", "running_at"),
    "extremes.channel": ("top", "bottom"),
    "extremes.highest": ("period",),
    "extremes.lowest": ("period",),
    "flows.money_flow_index": ("0", "1", "2", "3", "4", "5", "6"),
    "order.ranked": ("leaving", "placed"),
    "regression.covariance": (
        *("x_anchor", "x_sum", "x_squares", "x_mean"),
        *("y_anchor", "y_sum", "y_squares", "y_mean", "total"),
    ),
    "regression.line": ("anchor", "total", "moment"),
    "regression.standing": ("anchor", "total", "squares"),
    "shares.share_of_totals": ("parts", "wholes"),
    "windows.bands": ("anchor", "sum_", "squares"),
    "windows.deviation": ("anchor", "sum_", "squares"),
    "windows.mean": ("anchor", "sum_"),
    "windows.spread": ("period",),
    "windows.total": ("period",),
    "windows.weighted": ("anchor", "sum_", "moment", "suffix"),
}
"""
Rows beside a window that only this name or number of their kernel reaches. They are variables while a program runs,
and spare it a load and a store at each bar. A row that is missing here costs time; one that another expression reaches
too gives wrong results, which the comparison of all indicators with the CPU shows.
"""
_WITHOUT: Final = frozenset({AN_INPUT, CONSTANT, LEAD})
"""Operators that have no kernel."""


def operators_found() -> list[Operator]:
    """Return every operator that has a kernel, by its module's name and its own."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(operators.__path__, f"{operators.__name__}.")
    ]
    found = {
        value
        for module in (*modules, expressions_of_indicators)
        for value in vars(module).values()
        if isinstance(value, Operator)
    }
    return sorted(found - _WITHOUT, key=lambda operator: (operator.module, operator.name))


def translated() -> str:
    """Return what stands between the markers of ``kernels.cu``."""
    steps: dict[str, list[str]] = {}
    classes: list[str] = []
    for operator in operators_found():
        function = python_of(kernel_of(operator))
        assert function is not None  # noqa: S101  # a kernel is made of one
        lines, needed = operator_of(operator, function)
        for step in needed:
            _add(step, steps)
        classes += ["", *lines]
    made = [*(line for step in steps.values() for line in (*step, "")), *classes[1:], ""]
    return "\n".join(_wrapped(line) for line in made)


def _wrapped(line: str) -> str:
    """Return a line that is not longer than those of this project: C++ may be broken at any space."""
    within = " " * (len(line) - len(line.lstrip()) + 8)
    return line if len(line) <= _WIDTH else "\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent=within))


def written(text: str) -> str:
    """Return the text of ``kernels.cu`` with the part between the markers made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + translated() + END + after


def _add(function: FunctionType, steps: dict[str, list[str]]) -> None:
    """Put a step, and before it those that it calls, among those that are translated."""
    name = step_name(function)
    if name in steps or name in _BY_HAND:
        return
    lines, needed = step_of(function)
    for one in needed:
        _add(one, steps)
    steps[name] = lines


def _twice(body: list[ast.stmt], scope: Scope) -> list[str]:
    """Translate a block when the kinds of all its variables are known."""
    statements(body, scope)
    scope.steps.clear()
    return statements(body, scope)


def step_of(function: FunctionType) -> tuple[list[str], list[FunctionType]]:
    """Return a step as a function, and the steps that it calls."""
    tree, kinds, returned = parsed(function)
    scope = Scope(function, dict(kinds))
    body = _twice(tree.body, scope)
    local = [name for name in stored(tree.body) if name not in kinds]
    given = []
    for name, kind in kinds.items():
        if kind == STATE:
            given.append("State& state")
        elif name != "width":
            given.append(f"{CPP[kind]} {scope.cpp(name)}")
    lines = ["template <class State>"] if STATE in kinds.values() else []
    lines.append(f"TU_INLINE {CPP[returned]} {step_name(function)}({', '.join(given)}) {{")
    lines += indented([*declared(local, scope), *body])
    return [*lines, "}"], scope.steps


def operator_of(operator: Operator, function: FunctionType) -> tuple[list[str], list[FunctionType]]:
    """Return an operator as a class, and the steps that it calls."""
    tree, kinds, _ = parsed(function)
    columns = [name for name, kind in kinds.items() if kind == COLUMN]
    parameters = [name for name, kind in kinds.items() if kind not in (COLUMN, STATE) and name not in _NO_PARAMETERS]
    loop, time = _loop_of(tree, Scope(function, kinds))
    single = _SINGLE.get(f"{operator.module}.{operator.name}", ())
    before = Scope(function, dict(kinds))
    begin = _twice(tree.body[:-1], before)
    scope = Scope(function, dict(before.kinds), time, single)
    bar = _twice(loop.body, scope)
    read = {node.id for node in ast.walk(loop) if isinstance(node, ast.Name)}
    own, first = stored(loop.body), stored(tree.body[:-1])
    # What is known before the loop and read in it is kept; a parameter, as it stands after what comes before the loop.
    kept = [name for name in dict.fromkeys([*parameters, *first]) if name in read and name not in own]
    local = [name for name in first if name not in kept and name not in parameters]
    given = [f"{CPP[kinds[name]]} {_given(name, kept, scope)}" for name in parameters]
    lines = [f"template <int mode> struct {class_name(operator)} : tu_operator {{"]
    lines += indented(declared(kept, scope))
    lines += ["    int tu_phase;"] if scope.phase else []
    lines += indented(_rows_apart(single, scope))
    begin = [
        *declared(local, before),
        *(f"{scope.cpp(name)} = {_given(name, kept, scope)};" for name in parameters if name in kept),
        *begin,
        *([f"tu_phase = (int)tu_mod<long long>(tu_seen, {scope.phase});"] if scope.phase else []),
    ]
    lines += indented(_method("begin", ["State& state", "long long tu_seen", *given], begin))
    given = [f"const double {scope.cpp(name)}" for name in columns[: operator.inputs]]
    given += [f"double& {scope.cpp(name)}" for name in columns[operator.inputs :]]
    counted = f"tu_phase = tu_phase + 1 == {scope.phase} ? 0 : tu_phase + 1;"
    bar = [*declared(own, scope), *bar, *([counted] if scope.phase else [])]
    lines += indented(_method("bar", ["State& state", *given], bar))
    return [*lines, "};"], [*before.steps, *scope.steps]


def _loop_of(tree: ast.FunctionDef, scope: Scope) -> tuple[ast.For, str]:
    """Return the loop over bars that a kernel ends with, and what counts them."""
    loop = tree.body[-1]
    if not (isinstance(loop, ast.For) and ast.unparse(loop.iter).endswith(".shape[0])")):
        raise scope.refusal(loop, "a kernel that does not end with its loop over bars")
    if carried := read_first(loop.body) & set(stored(loop.body)):
        raise scope.refusal(loop, f"{', '.join(sorted(carried))}, carried from bar to bar beside the state,")
    return loop, ast.unparse(loop.target)


def _method(name: str, given: list[str], body: list[str]) -> list[str]:
    """Return a method for any kind of state."""
    return [f"template <class State> TU_INLINE void {name}({', '.join(given)}) {{", *indented(body), "}"]


def _rows_apart(single: tuple[str, ...], scope: Scope) -> list[str]:
    """Return the variables for rows of the state, and what takes them from the state and puts them back."""
    if not single:
        return []
    rows = [(f"tu_row_{row}", f"state[{scope.cpp(row)}]") for row in single]
    lines = [f"double {', '.join(row for row, _ in rows)};"]
    lines += _method("take", ["State& state"], [f"{row} = {at};" for row, at in rows])
    return lines + _method("put", ["State& state"], [f"{at} = {row};" for row, at in rows])


def _given(name: str, kept: list[str], scope: Scope) -> str:
    """Return what a parameter is called where it is given: another name than what is kept of it."""
    return f"tu_{name}" if name in kept else scope.cpp(name)


if __name__ == "__main__":
    PATH.write_text(written(PATH.read_text(encoding="utf-8")), encoding="utf-8")
