"""Write the dispatch loop of the kernel, as LLVM IR, out of the instruction table.

One small function per op; each ends in a tail call of the next op's function, found by the op in the slot it has just
loaded (numba can express neither that nor a computed jump, and one big loop over all handlers ran at half the speed
and took five seconds longer to compile). What the functions pass on lies in registers:

    h    the hart's words               ip   address of the slot, 8 bytes per halfword of code
    n    steps left, this one excluded  w    the slot: op | rd << 8 | rs1 << 16 | rs2 << 24 | imm << 32
    tlb  the TLB bank in force          ram  RAM
    pcb  pc - ip / 4 within a page      ops  the table of handlers

Nothing is looked at between two instructions but `n`: the loop ends where the budget does. The tail of a decoded page
holds OP_FETCH, so that running off its end needs no test; jumps whose target lies in the same page are ops of their
own, and so are compressed instructions, whose length the handler knows.
"""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.build import DISPATCH, HANDLERS
from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, INTEGERS, TEST, HostFloat
from rrdbg_core.cpu.ops import ARMED_OP, OPS, REGION_OP, Op
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.expr import Branch, Ex, FloatLoad, FloatStore, Helper, Jump, Load, SetFrd, SetRd, Store

ARGS = "ptr %ip, i64 %n, i64 %w, ptr %ram, ptr %h, i64 %pcb, ptr %ops, ptr %tlb"
"""In this order h lies where C functions expect their first argument, and what a region has little use for lies where
they expect their next ones: on x86-64, where these are r12 to r15, rdi, rsi, rdx and rcx."""


def passed(ip: str, n: str, w: str, pcb: str = "%pcb") -> str:
    """Return the arguments of the next function."""
    return f"ptr {ip}, i64 {n}, i64 {w}, ptr %ram, ptr %h, i64 {pcb}, ptr %ops, ptr %tlb"


FLOAT_HELPER = Helper("float_op")
"""What computes, all but moves between registers."""
_PAGE_MASK = -4096
_BOX = -1 << 32
_DONE, _DONE_OUT = 0, 1
# in the table of pointers, see native/names.py
_HART, _MACH, _RAM, _DEC, _TLB, _XTLB, _LINES, _DIRTY, _WATCHED, _RUN, _PTE_LINES = (
    *(0, 1, 2, 3, 6, 7, 12, 18, 23, 24, 34),
)
_WRITE_TLB_BYTES, _WATCHED_TLB_BYTES = 8 * 1024, 8 * 2048
_FETCH_PAGE_BYTES = 8 * 2056

HELPERS: dict[str, tuple[int, tuple[str, ...]]] = {
    "atomic": (2, ("w", "n")),
    "csr": (3, ("w", "pc", "n")),
    "mret": (1, ("pc",)),
    "sret": (1, ("pc",)),
    "sfence": (1, ("pc",)),
    "wfi": (1, ("pc",)),
    "ecall": (0, ()),
    "ebreak": (1, ("pc",)),
    "illegal": (1, ("pc",)),
    "slow_load": (5, ()),
    "slow_store": (4, ()),
    "float_op": (2, ("w", "pc")),
    "float_ready": (1, ()),
    "float_load": (5, ()),
    "float_store": (5, ()),
    "fetch": (1, ()),
    "decode_slot": (2, ()),
    "at_break": (2, ()),
    "started": (3, ()),
    "beside_region": (2, ()),
    "resolve": (2, ()),
}
"""numba functions that handlers call: how many u64 follow `c`, and which, where every caller passes the same."""
# in the table of handlers, behind the ops' handlers
GO, LEAVE, RESOLVE, FLOATS, FIRST_REGION = 256, 257, 258, 264, 520
"""Places in the table of handlers, behind those of the ops. From FLOATS on one for each op, see `_computing`."""
MAX_REGIONS = 8192
"""Regions that a process may hold."""


