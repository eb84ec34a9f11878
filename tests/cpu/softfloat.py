"""Berkeley SoftFloat by the million: its C functions beside the kernel's own, called in one compiled loop.

The wheel `softfloatpy` is SoftFloat with the RISC-V specialisation. Its C functions are called by their addresses, all
with three words: a function looks only at the registers, and at the part of them, that it has arguments for.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rrdbg_core.cpu import frontend
from rrdbg_core.cpu import layout as L

Words = npt.NDArray[np.uint64]

SINGLE, DOUBLE = 0, 1
MODES = range(5)
INTEGERS = {"i32": 0, "ui32": 1, "i64": 2, "ui64": 3}
"""Integer types by SoftFloat's name: bit 0, unsigned; bit 1, 64 bits wide."""
ADD, SUB, MUL, DIV, SQRT, FMA, RESIZE, TO, FROM, LE, LT, EQ = range(12)


@dataclass(frozen=True)
class Operation:
    """One operation on one format."""

    code: int
    """What it is."""
    function: str
    """SoftFloat's name of it."""
    wide: int
    """Format of the operands; of the result, where these are integers."""
    kind: int = 0
    """Kind of the integer that it takes or gives."""
    bits: int = 64
    """Of the result."""


class Difference(NamedTuple):
    """The first operands for which two implementations differ."""

    operation: Operation
    mode: int
    operands: tuple[str, str, str]
    value: tuple[str, str]
    """Got and wanted."""
    flags: tuple[int, int]
    """Got and wanted."""


def operations() -> list[Operation]:
    """Return everything that SoftFloat can judge."""
    out = []
    for wide, prefix in enumerate(("f32", "f64")):
        bits = 64 if wide else 32
        names = {"add": ADD, "sub": SUB, "mul": MUL, "div": DIV, "sqrt": SQRT, "mulAdd": FMA}
        out += [Operation(code, f"{prefix}_{name}", wide, 0, bits) for name, code in names.items()]
        out += [Operation(code, f"{prefix}_{name}", wide, 0, 1) for name, code in (("le", LE), ("lt", LT), ("eq", EQ))]
        out.append(Operation(RESIZE, ("f32_to_f64", "f64_to_f32")[wide], wide, 0, 96 - bits))
        for name, kind in INTEGERS.items():
            out.append(Operation(TO, f"{prefix}_to_{name}", wide, kind, 64 if kind & 2 else 32))
            out.append(Operation(FROM, f"{name}_to_{prefix}", wide, kind, bits))
    return out


@cache
def _library() -> Any:
    import softfloatpy

    return ctypes.CDLL(softfloatpy._core.__file__)


