"""Which steps of a run regions would take over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rrdbg_core.cpu.regions.code import PAGE_MASK, Kind, read_step
from rrdbg_core.cpu.regions.plan import Block, Plan


class Stay(NamedTuple):
    """Steps one after another that were made in a region, or outside of any."""

    live: Live | None
    """The region."""
    start: int
    """Index of the first step."""
    end: int
    """Index behind the last one."""


class Live:
    """A region as it runs."""

    __slots__ = ("blocks", "pages", "places", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.blocks: dict[int, tuple[tuple[int, ...], frozenset[int]]] = {}
        """For each block: its instructions, and the blocks that can follow it."""
        self.places: dict[int, tuple[int, int]] = {}
        """For each instruction: a block that it is in, and its index there."""
        self.pages = {block.pc & ~PAGE_MASK for block in plan.blocks}
        """Addresses of the pages that its code lies in."""
        starts = {block.pc for block in plan.blocks}
        for block in plan.blocks:
            pcs, ways = _read(block)
            for index, pc in enumerate(pcs):
                self.places.setdefault(pc, (block.pc, index))
            self.blocks[block.pc] = pcs, frozenset(ways) & starts

    def stay(self, pcs: Sequence[int], at: int, index: int = 0) -> int:
        """Return the first step from `at` on that is not made inside.

        Args:
            pcs: pc of each step.
            at: A step at the start of a block.
            index: A place in that block that the step is at instead.
        """
        block, end = pcs[at], len(pcs)
        if index:
            block = self.places[block][0]
        while True:
            inside, ways = self.blocks[block]
            for pc in inside[index:]:
                if at == end:
                    return end
                if pcs[at] != pc:
                    # a trap: the step before was not made here either, but by whoever takes traps
                    return at
                at += 1
            if at == end:
                return end
            block, index = pcs[at], 0
            if block not in ways:
                return at


def _read(block: Block) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the instructions of a block, and where it leads."""
    pcs = []
    pc, end = block.pc, block.end
    ways: tuple[int, ...] = ()
    while pc < end:
        step = read_step(block.code, pc - block.pc, pc)
        pcs.append(pc)
        pc += step.length
        if step.kind is Kind.BRANCH:
            ways = pc, step.target
        elif step.kind is Kind.JUMP:
            ways = (step.target,)
        else:
            ways = block.targets if step.kind is Kind.INDIRECT else (pc,)
    return tuple(pcs), ways


def walk(pcs: Sequence[int], entries: Mapping[int, Live], within: Live | None = None) -> list[Stay]:
    """Return how steps are shared among regions and the interpreter.

    Args:
        pcs: pc of each step, one after another.
        entries: The region that is entered at a pc.
        within: The region that the first step is made in.
    """
    stays = []
    at = out = 0
    if within is not None and pcs:
        at = out = within.stay(pcs, 0, within.places[pcs[0]][1])
        stays.append(Stay(within, 0, at))
    while at < len(pcs):
        live = entries.get(pcs[at])
        left = at if live is None else live.stay(pcs, at)
        if left == at:
            at += 1
            continue
        if out < at:
            stays.append(Stay(None, out, at))
        stays.append(Stay(live, at, left))
        at = out = left
    if out < at:
        stays.append(Stay(None, out, at))
    return stays
