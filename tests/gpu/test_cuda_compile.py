"""
The kernels compile with NVRTC 11.8, the oldest toolkit they are for, for every generation of devices since the T4.

NVRTC comes as a wheel and needs neither a GPU nor a driver. What it warns of fails too. All indicators take minutes to
become machine code of all three generations, so that is made of some; of every operator, PTX, by which NVRTC has
checked it.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
from itertools import product
from pathlib import Path

import pytest

from tradeutils.indicators import REGISTRY
from tradeutils.indicators.cpu import program_of
from tradeutils.indicators.cpu.program import kernel_of
from tradeutils.indicators.cuda.handwritten import handwritten
from tradeutils.indicators.cuda.source import kernels, source_of
from tradeutils.indicators.expression import COLUMN, CONSTANT, LEAD, Node, Operator

ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
_OPTIONS = ("--std=c++14", "--fmad=false")
_COLUMNS = ("time", "open", "high", "low", "close", "volume", "other")
_WAYS = [("restart", False, False), ("propagate", True, False), ("hold", False, True)]
_SOME = ("rsi", "macd", "bbands", "atr", "stoch", "obv", "cci", "supertrend")


class Nvrtc:
    """NVRTC of the wheel, through ctypes."""

    def __init__(self, folder: Path) -> None:
        (builtins,) = folder.glob("libnvrtc-builtins.so*")
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        (library,) = folder.glob("libnvrtc.so*")
        self._library = ctypes.CDLL(str(library))

    @property
    def version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        assert self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)) == 0
        return major.value, minor.value

    def compile(self, source: str, architecture: str) -> tuple[int, str, bytes]:
        """Return NVRTC's status, what it says, and machine code (``sm_75``) or PTX (``compute_75``)."""
        program = ctypes.c_void_p()
        assert (
            self._library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
        )
        options = [option.encode() for option in (f"--gpu-architecture={architecture}", *_OPTIONS)]
        status = self._library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        said = self._read(program, "ProgramLog").decode().strip("\0\n")
        made = "PTX" if architecture.startswith("compute") else "CUBIN"
        code = b"" if status else self._read(program, made)
        self._library.nvrtcDestroyProgram(ctypes.byref(program))
        return status, said, code

    def _read(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        assert getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
        text = ctypes.create_string_buffer(size.value)
        assert getattr(self._library, f"nvrtcGet{what}")(program, text) == 0
        return text.raw


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    """NVRTC 11.8; skipped where its wheel is missing."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvrtc-cu11") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("nvidia-cuda-nvrtc-cu11 is not installed: no check that the kernels compile for CUDA 11.8")
    library = next(file for file in files if file.name.startswith("libnvrtc.so"))
    return Nvrtc(Path(str(library.locate())).parent)


def _covering(mode: str) -> list[Node]:
    """
    Outputs of indicators, of both definitions, in which every operator that any of them is made of occurs.

    With another mode than the first: every operator that it makes a difference to.
    """
    kept, seen = [], set[Operator]()
    for one, compat in product(REGISTRY.values(), ("talib", "tradingview")):
        for node in one.expressions(one.bind(), compat=compat):
            below = {one for one in _operators(node) if mode == "restart" or "mode" in kernel_of(one).takes}
            if LEAD is not node.operator and not below <= seen:
                kept.append(node)
                seen |= below
    return kept


def _operators(node: Node) -> set[Operator]:
    """The operators of an expression."""
    found, waiting = dict[Node, None](), [node]
    while waiting:
        last = waiting.pop()
        if last not in found:
            found[last] = None
            waiting += last.inputs
    return {one.operator for one in found} - {COLUMN, CONSTANT, LEAD}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scans_and_valuation_compile(nvrtc: Nvrtc, architecture: str) -> None:
    """Without a warning, to machine code that holds them."""
    assert nvrtc.version == (11, 8)
    status, said, code = nvrtc.compile(handwritten(), architecture)
    assert (status, said) == (0, "")
    assert b"tu_scan" in code
    assert b"tu_value" in code


def test_the_whole_file_compiles_by_itself(nvrtc: Nvrtc) -> None:
    """What is translated is checked as far as a template is before it is used."""
    status, said, code = nvrtc.compile(kernels(), "compute_75")
    assert (status, said) == (0, "")
    assert b"tu_scan" in code


@pytest.mark.parametrize(("mode", "single_in", "single_out"), _WAYS)
def test_every_operator_compiles(mode: str, single_in: bool, single_out: bool, nvrtc: Nvrtc) -> None:
    """Of all indicators, in each mode, with both storages, in one program."""
    program = program_of(tuple(_covering(mode)), _COLUMNS, mode)
    status, said, code = nvrtc.compile(source_of(program, single_in, single_out), "compute_75")
    assert (status, said) == (0, "")
    assert b".entry tu_program" in code


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_program_becomes_machine_code(architecture: str, nvrtc: Nvrtc) -> None:
    """Of some indicators, for each generation of devices."""
    nodes = [node for name in _SOME for node in REGISTRY[name].expressions(REGISTRY[name].bind())]
    status, said, code = nvrtc.compile(source_of(program_of(tuple(nodes), _COLUMNS, "restart")), architecture)
    assert (status, said) == (0, "")
    assert b"tu_program" in code


def test_what_does_not_compile_is_told(nvrtc: Nvrtc) -> None:
    """The check can fail: an error, and a warning alone."""
    status, said, _ = nvrtc.compile("this is no kernel", ARCHITECTURES[0])
    assert status != 0
    assert "error" in said
    warned = 'extern "C" __global__ void k(const long long* table) { int unused; }'
    assert "unused" in nvrtc.compile(warned, ARCHITECTURES[0])[1]


def test_the_kernels_include_nothing_but_the_hosts_shim() -> None:
    """NVRTC has no headers; the one that there is lies between ``#ifdef TU_HOST`` and ``#else``."""
    text = kernels()
    assert re.findall(r"^\s*#\s*include.*$", text, re.MULTILINE) == ['#include "host_shim.h"']
    guarded = re.search(r"#ifdef TU_HOST\n(.*?)#else", text, re.DOTALL)
    assert guarded is not None
    assert "#include" in guarded[1]


def test_what_is_written_by_hand_is_the_file_without_what_is_translated() -> None:
    """The sections before and after, and nothing of the one between."""
    text = handwritten()
    assert "tu_steps_" not in text
    assert "tu_double" in text
    assert "tu_scan(const long long* table)" in text
    assert "tu_value(const long long* table)" in text
