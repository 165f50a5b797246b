"""The translation of kernels: it is up to date, complete, has numba's arithmetic, and refuses what it cannot say."""

from __future__ import annotations

import ast
import itertools
import math

import numba
import numpy as np
import pytest
from host_device import HostDevice

from tradeutils.indicators import REGISTRY
from tradeutils.indicators.cpu.compiling import kernel, step
from tradeutils.indicators.cpu.logarithms import parts
from tradeutils.indicators.cuda import translate
from tradeutils.indicators.cuda.expressions import bare
from tradeutils.indicators.cuda.scopes import python_of
from tradeutils.indicators.cuda.source import class_name, kernels
from tradeutils.indicators.expression import LEAD, Operator


def test_the_translation_is_up_to_date():
    """``kernels.cu`` holds what the kernels of the CPU are now: python -m tradeutils.indicators.cuda.translate."""
    text = translate.PATH.read_text(encoding="utf-8")
    assert text == translate.written(text)


def test_a_file_without_the_marked_part_is_given_it():
    """Only what stands between the markers is made anew."""
    text = f"before\n{translate.BEGIN}out of date\n{translate.END}after\n"
    made = translate.written(text)
    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "out of date" not in made
    assert "tu_op_averages_ema" in made


def test_every_operator_of_every_indicator_has_a_class():
    """What indicators are made of has a translation: none is told to be unsupported."""
    found = {LEAD}
    for indicator in REGISTRY.values():
        for compat in ("talib", "tradingview"):
            values = tuple(parameter.default for parameter in indicator.parameters)
            waiting = list(indicator.expressions(values, indicator.inputs, compat))
            while waiting:
                node = waiting.pop()
                waiting += node.inputs
                found.update([node.operator] if node.inputs else [])
    known = translate.operators_found()
    assert found - {LEAD} <= set(known)
    for operator in known:
        assert f"struct {class_name(operator)} : tu_operator {{" in kernels()


def test_the_kernels_compile_without_a_program():
    """``kernels.cu`` stands by itself."""
    assert HostDevice(optimised=False).compile(kernels())


# Numbers at which arithmetic parts ways: zeros of both signs, the infinities, NaN, and such as round.
FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    2.5,
    -2.5,
    1e300,
    5e-324,
    -1e-310,
    math.inf,
    -math.inf,
    math.nan,
    3.0000000000000004,
)
INTEGERS = (0, 1, -1, 2, 7, -7, 12, -12, 100)


def largest(a: float, b: float) -> float:
    return max(a, b)


def smallest(a: float, b: float) -> float:
    return min(a, b)


def largest_of_three(a: float, b: float) -> float:
    return max(a, 1.0, b)


def smallest_with_whole(a: float, b: float) -> float:
    return min(a, 2, b)


def quotient(a: float, b: float) -> float:
    return a / b + -a / 3


def swapped(a: float, b: float) -> float:
    one, other = a, b
    one, other = other, one - other
    return one * 2.0 - other


def chained(a: float, b: float) -> float:
    one = other = a
    one += b
    other -= one
    one *= 0.5
    other /= 3.0
    return one - other


def logic(a: float, b: float) -> float:
    both, either = (a > b) & (b == b), (a <= b) | (a != a)
    if both and not either:
        return 1.0
    elif either or a >= 2.0:  # noqa: RET505
        return -1.0 if b < 0.0 else 0.25
    return math.inf if a else 3


def looped(a: float, b: float) -> float:
    total, count = 0.0, 0
    for k in range(10, 0, -3):
        if k == 7:
            continue
        total += abs(a) * k
        count |= k
        if total > 100.0:
            break
    for k in range(3):
        total += b * float(k)
    return total + count


def rounded(a: float, b: float) -> float:
    return np.floor(a) + (math.floor(b) if abs(b) < 1e9 else 0) - math.sqrt(abs(a)) + math.degrees(0.125)


def remainder(a: int, b: int) -> float:
    return float(a % b)


