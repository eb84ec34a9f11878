"""CLINT: software interrupts and the timer of each hart.

Matches QEMU's `virt` (hw/intc/riscv_aclint.c): SiFive CLINT layout, 10 MHz. One hart has its registers; the places of
others read as zero. mtime may be written; the time register shows it. As on QEMU, mtimecmp starts at 0, so that the
timer interrupt is pending from the first step on; a reset leaves it alone and starts mtime at 0 again.

    0x0000 + 4*h   msip       4     bit 0 raises the machine software interrupt of hart h
    0x4000 + 8*h   mtimecmp   4, 8  the machine timer interrupt is raised while mtime >= mtimecmp
    0xbff8         mtime      4, 8  virtual time / 100 ns, plus what the guest added by writing it
"""

from __future__ import annotations

from rrdbg_core.devices.contract import BusFault, Device, DeviceState, array

HARTS = 1
MSIP, MTIP = 1 << 3, 1 << 7
TICK_NS = 100
_M64 = (1 << 64) - 1
MTIME = 0xBFF8
"""Where the timer is read."""
_MTIMECMP, _END = 0x4000, 0xC000
_NEVER_NS = 1 << 63


class ClintState(DeviceState):
    """State of the CLINT."""

    msip = array(1, HARTS, "Software interrupt of each hart")
    mtimecmp = array(64, HARTS, "Timer compare of each hart")
    mtip = array(1, HARTS, "Timer interrupt of each hart: mtime had reached mtimecmp when that was looked at last")
    deadline = array(64, HARTS, "Timer of each hart: 0 for off, else when mtime reaches mtimecmp, virtual ns plus one")


class Clint(Device):
    """The core-local interruptor."""

    State = ClintState
    state: ClintState
    MIP_BITS = MSIP | MTIP
    mmio_size = 0x10000
    access_sizes = (4, 8)
    exercises = (((MTIME, 8, 0), (_MTIMECMP, 8, 3)), ((_MTIMECMP, 8, 1 << 40),))

    def reset(self) -> None:
        self.state.msip.clear()
        self.board.set_mtime(0)
        self._compare()

    def read(self, offset: int, size: int) -> int:
        state = self.state
        if offset < _MTIMECMP:
            if size != 4:
                raise BusFault
            if offset // 4 < HARTS:
                return state.msip[offset // 4]
        elif offset < _END:
            if offset < _MTIMECMP + 8 * HARTS:
                return _part(state.mtimecmp[(offset - _MTIMECMP) // 8], offset, size)
            if offset >= MTIME:
                return _part(self.board.mtime(), offset, size)
        else:
            raise BusFault
        self.board.guest_error(self, f"read of {size} bytes at 0x{offset:x}: nothing there")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if offset < _MTIMECMP:
            if size != 4:
                raise BusFault
            if offset // 4 < HARTS:
                state.msip[offset // 4] = value & 1
                self.board.update_irq(self)
                return
        elif offset < _END:
            if offset < _MTIMECMP + 8 * HARTS:
                hart = (offset - _MTIMECMP) // 8
                state.mtimecmp[hart] = _merge(state.mtimecmp[hart], offset, size, value)
                self._compare()
                return
            if offset >= MTIME:
                self.board.set_mtime(_merge(self.board.mtime(), offset, size, value))
                self._compare()
                return
        else:
            raise BusFault
        self.board.guest_error(self, f"write of {size} bytes at 0x{offset:x}: nothing there")

    def _compare(self) -> None:
        """Raise or lower the timer interrupts, and start the timers."""
        state = self.state
        ticks = self.board.virtual_ns() // TICK_NS
        now = self.board.mtime()
        for hart, compare in enumerate(state.mtimecmp):
            due_ns = (ticks + compare - now) * TICK_NS
            state.mtip[hart] = int(compare <= now)
            state.deadline[hart] = due_ns + 1 if compare > now and due_ns < _NEVER_NS else 0
        self.board.update_irq(self)

    def mip(self, hart: int) -> int:
        """Return the interrupt lines of a hart as mip bits."""
        state = self.state
        return (MSIP if state.msip[hart] else 0) | (MTIP if state.mtip[hart] else 0)

    def next_deadline_ns(self) -> int | None:
        first = 0
        for deadline in self.state.deadline:
            if deadline and (not first or deadline < first):
                first = deadline
        return first - 1 if first else None

    def on_deadline(self) -> None:
        state, now_ns = self.state, self.board.virtual_ns()
        for hart, deadline in enumerate(state.deadline):
            if deadline and deadline <= now_ns + 1:
                state.mtip[hart], state.deadline[hart] = 1, 0
        self.board.update_irq(self)


def _part(value: int, offset: int, size: int) -> int:
    """Return the half of a register that an access reads, or all of it."""
    return value >> 8 * (offset % 8) & (1 << 8 * size) - 1


def _merge(old: int, offset: int, size: int, value: int) -> int:
    """Return `old` with the half that an access writes replaced, or all of it."""
    shift, mask = 8 * (offset % 8), (1 << 8 * size) - 1
    return (old & ~(mask << shift) | (value & mask) << shift) & _M64
