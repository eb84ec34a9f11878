"""CLINT: software interrupts and the timer of each hart.

Matches QEMU's `virt` (hw/intc/riscv_aclint.c): SiFive CLINT layout, 10 MHz. One hart; mtime may be written.

    0x0000  msip       4   bit 0 raises the machine software interrupt
    0x4000  mtimecmp   8   the machine timer interrupt is raised while mtime >= mtimecmp
    0xbff8  mtime      8   virtual time / 100 ns, plus what the guest added by writing it
"""

from __future__ import annotations

from rrdbg_core.devices.contract import BusFault, Device, DeviceState, array, field

MSIP, MTIP = 1 << 3, 1 << 7
TICK_NS = 100
_M64 = (1 << 64) - 1
_MTIMECMP, _MTIME = 0x4000, 0xBFF8
MAX_HARTS = 8


class ClintState(DeviceState):
    """State of the CLINT."""

    msip = array(1, MAX_HARTS, "Software interrupt of each hart")
    mtimecmp = array(64, MAX_HARTS, "Timer compare of each hart")
    armed = array(1, MAX_HARTS, "mtimecmp was written: as on QEMU, the timer is silent before that")
    due = array(1, MAX_HARTS, "mtime has reached mtimecmp: the timer interrupt is raised")
    delta = field(64, "What a write to mtime added to the clock")


class Clint(Device):
    """The core-local interruptor."""

    State = ClintState
    state: ClintState
    mmio_size = 0x10000
    access_sizes = (4, 8)

    def mtime(self) -> int:
        """Return mtime now."""
        return self.board.virtual_ns() // TICK_NS + self.state.delta & _M64

    def reset(self) -> None:
        # a guest reset does not turn the clock back
        delta = self.state.delta
        self.state.reset()
        self.state.delta = delta

    def read(self, offset: int, size: int) -> int:
        if offset < 4 * MAX_HARTS and size == 4 and offset % 4 == 0:
            return int(self.state.msip[offset // 4])
        if _MTIMECMP <= offset < _MTIMECMP + 8 * MAX_HARTS:
            value = int(self.state.mtimecmp[(offset - _MTIMECMP) // 8])
        elif _MTIME <= offset < _MTIME + 8:
            value = self.mtime()
        else:
            self.board.guest_error(self, f"read of {size} bytes at 0x{offset:x}: nothing there")
            return 0
        return value >> 8 * (offset % 8) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if offset < 4 * MAX_HARTS and size == 4 and offset % 4 == 0:
            state.msip[offset // 4] = value & 1
        elif _MTIMECMP <= offset < _MTIMECMP + 8 * MAX_HARTS:
            hart = (offset - _MTIMECMP) // 8
            state.armed[hart] = 1
            state.mtimecmp[hart] = _merge(int(state.mtimecmp[hart]), offset % 8, size, value)
            self._compare()
        elif _MTIME <= offset < _MTIME + 8:
            wanted = _merge(self.mtime(), offset % 8, size, value)
            state.delta = wanted - self.board.virtual_ns() // TICK_NS
            self._compare()
        else:
            self.board.guest_error(self, f"write of {size} bytes at 0x{offset:x}: nothing there")
        self.board.update_irq(self)

    def mip(self, hart: int) -> int:
        """Return the interrupt lines of a hart as mip bits."""
        lines = MSIP if self.state.msip[hart] else 0
        return lines | (MTIP if self.state.due[hart] else 0)

    def _compare(self) -> None:
        """Raise and lower the timer interrupts."""
        state, now = self.state, self.mtime()
        for hart in state.armed.nonzero()[0].tolist():
            state.due[hart] = int(now >= int(state.mtimecmp[hart]))

    def next_deadline_ns(self) -> int | None:
        state = self.state
        waiting = (state.armed & ~state.due).nonzero()[0].tolist()
        if not waiting:
            return None
        ticks = min(int(state.mtimecmp[hart]) for hart in waiting) - self.mtime()
        return (self.board.virtual_ns() // TICK_NS + max(ticks, 0)) * TICK_NS

    def on_deadline(self) -> None:
        self._compare()
        self.board.update_irq(self)


def _merge(old: int, byte: int, size: int, value: int) -> int:
    """Return `old` with `size` bytes from `byte` on replaced."""
    if byte + size > 8:
        raise BusFault
    mask = (1 << 8 * size) - 1
    return old & ~(mask << 8 * byte) | (value & mask) << 8 * byte
