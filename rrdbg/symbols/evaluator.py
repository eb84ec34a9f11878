"""The stack machine of DWARF expressions (DWARF 5, section 2.5; GNU's extensions of DWARF 4 where GCC emits them)."""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable

from rrdbg.symbols.dwarf.data import DwarfError, block, signed, sleb, uleb, unsigned
from rrdbg.symbols.location import (
    Context,
    FrameState,
    Implicit,
    ImplicitPointer,
    Location,
    Memory,
    OptimisedOut,
    Piece,
    Pieces,
    Register,
    Simple,
    Unavailable,
    Value,
)
from rrdbg.symbols.types import BaseType, Encoding

_MASK = (1 << 64) - 1
_OPERATIONS = 10_000
"""Operations of one evaluation, nested ones included: compilers emit some dozens, loops in damaged ones have no end."""
_DEPTH = 12
"""Nested evaluations: calls, entry values, frame bases."""
_STACK = 1_000
_TP = 4
"""x4 points to the thread's variables (RISC-V ELF psABI: TLS variant I)."""

_SIGNED = (Encoding.SIGNED, Encoding.SIGNED_CHAR)
_FLOATS = {2: "<e", 4: "<f", 8: "<d"}

Entry = tuple[int, BaseType | None]
"""Bits and type of something on the stack; None: the generic type, 64 bits wide and signed where that matters."""

_COMPARISONS: dict[int, Callable[[float, float], bool]] = {
    0x29: operator.eq,
    0x2A: operator.ge,
    0x2B: operator.gt,
    0x2C: operator.le,
    0x2D: operator.lt,
    0x2E: operator.ne,
}
_ARITHMETIC = {0x1B: "div", 0x1C: "minus", 0x1D: "mod", 0x1E: "mul", 0x22: "plus"}
_BITWISE: dict[int, Callable[[int, int], int]] = {0x1A: operator.and_, 0x21: operator.or_, 0x27: operator.xor}
_SHIFTS = (0x24, 0x25, 0x26)
_FIXED = {0x08: 1, 0x0A: 2, 0x0C: 4, 0x0E: 8}
_FIXED_SIGNED = {0x09: 1, 0x0B: 2, 0x0D: 4, 0x0F: 8}
_GNU = {0xF2: 0xA0, 0xF3: 0xA3, 0xF4: 0xA4, 0xF5: 0xA5, 0xF6: 0xA6, 0xF7: 0xA8, 0xF9: 0xA9, 0xFB: 0xA1, 0xFC: 0xA2}
"""GNU's operations that DWARF 5 took in under other numbers."""


class _End(Exception):
    """There is no value; carries the location that says why."""

    def __init__(self, location: OptimisedOut | Unavailable) -> None:
        super().__init__()
        self.location = location


class Evaluator:
    """Evaluates expressions in one frame; shares its bounds among nested ones."""

    def __init__(self, state: FrameState, context: Context | None, depth: int = 0) -> None:
        self._state = state
        self._context = context
        self._left = _OPERATIONS
        self._depth = depth

    def run(self, expression: bytes, initial: tuple[int, ...] = ()) -> Location:
        """Return the location that an expression yields."""
        if not expression:
            return OptimisedOut()
        try:
            return _Run(self, expression, [(value & _MASK, None) for value in initial]).location()
        except _End as end:
            return end.location
        except LookupError as error:
            return OptimisedOut(str(error.args[0]) if error.args else "its unit does not say")
        except (DwarfError, ArithmeticError, struct.error, ValueError) as error:
            return Unavailable(f"its DWARF expression is damaged ({error})")

    @property
    def state(self) -> FrameState:
        """The frame."""
        return self._state

    @property
    def context(self) -> Context:
        """The unit; raises LookupError when there is none."""
        if self._context is None:
            raise LookupError("its unit is unknown")
        return self._context

    def count(self) -> None:
        """Count an operation."""
        self._left -= 1
        if self._left < 0:
            raise DwarfError("it has no end")

    def register(self, number: int) -> int:
        """Return a register's bits."""
        value = self._state.register(number)
        if value is None:
            name = f"f{number - 32}" if number >= 32 else f"x{number}"
            raise _End(OptimisedOut(f"it depends on {name}, which this frame's callees did not save"))
        return value & _MASK

    def memory(self, address: int, size: int) -> int:
        """Return a number from memory."""
        data = self._state.read(address, size)
        if len(data) < size:
            raise _End(Unavailable(f"memory at {address:#x} cannot be read"))
        return int.from_bytes(data[:size], "little")

    def cfa(self) -> int:
        """Return the canonical frame address."""
        value = self._state.cfa()
        if value is None:
            raise _End(OptimisedOut("the frame's address is unknown"))
        return value & _MASK

    def relocated(self, address: int) -> int:
        """Return where an address of the image was loaded."""
        return address + (self._context.bias if self._context is not None else 0)

    def frame_base(self) -> int:
        """Return the frame base of the function."""
        return self.nested_value(self.context.frame_base(self._state.pc))

    def pointed(self, offset: int) -> Location:
        """Return where the variable is that is described at an offset; nothing here raises."""
        try:
            return self.context.pointed(offset, self._state)
        except LookupError as error:
            return OptimisedOut(str(error.args[0]) if error.args else "its unit does not say")
        except DwarfError as error:
            return Unavailable(f"what it points to is damaged in the debug information ({error})")

    def nested_value(self, expression: bytes) -> int:
        """Return the value of a nested expression: an address, what a register holds, or a value."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise DwarfError("it refers to itself")
        try:
            found = self.run(expression)
        finally:
            self._depth -= 1
        if isinstance(found, Memory):
            return found.address
        if isinstance(found, Register):
            return self.register(found.number)
        if isinstance(found, Value):
            return found.bits
        raise _End(found if isinstance(found, OptimisedOut | Unavailable) else OptimisedOut())

    def call(self, expression: bytes, stack: list[Entry]) -> list[Entry]:
        """Return the stack after a DWARF procedure."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise DwarfError("it calls itself")
        try:
            run = _Run(self, expression, stack)
            run.execute()
        finally:
            self._depth -= 1
        return run.stack