class _Handler(Emitter):
    """The text of one handler."""

    def __init__(
        self, name: str, attributes: str = "", *, convention: str = "preserve_nonecc", args: str = ARGS
    ) -> None:
        super().__init__(f"define internal {convention} i64 @{name}({args}) {attributes}")

    # ---- operands --------------------------------------------------------------------------------------------------
    def word(self, offset: int) -> str:
        """Return a pointer to word `offset` of the hart."""
        return self.let(f"getelementptr i64, ptr %h, i64 {offset}")

    def table(self, index: int) -> str:
        """Return entry `index` of the table of pointers."""
        table = self.let(f"load ptr, ptr {self.word(L.TABLE_AT)}")
        return self.let(f"load ptr, ptr {self.let(f'getelementptr ptr, ptr {table}, i64 {index}')}")

    def count(self, offset: int, amount: str) -> None:
        """Add to a word of the hart."""
        place = self.word(offset)
        old = self.let(f"load i64, ptr {place}")
        self.do(f"store i64 {self.let(f'add i64 {old}, {amount}')}, ptr {place}")

    def mach(self, offset: int) -> str:
        """Return word `offset` of the machine."""
        return self.let(f"load i64, ptr {self.let(f'getelementptr i64, ptr {self.table(_MACH)}, i64 {offset}')}")

    def register(self, shift: int) -> str:
        """Return a pointer to the register that the slot names at bit `shift`."""
        field = self.let(f"and i64 {self.let(f'lshr i64 %w, {shift}')}, 255")
        return self.let(f"getelementptr i64, ptr %h, i64 {field}")

    def float_register(self, shift: int) -> str:
        """Return a pointer to the f register that the slot names at bit `shift`; where there is none it says XD."""
        field = self.let(f"and i64 {self.let(f'lshr i64 %w, {shift}')}, 31")
        return self.let(f"getelementptr i64, ptr %h, i64 {self.let(f'add i64 {field}, {L.F}')}")

    def float_on(self, *, dirty: bool) -> None:
        """Go on if mstatus.FS is not Off, or is Dirty already; else see what has to be done first."""
        state = self.let(f"and i64 {self.let(f'load i64, ptr {self.word(L.MSTATUS)}')}, {MSTATUS_FS}")
        on, off = self.fresh("on"), self.fresh("off")
        ready = f"icmp eq i64 {state}, {MSTATUS_FS}" if dirty else f"icmp ne i64 {state}, 0"
        self.do(f"br i1 {self.let(ready)}, label %{on}, label %{off}, !prof !1")
        self.label(off)
        self.tail("@float_off", "%ip", "%n", "%w")
        self.label(on)

    def operand(self, name: str) -> str:
        """Return the value of an operand."""
        match name:
            case "rs1":
                return self.let(f"load i64, ptr {self.register(16)}")
            case "rs2":
                return self.let(f"load i64, ptr {self.register(24)}")
            case "fs1":
                return self.let(f"load i64, ptr {self.float_register(16)}")
            case "fs2":
                return self.let(f"load i64, ptr {self.float_register(24)}")
            case "imm":
                return self.let("ashr i64 %w, 32")
            case _:
                return self.pc("%ip")

    def pc(self, ip: str) -> str:
        """Return the address of the instruction whose slot is at `ip`."""
        quarter = self.let(f"lshr i64 {self.let(f'ptrtoint ptr {ip} to i64')}, 2")
        return self.let(f"add i64 %pcb, {quarter}")

    def set_rd(self, value: str) -> None:
        """Write the destination register."""
        self.do(f"store i64 {value}, ptr {self.register(8)}")

    # ---- expressions -----------------------------------------------------------------------------------------------
    def value(self, tree: Ex) -> str:
        """Emit an expression and return its value."""
        if tree.op == "const":
            return str(tree.args[0])
        if tree.op == "operand":
            return self.operand(str(tree.args[0]))
        args = [self.value(arg) for arg in tree.args if isinstance(arg, Ex)]
        return self.operation(tree.op, args)

    # ---- going on --------------------------------------------------------------------------------------------------
    def tail(self, function: str, ip: str, n: str, w: str, pcb: str = "%pcb") -> None:
        """End in a call that never comes back here."""
        self.do(f"ret i64 {self.let(f'musttail call preserve_nonecc i64 {function}({passed(ip, n, w, pcb)})')}")

    def next(self, ip: str, pcb: str = "%pcb", n: str = "%n") -> None:
        """Go on with the slot at `ip`."""
        slot = self.let(f"load i64, ptr {ip}")
        out, more = self.fresh("out"), self.fresh("more")
        # one instruction subtracts and sets the flag
        both = self.let(f"call {{i64, i1}} @llvm.usub.with.overflow.i64(i64 {n}, i64 1)")
        left = self.let(f"extractvalue {{i64, i1}} {both}, 0")
        none = self.let(f"extractvalue {{i64, i1}} {both}, 1")
        self.do(f"br i1 {none}, label %{out}, label %{more}, !prof !0")
        self.label(more)
        entry = self.let(f"getelementptr ptr, ptr %ops, i64 {self.let(f'and i64 {slot}, 255')}")
        function = self.let(f"load ptr, ptr {entry}")
        self.tail(function, ip, left, slot, pcb)
        self.label(out)
        self.tail("@leave", ip, "0", str(_DONE), pcb)

    def behind(self, length: int) -> str:
        """Return the address of the next slot."""
        return self.let(f"getelementptr i8, ptr %ip, i64 {4 * length}")

    def go(self, target: str, n: str = "%n") -> None:
        """Go on at address `target`, in whatever page."""
        ip, pcb = self.lookup(target, n)
        self.next(ip, pcb, n)

    def lookup(self, target: str, n: str = "%n") -> tuple[str, str]:
        """Return ip and pcb of address `target`; if the TLB does not know them, go on there without coming back."""
        entry = self.let(f"and i64 {self.let(f'lshr i64 {target}, 8')}, {255 << 4}")
        xtlb = self.let(f"load ptr, ptr {self.word(L.XTLB_AT)}")
        tag_at = self.let(f"getelementptr i8, ptr {xtlb}, i64 {entry}")
        page = self.let(f"and i64 {target}, {_PAGE_MASK}")
        hit, miss = self.fresh("hit"), self.fresh("miss")
        same = self.let(f"icmp eq i64 {self.let(f'load i64, ptr {tag_at}')}, {page}")
        self.do(f"br i1 {same}, label %{hit}, label %{miss}, !prof !1")
        self.label(miss)
        self.tail("@refetch", "%ip", n, target)
        self.label(hit)
        base = self.let(f"load i64, ptr {self.let(f'getelementptr i8, ptr {tag_at}, i64 8')}")
        offset = self.let(f"shl i64 {self.let(f'and i64 {target}, 4095')}, 2")
        ip = self.let(f"inttoptr i64 {self.let(f'add i64 {base}, {offset}')} to ptr")
        return ip, self.let(f"sub i64 {page}, {self.let(f'lshr i64 {base}, 2')}")

    def again(self, slot: str) -> None:
        """Go on with a slot, as if it stood at %ip: this step is still to be made."""
        entry = self.let(f"getelementptr ptr, ptr %ops, i64 {self.let(f'and i64 {slot}, 255')}")
        self.tail(self.let(f"load ptr, ptr {entry}"), "%ip", "%n", slot)

    def helper(self, names: Mapping[str, str], name: str, args: list[str]) -> str:
        """Call a numba function: its result goes through a pointer, and nothing in it raises."""
        result, table = self.word(L.RESULT), self.let(f"load ptr, ptr {self.word(L.TABLE_AT)}")
        words = "".join(f", i64 {arg}" for arg in args)
        self.let(f"call i32 @{names[name]}(ptr {result}, ptr {self.word(L.RAISED)}, ptr {table}{words})")
        return self.let(f"load i64, ptr {result}")

    def finish(self, status: str, length: int) -> None:
        """Go on as a helper says."""
        done, other = self.fresh("done"), self.fresh("other")
        self.do(f"br i1 {self.let(f'icmp eq i64 {status}, {_DONE}')}, label %{done}, label %{other}")
        self.label(done)
        self.next(self.behind(length))
        self.label(other)
        out = self.let(f"icmp eq i64 {status}, {_DONE_OUT}")
        ip = self.let(f"select i1 {out}, ptr {self.behind(length)}, ptr %ip")
        self.tail("@leave", ip, "%n", status)

    def reload(self) -> None:
        """Go on where a helper has set CUR_PAGE, CUR_DB and CUR_IP; what was done was not a step."""
        page, db, ip = (self.let(f"load i64, ptr {self.word(at)}") for at in (L.CUR_PAGE, L.CUR_DB, L.CUR_IP))
        dec = self.table(_DEC)
        base = self.let(f"ptrtoint ptr {self.let(f'getelementptr i64, ptr {dec}, i64 {db}')} to i64")
        slot = self.let(f"getelementptr i64, ptr {dec}, i64 {ip}")
        pcb = self.let(f"sub i64 {page}, {self.let(f'lshr i64 {base}, 2')}")
        self.next(slot, pcb, self.let("add i64 %n, 1"))


