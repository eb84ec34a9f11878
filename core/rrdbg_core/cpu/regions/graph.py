"""The dynamic control flow graph: how often each instruction was followed by which, as basic blocks where one looks."""

from __future__ import annotations

from collections.abc import Container, Mapping

from rrdbg_core.cpu.regions.code import PAGE_MASK, CodePages, Kind

RARE = 1 / 64
"""Share of a block's runs below which traps and returns from them do not cut it in two."""
MAX_BLOCK_INSNS = 100
"""Longer runs of instructions are cut, so that a region can hold a part of them."""


class Flow:
    """How often a step at one pc was followed by a step at another."""

    def __init__(self, code: CodePages) -> None:
        self._code = code
        self.outs: dict[int, dict[int, float]] = {}
        """What followed each pc; 0 stands for the end of a window."""
        self.jumps: dict[int, dict[int, None]] = {}
        """Where each pc was come to from, the instruction before it left out."""

    def add(self, pc: int, then: int, count: float) -> None:
        """Count steps."""
        outs = self.outs.get(pc)
        if outs is None:
            outs = self.outs[pc] = {}
        old = outs.get(then)
        if old is not None:
            outs[then] = old + count
            return
        outs[then] = count
        if then and self._jumps(pc, then):
            self.jumps.setdefault(then, {})[pc] = None

    def _jumps(self, pc: int, then: int) -> bool:
        if then - pc not in (2, 4):
            return True
        step = self._code.step(pc)
        return step is not None and then != pc + step.length

    def seen(self, pc: int) -> float:
        """Return how often a pc was executed."""
        outs = self.outs.get(pc)
        return sum(outs.values()) if outs else 0.0

    def fade(self, least: float) -> None:
        """Halve all counts, and forget those that fall below `least`."""
        for pc in list(self.outs):
            outs = self.outs[pc]
            kept = {then: weight / 2 for then, weight in outs.items() if weight / 2 >= least}
            for then in outs.keys() - kept.keys():
                self._forget_jump(pc, then)
            if kept:
                self.outs[pc] = kept
            else:
                del self.outs[pc]

    def forget(self, pcs: list[int]) -> None:
        """Forget what was seen of instructions."""
        for pc in pcs:
            for then in self.outs.pop(pc, ()):
                self._forget_jump(pc, then)

    def _forget_jump(self, pc: int, then: int) -> None:
        sources = self.jumps.get(then)
        if sources is not None:
            sources.pop(pc, None)
            if not sources:
                del self.jumps[then]


class Node:
    """A basic block: instructions that are executed one after another."""

    __slots__ = ("ends_in", "lost", "pc", "pcs", "preds", "runs", "strangers", "succs")

    def __init__(self, pcs: list[int], ends_in: Kind) -> None:
        self.pc = pcs[0]
        """The first instruction."""
        self.pcs = pcs
        """All of them."""
        self.ends_in = ends_in
        """Kind of the last one."""
        self.runs = 0.0
        """How often it was executed: the mean over its instructions."""
        self.lost = 0.0
        """Time lost in it, see `Profile`."""
        self.succs: dict[int, float] = {}
        """Blocks that followed it, and how often."""
        self.preds: dict[int, float] = {}
        """Blocks that it followed, likewise."""
        self.strangers = 0.0
        """How often it was come to by a trap, or from an instruction that is not for regions."""