class _Run:
    """One expression's walk."""

    def __init__(self, machine: Evaluator, expression: bytes, stack: list[Entry]) -> None:
        self._machine = machine
        self._code = expression
        self._at = 0
        self._object = stack[-1][0] if stack else None
        self.stack = stack
        self._place: Simple | None = None
        self._pieces: list[Piece] = []

    def location(self) -> Location:
        self.execute()
        if self._pieces:
            return Pieces(tuple(self._pieces))
        return self._take()

    def execute(self) -> None:
        code = self._code
        while self._at < len(code):
            self._machine.count()
            if len(self.stack) > _STACK:
                raise DwarfError("it has no end")
            op = code[self._at]
            self._at += 1
            self._step(_GNU.get(op, op))

    def _take(self) -> Simple:
        """Return the place found so far: what a piece, or all of it, is at."""
        place, self._place = self._place, None
        if place is not None:
            return place
        return Memory(self._pop()) if self.stack else OptimisedOut("the compiler did not keep this part of it")

    # operands

    def _uleb(self) -> int:
        value, self._at = uleb(self._code, self._at)
        return value

    def _sleb(self) -> int:
        value, self._at = sleb(self._code, self._at)
        return value

    def _unsigned(self, size: int) -> int:
        value = unsigned(self._code, self._at, size)
        self._at += size
        return value

    def _signed(self, size: int) -> int:
        value = signed(self._code, self._at, size)
        self._at += size
        return value

    def _block(self, size: int) -> bytes:
        data = block(self._code, self._at, size)
        self._at += size
        return data

    def _offset(self) -> int:
        return self._unsigned(self._machine.context.offset_size)

    def _base_type(self) -> BaseType | None:
        offset = self._uleb()
        return self._machine.context.base_type(offset) if offset else None

    # the stack

    def _push(self, value: int, kind: BaseType | None = None) -> None:
        self.stack.append((value & _mask(kind), kind))

    def _pop_entry(self) -> Entry:
        if not self.stack:
            raise DwarfError("its stack is empty")
        return self.stack.pop()

    def _pop(self) -> int:
        return self._pop_entry()[0] & _MASK

    def _pick(self, index: int) -> Entry:
        if index >= len(self.stack):
            raise DwarfError("its stack is empty")
        return self.stack[-1 - index]

    # operations

    def _step(self, op: int) -> None:
        machine = self._machine
        if 0x30 <= op <= 0x4F:  # lit0..31
            self._push(op - 0x30)
        elif 0x50 <= op <= 0x6F:  # reg0..31
            self._place = Register(op - 0x50)
        elif 0x70 <= op <= 0x8F:  # breg0..31
            self._push(machine.register(op - 0x70) + self._sleb())
        elif op == 0x91:  # fbreg
            self._push(machine.frame_base() + self._sleb())
        elif op == 0x9C:  # call_frame_cfa
            self._push(machine.cfa())
        elif op == 0x03:  # addr
            self._push(machine.relocated(self._unsigned(8)))
        elif op in _FIXED:
            self._push(self._unsigned(_FIXED[op]))
        elif op in _FIXED_SIGNED:
            self._push(self._signed(_FIXED_SIGNED[op]))
        elif op == 0x10:  # constu
            self._push(self._uleb())
        elif op == 0x11:  # consts
            self._push(self._sleb())
        elif op == 0x23:  # plus_uconst
            value, kind = self._pop_entry()
            self._push(value + self._uleb(), kind)
        elif op in _COMPARISONS:
            second, first = self._pop_entry(), self._pop_entry()
            self._push(_COMPARISONS[op](*_pair(first, second)))
        elif op in _ARITHMETIC or op in _BITWISE or op in _SHIFTS:
            second, first = self._pop_entry(), self._pop_entry()
            self.stack.append((_calculate(op, first, second), first[1]))
        elif op in (0x19, 0x1F, 0x20):  # abs, neg, not
            self._unary(op)
        elif op in (0x28, 0x2F):  # bra, skip
            distance = self._signed(2)
            if op == 0x2F or self._pop():
                self._at += distance
                if not 0 <= self._at <= len(self._code):
                    raise DwarfError("it jumps out of itself")
        elif op in (0x12, 0x13, 0x14, 0x15, 0x16, 0x17):
            self._shuffle(op)
        elif op in (0x90, 0x92):  # regx, bregx
            number = self._uleb()
            if op == 0x90:
                self._place = Register(number)
            else:
                self._push(machine.register(number) + self._sleb())
        elif op in (0x06, 0x94, 0xA6):  # deref, deref_size, deref_type
            self._dereference(op)
        elif op in (0x93, 0x9D):  # piece, bit_piece
            bits = self._uleb() * (8 if op == 0x93 else 1)
            skip = self._uleb() if op == 0x9D else 0
            self._pieces.append(Piece(self._take(), bits, skip))
        elif op == 0x9F:  # stack_value
            value, kind = self._pop_entry()
            self._place = Value(value, kind.size if kind else 8)
        elif op == 0x9E:  # implicit_value
            self._place = Implicit(self._block(self._uleb()))
        elif op == 0xA0:  # implicit_pointer
            offset = self._offset()
            self._place = ImplicitPointer(offset, self._sleb(), load=lambda: machine.pointed(offset))
        elif op in (0xA1, 0xA2):  # addrx, constx
            address = machine.context.address(self._uleb())
            self._push(machine.relocated(address) if op == 0xA1 else address)
        elif op == 0xA3:  # entry_value
            self._entry_value(self._block(self._uleb()))
        elif op in (0x98, 0x99, 0x9A):  # call2, call4, call_ref
            offset = self._offset() if op == 0x9A else self._unsigned(2 if op == 0x98 else 4)
            self.stack = machine.call(machine.context.procedure(offset, absolute=op == 0x9A), self.stack)
        elif op in (0x9B, 0xE0):  # form_tls_address, GNU_push_tls_address
            self._push(self._pop() + machine.register(_TP))
        elif op in (0xA4, 0xA5, 0xA8, 0xA9):
            self._typed(op)
        elif op == 0x97:  # push_object_address
            if self._object is None:
                raise DwarfError("it needs an object")
            self._push(self._object)
        elif op == 0xFA:  # GNU_parameter_ref
            self._push(machine.context.parameter(self._unsigned(4), machine.state))
        elif op not in (0x96, 0xF0):  # nop, GNU_uninit
            raise DwarfError(f"operation {op:#x} is unknown")

    def _shuffle(self, op: int) -> None:
        if op == 0x12:  # dup
            self.stack.append(self._pick(0))
        elif op == 0x13:  # drop
            self._pop_entry()
        elif op == 0x14:  # over
            self.stack.append(self._pick(1))
        elif op == 0x15:  # pick
            self.stack.append(self._pick(self._unsigned(1)))
        elif op == 0x16:  # swap
            second, first = self._pop_entry(), self._pop_entry()
            self.stack += [second, first]
        else:  # rot: the top becomes the third
            top, second, third = self._pop_entry(), self._pop_entry(), self._pop_entry()
            self.stack += [top, third, second]

    def _unary(self, op: int) -> None:
        bits, kind = self._pop_entry()
        if op == 0x20:
            if _is_float(kind):
                raise DwarfError("it inverts a floating-point number")
            self._push(~bits, kind)
            return
        value = _number((bits, kind))
        # the sign of a floating-point zero counts
        negative = math.copysign(1, value) < 0
        self._push(_bits(-value if op == 0x1F or negative else value, kind), kind)

    def _dereference(self, op: int) -> None:
        kind, size = None, 8
        if op != 0x06:
            size = self._unsigned(1)
        if op == 0xA6:
            kind = self._base_type()
        if not 1 <= size <= (kind.size if kind else 8):
            raise DwarfError(f"it reads {size} bytes")
        self._push(self._machine.memory(self._pop(), size), kind)

    def _entry_value(self, expression: bytes) -> None:
        """Push what a register held when the function was entered, as a number of the type that is asked for."""
        context, kind = self._machine.context, None
        if expression[:1] in (b"\xa5", b"\xf5"):  # regval_type
            _, at = uleb(expression, 1)
            kind = context.base_type(uleb(expression, at)[0])
        self._push(context.entry_value(expression, self._machine.state), kind)

    def _typed(self, op: int) -> None:
        if op == 0xA5:  # regval_type
            number = self._uleb()
            self._push(self._machine.register(number), self._base_type())
        elif op == 0xA4:  # const_type
            kind = self._base_type()
            self._push(int.from_bytes(self._block(self._unsigned(1)), "little"), kind)
        else:
            kind = self._base_type()
            entry = self._pop_entry()
            if op == 0xA9:  # reinterpret
                if _size(kind) != _size(entry[1]):
                    raise DwarfError("it reinterprets a value with another size")
                self._push(entry[0], kind)
            else:
                self._push(_bits(_number(entry), kind), kind)


