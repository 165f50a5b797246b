"""Python statements of kernels as C++: for one symbol, so that loops over symbols are blocks."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tradeutils.indicators.cuda.expressions import as_float, bare, expression
from tradeutils.indicators.cuda.scopes import CPP, FLOAT, INT, PAIR, Scope, Typed

__all__ = ["declared", "indented", "read_first", "statements", "stored"]

_ADDED: Final = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.Div: "/=", ast.BitOr: "|=", ast.BitAnd: "&="}


def statements(body: Sequence[ast.stmt], scope: Scope) -> list[str]:
    """
    Return the lines of C++ that a block of Python is, without indentation of its own.

    What cannot be translated raises ``NotImplementedError`` with its file and line. The kinds of variables are learnt
    on the way: a variable that turns out to be a float after it has been an int needs a second time.
    """
    lines: list[str] = []
    for one in body:
        lines += _statement(one, scope)
    return lines


def declared(names: Sequence[str], scope: Scope) -> list[str]:
    """Return the declarations of variables, those of one kind on a line."""
    lines = []
    for kind in dict.fromkeys(scope.kinds[name] for name in names):
        of_kind = [scope.cpp(name) for name in names if scope.kinds[name] == kind]
        lines.append(f"{CPP[kind]} {', '.join(of_kind)};")
    return lines


def stored(body: Sequence[ast.stmt]) -> list[str]:
    """Return the variables that a block gives a value to, but those that count loops."""
    counters = {node.target.id for one in body for node in ast.walk(one) if isinstance(node, ast.For)}  # type: ignore[attr-defined]
    names = (node.id for one in body for node in ast.walk(one) if _is_stored(node))  # type: ignore[attr-defined]
    return [name for name in dict.fromkeys(names) if name not in counters]


def read_first(body: Sequence[ast.stmt]) -> set[str]:
    """Return the names that a block reads before it has given them a value."""
    read, known = set[str](), set[str]()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            (known if isinstance(node.ctx, ast.Store) else read).update({node.id} - known)
            return
        parts = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Assign):
            parts = [node.value, *node.targets]
        elif isinstance(node, ast.AugAssign):
            parts = [node.value, _loaded(node.target), node.target]
        elif isinstance(node, ast.For):
            parts = [node.iter, node.target, *node.body]
        for part in parts:
            visit(part)

    for statement in body:
        visit(statement)
    return read


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _statement(node: ast.stmt, scope: Scope) -> Iterator[str] | list[str]:
    if isinstance(node, ast.Assign):
        return _assigned(node, scope)
    if isinstance(node, ast.AugAssign) and type(node.op) in _ADDED:
        return [_added(node, scope)]
    if isinstance(node, ast.If):
        return _chosen(node, scope)
    if isinstance(node, ast.For):
        return _repeated(node, scope)
    if isinstance(node, ast.Return) and node.value is not None:
        return [f"return {_returned(node.value, scope)};"]
    if isinstance(node, ast.Break | ast.Continue):
        return ["break;" if isinstance(node, ast.Break) else "continue;"]
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return []
        made = expression(node.value, scope)
        if scope.single:  # a step that has the state finds all of it there
            return ["put(state);", f"{made.text};", "take(state);"]
        return [f"{made.text};"]
    raise scope.refusal(node, f"{ast.unparse(node).splitlines()[0]} ({type(node).__name__})")


def indented(lines: Iterable[str], by: str = "    ") -> list[str]:
    """Return lines of C++ further in, but for those of the preprocessor."""
    return [line if line.startswith("#") else by + line for line in lines]


def _target(node: ast.expr, kind: str, scope: Scope) -> str:
    """Return what is assigned to."""
    if isinstance(node, ast.Name):
        scope.learn(node, node.id, kind)
        return scope.cpp(node.id)
    if isinstance(node, ast.Subscript) and kind in (INT, FLOAT):
        return expression(node, scope).text
    raise scope.refusal(node, f"{ast.unparse(node)} = a {kind}")


def _set(node: ast.expr, value: Typed, scope: Scope) -> str:
    """Return an assignment of one value."""
    target = _target(node, value.kind, scope)
    kind = scope.kinds[node.id] if isinstance(node, ast.Name) else FLOAT
    return f"{target} = {bare(as_float(value) if kind == FLOAT else value.text)};"


def _assigned(node: ast.Assign, scope: Scope) -> Iterator[str]:
    target, value = node.targets[-1], node.value
    if isinstance(target, ast.Tuple):
        if len(node.targets) > 1:
            raise scope.refusal(node, ast.unparse(node))
        yield from _several(node, target, value, scope)
        return
    yield _set(target, expression(value, scope), scope)
    for other in reversed(node.targets[:-1]):  # a = b = c: each is given what the last was
        yield _set(other, expression(_loaded(target), scope), scope)


def _loaded(node: ast.expr) -> ast.expr:
    """Return what is assigned to as what is read."""
    return ast.parse(ast.unparse(node), mode="eval").body


def _several(node: ast.Assign, target: ast.Tuple, value: ast.expr, scope: Scope) -> Iterator[str]:
    """Assign several values, all of them known before the first is assigned."""
    given = []
    if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
        given = [expression(one, scope) for one in value.elts]
        if not _touched(target) & _touched(value):
            yield from (_set(to, one, scope) for to, one in zip(target.elts, given, strict=True))
            return
    yield "{"
    if given:
        for k, one in enumerate(given):
            yield f"    const {CPP[one.kind]} tu_{k} = {bare(one.text)};"
        for k, (to, one) in enumerate(zip(target.elts, given, strict=True)):
            yield f"    {_set(to, Typed(f'tu_{k}', one.kind), scope)}"
    else:
        made = expression(value, scope)
        if made.kind != PAIR or len(target.elts) != 2:
            raise scope.refusal(node, ast.unparse(node))
        yield f"    const tu_pair tu_both = {bare(made.text)};"
        for to, part in zip(target.elts, ("first", "second"), strict=True):
            yield f"    {_set(to, Typed(f'tu_both.{part}', FLOAT), scope)}"
    yield "}"


def _touched(node: ast.expr) -> set[str]:
    """Return the variables and arrays that an expression names."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _added(node: ast.AugAssign, scope: Scope) -> str:
    value = expression(node.value, scope)
    target = expression(_loaded(node.target), scope)
    integers = isinstance(node.op, ast.BitOr | ast.BitAnd)
    if (target.kind, value.kind) != ((INT, INT) if integers else (FLOAT, FLOAT)):
        raise scope.refusal(node, f"{ast.unparse(node)}, of {target.kind} and {value.kind},")
    return f"{target.text} {_ADDED[type(node.op)]} {bare(value.text)};"


