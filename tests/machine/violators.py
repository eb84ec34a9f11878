"""Devices and back ends that break a rule of the determinism contract, one each, and one that breaks none."""

from __future__ import annotations

import itertools
import time

from rrdbg_core.devices.backend import Backend, Outside
from rrdbg_core.devices.contract import Board, Device, DeviceState, field, flag, timer

LATENCY_NS = 1500
"""Of the back ends, on the virtual clock."""


class SensorState(DeviceState):
    """State."""

    value = field(64, "What the host said last")
    count = field(32, "How often")
    beats = field(32, "Own timer")
    alarm = timer("When it beats next")
    line = flag("Interrupt")


class Sensor(Device):
    """0x0 ask and start, 0x8 value, 0x10 count, 0x18 beats. Keeps every rule."""

    State = SensorState
    state: SensorState
    mmio_size = 0x20
    access_sizes = (8,)
    bottom_halves = ("ask",)

    def read(self, offset: int, size: int) -> int:
        state = self.state
        return (0, state.value, state.count, state.beats)[offset // 8]

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 0:
            self.board.schedule_bh_event(self, "ask", value.to_bytes(8, "little"))
            if not self.state.alarm:
                self.state.alarm = self.board.virtual_ns() + 3001

    def next_deadline_ns(self) -> int | None:
        return self.state.alarm - 1 if self.state.alarm else None

    def on_deadline(self) -> None:
        self.state.beats += 1
        self.state.alarm += 3000

    def bottom_half(self, name: str, payload: bytes) -> None:
        self.state.count += 1
        self.state.value = int.from_bytes(payload[:8], "little")


class HostTimer(Sensor):
    """Breaks rule 2: its timer follows the host's clock."""

    def on_deadline(self) -> None:
        self.state.beats += 1
        self.state.alarm += 3000 + time.monotonic_ns() % 4096


class Forgetful(Sensor):
    """Breaks rule 6: a number that no snapshot has."""

    def __init__(self, name: str, board: Board) -> None:
        super().__init__(name, board)
        self.extra = 0

    def on_deadline(self) -> None:
        super().on_deadline()
        self.extra += 1

    def read(self, offset: int, size: int) -> int:
        return super().read(offset, size) + (self.extra if offset == 24 else 0)


class Reaching:
    """A back end that has got hold of the device."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.numbers = itertools.count(1)

    def plain(self) -> Backend:
        """Breaks rule 5: the answer goes around the payload."""

        def answer(number: int, request: bytes) -> bytes:
            self.device.state.words[0] = 1000 + number
            return b""

        return Backend(answer, latency_ns=LATENCY_NS)

    def external(self) -> Backend:
        """Breaks rule 4: an EXTERNAL timer changes the guest."""

        def start(outside: Outside) -> None:
            def beat() -> None:
                self.device.state.words[1] += 1
                outside.external_timer(outside.virtual_ns() + 5000, beat)

            outside.external_timer(5000, beat)

        return Backend(lambda number, request: b"\7", latency_ns=LATENCY_NS, start=start)


def honest() -> Backend:
    """A back end that keeps the rules: its answer is its payload."""
    return Backend(lambda number, request: (1000 + number).to_bytes(8, "little"), latency_ns=LATENCY_NS)


def honest_external() -> Backend:
    """A back end with an EXTERNAL timer that keeps to itself."""
    beats = itertools.count()

    def start(outside: Outside) -> None:
        def beat() -> None:
            next(beats)
            outside.external_timer(outside.virtual_ns() + 5000, beat)

        outside.external_timer(5000, beat)

    return Backend(lambda number, request: b"\7", latency_ns=LATENCY_NS, start=start)