class Graph:
    """Blocks, built when they are asked for. It goes by what was known when it was made.

    Args:
        code: The guest's code.
        flow: What was seen of it.
        lost: Time lost at each pc, see `Profile`.
        entries: Where regions are entered: blocks begin there, so that one of a new region does not run past it.
    """

    def __init__(self, code: CodePages, flow: Flow, lost: Mapping[int, float], entries: Container[int]) -> None:
        self._code = code
        self._flow = flow
        self._lost = lost
        self._entries = entries
        self._nodes: dict[int, Node | None] = {}
        self._starts: dict[int, int] = {}
        self._leads: dict[int, bool] = {}

    def node(self, pc: int) -> Node | None:
        """Return the block that starts at pc; None if a region cannot hold even its first instruction."""
        if pc not in self._nodes:
            self._nodes[pc] = self._build(pc)
        return self._nodes[pc]

    def start_of(self, pc: int) -> int:
        """Return where the block starts that an instruction is in."""
        path = []
        at = pc
        while at not in self._starts:
            path.append(at)
            before = self._before(at)
            left = at in self._lost and before not in self._lost  # a region ends here: the next one goes on
            if before is None or left or len(path) >= MAX_BLOCK_INSNS:
                self._starts[at] = at
                break
            at = before
        start = self._starts[at]
        self._starts.update(dict.fromkeys(path, start))
        return start

    def _leader(self, pc: int) -> bool:
        """Return True if something but the instruction before often leads to this one."""
        sources = self._flow.jumps.get(pc)
        if sources is None:
            return False
        found = self._leads.get(pc)
        if found is None:
            strangers = 0.0
            found = False
            for source in sources:
                if self._follows(source, pc):
                    found = True
                    break
                strangers += self._flow.outs[source][pc]
            found = self._leads[pc] = found or strangers >= RARE * self._flow.seen(pc)
        return found

    def _follows(self, pc: int, then: int) -> bool:
        """Return True if a region can go from one instruction to the other; else a trap or the interpreter does."""
        step = self._code.step(pc)
        return step is not None and follows(step.kind, then, pc + step.length, step.target)

    def _before(self, pc: int) -> int | None:
        """Return the instruction that is always executed before this one, if it is in the same block."""
        if not pc & PAGE_MASK or self._leader(pc) or pc in self._entries:
            return None
        for length in (2, 4):
            if pc in self._flow.outs.get(pc - length, ()):
                step = self._code.step(pc - length)
                if step is not None and step.length == length and step.kind is Kind.PLAIN:
                    return pc - length
        return None

    def _build(self, pc: int) -> Node | None:
        read = self._code.step
        pcs: list[int] = []
        kind, at = Kind.PLAIN, pc
        while len(pcs) < MAX_BLOCK_INSNS:
            step = read(at)
            if step is None or step.kind is Kind.BARRIER:
                break
            pcs.append(at)
            kind, target = step.kind, step.target
            at += step.length
            if kind is not Kind.PLAIN or (at ^ pc) & ~PAGE_MASK or self._leader(at) or at in self._entries:
                break
        if not pcs:
            return None
        node = Node(pcs, kind)
        flow, lost = self._flow, self._lost
        node.runs = sum(map(flow.seen, pcs)) / len(pcs)
        node.lost = sum(lost.get(pc, 0.0) for pc in pcs)
        for then, weight in flow.outs.get(pcs[-1], {}).items():
            if then and follows(kind, then, at, target):
                node.succs[then] = weight
        for source in self._sources(pc):
            weight = flow.outs[source][pc]
            if not self._follows(source, pc):
                node.strangers += weight
            else:
                start = self.start_of(source)
                node.preds[start] = node.preds.get(start, 0.0) + weight
        return node

    def _sources(self, pc: int) -> list[int]:
        """Return the instructions that were followed by this one."""
        outs = self._flow.outs
        near = [pc - length for length in (2, 4) if pc in outs.get(pc - length, ())]
        return list(dict.fromkeys((*near, *self._flow.jumps.get(pc, ()))))


def follows(kind: Kind, then: int, behind: int, target: int) -> bool:
    """Return True if an instruction of a region can lead there: otherwise a trap or an interrupt did, or a barrier."""
    if kind is Kind.PLAIN:
        return then == behind
    if kind is Kind.BRANCH:
        return then in (behind, target)
    return kind is Kind.INDIRECT or (kind is Kind.JUMP and then == target)
