"""
Why no GPU can be used, and what to do about it: one line for each way in which it goes wrong.

Functions of what was found, so that every case is tested on machines that have none of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = [
    "CUPY_PACKAGES",
    "cupy_problem",
    "device_problem",
    "driver_fault",
    "extra_for",
    "import_problem",
    "lost",
    "no_compiler",
    "no_driver",
    "numpy_problem",
    "toolkit_of",
]

CUPY_PACKAGES: Final = (
    "cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x",
    "cupy-cuda102", "cupy-cuda110", "cupy-cuda111", "cupy-cuda112", "cupy-cuda113", "cupy-cuda114", "cupy-cuda115",
    "cupy-cuda116", "cupy-cuda117", "cupy-cuda118", "cupy-rocm-4-3", "cupy-rocm-5-0",
)  # fmt: skip
"""Packages that each bring the module ``cupy``; two of them overwrite each other's files."""

# What a toolkit needs: the oldest CUDA of a driver (within a major version newer toolkits run on older drivers), the
# first driver that has it, and the oldest compute capability that its compiler knows.
_NEEDS: Final[Mapping[int, tuple[tuple[int, int], str, tuple[int, int]]]] = {
    11: ((11, 2), "460.27", (5, 0)),
    12: ((12, 0), "525.60", (5, 0)),
    13: ((13, 0), "580.65", (7, 5)),
}
_COMPUTE_PROHIBITED: Final = 2

_FAULTS: Final[Mapping[int, str]] = {
    3: "CUDA was started before this process was forked: start workers with multiprocessing's spawn or forkserver",
    34: "libcuda.so.1 is the toolkit's stub and not the driver: take the folder 'stubs' out of LD_LIBRARY_PATH",
    35: "the NVIDIA driver is older than CuPy's toolkit needs: tradeutils doctor names the extra that fits it",
    46: "another process has the GPU for itself: end it, or nvidia-smi --compute-mode=DEFAULT",
    101: "CUDA_VISIBLE_DEVICES names a GPU that is not there: unset it, or name one that nvidia-smi -L lists",
    802: "the NVLink fabric is not up: start nvidia-fabricmanager",
    803: "the driver's library and its kernel module differ, as after an update: reboot, or load the new module",
    804: "CUDA's compatibility package does not serve this GPU: take it out of LD_LIBRARY_PATH, or update the driver",
}


def extra_for(cuda: tuple[int, int] | None) -> str:
    """Return the extra that fits the newest CUDA a driver can run: ``(12, 4)`` is ``"gpu-cuda12x"``."""
    major = 12 if cuda is None else cuda[0]
    return f"gpu-cuda{min(max(major, min(_NEEDS)), max(_NEEDS))}x"


def _install(cuda: tuple[int, int] | None) -> str:
    return f'pip install "tradeutils[{extra_for(cuda)}]"'


def toolkit_of(package: str) -> int | None:
    """Return the CUDA major version that a CuPy package is made for: 11 of ``"cupy-cuda11x"``; ``None``: not told."""
    named = re.fullmatch(r"cupy-cuda(1\d)[x\d]", package)
    return int(named[1]) if named else None


def no_driver(library: str, *, kernel_part: bool) -> str:
    """Say that the driver's library was not found. ``kernel_part``: the system runs the driver's kernel module."""
    if kernel_part:
        return (
            f"the machine has an NVIDIA driver and this environment does not see {library}: start the container with "
            "--gpus all (NVIDIA container toolkit), or add the library's folder to LD_LIBRARY_PATH"
        )
    return (
        f"no NVIDIA driver ({library} was not found): install one, {_NEEDS[11][1]} or newer, where there is an NVIDIA "
        "GPU; start a container with --gpus all"
    )


def driver_fault(status: int, visible: str | None) -> str:
    """
    Say what a driver without a usable device reported.

    Parameters
    ----------
    status : int
        A ``CUresult`` or ``cudaError_t``; those used here have one number in both.
    visible : str or None
        The environment's ``CUDA_VISIBLE_DEVICES``.
    """
    if status == 100:
        if visible is not None:
            return f"CUDA_VISIBLE_DEVICES was {visible!r:.80} and leaves no GPU: unset it, or name one, as in 0"
        return (
            "the NVIDIA driver finds no GPU: see whether nvidia-smi -L lists one, and start a container with --gpus all"
        )
    known = _FAULTS.get(status)
    if known is not None:
        return known
    return f"the NVIDIA driver does not start (CUDA error {status}): see nvidia-smi and the kernel's log, or reboot"