def _memory(op: Op, names: Mapping[str, str]) -> str:
    """Return the handler of a load or store, and what it does on a TLB miss."""
    effect, name = op.insn.effect, f"op_{op.number}"
    assert isinstance(effect, Load | Store | FloatLoad | FloatStore)
    f = _Handler(name)
    write, floats = isinstance(effect, Store | FloatStore), isinstance(effect, FloatLoad | FloatStore)
    if floats:
        # where FS is not Dirty yet, a load makes it so only if it succeeds
        state = f.let(f"and i64 {f.let(f'load i64, ptr {f.word(L.MSTATUS)}')}, {MSTATUS_FS}")
        ready = f.let(f"icmp ne i64 {state}, 0" if write else f"icmp eq i64 {state}, {MSTATUS_FS}")
        f.do(f"br i1 {ready}, label %on, label %miss, !prof !1")
        f.label("on")
    address = f.value(effect.addr)
    entry = f.let(f"and i64 {f.let(f'lshr i64 {address}, 8')}, {255 << 4}")
    if write:
        entry = f.let(f"add i64 {entry}, {_WRITE_TLB_BYTES}")
    tag_at = f.let(f"getelementptr i8, ptr %tlb, i64 {entry}")
    if write or effect.size == 1:
        tag = f.let(f"and i64 {address}, {_PAGE_MASK | effect.size - 1}")
    else:  # a load may be misaligned within its page
        tag = f.let(f"and i64 {f.let(f'add i64 {address}, {effect.size - 1}')}, {_PAGE_MASK}")
    known = f.let(f"load i64, ptr {tag_at}")
    f.do(f"br i1 {f.let(f'icmp eq i64 {known}, {tag}')}, label %hit, label %miss, !prof !1")
    f.label("hit")
    addend = f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {tag_at}, i64 8')}")
    offset = f.let(f"add i64 {address}, {addend}")
    place = f.let(f"getelementptr i8, ptr %ram, i64 {offset}")
    kind = f"i{8 * effect.size}"
    if isinstance(effect, Load):
        value = f.let(f"load {kind}, ptr {place}, align 1")
        if effect.size < 8:
            value = f.let(f"{'sext' if effect.signed else 'zext'} {kind} {value} to i64")
        f.set_rd(value)
    elif isinstance(effect, FloatLoad):
        value = f.let(f"load {kind}, ptr {place}, align 1")
        if effect.size < 8:
            value = f.let(f"or i64 {f.let(f'zext {kind} {value} to i64')}, {_BOX}")
        f.do(f"store i64 {value}, ptr {f.float_register(8)}")
    else:
        value = f.value(effect.value)
        if effect.size < 8:
            value = f.let(f"trunc i64 {value} to {kind}")
        f.do(f"store {kind} {value}, ptr {place}, align 1")
        dirty = f.let(f"load ptr, ptr {f.word(L.DIRTY_AT)}")
        word = f.let(f"getelementptr i8, ptr {dirty}, i64 {f.let(f'lshr i64 {offset}, 3')}")
        f.do(f"store i8 1, ptr {word}")
    f.next(f.behind(op.length))
    f.label("miss")
    f.tail(f"@miss_{op.number}", "%ip", "%n", "%w")
    slow = _Handler(f"miss_{op.number}", "noinline cold")
    args = ["%w", slow.value(effect.addr), str(effect.size)]
    if floats:
        args.append(slow.pc("%ip"))
    elif isinstance(effect, Load):
        args.append(str(int(effect.signed)))
    called = f"{'float' if floats else 'slow'}_{'store' if write else 'load'}"
    slow.finish(slow.helper(names, called, [*args, "%n"]), op.length)
    return f.text() + slow.text()


