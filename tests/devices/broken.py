"""A device that keeps the contract, and one for each way to break it, named after the check that has to find it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from rrdbg_core.devices.backend import Backend
from rrdbg_core.devices.contract import Board, BusFault, Device, DeviceState, array, field, flag, timer


class GoodState(DeviceState):
    """State of the device."""

    value = field(32, "What was written last")
    ring = array(16, 4, "What was written before")
    pending = flag("The interrupt line")
    alarm = timer("When the line rises")
    asked = flag("A request is under way")
    answer = field(16, "What the host said last")


class Good(Device):
    """Keeps the contract.

    0x00  value    0x04  alarm, in ns from now    0x08  acknowledge    0x0c  ask the host    0x10  ring
    """

    State = GoodState
    state: GoodState
    mmio_size = 0x20
    access_sizes = (1, 4)
    bottom_halves = ("answer",)
    backends: ClassVar[Mapping[str, Backend]] = {"answer": Backend(lambda number, request: request[::-1])}
    exercises = (((0x04, 4, 100),), ((0x0C, 4, 0x1234),), ((0x08, 4, 0),))

    def read(self, offset: int, size: int) -> int:
        state = self.state
        match offset:
            case 0x00:
                return state.value
            case 0x08:
                return state.pending
            case 0x0C:
                return state.answer
            case 0x10 | 0x14 | 0x18 | 0x1C:
                return state.ring[(offset - 0x10) // 4]
        raise BusFault

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        match offset:
            case 0x00:
                state.ring[1:] = state.ring[:3]
                state.ring[0] = state.value
                state.value = value
            case 0x04:
                state.alarm = self.board.virtual_ns() + value % 1_000_000 + 1
            case 0x08:
                state.pending = 0
                self.board.update_irq(self)
            case 0x0C:
                state.asked = 1
                self.board.schedule_bh_event(self, "answer", value.to_bytes(4, "little")[:2])
            case _:
                self.board.guest_error(self, f"write at 0x{offset:x}")

    def irq_level(self) -> bool:
        return bool(self.state.pending)

    def next_deadline_ns(self) -> int | None:
        return self.state.alarm - 1 if self.state.alarm else None

    def on_deadline(self) -> None:
        self.state.alarm = 0
        self.state.pending = 1
        self.board.update_irq(self)

    def bottom_half(self, name: str, payload: bytes) -> None:
        if not self.state.asked:
            return
        self.state.asked = 0
        self.state.answer = int.from_bytes(payload[:2], "little")


class Declaration(Good):
    """A size that no bus has."""

    access_sizes = (3, 4)


class Exceptions(Good):
    """Fails on what no driver does."""

    def read(self, offset: int, size: int) -> int:
        return {0: 1, 4: 2}[offset] if offset < 0x10 and size == 1 and offset % 4 == 3 else super().read(offset, size)


class BottomHalves(Good):
    """Schedules what it does not declare."""

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 0x0C:
            self.board.schedule_bh_oneshot_event(self, "reply")


class LateAnswer(Good):
    """Believes that a bottom half comes only while it waits."""

    def bottom_half(self, name: str, payload: bytes) -> None:
        assert self.state.asked, "nobody asked"
        super().bottom_half(name, payload)


class Deadline(Good):
    """Computes its deadline from the clock: it never comes."""

    def next_deadline_ns(self) -> int | None:
        return self.board.virtual_ns() + 1000 if self.state.alarm else None


class StuckDeadline(Good):
    """Forgets to turn its timer off."""

    def on_deadline(self) -> None:
        self.state.pending = 1
        self.board.update_irq(self)


class Queries(Good):
    """Acknowledges its interrupt where it is only asked for it."""

    def irq_level(self) -> bool:
        level = bool(self.state.pending)
        self.state.pending = 0
        return level


class IrqTold(Good):
    """Raises its line in silence."""

    def on_deadline(self) -> None:
        self.state.alarm = 0
        self.state.pending = 1


class Schema(Good):
    """Counts in an attribute."""

    def __init__(self, name: str, board: Board) -> None:
        super().__init__(name, board)
        self.reads = 0

    def read(self, offset: int, size: int) -> int:
        self.reads += 1
        return self.reads if offset == 0x1C else super().read(offset, size)


_seen: dict[int, int] = {}


class ModuleSchema(Good):
    """Counts in its module."""

    def write(self, offset: int, size: int, value: int) -> None:
        _seen[offset] = _seen.get(offset, 0) + 1
        super().write(offset, size, value)


class Width(Good):
    """Writes past its fields."""

    def write(self, offset: int, size: int, value: int) -> None:
        super().write(offset, size, value)
        if offset == 0x00:
            self.state.words[self.State.fields["answer"].offset] = value & 0xF_FFFF


class Host(Good):
    """Reads the host's clock."""

    def read(self, offset: int, size: int) -> int:
        return time.time_ns() & 0xFF if offset == 0x1C else super().read(offset, size)


class HostRandom(Good):
    """Uses the host's randomness."""

    def write(self, offset: int, size: int, value: int) -> None:
        super().write(offset, size, value)
        if offset == 0x00:
            self.state.value = random.getrandbits(32)


class HostEntropy(Good):
    """Uses the host's entropy."""

    def read(self, offset: int, size: int) -> int:
        return os.urandom(1)[0] if offset == 0x1C else super().read(offset, size)


class HostFile(Good):
    """Reads a file."""

    def read(self, offset: int, size: int) -> int:
        return len(Path(os.devnull).read_bytes()) if offset == 0x1C else super().read(offset, size)


class Determinism(Good):
    """Shows where Python put it."""

    def read(self, offset: int, size: int) -> int:
        return id(self.state) >> 4 & 0xFFFF if offset == 0x1C else super().read(offset, size)


class HashSeed(Good):
    """Uses a hash that each process draws anew."""

    def read(self, offset: int, size: int) -> int:
        return hash("sensor") & 0xFFFF if offset == 0x1C else super().read(offset, size)


class SaveRestore(Good):
    """Remembers in a generator, where no schema and no look at attributes reaches."""

    def __init__(self, name: str, board: Board) -> None:
        super().__init__(name, board)
        self._numbers = self._count()

    @staticmethod
    def _count() -> Iterator[int]:
        number = 0
        while True:
            number += 1
            yield number

    def read(self, offset: int, size: int) -> int:
        return next(self._numbers) & 0xFF if offset == 0x1C else super().read(offset, size)


class RecordReplay(Good):
    """Does something else in a replay."""

    def read(self, offset: int, size: int) -> int:
        replays = type(getattr(self.board, "source", None)).__name__ == "ReplaySource"
        return 1 if offset == 0x1C and replays else super().read(offset, size)


class Pauses(SaveRestore):
    """Remembers in a generator, but only where it sits in a whole machine."""

    def read(self, offset: int, size: int) -> int:
        return super().read(offset if hasattr(self.board, "devices") else 0, size)
