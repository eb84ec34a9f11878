"""Translate regions: the instruction table's trees become LLVM IR once more, this time for many instructions at a time.

A region is a function with the signature of an op's handler (cpu/dispatch.py), entered through OP_REGION in the slot of
one of its entries. Guest registers live in SSA; n counts down by whole blocks, so that a block is begun only if its
steps are left, and those of all blocks that can only be come to through it. Every way out writes back the registers
that may have changed since the entry, and goes on in the dispatch loop with exact pc and n:

    where the budget may end within a block or those behind it, at the block's first instruction;
    where a load or store is more than a plain access to RAM, at that instruction, which then does all of it;
    to code that is not part of the region, and by jumps whose target is not known.

What runs in a region must be noted as elsewhere (`Memory.run`): the region has bytes of its own, its marks, one for
each block and one for each place where a block can be left early. `marks` tells which instructions each stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.dispatch import ARGS, GO, LEAVE, RESOLVE, passed
from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.cpu.ops import slot_of
from rrdbg_core.cpu.regions.code import decode_word
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.isa.expr import Branch, Ex, Helper, Jump, Load, SetRd, Store, operand, sext32
from rrdbg_core.isa.rv64a import AMO
from rrdbg_core.isa.table import Decoded, reads, writes

MARKS = "rrdbg_marks"
"""Symbol of the marks: u8[n]."""
PAGE_MASK = -PAGE_BYTES
_WRITE_TLB_BYTES = 8 * 1024
_FOR_READ, _FOR_WRITE, _ALIGNED = 1 << 4, 1 << 5, 1 << 6  # see native/names.py
MAX_BUDGET = 48
"""Steps that a block may want to be left; with more of them, more are made by the interpreter where a budget ends."""
_ROW = "{i64, i64, ptr, i64}"
"""A way out: bytes to a handler's place in the table of handlers, steps that were not made, ip and w."""
_SCOPES = ("hart", "tlb", "ram", "dirty", "marks")
"""Kinds of memory, none of which overlaps another."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a block."""

    pc: int
    """Its address."""
    decoded: Decoded
    """What it is."""
    slot: int
    """How the dispatch loop knows it."""


class Untranslatable(ValueError):
    """A plan holds what no region may hold."""


TRANSLATED_HELPERS = ("nop", "lr", "sc", "amo")
"""Instructions without a tree that regions can hold."""


def is_translatable(decoded: Decoded) -> bool:
    """Return whether a region can hold an instruction."""
    effect = decoded.insn.effect
    return not isinstance(effect, Helper) or effect.name in TRANSLATED_HELPERS


def steps(block: Block) -> tuple[Step, ...]:
    """Take a block apart.

    Raises:
        Untranslatable: No region may hold it.
    """
    found = []
    at = 0
    while at < len(block.code):
        word = int.from_bytes(block.code[at : at + 4], "little")
        decoded = decode_word(word)
        if decoded is None or not is_translatable(decoded) or at + decoded.length > len(block.code):
            raise Untranslatable(f"no region can hold the instruction at 0x{block.pc + at:x}")
        pc = block.pc + at
        found.append(Step(pc, decoded, slot_of(decoded, pc)))
        at += decoded.length
    jumps = [isinstance(step.decoded.insn.effect, Branch | Jump) for step in found]
    if not found or any(jumps[:-1]) or block.pc // PAGE_BYTES != (block.end - 1) // PAGE_BYTES or block.pc & 1:
        raise Untranslatable(f"no region can hold the block at 0x{block.pc:x}")
    return tuple(found)


def marks(plan: Plan) -> Iterator[list[int]]:
    """Yield for each mark the addresses of the instructions that it stands for."""
    for block in plan.blocks:
        pcs: list[int] = []
        early: list[int] = []
        at = 0
        while at < len(block.code):
            word = int.from_bytes(block.code[at : at + 4], "little")
            if at and leaves_early(word):
                early.append(len(pcs))
            pcs.append(block.pc + at)
            at += 4 if word & 3 == 3 else 2
        yield pcs
        for number in early:
            yield pcs[:number]


def leaves_early(word: int) -> bool:
    """Return whether a region may be left at an instruction: it is a load, a store or atomic.

    The running machine asks for each one of every region: to decode them all would hold it up.
    """
    if word & 3 == 3:
        return word & 127 in (0x03, 0x23, 0x2F)
    return not word & 1 and bool(word & 1 << 14)


