"""virtio console (virtio 1.2 section 5.3) with one port: queue 0 is for input, queue 1 for output.

Prints where the UART prints. Input goes to the UART until the driver here has given a buffer for some. Matches QEMU's
virtio-serial-device with one virtconsole and `max_ports=1`. Left out: more ports and the control queues that they need,
the size of the screen, emergency writes: none of these features is offered.

The configuration space, columns, rows and number of ports, holds what absent features leave there: 0, 0, 1.
"""

from __future__ import annotations

import struct

from rrdbg_core.devices.contract import field
from rrdbg_core.devices.virtio_mmio import Chain, QueueBroken, VirtioMmio, VirtioState

RECEIVE, TRANSMIT = 0, 1
MAX_OUTPUT_BYTES = 64 << 10
"""Of a chain to print; drivers send pages."""
MAX_INPUT_BYTES = 4096
"""Taken at once."""
_CONFIG = struct.pack("<HHI", 0, 0, 1)


class VirtioConsoleState(VirtioState):
    """State of the console."""

    room = field(13, "Bytes of input that the next buffer takes")


class VirtioConsole(VirtioMmio):
    """The console."""

    State = VirtioConsoleState
    state: VirtioConsoleState
    device_id = 3
    queue_count = 2
    exercises = (
        # queues of four at 0x8008_0000 and 0x8008_0800: a buffer for input in the one, text in the other
        (
            *((0x070, 4, 0), (0x070, 4, 3), (0x024, 4, 1), (0x020, 4, 1), (0x070, 4, 11), (0x030, 4, 0)),
            *((0x038, 4, 4), (0x080, 4, 0x8008_0000), (0x084, 4, 0), (0x090, 4, 0x8008_0100), (0x094, 4, 0)),
            *((0x0A0, 4, 0x8008_0200), (0x0A4, 4, 0), (0x8008_0000, 8, 0x8008_1000), (0x8008_0008, 8, 0x2_0000_0009)),
            *((0x8008_0010, 8, 0x8008_2000), (0x8008_0018, 8, 0x2_0000_0003), (0x8008_0100, 8, 0x0001_0000_0002_0000)),
            *((0x8008_0200, 8, 0), (0x044, 4, 1), (0x030, 4, 1), (0x038, 4, 4), (0x080, 4, 0x8008_0800), (0x084, 4, 0)),
            *((0x090, 4, 0x8008_0900), (0x094, 4, 0), (0x0A0, 4, 0x8008_0A00), (0x0A4, 4, 0), (0x044, 4, 1)),
            *((0x8008_0800, 8, 0x8008_3000), (0x8008_0808, 8, 5), (0x8008_3000, 8, 0x216F_6C6C_6568)),
            *((0x8008_0900, 8, 0x0001_0000), (0x8008_0A00, 8, 0), (0x070, 4, 15), (0x050, 4, 1), (0x050, 4, 0)),
        ),
        ((0x8008_0902, 2, 2), (0x050, 4, 1)),
        ((0x064, 4, 3),),
    )

    def read_config(self, offset: int, size: int) -> int:
        if offset + size > len(_CONFIG):
            return super().read_config(offset, size)
        return int.from_bytes(_CONFIG[offset : offset + size], "little")

    def notified(self, queue: int) -> None:
        if queue == RECEIVE:
            self._look()
            return
        for chain in self.chains(TRANSMIT):
            if not self._print(chain):
                return
            self.complete(TRANSMIT, chain.head, 0)

    def _print(self, chain: Chain) -> bool:
        """Print what the driver sends; False if that makes no sense."""
        try:
            if sum(buffer.size for buffer in chain.buffers) > MAX_OUTPUT_BYTES:
                raise QueueBroken(f"more than {MAX_OUTPUT_BYTES} bytes")
            data = self.gather(buffer for buffer in chain.buffers if not buffer.writable)
        except QueueBroken as error:
            self.broken(f"output: {error}")
            return False
        if data:
            self.board.console_out(self, data)
        return True

    # ---- input -------------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        """Learn how much the next buffer takes; buffers that take nothing go back."""
        state = self.state
        state.room = 0
        while not state.room and (chain := self.peek(RECEIVE)) is not None:
            state.room = min(sum(b.size for b in chain.buffers if b.writable), MAX_INPUT_BYTES)
            if not state.room:
                state.last_avail[RECEIVE] += 1
                self.complete(RECEIVE, chain.head, 0)
        self.board.update_irq(self)

    def can_receive(self) -> int:
        return 0 if self.state.broken else self.state.room

    def receive(self, data: bytes) -> None:
        chain = self.take(RECEIVE)
        if chain is not None:
            buffers = [buffer for buffer in chain.buffers if buffer.writable]
            try:
                self.scatter(buffers, data)
            except QueueBroken as error:
                self.broken(f"input: {error}")
            self.complete(RECEIVE, chain.head, min(len(data), sum(buffer.size for buffer in buffers)))
        self._look()

    def _set_status(self, status: int) -> None:
        super()._set_status(status)
        self._look()

    def _write_queue(self, queue: int, offset: int, value: int) -> None:
        super()._write_queue(queue, offset, value)
        if queue == RECEIVE:
            self._look()
