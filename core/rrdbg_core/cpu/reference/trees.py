"""The expression trees of the instruction table as Python source over plain ints, and rows as closures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.expr import Branch, Ex, FloatLoad, FloatStore, Helper, Jump, Load, SetFrd, SetRd, Store
from rrdbg_core.isa.plain import FORMS, NAMES
from rrdbg_core.isa.rows import Insn
from rrdbg_core.isa.table import INSNS

Step = Callable[[], int | None]
"""An instruction with its operands bound: does it and returns where to go on, None for the next one."""


_OPERANDS = {
    **{name: f"h[{name}]" for name in ("rs1", "rs2")},
    **{f"f{name[1:]}": f"h[{L.F} + {name}]" for name in ("rs1", "rs2")},
    "imm": "imm",
    "pc": f"h[{L.PC}]",
}


def source(tree: Ex) -> str:
    """Return a tree as a Python expression over h (the hart's words), rs1, rs2 (register numbers) and imm."""
    if tree.op == "const":
        return f"0x{tree.args[0]:x}"
    if tree.op == "operand":
        return _OPERANDS[str(tree.args[0])]
    return FORMS[tree.op].format(*(source(arg) for arg in tree.args if isinstance(arg, Ex)))


def _factory(insn: Insn) -> Callable[..., Step]:
    """Return a function that binds an instruction's operands: bind(core, h, decoded)."""
    match insn.effect:
        case SetRd(value):
            body = [f"h[rd] = {source(value)}"]
        case Load(addr, size, signed):
            value_text = f"core._load({source(addr)}, {size})"
            body = [f"h[rd] = {f'sext({value_text}, {8 * size})' if signed else value_text}"]
        case SetFrd(value):
            body = [f"core._set_float(decoded.rd, {source(value)})"]
        case FloatLoad(addr, size):
            boxed = " | 0xFFFFFFFF00000000" if size == 4 else ""
            body = [f"core._set_float(decoded.rd, core._load({source(addr)}, {size}){boxed})"]
        case Store(addr, size, value) | FloatStore(addr, size, value):
            body = [f"core._store({source(addr)}, {size}, {source(value)})"]
        case Branch(taken):
            body = [f"if {source(taken)}:", f"    return h[{L.PC}] + imm & M64"]
        case Jump(target):
            body = [f"target = {source(target)}", f"h[rd] = h[{L.PC}] + length & M64", "return target"]
        case Helper(name):
            return lambda core, h, decoded: partial(getattr(core, f"_{name}"), decoded)
    if insn.floats:
        body = ["core._float_on()", *body]
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