def _returned(node: ast.expr, scope: Scope) -> str:
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        return f"tu_pair{{{', '.join(bare(as_float(expression(one, scope))) for one in node.elts)}}}"
    return bare(expression(node, scope).text)


def _chosen(node: ast.If, scope: Scope) -> Iterator[str]:
    yield f"if ({bare(expression(node.test, scope).text)}) {{"
    yield from indented(statements(node.body, scope))
    rest = node.orelse
    while len(rest) == 1 and isinstance(rest[0], ast.If):
        yield f"}} else if ({bare(expression(rest[0].test, scope).text)}) {{"
        yield from indented(statements(rest[0].body, scope))
        rest = rest[0].orelse
    if rest:
        yield "} else {"
        yield from indented(statements(rest, scope))
    yield "}"


def _repeated(node: ast.For, scope: Scope) -> Iterator[str]:
    """Return a loop; one over symbols is done for the one symbol there is."""
    if ast.unparse(node.iter) == "range(width)":
        if any(_ends_a_round(one) for one in node.body):
            raise scope.refusal(node, "a loop over symbols with break or continue")
        yield from statements(node.body, scope)
        return
    call = node.iter
    ranged = isinstance(call, ast.Call) and ast.unparse(call.func) == "range" and not node.orelse
    if not (ranged and isinstance(call, ast.Call) and isinstance(node.target, ast.Name)):
        raise scope.refusal(node, ast.unparse(node).splitlines()[0])
    given = [expression(one, scope) for one in call.args]
    begin, end = ("0", *(bare(one.text) for one in given[:2]))[-2:]
    step = _step_of(call, scope)
    if any(one.kind != INT for one in given):
        raise scope.refusal(node, ast.unparse(node.iter))
    name = scope.cpp(node.target.id)
    inside = Scope(scope.function, {**scope.kinds, node.target.id: INT}, scope.time, scope.single)
    inside.steps, inside.phase = scope.steps, scope.phase
    body = statements(node.body, inside)
    scope.phase = inside.phase
    for variable, kind in inside.kinds.items():
        if variable != node.target.id:
            scope.learn(node, variable, kind)
    sign = "<" if step > 0 else ">"
    yield "#pragma unroll 1"  # several rounds at once take registers, which programs of many instructions lack
    yield f"for (int {name} = {begin}; {name} {sign} {end}; {name} += {step}) {{"
    yield from indented(body)
    yield "}"


def _step_of(call: ast.Call, scope: Scope) -> int:
    """Return the step of a range, which is to be a number as it stands."""
    if len(call.args) < 3:
        return 1
    step = ast.literal_eval(call.args[2]) if isinstance(call.args[2], ast.Constant | ast.UnaryOp) else 0
    if not isinstance(step, int) or step == 0:
        raise scope.refusal(call, ast.unparse(call))
    return step


def _ends_a_round(node: ast.stmt) -> bool:
    """Say whether a statement breaks off the loop that it stands in."""
    if isinstance(node, ast.Break | ast.Continue):
        return True
    if isinstance(node, ast.If):
        return any(_ends_a_round(one) for one in (*node.body, *node.orelse))
    return False
