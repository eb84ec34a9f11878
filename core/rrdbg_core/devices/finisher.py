"""SiFive test finisher: how a bare-metal guest ends or resets the machine.

Matches QEMU's `virt` (hw/misc/sifive_test.c). It has no state.

    0x0  write 0x5555                 exit code 0
         write code << 16 | 0x3333    exit with that code
         write 0x7777                 reset
"""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState

PASS, FAIL, RESET = 0x5555, 0x3333, 0x7777


class FinisherState(DeviceState):
    """State of the finisher: none."""


class Finisher(Device):
    """The test finisher."""

    State = FinisherState
    state: FinisherState
    mmio_size = 0x1000
    access_sizes = (2, 4)

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        status = value & 0xFFFF
        if offset == 0 and status == PASS:
            self.board.power_off(0)
        elif offset == 0 and status == FAIL:
            self.board.power_off(value >> 16)
        elif offset == 0 and status == RESET:
            self.board.request_reset()
        else:
            self.board.guest_error(self, f"write of 0x{value:x} at 0x{offset:x}: means nothing")