def successors(block: Block, last: Step) -> tuple[int, ...]:
    """Return where a block may go on, as far as it is known."""
    decoded = last.decoded
    match decoded.insn.effect:
        case Branch():
            return last.pc + decoded.imm, block.end
        case Jump() if decoded.insn.name == "jal":
            return (last.pc + decoded.imm,)
        case Jump():
            return block.targets
    return (block.end,)


class _Flow:
    """Which registers each block needs, and which it may leave changed."""

    def __init__(self, plan: Plan) -> None:
        self.blocks = {block.pc: steps(block) for block in plan.blocks}
        if len(self.blocks) != len(plan.blocks) or not set(plan.entries) <= set(self.blocks) or not plan.entries:
            raise Untranslatable("a plan whose blocks or entries do not fit")
        self._plan = plan
        self.budgets = self._budgets()
        """Steps that have to be left where a block begins; one whose predecessor has seen to it is not there."""
        self.changed = self._propagate_changed()
        self.needed = self._propagate_needed()

    def _budgets(self) -> dict[int, int]:
        preds: dict[int, list[int]] = {pc: [] for pc in self.blocks}
        for block in self._plan.blocks:
            for target in dict.fromkeys(successors(block, self.blocks[block.pc][-1])):
                if target in preds:
                    preds[target].append(block.pc)
        budgets: dict[int, int] = {pc: len(code) for pc, code in self.blocks.items()}
        only = {pc: sources[0] for pc, sources in preds.items() if len(sources) == 1 and pc not in self._plan.entries}
        # the deepest first; in a circle, to which nothing leads, everyone is on his own
        depths = {pc: _depth(pc, only) for pc in only}
        for pc in sorted(only, key=lambda pc: (-depths[pc], pc)):
            length = len(self.blocks[only[pc]]) + budgets[pc]
            if depths[pc] <= len(only) and length <= MAX_BUDGET:
                budgets[only[pc]] = max(budgets[only[pc]], length)
                del budgets[pc]
        return budgets

    def _propagate_changed(self) -> dict[int, frozenset[int]]:
        """Return for each block the registers that may have changed since the entry when it begins."""
        changed: dict[int, frozenset[int]] = {pc: frozenset() for pc in self.blocks}
        pending = list(self._plan.blocks)
        blocks = {block.pc: block for block in pending}
        while pending:
            block = pending.pop()
            after = changed[block.pc].union(*(writes(step.decoded) for step in self.blocks[block.pc]))
            for target in successors(block, self.blocks[block.pc][-1]):
                if target in changed and not after <= changed[target]:
                    changed[target] |= after
                    pending.append(blocks[target])
        return changed

    def _propagate_needed(self) -> dict[int, frozenset[int]]:
        """Return for each block the registers whose values at its begin may be used: read, or written back."""
        needed: dict[int, frozenset[int]] = {pc: frozenset() for pc in self.blocks}
        again = True
        while again:
            again = False
            for block in reversed(self._plan.blocks):
                before = self._needed_before(block, needed)
                if before != needed[block.pc]:
                    needed[block.pc] = before
                    again = True
        return needed

    def _needed_before(self, block: Block, needed: dict[int, frozenset[int]]) -> frozenset[int]:
        code = self.blocks[block.pc]
        alive = frozenset().union(*(needed.get(target, frozenset()) for target in successors(block, code[-1])))
        for step in reversed(code):
            alive = alive - writes(step.decoded) | reads(step.decoded)
        # any way out writes back what has changed before the block, and what the block has
        return alive | self.changed[block.pc]


def _depth(pc: int, only: Mapping[int, int]) -> int:
    """Return how many predecessors a block has, each the only one of the next; in a circle, more than there are."""
    depth = 0
    while pc in only and depth <= len(only):
        pc = only[pc]
        depth += 1
    return depth


