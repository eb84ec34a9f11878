"""Where a variable is, in gdb's words: what `info address` and `info scope` say."""

from __future__ import annotations

from collections.abc import Callable

from rrdbg_core.isa.registers import ABI

from rrdbg.symbols.dwarf.data import DwarfError, block, signed, sleb, uleb, unsigned
from rrdbg.symbols.location import Context
from rrdbg.symbols.places import ADDRESSES

_FLOATS = (
    *("ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1"),
    *(f"fa{number}" for number in range(8)),
    *(f"fs{number}" for number in range(2, 12)),
    *("ft8", "ft9", "ft10", "ft11"),
)
_FP = 8
"""x8, which gdb calls fp."""
_ADDR, _FBREG, _REGX, _STACK_VALUE, _PIECE, _BIT_PIECE = 0x03, 0x91, 0x90, 0x9F, 0x93, 0x9D
_ENTRY_VALUES = (0xA3, 0xF3)
_DEPTH = 8
"""Expressions within expressions."""


def place_text(expression: bytes, context: Context, frame_base: Callable[[], bytes]) -> str:
    """Return what an expression means: in words where it is simple, else its operations, each on a line.

    Raises:
        DwarfError: It is damaged.
    """
    texts: list[str] = []
    at = 0
    while at < len(expression):
        words, end = _in_words(expression, at, context, frame_base)
        known = end > at
        if not known and expression[at] not in (_PIECE, _BIT_PIECE):
            lines, end = _operations(expression, at, at, None, context)
            words = "\n".join(["a complex DWARF expression:", *lines, ""])
        if end < len(expression):
            piece, end = _piece(expression, end, empty=end == at)
            words += (" " if known else "    " if words else "") + piece
        texts.append(words)
        at = end
    return ", and ".join(texts)


def register_name(number: int) -> str:
    """Return a register's name by its DWARF number, as gdb has it."""
    if number < 32:
        return "fp" if number == _FP else ABI[number]
    return _FLOATS[number - 32] if number < 64 else f"dwarf register {number}"


def _in_words(expression: bytes, at: int, context: Context, frame_base: Callable[[], bytes]) -> tuple[str, int]:
    """Return a simple place in words and where it ends: at its start if it is not simple."""
    op = expression[at]
    if op in ADDRESSES:
        address, end = _address(expression, at, context)
        return (f"static storage at address {address:#x}", end) if _ends(expression, end) else ("", at)
    if 0x50 <= op <= 0x6F:
        return f"a variable in ${register_name(op - 0x50)}", at + 1
    if op == _REGX:
        number, end = uleb(expression, at + 1)
        return f"a variable in ${register_name(number)}", end
    if op == _FBREG:
        return _behind_frame_base(expression, at, frame_base())
    if 0x70 <= op <= 0x8F:
        offset, end = sleb(expression, at + 1)
        text = f"a variable at offset {offset} from base reg ${register_name(op - 0x70)}"
        return (text, end) if _ends(expression, end) else ("", at)
    if 0x30 <= op <= 0x4F and expression[at + 1 : at + 2] == bytes([_STACK_VALUE]):
        return f"the constant {op - 0x30}", at + 2
    return "", at


def _behind_frame_base(expression: bytes, at: int, base: bytes) -> tuple[str, int]:
    offset, end = sleb(expression, at + 1)
    op = base[0] if base else 0
    if 0x70 <= op <= 0x8F:
        number, (delta, _) = op - 0x70, sleb(base, 1)
    elif 0x50 <= op <= 0x6F:
        number, delta = op - 0x50, 0
    else:
        return "", at
    return f"a variable at frame base reg ${register_name(number)} offset {delta}+{offset}", end


def _ends(expression: bytes, at: int) -> bool:
    return at == len(expression) or expression[at] in (_PIECE, _BIT_PIECE)


