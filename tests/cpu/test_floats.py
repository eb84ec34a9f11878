"""Floating point: in integers, by the host, and as rational numbers; Berkeley SoftFloat is the judge.

`specials` meet each other in all pairs, and each of them two others, in every rounding mode; then come random numbers.
"""

from __future__ import annotations

import ctypes
import itertools
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from typing import Any

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, EXTREMES, INTEGERS, TEST, HostFloat, host_has_fma
from rrdbg_core.cpu.reference.rationals import DOUBLE, SINGLE, Float
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.table import BY_NAME, encode

from tests.cpu.softfloat import (
    ADD,
    DIV,
    EQ,
    FMA,
    FROM,
    LE,
    LT,
    MODES,
    MUL,
    RESIZE,
    SQRT,
    SUB,
    TO,
    Operation,
    Words,
    compare,
    compare_host,
    integers,
    numbers,
    operations,
    specials,
)

pytest.importorskip("softfloatpy", reason="the wheel `softfloatpy` is not installed")
pytestmark = pytest.mark.oracle
RANDOM = 26_000
"""Rows of random operands for an operation and mode; with those of the specials five million in all."""


def rows_of_specials(operation: Operation) -> tuple[Words, Words, Words]:
    """Return all pairs of special numbers, with a third one that goes through them."""
    if operation.code == FROM:
        values = [
            value & (1 << 64) - 1 for power in range(65) for value in (1 << power, (1 << power) - 1, -(1 << power))
        ]
        column = np.array(values, np.uint64)
        return column, column, column
    pairs = list(itertools.product(specials(operation.wide), repeat=2))
    a, b = np.array(pairs, np.uint64).T
    return a, b, np.resize(np.array(specials(operation.wide)[::-1], np.uint64), len(a))


def random_rows(operation: Operation, count: int, seed: int) -> tuple[Words, Words, Words]:
    rng = np.random.default_rng(seed)
    if operation.code == FROM:
        return integers(rng, count), integers(rng, count), integers(rng, count)
    a, b, c = (numbers(rng, count, operation.wide) for _ in range(3))
    return a, b, c


def judged(count: int, seed: int) -> int:
    """Compare, and return how many operations that were."""
    done = 0
    for number, operation in enumerate(operations()):
        for mode in MODES:
            for rows in (rows_of_specials(operation), random_rows(operation, count, seed + 10 * number + mode)):
                assert compare(operation, mode, *rows) is None
                done += len(rows[0])
    return done


def test_five_million_operations_against_softfloat() -> None:
    assert judged(RANDOM, 1) > 5_000_000


@pytest.mark.slow
def test_a_hundred_million_operations_against_softfloat() -> None:
    assert judged(560_000, 1_000_000) > 100_000_000


def test_a_difference_is_seen() -> None:
    add, other = (next(o for o in operations() if o.function == name) for name in ("f64_add", "f64_mul"))
    wrong = Operation(add.code, other.function, add.wide, add.kind, add.bits)
    found = compare(wrong, 0, *random_rows(add, 100, 1))
    assert found is not None
    # 1/3 at least once is not exact: flags alone make a difference
    third = np.array([0x3FF0000000000000], np.uint64)
    div = next(o for o in operations() if o.function == "f64_div")
    assert compare(div, 0, third, third + np.uint64(1), third) is None


# ---- rational numbers ------------------------------------------------------------------------------------------------
def rational(operation: Operation, mode: int, a: int, b: int, c: int) -> tuple[int, int]:
    """Return value and flags as the reference interpreter has them."""
    form, other = (DOUBLE, SINGLE) if operation.wide else (SINGLE, DOUBLE)
    unit = Float(form, mode)
    unsigned, wide = operation.kind & 1, operation.kind & 2
    bits = 64 if wide else 32
    low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
    calls: dict[int, Callable[[], int]] = {
        ADD: lambda: unit.add(a, b),
        SUB: lambda: unit.add(a, b ^ form.sign),
        MUL: lambda: unit.mul(a, b),
        DIV: lambda: unit.div(a, b),
        SQRT: lambda: unit.sqrt(a),
        FMA: lambda: unit.mul_add(a, b, c),
        TO: lambda: unit.integer(a, low, high),
        FROM: lambda: unit.of_integer((a & (1 << bits) - 1) - (0 if unsigned or not a >> bits - 1 & 1 else 1 << bits)),
        LE: lambda: unit.compare(a, b, "le"),
        LT: lambda: unit.compare(a, b, "lt"),
        EQ: lambda: unit.compare(a, b, "eq"),
    }
    if operation.code == RESIZE:
        unit = Float(other, mode)
        return unit.of_float(form, a), unit.flags
    value = calls[operation.code]() & (1 << operation.bits) - 1
    return value, unit.flags