class _Region(Emitter):
    """The text of one region's function."""

    def __init__(self, name: str, plan: Plan, first_mark: int) -> None:
        super().__init__(f"define preserve_nonecc i64 @{name}({ARGS}) nounwind")
        self._plan = plan
        self._flow = _Flow(plan)
        self._mark = first_mark
        self._regs = sorted(frozenset().union(*self._flow.needed.values(), *self._written()))
        self._changed: frozenset[int] = frozenset()
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

    # ---- memory ------------------------------------------------------------------------------------------------------
    def load(self, kind: str, pointer: str, scope: str) -> str:
        """Emit a load."""
        return self.let(f"load {kind}, ptr {pointer}, align 1{_scoped(scope)}")

    def store(self, kind: str, value: str, pointer: str, scope: str) -> None:
        """Emit a store."""
        self.do(f"store {kind} {value}, ptr {pointer}, align 1{_scoped(scope)}")

    def word(self, offset: int) -> str:
        """Return a pointer to word `offset` of the hart."""
        return self.let(f"getelementptr i64, ptr %h, i64 {offset}")

    def handler(self, number: int) -> str:
        """Return an entry of the table of handlers."""
        return self.let(f"load ptr, ptr {self.let(f'getelementptr ptr, ptr %ops, i64 {number}')}")

    # ---- registers ---------------------------------------------------------------------------------------------------
    def get(self, register: int) -> str:
        """Return a register's value."""
        return "0" if register == 0 else self.let(f"load i64, ptr %x{register}")

    def set(self, register: int, value: str) -> None:
        """Change a register."""
        if register:
            self.do(f"store i64 {value}, ptr %x{register}")

    def value(self, tree: Ex, step: Step) -> str:
        """Emit an expression of an instruction."""
        if tree.op == "const":
            return str(tree.args[0])
        if tree.op == "operand":
            match str(tree.args[0]):
                case "rs1":
                    return self.get(step.decoded.rs1)
                case "rs2":
                    return self.get(step.decoded.rs2)
                case "imm":
                    return str(step.decoded.imm)
                case "old":
                    return self._old
                case _:
                    return str(step.pc)
        return self.operation(tree.op, [self.value(arg, step) for arg in tree.args if isinstance(arg, Ex)])

    # ---- the function ------------------------------------------------------------------------------------------------
    def build(self) -> str:
        """Return the function."""
        for register in self._regs:
            self.do(f"%x{register} = alloca i64")
        self.do("%left = alloca i64")
        self.do("%row = alloca i64")
        self.do(f"store i64 {self.let('add i64 %n, 1')}, ptr %left")
        self.do(f"%dirty = load ptr, ptr {self.word(L.DIRTY_AT)}{_scoped('hart')}")
        self.do(f"%resolve = load ptr, ptr {self.let(f'getelementptr ptr, ptr %ops, i64 {RESOLVE}')}")
        entry = self.let("lshr i64 %w, 32")
        cases = " ".join(f"i64 {number}, label %entry{number}" for number in range(1, len(self._plan.entries)))
        self.do(f"switch i64 {entry}, label %entry0 [{cases}]")
        for number, pc in enumerate(self._plan.entries):
            self.label(f"entry{number}")
            for register in sorted(self._flow.needed[pc]):
                self.set(register, self.load("i64", self.word(register), "hart"))
            self.do(f"br label %block{pc:x}")
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
        if block.pc in self._flow.budgets:
            enough = self.fresh("enough")
            too_few = self._side_exit(code[0], 0)
            short = self.let(f"icmp ult i64 {before}, {self._flow.budgets[block.pc]}")
            self.do(f"br i1 {short}, label %{too_few}, label %{enough}, !prof !0")
            self.label(enough)
        self._left = self.let(f"sub i64 {before}, {len(code)}")
        self.do(f"store i64 {self._left}, ptr %left")
        mark, self._mark = self._mark, self._mark + 1
        for number, step in enumerate(code):
            self._still = len(code) - number
            self._early = number > 0
            self._step(step)
            self._changed |= writes(step.decoded)
        self._set_mark(mark)
        self._go_on(block, code[-1])
        self._flush_exits(block)

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

    def _side_exit(self, step: Step, still: int) -> str:
        """Return the label of a way out at an instruction, from which on `still` steps were not made."""
        return self._exit(LEAVE, still, step.pc, step.slot)

    def _go(self, target: int) -> None:
        """Leave the region for another address."""
        self.do(f"br label %{self._exit(GO, 0, 0, target)}")

    def _go_anywhere(self, target: str) -> None:
        """Leave the region for an address that is known only now."""
        self._write_back(self._changed)
        self._tail_call(f"getelementptr ptr, ptr %ops, i64 {GO}", "%ip", self._left, target)

    def _write_back(self, registers: frozenset[int]) -> None:
        for register in sorted(registers):
            self.store("i64", self.get(register), self.word(register), "hart")

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
        """Emit where the ways out of all blocks end."""
        for changed, number in self._ends.items():
            self.label(f"tail{number}")
            self._write_back(changed)
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
        xtlb = self.let(f"load ptr, ptr {self.word(L.XTLB_AT)}{_scoped('hart')}")
        tag = self.load("i64", self.let(f"getelementptr i8, ptr {xtlb}, i64 {target >> 8 & 255 << 4}"), "tlb")
        out = self.fresh("out")
        self.do(f"br i1 {self.let(f'icmp eq i64 {tag}, {page}')}, label %block{target:x}, label %{out}, !prof !1")
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
                condition = self.let(f"icmp ne i64 {self.value(taken, last)}, 0")
                yes, no = (self._edge_label(target) for target in successors(block, last))
                self.do(f"br i1 {condition}, label %{yes}, label %{no}")
            case Jump(target) if last.decoded.insn.name != "jal":
                where = self.value(target, last)
                self.set(last.decoded.rd, str(block.end))
                known = [pc for pc in dict.fromkeys(block.targets) if pc in self._flow.blocks]
                cases = " ".join(f"i64 {pc}, label %{self._edge_label(pc)}" for pc in known)
                unknown = self.fresh("unknown")
                self.do(f"switch i64 {where}, label %{unknown} [{cases}]")
                self.label(unknown)
                self._go_anywhere(where)
            case Jump():
                self.set(last.decoded.rd, str(block.end))
                self._edge(last.pc + last.decoded.imm)
            case _:
                self._edge(block.end)
        for label, pc in self._edges:
            self.label(label)
            self._edge(pc)

    # ---- instructions ------------------------------------------------------------------------------------------------
    def _step(self, step: Step) -> None:
        decoded = step.decoded
        match decoded.insn.effect:
            case SetRd(value):
                self.set(decoded.rd, self.value(value, step))
            case Load(addr, size, signed):
                place = self._place(step, self.value(addr, step), size, _FOR_READ)[0]
                self.set(decoded.rd, self._load(place, size, signed=signed))
            case Store(addr, size, value):
                address, stored = self.value(addr, step), self.value(value, step)
                self._store(*self._place(step, address, size, _FOR_WRITE, stored), size, stored)
            case Helper("lr"):
                self._load_reserved(step)
            case Helper("sc"):
                self._store_conditional(step)
            case Helper("amo"):
                self._amo(step)

    def _load(self, place: str, size: int, *, signed: bool) -> str:
        value = self.load(f"i{8 * size}", place, "ram")
        return value if size == 8 else self.let(f"{'sext' if signed else 'zext'} i{8 * size} {value} to i64")

    def _store(self, place: str, offset: str, size: int, value: str) -> None:
        if size < 8:
            value = self.let(f"trunc i64 {value} to i{8 * size}")
        self.store(f"i{8 * size}", value, place, "ram")
        self._set_dirty(offset)

    def _place(self, step: Step, address: str, size: int, what: int, stored: str = "") -> tuple[str, str]:
        """Return a pointer to `size` bytes of RAM and their offset; leave the region where that is not all.

        Args:
            step: The instruction.
            address: Of the bytes.
            size: Number of bytes.
            what: The kind of access, as `resolve` is asked for it.
            stored: What is stored, if that is known before the bytes are read.
        """
        index = self.let(f"and i64 {self.let(f'lshr i64 {address}, 8')}, {255 << 4}")
        # loads may be misaligned within a page; stores that are may change two words, and are for `resolve`
        wanted = self._page_of_last(address, size)
        if what & (_FOR_WRITE | _ALIGNED):
            wanted = self.let(f"and i64 {address}, {PAGE_MASK | size - 1}")
        known = "true"
        for kind, bank in ((_FOR_READ, 0), (_FOR_WRITE, _WRITE_TLB_BYTES)):
            if what & kind:
                tag_at = self.let(f"getelementptr i8, ptr %tlb, i64 {self.let(f'add i64 {index}, {bank}')}")
                tag = self.load("i64", tag_at, "tlb")
                same = self.let(f"icmp eq i64 {tag}, {wanted}")
                known = same if known == "true" else self.let(f"and i1 {known}, {same}")
        hit, miss, found, slow, place = (self.fresh(name) for name in ("hit", "miss", "found", "slow", "place"))
        self.do(f"br i1 {known}, label %{hit}, label %{miss}, !prof !1")
        self.label(miss)
        if stored:
            self.store("i64", stored, self.word(L.STORED), "hart")
        resolved = self.let(f"call preserve_mostcc i64 %resolve(ptr %h, i64 {address}, i64 {size | what})")
        self.do(f"br i1 {self.let(f'icmp eq i64 {resolved}, -1')}, label %{slow}, label %{found}, !prof !0")
        self.label(slow)
        self._leave_at(step)
        self.label(found)
        self.do(f"br label %{place}")
        self.label(hit)
        simple = self.let(f"add i64 {address}, {self._addend(tag_at)}")
        self.do(f"br label %{place}")
        self.label(place)
        offset = self.let(f"phi i64 [{resolved}, %{found}], [{simple}, %{hit}]")
        return self.let(f"getelementptr i8, ptr %ram, i64 {offset}"), offset

    def _page_of_last(self, address: str, size: int) -> str:
        return self.let(f"and i64 {self.let(f'add i64 {address}, {size - 1}') if size > 1 else address}, {PAGE_MASK}")

    def _addend(self, tag_at: str) -> str:
        return self.load("i64", self.let(f"getelementptr i8, ptr {tag_at}, i64 8"), "tlb")

    def _set_dirty(self, offset: str) -> None:
        word = self.let(f"getelementptr i8, ptr %dirty, i64 {self.let(f'lshr i64 {offset}, 3')}")
        self.store("i8", "1", word, "dirty")

    def _leave_at(self, step: Step) -> None:
        """Leave the region before an instruction of a block that has begun."""
        if self._early:
            self._set_mark(self._mark)
            self._mark += 1
        self.do(f"br label %{self._side_exit(step, self._still)}")

    def _load_reserved(self, step: Step) -> None:
        size, address = _atomic_size(step), self.get(step.decoded.rs1)
        place = self._place(step, address, size, _FOR_READ | _ALIGNED)[0]
        self.store("i64", "1", self.word(L.RES_VALID), "hart")
        self.store("i64", address, self.word(L.RES_ADDR), "hart")
        self.set(step.decoded.rd, self._load(place, size, signed=True))

    def _store_conditional(self, step: Step) -> None:
        """Emit what succeeds; a failure is left to the dispatch loop."""
        size, address, value = _atomic_size(step), self.get(step.decoded.rs1), self.get(step.decoded.rs2)
        valid = self.let(f"icmp ne i64 {self.load('i64', self.word(L.RES_VALID), 'hart')}, 0")
        same = self.let(f"icmp eq i64 {self.load('i64', self.word(L.RES_ADDR), 'hart')}, {address}")
        good, bad = self.fresh("good"), self.fresh("bad")
        self.do(f"br i1 {self.let(f'and i1 {valid}, {same}')}, label %{good}, label %{bad}, !prof !1")
        mark = self._mark
        self.label(bad)
        self._leave_at(step)
        self._mark = mark  # the other way out at this instruction has the same
        self.label(good)
        self._store(*self._place(step, address, size, _FOR_WRITE | _ALIGNED, value), size, value)
        for word in (L.RES_VALID, L.RES_ADDR):
            self.store("i64", "0", self.word(word), "hart")
        self.set(step.decoded.rd, "0")

    def _amo(self, step: Step) -> None:
        size, address = _atomic_size(step), self.get(step.decoded.rs1)
        place, offset = self._place(step, address, size, _FOR_READ | _FOR_WRITE | _ALIGNED)
        self._old = self._load(place, size, signed=True)
        right = operand("rs2") if size == 8 else sext32(operand("rs2"))
        result = AMO[step.decoded.insn.name.split(".")[0]](operand("old"), right)
        self._store(place, offset, size, self.value(result, step))
        self.set(step.decoded.rd, self._old)


def _atomic_size(step: Step) -> int:
    return 8 if step.decoded.insn.name.endswith(".d") else 4


def _scoped(scope: str) -> str:
    """Return the metadata that tell an access to one kind of memory from accesses to others."""
    number = _SCOPES.index(scope)
    return f", !alias.scope !{10 + number}, !noalias !{20 + number}"


def _metadata() -> str:
    count = len(_SCOPES)
    lines = ['!0 = !{!"branch_weights", i32 1, i32 4000}', '!1 = !{!"branch_weights", i32 4000, i32 1}']
    lines += ["!2 = distinct !{!2}", "!3 = !{}"]
    lines += [f"!{30 + i} = distinct !{{!{30 + i}, !2}}" for i in range(count)]
    lines += [f"!{10 + i} = !{{!{30 + i}}}" for i in range(count)]
    lines += [f"!{20 + i} = !{{{', '.join(f'!{30 + j}' for j in range(count) if j != i)}}}" for i in range(count)]
    return "\n".join(lines)


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
    return "\n".join([head, *texts, _metadata()])
