"""The dynamic control flow graph: basic blocks and how often each was followed by which, from sampled steps."""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.cpu.regions.code import PAGE_MASK, CodePages, Kind

Flow = Mapping[int, Mapping[int, float]]
"""How often a step at one pc was followed by a step at another; pc 0 stands for the end of a window."""

MAX_BLOCK_INSNS = 100
"""Longer runs of instructions are cut, so that a region can hold a part of them."""


class Node:
    """A basic block: instructions that are executed one after another."""

    __slots__ = ("ends_in", "heat", "outside", "pc", "pcs", "preds", "runs", "succs", "total_in")

    def __init__(self, pc: int) -> None:
        self.pc = pc
        self.pcs: list[int] = []
        """Its instructions."""
        self.ends_in = Kind.PLAIN
        """Kind of the last one."""
        self.heat = 0.0
        """Steps sampled in it."""
        self.outside = 0.0
        """Of these, steps that no region has taken over."""
        self.runs = 0.0
        """How often it was executed: the mean over its instructions."""
        self.succs: dict[int, float] = {}
        """What followed it, and how often."""
        self.preds: dict[int, float] = {}
        """What it followed, likewise."""
        self.total_in = 0.0
        """How often it was come to from anywhere, traps and instructions that are not for regions included."""


class Graph:
    """All blocks, by the pc of their first instruction."""

    def __init__(self, code: CodePages, flow: Flow, outside: Mapping[int, float]) -> None:
        self.nodes: dict[int, Node] = {}
        self._code = code
        self._flow = flow
        self._outside = outside
        self._owners: set[int] = set()  # instructions that are in some block
        leaders = self._leaders()
        for pc in sorted(leaders):
            self._block(pc, leaders)
        for pc in sorted(flow):
            # sampled in the middle of a block whose start was not
            if pc not in self._owners:
                self._block(pc, leaders)
        self._connect()

    def _leaders(self) -> set[int]:
        """Return where blocks start: wherever something but the instruction before leads."""
        leaders = set()
        step = self._code.step
        for pc, outs in self._flow.items():
            here = step(pc)
            if here is None:
                continue
            behind = pc + here.length
            apart = here.kind is not Kind.PLAIN or (behind ^ pc) & ~PAGE_MASK
            for then in outs:
                if then and (apart or then != behind):
                    leaders.add(then)
        return leaders

    def _block(self, pc: int, leaders: set[int]) -> None:
        """Add the block at pc, and what follows it if it is cut."""
        while True:
            node = Node(pc)
            pcs = node.pcs
            at = pc
            while True:
                here = self._code.step(at)
                if here is None or here.kind is Kind.BARRIER:
                    break
                pcs.append(at)
                node.ends_in = here.kind
                at += here.length
                cut = len(pcs) == MAX_BLOCK_INSNS
                if here.kind is not Kind.PLAIN or at in leaders or cut or (at ^ pc) & ~PAGE_MASK:
                    break
            if not pcs or pc in self.nodes:
                return
            self.nodes[pc] = node
            self._owners.update(pcs)
            if len(pcs) < MAX_BLOCK_INSNS or node.ends_in is not Kind.PLAIN or at in leaders or at not in self._flow:
                return
            leaders.add(at)
            pc = at

    def _connect(self) -> None:
        """Weigh blocks, and the ways between them."""
        flow, outside, nodes, step = self._flow, self._outside, self.nodes, self._code.step
        arrivals: dict[int, float] = {}
        for node in nodes.values():
            for pc in node.pcs:
                outs = flow.get(pc)
                if outs:
                    node.heat += sum(outs.values())
                    node.outside += outside.get(pc, 0.0)
            node.runs = node.heat / len(node.pcs)
        for pc, outs in flow.items():
            here = step(pc)
            for then, weight in outs.items():
                if then in nodes and (here is None or here.kind is not Kind.PLAIN or then != pc + here.length):
                    arrivals[then] = arrivals.get(then, 0.0) + weight
        for pc, node in nodes.items():
            node.total_in += arrivals.get(pc, 0.0)
            last = node.pcs[-1]
            here = step(last)
            assert here is not None
            behind = last + here.length
            for then, weight in flow.get(last, {}).items():
                follower = nodes.get(then)
                if follower is None or not _follows(here.kind, then, behind, here.target):
                    continue
                if here.kind is Kind.PLAIN:
                    # not among the arrivals
                    follower.total_in += weight
                node.succs[then] = weight
                follower.preds[pc] = follower.preds.get(pc, 0.0) + weight


def _follows(kind: Kind, then: int, behind: int, target: int) -> bool:
    """Return True if an instruction can lead there: otherwise a trap or an interrupt did."""
    if kind is Kind.INDIRECT:
        return True
    if kind is Kind.JUMP:
        return then == target
    return then == behind or (kind is Kind.BRANCH and then == target)
