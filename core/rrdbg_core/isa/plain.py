"""The vocabulary of `rrdbg_core.isa.expr` over plain ints, as Python text: slow, and easy to check by eye."""

from __future__ import annotations

M64 = (1 << 64) - 1
_SIGN = 1 << 63


def signed(value: int) -> int:
    return value - (1 << 64) if value & _SIGN else value


def sext(value: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return ((value & (1 << bits) - 1) ^ sign) - sign & M64


def _divs(a: int, b: int) -> int:
    if b == 0:
        return M64
    x, y = signed(a), signed(b)
    quotient = abs(x) // abs(y)
    return (-quotient if (x < 0) != (y < 0) else quotient) & M64


def _rems(a: int, b: int) -> int:
    if b == 0:
        return a
    x, y = signed(a), signed(b)
    remainder = abs(x) % abs(y)
    return (-remainder if x < 0 else remainder) & M64


def _orcb(a: int) -> int:
    return int.from_bytes(bytes(0xFF if byte else 0 for byte in a.to_bytes(8, "little")), "little")


def _ror(a: int, b: int, bits: int) -> int:
    low = a & (1 << bits) - 1
    return (low >> b % bits | low << -b % bits) & (1 << bits) - 1


FORMS: dict[str, str] = {
    "add": "({0} + {1} & M64)",
    "sub": "({0} - {1} & M64)",
    "mul": "({0} * {1} & M64)",
    "and": "({0} & {1})",
    "or": "({0} | {1})",
    "xor": "({0} ^ {1})",
    "not": "({0} ^ M64)",
    "shl": "({0} << {1} & M64)",
    "shr": "({0} >> {1})",
    "sar": "(signed({0}) >> {1} & M64)",
    "sext8": "sext({0}, 8)",
    "sext16": "sext({0}, 16)",
    "sext32": "sext({0}, 32)",
    "ltu": "(1 if {0} < {1} else 0)",
    "lts": "(1 if {0} ^ SIGN < {1} ^ SIGN else 0)",
    "eq": "(1 if {0} == {1} else 0)",
    "ne": "(1 if {0} != {1} else 0)",
    "select": "({1} if {0} else {2})",
    "mulhu": "({0} * {1} >> 64)",
    "mulh": "(signed({0}) * signed({1}) >> 64 & M64)",
    "mulhsu": "(signed({0}) * {1} >> 64 & M64)",
    "divu": "divu({0}, {1})",
    "divs": "divs({0}, {1})",
    "remu": "remu({0}, {1})",
    "rems": "rems({0}, {1})",
    "clz": "(64 - {0}.bit_length())",
    "ctz": "ctz({0})",
    "cpop": "{0}.bit_count()",
    "orcb": "orcb({0})",
    "ror": "ror({0}, {1}, 64)",
    "ror32": "ror({0}, {1}, 32)",
    "rev8": 'int.from_bytes({0}.to_bytes(8, "little"), "big")',
}
"""Each operation as a Python expression over plain ints, its arguments to be filled in."""

NAMES: dict[str, object] = {
    "M64": M64,
    "SIGN": _SIGN,
    "signed": signed,
    "sext": sext,
    "divs": _divs,
    "rems": _rems,
    "divu": lambda a, b: a // b if b else M64,
    "remu": lambda a, b: a % b if b else a,
    "ctz": lambda a: (a & -a).bit_length() - 1 if a else 64,
    "orcb": _orcb,
    "ror": _ror,
}
"""What the forms name."""