def _piece(expression: bytes, at: int, *, empty: bool) -> tuple[str, int]:
    op = expression[at]
    if op not in (_PIECE, _BIT_PIECE):
        raise DwarfError("operations follow its end")
    size, end = uleb(expression, at + 1)
    text = f"{size}-byte piece"
    if op == _BIT_PIECE:
        offset, end = uleb(expression, end)
        text = f"{size}-bit piece" + ("" if empty else f", offset {offset} bits")
    return f"an empty {text}" if empty else f"[{text}]", end


def _address(expression: bytes, at: int, context: Context) -> tuple[int, int]:
    if expression[at] == _ADDR:
        address, end = unsigned(expression, at + 1, 8), at + 9
    else:
        index, end = uleb(expression, at + 1)
        address = context.address(index)
    return address + context.bias & (1 << 64) - 1, end


# operations, each on a line

_NAMES = {
    0x03: "addr", 0x06: "deref", 0x08: "const1u", 0x09: "const1s", 0x0A: "const2u", 0x0B: "const2s", 0x0C: "const4u",
    0x0D: "const4s", 0x0E: "const8u", 0x0F: "const8s", 0x10: "constu", 0x11: "consts", 0x12: "dup", 0x13: "drop",
    0x14: "over", 0x15: "pick", 0x16: "swap", 0x17: "rot", 0x18: "xderef", 0x19: "abs", 0x1A: "and", 0x1B: "div",
    0x1C: "minus", 0x1D: "mod", 0x1E: "mul", 0x1F: "neg", 0x20: "not", 0x21: "or", 0x22: "plus", 0x23: "plus_uconst",
    0x24: "shl", 0x25: "shr", 0x26: "shra", 0x27: "xor", 0x28: "bra", 0x29: "eq", 0x2A: "ge", 0x2B: "gt", 0x2C: "le",
    0x2D: "lt", 0x2E: "ne", 0x2F: "skip", 0x90: "regx", 0x91: "fbreg", 0x92: "bregx", 0x93: "piece",
    0x94: "deref_size", 0x95: "xderef_size", 0x96: "nop", 0x97: "push_object_address", 0x98: "call2", 0x99: "call4",
    0x9A: "call_ref", 0x9B: "form_tls_address", 0x9C: "call_frame_cfa", 0x9D: "bit_piece", 0x9E: "implicit_value",
    0x9F: "stack_value", 0xA0: "implicit_pointer", 0xA1: "addrx", 0xA2: "constx", 0xA3: "entry_value",
    0xA4: "const_type", 0xA5: "regval_type", 0xA6: "deref_type", 0xA8: "convert", 0xA9: "reinterpret",
    0xE0: "GNU_push_tls_address", 0xF0: "GNU_uninit", 0xF2: "GNU_implicit_pointer", 0xF3: "GNU_entry_value",
    0xF4: "GNU_const_type", 0xF5: "GNU_regval_type", 0xF6: "GNU_deref_type", 0xF7: "GNU_convert",
    0xF9: "GNU_reinterpret", 0xFA: "GNU_parameter_ref", 0xFB: "GNU_addr_index", 0xFC: "GNU_const_index",
    **{0x30 + number: f"lit{number}" for number in range(32)},
    **{0x50 + number: f"reg{number}" for number in range(32)},
    **{0x70 + number: f"breg{number}" for number in range(32)},
}  # fmt: skip
_FIXED = {0x08: 1, 0x0A: 2, 0x0C: 4, 0x0E: 8, 0x15: 1, 0x94: 1, 0x95: 1}
_FIXED_SIGNED = {0x09: 1, 0x0B: 2, 0x0D: 4, 0x0F: 8}


def _operations(
    expression: bytes, start: int, at: int, stop: int | None, context: Context, depth: int = 0
) -> tuple[list[str], int]:
    """Return operations on lines, and where they end.

    Args:
        expression: They are in it.
        start: Where those begin that the offsets in front count from.
        at: Where they begin.
        stop: Where they end; None: before a piece, or with the expression.
        context: Their unit.
        depth: How many expressions are around them.
    """
    if depth > _DEPTH:
        raise DwarfError("its expressions nest too deeply")
    lines: list[str] = []
    while at < (len(expression) if stop is None else stop):
        op = expression[at]
        if op in (_PIECE, _BIT_PIECE) and stop is None:
            break
        if op not in _NAMES:
            raise DwarfError(f"operation {op:#x} is unknown")
        head = f"  {at - start:>{2 * depth + 4}}: DW_OP_{_NAMES[op]}"
        if op in _ENTRY_VALUES:
            size, at = uleb(expression, at + 1)
            inner, at = _operations(expression, start, at, at + len(block(expression, at, size)), context, depth + 1)
            lines += [head, *inner]
            continue
        operands, at = _operands(expression, at, context)
        lines.append(head + operands)
    return lines, at


