"""Compiling every kernel ahead of its first use."""

from __future__ import annotations

from collections.abc import Callable

from tradeutils.indicators.expression import Node
from tradeutils.indicators.spec import REGISTRY

__all__ = ["compile_all"]


def compile_all(progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """
    Compile what indicators, patterns and levels are computed with, in every mode, into the cache on disk.

    Takes a fraction of a second for each kernel that is not there yet, and milliseconds for one that is.

    Parameters
    ----------
    progress : callable
        Is told how many are done and how many there are.

    Returns
    -------
    How many kernels there are.
    """
    from tradeutils.indicators.cpu import MODES, candlesticks, driver, kernel_of, levels, profiles, zigzag

    operators = {
        node.operator
        for indicator in REGISTRY.values()
        for compat in ("talib", "tradingview")
        for output in indicator.expressions(indicator.bind(), compat=compat)
        for node in _below(output)
        if node.inputs and node.operator.module
    }
    kernels = sorted((kernel_of(operator) for operator in operators), key=lambda kernel: kernel.name)
    driver.drive()
    driver.next_bar()
    for searching in (candlesticks, levels, profiles, zigzag):
        searching.search()
    for done, kernel in enumerate(kernels):
        progress(done, len(kernels))
        for mode in MODES.values() if "mode" in kernel.takes else (MODES["restart"],):
            kernel.address(mode)
    progress(len(kernels), len(kernels))
    return len(kernels)


def _below(node: Node) -> set[Node]:
    """Return a node and all that it is made of."""
    found: set[Node] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += one.inputs
    return found
