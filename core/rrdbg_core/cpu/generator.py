"""Write the source of the interpreter kernel out of the instruction table.

The kernel is one function. Its inner loop dispatches on the op of a predecoded slot and knows no pc, only the index
`ip` of the slot (`pc = page + 2 * (ip - db)`): straight-line code then costs one addition, and a page check is due only
where control jumps. The tail of a decoded page holds OP_FETCH, so that running off its end needs no test either.
The outer loop does what is due between stretches of the inner one: interrupts, check words, exits.

Source: LLVM turns the if/elif chain into a jump table by itself; 110 handlers compile in about 12 s.
"""

from __future__ import annotations

from rrdbg_core.isa.expr import Branch, Effect, Ex, Helper, Jump, Load, SetRd, Store
from rrdbg_core.isa.table import INSNS, Insn

SPECIAL_OPS = 4
"""OP_UNDECODED, OP_FETCH, OP_BREAK, OP_ILLEGAL, see cpu/slow.py."""

_INFIX = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>"}

_OPERANDS = {
    "rs1": "h[(w >> U(16)) & U(63)]",
    "rs2": "h[(w >> U(24)) & U(63)]",
    "imm": "imm",
    "pc": "(page + ((ip - db) << U(1)))",
}
_RD = "h[(w >> U(8)) & U(63)]"
_PC = _OPERANDS["pc"]
_NEXT_PC = "(page + ((nip - db) << U(1)))"

_HELPERS = {
    "nop": "DONE",
    "ecall": "ecall(c)",
    "ebreak": f"ebreak(c, w, {_PC})",
    "atomic": "atomic(c, w, n)",
    "csr": f"csr(c, w, {_PC}, n)",
    "mret": f"mret(c, {_PC})",
    "wfi": f"wfi(c, {_PC})",
}
"""Calls of the helpers; the rows lr, sc and amo share one."""


def _key(insn: Insn) -> str:
    if isinstance(insn.effect, Helper):
        return "atomic" if insn.effect.name in ("lr", "sc", "amo") else insn.effect.name
    return insn.name


def op_numbers() -> dict[str, int]:
    """Return the op of every row, by mnemonic. Rows that share a helper share its op."""
    keys = list(dict.fromkeys(_key(insn) for insn in INSNS))
    return {insn.name: SPECIAL_OPS + keys.index(_key(insn)) for insn in INSNS}


def expression(tree: Ex) -> str:
    """Return the numba source of an expression."""
    if tree.op == "const":
        return f"U({tree.args[0]})"
    if tree.op == "operand":
        return _OPERANDS[str(tree.args[0])]
    args = [expression(arg) for arg in tree.args if isinstance(arg, Ex)]
    if tree.op in _INFIX:
        return f"({args[0]} {_INFIX[tree.op]} {args[1]})"
    if tree.op == "not":
        return f"(~{args[0]})"
    return f"{tree.op}({', '.join(args)})"


def _go(offset: str) -> list[str]:
    """Jump to `offset` bytes from `page`."""
    return [
        f"o = {offset}",
        "if o < PAGE:",
        "    ip = db + (o >> U(1))",
        "else:",
        "    page += o",
        "    db = FETCH_PAGE",
        "    ip = db",
    ]


def _finish(call: str) -> list[str]:
    """Call a helper and go on as it says."""
    return [f"s = {call}", "if s <= DONE_OUT:", "    ip = nip", "if s != DONE:", "    break"]


def _indent(lines: list[str], by: int = 1) -> list[str]:
    return ["    " * by + line for line in lines]


def _handler(effect: Effect, key: str) -> list[str]:
    match effect:
        case SetRd(value):
            return [f"{_RD} = {expression(value)}", "ip = nip"]
        case Branch(taken):
            return [
                f"if {expression(taken)} != U(0):",
                *_indent(_go("((ip - db) << U(1)) + imm")),
                "else:",
                "    ip = nip",
            ]
        case Jump(target):
            return [f"t = {expression(target)} - page", f"{_RD} = {_NEXT_PC}", *_go("t")]
        case Load(addr, size, signed):
            value = f"load{size}(ram, a + tlb[e + U(1)])"
            if signed:
                value = f"sext{size * 8}({value})"
            return [
                f"a = {expression(addr)}",
                "e = bank + (((a >> U(12)) & U(255)) << U(1))",
                f"if tlb[e] == a & U({(1 << 64) - 4096 | size - 1}):",
                f"    {_RD} = {value}",
                "    ip = nip",
                "else:",
                *_indent(_finish(f"slow_load(c, w, a, U({size}), U({int(signed)}), n)")),
            ]
        case Store(addr, size, value):
            return [
                f"a = {expression(addr)}",
                "e = WRITE_TLB + bank + (((a >> U(12)) & U(255)) << U(1))",
                f"if tlb[e] == a & U({(1 << 64) - 4096 | size - 1}):",
                "    o = a + tlb[e + U(1)]",
                f"    store{size}(ram, o, {expression(value)})",
                "    store1(dirty, o >> U(6), U(1))",
                "    ip = nip",
                "else:",
                *_indent(_finish(f"slow_store(c, w, a, U({size}), n)")),
            ]
        case Helper():
            return ["ip = nip"] if key == "nop" else _finish(_HELPERS[key])


_RELOAD = ["n += U(1)", "page = h[L.CUR_PAGE]", "db = h[L.CUR_DB]", "ip = h[L.CUR_IP]"]