def _handler(op: Op, names: Mapping[str, str]) -> str:
    """Return the function, or functions, of an op."""
    f = _Handler(f"op_{op.number}")
    match op.insn.effect:
        case SetRd(value):
            if op.insn.floats:
                f.float_on(dirty=False)
            f.set_rd(f.value(value))
            f.next(f.behind(op.length))
        case SetFrd(value):
            f.float_on(dirty=True)
            f.do(f"store i64 {f.value(value)}, ptr {f.float_register(8)}")
            f.next(f.behind(op.length))
        case Load() | Store() | FloatLoad() | FloatStore():
            return _memory(op, names)
        case Branch(taken):
            condition = f.let(f"icmp ne i64 {f.value(taken)}, 0")
            f.do(f"br i1 {condition}, label %taken, label %not")
            f.label("not")
            f.next(f.behind(op.length))
            f.label("taken")
            _jump(f, op)
        case Jump(target):
            if op.near:
                f.set_rd(f.pc(f.behind(op.length)))
                _jump(f, op)
            else:
                where = f.value(target)
                f.set_rd(f.pc(f.behind(op.length)))
                f.go(where)
        case Helper("nop"):
            f.next(f.behind(op.length))
        case Helper("float_op") if op.insn.name in DONE_BY_HOST:
            _float(f, op)
        case Helper(name):
            called = "atomic" if name in ("lr", "sc", "amo") else name
            args = [f.pc("%ip") if arg == "pc" else f"%{arg}" for arg in HELPERS[called][1]]
            f.finish(f.helper(names, called, args), op.length)
    return f.text()


