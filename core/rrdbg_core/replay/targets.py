"""What a run through a recording can stop at, and what ended it."""

from __future__ import annotations

from collections.abc import Sequence

from rrdbg_core.cpu.condition import Condition
from rrdbg_core.frozen import Frozen


class MemoryWatch(Frozen):
    """A watched stretch of memory."""

    address: int
    """Physical address of the first byte."""
    length: int
    """Bytes."""
    reads: bool
    """Whether reads count."""
    writes: bool
    """Whether writes count that change nothing."""
    changes: bool
    """Whether writes count that change something."""


class Targets(Frozen):
    """Everything that can stop a run."""

    breaks: tuple[int, ...] = ()
    """Virtual addresses of instructions."""
    watches: tuple[MemoryWatch, ...] = ()
    """Stretches of memory."""
    registers: int = 0
    """Bit r: changes of x[r], or, from 32 on, of f[r - 32]."""
    exceptions: bool = False
    """Whether taken exceptions count."""
    interrupts: bool = False
    """Whether taken interrupts count."""
    gated: tuple[Gated, ...] = ()
    """What stops only under a condition, or not at once."""

    @property
    def any(self) -> bool:
        """Whether anything can hit."""
        own = self.breaks or self.watches or self.registers or self.exceptions or self.interrupts
        return bool(own) or any(gated.targets.any for gated in self.gated)

    def open(self) -> Targets:
        """Return the same without gates: everything that can hit."""
        return merged([self, *(gated.targets for gated in self.gated)])


def merged(parts: Sequence[Targets]) -> Targets:
    """Return what hits where any of some targets does, gates aside."""
    registers = 0
    for part in parts:
        registers |= part.registers
    return Targets(
        tuple({address: None for part in parts for address in part.breaks}),
        tuple({watch: None for part in parts for watch in part.watches}),
        registers,
        any(part.exceptions for part in parts),
        any(part.interrupts for part in parts),
    )


class Gated(Frozen):
    """Targets whose hits stop a run only if a condition holds, and after some hits have been passed over.

    What the guest's own state cannot tell (a hit by a device; a condition over memory that is no RAM; a step behind
    which something else happens) stops as if it held, and is not counted: whoever asked looks for himself.
    """

    targets: Targets
    """What hits. All that hits in one step is one hit."""
    condition: Condition | None = None
    """Must hold: before the step for breaks, behind it for anything else."""
    ignore: int = 0
    """Hits under the condition to be passed over: the first ones forwards, the last ones backwards."""


class Found(Frozen):
    """What ended a run."""

    is_break: bool
    """Whether it is a break before the next step; else something in the last step."""
    address: int = 0
    """Physical address of the access, for a watch."""
    size: int = 0
    """Its bytes."""
    is_write: bool = False
    """Whether it wrote."""
    old: int = 0
    """The accessed bytes before, or the register."""
    new: int = 0
    """The accessed bytes after, or the register."""
    whole: bool = True
    """Whether nothing else that is watched changed in the step, as far as anybody but the hart writes."""
