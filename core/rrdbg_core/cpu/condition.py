"""Conditions of breakpoints and watchpoints: a closed expression language over the guest's state, and its plain reader.

A condition is a tree of the vocabulary of `rrdbg_core.isa.expr`, over leaves of its own:

    const N         a number modulo 2^64
    hart N, mach N  a word of state, see cpu/layout.py; `register` knows them by name
    pc, icount      of the position that is judged
    load A, S       S = 1, 2, 4 or 8 bytes of RAM at virtual address A, zero-extended

It holds if its value is not 0. It *cannot be judged* where a load that matters does not lie in RAM, or lies in two
pages that are no neighbours there, or where a divisor that matters is 0; what matters is what is not in the arm of a
`select` that is not taken. Shifts take their amount modulo 64. Virtual addresses are those of the hart's privilege,
whoever may access them, see cpu/addresses.py.

There are two readers: this one computes with plain ints, for tests and for the reference interpreter; the other one
makes machine code, see cpu/condition_code.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrdbg_core.cpu import layout as L
from rrdbg_core.isa import expr
from rrdbg_core.isa.csr import (
    MISA,
    MISA_FD,
    MISA_S,
    MSTATUS_FS,
    MSTATUS_SD,
    MSTATUS_SXL,
    MSTATUS_UXL,
    SSTATUS_WRITABLE,
)
from rrdbg_core.isa.expr import Ex, lift
from rrdbg_core.isa.plain import FORMS, NAMES
from rrdbg_core.isa.registers import FLOAT_REGISTERS, REGISTERS

MAX_NODES = 4000
"""Nodes of the largest condition, shared ones counted as often as they are used."""
MAX_DEPTH = 60
"""Levels of the deepest one."""
LOAD_SIZES = (1, 2, 4, 8)
TIMEBASE_NS = 100
DIVISIONS = ("divu", "divs", "remu", "rems")
SHIFTS = ("shl", "shr", "sar")
_UNARY = ("not", "sext8", "sext16", "sext32", "clz", "ctz", "cpop", "orcb", "rev8")
ARITY = {op: 1 if op in _UNARY else 3 if op == "select" else 2 for op in FORMS}
"""Operations by the number of their arguments."""
_LEAVES = ("const", "pc", "icount", "hart", "mach")
_WORDS = {"hart": L.CUR_PAGE, "mach": L.STATUS}  # below: state and configuration

Read = Callable[[int, int], "int | None"]
"""Returns bytes of memory as a number, given virtual address and size; None where the load cannot be judged."""


class CannotJudge(Exception):
    """A condition has no value here."""


class BadCondition(ValueError):
    """What is no condition."""


# ---- leaves ----------------------------------------------------------------------------------------------------------
def hart(offset: int) -> Ex:
    """Return a word of the hart that hit."""
    return Ex("hart", (offset,))


def mach(offset: int) -> Ex:
    """Return a word of the machine."""
    return Ex("mach", (offset,))


PC = Ex("pc", ())
"""Address of the next instruction."""
ICOUNT = Ex("icount", ())
"""The position."""


def load(address: Ex | int, size: int) -> Ex:
    """Return bytes of RAM, zero-extended."""
    return Ex("load", (lift(address), size))


def _counter(offset: int, inhibit: int) -> Ex:
    value = hart(offset)
    return expr.select(hart(L.MCOUNTINHIBIT) & inhibit, value, value + ICOUNT)


_TIME_NS = (ICOUNT << mach(L.SHIFT)) + mach(L.WARP_NS)
_STATUS = expr.select(
    expr.eq(hart(L.MSTATUS) & MSTATUS_FS, MSTATUS_FS),
    hart(L.MSTATUS) | MSTATUS_UXL | MSTATUS_SD,
    hart(L.MSTATUS) | MSTATUS_UXL,
)
_ISA = expr.select(mach(L.FLOAT), MISA | MISA_FD, MISA)
_REGISTERS: dict[str, Ex] = {
    "pc": PC,
    "icount": ICOUNT,
    "priv": hart(L.PRIV),
    "time_ns": _TIME_NS,
    "mstatus": expr.select(mach(L.SUPERVISOR), _STATUS | MSTATUS_SXL, _STATUS),
    "misa": expr.select(mach(L.SUPERVISOR), _ISA | MISA_S, _ISA),
    "fflags": hart(L.FCSR) & 31,
    "frm": hart(L.FCSR) >> 5,
    "fcsr": hart(L.FCSR),
    "mie": hart(L.MIE),
    "mip": hart(L.MIP),
    "mtvec": hart(L.MTVEC),
    "mepc": hart(L.MEPC),
    "mcause": hart(L.MCAUSE),
    "mtval": hart(L.MTVAL),
    "mscratch": hart(L.MSCRATCH),
    "mcounteren": hart(L.MCOUNTEREN),
    "mcountinhibit": hart(L.MCOUNTINHIBIT),
    "menvcfg": hart(L.MENVCFG),
    "mhartid": hart(L.MHARTID),
    "sstatus": _STATUS & (SSTATUS_WRITABLE | MSTATUS_FS | MSTATUS_UXL | MSTATUS_SD),
    "sie": hart(L.MIE) & hart(L.MIDELEG),
    "sip": hart(L.MIP) & hart(L.MIDELEG),
    "stvec": hart(L.STVEC),
    "scounteren": hart(L.SCOUNTEREN),
    "senvcfg": hart(L.SENVCFG),
    "sscratch": hart(L.SSCRATCH),
    "sepc": hart(L.SEPC),
    "scause": hart(L.SCAUSE),
    "stval": hart(L.STVAL),
    "satp": hart(L.SATP),
    "stimecmp": hart(L.STIMECMP),
    "medeleg": hart(L.MEDELEG),
    "mideleg": hart(L.MIDELEG),
    "mcycle": _counter(L.MCYCLE, 1),
    "cycle": _counter(L.MCYCLE, 1),
    "minstret": _counter(L.MINSTRET, 4),
    "instret": _counter(L.MINSTRET, 4),
    "time": expr.divu(_TIME_NS, TIMEBASE_NS) + mach(L.TIME_OFFSET),
    **{f"pmpaddr{entry}": hart(L.PMPADDR + entry) for entry in range(16)},
    **dict.fromkeys(("mvendorid", "marchid", "mimpid", "mconfigptr"), lift(0)),
}


def register(name: str) -> Ex | None:
    """Return a register by any of its names, as the guest would read it; None for one that conditions cannot read.

    Known are general registers, pc, the common CSRs, and `icount`, `priv` and `time_ns`.
    """
    number = REGISTERS.get(name)
    if number is not None:
        return hart(L.X + number) if number else lift(0)
    if name in FLOAT_REGISTERS:
        return hart(L.F + FLOAT_REGISTERS[name])
    return _REGISTERS.get(name)


# ---- the condition ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Condition:
    """A condition.

    Raises:
        BadCondition: The tree is not of the language, or too big.
    """

    tree: Ex
    """Its value; it holds if that is not 0."""

    def __post_init__(self) -> None:
        if _size(self.tree, 0) > MAX_NODES:
            raise BadCondition(f"a condition has at most {MAX_NODES} nodes")


def both(a: Condition | None, b: Condition | None) -> Condition | None:
    """Return what holds where both hold; where the first does not hold, the second one is not looked at."""
    if a is None or b is None:
        return a or b
    return Condition(expr.select(a.tree, expr.ne(b.tree, 0), 0))


def _size(tree: Ex, depth: int) -> int:
    op, args = tree.op, tree.args
    if depth > MAX_DEPTH:
        raise BadCondition(f"a condition is at most {MAX_DEPTH} levels deep")
    if op in _LEAVES:
        known = all(isinstance(arg, int) for arg in args) and len(args) == (0 if op in ("pc", "icount") else 1)
        if not known or (op in _WORDS and not 0 <= int(args[0]) < _WORDS[op]):  # type: ignore[arg-type]
            raise BadCondition(f"no leaf {op} {args}")
        return 1
    if op == "load":
        if len(args) != 2 or not isinstance(args[0], Ex) or args[1] not in LOAD_SIZES:
            raise BadCondition(f"no load {args}")
        return 1 + _size(args[0], depth + 1)
    if len(args) != ARITY.get(op):
        raise BadCondition(f"no operation {op} of {len(args)} arguments")
    total = 1
    for arg in args:
        if not isinstance(arg, Ex):
            raise BadCondition(f"no argument {arg!r} of {op}")
        total += _size(arg, depth + 1)
        if total > MAX_NODES:
            break
    return total


# ---- the plain reader ------------------------------------------------------------------------------------------------
Reader = Callable[[Sequence[int], Sequence[int], int, int, Read], int]
"""(words of the hart, words of the machine, pc, icount, memory) to the value."""


def reader(condition: Condition) -> Reader:
    """Return a function that computes a condition's value. It raises `CannotJudge` where there is none."""
    names: dict[str, object] = {**NAMES, "load": _load, "divisor": _divisor}
    value = eval(f"lambda h, m, pc, icount, read: {_source(condition.tree)}", names)
    found: Reader = value
    return found


def _load(read: Read, address: int, size: int) -> int:
    value = read(address, size)
    if value is None:
        raise CannotJudge
    return value


def _divisor(value: int) -> int:
    if value == 0:
        raise CannotJudge
    return value


def _source(tree: Ex) -> str:
    match tree.op, tree.args:
        case "const", (int(value),):
            return f"0x{value & expr.MASK64:x}"
        case "hart", (int(offset),):
            return f"h[{offset}]"
        case "mach", (int(offset),):
            return f"m[{offset}]"
        case "pc" | "icount" as name, ():
            return name
        case "load", (Ex() as address, size):
            return f"load(read, {_source(address)}, {size})"
    args = [_source(arg) for arg in tree.args if isinstance(arg, Ex)]
    if tree.op in SHIFTS:
        args[1] = f"({args[1]} & 63)"
    if tree.op in DIVISIONS:
        args[1] = f"divisor({args[1]})"
    return FORMS[tree.op].format(*args)
