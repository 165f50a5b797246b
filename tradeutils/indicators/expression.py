"""
What an indicator computes, as an expression: operators over the columns of a bar and over other expressions.

Equal expressions are one object, so whatever several indicators share (a true range, the same average twice) is
found by identity and computed once. Nothing is computed here: ``cpu/program.py`` makes a program of expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

from tradeutils.indicators.threads import fork_lock

__all__ = ["LEAD", "Node", "Operator", "Value", "column", "constant", "warmup"]


class Operator:
    """
    One streaming computation: called with nodes and then its parameters, it gives the node of its result.

    Parameters
    ----------
    module, name : str
        Its kernel is the function ``name`` of ``cpu/<module>.py``. ``__name__`` serves as ``module`` in a file of
        ``operators/``: the last part counts.
    inputs, outputs : int
        How many columns it reads and gives. With several outputs the call returns a tuple of nodes.
    parameters : tuple of int or float
        The type of each parameter.
    lookback : callable
        From the parameters to the good bars needed before the first that has a value.
    memory : callable, optional
        From the parameters and a tolerance to the bars after which whatever came before weighs less than the
        tolerance; the lookback where it is left out, as for windows. ``None`` from it: never.
    settles : int, optional
        Bars after which the state is, more often than not, the same whatever came before, where ``memory`` cannot
        say so: a long series is then tried in chunks.
    recursive : bool
        Whether what is done at a missing bar depends on the mode (``nan=``): its kernel then takes ``mode``.
    """

    def __init__(
        self,
        module: str,
        name: str,
        *,
        inputs: int = 1,
        outputs: int = 1,
        parameters: tuple[type, ...] = (),
        lookback: Callable[..., int] = lambda *parameters: 0,
        memory: Callable[..., int | None] | None = None,
        settles: int | None = None,
        recursive: bool = False,
    ) -> None:
        self.module = module.rpartition(".")[2]
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.parameters = parameters
        self.lookback = lookback
        self.settles = settles
        self.recursive = recursive
        self._memory = memory

    def memory(self, parameters: tuple[float, ...], tolerance: float) -> int | None:
        """Return the bars after which the past weighs less than ``tolerance``; ``None`` where it never does."""
        return self.lookback(*parameters) if self._memory is None else self._memory(*parameters, tolerance)

    def __call__(self, *given: Any) -> Any:
        """Return the node of ``operator(*inputs, *parameters)``, or a tuple of nodes."""
        if len(given) != self.inputs + len(self.parameters):
            raise TypeError(
                f"{self.name} takes {self.inputs} inputs and {len(self.parameters)} parameters, {len(given)} were given"
            )
        nodes = tuple(as_node(value) for value in given[: self.inputs])
        values = tuple(kind(value) for kind, value in zip(self.parameters, given[self.inputs :], strict=True))
        made = tuple(_intern(self, nodes, values, output) for output in range(self.outputs))
        return made if self.outputs > 1 else made[0]

    def __repr__(self) -> str:
        return f"<operator {self.module}.{self.name}>"


class Node:
    """
    A column of values: an input of the indicator, a constant, or an output of an operator. Made by calling operators.

    ``+ - * /`` and comparisons with nodes and numbers make nodes. Two nodes are equal if they are one object, and
    equal expressions are one object.
    """

    __slots__ = ("__weakref__", "inputs", "lookback", "operator", "output", "parameters")

    def __init__(self, operator: Operator, inputs: tuple[Node, ...], parameters: tuple[Any, ...], output: int) -> None:
        self.operator = operator
        self.inputs = inputs
        self.parameters = parameters
        self.output = output
        self.lookback: int = max((node.lookback for node in inputs), default=0) + (
            operator.lookback(*parameters) if inputs else 0
        )

    def __add__(self, other: Value) -> Node:
        return _node(add(self, other))

    def __radd__(self, other: float) -> Node:
        return _node(add(other, self))

    def __sub__(self, other: Value) -> Node:
        return _node(subtract(self, other))

    def __rsub__(self, other: float) -> Node:
        return _node(subtract(other, self))

    def __mul__(self, other: Value) -> Node:
        return _node(multiply(self, other))

    def __rmul__(self, other: float) -> Node:
        return _node(multiply(other, self))

    def __truediv__(self, other: Value) -> Node:
        return _node(divide(self, other))

    def __rtruediv__(self, other: float) -> Node:
        return _node(divide(other, self))

    def __neg__(self) -> Node:
        return _node(negative(self))

    def __gt__(self, other: Value) -> Node:
        return _node(greater(self, other))

    def __ge__(self, other: Value) -> Node:
        return _node(greater_equal(self, other))

    def __lt__(self, other: Value) -> Node:
        return _node(greater(other, self))

    def __le__(self, other: Value) -> Node:
        return _node(greater_equal(other, self))

    def __bool__(self) -> bool:
        raise TypeError("a node has no truth value before it is computed; choose with where(condition, a, b)")

    def __repr__(self) -> str:
        parts = [*map(repr, self.inputs), *map(repr, self.parameters)]
        return f"{self.operator.name}({', '.join(parts)})" + (f"[{self.output}]" if self.operator.outputs > 1 else "")


Value: TypeAlias = Node | float
"""What an operator takes for an input: a node, or a number, the same at every bar."""

_nodes: Final[WeakValueDictionary[Any, Node]] = WeakValueDictionary()
_lock: Final = fork_lock()


def _intern(operator: Operator, inputs: tuple[Node, ...], parameters: tuple[Any, ...], output: int) -> Node:
    # 1 and 1.0, 0.0 and -0.0 are equal keys of a dict but not equal parameters; NaN is one, but not an equal key.
    exact = tuple(value.hex() if isinstance(value, float) else value for value in parameters)
    key = (operator, inputs, exact, output)
    with _lock:
        node = _nodes.get(key)
        if node is None:
            node = _nodes[key] = Node(operator, inputs, parameters, output)
        return node


def _node(made: Any) -> Node:
    """Say to type checkers that an operator of one output gives one node."""
    node: Node = made
    return node


def column(name: str) -> Node:
    """Return the input column of this name: ``column("close")``."""
    return _intern(COLUMN, (), (name,), 0)


def constant(value: float) -> Node:
    """Return the column that is ``value`` at every bar."""
    return _intern(CONSTANT, (), (float(value),), 0)


def as_node(value: Value) -> Node:
    """Return a node as it is, and a number as a constant."""
    return value if isinstance(value, Node) else constant(value)


def warmup(node: Node, tolerance: float) -> int | None:
    """
    Return the bars after which what came before weighs less than ``tolerance``; ``None`` where it never does.

    The memories of operators add along each path, and the longest path counts.
    """
    known: dict[Node, int | None] = {}

    def longest(at: Node) -> int | None:
        if at not in known:
            own = at.operator.memory(at.parameters, tolerance) if at.inputs else 0
            before = [longest(node) for node in at.inputs]
            paths = [bars for bars in before if bars is not None]
            known[at] = None if own is None or len(paths) < len(before) else own + max(paths, default=0)
        return known[at]

    return longest(node)


COLUMN: Final = Operator("", "column", inputs=0)
CONSTANT: Final = Operator("", "constant", inputs=0)
LEAD: Final = Operator("", "lead", parameters=(int,), lookback=lambda bars: -bars)
"""``lead(x, bars)``: what ``x`` will be ``bars`` later, for outputs that are drawn before they are known. It has no
kernel, as kernels see no later bar: ``evaluate`` moves the finished output, so it stands nowhere but outermost."""

add: Final = Operator("elementwise", "add", inputs=2)
subtract: Final = Operator("elementwise", "subtract", inputs=2)
multiply: Final = Operator("elementwise", "multiply", inputs=2)
divide: Final = Operator("elementwise", "divide", inputs=2)
negative: Final = Operator("elementwise", "negative")
greater: Final = Operator("elementwise", "greater", inputs=2)
greater_equal: Final = Operator("elementwise", "greater_equal", inputs=2)