def _float(f: _Handler, op: Op) -> None:
    """Let the host compute, or the helper."""
    host = HostFloat(f, op.insn.name, "slow", f.word(L.FCSR), looks=False)
    if host.works:
        state = f.let(f"and i64 {f.let(f'load i64, ptr {f.word(L.MSTATUS)}')}, {MSTATUS_FS}")
        host.need(f.let(f"icmp eq i64 {state}, {MSTATUS_FS}" if host.changes else f"icmp ne i64 {state}, 0"))
        host.need(f.let(f"icmp ne i64 {f.let(f'load i64, ptr {f.word(L.HOST_FLOAT)}')}, 0"))
        host.need_mode()
        if host.takes in INTEGERS:
            operands = [f.operand("rs1")]
        else:
            places = [f.float_register(shift) for shift in (16, 24, 59)[: host.arity]]
            operands = [host.number(f.let(f"load i64, ptr {place}"), host.takes) for place in places]
        host.slow = "look" if host.may_look else "slow"
        result = host.compute(*operands)
        if host.gives in INTEGERS:
            f.set_rd(result)
        else:
            f.do(f"store i64 {host.register(result, host.gives)}, ptr {f.float_register(8)}")
        f.next(f.behind(op.length))
    else:
        f.do("br label %slow")
    if host.slow == "look":
        f.label("look")
        f.tail("@float_look", "%ip", "%n", "%w")
    f.label("slow")
    f.tail("@float_slow", "%ip", "%n", "%w")


FLOAT_ARGS = ("ptr %h", "i64 %w", "double %a", "double %b", "double %c")
"""Of what stands at FLOATS and behind: as many of the f registers as the instruction reads."""


def _computing(op: Op, names: Mapping[str, str]) -> str:
    """Return the function, `float_` and the op's number, that computes for regions, and for handlers that must look.

    FS is Dirty, the host's arithmetic is trusted, and the rounding mode is none of those that are reserved: it cannot
    trap. The result is in the hart's words, as is an x register that is read; all registers of the host are kept, so
    that a region has nothing to save.
    """
    name = op.insn.name
    host = HostFloat(Emitter(""), name, "", "")
    count = 0 if host.takes in INTEGERS else host.arity
    f = _Handler(f"float_{op.number}", "noinline", convention="preserve_allcc", args=", ".join(FLOAT_ARGS[: 2 + count]))
    shifts = (16, 24, 59)[:count]
    values = [f.let(f"bitcast double {arg.split()[1]} to i64") for arg in FLOAT_ARGS[2 : 2 + count]]
    if name in DONE_BY_HOST and host.works:
        host = HostFloat(f, name, "slow", f.word(L.FCSR))
        host.need_mode()
        operands = [host.number(value, host.takes) for value in values] if count else [f.operand("rs1")]
        result = host.compute(*operands)
        if host.gives in INTEGERS:
            f.set_rd(result)
        else:
            f.do(f"store i64 {host.register(result, host.gives)}, ptr {f.float_register(8)}")
        f.do(f"ret i64 {_DONE}")
        f.label("slow")
    for shift, value in zip(shifts, values, strict=True):
        f.do(f"store i64 {value}, ptr {f.float_register(shift)}")
    f.do(f"ret i64 {f.helper(names, 'float_op', ['%w', '0'])}")
    return f.text()


def _jump(f: _Handler, op: Op) -> None:
    """Go to pc + imm: within the page if the op says so."""
    imm = f.operand("imm")
    if op.near:
        f.next(f.let(f"getelementptr i8, ptr %ip, i64 {f.let(f'shl i64 {imm}, 2')}"))
    else:
        f.go(f.let(f"add i64 {f.pc('%ip')}, {imm}"))


