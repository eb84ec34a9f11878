"""What is known of a plan's blocks before they are translated: their instructions, ways on, steps and registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.cpu.ops import slot_of
from rrdbg_core.cpu.regions.code import decode_word, is_translatable
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.cpu.regions.registers import reads, writes
from rrdbg_core.isa.expr import Branch, FloatLoad, FloatStore, Helper, Jump, Load, Store
from rrdbg_core.isa.table import Decoded

MAX_BUDGET = 48
"""Steps that a block may want to be left; with more of them, more are made by the interpreter where a budget ends."""


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


def accesses_memory(decoded: Decoded) -> bool:
    """Return whether an instruction loads, stores, or is atomic."""
    return isinstance(decoded.insn.effect, Load | Store | FloatLoad | FloatStore) or is_atomic(decoded)


def is_atomic(decoded: Decoded) -> bool:
    """Return whether an instruction is one of the extension A."""
    effect = decoded.insn.effect
    return isinstance(effect, Helper) and effect.name in ("lr", "sc", "amo")


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
        return word & 127 in (0x03, 0x07, 0x23, 0x27, 0x2F)
    return not word & 1 and bool(word & 3 << 13)


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


class Flow:
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
