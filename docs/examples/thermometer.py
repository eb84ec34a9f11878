"""A thermometer that measures something of the host: an example of a device of one's own.

Its back end measures the load of the host, which no replay could measure again: what the guest saw comes from the
journal. docs/devices.md walks through this file.

    0x00  CONTROL   bit 0: measure now (reads as 0); bit 1: measure periodically
    0x04  PERIOD    virtual microseconds between measurements
    0x08  VALUE     last measurement, in thousandths
    0x0c  STATUS    bit 0: there is a new value, which interrupts; bit 1: a measurement is under way
                    write 1 to bit 0: acknowledge
    0x10  COUNT     measurements since reset
"""

from __future__ import annotations

import os

from rrdbg_core.devices.backend import Backend
from rrdbg_core.devices.contract import Device, DeviceState, field, flag, timer

MEASURE, PERIODIC = 1, 2
NEW, BUSY = 1, 2


def measure(number: int, request: bytes) -> bytes:
    """Measure: this part runs on the host, while a guest is recorded, and never in a replay."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        load = 0.0
    return int(load * 1000).to_bytes(4, "little")


class ThermometerState(DeviceState):
    """All that the thermometer remembers."""

    periodic = flag("Measures by itself")
    period_us = field(32, "Virtual time between measurements", reset=1000)
    next_ns = timer("The next measurement")
    busy = flag("A measurement is under way")
    value = field(32, "Last measurement")
    new = flag("The value was not acknowledged yet")
    count = field(32, "Measurements since reset")


class Thermometer(Device):
    """The thermometer."""

    State = ThermometerState
    state: ThermometerState
    mmio_size = 0x20
    access_sizes = (4,)
    bottom_halves = ("measure",)
    backends = {"measure": Backend(measure, live=True)}  # noqa: RUF012  (nobody changes it)
    exercises = (((0x04, 4, 50), (0x00, 4, PERIODIC)), ((0x00, 4, MEASURE),), ((0x0C, 4, NEW),))

    def read(self, offset: int, size: int) -> int:
        state = self.state
        match offset:
            case 0x00:
                return state.periodic * PERIODIC
            case 0x04:
                return state.period_us
            case 0x08:
                return state.value
            case 0x0C:
                return state.new * NEW | state.busy * BUSY
            case 0x10:
                return state.count
        self.board.guest_error(self, f"read at 0x{offset:x}: nothing there")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        match offset:
            case 0x00:
                if value & MEASURE:
                    self._measure()
                state.periodic = int(value & PERIODIC != 0)
                self._start_timer()
            case 0x04:
                state.period_us = max(value, 1)
            case 0x0C:
                if value & NEW:
                    state.new = 0
                    self.board.update_irq(self)
            case _:
                self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")

    def _start_timer(self) -> None:
        # a timer field holds the deadline plus one, so that 0 is off
        state = self.state
        state.next_ns = self.board.virtual_ns() + 1000 * state.period_us + 1 if state.periodic else 0

    def _measure(self) -> None:
        self.state.busy = 1
        self.board.schedule_bh_event(self, "measure")

    def irq_level(self) -> bool:
        return bool(self.state.new)

    def next_deadline_ns(self) -> int | None:
        return self.state.next_ns - 1 if self.state.next_ns else None

    def on_deadline(self) -> None:
        self._measure()
        self._start_timer()

    def bottom_half(self, name: str, payload: bytes) -> None:
        state = self.state
        if not state.busy:
            return  # reset in the meantime: nobody wants it any more
        state.busy = 0
        state.value = int.from_bytes(payload[:4], "little")
        state.count += 1
        state.new = 1
        self.board.update_irq(self)