def test_rational_numbers_against_softfloat() -> None:
    """SoftFloat is asked one by one."""
    from tests.cpu.softfloat import _library

    library = _library()
    mode_at = ctypes.c_uint8.in_dll(library, "softfloat_roundingMode")
    flags = ctypes.c_uint8.in_dll(library, "softfloat_exceptionFlags")
    for number, operation in enumerate(operations()):
        function = getattr(library, operation.function)
        function.argtypes, function.restype = [ctypes.c_uint64] * 3, ctypes.c_uint64
        for mode in MODES:
            mode_at.value = mode
            columns = [
                np.concatenate((special[mode::397], drawn))
                for special, drawn in zip(
                    rows_of_specials(operation), random_rows(operation, 60, 77 + 10 * number + mode), strict=True
                )
            ]
            for a, b, c in zip(*(column.tolist() for column in columns), strict=True):
                flags.value = 0
                arguments = (a, mode, 1) if operation.code == TO else (a, b, c)
                want = function(*arguments) & (1 << operation.bits) - 1
                assert rational(operation, mode, a, b, c) == (want, flags.value), (operation, mode, hex(a), hex(b))


# ---- by the host -----------------------------------------------------------------------------------------------------
def host_source() -> str:
    """Return functions over (w, fcsr, row): 1 if the host does it, and then value and fcsr stand at row + 24."""
    parts = [TEST, "define i1 @trusted() {\n  %t = call i1 @host_float()\n  ret i1 %t\n}\n"]
    for name in sorted(DONE_BY_HOST):
        f = Emitter(f'define i64 @"{name}"(i64 %w, i64 %fcsr, ptr %row)')
        places = [f.let(f"getelementptr i64, ptr %row, i64 {index}") for index in range(5)]
        f.do(f"store i64 %fcsr, ptr {places[4]}")
        host = HostFloat(f, name, "slow", places[4])
        if host.works:
            words = [f.let(f"load i64, ptr {place}") for place in places[: host.arity]]
            if host.takes not in INTEGERS:
                words = [host.number(word, host.takes) for word in words]
            result = host.compute(*words)
            if host.gives not in INTEGERS:
                result = host.register(result, host.gives)
            f.do(f"store i64 {result}, ptr {places[3]}")
            f.do("ret i64 1")
        else:
            f.do("br label %slow")
        f.label("slow")
        f.do("ret i64 0")
        parts.append(f.text())
    return "".join(parts) + '!1 = !{!"branch_weights", i32 4000, i32 1}\n'


def compiled(source: str, cpu: str, features: str, opt: int) -> Any:
    """Return an engine that owns the compiled functions."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=opt, jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(source), target)
    engine.finalize_object()
    return engine


SOFTFLOAT = {"fadd": "add", "fsub": "sub", "fmul": "mul", "fdiv": "div", "fsqrt": "sqrt", "fle": "le", "flt": "lt"}
SOFTFLOAT |= {"feq": "eq"}
FORMATS = {"s": "f32", "d": "f64", "w": "i32", "wu": "ui32", "l": "i64", "lu": "ui64"}


def judge_of(name: str) -> str:
    """Return SoftFloat's name of an instruction."""
    stem, *letters = name.split(".")
    if stem == "fcvt":
        return f"{FORMATS[letters[1]]}_to_{FORMATS[letters[0]]}"
    return f"{FORMATS[letters[0]]}_{SOFTFLOAT.get(stem, 'mulAdd')}"


MINUS = {"fmadd": "", "fmsub": "c", "fnmsub": "a", "fnmadd": "ac"}


@pytest.fixture(scope="module", params=["host", "host, not optimised", "generic"])
def engine(request: pytest.FixtureRequest) -> Any:
    """Return the host's arithmetic, compiled for this host and for any."""
    import llvmlite.binding as llvm

    if request.param == "generic":
        if host_has_fma():
            features = "+fma" if "x86" in llvm.get_process_triple() else ""
            return compiled(host_source(), "", features, 2)
        return compiled(host_source(), "", "", 2)
    opt = 0 if "not" in request.param else 2
    return compiled(host_source(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), opt)


def test_the_host_against_softfloat(engine: Any) -> None:
    named = {operation.function: operation for operation in operations()}
    done = 0
    for number, name in enumerate(sorted(DONE_BY_HOST)):
        host = HostFloat(Emitter(""), name, "", "")
        if host.stem in EXTREMES or not host.works:
            continue
        operation = named[judge_of(name)]
        function = engine.get_function_address(name)
        here = 0
        for rows in (rows_of_specials(operation), random_rows(operation, 40_000, 500 + number)):
            for fcsr in (0, 1, 31):
                difference, count = compare_host(
                    function, operation, *rows, mode=host.mode or 0, fcsr=fcsr, minus=MINUS.get(host.stem, "")
                )
                assert difference is None, name
                here += count
        assert here > 20_000, name
        done += here
    print(f"{done:_} operations done by the host")