def _special(names: Mapping[str, str]) -> str:
    """Return the handlers of OP_UNDECODED, OP_FETCH, OP_BREAK and OP_ILLEGAL, `refetch` and `leave`."""
    undecoded = _Handler("op_0", "cold")
    pc = undecoded.pc("%ip")
    _or_leave(undecoded, names, "decode_slot", [pc, _slot_index(undecoded)])

    fetch = _Handler("op_1")
    fetch.go(fetch.pc("%ip"), fetch.let("add i64 %n, 1"))

    stop = _Handler("op_2", "cold")
    icount = stop.let(f"sub i64 {stop.let(f'sub i64 {stop.mach(L.INNER_LIMIT)}, %n')}, 1")
    status = stop.helper(names, "at_break", [stop.pc("%ip"), icount])
    stop.do(f"br i1 {stop.let(f'icmp eq i64 {status}, {_DONE}')}, label %pass, label %out")
    stop.label("out")
    stop.tail("@leave", "%ip", "%n", status)
    stop.label("pass")
    _run_real_slot(stop)

    armed = _Handler("armed", "cold")
    armed.helper(names, "started", ["%w", armed.pc("%ip"), _slot_index(armed)])
    _run_real_slot(armed)

    illegal = _Handler("op_3", "cold")
    illegal.tail("@leave", "%ip", "%n", illegal.helper(names, "illegal", [illegal.pc("%ip")]))

    # n here counts the next step too, which may be the one that traps; w is the target
    refetch = _Handler("refetch", "noinline cold")
    refetch.do(f"br i1 {refetch.let('icmp eq i64 %n, 0')}, label %out, label %more")
    refetch.label("out")
    refetch.tail("@leave", "null", "0", str(_DONE), "%w")
    refetch.label("more")
    status = refetch.helper(names, "fetch", ["%w"])
    refetch.do(f"br i1 {refetch.let(f'icmp eq i64 {status}, {_DONE}')}, label %done, label %fault")
    refetch.label("fault")
    refetch.tail("@leave", "null", refetch.let("sub i64 %n, 1"), status, "%w")
    refetch.label("done")
    refetch.tail("@resume", "%ip", refetch.let("sub i64 %n, 1"), "0")
    resume = _Handler("resume", "noinline cold")
    resume.reload()

    off = _Handler("float_off", "noinline cold")
    status = off.helper(names, "float_ready", [off.pc("%ip")])
    off.do(f"br i1 {off.let(f'icmp eq i64 {status}, {_DONE}')}, label %again, label %out")
    off.label("out")
    off.tail("@leave", "%ip", "%n", status)
    off.label("again")
    off.again("%w")

    slow = _Handler("float_slow", "noinline")
    slow.finish(slow.helper(names, "float_op", ["%w", slow.pc("%ip")]), 4)

    look = _Handler("float_look", "noinline")
    number = look.let(f"add i64 {look.let('and i64 %w, 255')}, {FLOATS}")
    function = look.let(f"load ptr, ptr {look.let(f'getelementptr ptr, ptr %ops, i64 {number}')}")
    operands = [look.let(f"load double, ptr {look.float_register(shift)}") for shift in (16, 24, 59)]
    arguments = ", ".join(["ptr %h, i64 %w", *(f"double {operand}" for operand in operands)])
    look.let(f"call preserve_allcc i64 {function}({arguments})")
    look.next(look.behind(4))

    leave = _Handler("leave", "noinline cold")
    leave.do(f"store i64 {leave.pc('%ip')}, ptr {leave.word(L.STOP_PC)}")
    leave.do(f"store i64 %n, ptr {leave.word(L.LEFT)}")
    leave.do("ret i64 %w")
    return "\n".join(
        f.text() for f in (undecoded, fetch, stop, armed, illegal, refetch, resume, off, slow, look, leave)
    )


def _regions(names: Mapping[str, str]) -> str:
    """Return the handler of OP_REGION, and what compiled regions call.

    `region_go` goes on at address w, `region_leave` at address ip, with w for the slot there whatever the page holds:
    it may hold the very region that has been left. For both, n counts the next step too. `region_resolve` see
    `resolve` in native/access.py; it keeps all registers, so that a region has nothing to save.
    """
    enter = _Handler("region")
    # the code of a region stands at its physical address
    paging = enter.let(f"load i64, ptr {enter.word(L.PAGING)}")
    enter.do(f"br i1 {enter.let(f'icmp eq i64 {paging}, 0')}, label %enter, label %beside, !prof !1")
    enter.label("beside")
    enter.tail("@region_beside", "%ip", "%n", "%w")
    enter.label("enter")
    enter.count(L.REGION_STEPS, enter.let("add i64 %n, 1"))
    enter.count(L.REGION_VISITS, "1")
    number = enter.let(f"and i64 {enter.let('lshr i64 %w, 8')}, 65535")
    function = enter.let(f"load ptr, ptr {enter.let(f'getelementptr ptr, ptr %ops, i64 {number}')}")
    enter.tail(function, "%ip", "%n", "%w")

    go = _Handler("region_go")
    go.count(L.REGION_STEPS, go.let("sub i64 0, %n"))
    go.go("%w")

    leave = _Handler("region_leave")
    leave.count(L.REGION_STEPS, leave.let("sub i64 0, %n"))
    leave.count(L.REGION_LEAVES, "1")
    pc = leave.let("ptrtoint ptr %ip to i64")
    leave.do(f"br i1 {leave.let('icmp eq i64 %n, 0')}, label %out, label %more, !prof !0")
    leave.label("out")
    leave.tail("@leave", "null", "0", str(_DONE), pc)
    leave.label("more")
    ip, pcb = leave.lookup(pc)
    half = leave.let(f"lshr i64 {leave.let(f'sub i64 {pc}, {leave.mach(L.RAM_BASE)}')}, 1")
    leave.do(f"store i8 1, ptr {leave.let(f'getelementptr i8, ptr {leave.table(_RUN)}, i64 {half}')}")
    entry = leave.let(f"getelementptr ptr, ptr %ops, i64 {leave.let('and i64 %w, 255')}")
    leave.tail(leave.let(f"load ptr, ptr {entry}"), ip, leave.let("sub i64 %n, 1"), "%w", pcb)

    beside = _Handler("region_beside", "noinline cold")
    beside.helper(names, "beside_region", [beside.pc("%ip"), _slot_index(beside)])
    _run_real_slot(beside)
    return "\n".join([*(f.text() for f in (enter, go, leave, beside)), _resolve(names)])


