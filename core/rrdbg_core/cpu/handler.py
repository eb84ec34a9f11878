"""What handlers are made of: the text of one function of the dispatch loop, see cpu/dispatch.py."""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.isa.csr import MSTATUS_FS
from rrdbg_core.isa.expr import Ex, Helper

ARGS = "ptr %ip, i64 %n, i64 %w, ptr %ram, ptr %h, i64 %pcb, ptr %ops, ptr %tlb"
"""In this order h lies where C functions expect their first argument, and what a region has little use for lies where
they expect their next ones: on x86-64, where these are r12 to r15, rdi, rsi, rdx and rcx."""
MIDDLE = 16
"""Word of the hart that h points to: all x registers are so near that x86-64 has a byte for how far they are."""


def passed(ip: str, n: str, w: str, pcb: str = "%pcb") -> str:
    """Return the arguments of the next function."""
    return f"ptr {ip}, i64 {n}, i64 {w}, ptr %ram, ptr %h, i64 {pcb}, ptr %ops, ptr %tlb"


FLOAT_HELPER = Helper("float_op")
"""What computes, all but moves between registers."""
PAGE_MASK = -4096
BOX = -1 << 32
DONE, DONE_OUT = 0, 1
# in the table of pointers, see native/names.py
HART, MACH, RAM, DEC, TLB, XTLB, FLAGS, LINES, DIRTY, WATCHED, RUN, PTE_LINES, REGION_PLACES = (
    *(0, 1, 2, 3, 6, 7, 8, 12, 18, 23, 24, 34, 37),
)
TLB_MASK = (1 << L.TLB_BITS) - 1 << 4
"""Of bytes from a TLB bank to an entry: what is left of an address's bits from bit 8 on."""
WRITE_TLB_BYTES, WATCHED_TLB_BYTES = 32 << L.TLB_BITS, 64 << L.TLB_BITS
"""From the bank for loads to that for stores, and to those of pages of which some lines are watched."""
FETCH_PAGE_BYTES = 8 * 2056
SIZE_BITS, FOR_READ, FOR_WRITE, ALIGNED = 15, 1 << 4, 1 << 5, 1 << 6  # what `resolve` is asked for, see there too

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
    "arrive": (3, ()),
    "count_block": (3, ()),
    "wake_block": (3, ()),
    "region_fits": (2, ()),
    "resolve": (2, ()),
}
"""numba functions that handlers call: how many u64 follow `c`, and which, where every caller passes the same."""
# in the table of handlers, behind the ops' handlers
GO, LEAVE, RESOLVE, REACH, MISS, LEAVE_LOOP, REFETCH, BESIDE, WAY_OUT, FLOATS, MISSES, ARRIVALS, FIRST_REGION = (
    *range(256, 265),
    *(265, 521, 777, 1033),
)
"""Places in the table of handlers, behind those of the ops.

From FLOATS on there is one for each op, see `computing`; from MISSES on likewise, for loads and stores that the TLB
does not help. What no op needs there are the `FLOAT_PATHS`. From ARRIVALS on there is one for each op, and for what
else slots hold: what a block goes on with where no other one begins.
"""
FLOAT_PATHS = ("float_off", "float_slow", "float_look")
"""See `float_paths`."""
ENTER, END, OUT, TO_NOBODY, ROWS = 256, 257, 258, 259, 515
"""Rows of the table of stencils (cpu/stencils.py) behind those of the ops, and how many there are.

From TO_NOBODY on there is again one for each op: what it does where rd is x0.
"""
BLOCK_HEAD_BYTES = 16
"""In front of a block's code: the slot that stands for its first instruction, and how many slots it has."""
MAX_REGIONS = 8192
"""Regions that a process may hold."""


