"""PLIC: the platform-level interrupt controller.

RISC-V PLIC specification 1.0.0, as QEMU's `virt` understands it (hw/intc/sifive_plic.c): sources 1 to 95, priorities 0
to 7, two contexts per hart (M, then S). A source becomes pending whenever its device looks at its line and finds it
high; it stays so until it is claimed, even if the line falls. Where QEMU departs from the specification, so does this:
completion does not look at the line again, any context completes any source, and enabling a source that is pending
takes effect at the next change of anything else.

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
MEIP, SEIP = 1 << 11, 1 << 9


class PlicState(DeviceState):
    """State of the PLIC."""

    priority = array(3, SOURCES, "Priority of each source; 0 never interrupts")
    pending = array(32, WORDS, "Sources that wait to be claimed, a bit each")
    claimed = array(32, WORDS, "Sources that were claimed and not completed, a bit each")
    enable = array(32, CONTEXTS * WORDS, "Enable bits, by context")
    threshold = array(3, CONTEXTS, "Sources up to this priority are masked, by context")


class Plic(Device):
    """The interrupt controller."""

    State = PlicState
    state: PlicState
    MIP_BITS = MEIP | SEIP
    mmio_size = 0x600000
    access_sizes = (4,)

    def raise_line(self, source: int) -> None:
        """Learn that a device looked at its interrupt line and found it high."""
        self.state.pending[source // 32] |= 1 << source % 32
        self.board.update_irq(self)

    def _best(self, context: int) -> int:
        """Return the source that the context would claim, 0 if none; of equal ones the lowest."""
        state = self.state
        best, priority = 0, state.threshold[context]
        for word, bits in enumerate(state.pending):
            if bits:
                bits &= state.enable[context * WORDS + word] & ~state.claimed[word]
            while bits:
                source = 32 * word + (bits & -bits).bit_length() - 1
                if state.priority[source] > priority:
                    best, priority = source, state.priority[source]
                bits &= bits - 1
        return best

    def mip(self, hart: int) -> int:
        """Return the interrupt lines of a hart as mip bits; a hart without S mode ignores that of S mode."""
        return (MEIP if self._best(2 * hart) else 0) | (SEIP if self._best(2 * hart + 1) else 0)

    def read(self, offset: int, size: int) -> int:
        state = self.state
        if offset < 4 * SOURCES:
            return state.priority[offset // 4]
        if 0x1000 <= offset < 0x1000 + 4 * WORDS:
            return state.pending[(offset - 0x1000) // 4]
        if 0x2000 <= offset < 0x2000 + 0x80 * CONTEXTS and offset % 0x80 < 4 * WORDS:
            return state.enable[(offset - 0x2000) // 0x80 * WORDS + offset % 0x80 // 4]
        if 0x200000 <= offset < 0x200000 + 0x1000 * CONTEXTS:
            context = (offset - 0x200000) // 0x1000
            if offset % 0x1000 == 0:
                return state.threshold[context]
            if offset % 0x1000 == 4:
                return self._claim(context)
        self.board.guest_error(self, f"read at 0x{offset:x}: nothing there")
        return 0

    def _claim(self, context: int) -> int:
        source = self._best(context)
        if source:
            word, bit = source // 32, 1 << source % 32
            self.state.pending[word] &= ~bit
            self.state.claimed[word] |= bit
        self.board.update_irq(self)
        return source

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if 4 <= offset < 4 * SOURCES:
            state.priority[offset // 4] = value
        elif 0x2000 <= offset < 0x2000 + 0x80 * CONTEXTS and offset % 0x80 < 4 * WORDS:
            state.enable[(offset - 0x2000) // 0x80 * WORDS + offset % 0x80 // 4] = value
            return
        elif 0x200000 <= offset < 0x200000 + 0x1000 * CONTEXTS and offset % 0x1000 in (0, 4):
            context = (offset - 0x200000) // 0x1000
            if offset % 0x1000 == 0:
                state.threshold[context] = value
            elif value < SOURCES:
                state.claimed[value // 32] &= ~(1 << value % 32)
            else:
                self.board.guest_error(self, f"completion of source {value}: there is none")
        else:
            self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")
            return
        self.board.update_irq(self)