def cupy_problem(installed: Mapping[str, str], cuda: tuple[int, int] | None) -> str:
    """
    Say why no CuPy can be used with a driver; empty where one can.

    Parameters
    ----------
    installed : mapping of str to str
        CuPy's packages that are here, and their versions.
    cuda : tuple of int or None
        The newest CUDA that the driver can run.
    """
    names = sorted(installed)
    if cuda is not None and cuda < _NEEDS[11][0]:
        return (
            f"the NVIDIA driver supports CUDA {_dotted(cuda)} and CuPy needs {_dotted(_NEEDS[11][0])} at least: "
            f"install driver {_NEEDS[11][1]} or newer"
        )
    if not names:
        return f"CuPy is not installed: {_install(cuda)}"
    if len(names) > 1:
        return (
            f"{' and '.join(names)} are installed and overwrite each other: "
            f"pip uninstall -y {' '.join(names)} && {_install(cuda)}"
        )
    name = names[0]
    if name.startswith("cupy-rocm"):
        return f"{name} is for AMD's GPUs: pip uninstall -y {name} && {_install(cuda)}"
    needs = _NEEDS.get(toolkit_of(name) or 0)
    if needs is not None and cuda is not None and cuda < needs[0]:
        return (
            f"the NVIDIA driver supports CUDA {_dotted(cuda)} and {name} needs {_dotted(needs[0])}: "
            f"pip uninstall -y {name} && {_install(cuda)}, or install driver {needs[1]} or newer"
        )
    return ""


def numpy_problem(package: str, requirements: list[str], numpy: str) -> str:
    """
    Say that numpy is outside the range that a CuPy package is made for; empty where it is within.

    ``requirements`` are the package's, as its metadata has them: ``"numpy<2.6,>=1.22"``.
    """
    for line in requirements:
        named = re.match(r"numpy\s*\(?\s*([<>=!~][^;)]*)", line)
        if named is None or "extra" in line.partition(";")[2]:
            continue
        bounds = [bound.strip() for bound in named[1].split(",")]
        if not all(_within(numpy, bound) for bound in bounds if bound):
            wanted = ",".join(bounds)
            return f'{package} needs numpy {wanted} and numpy {numpy} is installed: pip install "numpy{wanted}"'
    return ""


def _within(version: str, bound: str) -> bool:
    """Tell whether a version keeps ``<2.6`` or ``>=1.22``; other operators are left to pip."""
    split = re.fullmatch(r"(<=|>=|<|>)\s*([\d.]+).*", bound)
    if split is None:
        return True
    ours, theirs = _numbers(version), _numbers(split[2])
    length = max(len(ours), len(theirs))
    a, b = (part + (0,) * (length - len(part)) for part in (ours, theirs))
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[split[1]]


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers: (2, 6, 0) of ``"2.6.0rc1"``."""
    named = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in named[0].split(".")) if named else (0,)


def import_problem(package: str, error: BaseException, cuda: tuple[int, int] | None) -> str:
    """Say that CuPy is installed and cannot be imported. Of its message, which fills a page, the cause is told."""
    cause = error.__cause__ or error
    said = " ".join(str(cause).split())[:160]
    return (
        f"{package} cannot be imported ({type(cause).__name__}: {said}): "
        f"pip uninstall -y {package} && {_install(cuda)} --force-reinstall"
    )


def no_compiler(package: str, error: BaseException) -> str:
    """Say that NVRTC, which compiles the kernels, cannot be loaded."""
    said = " ".join(str(error).split())[:120]
    major = toolkit_of(package)
    remedy = "install the CUDA toolkit and set CUDA_PATH"
    if major == 11:
        remedy = "pip install nvidia-cuda-nvrtc-cu11, or install the CUDA toolkit 11.8"
    elif major is not None:
        remedy = f'pip install "{package}[ctk]>=14", or install the CUDA toolkit {major}'
    return f"{package} finds no NVRTC ({said}): {remedy}"


def device_problem(
    number: int, name: str, capability: tuple[int, int], toolkit: tuple[int, int], compute_mode: int = 0
) -> str:
    """
    Say why a device of the driver cannot be used; empty where it can.

    Parameters
    ----------
    number, name
        The device.
    capability : tuple of int
        Its compute capability, ``(7, 5)``.
    toolkit : tuple of int
        The CUDA version that CuPy is made for.
    compute_mode : int
        As in the device's properties: 2 prohibits all computing.
    """
    oldest = _NEEDS[min(max(toolkit[0], min(_NEEDS)), max(_NEEDS))][2]
    if capability < oldest:
        older = toolkit[0] > 12 and capability >= _NEEDS[12][2]
        remedy = f'pip install "tradeutils[{extra_for((12, 0))}]" in its place' if older else 'write backend="cpu"'
        return (
            f"GPU {number}, {name}, has compute capability {_dotted(capability)} and CUDA {_dotted(toolkit)} needs "
            f"{_dotted(oldest)}: {remedy}"
        )
    if compute_mode == _COMPUTE_PROHIBITED:
        return f"GPU {number}, {name}, prohibits computing: sudo nvidia-smi -i {number} --compute-mode=DEFAULT"
    return ""


def lost(number: int, name: str, said: str) -> str:
    """Say that a kernel ended with a fault after which CUDA serves this process no more."""
    return f"GPU {number}, {name}, was lost to this process ({said}): restart the process"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