class Handler(Emitter):
    """The text of one handler."""

    def __init__(
        self,
        name: str,
        attributes: str = "",
        *,
        linkage: str = "internal",
        convention: str = "preserve_nonecc",
        args: str = ARGS,
    ) -> None:
        super().__init__(f"define {linkage} {convention} i64 @{name}({args}) {attributes}")

    # ---- operands --------------------------------------------------------------------------------------------------
    def word(self, offset: int) -> str:
        """Return a pointer to word `offset` of the hart."""
        return self.let(f"getelementptr i64, ptr %h, i64 {offset - MIDDLE}")

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
        return self.let(f"load i64, ptr {self.let(f'getelementptr i64, ptr {self.table(MACH)}, i64 {offset}')}")

    def register(self, shift: int) -> str:
        """Return a pointer to the register that the slot names at bit `shift`."""
        field = self.let(f"and i64 {self.let(f'lshr i64 %w, {shift}')}, 255")
        return self.let(f"getelementptr i64, ptr {self.word(0)}, i64 {field}")

    def float_register(self, shift: int) -> str:
        """Return a pointer to the f register that the slot names at bit `shift`; where there is none it says XD."""
        field = self.let(f"and i64 {self.let(f'lshr i64 %w, {shift}')}, 31")
        return self.let(f"getelementptr i64, ptr {self.word(L.F)}, i64 {field}")

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
        self.dispatch(slot, ip, left, pcb)
        self.label(out)
        self.tail("@leave", ip, "0", str(DONE), pcb)

    def dispatch(self, slot: str, ip: str = "%ip", n: str = "%n", pcb: str = "%pcb", first: int = 0) -> None:
        """Go on with a slot that has been loaded, as if it stood at `ip`: this step is still to be made.

        Args:
            slot: Its value.
            ip: As for `next`.
            n: The same.
            pcb: The same.
            first: Where the handlers begin in their table.
        """
        number = self.let(f"and i64 {slot}, 255")
        if first:
            number = self.let(f"add i64 {number}, {first}")
        entry = self.let(f"getelementptr ptr, ptr %ops, i64 {number}")
        self.tail(self.let(f"load ptr, ptr {entry}"), ip, n, slot, pcb)

    def behind(self, length: int) -> str:
        """Return the address of the next slot."""
        return self.let(f"getelementptr i8, ptr %ip, i64 {4 * length}")

    def near(self) -> str:
        """Return the address of the slot that a jump within the page leads to."""
        distance = self.let(f"shl i64 {self.operand('imm')}, 2")
        return self.let(f"getelementptr i8, ptr %ip, i64 {distance}")

    def go(self, target: str, n: str = "%n") -> None:
        """Go on at address `target`, in whatever page."""
        ip, pcb = self.lookup(target, n)
        self.next(ip, pcb, n)

    def lookup(self, target: str, n: str = "%n") -> tuple[str, str]:
        """Return ip and pcb of address `target`; if the TLB does not know them, go on there without coming back."""
        entry = self.let(f"and i64 {self.let(f'lshr i64 {target}, 8')}, {TLB_MASK}")
        xtlb = self.let(f"load ptr, ptr {self.word(L.XTLB_AT)}")
        tag_at = self.let(f"getelementptr i8, ptr {xtlb}, i64 {entry}")
        page = self.let(f"and i64 {target}, {PAGE_MASK}")
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

    def code_of(self, slot: str) -> str:
        """Return a pointer to the code of the block in a slot."""
        return self.let(f"inttoptr i64 {self.let(f'lshr i64 {slot}, 8')} to ptr")

    def helper(self, names: Mapping[str, str], name: str, args: list[str]) -> str:
        """Call a numba function: its result goes through a pointer, and nothing in it raises."""
        result, table = self.word(L.RESULT), self.let(f"load ptr, ptr {self.word(L.TABLE_AT)}")
        words = "".join(f", i64 {arg}" for arg in args)
        self.let(f"call i32 @{names[name]}(ptr {result}, ptr {self.word(L.RAISED)}, ptr {table}{words})")
        return self.let(f"load i64, ptr {result}")

    def finish(self, status: str, length: int) -> None:
        """Go on as a helper says."""
        done, other = self.fresh("done"), self.fresh("other")
        self.do(f"br i1 {self.let(f'icmp eq i64 {status}, {DONE}')}, label %{done}, label %{other}")
        self.label(done)
        self.next(self.behind(length))
        self.label(other)
        out = self.let(f"icmp eq i64 {status}, {DONE_OUT}")
        ip = self.let(f"select i1 {out}, ptr {self.behind(length)}, ptr %ip")
        self.tail("@leave", ip, "%n", status)

    def reload(self) -> None:
        """Go on where a helper has set CUR_PAGE, CUR_DB and CUR_IP; what was done was not a step."""
        page, db, ip = (self.let(f"load i64, ptr {self.word(at)}") for at in (L.CUR_PAGE, L.CUR_DB, L.CUR_IP))
        dec = self.table(DEC)
        base = self.let(f"ptrtoint ptr {self.let(f'getelementptr i64, ptr {dec}, i64 {db}')} to i64")
        slot = self.let(f"getelementptr i64, ptr {dec}, i64 {ip}")
        pcb = self.let(f"sub i64 {page}, {self.let(f'lshr i64 {base}, 2')}")
        self.next(slot, pcb, self.let("add i64 %n, 1"))