def _operands(expression: bytes, at: int, context: Context) -> tuple[str, int]:
    """Return the operands of an operation as text, and where they end."""
    op, at = expression[at], at + 1
    if op in _FIXED:
        return f" {unsigned(expression, at, _FIXED[op])}", at + _FIXED[op]
    if op in _FIXED_SIGNED:
        return f" {signed(expression, at, _FIXED_SIGNED[op])}", at + _FIXED_SIGNED[op]
    if 0x50 <= op <= 0x6F:
        return f" [${register_name(op - 0x50)}]", at
    if 0x70 <= op <= 0x8F:
        offset, at = sleb(expression, at)
        return f" {offset} [${register_name(op - 0x70)}]", at
    if op in ADDRESSES:
        address, at = _address(expression, at - 1, context)
        return f" {address:#x}", at
    match op:
        case 0x10 | 0x23 | 0xA2 | 0xFC:
            number, at = uleb(expression, at)
            return f" {number}", at
        case 0x11 | 0x91:
            number, at = sleb(expression, at)
            return f" {number}", at
        case 0x90:
            number, at = uleb(expression, at)
            return f" {number} [${register_name(number)}]", at
        case 0x92:
            number, at = uleb(expression, at)
            offset, at = sleb(expression, at)
            return f" register {number} [${register_name(number)}] offset {offset}", at
        case 0x28 | 0x2F:
            return f" to {at + 2 + signed(expression, at, 2)}", at + 2
        case 0x98 | 0x99 | 0xFA:
            size = 2 if op == 0x98 else 4
            return f" offset {unsigned(expression, at, size):#x}", at + size
        case 0x9A:
            return f" offset {unsigned(expression, at, context.offset_size):#x}", at + context.offset_size
        case 0x93:
            size, at = uleb(expression, at)
            return f" {size} (bytes)", at
        case 0x9D:
            size, at = uleb(expression, at)
            offset, at = uleb(expression, at)
            return f" size {size} offset {offset} (bits)", at
        case 0x9E:
            size, at = uleb(expression, at)
            return f" {size}", at + len(block(expression, at, size))
        case 0xA0 | 0xF2:
            die = unsigned(expression, at, context.offset_size)
            delta, at = sleb(expression, at + context.offset_size)
            return f" DIE {die:x} offset {delta}", at
    return _typed(expression, op, at, context)


def _typed(expression: bytes, op: int, at: int, context: Context) -> tuple[str, int]:
    """Return the operands of an operation that names a type."""
    match op:
        case 0xA8 | 0xA9 | 0xF7 | 0xF9:
            offset, at = uleb(expression, at)
            return f" {_type_text(offset, context)}" if offset else "<0>", at
        case 0xA5 | 0xF5:
            number, at = uleb(expression, at)
            offset, at = uleb(expression, at)
            return f"{_type_text(offset, context)} [${register_name(number)}]", at
        case 0xA6 | 0xF6:
            size = unsigned(expression, at, 1)
            offset, at = uleb(expression, at + 1)
            return f"{_type_text(offset, context)} {size}-byte", at
        case 0xA4 | 0xF4:
            offset, at = uleb(expression, at)
            size = unsigned(expression, at, 1)
            return f"{_type_text(offset, context)}", at + 1 + len(block(expression, at + 1, size))
    return "", at


def _type_text(offset: int, context: Context) -> str:
    kind = context.base_type(offset)
    return f"<{kind.name if kind is not None else '0'} [0x{offset:x}]>"