def call(engine: Any, name: str) -> Callable[..., tuple[int, int, int]]:
    """Return a function over fcsr and operands: whether the host does it, result and fcsr."""
    function = ctypes.CFUNCTYPE(*[ctypes.c_uint64] * 4)(engine.get_function_address(name))
    row = np.zeros(5, np.uint64)

    def called(fcsr: int, *operands: int) -> tuple[int, int, int]:
        row[: len(operands)] = operands
        return function(0, fcsr, row.ctypes.data), int(row[3]), int(row[4])

    return called


def test_extremes_by_the_host(engine: Any) -> None:
    for name in ("fmin.s", "fmax.s", "fmin.d", "fmax.d"):
        wide = name.endswith("d")
        form, box = (DOUBLE, 0) if wide else (SINGLE, 0xFFFF_FFFF << 32)
        asked = call(engine, name)
        count = 0
        for a, b in itertools.product(specials(wide), repeat=2):
            done, value, fcsr = asked(5, a | box, b | box)
            if done:
                unit = Float(form, 0)
                assert (value, fcsr, unit.flags) == (unit.extreme(a, b, greatest="max" in name) | box, 5, 0), (
                    name,
                    hex(a),
                    hex(b),
                )
                count += 1
        assert count > 2_000


def test_what_has_no_box_is_not_the_hosts(engine: Any) -> None:
    for name in sorted(DONE_BY_HOST):
        host = HostFloat(Emitter(""), name, "", "")
        if host.takes == "s" and host.works:
            one, two = 0xFFFF_FFFF_3F80_0000, 0xFFFF_FFFF_4000_0000
            assert call(engine, name)(1, one, one, two)[0]
            for odd in range(host.arity):
                for value in (0xFFFF_FFFE_3F80_0000, 0x7FFF_FFFF_3F80_0000, 0x3F80_0000):
                    operands = [value if place == odd else (one, one, two)[place] for place in range(host.arity)]
                    assert not call(engine, name)(1, *operands)[0], name


# fesetround's argument, and MXCSR's bits, on x86-64
X86_MODES = {"down": 1 << 13, "up": 2 << 13, "to zero": 3 << 13, "subnormals flushed": 1 << 15, "none known": 1 << 6}


@contextmanager
def host_mode(bits: int) -> Iterator[None]:
    """Set bits of the host's control register, on x86-64."""
    libm = ctypes.CDLL(find_library("m"))
    kept = (ctypes.c_uint32 * 8)()
    assert libm.fegetenv(kept) == 0
    changed = (ctypes.c_uint32 * 8)(*kept)
    changed[7] |= bits
    try:
        assert libm.fesetenv(changed) == 0
        yield
    finally:
        libm.fesetenv(kept)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="how to set a mode is known there"
)
@pytest.mark.parametrize("name", X86_MODES)
def test_a_host_that_rounds_otherwise_is_not_trusted(engine: Any, name: str) -> None:
    trusted = ctypes.CFUNCTYPE(ctypes.c_bool)(engine.get_function_address("trusted"))
    assert trusted()
    with host_mode(X86_MODES[name]):
        told = trusted()
    assert not told
    assert trusted()
    # two thirds, and a difference that is subnormal
    two, three, small = 0x4000_0000_0000_0000, 0x4008_0000_0000_0000, 0x0010_0000_0000_0000
    core = Core(1 << 16)
    core.mach[L.FLOAT] = MSTATUS_FS
    words = [encode(BY_NAME["fdiv.d"], 1, 2, 3), encode(BY_NAME["fsub.d"], 4, 5, 6)]
    core.write(0x8000_0000, b"".join(word.to_bytes(4, "little") for word in words))
    hart = core.hart
    hart[L.PC], hart[L.MSTATUS], hart[L.FCSR] = 0x8000_0000, MSTATUS_FS, 1
    hart[L.F + 2], hart[L.F + 3], hart[L.F + 5], hart[L.F + 6] = two, three, small + 1, small
    with host_mode(X86_MODES[name]):
        core.run(core.icount + 2)
    assert [hex(hart[L.F + register]) for register in (1, 4)] == ["0x3fe5555555555555", "0x1"]


def test_other_rounding_modes_are_not_the_hosts() -> None:
    """Whatever the mode in the instruction and in frm, it is the one that counts."""
    core = Core(1 << 16)
    core.mach[L.FLOAT] = MSTATUS_FS
    hart = core.hart
    one, tiny = 0x3FF0_0000_0000_0000, 0x3C00_0000_0000_0000
    word = BY_NAME["fadd.d"]
    for frm, rm in itertools.product(range(5), (0, 1, 2, 3, 4, 7)):
        core.write(0x8000_0000, encode(word, 1, 2, 3, rm << 12).to_bytes(4, "little"))
        hart[L.PC], hart[L.MSTATUS], hart[L.FCSR] = 0x8000_0000, MSTATUS_FS, frm << 5
        hart[L.F + 2], hart[L.F + 3] = one, tiny
        core.run(core.icount + 1)
        up = (frm if rm == 7 else rm) == 3
        assert (hart[L.F + 1], hart[L.FCSR]) == (one + up, frm << 5 | 1), (frm, rm)
