"""virtio entropy device (virtio 1.2 section 5.4).

One queue of buffers to fill. The bytes come from the host back end, which takes its time: the device asks for them with
a bottom half, one request at a time, and what arrives is journaled. A request that is under way is state.
"""

from __future__ import annotations

import struct

from rrdbg_core.devices.contract import BusFault, field, flag
from rrdbg_core.devices.virtio_mmio import VirtioMmio, VirtioState

MAX_REQUEST = 4096
"""Bytes asked of the host at once; a longer buffer is filled in part, as the specification allows."""


class VirtioRngState(VirtioState):
    """State of the entropy device."""

    busy = flag("A request is under way")
    head = field(16, "Its chain")
    address = field(64, "Where its bytes go")
    length = field(32, "How many")


class VirtioRng(VirtioMmio):
    """The entropy source."""

    State = VirtioRngState
    state: VirtioRngState
    device_id = 4
    features = 0
    lenient = True
    queue_count = 1
    bottom_halves = ("entropy",)
    exercises = (
        # a queue of four at 0x8008_0000, two buffers, one notification
        (
            *((0x070, 4, 0), (0x070, 4, 3), (0x024, 4, 1), (0x020, 4, 1), (0x070, 4, 11), (0x030, 4, 0)),
            *((0x038, 4, 4), (0x080, 4, 0x8008_0000), (0x084, 4, 0), (0x090, 4, 0x8008_0100), (0x094, 4, 0)),
            *((0x0A0, 4, 0x8008_0200), (0x0A4, 4, 0), (0x8008_0000, 8, 0x8008_1000), (0x8008_0008, 8, 0x2_0000_0020)),
            *((0x8008_0010, 8, 0x8008_2000), (0x8008_0018, 8, 0x2_0000_0007), (0x8008_0100, 8, 0x0001_0000_0002_0000)),
            *((0x8008_0200, 8, 0), (0x044, 4, 1), (0x070, 4, 15), (0x050, 4, 0)),
        ),
        ((0x064, 4, 3),),
    )

    def notified(self, queue: int) -> None:
        self._next()

    def _next(self) -> None:
        state = self.state
        if state.busy:
            return
        for chain in self.chains(0):
            target = next((b for b in chain.buffers if b.writable and b.size), None)
            if target is None:
                self.complete(0, chain.head, 0)
                continue
            state.busy, state.head, state.address = 1, chain.head, target.address
            state.length = min(target.size, MAX_REQUEST)
            self.board.schedule_bh_event(self, "entropy", struct.pack("<I", state.length))
            return

    def bottom_half(self, name: str, payload: bytes) -> None:
        state = self.state
        if not state.busy:
            return  # the driver reset the device in the meantime
        state.busy = 0
        data = payload[: state.length]
        try:
            self.board.dma_write(state.address, data)
        except BusFault:
            self.board.guest_error(self, f"buffer at 0x{state.address:x} lies outside RAM")
            data = b""
        self.complete(0, state.head, len(data))
        self._next()