def floored(a: int, b: int) -> float:
    return float(a // b)


def whole(a: int, b: int) -> float:
    some = max(a, b) - min(a, b, 3) + (a & b) + (a | b)
    return some / b + a * b


OF_FLOATS = (
    largest,
    smallest,
    largest_of_three,
    smallest_with_whole,
    quotient,
    swapped,
    chained,
    logic,
    looped,
    rounded,
)
OF_INTEGERS = (remainder, floored, whole)


@pytest.fixture(scope="module", name="computed")
def _computed():
    """Return the translations of all probes, and of the parts of a number, run on every pair: by the probe's name."""
    entries = []
    for probe in (*OF_FLOATS, *OF_INTEGERS):
        lines, _ = translate.step_of(probe)
        kind = "double" if probe in OF_FLOATS else "long long"
        call = f"tu_test_cuda_translate_{probe.__name__}(a[k], b[k])"
        if probe in OF_INTEGERS:
            call = call.replace("a[k], b[k]", "(int)a[k], (int)b[k]")
        lines.append(f'extern "C" __global__ void probe_{probe.__name__}(const long long* table) {{')
        lines.append(f"    const {kind}* a = (const {kind}*)table[1]; const {kind}* b = (const {kind}*)table[2];")
        lines.append(f"    for (long long k = 0; k < table[0]; ++k) ((double*)table[3])[k] = {call};")
        entries += [*lines, "}"]
    entries.append('extern "C" __global__ void probe_parts(const long long* table) {')
    entries.append("    const double* a = (const double*)table[1]; double* out = (double*)table[3];")
    entries.append("    for (long long k = 0; k < table[0]; ++k) {")
    entries.append("        const tu_pair made = tu_logarithms_parts(a[k]);")
    entries.append("        out[2 * k] = made.first, out[2 * k + 1] = made.second;")
    entries += ["    }", "}"]
    device = HostDevice()
    module = device.compile(kernels() + "\n" + "\n".join(entries) + "\n")

    def run(name, a, b, size=1):
        with device:
            given = [device.upload(np.array(one)) for one in (a, b)]
            made = device.xp.empty(size * len(a))
            table = device.upload(np.array([len(a), *map(device.address, (*given, made))]))
            module.launch(f"probe_{name}", (1, 1, 1), 1, table)
            return device.download(made)

    return run


def same(a, b):
    return (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("probe", OF_FLOATS, ids=lambda probe: probe.__name__)
def test_floats_are_computed_as_numba_does(computed, probe):
    """Zeros of both signs, infinities and NaN come out of every operation as they do on the CPU."""
    a, b = zip(*itertools.product(FLOATS, FLOATS), strict=True)
    compiled = numba.njit(error_model="numpy")(probe)
    want = np.array([compiled(*pair) for pair in zip(a, b, strict=True)], float)
    assert same(want, computed(probe.__name__, a, b)).all()


@pytest.mark.parametrize("probe", OF_INTEGERS, ids=lambda probe: probe.__name__)
def test_integers_are_computed_as_numba_does(computed, probe):
    """Remainders and floors have the sign that Python gives them; by zero they are 0."""
    a, b = zip(*itertools.product(INTEGERS, INTEGERS), strict=True)
    compiled = numba.njit(error_model="numpy")(probe)
    want = np.array([compiled(*pair) for pair in zip(a, b, strict=True)], float)
    assert same(want, computed(probe.__name__, a, b)).all()


def test_the_parts_of_a_number_are_those_of_the_cpu(computed):
    """The one step that is written by hand takes positive numbers apart as the CPU does, the smallest too."""
    random = np.random.default_rng(5)
    values = np.concatenate([np.exp(random.uniform(-700, 700, 2000)), random.uniform(0.5, 2.0, 500), [5e-324, 1e-310]])
    values = np.concatenate([values, 2.0 ** np.arange(-1074, 1024)])
    want = np.array([parts(value) for value in values]).ravel()
    assert same(want, computed("parts", values, values, 2)).all()


def of_another_symbol(x: Matrix, out: Matrix, width: int) -> None:  # noqa: F821
    for t in range(x.shape[0]):
        for s in range(width):
            out[t, s] = x[t, s + 1]


def of_another_bar(x: Matrix, out: Matrix, width: int) -> None:  # noqa: F821
    for t in range(x.shape[0]):
        for s in range(width):
            out[t, s] = x[t - 1, s]


def of_the_bar_itself(x: Matrix, out: Matrix, seen: int, width: int) -> None:  # noqa: F821
    for t in range(x.shape[0]):
        for s in range(width):
            out[t, s] = float(seen + t)


def of_two_cycles(x: Matrix, out: Matrix, seen: int, width: int, a: int, b: int) -> None:  # noqa: F821
    for t in range(x.shape[0]):
        at, beside = (seen + t) % a, (seen + t) % b
        for s in range(width):
            out[t, s] = float(at + beside)


def leaving_symbols_out(x: Matrix, out: Matrix, width: int) -> None:  # noqa: F821
    for t in range(x.shape[0]):
        for s in range(width):
            if x[t, s] > 0.0:
                continue
            out[t, s] = 1.0


def carried_along(x: Matrix, out: Matrix, width: int) -> None:  # noqa: F821
    before = 0.0
    for t in range(x.shape[0]):
        for s in range(width):
            out[t, s] = before
            before = x[t, s]


def counted_down(x: Matrix, out: Matrix, width: int, period: int) -> None:  # noqa: F821
    for t in range(x.shape[0]):
        period |= 1
        for s in range(width):
            out[t, s] = x[t, s] * period


def without_a_loop(x: Matrix, out: Matrix, width: int) -> None:  # noqa: F821
    out[0, 0] = x[0, 0]


def while_it_lasts(a: float) -> float:
    while a > 1.0:
        a *= 0.5
    return a


def between(a: float) -> float:
    return 1.0 if 0.0 < a < 1.0 else 0.0


def raised(a: float) -> float:
    return a**2


def looked_up(a: float) -> float:
    return math.erf(a)


def named(a: float) -> float:
    return a + unheard_of  # noqa: F821


def texts(a: float) -> float:
    return a if "a" == "b" else 0.0


def too_large(a: float) -> float:
    return a * 3_000_000_000


def of_kinds(a: float) -> float:
    b = a > 0.0
    b = a
    return b + 1.0


def either_number(a: float) -> float:
    return a or 1.0


def added_truths(a: float) -> float:
    return (a > 0.0) + 1.0


def stepped(a: float, n: int) -> float:
    for k in range(0, 10, n):
        a += k
    return a


def over_list(a: float) -> float:
    for k in (1.0, 2.0):
        a += k
    return a


def counted_by_float(a: float) -> float:
    n = 0
    n += a
    return n


def three_of_two(a: float) -> float:
    b, c, d = parts(a)
    return b + c + d


def keyword(a: float) -> float:
    return max(a, key=abs)


def inverted(a: int) -> float:
    return float(~a)


def told(a: float) -> float:
    assert a > 0.0
    return a


def by_position(a: float) -> float:
    return parts(a)[0]


KERNELS = (of_another_symbol, of_another_bar, of_the_bar_itself, of_two_cycles, leaving_symbols_out, without_a_loop)
KERNELS += (carried_along, counted_down)
STEPS = (
    while_it_lasts,
    between,
    raised,
    looked_up,
    named,
    texts,
    too_large,
    of_kinds,
    either_number,
    added_truths,
    stepped,
)
STEPS += (over_list, counted_by_float, three_of_two, keyword, inverted, told, by_position)


@pytest.mark.parametrize("function", KERNELS, ids=lambda function: function.__name__)
def test_a_kernel_that_says_something_else_is_refused(function):
    """What has no meaning for one symbol and one bar at a time raises, and says where it stands."""
    names = {"of_two_cycles": (int, int), "counted_down": (int,)}
    operator = Operator("test", function.__name__, parameters=names.get(function.__name__, ()))
    with pytest.raises(NotImplementedError, match=r"test_cuda_translate\.py:\d+: "):
        translate.operator_of(operator, function)


@pytest.mark.parametrize("function", STEPS, ids=lambda function: function.__name__)
def test_a_step_that_says_something_else_is_refused(function):
    """What has no translation raises with its file and line; nothing is translated as something near it."""
    with pytest.raises(NotImplementedError, match=r"test_cuda_translate\.py:\d+: .* cannot be translated"):
        translate.step_of(function)


def test_steps_and_kernels_are_known_by_their_python():
    """A step and a kernel are what numba and we wrap; all else is none."""
    assert python_of(step(between)) is between
    assert python_of(kernel()(of_another_bar)) is of_another_bar
    assert python_of(math.sqrt) is None


def test_parentheses_around_the_whole_go_and_others_stay():
    """Only a pair that encloses everything is taken off."""
    assert bare("((a + b))") == "a + b"
    assert bare("(a) + (b)") == "(a) + (b)"
    assert bare("f(a)") == "f(a)"
    assert ast.parse(bare("(a)"))
