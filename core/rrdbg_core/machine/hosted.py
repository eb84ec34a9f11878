"""What semihosting calls may do to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rrdbg_core.machine.bus import Bus


class Hosted:
    """The `Host` of the semihosting calls: console, clocks, memory, and the end of the run."""

    def __init__(self, machine: Bus) -> None:
        self.machine = machine
        self.virtual_ns = machine.virtual_ns
        self.rtc_ns = machine.rtc_ns
        self.dma_read = machine.dma_read
        self.dma_write = machine.dma_write
        self.console_write = machine.console_write
        self.power_off = machine.power_off

    def log(self, text: str) -> None:
        """Note what the guest asked for in vain."""
        if self.machine.on_guest_error:
            self.machine.on_guest_error(self.machine.icount, "semihosting", text)
