"""Translate regions: the instruction table's trees become LLVM IR once more, this time for many instructions at a time.

A region is a function with the signature of an op's handler (cpu/dispatch.py), entered through OP_REGION in the slot of
one of its entries. Guest registers live in SSA; n counts down by whole blocks, so that a block is begun only if its
steps are left, and those of all blocks that can only be come to through it. Every way out writes back the registers
that may have changed since the entry, and goes on in the dispatch loop with exact pc and n:

    where the budget may end within a block or those behind it, at the block's first instruction;
    where a load or store is more than a plain access to RAM, or the TLB does not know its page, at that instruction,
        which then does all of it;
    to code that is not part of the region, and by jumps whose target is not known.

Where the TLB knows what a block wants it runs straight through; one look answers for all accesses that are close
together (see `reach`). Where a look fails the region is left. A block for which that happens again and again is made
careful: it is there twice. From the first look that fails on it runs another copy, which asks `resolve`
(native/access.py) for each access, or leaves the region there.

What runs in a region must be noted as elsewhere (`Memory.run`): the region has bytes of its own, its marks, one for
each block and one for each place where a block can be left early. `marks` tells which instructions each stands for.

All addresses of code are physical ones; what the guest sees of them is DELTA more, see `region_entries`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.handler import ARGS, GO, LEAVE, MISS, RESOLVE, TLB_MASK, passed
from rrdbg_core.cpu.regions.accesses import PAGE_MASK, Accesses
from rrdbg_core.cpu.regions.floats import READY
from rrdbg_core.cpu.regions.flow import Flow, Step, accesses_memory, is_atomic, marks, successors
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.cpu.regions.registers import F, hart_word, is_float, kind_of, uses_floats, writes
from rrdbg_core.cpu.regions.text import metadata, scoped
from rrdbg_core.isa.expr import Branch, Jump

MARKS = "rrdbg_marks"
"""Symbol of the marks: u8[n]."""
_ROW = "{i64, i64, ptr, i64}"
"""A way out: bytes to a handler's place in the table of handlers, steps that were not made, ip and w."""


