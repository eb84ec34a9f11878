"""Power-on and reset."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.csr import MENVCFG_STCE, S_EXCEPTIONS, S_INTERRUPTS
from rrdbg_core.machine import loader
from rrdbg_core.machine.base import RESET_WANTED, RESETS
from rrdbg_core.machine.bus import Bus
from rrdbg_core.machine.outcome import Blame

ECALL_S = 1 << 9
CY_TM_IR = 7
"""Counters that the privileges below may read: cycle, time, instret."""
NEVER = (1 << 64) - 1
PMP_ALL = 0x1F
"""NAPOT, readable, writable, executable."""


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
        # a0 to a2, as QEMU's reset vector leaves them
        hart[L.X + 10] = hart[L.MHARTID]
        hart[L.X + 11] = self.config.device_tree or 0
        hart[L.X + 12] = self.config.next_stage or 0
        if self.config.firmware == "sbi":
            self._enter_supervisor()

    def _enter_supervisor(self) -> None:
        """Leave the hart as OpenSBI does; but all exceptions that S mode may see go there."""
        hart = self.core.hart
        hart[L.PRIV] = L.PRIV_S
        hart[L.MEDELEG], hart[L.MIDELEG] = S_EXCEPTIONS & ~ECALL_S, S_INTERRUPTS
        hart[L.MCOUNTEREN] = hart[L.SCOUNTEREN] = CY_TM_IR
        hart[L.MENVCFG] |= np.uint64(MENVCFG_STCE)
        hart[L.STIMECMP] = NEVER
        hart[L.PMPADDR], hart[L.PMPCFG] = NEVER >> 10, PMP_ALL

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
