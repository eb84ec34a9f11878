"""PLIC: the platform-level interrupt controller.

RISC-V PLIC specification 1.0.0; matches QEMU's `virt` (hw/intc/sifive_plic.c): 96 sources, priorities 0 to 7, two
contexts per hart (M, then S). Sources are level-triggered through a gateway: a claimed source does not become pending
again before it is completed.

    0x000000 + 4*s         priority of source s
    0x001000 + 4*w         pending bits of sources 32*w to 32*w+31, read-only
    0x002000 + 0x80*c      enable bits of context c
    0x200000 + 0x1000*c    threshold of context c
    0x200004 + 0x1000*c    claim (read), complete (write)
"""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState, array

SOURCES = 96
WORDS = SOURCES // 32
CONTEXTS = 2
MEIP = 1 << 11


class PlicState(DeviceState):
    """State of the PLIC."""

    priority = array(3, SOURCES, "Priority of each source; 0 never interrupts")
    level = array(1, SOURCES, "Level of each source's line")
    pending = array(1, SOURCES, "Source waits to be claimed")
    claimed = array(1, SOURCES, "Source was claimed and not completed")
    enable = array(32, CONTEXTS * WORDS, "Enable bits, by context")
    threshold = array(3, CONTEXTS, "Sources up to this priority are masked, by context")


class Plic(Device):
    """The interrupt controller."""

    State = PlicState
    state: PlicState
    mmio_size = 0x600000
    access_sizes = (4,)

    def set_line(self, source: int, level: bool) -> None:
        """Take the level of a device's line."""
        state = self.state
        state.level[source] = int(level)
        if level and not state.claimed[source]:
            state.pending[source] = 1
        elif not level:
            state.pending[source] = 0
        self.board.update_irq(self)

    def _best(self, context: int) -> int:
        """Return the source that the context would claim, 0 if none."""
        state = self.state
        best, priority = 0, int(state.threshold[context])
        for source in state.pending.nonzero()[0].tolist():
            enabled = int(state.enable[context * WORDS + source // 32]) >> source % 32 & 1
            if enabled and int(state.priority[source]) > priority:
                best, priority = source, int(state.priority[source])
        return best

    def mip(self, hart: int) -> int:
        """Return the interrupt lines of a hart as mip bits."""
        return MEIP if self._best(2 * hart) else 0

    def read(self, offset: int, size: int) -> int:
        state = self.state
        if offset < 4 * SOURCES:
            return int(state.priority[offset // 4])
        if 0x1000 <= offset < 0x1000 + 4 * WORDS:
            first = (offset - 0x1000) // 4 * 32
            return sum(int(state.pending[first + bit]) << bit for bit in range(32))
        if 0x2000 <= offset < 0x2000 + 0x80 * CONTEXTS and offset % 0x80 < 4 * WORDS:
            return int(state.enable[(offset - 0x2000) // 0x80 * WORDS + offset % 0x80 // 4])
        if 0x200000 <= offset < 0x200000 + 0x1000 * CONTEXTS:
            context = (offset - 0x200000) // 0x1000
            if offset % 0x1000 == 0:
                return int(state.threshold[context])
            if offset % 0x1000 == 4:
                return self._claim(context)
        self.board.guest_error(self, f"read at 0x{offset:x}: nothing there")
        return 0

    def _claim(self, context: int) -> int:
        source = self._best(context)
        if source:
            self.state.pending[source] = 0
            self.state.claimed[source] = 1
            self.board.update_irq(self)
        return source

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if 4 <= offset < 4 * SOURCES:
            state.priority[offset // 4] = value & 7
        elif 0x2000 <= offset < 0x2000 + 0x80 * CONTEXTS and offset % 0x80 < 4 * WORDS:
            word = offset % 0x80 // 4
            state.enable[(offset - 0x2000) // 0x80 * WORDS + word] = value & ~int(word == 0) & 0xFFFF_FFFF
        elif 0x200000 <= offset < 0x200000 + 0x1000 * CONTEXTS and offset % 0x1000 in (0, 4):
            context = (offset - 0x200000) // 0x1000
            if offset % 0x1000 == 0:
                state.threshold[context] = value & 7
            else:
                self._complete(context, value)
        else:
            self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")
        self.board.update_irq(self)

    def _complete(self, context: int, source: int) -> None:
        state = self.state
        if not 0 < source < SOURCES:
            self.board.guest_error(self, f"completion of source {source}: there is none")
            return
        if not int(state.enable[context * WORDS + source // 32]) >> source % 32 & 1:
            return
        state.claimed[source] = 0
        if state.level[source]:
            state.pending[source] = 1