_SPECIAL = (
    [f"s = decode_slot(c, {_PC}, ip)", "if s != DONE:", "    break", *_RELOAD],
    [
        f"o = {_PC}",
        "e = xbank + (((o >> U(12)) & U(255)) << U(1))",
        "if xtlb[e] == o & PAGE_MASK:",
        "    page = o & PAGE_MASK",
        "    db = xtlb[e + U(1)]",
        "    ip = db + ((o & OFFSET) >> U(1))",
        "    n += U(1)",
        "else:",
        *_indent(["s = fetch(c, o)", "if s != DONE:", "    break", *_RELOAD]),
    ],
    [f"s = at_break(c, {_PC}, inner - n - U(1))", "if s != DONE:", "    break", *_RELOAD],
    [f"s = illegal(c, {_PC})", "break"],
)

_HEAD = """\
def kernel(c, limit):
    h = words_at(c, HART)
    m = words_at(c, MACH)
    dec = words_at(c, DEC)
    tlb = words_at(c, TLB)
    xtlb = words_at(c, XTLB)
    ram = bytes_at(c, RAM)
    dirty = bytes_at(c, DIRTY)
    while True:
        icount = m[L.ICOUNT]
        if icount >= limit:
            return EXIT_LIMIT
        if buffers_full(c):
            return EXIT_DRAIN
        m[L.HIT_INDEX] = U(0)
        m[L.TRACKED_HIT] = U(0)
        m[L.ACCESS_COUNT] = U(0)
        stepping = m[L.STEPPING]
        if stepping != U(0):
            before_step(c)
        cause = U(0)
        if m[L.MMIO_STATE] < U(2) and m[L.SEMIHOSTED] == U(0):
            cause = pending_interrupt(h)
            if cause == U(0) and h[L.WFI] != U(0):
                if h[L.MIP] & h[L.MIE] == U(0):
                    return EXIT_WFI
                h[L.WFI] = U(0)
        if cause != U(0):
            h[L.WFI] = U(0)
            fault(c, cause, U(0))
            enter_trap(c, h[L.PC], icount)
            icount += U(1)
        else:
            inner = (icount | U(0xFFFF)) + U(1)
            if stepping != U(0):
                inner = icount + U(1)
            if inner > limit:
                inner = limit
            m[L.INNER_LIMIT] = inner
            bank = tlb_bank(h)
            xbank = BANK if h[L.PRIV] == U(3) else U(0)
            page = h[L.PC]
            db = FETCH_PAGE
            ip = db
            s = DONE
            n = inner - icount
            while n != U(0):
                w = dec[ip]
                op = w & U(0xFF)
                n -= U(1)
                nip = ip + ((w >> U(30)) & U(3))
                imm = sar(w, U(32))
"""

_TAIL = """\
            icount = inner - n
            pc = page + ((ip - db) << U(1))
            if s == TRAPPED:
                cause = m[L.TRAP_CAUSE] + U(1)
                enter_trap(c, pc, icount - U(1))
            elif s == JUMPED:
                h[L.PC] = m[L.NEXT_PC]
            else:
                h[L.PC] = pc
                if s == EXITED:
                    m[L.ICOUNT] = icount - U(1)
                    return m[L.STATUS]
        m[L.ICOUNT] = icount
        if icount & U(0xFFFF) == U(0):
            words_at(c, CHECKS)[m[L.CHECKS]] = check_word(c)
            m[L.CHECKS] += U(1)
        if stepping != U(0):
            after_step(c, cause)
        if m[L.CATCH] != U(0) and cause != U(0):
            caught(c, cause)
        if m[L.HIT_INDEX] != U(0):
            return EXIT_WATCH
        if m[L.TRACKED_HIT] != U(0):
            return EXIT_TRACKED
"""


def kernel_source() -> str:
    """Return the source of `kernel(c, limit)`, to be compiled in the namespace of cpu/slow.py."""
    handlers: dict[int, list[str]] = dict(enumerate(_SPECIAL))
    numbers = op_numbers()
    for insn in INSNS:
        handlers.setdefault(numbers[insn.name], _handler(insn.effect, _key(insn)))
    lines = []
    for number in sorted(handlers):
        lines.append(f"{'if' if number == 0 else 'elif'} op == U({number}):")
        lines += _indent(handlers[number])
    lines += ["else:", f"    s = illegal(c, {_PC})", "    break"]
    return _HEAD + "\n".join(_indent(lines, 4)) + "\n" + _TAIL


FORMAT_NUMBERS = {
    name: number
    for number, name in enumerate(("R", "I", "SH6", "SH5", "S", "B", "U", "J", "CSR", "CSRI", "AMO", "N", "F"))
}
"""Formats as cpu/slow.py's decoder numbers them."""


def decode_table() -> list[int]:
    """Return the decoder's table: 257 starts of buckets, then rows of (mask << 32 | match, op | format << 8)."""
    from rrdbg_core.isa.table import BUCKETS

    numbers = op_numbers()
    starts, rows = [], []
    for number in range(256):
        starts.append(257 + len(rows))
        for insn in BUCKETS.get(number, ()):
            rows += [insn.mask << 32 | insn.match, numbers[insn.name] | FORMAT_NUMBERS[insn.fmt] << 8]
    starts.append(257 + len(rows))
    return starts + rows
