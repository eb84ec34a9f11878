"""Goldfish RTC: the date.

Matches QEMU's `virt` (hw/rtc/goldfish_rtc.c). The time is a base read once at power-on plus virtual time, hence
deterministic.

    0x00  TIME_LOW         reading latches the high half
    0x04  TIME_HIGH
    0x08  ALARM_LOW        writing arms the alarm with ALARM_HIGH
    0x0c  ALARM_HIGH
    0x10  IRQ_ENABLED
    0x14  CLEAR_ALARM
    0x18  ALARM_STATUS     1 while the alarm is armed
    0x1c  CLEAR_INTERRUPT
"""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState, field, flag

_M32 = 0xFFFF_FFFF


class GoldfishRtcState(DeviceState):
    """State of the RTC."""

    offset = field(64, "What writes of the time added to it, in ns")
    time_high = field(32, "High half, latched by a read of the low one")
    alarm = field(64, "Alarm time in ns since 1970")
    alarm_high = field(32, "High half of the alarm to come")
    alarm_armed = flag("The alarm is armed")
    irq_pending = flag("The alarm went off")
    irq_enabled = flag("The alarm interrupts")


class GoldfishRtc(Device):
    """The real-time clock."""

    State = GoldfishRtcState
    state: GoldfishRtcState
    mmio_size = 0x1000
    access_sizes = (4,)

    def _now(self) -> int:
        return self.board.rtc_ns() + self.state.offset & (1 << 64) - 1

    def read(self, offset: int, size: int) -> int:
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
        state = self.state
        match offset:
            case 0x00:
                state.offset += (self._now() & ~_M32 | value) - self._now()
            case 0x04:
                state.offset += (value << 32 | self._now() & _M32) - self._now()
            case 0x08:
                state.alarm = state.alarm_high << 32 | value
                if state.alarm <= self._now():
                    state.alarm_armed, state.irq_pending = 0, 1
                else:
                    state.alarm_armed = 1
            case 0x0C:
                state.alarm_high = value
            case 0x10:
                state.irq_enabled = value & 1
            case 0x14:
                state.alarm_armed = 0
            case 0x1C:
                state.irq_pending = 0
            case _:
                self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")
        self.board.update_irq(self)

    def irq_level(self) -> bool:
        return bool(self.state.irq_pending and self.state.irq_enabled)

    def next_deadline_ns(self) -> int | None:
        if not self.state.alarm_armed:
            return None
        return self.board.virtual_ns() + max(self.state.alarm - self._now(), 0)

    def on_deadline(self) -> None:
        if self.state.alarm_armed and self._now() >= self.state.alarm:
            self.state.alarm_armed, self.state.irq_pending = 0, 1
            self.board.update_irq(self)