def _resolve(names: Mapping[str, str]) -> str:
    """Return `region_resolve` and what it does on a TLB miss.

    A region looks for itself first, but at several accesses at a time: one alone may well pass. So may one to a page of
    which some lines are watched or hold code, if it is to others, or beside all that is watched.
    """
    f = _Handler("region_resolve", convention="preserve_mostcc", args=f"{_RESOLVE_ARGS}, ptr %tlb")
    only = f.let("and i64 %what, 112")
    write, read = (f.let(f"icmp eq i64 {only}, {kind}") for kind in (32, 16))
    f.do(f"br i1 {f.let(f'or i1 {write}, {read}')}, label %plain, label %miss")
    f.label("plain")
    rest = f.let(f"sub i64 {f.let('and i64 %what, 15')}, 1")
    bank = f.let(f"select i1 {write}, i64 {_WRITE_TLB_BYTES}, i64 0")
    entry = f.let(f"and i64 {f.let('lshr i64 %address, 8')}, {255 << 4}")
    tag_at = f.let(f"getelementptr i8, ptr %tlb, i64 {f.let(f'add i64 {entry}, {bank}')}")
    of_load = f.let(f"and i64 {f.let(f'add i64 %address, {rest}')}, {_PAGE_MASK}")
    of_aligned = f.let(f"and i64 %address, {f.let(f'or i64 {rest}, {_PAGE_MASK}')}")
    wanted = f.let(f"select i1 {write}, i64 {of_aligned}, i64 {of_load}")
    tag = f.let(f"load i64, ptr {tag_at}")
    f.do(f"br i1 {f.let(f'icmp eq i64 {tag}, {wanted}')}, label %hit, label %partly")
    f.label("hit")
    addend = f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {tag_at}, i64 8')}")
    f.do(f"ret i64 {f.let(f'add i64 %address, {addend}')}")

    f.label("partly")
    partly_at = f.let(f"getelementptr i8, ptr {tag_at}, i64 {_WATCHED_TLB_BYTES}")
    tag = f.let(f"load i64, ptr {partly_at}")
    f.do(f"br i1 {f.let(f'icmp eq i64 {tag}, {of_aligned}')}, label %looked_at, label %miss")
    f.label("looked_at")
    addend = f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {partly_at}, i64 8')}")
    offset = f.let(f"add i64 %address, {addend}")
    page, line = f.let(f"lshr i64 {offset}, 12"), f.let(f"and i64 {f.let(f'lshr i64 {offset}, 6')}, 63")

    def lines(table: int) -> str:
        found = f.let(f"load i64, ptr {f.let(f'getelementptr i64, ptr {f.table(table)}, i64 {page}')}")
        return f.let(f"trunc i64 {f.let(f'lshr i64 {found}, {line}')} to i1")

    behind = f.let(f"icmp ugt i64 %address, {f.mach(L.WATCH_LAST)}")
    before = f.let(f"icmp ult i64 {f.let(f'add i64 %address, {rest}')}, {f.mach(L.WATCH_FIRST)}")
    watched = f.let(f"select i1 {f.let(f'or i1 {before}, {behind}')}, i1 false, i1 {lines(_WATCHED)}")
    code = f.let(f"and i1 {write}, {f.let(f'or i1 {lines(_LINES)}, {lines(_PTE_LINES)}')}")
    f.do(f"br i1 {f.let(f'or i1 {watched}, {code}')}, label %miss, label %passes")
    f.label("passes")
    f.do(f"ret i64 {offset}")

    f.label("miss")
    f.do(f"ret i64 {f.let('tail call preserve_mostcc i64 @resolve_miss(ptr %h, i64 %address, i64 %what)')}")
    slow = _Handler("resolve_miss", "noinline cold", convention="preserve_mostcc", args=_RESOLVE_ARGS)
    slow.do(f"ret i64 {slow.helper(names, 'resolve', ['%address', '%what'])}")
    return f.text() + slow.text()


_RESOLVE_ARGS = "ptr %h, i64 %address, i64 %what"


def _slot_index(f: _Handler) -> str:
    """Return the number of the slot at %ip."""
    dec = f.let(f"ptrtoint ptr {f.table(_DEC)} to i64")
    distance = f.let(f"sub i64 {f.let('ptrtoint ptr %ip to i64')}, {dec}")
    return f.let(f"lshr i64 {distance}, 3")


