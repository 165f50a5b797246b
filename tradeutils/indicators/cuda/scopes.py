"""What the translator knows of the function at hand: the kinds of its names, and what its globals stand for."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, NamedTuple

from tradeutils.indicators.cpu.compiling import Kernel

__all__ = [
    "BOOL",
    "COLUMN",
    "CPP",
    "FLOAT",
    "INT",
    "PAIR",
    "STATE",
    "VOID",
    "Scope",
    "Typed",
    "is_number",
    "literal",
    "parsed",
    "python_of",
]

INT, FLOAT, BOOL, PAIR, STATE, COLUMN, VOID = "int", "float", "bool", "pair", "state", "column", "void"
CPP: Final = {INT: "int", FLOAT: "double", BOOL: "bool", PAIR: "tu_pair", VOID: "void"}
"""
The C++ type of each kind of value. numba's int64 are 32 bits here: they are parameters, places in a window and rows of
state, of which a device holds fewer, and twice as wide they would take twice the registers. ``table.py`` refuses
parameters that are larger.
"""

_ANNOTATED: Final = {"int": INT, "float": FLOAT, "bool": BOOL, "tuple[float, float]": PAIR, "None": VOID}
# Python names that C++ has other uses for.
_RESERVED: Final = frozenset(
    (
        *("auto", "bool", "char", "const", "default", "delete", "double", "enum", "export", "extern", "float"),
        *("friend", "goto", "inline", "int", "long", "namespace", "new", "operator", "private", "protected", "public"),
        *("register", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this", "throw"),
        *("typedef", "typename", "union", "unsigned", "using", "virtual", "void", "volatile"),
    )
)


class Typed(NamedTuple):
    """A C++ expression and the kind of its value."""

    text: str
    kind: str


class Scope:
    """
    One function while it is translated.

    Parameters
    ----------
    function : function
        The Python of a step or of a kernel.
    kinds : dict of str to str
        Of its parameters; of its variables too, as they become known.
    time : str
        The variable that counts the bars, in a kernel.
    single : tuple of str
        Rows of the state that nothing but this name or number reaches: they are variables.

    Attributes
    ----------
    steps : list of function
        The steps it was found to call.
    phase : str
        Of ``(seen + t) % phase``, as C++; empty where there is no such expression.
    """

    def __init__(
        self, function: FunctionType, kinds: dict[str, str], time: str = "", single: tuple[str, ...] = ()
    ) -> None:
        self.function = function
        self.kinds = kinds
        self.time = time
        self.single = single
        self.steps: list[FunctionType] = []
        self.phase = ""
        self.counters: set[str] = set()
        self._line = function.__code__.co_firstlineno

    def refusal(self, node: ast.AST, what: str) -> NotImplementedError:
        """Return the error that says what of a kernel cannot be translated, and where it stands."""
        line = self._line + getattr(node, "lineno", 1) - 1
        return NotImplementedError(f"{self.function.__code__.co_filename}:{line}: {what} cannot be translated")

    def learn(self, node: ast.AST, name: str, kind: str) -> None:
        """Note that a variable is given a value of this kind; of int and float it is float, as numba has it."""
        before = self.kinds.setdefault(name, kind)
        if before != kind:
            if {before, kind} != {INT, FLOAT}:
                raise self.refusal(node, f"{name} as {before} and as {kind}")
            self.kinds[name] = FLOAT

    def cpp(self, name: str) -> str:
        """Return what a variable is called in C++."""
        return f"{name}_" if name in _RESERVED else name

    def value_of(self, node: ast.expr) -> Any:
        """Return what a global name, or an attribute of one, stands for."""
        if isinstance(node, ast.Name) and node.id in self.function.__globals__:
            return self.function.__globals__[node.id]
        if isinstance(node, ast.Attribute):
            return getattr(self.value_of(node.value), node.attr, None)
        return None

    def constant(self, node: ast.expr) -> Typed:
        """Return a global number."""
        value = self.value_of(node)
        if is_number(value):
            return literal(value)
        raise self.refusal(node, ast.unparse(node))


def is_number(value: object) -> bool:
    """Say whether a constant is one that C++ can hold: a whole number is one of 32 bits."""
    return type(value) in (float, bool) or (type(value) is int and -(2**31) < value < 2**31)


def literal(value: float) -> Typed:
    """Return a number as C++ has it, to the last bit."""
    if isinstance(value, bool):
        return Typed("true" if value else "false", BOOL)
    if isinstance(value, int):
        return Typed(str(value), INT)
    if math.isnan(value):
        return Typed("TU_NAN", FLOAT)
    if math.isinf(value):
        return Typed("TU_INF" if value > 0 else "(-TU_INF)", FLOAT)
    return Typed(repr(value), FLOAT)


def python_of(made: Any) -> FunctionType | None:
    """Return the Python of a step or a kernel, ``None`` of all else."""
    if isinstance(made, Kernel):
        made = made.function
    function = getattr(made, "py_func", made)
    return function if isinstance(function, FunctionType) else None


def parsed(function: Callable[..., Any]) -> tuple[ast.FunctionDef, dict[str, str], str]:
    """Return a function's tree, the kinds of its parameters, and that of what it returns."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)  # noqa: S101  # steps and kernels are functions
    annotations = inspect.get_annotations(function)
    kinds = {}
    for name in inspect.signature(function).parameters:
        annotated = str(annotations[name])
        kinds[name] = _ANNOTATED.get(annotated, STATE if name == "state" else COLUMN)
    return tree, kinds, _ANNOTATED[str(annotations["return"])]
