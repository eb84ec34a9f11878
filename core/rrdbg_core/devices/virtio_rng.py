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
    queue_count = 1
    bottom_halves = ("entropy",)

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
