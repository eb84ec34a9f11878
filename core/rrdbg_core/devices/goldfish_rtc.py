"""Goldfish RTC: the date.

Matches QEMU's `virt` (hw/rtc/goldfish_rtc.c). The time is a base read once at power-on plus virtual time, hence
deterministic.

    0x00  TIME_LOW         reading latches the high half
    0x04  TIME_HIGH
    0x08  ALARM_LOW        writing arms the alarm
    0x0c  ALARM_HIGH
    0x10  IRQ_ENABLED
    0x14  CLEAR_ALARM
    0x18  ALARM_STATUS     1 while the alarm is armed
    0x1c  CLEAR_INTERRUPT

An access of eight bytes is two of four, the lower first.
"""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState, field, flag, timer

_M32, _M64 = 0xFFFF_FFFF, (1 << 64) - 1
_NEVER_NS = 1 << 63


class GoldfishRtcState(DeviceState):
    """State of the RTC."""

    offset = field(64, "What writes of the time added to it, in ns")
    time_high = field(32, "High half, latched by a read of the low one")
    alarm = field(64, "Alarm time in ns since 1970")
    alarm_armed = flag("The alarm is armed")
    alarm_timer = timer("When it goes off")
    irq_pending = flag("The alarm went off")
    irq_enabled = flag("The alarm interrupts")


class GoldfishRtc(Device):
    """The real-time clock."""

    State = GoldfishRtcState
    state: GoldfishRtcState
    mmio_size = 0x24
    access_sizes = (4, 8)
    exercises = (((0x04, 4, 0), (0x00, 4, 0), (0x10, 4, 1), (0x0C, 4, 0), (0x08, 4, 5000)), ((0x1C, 4, 0),))

    def reset(self) -> None:
        # as on QEMU, the time goes on
        state = self.state
        offset, time_high = state.offset, state.time_high
        state.reset()
        state.offset, state.time_high = offset, time_high

    def _now(self) -> int:
        return self.board.rtc_ns() + self.state.offset & _M64

    def read(self, offset: int, size: int) -> int:
        if size == 8:
            return self.read(offset, 4) | self.read(offset + 4, 4) << 32
        state = self.state
        match offset:
            case 0x00:
                now = self._now()
                state.time_high = now >> 32
                return now & _M32
            case 0x04:
                return state.time_high
            case 0x08:
                return state.alarm & _M32
            case 0x0C:
                return state.alarm >> 32
            case 0x10:
                return state.irq_enabled
            case 0x18:
                return state.alarm_armed
        self.board.guest_error(self, f"read at 0x{offset:x}: nothing there")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        if size == 8:
            self.write(offset, 4, value & _M32)
            self.write(offset + 4, 4, value >> 32)
            return
        state = self.state
        match offset:
            case 0x00:
                now = self._now()
                state.offset += (now & ~_M32 | value) - now
            case 0x04:
                now = self._now()
                state.offset += (value << 32 | now & _M32) - now
            case 0x08:
                state.alarm = state.alarm & ~_M32 | value
                self._arm()
            case 0x0C:
                state.alarm = value << 32 | state.alarm & _M32
            case 0x10:
                state.irq_enabled = value & 1
                self.board.update_irq(self)
            case 0x14:
                state.alarm_armed = state.alarm_timer = 0
            case 0x1C:
                state.irq_pending = 0
                self.board.update_irq(self)
            case _:
                self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")

    def _arm(self) -> None:
        """Start the timer of the alarm; as on QEMU, setting the time does not move it afterwards."""
        state = self.state
        left = state.alarm - self._now()
        if left <= 0:
            self.on_deadline()
            return
        due_ns = self.board.virtual_ns() + left
        state.alarm_armed = 1
        state.alarm_timer = due_ns + 1 if due_ns < _NEVER_NS else 0

    def irq_level(self) -> bool:
        return bool(self.state.irq_pending and self.state.irq_enabled)

    def next_deadline_ns(self) -> int | None:
        due = self.state.alarm_timer
        return due - 1 if due else None

    def on_deadline(self) -> None:
        self.state.alarm_armed = self.state.alarm_timer = 0
        self.state.irq_pending = 1
        self.board.update_irq(self)
