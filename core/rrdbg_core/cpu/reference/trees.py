"""The expression trees of the instruction table as Python source over plain ints, and rows as closures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.expr import Branch, Ex, Helper, Jump, Load, SetRd, Store
from rrdbg_core.isa.rows import Insn
from rrdbg_core.isa.table import INSNS

M64 = (1 << 64) - 1
_SIGN = 1 << 63
Step = Callable[[], int | None]
"""An instruction with its operands bound: does it and returns where to go on, None for the next one."""


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
}
"""What the forms name."""


def source(tree: Ex) -> str:
    """Return a tree as a Python expression over h (the hart's words), rs1, rs2 (register numbers) and imm."""
    if tree.op == "const":
        return f"0x{tree.args[0]:x}"
    if tree.op == "operand":
        return {"rs1": "h[rs1]", "rs2": "h[rs2]", "imm": "imm", "pc": f"h[{L.PC}]"}[str(tree.args[0])]
    return FORMS[tree.op].format(*(source(arg) for arg in tree.args if isinstance(arg, Ex)))


def _factory(insn: Insn) -> Callable[..., Step]:
    """Return a function that binds an instruction's operands: bind(core, h, decoded)."""
    match insn.effect:
        case SetRd(value):
            body = [f"h[rd] = {source(value)}"]
        case Load(addr, size, signed):
            value_text = f"core._load({source(addr)}, {size})"
            body = [f"h[rd] = {f'sext({value_text}, {8 * size})' if signed else value_text}"]
        case Store(addr, size, value):
            body = [f"core._store({source(addr)}, {size}, {source(value)})"]
        case Branch(taken):
            body = [f"if {source(taken)}:", f"    return h[{L.PC}] + imm & M64"]
        case Jump(target):
            body = [f"target = {source(target)}", f"h[rd] = h[{L.PC}] + length & M64", "return target"]
        case Helper(name):
            return lambda core, h, decoded: partial(getattr(core, f"_{name}"), decoded)
    lines = [
        "def bind(core, h, decoded):",
        f"    rd, rs1, rs2 = decoded.rd or {L.XD}, decoded.rs1, decoded.rs2",
        "    imm, length = decoded.imm & M64, decoded.length",
        "    def step():",
    ]
    lines += [f"        {line}" for line in body] + ["    return step"]
    names = dict(NAMES)
    exec("\n".join(lines), names)
    bind = names["bind"]
    assert callable(bind)
    return bind


FACTORIES = {insn.name: _factory(insn) for insn in INSNS}
"""How to bind the operands of each row."""
