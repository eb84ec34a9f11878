"""Power-on and reset."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.machine import loader
from rrdbg_core.machine.base import RESET_WANTED, RESETS
from rrdbg_core.machine.bus import Bus
from rrdbg_core.machine.outcome import Blame


class Power(Bus):
    """The machine that can be switched on and reset."""

    def _load(self) -> None:
        """Put the images into RAM and the hart at the first instruction."""
        entry = self.config.entry
        if entry is None:
            entry = loader.entry([program for _, program in self._programs])
        for ref, program in self._programs:
            for address, data in loader.pieces(program, ref.name, self.memory.size):
                self._store(address, data)
        if entry & 1 or not self.memory.contains(entry, 2):
            raise loader.BadImage(f"the first instruction, 0x{entry:x}, does not lie in RAM")
        hart = self.core.hart
        hart[L.PC] = entry
        hart[L.X + 10] = hart[L.MHARTID]  # a0, as QEMU's reset vector leaves it

    def _power_on(self) -> None:
        """Put devices, RAM and the hart where a run starts."""
        for device in self.devices.values():
            with Blame(device, "reset", self.icount):
                device.reset()
        self._load()
        for device in self.devices.values():
            self.update_irq(device)
        self._timers.look()

    def reset(self) -> None:
        """Reset hart and devices and load the images again; other RAM stays, icount and virtual time go on."""
        if self.on_reset:
            self.on_reset()
        self.core.reset()
        self.halves[:] = 0
        self.source.reset()
        self.board[RESET_WANTED] = 0
        self.board[RESETS] += np.uint64(1)
        self._power_on()
