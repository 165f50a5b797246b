"""
Python expressions of kernels as C++, with the arithmetic that numba gives them.

What numba compiles was read in its source (0.68) and is held to by tests: ``max(a, b)`` is b where b > a and a
otherwise, so a NaN stays where it comes first; ``%`` and ``//`` of integers round down, and by 0 give 0; ``/`` is of
float64, whatever it is of; ``math.floor`` gives an integer and ``np.floor`` does not.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tradeutils.indicators.cuda.scopes import (
    BOOL,
    COLUMN,
    CPP,
    FLOAT,
    INT,
    STATE,
    Scope,
    Typed,
    is_number,
    literal,
    parsed,
    python_of,
)

__all__ = ["as_float", "bare", "expression", "step_name"]

_ARITHMETIC: Final = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_BITS: Final = {ast.BitAnd: "&", ast.BitOr: "|"}
_COMPARED: Final = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_ROUNDED: Final = {ast.Mod: "tu_mod", ast.FloorDiv: "tu_floor_div"}
_OF_FLOATS: Final = {
    math.sqrt: "sqrt",
    math.exp: "exp",
    math.atan: "atan",
    np.floor: "floor",
}


def expression(node: ast.expr, scope: Scope) -> Typed:
    """Return a Python expression as C++; what cannot be translated raises, with its file and line."""
    made = _FORMS.get(type(node))
    if made is None:
        raise scope.refusal(node, f"{ast.unparse(node)} ({type(node).__name__})")
    return made(node, scope)


def as_float(value: Typed) -> str:
    """Return an expression as a double."""
    if value.kind == FLOAT:
        return value.text
    return f"(double){value.text}" if value.text.isidentifier() else f"(double)({bare(value.text)})"


def bare(text: str) -> str:
    """Return an expression without the parentheses around the whole of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and at < len(text) - 1:
            return text
    return bare(text[1:-1])


def step_name(function: object) -> str:
    """Return what a step is called in C++."""
    module = str(getattr(function, "__module__", "")).rpartition(".")[2]
    return f"tu_{module}_{getattr(function, '__name__', '').lstrip('_')}"


def _constant(node: ast.Constant, scope: Scope) -> Typed:
    if not is_number(node.value):
        raise scope.refusal(node, repr(node.value))
    return literal(node.value)  # type: ignore[arg-type]


def _name(node: ast.Name, scope: Scope) -> Typed:
    if node.id == scope.time or node.id == "seen":
        raise scope.refusal(node, f"{node.id} outside of a row of a bar and of (seen + {scope.time or 't'}) % n")
    if node.id in scope.kinds:
        return Typed(scope.cpp(node.id), scope.kinds[node.id])
    return scope.constant(node)


def _subscript(node: ast.Subscript, scope: Scope) -> Typed:
    """Return an item: of a column the one of this bar, of the state a row."""
    of, at = node.value, node.slice
    if not (isinstance(of, ast.Name) and isinstance(at, ast.Tuple) and len(at.elts) == 2):
        raise scope.refusal(node, ast.unparse(node))
    kind = scope.kinds.get(of.id)
    row, across = at.elts
    if not (isinstance(across, ast.Name) and across.id == "s") and not (
        kind == STATE and isinstance(across, ast.Constant) and across.value == 0
    ):
        raise scope.refusal(node, f"{ast.unparse(node)}, an item of another symbol,")
    if kind == COLUMN and isinstance(row, ast.Name) and row.id == scope.time:
        return Typed(scope.cpp(of.id), FLOAT)
    if kind == STATE and ast.unparse(row) in scope.single:
        return Typed(f"tu_row_{ast.unparse(row)}", FLOAT)
    if kind == STATE:
        made = expression(row, scope)
        if made.kind == INT:
            return Typed(f"state[{bare(made.text)}]", FLOAT)
    raise scope.refusal(node, ast.unparse(node))


def _binary(node: ast.BinOp, scope: Scope) -> Typed:
    operation = type(node.op)
    if operation is ast.Mod and _of_the_bar(node.left, scope):
        return _phase(node, scope)
    left, right = expression(node.left, scope), expression(node.right, scope)
    kinds = {left.kind, right.kind}
    if operation is ast.Div and kinds <= {INT, FLOAT}:
        return Typed(f"({as_float(left)} / {as_float(right)})", FLOAT)
    if operation in _ARITHMETIC and kinds <= {INT, FLOAT}:
        if kinds == {INT}:
            return Typed(f"({left.text} {_ARITHMETIC[operation]} {right.text})", INT)
        return Typed(f"({as_float(left)} {_ARITHMETIC[operation]} {as_float(right)})", FLOAT)
    if operation in _BITS and kinds in ({BOOL}, {INT}):
        return Typed(f"({left.text} {_BITS[operation]} {right.text})", left.kind)
    if operation in _ROUNDED and kinds == {INT}:
        return Typed(f"{_ROUNDED[operation]}<int>({bare(left.text)}, {bare(right.text)})", INT)
    raise scope.refusal(node, f"{ast.unparse(node)}, of {left.kind} and {right.kind},")