def _size(kind: BaseType | None) -> int:
    return kind.size if kind else 8


def _mask(kind: BaseType | None) -> int:
    return (1 << 8 * min(_size(kind), 64)) - 1


def _is_float(kind: BaseType | None) -> bool:
    return kind is not None and kind.encoding is Encoding.FLOAT


def _is_signed(kind: BaseType | None) -> bool:
    return kind is None or kind.encoding in _SIGNED


def _number(entry: Entry) -> int | float:
    """Return what the bits of a stack entry mean."""
    bits, kind = entry
    size = _size(kind)
    if kind is not None and kind.encoding is Encoding.FLOAT:
        if size not in _FLOATS:
            raise _End(Unavailable(f"it is calculated with {kind.name}, which is not supported"))
        return float(struct.unpack(_FLOATS[size], bits.to_bytes(size, "little"))[0])
    if _is_signed(kind) and bits >> (8 * size - 1):
        return bits - (1 << 8 * size)
    return bits


def _bits(value: int | float, kind: BaseType | None) -> int:
    """Return the bits of a number of a type; numbers that do not fit wrap round."""
    if kind is not None and kind.encoding is Encoding.FLOAT:
        form = _FLOATS.get(kind.size)
        if form is None:
            raise _End(Unavailable(f"it is calculated with {kind.name}, which is not supported"))
        try:
            return int.from_bytes(struct.pack(form, value), "little")
        except OverflowError:
            return int.from_bytes(struct.pack(form, math.copysign(math.inf, value)), "little")
    if isinstance(value, float) and not math.isfinite(value):
        raise DwarfError("it makes an integer of infinity")
    return int(value) & _mask(kind)


