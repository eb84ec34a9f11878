"""A driver of split virtqueues in plain Python, written from virtio 1.2 sections 2.7 and 4.2 alone.

It drives a device through its registers, and through the memory of a bench's board.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rrdbg_core.devices.virtio_mmio import VirtioMmio
from rrdbg_core.machine.conformance.bench import RAM_BASE, RAM_BYTES, BenchBoard

NEXT, WRITE, INDIRECT = 1, 2, 4
VERSION_1, EVENT_IDX, INDIRECT_DESC = 1 << 32, 1 << 29, 1 << 28
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64
SCRATCH = RAM_BASE + 0x4_0000
"""Where buffers and indirect tables go."""


@dataclass
class Segment:
    """One buffer of a request."""

    size: int
    writable: bool
    address: int = 0


@dataclass
class Queue:
    """A queue as its driver sees it."""

    number: int
    size: int
    base: int
    avail_index: int = 0
    used_seen: int = 0
    free: list[int] = field(default_factory=list)
    chains: dict[int, int] = field(default_factory=dict)
    """Descriptors of each chain under way, by its head."""

    @property
    def avail(self) -> int:
        return self.base + 16 * self.size

    @property
    def used(self) -> int:
        end = self.avail + 6 + 2 * self.size
        return end + -end % 4


class Driver:
    """A driver of one device.

    Args:
        device: The device's class.
        features: What it takes, VERSION_1 aside.
        sizes: Entries of each queue.
        index: Where the indices of all rings stand.
    """

    def __init__(
        self,
        device: VirtioMmio,
        board: BenchBoard,
        *,
        features: int = 0,
        sizes: Sequence[int] = (8,),
        index: int = 0,
        seed: int = 0,
    ) -> None:
        self.board, self.device = board, device
        self.rng = random.Random(seed)
        self.features = features
        self.queues = [
            Queue(n, size, RAM_BASE + 0x8000 * (n + 1), index, index, list(range(size))) for n, size in enumerate(sizes)
        ]
        self._scratch = SCRATCH
        self.kicks = 0
        device.bind(np.zeros(device.state.size, np.uint64))

    # ---- registers ---------------------------------------------------------------------------------------------------
    def read(self, offset: int) -> int:
        return self.device.read(offset, 4)

    def write(self, offset: int, value: int) -> None:
        self.device.write(offset, 4, value)

    def offered(self) -> int:
        halves = []
        for half in (0, 1):
            self.write(0x14, half)
            halves.append(self.read(0x10))
        return halves[0] | halves[1] << 32

    def negotiate(self, features: int) -> bool:
        self.write(0x70, 0)
        self.write(0x70, ACKNOWLEDGE)
        self.write(0x70, ACKNOWLEDGE | DRIVER)
        for half in (0, 1):
            self.write(0x24, half)
            self.write(0x20, features >> 32 * half & 0xFFFF_FFFF)
        self.write(0x70, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        return bool(self.read(0x70) & FEATURES_OK)

    def restart(self) -> None:
        """Begin anew after the device has given up, or was reset."""
        for queue in self.queues:
            queue.avail_index = queue.used_seen = 0
            queue.free, queue.chains = list(range(queue.size)), {}
        self.start()

    def start(self) -> None:
        """Negotiate, set up the queues, go."""
        assert self.negotiate(self.features | VERSION_1)
        for queue in self.queues:
            self.write(0x30, queue.number)
            assert self.read(0x34) >= queue.size
            self.write(0x38, queue.size)
            for offset, address in ((0x80, queue.base), (0x90, queue.avail), (0xA0, queue.used)):
                self.write(offset, address & 0xFFFF_FFFF)
                self.write(offset + 4, address >> 32)
            self.poke(queue.avail, "<HH", 0, queue.avail_index)
            self.poke(queue.used, "<HH", 0, queue.used_seen)
            self.poke(queue.used + 4 + 8 * queue.size, "<H", queue.avail_index)
            # the device counts from 0 after a reset: as if this many chains had gone through
            self.device.state.last_avail[queue.number] = queue.avail_index
            self.device.state.used_index[queue.number] = queue.used_seen
            self.write(0x44, 1)
        self.write(0x70, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

    # ---- memory ------------------------------------------------------------------------------------------------------
    def poke(self, address: int, form: str, *values: int) -> None:
        self.put(address, struct.pack(form, *values))

    def put(self, address: int, data: bytes) -> None:
        start = address - RAM_BASE
        assert 0 <= start <= RAM_BYTES - len(data)
        self.board.ram[start : start + len(data)] = data

    def get(self, address: int, size: int) -> bytes:
        return bytes(self.board.ram[address - RAM_BASE : address - RAM_BASE + size])

    def peek(self, address: int) -> int:
        return struct.unpack("<H", self.get(address, 2))[0]

    def room(self, size: int) -> int:
        """Return the address of some memory, at any alignment, that was not used for a while."""
        if self._scratch + size + 16 > RAM_BASE + RAM_BYTES:
            self._scratch = SCRATCH
        address = self._scratch + self.rng.randrange(8)
        self._scratch = address + size
        return address

    # ---- rings -------------------------------------------------------------------------------------------------------
    def offer(self, number: int, segments: Sequence[Segment], *, indirect: bool = False) -> int:
        """Make a chain available, and return its head. There must be descriptors left for it."""
        queue = self.queues[number]
        for segment in segments:
            segment.address = segment.address or self.room(segment.size)
        if indirect:
            count = len(segments)
            spare = self.rng.randrange(3)  # a table may have entries that no chain uses
            table = self.room(16 * (count + spare) + 16) + 15 & ~15
            places = self.rng.sample(range(1, count + spare), count - 1) if count > 1 else []
            self._describe(table, [0, *places], segments)
            head = queue.free.pop(self.rng.randrange(len(queue.free)))
            self.poke(queue.base + 16 * head, "<QIHH", table, 16 * (count + spare), INDIRECT, 0)
        else:
            places = [queue.free.pop(self.rng.randrange(len(queue.free))) for _ in segments]
            self._describe(queue.base, places, segments)
            head = places[0]
        queue.chains[head] = 1 if indirect else len(segments)
        self.poke(queue.avail + 4 + 2 * (queue.avail_index % queue.size), "<H", head)
        old, queue.avail_index = queue.avail_index, queue.avail_index + 1 & 0xFFFF
        self.poke(queue.avail + 2, "<H", queue.avail_index)
        if self._wants_kick(queue, old):
            self.kicks += 1
            self.write(0x50, number)
        return head

    def _describe(self, table: int, places: Sequence[int], segments: Sequence[Segment]) -> None:
        for n, (place, segment) in enumerate(zip(places, segments, strict=True)):
            more = n + 1 < len(segments)
            flags = WRITE * segment.writable | NEXT * more
            after = places[n + 1] if more else self.rng.getrandbits(16)
            self.poke(table + 16 * place, "<QIHH", segment.address, segment.size, flags, after)

    def _wants_kick(self, queue: Queue, old: int) -> bool:
        if self.features & EVENT_IDX:
            event = self.peek(queue.used + 4 + 8 * queue.size)
            return (queue.avail_index - event - 1 & 0xFFFF) < (queue.avail_index - old & 0xFFFF)
        return not self.peek(queue.used) & 1

    def quiet(self, number: int, event: int | None = None) -> None:
        """Ask for no interrupts, or with an event index for one about the used entry `event`."""
        queue = self.queues[number]
        if self.features & EVENT_IDX:
            assert event is not None
            self.poke(queue.avail + 4 + 2 * queue.size, "<H", event)
        else:
            self.poke(queue.avail, "<H", int(event is None))

    def taken_back(self, number: int) -> list[tuple[int, int]]:
        """Return what is new in the used ring: head and bytes written."""
        queue = self.queues[number]
        found = []
        while queue.used_seen != self.peek(queue.used + 2):
            head, size = struct.unpack("<II", self.get(queue.used + 4 + 8 * (queue.used_seen % queue.size), 8))
            queue.used_seen = queue.used_seen + 1 & 0xFFFF
            found.append((head, size))
            self._give_back(queue, head, queue.chains.pop(head))
        return found

    def _give_back(self, queue: Queue, head: int, count: int) -> None:
        place = head
        for _ in range(count):
            queue.free.append(place)
            place = self.peek(queue.base + 16 * place + 14)

    # ---- time --------------------------------------------------------------------------------------------------------
    def wait(self, ns: int) -> None:
        """Let virtual time pass."""
        self.board.now_ns += ns
        while (due := self.device.next_deadline_ns()) is not None and due <= self.board.now_ns:
            self.device.on_deadline()

    def settle(self) -> None:
        """Let time pass until the device has nothing to do."""
        while (due := self.device.next_deadline_ns()) is not None:
            self.wait(max(due - self.board.now_ns, 0))

    def errors(self) -> list[str]:
        return [str(entry[1]) for entry in self.board.said if entry[0] == "guest_error"]