def _run_real_slot(f: _Handler) -> None:
    """Go on with the slot in REAL_SLOT, as if it stood at %ip: this step is still to be made."""
    f.again(f.let(f"load i64, ptr {f.word(L.REAL_SLOT)}"))


def _or_leave(f: _Handler, names: Mapping[str, str], helper: str, args: list[str]) -> None:
    """Call a helper that sets the slot to go on with, or ends the loop."""
    status = f.helper(names, helper, args)
    f.do(f"br i1 {f.let(f'icmp eq i64 {status}, {_DONE}')}, label %done, label %out")
    f.label("out")
    f.tail("@leave", "%ip", "%n", status)
    f.label("done")
    f.tail("@resume", "%ip", "%n", "0")


_ENTRY = f"""
define i64 @{DISPATCH}(ptr %c, i64 %n, i64 %bank, i64 %xbank) {{
  %h = load ptr, ptr %c
  %ram_at = getelementptr ptr, ptr %c, i64 {_RAM}
  %ram = load ptr, ptr %ram_at
  %dec_at = getelementptr ptr, ptr %c, i64 {_DEC}
  %dec = load ptr, ptr %dec_at
  %tlbs_at = getelementptr ptr, ptr %c, i64 {_TLB}
  %tlbs = load ptr, ptr %tlbs_at
  %tlb = getelementptr i64, ptr %tlbs, i64 %bank
  %xtlbs_at = getelementptr ptr, ptr %c, i64 {_XTLB}
  %xtlbs = load ptr, ptr %xtlbs_at
  %xtlb = getelementptr i64, ptr %xtlbs, i64 %xbank
  %dirty_at = getelementptr ptr, ptr %c, i64 {_DIRTY}
  %dirty = load ptr, ptr %dirty_at
  %a = getelementptr i64, ptr %h, i64 {L.TABLE_AT}
  store ptr %c, ptr %a
  %b = getelementptr i64, ptr %h, i64 {L.XTLB_AT}
  store ptr %xtlb, ptr %b
  %d = getelementptr i64, ptr %h, i64 {L.DIRTY_AT}
  store ptr %dirty, ptr %d
  %e = getelementptr i64, ptr %h, i64 {L.HOST_FLOAT}
  %host_float = call i1 @host_float()
  %host_float_word = zext i1 %host_float to i64
  store i64 %host_float_word, ptr %e
  %pc_at = getelementptr i64, ptr %h, i64 {L.PC}
  %pc = load i64, ptr %pc_at
  %ip = getelementptr i8, ptr %dec, i64 {_FETCH_PAGE_BYTES}
  %ip_word = ptrtoint ptr %ip to i64
  %quarter = lshr i64 %ip_word, 2
  %pcb = sub i64 %pc, %quarter
  %left = sub i64 %n, 1
  %status = call preserve_nonecc i64 @op_1(
    ptr %ip, i64 %left, i64 0, ptr %ram, ptr %h, i64 %pcb, ptr @{HANDLERS}, ptr %tlb)
  ret i64 %status
}}

!0 = !{{!"branch_weights", i32 1, i32 4000}}
!1 = !{{!"branch_weights", i32 4000, i32 1}}
"""


def dispatch_source(names: Mapping[str, str]) -> str:
    """Return the LLVM IR of `rrdbg_dispatch(c, n, bank, xbank)`: runs up to n steps and returns how the last one ended.

    It leaves the pc in STOP_PC and the steps not made in LEFT.

    Args:
        names: Symbols of the numba functions in `HELPERS`.
    """
    parts = [f"declare i32 @{names[name]}(ptr, ptr, ptr{', i64' * count})\n" for name, (count, _) in HELPERS.items()]
    parts += [TEST, _special(names), _regions(names)]
    parts += [_handler(op, names) for op in OPS]
    computing = [op for op in OPS if op.insn.effect == FLOAT_HELPER]
    parts += [_computing(op, names) for op in computing]
    handlers = [f"op_{number}" for number in range(ARMED_OP)] + ["armed"] * (REGION_OP - ARMED_OP) + ["region"]
    handlers += [f"op_{op.number}" for op in OPS]
    handlers += ["op_3"] * (256 - len(handlers))
    handlers += ["region_go", "region_leave", "region_resolve", *["op_3"] * (FIRST_REGION - RESOLVE - 1)]
    for op in computing:
        handlers[FLOATS + op.number] = f"float_{op.number}"
    handlers += ["op_3"] * MAX_REGIONS
    table = ", ".join(f"ptr @{name}" for name in handlers)
    return "".join(parts) + f"@{HANDLERS} = global [{len(handlers)} x ptr] [{table}]\n" + _ENTRY
