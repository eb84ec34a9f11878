"""Machine operations that numba's Python has no exact word for: typed memory access, sign extension, comparisons.

Every value is u64; numba never gets to see a signed number or a mixed pair, which it would turn into a float.
Memory is addressed by GEP from its base pointer (numba 0.66 miscompiled integer-to-pointer arithmetic).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rrdbg_core.cpu.build import DISPATCH

_I8, _I64 = ir.IntType(8), ir.IntType(64)
_U64, _BYTES = types.uint64, types.CPointer(types.uint8)


def _at(builder: Any, base: Any, offset: Any, bits: int) -> Any:
    pointer = builder.gep(builder.bitcast(base, _I8.as_pointer()), [offset], source_etype=_I8)
    return builder.bitcast(pointer, ir.IntType(bits).as_pointer())


def _loader(bits: int) -> Any:
    @intrinsic
    def load(typing_context: Any, base: Any, offset: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_at(builder, args[0], args[1], bits), typ=ir.IntType(bits))
            value.align = 1
            return builder.zext(value, _I64) if bits < 64 else value

        return _U64(base, _U64), codegen

    return load


def _storer(bits: int) -> Any:
    @intrinsic
    def store(typing_context: Any, base: Any, offset: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            narrow = builder.trunc(args[2], ir.IntType(bits)) if bits < 64 else args[2]
            builder.store(narrow, _at(builder, args[0], args[1], bits), align=1)
            return context.get_dummy_value()

        return types.void(base, _U64, _U64), codegen

    return store


load1, load2, load4, load8 = (_loader(bits) for bits in (8, 16, 32, 64))
store1, store2, store4, store8 = (_storer(bits) for bits in (8, 16, 32, 64))


def _pointer(element: Any) -> Any:
    @intrinsic
    def pointer(typing_context: Any, table: Any, index: Any) -> Any:
        """Return entry `index` of a table of pointers."""
        result = types.CPointer(element)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = context.get_value_type(result)
            slot = builder.gep(args[0], [args[1]], source_etype=_I64)
            return builder.load(builder.bitcast(slot, kind.as_pointer()), typ=kind)

        return result(table, _U64), codegen

    return pointer


words_at = _pointer(types.uint64)
bytes_at = _pointer(types.uint8)
u32_at = _pointer(types.uint32)


def _unary(build: Any) -> Any:
    @intrinsic
    def function(typing_context: Any, a: Any) -> Any:
        return _U64(_U64), lambda context, builder, signature, args: build(builder, args[0])

    return function


def _binary(build: Any) -> Any:
    @intrinsic
    def function(typing_context: Any, a: Any, b: Any) -> Any:
        return _U64(_U64, _U64), lambda context, builder, signature, args: build(builder, *args)

    return function


def _sext(bits: int) -> Any:
    return _unary(lambda b, a: b.sext(b.trunc(a, ir.IntType(bits)), _I64))


sext8, sext16, sext32 = _sext(8), _sext(16), _sext(32)
sar = _binary(lambda b, x, y: b.ashr(x, y))
lts = _binary(lambda b, x, y: b.zext(b.icmp_signed("<", x, y), _I64))
# numba's own division asks whether the divisor is 0, and raises
quotient = _binary(lambda b, x, y: b.udiv(x, y))


swap = _unary(lambda b, x: b.bswap(x))
clz = _unary(lambda b, x: b.ctlz(x, ir.IntType(1)(0)))


# ---- vectors ---------------------------------------------------------------------------------------------------------
def _fold(builder: Any, x: Any, y: Any) -> Any:
    wide = ir.IntType(128)
    product = builder.mul(builder.zext(x, wide), builder.zext(y, wide))
    return builder.xor(builder.trunc(product, _I64), builder.trunc(builder.lshr(product, wide(64)), _I64))


# one half of the 128-bit product of two words, xor the other
fold = _binary(_fold)


def _high_half(builder: Any, x: Any, y: Any) -> Any:
    wide = ir.IntType(128)
    product = builder.mul(builder.zext(x, wide), builder.zext(y, wide))
    return builder.trunc(builder.lshr(product, wide(64)), _I64)


high_half = _binary(_high_half)
_LANES = ir.VectorType(_I64, 8)
_PRIME32_1 = 0x9E3779B1


def _lanes(builder: Any, base: Any, offset: Any) -> Any:
    pointer = builder.gep(builder.bitcast(base, _I8.as_pointer()), [offset], source_etype=_I8)
    return builder.bitcast(pointer, _LANES.as_pointer())


def _load_lanes(builder: Any, base: Any, offset: Any) -> Any:
    value = builder.load(_lanes(builder, base, offset), typ=_LANES)
    value.align = 1
    return value


def _each(value: int) -> Any:
    return ir.Constant(_LANES, [_I64(value)] * 8)


def _absorber(stripes: int) -> Any:
    @intrinsic
    def absorb(typing_context: Any, sums: Any, first: Any, data: Any, at: Any, secret: Any, key_at: Any) -> Any:
        """Add stripes of 64 bytes of data to eight words, each with the secret 8 bytes further on: XXH3_accumulate."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            sums, first, data, at, secret, key_at = args
            place = builder.mul(first, _I64(8))
            total = _load_lanes(builder, sums, place)
            swapped = ir.Constant(ir.VectorType(ir.IntType(32), 8), [ir.IntType(32)(lane ^ 1) for lane in range(8)])
            for stripe in range(stripes):
                words = _load_lanes(builder, data, builder.add(at, _I64(64 * stripe)))
                keyed = builder.xor(words, _load_lanes(builder, secret, builder.add(key_at, _I64(8 * stripe))))
                product = builder.mul(builder.and_(keyed, _each(0xFFFF_FFFF)), builder.lshr(keyed, _each(32)))
                total = builder.add(builder.add(total, product), builder.shuffle_vector(words, words, swapped))
            builder.store(total, _lanes(builder, sums, place), align=1)
            return context.get_dummy_value()

        return types.void(sums, _U64, data, _U64, secret, _U64), codegen

    return absorb


