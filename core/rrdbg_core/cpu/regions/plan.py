"""What a region is made of: basic blocks of guest code that follow each other often."""

from __future__ import annotations

from dataclasses import dataclass

MAX_INSNS = 400
"""Instructions of a region: LLVM takes 0.2 to 1 ms for each."""


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions that are executed one after another; all of them lie in one page, as a whole.

    Only the last one may branch or jump. If it does not, the block is followed by what stands behind it.
    """

    pc: int
    """Virtual address of the first one."""
    code: bytes
    """Their bytes."""
    targets: tuple[int, ...] = ()
    """If the last one is `jalr`: where it often goes, most often first."""
    careful: bool = False
    """Whether it goes on where the TLB does not know a page; else the region is left there, which takes less code."""

    @property
    def end(self) -> int:
        """Address behind it."""
        return self.pc + len(self.code)


@dataclass(frozen=True, slots=True)
class Plan:
    """A region: blocks with different pcs, some of which can be entered from outside.

    A successor of a block belongs to the region if one of its blocks has that pc; otherwise the region is left. Blocks
    may overlap each other: the same instruction may stand at the end of two of them.
    """

    blocks: tuple[Block, ...]
    """The hottest one first."""
    entries: tuple[int, ...]
    """pcs of those that can be entered."""
