"""The source of a fused program: ``kernels.cu`` and one more kernel, which runs all instructions bar after bar."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tradeutils.indicators.cpu.program import CONSTANT_ROW, INPUT, RESULT, SLOT, Instruction, Place, Program
from tradeutils.indicators.cuda.table import (
    A_RESULT,
    AN_INPUT,
    AN_INSTRUCTION,
    BEGUN,
    ENDED,
    HEAD,
    in_registers,
    sets_at,
)
from tradeutils.indicators.expression import Operator

__all__ = ["KERNEL", "class_name", "kernels", "source_of"]

KERNEL: Final = "tu_program"
"""The name of the kernel of a program; its table is :meth:`tradeutils.indicators.cuda.table.Launch.words`."""

_NAMES: Final = {INPUT: "in", CONSTANT_ROW: "constant", SLOT: "slot", RESULT: "out"}
_BEGIN, _END, _CLASS = "// begin: made by", "// end\n", "template <int mode> struct "


@cache
def kernels() -> str:
    """Return ``kernels.cu``: what all programs are made of, and the kernels that are not programs."""
    return Path(__file__).with_name("kernels.cu").read_text(encoding="utf-8")


@cache
def _parts() -> tuple[str, dict[str, str]]:
    """Return what every program needs of ``kernels.cu``, and by its name the class of each operator."""
    before, _, rest = kernels().partition(_BEGIN)
    steps, *classes = rest.partition(_END)[0].split(_CLASS)
    return f"{before}//{steps}", {text.split(" ", 1)[0]: f"{_CLASS}{text}" for text in classes}


def source_of(program: Program, single_in: bool = False, single_out: bool = False) -> str:
    """
    Return CUDA C++14 for :meth:`tradeutils.device.Device.compile`, whose kernel is ``tu_program``.

    Of ``kernels.cu`` it has what the program uses. Every instruction is inlined and few rows of state are registers:
    compiled for sm_80 an RSI takes 70 of the 255 that a thread has, 4 indicators with 6 outputs take 168, and 14 with
    22 all of them and 1.8 kB that is spilled. So a program of far more is better run as several.

    It depends on the program's structure alone (``table.structure_of``) and on what is stored: other parameters need
    no new compilation.

    Parameters
    ----------
    program : Program
    single_in, single_out : bool
        Whether the inputs, and the results, are float32; else float64. All is computed in float64.
    """
    # NVRTC takes 4 s for one average with scans and valuation, which no program calls, and 0.2 without.
    common, classes = _parts()
    used = dict.fromkeys(class_name(one.operator) for one in program.instructions)
    lines = _Writer(program, single_in, single_out).lines()
    return "\n".join([common, *(classes[name] for name in used), *lines, ""])


def class_name(operator: Operator) -> str:
    """Return what the class of an operator is called in C++."""
    return f"tu_op_{operator.module}_{operator.name}"


class _Writer:
    """Writes the kernel of one program: what is set up, the loop over bars, and the snapshots around it."""

    def __init__(self, program: Program, single_in: bool, single_out: bool) -> None:
        self._program = program
        self._single_in, self._single_out = single_in, single_out
        sources = {place for one in program.instructions for place in one.sources}
        self._inputs = [k for k in range(len(program.inputs)) if Place(INPUT, k) in sources]
        self._results = [k for k in range(program.results) if k not in program.copies]
        # Where the words of each instruction begin in those of a set: the constants come first.
        self._at: list[int] = []
        at = len(program.constants)
        for one in program.instructions:
            self._at.append(at)
            at += AN_INSTRUCTION + len(one.kernel.kinds)
        self._words = at

    def lines(self) -> Iterator[str]:
        yield f'extern "C" __global__ void {KERNEL}(const long long* table) {{'
        yield "    tu_lane at;"
        yield "    if (!at.find(table)) return;"
        yield f"    const long long* const own = {self._words_of('at')};"
        yield from (
            f"    const double {_name(Place(CONSTANT_ROW, k))} = tu_double(own[{k}]);"
            for k in range(len(self._program.constants))
        )
        item = "float" if self._single_in else "double"
        for k in self._inputs:
            yield f"    const tu_input<{item}> column{k}(at, {HEAD + AN_INPUT * k});"
        item = "float" if self._single_out else "double"
        first = HEAD + AN_INPUT * len(self._program.inputs)
        for k in self._results:
            yield f"    const tu_result<{item}> result{k}(at, {first + A_RESULT * k});"
        for k, one in enumerate(self._program.instructions):
            yield from self._set_up(k, one)
        yield from self._loop()
        yield from self._snapshot(ENDED, "    ")
        yield "}"

    def _set_up(self, k: int, one: Instruction) -> Iterator[str]:
        """Declare an instruction and its state, and begin it."""
        at, kernel, mode = self._at[k], one.kernel, self._program.mode
        state = self._state_of(one)
        yield f"    {class_name(one.operator)}<{mode if 'mode' in kernel.takes else 0}> op{k};"
        if state == "tu_rows":
            yield f"    tu_rows state{k} = at.workspace(own[{at + 1}]);"
        else:
            yield f"    {state} state{k};"
        if state != "tu_nothing":
            yield f"    at.load(state{k}, own[{at}], own[{at + 2}], {_number(kernel.fill)});"
        words = [f"own[{at + AN_INSTRUCTION + j}]" for j in range(len(kernel.kinds))]
        given = [
            f"(int){word}" if kind is int else f"tu_double({word})"
            for word, kind in zip(words, kernel.kinds, strict=True)
        ]
        yield f"    op{k}.begin({', '.join([f'state{k}', 'at.seen', *given])});"
        if state == "tu_rows":
            yield f"    op{k}.take(state{k});"

    @staticmethod
    def _state_of(one: Instruction) -> str:
        if "state" not in one.kernel.takes:
            return "tu_nothing"
        if in_registers(one.kernel):
            return f"tu_registers<{one.kernel.rows_of(one.parameters)}>"
        return "tu_rows"

    def _loop(self) -> Iterator[str]:
        """Write the loops over the bars before the lane's own and over its own, as one, so that there is one body."""
        for k in self._inputs:
            yield f"    double next{k} = at.start < at.stop ? column{k}[at.start] : 0.0;"
        yield "    const long long stop = at.stop, stored = at.stored;"
        yield "    long long t = at.start;"
        yield "#pragma unroll 1"
        yield "    for (int part = 0; part < 2; ++part) {"
        yield "        if (part == 1) {"
        yield from self._snapshot(BEGUN, "            ")
        yield "        }"
        yield "        const long long end = part == 0 ? at.own : stop;"
        yield "#pragma unroll 1"
        yield "        for (; t < end; ++t) {"
        yield from (f"            {line}" for line in self._bar())
        yield "        }"
        yield "    }"

    def _bar(self) -> Iterator[str]:
        """Write what is done at a bar. The next bar is asked for before this one is computed."""
        for k in self._inputs:
            yield f"const double {_name(Place(INPUT, k))} = next{k};"
        if self._inputs:
            yield "if (t + 1 < stop) {"
            yield from (f"    next{k} = column{k}[t + 1];" for k in self._inputs)
            yield "}"
        written = dict.fromkeys(place for one in self._program.instructions for place in one.targets)
        if written:
            yield f"double {', '.join(map(_name, written))};"
        for k, one in enumerate(self._program.instructions):
            yield f"op{k}.bar({', '.join([f'state{k}', *map(_name, (*one.sources, *one.targets))])});"
        if self._results:
            yield "if (t >= stored) {"
            yield from (f"    result{k}.set(t, {_name(Place(RESULT, k))});" for k in self._results)
            yield "}"

    def _snapshot(self, word: int, indent: str) -> Iterator[str]:
        """Write what all instructions remember where the table asks for it. All it takes is found anew, not kept."""
        yield f"{indent}if (tu_again(table)[{word}]) {{"
        yield f"{indent}    tu_lane then;"
        yield f"{indent}    then.find(tu_again(table));"
        yield f"{indent}    const long long* const words = {self._words_of('then')};"
        yield f"{indent}    double* const to = (double*)then.table[{word}];"
        row = "0"
        for k, one in enumerate(self._program.instructions):
            if self._state_of(one) != "tu_nothing":
                at = self._at[k]
                if self._state_of(one) == "tu_rows":
                    yield f"{indent}    op{k}.put(state{k});"
                yield f"{indent}    then.keep(to, state{k}, words[{at}], words[{at + 2}]);"
                row = f"words[{at}] + words[{at + 2}]"
        yield f"{indent}    then.clear(to, {row});"
        yield f"{indent}}}"

    def _words_of(self, lane: str) -> str:
        """Return where the words of a lane's set begin."""
        return f"{lane}.table + {sets_at(self._program)} + {lane}.set * {self._words}"


def _name(place: Place) -> str:
    """Return the variable that a place is."""
    return f"{_NAMES[place.kind]}{place.number}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "TU_NAN"
    if math.isinf(value):
        return "TU_INF" if value > 0.0 else "-TU_INF"
    return repr(value)
