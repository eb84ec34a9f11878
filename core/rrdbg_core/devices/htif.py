"""HTIF: the host-target interface, by which programs made for Spike talk to their host.

Matches Spike (fesvr/htif.cc, device.cc, syscall.cc). The registers are two doublewords in the guest's own RAM, where
the ELF symbols tohost and fromhost are. Left out: console input, files.

    tohost    63:56 device, 55:48 command, 47:0 payload; the host clears it when it took the command
              device 0, command 0, payload odd     end the run with exit code payload >> 1
              device 0, command 0, payload even    system call; the payload points to eight doublewords:
                                                   number, arguments; the result replaces the number
              device 1, command 1                  print the byte in the payload
    fromhost  the answer, if there is room for one

Spike looks at tohost now and then, so a guest may write its halves one after the other. Here a value with an empty
upper half waits for a moment whether the upper half still comes.
"""

from __future__ import annotations

import struct

from rrdbg_core.devices.contract import Board, BusFault, Device, DeviceState, timer

SYS_WRITE, SYS_EXIT = 64, 93
ENOSYS = 38
MAX_WRITE = 1 << 20
_M64 = (1 << 64) - 1


class HtifState(DeviceState):
    """State of the interface beside what lies in RAM."""

    look = timer("When a value with an empty upper half is taken as it stands")


class Htif(Device):
    """The host-target interface.

    Args:
        name: Name of the device.
        board: The machine.
        tohost: Address of tohost.
        fromhost: Address of fromhost, if the guest has it.
        grace_ns: How long a value with an empty upper half waits.
    """

    State = HtifState
    state: HtifState

    def __init__(self, name: str, board: Board, tohost: int, fromhost: int | None, grace_ns: int) -> None:
        super().__init__(name, board)
        self._tohost = tohost
        self._fromhost = fromhost
        self._grace_ns = grace_ns

    def stored(self) -> None:
        """Look at tohost: the hart has stored to it."""
        value = self._command()
        if value >> 32 or self.state.look:
            self._carry_out(value)
        elif value:
            self.state.look = self.board.virtual_ns() + self._grace_ns + 1

    def next_deadline_ns(self) -> int | None:
        look = self.state.look
        return look - 1 if look else None

    def on_deadline(self) -> None:
        self._carry_out(self._command())

    def _command(self) -> int:
        return int.from_bytes(self.board.dma_read(self._tohost, 8), "little")

    def _carry_out(self, value: int) -> None:
        self.state.look = 0
        device, command, payload = value >> 56, value >> 48 & 0xFF, value & (1 << 48) - 1
        if value == 0:
            return
        if (device, command) == (0, 0) and payload & 1:
            self.board.power_off(payload >> 1)
            return
        self.board.dma_write(self._tohost, bytes(8))
        if (device, command) == (0, 0):
            self._system_call(payload)
            self._answer(1)
        elif (device, command) == (1, 1):
            self.board.console_out(self, bytes((payload & 0xFF,)))
            self._answer(1 << 56 | 1 << 48 | 0x100 | payload & 0xFF)
        else:
            self.board.guest_error(self, f"command {command} of device {device}: not offered")

    def _answer(self, value: int) -> None:
        if self._fromhost is not None and self.board.dma_read(self._fromhost, 8) == bytes(8):
            self.board.dma_write(self._fromhost, struct.pack("<Q", value))

    def _system_call(self, block: int) -> None:
        try:
            number, first, address, size = struct.unpack("<4Q", self.board.dma_read(block, 32))
            result = -ENOSYS
            if number == SYS_EXIT:
                self.board.power_off(first)
                result = 0
            elif number == SYS_WRITE and first in (1, 2):
                result = min(size, MAX_WRITE)
                self.board.console_out(self, self.board.dma_read(address, result))
            else:
                self.board.guest_error(self, f"system call {number}: not offered")
            self.board.dma_write(block, struct.pack("<Q", result & _M64))
        except BusFault:
            self.board.guest_error(self, f"system call at 0x{block:x}: its arguments lie outside RAM")