absorb, absorb_15, absorb_16 = (_absorber(stripes) for stripes in (1, 15, 16))


@intrinsic
def scramble(typing_context: Any, lanes: Any, sums: Any, first: Any, secret: Any, key_at: Any) -> Any:
    """Add eight words, from number `first` on, to the first eight of others, and scramble these: XXH3_scrambleAcc."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes, sums, first, secret, key_at = args
        total = _load_lanes(builder, lanes, _I64(0))
        total = builder.add(total, _load_lanes(builder, sums, builder.mul(first, _I64(8))))
        total = builder.xor(total, builder.lshr(total, _each(47)))
        total = builder.mul(builder.xor(total, _load_lanes(builder, secret, key_at)), _each(_PRIME32_1))
        builder.store(total, _lanes(builder, lanes, _I64(0)), align=1)
        return context.get_dummy_value()

    return types.void(lanes, sums, _U64, secret, _U64), codegen


@intrinsic
def none_of_32(typing_context: Any, generations: Any, page: Any, since: Any) -> Any:
    """Return True if none of the 32 pages from `page` on carries generation `since` or later."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pages, narrow = ir.VectorType(ir.IntType(32), 32), ir.IntType(32)
        pointer = builder.gep(args[0], [args[1]], source_etype=narrow)
        found = builder.load(builder.bitcast(pointer, pages.as_pointer()), typ=pages)
        found.align = 4
        one = builder.insert_element(ir.Constant(pages, ir.Undefined), builder.trunc(args[2], narrow), narrow(0))
        every = builder.shuffle_vector(one, one, ir.Constant(pages, [narrow(0)] * 32))
        later = builder.bitcast(builder.icmp_unsigned(">=", found, every), narrow)
        return builder.icmp_unsigned("==", later, narrow(0))

    return types.boolean(generations, _U64, _U64), codegen


@intrinsic
def call_condition(typing_context: Any, function: Any, table: Any, pc: Any, icount: Any) -> Any:
    """Judge a condition by the function at address `function`, see cpu/condition_code.py."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I64, [_I64.as_pointer(), _I64, _I64])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return _U64(_U64, table, _U64, _U64), codegen


@intrinsic
def dispatch(typing_context: Any, table: Any, left: Any, bank: Any, xbank: Any) -> Any:
    """Run the dispatch loop (cpu/dispatch.py) for at most `left` steps."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I64, [_I64.as_pointer(), _I64, _I64, _I64])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, DISPATCH), args)

    return _U64(table, _U64, _U64, _U64), codegen