@cache
def _caller() -> Any:
    """Return a function that calls a C function at an address."""
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    word = types.uint64

    @intrinsic
    def call(typing_context: Any, function: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            i64 = ir.IntType(64)
            pointer = builder.inttoptr(args[0], ir.FunctionType(i64, [i64, i64, i64]).as_pointer())
            return builder.call(pointer, args[1:])

        return word(word, word, word, word), codegen

    return call


@cache
def _loop() -> Any:
    """Return the loop: it compares, and returns how many rows are alike before the first that is not."""
    import numba
    from numba import types

    call = _caller()
    word, zero, one = types.uint64, np.uint64(0), np.uint64(1)

    functions = frontend.functions()
    add, mul, div, sqrt, fma = (functions[f"float_{name}"] for name in ("add", "mul", "div", "sqrt", "fma"))
    resized, of_integer = functions["float_resized"], functions["float_of_integer"]
    to_integer, compare = functions["integer_of_float"], functions["float_compare"]

    @numba.njit
    def mine(h, code, wide, kind, rm, a, b, c):  # type: ignore[no-untyped-def]
        if code == ADD:
            return add(h, wide, rm, a, b)
        if code == SUB:
            return add(h, wide, rm, a, b ^ (one << (np.uint64(63) if wide != zero else np.uint64(31))))
        if code == MUL:
            return mul(h, wide, rm, a, b)
        if code == DIV:
            return div(h, wide, rm, a, b)
        if code == SQRT:
            return sqrt(h, wide, rm, a)
        if code == FMA:
            return fma(h, wide, rm, a, b, c)
        if code == RESIZE:
            return resized(h, wide ^ one, rm, a)
        if code == TO:
            return to_integer(h, wide, rm, a, kind)
        if code == FROM:
            return of_integer(h, wide, rm, a, kind)
        return compare(h, wide, a, b, np.uint64(code - np.uint64(LE)))

    words, flag = types.CPointer(word), types.CPointer(types.uint8)
    raised = np.uint64(L.FLOAT_RAISED)

    @numba.cfunc(word(word, words, words, words, words, words, words, flag))
    def loop(theirs, what, a, b, c, h, got, flags):  # type: ignore[no-untyped-def]
        code, wide, kind, rm, mask, count = what[0], what[1], what[2], what[3], what[4], what[5]
        host, fcsr, box, minus_a, minus_c, row = what[6], what[7], what[8], what[9], what[10], what[11]
        i = zero
        while i < count:
            flags[0] = np.uint8(0)
            if code == np.uint64(TO):
                want = call(theirs, a[i], rm, one) & mask
            else:
                want = call(theirs, a[i] ^ minus_a, b[i], c[i] ^ minus_c) & mask
            h[raised] = zero
            if host != zero:
                h[0], h[1], h[2] = a[i] | box, b[i] | box, c[i] | box
                if call(host, zero, fcsr, row) == zero:
                    i += one
                    continue
                got[2] += one
                value = h[3] & mask
                h[raised] = h[4]
                flags[0] = np.uint8(np.uint64(flags[0]) | fcsr)
            else:
                value = mine(h, code, wide, kind, rm, a[i], b[i], c[i]) & mask
            if value != want or h[raised] != np.uint64(flags[0]):
                got[0] = value
                got[1] = want
                return i
            i += one
        return count

    return loop


@cache
def _judge() -> Any:
    """Return the loop that lets SoftFloat compute."""
    import numba
    from numba import types

    call = _caller()
    word, zero, one = types.uint64, np.uint64(0), np.uint64(1)
    words, flag = types.CPointer(word), types.CPointer(types.uint8)

    @numba.cfunc(types.void(word, words, words, words, words, words, words, flag))
    def loop(theirs, what, a, b, c, values, raised, flags):  # type: ignore[no-untyped-def]
        code, rm, mask, count, minus_a, minus_c = what[0], what[1], what[2], what[3], what[4], what[5]
        i = zero
        while i < count:
            flags[0] = np.uint8(0)
            if code == np.uint64(TO):
                values[i] = call(theirs, a[i], rm, one) & mask
            else:
                values[i] = call(theirs, a[i] ^ minus_a, b[i], c[i] ^ minus_c) & mask
            raised[i] = np.uint64(flags[0])
            i += one

    return loop


def judged(operation: Operation, mode: int, a: Words, b: Words, c: Words, *, minus: str = "") -> tuple[Words, Words]:
    """Return what SoftFloat makes of columns of operands, and the exceptions; `minus` as in `compare_host`."""
    library = _library()
    ctypes.c_uint8.in_dll(library, "softfloat_roundingMode").value = mode
    flags = ctypes.c_uint8.in_dll(library, "softfloat_exceptionFlags")
    address = ctypes.cast(getattr(library, operation.function), ctypes.c_void_p).value
    sign = 1 << (63 if operation.wide else 31)
    columns = [np.ascontiguousarray(column) for column in (a, b, c)]
    values, raised = np.zeros_like(columns[0]), np.zeros_like(columns[0])
    mask = (1 << operation.bits) - 1
    what = np.array([operation.code, mode, mask, len(a), sign * ("a" in minus), sign * ("c" in minus)], np.uint64)
    pointers = map(_pointer, (what, *columns, values, raised))
    _judge().ctypes(address, *pointers, ctypes.pointer(flags))
    return values, raised


def _pointer(words: Words) -> Any:
    return ctypes.cast(words.ctypes.data, ctypes.POINTER(ctypes.c_uint64))


def compare(operation: Operation, mode: int, a: Words, b: Words, c: Words) -> Difference | None:
    """Compare the kernel's function with SoftFloat's, on columns of operands."""
    return _compare(operation, mode, (a, b, c), 0, 0, 0, 0)[0]


def compare_host(
    function: int, operation: Operation, a: Words, b: Words, c: Words, *, mode: int = 0, fcsr: int, minus: str = ""
) -> tuple[Difference | None, int]:
    """Compare a function of the host's arithmetic, at its address, where it does something; return how often it did.

    Args:
        function: Of (0, fcsr, address of five words: operands, result and fcsr); it returns whether it did it.
        operation: What it should do.
        a: First operands, and the others.
        b: See `a`.
        c: See `a`.
        mode: Rounding mode that it is done in.
        fcsr: Exceptions that are raised before.
        minus: Which operands have their sign changed before SoftFloat gets them.
    """
    sign = 1 << (63 if operation.wide else 31)
    return _compare(operation, mode, (a, b, c), function, fcsr, sign * ("a" in minus), sign * ("c" in minus))


def _compare(
    operation: Operation, mode: int, rows: tuple[Words, Words, Words], host: int, fcsr: int, minus_a: int, minus_c: int
) -> tuple[Difference | None, int]:
    library = _library()
    ctypes.c_uint8.in_dll(library, "softfloat_roundingMode").value = mode
    flags = ctypes.c_uint8.in_dll(library, "softfloat_exceptionFlags")
    address = ctypes.cast(getattr(library, operation.function), ctypes.c_void_p).value
    mask = (1 << operation.bits) - 1
    hart, got = np.zeros(L.HART_WORDS, np.uint64), np.zeros(3, np.uint64)
    box = 0 if operation.wide or operation.code == FROM else 0xFFFF_FFFF_0000_0000
    common = [operation.code, operation.wide, operation.kind, mode, mask, len(rows[0])]
    what = np.array([*common, host, fcsr, box, minus_a, minus_c, hart.ctypes.data], np.uint64)
    columns = [np.ascontiguousarray(column) for column in rows]
    at = _loop().ctypes(
        address, _pointer(what), *map(_pointer, columns), _pointer(hart), _pointer(got), ctypes.pointer(flags)
    )
    done = int(got[2])
    if at == len(rows[0]):
        return None, done
    operands = hex(columns[0][at]), hex(columns[1][at]), hex(columns[2][at])
    values, raised = (hex(got[0]), hex(got[1])), (int(hart[L.FLOAT_RAISED]), int(flags.value))
    return Difference(operation, mode, operands, values, raised), done


# ---- operands --------------------------------------------------------------------------------------------------------
def specials(wide: int) -> list[int]:
    """Return the numbers at which something changes, of both signs."""
    places, top, bits = (52, 2047, 64) if wide else (23, 255, 32)
    bias, one = top // 2, top // 2 << places
    sizes = [0, 1, 2, (1 << places) - 1, 1 << places, (1 << places) + 1, (top << places) - 1, (top << places) - 2]
    sizes += [top << places, top << places | 1, top << places | 1 << places - 1, (top + 1 << places) - 1]
    sizes += [one, one - 1, one + 1, one + (1 << places - 1), one - (1 << places - 1), one + (1 << places)]
    for exponent in (31, 32, 52, 53, 62, 63, 64):  # where integers end
        power = bias + exponent << places
        sizes += [power, power - 1, power + 1, power - 2, power | 1 << places - 31 if places > 31 else power + 3]
    for half in (0.5, 1.5, 2.5, 2147483647.5, 4294967295.5):
        sizes.append(int(np.array(half).view(np.uint64)) if wide else int(np.array(half, np.float32).view(np.uint32)))
    return [sign << bits - 1 | size for size in sizes for sign in (0, 1)]


def numbers(rng: np.random.Generator, count: int, wide: int) -> Words:
    """Return numbers of all kinds: most near each other, many with few bits, some special."""
    places, top, bits = (52, 2047, 64) if wide else (23, 255, 32)

    def drawn(low: int, high: int) -> Words:
        return rng.integers(low, high, count, dtype=np.uint64)

    def some(share: float, here: Words, there: Words) -> Words:
        return np.where(rng.random(count) < share, here, there)

    fraction, cut = drawn(0, 1 << places), drawn(0, places)
    fraction = some(0.3, fraction >> cut << cut, fraction)
    fraction = some(0.1, np.uint64(1) << cut, fraction)
    fraction = some(0.1, np.uint64((1 << places) - 1) ^ (fraction >> cut), fraction)
    fraction = some(0.05, drawn(0, 1), fraction)
    exponent = some(0.5, drawn(top // 2 - 70, top // 2 + 70), drawn(0, top + 1))
    exponent = some(0.1, drawn(0, 4), exponent)
    exponent = some(0.1, drawn(top - 3, top + 1), exponent)
    value = drawn(0, 2) << np.uint64(bits - 1) | exponent << np.uint64(places) | fraction
    return some(0.05, rng.choice(np.array(specials(wide), np.uint64), count), value)


def integers(rng: np.random.Generator, count: int) -> Words:
    """Return integers of all sizes and both signs."""
    value = rng.integers(0, 1 << 64, count, dtype=np.uint64) >> rng.integers(0, 64, count, dtype=np.uint64)
    return np.where(rng.random(count) < 0.5, ~value, value)
