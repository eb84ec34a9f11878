"""What semihosting calls, and calls of S mode, may do to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.csr import SSI

if TYPE_CHECKING:
    from rrdbg_core.machine.bus import Bus

_RECEIVE_BUFFER, _LINE_STATUS = 0, 5
_DATA_READY = 1


class Hosted:
    """The `Host` of the semihosting calls: console, clocks, memory, and the end of the run."""

    caller = "semihosting"
    """Whom messages about the guest's errors are about."""

    def __init__(self, machine: Bus) -> None:
        self.machine = machine
        self.virtual_ns = machine.virtual_ns
        self.rtc_ns = machine.rtc_ns
        self.dma_read = machine.dma_read
        self.dma_write = machine.dma_write
        self.console_write = machine.console_write
        self.power_off = machine.power_off
        self.request_reset = machine.request_reset

    def log(self, text: str) -> None:
        """Note what the guest asked for in vain."""
        if self.machine.on_guest_error:
            self.machine.on_guest_error(self.machine.icount, self.caller, text)


class Served(Hosted):
    """The `Firmware` of the calls of S mode: those, and the hart's timer and software interrupt."""

    caller = "sbi"

    def set_timer(self, ticks: int) -> None:
        """See `Firmware`."""
        self.machine.core.hart[L.STIMECMP] = ticks
        self.machine.start_stimer()

    def raise_software_interrupt(self, *, pending: bool) -> None:
        """See `Firmware`."""
        mip = int(self.machine.core.hart[L.MIP])
        self.machine.core.hart[L.MIP] = mip | SSI if pending else mip & ~SSI

    def wait(self) -> None:
        """See `Firmware`."""
        hart = self.machine.core.hart
        hart[L.WFI] = int(not hart[L.MIP] & hart[L.MIE])

    def console_read(self) -> int:
        """Take a byte out of the UART, as a driver in M mode would."""
        uart = self.machine.uart
        if not uart.read(_LINE_STATUS, 1) & _DATA_READY:
            return -1
        return uart.read(_RECEIVE_BUFFER, 1)