def _pair(first: Entry, second: Entry) -> tuple[int | float, int | float]:
    if first[1] != second[1]:
        raise DwarfError("it combines two types")
    return _number(first), _number(second)


def _calculate(op: int, first: Entry, second: Entry) -> int:
    kind = first[1]
    if op in _SHIFTS:
        return _shift(op, first, second[0])
    one, two = _pair(first, second)
    if op in _BITWISE:
        if _is_float(kind):
            raise DwarfError("it combines the bits of floating-point numbers")
        return _BITWISE[op](first[0], second[0]) & _mask(kind)
    name = _ARITHMETIC[op]
    if name == "plus":
        return _bits(one + two, kind)
    if name == "minus":
        return _bits(one - two, kind)
    if name == "mul":
        return _bits(one * two, kind)
    if _is_float(kind):
        return _bits(_float_division(one, two), kind) if name == "div" else _bits(math.fmod(one, two), kind)
    if two == 0:
        raise DwarfError("it divides by zero")
    if name == "mod":
        if kind is None:  # the generic type's remainder is unsigned
            return first[0] % second[0]
        return _bits(int(abs(one)) % int(abs(two)) * (-1 if one < 0 else 1), kind)
    quotient = abs(int(one)) // abs(int(two))
    return _bits(-quotient if (one < 0) != (two < 0) else quotient, kind)


def _float_division(one: float, two: float) -> float:
    if two:
        return one / two
    if one == 0 or math.isnan(one):
        return math.nan
    return math.copysign(math.inf, one) * math.copysign(1, two)


def _shift(op: int, first: Entry, count: int) -> int:
    bits, kind = first
    if _is_float(kind):
        raise DwarfError("it shifts a floating-point number")
    width = 8 * _size(kind)
    count = min(count, width)
    if op == 0x24:  # shl
        return bits << count & _mask(kind)
    if op == 0x25:  # shr
        return bits >> count
    value = bits - (1 << width) if bits >> (width - 1) else bits  # shra: arithmetic whatever the type
    return value >> count & _mask(kind)
