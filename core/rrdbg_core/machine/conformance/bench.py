"""A bench: one device alone on a board that remembers what it was asked, driven by traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rrdbg_core.devices.clint import TICK_NS
from rrdbg_core.devices.contract import BusFault, Device, Stored
from rrdbg_core.machine.conformance.answers import Answers
from rrdbg_core.machine.conformance.targets import Target
from rrdbg_core.machine.conformance.traffic import Op, What
from rrdbg_core.machine.objects import Objects

RAM_BASE, RAM_BYTES = 0x8000_0000, 1 << 20
RTC_BASE_NS = 1_700_000_000_000_000_000
MAX_CALLBACKS = 10_000
"""Calls of `on_deadline` while time passes once; more is an endless loop."""

Observation = tuple[object, ...]


class Undeclared(Exception):
    """A bottom half was scheduled that the device does not declare."""


class Stuck(Exception):
    """A deadline does not move on."""


class Impure(Exception):
    """A question changed something."""


def pattern_block(number: int) -> bytes | None:
    """Return a block of a medium in which no two are alike; every thirteenth cannot be read."""
    return None if number % 13 == 12 else number.to_bytes(8, "little") * 512


class BenchBoard:
    """A `Board` that does little and remembers everything."""

    def __init__(self) -> None:
        self.strict = False
        """Look whether questions change anything."""
        self.now_ns = 0
        self.time_offset = 0
        """What `set_mtime` added to the timer, in ticks."""
        self.ram = bytearray(RAM_BYTES)
        self.said: list[Observation] = []
        """What the device asked for since that was taken."""
        self.told_irq = False
        """The device said that its interrupt line may have changed."""
        self.pending: list[tuple[str, bool, bytes]] = []
        """Bottom halves that wait: name, oneshot, request."""
        self.reset_wanted = False
        self.objects = Objects(lambda name: None)
        """What the state refers to."""
        self.blocks: Callable[[int], bytes | None] = pattern_block
        """The medium."""

    def virtual_ns(self) -> int:
        """See `Board`."""
        return self.now_ns

    def rtc_ns(self) -> int:
        """See `Board`."""
        return RTC_BASE_NS + self.now_ns

    def mtime(self) -> int:
        """See `Board`."""
        return self.now_ns // TICK_NS + self.time_offset & (1 << 64) - 1

    def set_mtime(self, ticks: int) -> None:
        """See `Board`."""
        self.time_offset = ticks - self.now_ns // TICK_NS

    def update_irq(self, device: Device) -> None:
        """See `Board`."""
        self.told_irq = True
        self.said.append(("irq", self.ask(device, "irq_level")))

    def ask(self, device: Device, question: str) -> Any:
        """Return what `irq_level`, `next_deadline_ns` or `can_receive` says.

        Raises:
            Impure: If strict: it changes something, or says something else the next moment.
        """
        ask = getattr(device, question)
        if not self.strict:
            return ask()
        state, said = device.state, len(self.said)
        words = state.words.copy()
        first, second = ask(), ask()
        changed = state.words != words
        if changed.any():
            name = next(n for n, f in state.fields.items() if changed[f.offset : f.offset + f.count].any())
            raise Impure(f"{question} changes state.{name}")
        if first != second:
            raise Impure(f"{question} says {first!r}, then {second!r}")
        if len(self.said) != said:
            raise Impure(f"{question} asks the board for {self.said[-1][0]}")
        return first

    def _place(self, address: int, size: int) -> int:
        start = address - RAM_BASE
        if start < 0 or start + size > RAM_BYTES:
            raise BusFault
        return start

    def dma_read(self, address: int, size: int) -> bytes:
        """See `Board`."""
        start = self._place(address, size)
        return bytes(self.ram[start : start + size])

    def dma_write(self, address: int, data: bytes) -> None:
        """See `Board`."""
        start = self._place(address, len(data))
        self.ram[start : start + len(data)] = data
        self.said.append(("dma", address, data))

    def schedule_bh_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        if not any(entry[:2] == (name, False) for entry in self.pending):
            self._schedule(device, name, False, request)

    def schedule_bh_oneshot_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """See `Board`."""
        self._schedule(device, name, True, request)

    def _schedule(self, device: Device, name: str, oneshot: bool, request: bytes) -> None:
        if name not in device.bottom_halves:
            raise Undeclared(name)
        self.pending.append((name, oneshot, bytes(request)))
        self.said.append(("schedule", name, oneshot, bytes(request)))

    def store(self, data: bytes, parts: Sequence[bytes] = ()) -> bytes:
        """See `Board`."""
        name = self.objects.store(data, parts)
        self.said.append(("store", name))
        return name

    def load(self, name: bytes) -> Stored:
        """See `Board`."""
        return self.objects.load(name)

    def medium(self, device: Device, number: int) -> bytes | None:
        """See `Board`."""
        return self.blocks(number)

    def console_out(self, device: Device, data: bytes) -> None:
        """See `Board`."""
        self.said.append(("console", bytes(data)))

    def guest_error(self, device: Device, text: str) -> None:
        """See `Board`."""
        self.said.append(("guest_error", text))

    def power_off(self, exit_code: int) -> None:
        """See `Board`."""
        self.said.append(("power_off", exit_code))

    def request_reset(self) -> None:
        """See `Board`."""
        self.said.append(("reset",))
        self.reset_wanted = True


class Bench:
    """A device and its board."""

    def __init__(self, target: Target, answers: Answers) -> None:
        self._answers = answers
        self.board = BenchBoard()
        self.device = target.kind(target.name, self.board)
        self.words: npt.NDArray[np.uint64] = np.zeros(self.device.state.size, np.uint64)
        self.device.bind(self.words)
        self._numbers: dict[str, int] = {}
        self.device.reset()
        self.board.said.clear()

    def moved(self, target: Target) -> Bench:
        """Return a new bench with a new device in the same state: what a snapshot and its restore do."""
        other = Bench(target, self._answers)
        old, new = self.board, other.board
        new.now_ns, new.time_offset = old.now_ns, old.time_offset
        new.ram[:], new.pending = old.ram, list(old.pending)
        new.objects, new.blocks = old.objects, old.blocks
        other._numbers = dict(self._numbers)
        other.words[:] = self.words
        return other

    def run(self, ops: Sequence[Op]) -> list[Observation]:
        """Do some traffic and return what was to be seen, one observation for each happening."""
        return [self.do(op) for op in ops]

    def do(self, op: Op) -> Observation:
        """Do one happening, and what is due then; return what was to be seen."""
        answer = self._act(op)
        self._serve_deadlines(self.board.now_ns)
        if self.board.reset_wanted:
            self._reset()
        device, board = self.device, self.board
        said = tuple(board.said)
        board.said.clear()
        irq, due_ns, room = (board.ask(device, q) for q in ("irq_level", "next_deadline_ns", "can_receive"))
        return answer, said, irq, due_ns, room

    def _act(self, op: Op) -> object:
        device, board = self.device, self.board
        try:
            match op.what:
                case What.READ:
                    return int(device.read(op.offset, op.size)) & (1 << 8 * op.size) - 1
                case What.WRITE:
                    device.write(op.offset, op.size, op.value)
                case What.STORE:
                    start = op.offset - RAM_BASE
                    board.ram[start : start + op.size] = op.value.to_bytes(op.size, "little")
                case What.ADVANCE:
                    self._advance(op.value)
                case What.RECEIVE:
                    room = board.ask(device, "can_receive")
                    if room:
                        device.receive(op.data[:room])
                case What.COMPLETE:
                    self._complete(op.value)
                case What.RESET:
                    self._reset()
        except BusFault:
            return "fault"
        return None

    def _reset(self) -> None:
        self.board.reset_wanted = False
        self.board.pending.clear()
        self.device.reset()

    def _complete(self, seed: int) -> None:
        if not self.board.pending:
            return
        name, _, request = self.board.pending[0]
        number = self._numbers.get(name, 0)
        payload = self._answers.get(type(self.device), name, number, request, seed)
        if payload is None:
            return
        self._numbers[name] = number + 1
        self.board.pending.pop(0)
        self.device.bottom_half(name, payload)

    def _advance(self, ns: int) -> None:
        goal_ns = self.board.now_ns + ns
        self._serve_deadlines(goal_ns)
        self.board.now_ns = goal_ns

    def _serve_deadlines(self, goal_ns: int) -> None:
        for _ in range(MAX_CALLBACKS):
            due_ns = self.board.ask(self.device, "next_deadline_ns")
            if due_ns is None or due_ns > goal_ns:
                return
            self.board.now_ns = max(self.board.now_ns, due_ns)
            self.device.on_deadline()
            after_ns = self.board.ask(self.device, "next_deadline_ns")
            if after_ns is not None and after_ns <= self.board.now_ns:
                raise Stuck(
                    f"the deadline at {due_ns} ns is followed by one at {after_ns} ns, which has passed already"
                )
        raise Stuck(f"on_deadline was called {MAX_CALLBACKS} times within {goal_ns} ns")
