"""The deterministic machine: hart, board and virtual clock, driven by events.

Position n is the state after every event, timer and warp at icount n and before step n; `run(n)` goes there. Between
steps the order is fixed: virtual timers that are due, then one event of the source, then timers again, and so on; last,
an idle machine warps its virtual clock. The order is the same in record and in replay, so that an event's place is its
icount and its rank alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.hostmemory import keep_freed_memory
from rrdbg_core.machine.outcome import Accesses, DeviceBroken, StopReason
from rrdbg_core.machine.running import Running
from rrdbg_core.machine.source import Divergence, EventSource
from rrdbg_core.machine.stats import Stats

if TYPE_CHECKING:
    from rrdbg_core.machine.state import MachineState

__all__ = ["Accesses", "DeviceBroken", "Divergence", "Machine", "StopReason"]


class Machine(Running):
    """One computer.

    Args:
        config: What it is made of.
        images: Content of the images by digest.
        source: Where events come from.
        core: A guest CPU to use; a new one by default.
        progress: Told when the CPU has to be compiled.

    Raises:
        RrdbgError: It cannot be built; the text says why.
    """

    def __init__(
        self,
        config: MachineConfig,
        images: dict[str, bytes],
        source: EventSource,
        *,
        core: Core | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        keep_freed_memory()
        super().__init__(config, images, source, core=core, progress=progress)
        self.core.on_output = self._printed
        self._power_on()

    # ---- state -------------------------------------------------------------------------------------------------------
    def save(self) -> MachineState:
        """Return a copy of all state but RAM."""
        return self.parts.save()

    def restore(self, state: MachineState, *, order: Sequence[str] | None = None) -> None:
        """Put back a saved state, part by part, in any order: no part looks at another.

        Raises:
            RrdbgError: The state is not of this machine.
        """
        self.parts.restore(state, order)
        self._serving = False
        mach = self._mach
        mach[L.MMIO_STATE] = mach[L.CALLED] = mach[L.TRACKED_HIT] = mach[L.HIT_INDEX] = mach[L.SKIP_BREAK] = 0
        mach[L.OUTPUT_ROWS] = 0
        self.core.flush_tlb()

    def differences(self, a: MachineState, b: MachineState) -> list[str]:
        """Return the fields in which two saved states differ, one line each."""
        return self.parts.differences(a, b)

    def shuffled(self, seed: int) -> list[str]:
        """Return the parts of the state in an order drawn from `seed`."""
        return self.parts.shuffled(seed)

    def stats(self) -> Stats:
        """Return what the machine has done since it was built, and what it cost the host."""
        return self._meters.stats(self.core)

    def digest(self, generation: int = 0) -> bytes:
        """Return the 128-bit root hash of RAM and of every state word.

        Args:
            generation: The core's present generation of dirty pages if the caller has just started it; else one is
                started.
        """
        return self.parts.digest(generation)