class _Region(Accesses):
    """The text of one region's function."""

    def __init__(self, name: str, plan: Plan, first_mark: int) -> None:
        super().__init__(f"define preserve_nonecc i64 @{name}({ARGS}) nounwind")
        self._plan = plan
        self._flow = Flow(plan)
        self._mark = first_mark
        self._regs = sorted(frozenset().union(*self._flow.needed.values(), *self._written()))
        self._floats = {pc for pc, code in self._flow.blocks.items() if any(uses_floats(step.decoded) for step in code)}
        """Blocks with instructions of F or D."""
        self._changed: frozenset[int] = frozenset()
        self._code: tuple[Step, ...] = ()
        self._early: dict[int, int] = {}
        """Marks of the places where the block can be left early, by the number of the instruction."""
        self._page = 0
        self._name = name
        self._exits: list[tuple[str, int, int]] = []
        self._rows: list[tuple[int, int, int, int]] = []
        self._tails: list[frozenset[int]] = []
        self._ends: dict[frozenset[int], int] = {}

    def _written(self) -> Iterator[frozenset[int]]:
        for block in self._flow.blocks.values():
            for step in block:
                yield writes(step.decoded)

    # ---- the function ------------------------------------------------------------------------------------------------
    def build(self) -> str:
        """Return the function."""
        for register in self._regs:
            self.do(f"%x{register} = alloca {kind_of(register)}")
            if is_float(register):
                self.do(f"%s{register - F} = alloca float")
        self.do("%left = alloca i64")
        self.do("%row = alloca i64")
        self.do(f"store i64 {self.let('add i64 %n, 1')}, ptr %left")
        self.do(f"%dirty = load ptr, ptr {self.word(L.DIRTY_AT)}{scoped('hart')}")
        self.do(f"%delta = load i64, ptr {self.word(L.DELTA)}{scoped('hart')}")
        atomic = any(is_atomic(step.decoded) for code in self._flow.blocks.values() for step in code)
        if atomic or any(block.careful for block in self._plan.blocks):
            self.do(f"%resolve = load ptr, ptr {self.let(f'getelementptr ptr, ptr %ops, i64 {RESOLVE}')}")
        if self._floats:
            self.look_at_mode()
        for register in sorted(frozenset().union(*(self._flow.needed[pc] for pc in self._plan.entries))):
            kind = kind_of(register)
            value = self.load(kind, self.word(hart_word(register)), "hart")
            self.do(f"store {kind} {value}, ptr %x{register}")
        entry = self.let(f"and i64 {self.let('lshr i64 %w, 24')}, 255")
        first, *others = self._plan.entries
        cases = " ".join(f"i64 {number}, label %block{pc:x}" for number, pc in enumerate(others, 1))
        self.do(f"switch i64 {entry}, label %block{first:x} [{cases}]")
        for block in self._plan.blocks:
            self._block(block)
        self._flush_ends()
        return self._table() + self.text()

    def _block(self, block: Block) -> None:
        code = self._flow.blocks[block.pc]
        self._changed = self._flow.changed[block.pc]
        self._tails = [self._changed]
        self._page = block.pc & PAGE_MASK
        self.label(f"block{block.pc:x}")
        before = self.let("load i64, ptr %left")
        if block.pc in self._floats:
            allowed = self.fresh("allowed")
            self.do(f"br i1 {READY}, label %{allowed}, label %{self._side_exit(code[0], 0)}, !prof !1")
            self.label(allowed)
        if block.pc in self._flow.budgets:
            enough = self.fresh("enough")
            too_few = self._side_exit(code[0], 0)
            short = self.let(f"icmp ult i64 {before}, {self._flow.budgets[block.pc]}")
            self.do(f"br i1 {short}, label %{too_few}, label %{enough}, !prof !0")
            self.label(enough)
        self._left = self.let(f"sub i64 {before}, {len(code)}")
        self.do(f"store i64 {self._left}, ptr %left")
        mark = self._new_mark()
        self._code = code
        early = [number for number, step in enumerate(code) if number and accesses_memory(step.decoded)]
        self._early = {number: self._new_mark() for number in early}
        self.instructions(code, careful=block.careful)
        self._changed = self._changed_before(len(code))
        self._set_mark(mark)
        self._go_on(block, code[-1])
        self._flush_exits(block)

    def _changed_before(self, number: int) -> frozenset[int]:
        """Return the registers that may have changed since the entry when an instruction of the block begins."""
        return self._tails[0].union(*(writes(step.decoded) for step in self._code[:number]))

    def leave_at(self, number: int) -> None:
        """Leave the region before an instruction of a block that has begun."""
        self._leave_at(number, LEAVE)

    def miss_at(self, number: int) -> None:
        """Do the same because of a page that the TLB does not know."""
        self._leave_at(number, MISS)

    def _leave_at(self, number: int, handler: int) -> None:
        if number:
            self._set_mark(self._early[number])
        self._changed = self._changed_before(number)
        self.do(f"br label %{self._side_exit(self._code[number], len(self._code) - number, handler)}")

    def _new_mark(self) -> int:
        self._mark += 1
        return self._mark - 1

    def _set_mark(self, number: int) -> None:
        self.store("i8", "1", f"getelementptr (i8, ptr @{MARKS}, i64 {number})", "marks")

    # ---- ways out ----------------------------------------------------------------------------------------------------
    # A row of a table says where each of them leads. They share what they have to do: a block writes back what it has
    # changed, the newest first, and goes on to where what had changed before it is written back.
    def _exit(self, handler: int, still: int, ip: int, w: int) -> str:
        """Return the label of a way out for the present state of the registers.

        Args:
            handler: Who goes on.
            still: Steps of the block that were counted and not made.
            ip: What that one is given.
            w: What that one is given.
        """
        if self._tails[-1] != self._changed:
            self._tails.append(self._changed)
        label = self.fresh("exit")
        self._exits.append((label, len(self._tails) - 1, len(self._rows)))
        self._rows.append((8 * handler, still, ip, w))
        return label

    def _side_exit(self, step: Step, still: int, handler: int = LEAVE) -> str:
        """Return the label of a way out at an instruction, from which on `still` steps were not made."""
        return self._exit(handler, still, step.pc, step.slot)

    def _go(self, target: int) -> None:
        """Leave the region for another address."""
        self.do(f"br label %{self._exit(GO, 0, 0, target)}")

    def _go_anywhere(self, target: str) -> None:
        """Leave the region for an address that is known only now."""
        self._write_back(self._changed)
        self._tail_call(f"getelementptr ptr, ptr %ops, i64 {GO}", "%ip", self._left, target)

    def _write_back(self, registers: frozenset[int]) -> None:
        for register in sorted(registers):
            self.write_back(register)

    def _tail_call(self, place: str, ip: str, n: str, w: str) -> None:
        function = self.let(f"load ptr, ptr {self.let(place)}")
        self.do(f"ret i64 {self.let(f'musttail call preserve_nonecc i64 {function}({passed(ip, n, w)})')}")

    def _tail(self, block: Block, number: int) -> str:
        """Return the label of what writes back the first so many changes of a block."""
        if number:
            return f"tail{block.pc:x}.{number}"
        return f"tail{self._ends.setdefault(self._tails[0], len(self._ends))}"

    def _flush_exits(self, block: Block) -> None:
        """Emit the ways out of a block."""
        for label, tail, row in self._exits:
            self.label(label)
            self.do(f"store i64 {row}, ptr %row")
            self.do(f"br label %{self._tail(block, tail)}")
        for number in range(len(self._tails) - 1, 0, -1):
            self.label(self._tail(block, number))
            self._write_back(self._tails[number] - self._tails[number - 1])
            self.do(f"br label %{self._tail(block, number - 1)}")
        self._exits = []

    def _flush_ends(self) -> None:
        """Emit where the ways out of all blocks end: where more has changed, the rest is left to where less has."""
        for changed, number in self._ends.items():
            less = max((other for other in self._ends if other < changed), key=len, default=frozenset())
            self.label(f"tail{number}")
            self._write_back(changed - less)
            self.do(f"br label %{f'tail{self._ends[less]}' if less else 'last'}")
        self.label("last")
        row = self.let(f"getelementptr {_ROW}, ptr @{self._name}_exits, i64 {self.let('load i64, ptr %row')}")
        places = [self.let(f"getelementptr {_ROW}, ptr {row}, i64 0, i32 {index}") for index in range(4)]
        kinds = zip(("i64", "i64", "ptr", "i64"), places, strict=True)
        handler, still, ip, w = (self.let(f"load {kind}, ptr {place}, !invariant.load !3") for kind, place in kinds)
        n = self.let(f"add i64 {self.let('load i64, ptr %left')}, {still}")
        self._tail_call(f"getelementptr i8, ptr %ops, i64 {handler}", ip, n, w)

    def _table(self) -> str:
        rows = ", ".join(
            f"{_ROW} {{i64 {handler}, i64 {still}, ptr inttoptr (i64 {ip} to ptr), i64 {w}}}"
            for handler, still, ip, w in self._rows
        )
        return f"@{self._name}_exits = internal constant [{len(self._rows)} x {_ROW}] [{rows}]\n"

    def _edge(self, target: int) -> None:
        """Go on at a known address."""
        if target not in self._flow.blocks:
            self._go(target)
            return
        page = target & PAGE_MASK
        if page == self._page:
            self.do(f"br label %block{target:x}")
            return
        # that the page may be executed, and that it is noted as such, is the exec TLB's business
        xtlb = self.let(f"load ptr, ptr {self.word(L.XTLB_AT)}{scoped('hart')}")
        wanted = self.virtual(page)
        entry = self.let(f"and i64 {self.let(f'lshr i64 {wanted}, 8')}, {TLB_MASK}")
        tag = self.load("i64", self.let(f"getelementptr i8, ptr {xtlb}, i64 {entry}"), "tlb")
        out = self.fresh("out")
        self.do(f"br i1 {self.let(f'icmp eq i64 {tag}, {wanted}')}, label %block{target:x}, label %{out}, !prof !1")
        self.label(out)
        self._go(target)

    def _edge_label(self, target: int) -> str:
        """Return a label that leads to a known address; `_flush_edges` emits what it needs."""
        label = self.fresh("edge")
        self._edges.append((label, target))
        return label

    def _go_on(self, block: Block, last: Step) -> None:
        self._edges: list[tuple[str, int]] = []
        match last.decoded.insn.effect:
            case Branch(taken):
                condition = self.condition(taken, last)
                yes, no = (self._edge_label(target) for target in successors(block, last))
                self.do(f"br i1 {condition}, label %{yes}, label %{no}")
            case Jump(target) if last.decoded.insn.name != "jal":
                where = self.let(f"sub i64 {self.value(target, last)}, %delta")
                self.set(last.decoded.rd, self.virtual(block.end))
                known = [pc for pc in dict.fromkeys(block.targets) if pc in self._flow.blocks]
                cases = " ".join(f"i64 {pc}, label %{self._edge_label(pc)}" for pc in known)
                unknown = self.fresh("unknown")
                self.do(f"switch i64 {where}, label %{unknown} [{cases}]")
                self.label(unknown)
                self._go_anywhere(where)
            case Jump():
                self.set(last.decoded.rd, self.virtual(block.end))
                self._edge(last.pc + last.decoded.imm)
            case _:
                self._edge(block.end)
        for label, pc in self._edges:
            self.label(label)
            self._edge(pc)


def symbol(number: int) -> str:
    """Return the symbol of a module's region."""
    return f"rrdbg_region_{number}"


def module_source(plans: Sequence[Plan]) -> str:
    """Return the LLVM IR of some regions.

    Raises:
        Untranslatable: A plan holds what no region may hold.
    """
    texts, first = [], 0
    for number, plan in enumerate(plans):
        texts.append(_Region(symbol(number), plan, first).build())
        first += sum(1 for _ in marks(plan))
    head = f"@{MARKS} = dso_local global [{first} x i8] zeroinitializer\n"
    return "\n".join([head, *texts, metadata()])