def _of_the_bar(node: ast.expr, scope: Scope) -> bool:
    """Say whether an expression is the number of the bar, ``seen + t``."""
    return bool(scope.time) and ast.unparse(node) == f"seen + {scope.time}"


def _phase(node: ast.BinOp, scope: Scope) -> Typed:
    """Return ``(seen + t) % n`` as a number that counts with the bars: a division at each bar would cost more."""
    size = expression(node.right, scope)
    if size.kind != INT or scope.phase not in ("", size.text):
        raise scope.refusal(node, f"{ast.unparse(node)} beside (seen + {scope.time}) % {scope.phase}")
    scope.phase = size.text
    return Typed("tu_phase", INT)


def _unary(node: ast.UnaryOp, scope: Scope) -> Typed:
    operand = expression(node.operand, scope)
    if isinstance(node.op, ast.USub) and operand.kind in (INT, FLOAT):
        return Typed(f"(-{operand.text})", operand.kind)
    if isinstance(node.op, ast.Not):
        return Typed(f"(!{operand.text})", BOOL)
    raise scope.refusal(node, ast.unparse(node))


def _compared(node: ast.Compare, scope: Scope) -> Typed:
    if len(node.ops) > 1 or type(node.ops[0]) not in _COMPARED:
        raise scope.refusal(node, f"{ast.unparse(node)}, more than one comparison,")
    left, right = expression(node.left, scope), expression(node.comparators[0], scope)
    if left.kind != right.kind:
        left, right = Typed(as_float(left), FLOAT), Typed(as_float(right), FLOAT)
    return Typed(f"({left.text} {_COMPARED[type(node.ops[0])]} {right.text})", BOOL)


def _logic(node: ast.BoolOp, scope: Scope) -> Typed:
    values = [expression(value, scope) for value in node.values]
    if any(value.kind != BOOL for value in values):
        raise scope.refusal(node, f"{ast.unparse(node)}, of other than truth values,")
    sign = " && " if isinstance(node.op, ast.And) else " || "
    return Typed(f"({sign.join(value.text for value in values)})", BOOL)


def _choice(node: ast.IfExp, scope: Scope) -> Typed:
    asked, one, other = (expression(part, scope) for part in (node.test, node.body, node.orelse))
    if one.kind != other.kind:
        one, other = Typed(as_float(one), FLOAT), Typed(as_float(other), FLOAT)
    return Typed(f"({asked.text} ? {one.text} : {other.text})", one.kind)


def _called(node: ast.Call, scope: Scope) -> Typed:
    if node.keywords or not isinstance(node.func, ast.Name | ast.Attribute):
        raise scope.refusal(node, ast.unparse(node))
    name = ast.unparse(node.func)
    function = python_of(scope.value_of(node.func))
    if function is not None:
        return _step(node, function, scope)
    given = [expression(argument, scope) for argument in node.args]
    if name in ("max", "min") and len(given) > 1:
        kind = INT if all(value.kind == INT for value in given) else FLOAT
        made = given[0].text if kind == INT else as_float(given[0])
        for value in given[1:]:
            made = f"tu_{name}<{CPP[kind]}>({bare(made)}, {bare(value.text if kind == INT else as_float(value))})"
        return Typed(made, kind)
    if len(given) == 1:
        return _of_one(node, name, given[0], scope)
    raise scope.refusal(node, ast.unparse(node))


def _of_one(node: ast.Call, name: str, given: Typed, scope: Scope) -> Typed:
    """Return a call of a function of one number that is not ours."""
    if name == "float":
        return Typed(as_float(given), FLOAT)
    if name == "abs" and given.kind == FLOAT:
        return Typed(f"fabs({bare(given.text)})", FLOAT)
    called = scope.value_of(node.func)
    if called is math.floor:
        return Typed(f"(int)floor({bare(as_float(given))})", INT)
    if called is math.degrees:
        return Typed(f"({as_float(given)} * {180.0 / math.pi!r})", FLOAT)
    for function, cpp in _OF_FLOATS.items():
        if called is function:
            return Typed(f"{cpp}({bare(as_float(given))})", FLOAT)
    raise scope.refusal(node, ast.unparse(node))


def _step(node: ast.Call, function: object, scope: Scope) -> Typed:
    """Return a call of a step, and note that it is needed."""
    python = python_of(function)
    assert python is not None  # noqa: S101  # asked before
    _, kinds, returned = parsed(python)
    scope.steps.append(python)
    given = []
    for (name, kind), argument in zip(kinds.items(), node.args, strict=True):
        if name == "width":
            continue
        if name == "state":
            given.append("state")
            continue
        made = expression(argument, scope)
        if made.kind != kind and (made.kind, kind) != (INT, FLOAT):
            raise scope.refusal(node, f"{ast.unparse(argument)}, {made.kind} for {kind},")
        given.append(bare(as_float(made) if kind == FLOAT else made.text))
    return Typed(f"{step_name(python)}({', '.join(given)})", returned)


_FORMS: Final[dict[type[ast.expr], Callable[[Any, Scope], Typed]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: lambda node, scope: scope.constant(node),
    ast.Subscript: _subscript,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compared,
    ast.BoolOp: _logic,
    ast.IfExp: _choice,
    ast.Call: _called,
}
