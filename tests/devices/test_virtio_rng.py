"""The entropy device: rings, requests under way, and drivers that get it wrong."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from rrdbg_core.devices.virtio_rng import MAX_REQUEST, VirtioRng
from rrdbg_core.machine.conformance.bench import RAM_BASE, RAM_BYTES, BenchBoard

DESC, AVAIL, USED, BUFFERS = RAM_BASE + 0x1000, RAM_BASE + 0x2000, RAM_BASE + 0x3000, RAM_BASE + 0x8000
STATUS_LIVE, NEEDS_RESET = 15, 64
WRITE, NEXT, INDIRECT = 2, 1, 4


class Driver:
    """A guest's driver, as far as the tests need one."""

    def __init__(self, num: int = 8) -> None:
        self.board = BenchBoard()
        self.rng = VirtioRng("rng", self.board)
        self.rng.bind(np.zeros(self.rng.state.size, np.uint64))
        self.num = num
        self.index = 0

    def start(self, status: int = STATUS_LIVE) -> None:
        for offset, value in ((0x70, 0), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, 0), (0x38, self.num)):
            self.rng.write(offset, 4, value)
        for offset, address in ((0x80, DESC), (0x90, AVAIL), (0xA0, USED)):
            self.rng.write(offset, 4, address & 0xFFFF_FFFF)
            self.rng.write(offset + 4, 4, address >> 32)
        self.rng.write(0x44, 4, 1)
        self.rng.write(0x70, 4, status)

    def poke(self, address: int, form: str, *values: int) -> None:
        data = struct.pack(form, *values)
        self.board.ram[address - RAM_BASE : address - RAM_BASE + len(data)] = data

    def peek(self, address: int, size: int) -> bytes:
        return bytes(self.board.ram[address - RAM_BASE : address - RAM_BASE + size])

    def describe(self, number: int, address: int, size: int, flags: int = WRITE, after: int = 0) -> None:
        self.poke(DESC + 16 * number, "<QIHH", address, size, flags, after)

    def offer(self, head: int) -> None:
        self.poke(AVAIL + 4 + 2 * (self.index % self.num), "<H", head)
        self.index += 1
        self.poke(AVAIL + 2, "<H", self.index)

    def notify(self) -> None:
        self.rng.write(0x50, 4, 0)

    def used(self) -> list[tuple[int, int]]:
        (count,) = struct.unpack("<H", self.peek(USED + 2, 2))
        return [struct.unpack("<II", self.peek(USED + 4 + 8 * (n % self.num), 8)) for n in range(count)]  # type: ignore[misc]

    def host_answers(self, payload: bytes) -> None:
        name, oneshot, _ = self.board.pending.pop(0)
        assert not oneshot
        self.rng.bottom_half(name, payload)

    def errors(self) -> list[object]:
        return [entry[1] for entry in self.board.said if entry[0] == "guest_error"]


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_a_buffer_is_filled_and_the_driver_interrupted(driver: Driver) -> None:
    driver.start()
    driver.describe(3, BUFFERS, 16)
    driver.offer(3)
    driver.notify()
    assert driver.board.pending == [("entropy", False, struct.pack("<I", 16))]
    assert driver.used() == []
    driver.host_answers(bytes(range(16)))
    assert driver.peek(BUFFERS, 17) == bytes(range(16)) + b"\0"
    assert driver.used() == [(3, 16)]
    assert driver.rng.irq_level()
    assert driver.rng.read(0x60, 4) == 1
    driver.rng.write(0x64, 4, 1)
    assert not driver.rng.irq_level()


def test_buffers_are_served_one_after_the_other(driver: Driver) -> None:
    driver.start()
    for number in range(5):
        driver.describe(number, BUFFERS + 64 * number, 4 + number)
        driver.offer(number)
    driver.notify()
    for number in range(5):
        assert len(driver.board.pending) == 1
        driver.host_answers(bytes([number]) * 64)
    assert driver.used() == [(number, 4 + number) for number in range(5)]
    assert driver.peek(BUFFERS + 64 * 4, 9) == b"\4" * 8 + b"\0"


def test_the_ring_wraps(driver: Driver) -> None:
    driver.start()
    for turn in range(20):
        driver.describe(turn % 8, BUFFERS, 4)
        driver.offer(turn % 8)
        driver.notify()
        driver.host_answers(b"abcd")
    assert driver.rng.state.used_index[0] == driver.rng.state.last_avail[0] == 20
    assert struct.unpack("<H", driver.peek(USED + 2, 2)) == (20,)


def test_what_was_offered_before_the_driver_was_ready_counts(driver: Driver) -> None:
    driver.start(status=11)
    driver.describe(0, BUFFERS, 8)
    driver.offer(0)
    driver.notify()
    assert driver.board.pending == []
    driver.rng.write(0x70, 4, STATUS_LIVE)
    assert len(driver.board.pending) == 1


def test_a_long_buffer_is_filled_in_part(driver: Driver) -> None:
    driver.start()
    driver.describe(0, BUFFERS, 0x10000)
    driver.offer(0)
    driver.notify()
    driver.host_answers(b"x" * 0x10000)
    assert driver.used() == [(0, MAX_REQUEST)]


def test_a_chain_without_room_is_given_back_empty(driver: Driver) -> None:
    driver.start()
    driver.describe(0, BUFFERS, 8, flags=NEXT, after=1)
    driver.describe(1, BUFFERS, 8, flags=0)
    driver.offer(0)
    driver.notify()
    assert driver.board.pending == []
    assert driver.used() == [(0, 0)]


def test_a_driver_that_wants_no_interrupt_gets_none(driver: Driver) -> None:
    driver.start()
    driver.poke(AVAIL, "<H", 1)
    driver.describe(0, BUFFERS, 4)
    driver.offer(0)
    driver.notify()
    driver.host_answers(b"abcd")
    assert driver.used() == [(0, 4)]
    assert not driver.rng.irq_level()


def test_an_answer_after_a_reset_is_dropped(driver: Driver) -> None:
    driver.start()
    driver.describe(0, BUFFERS, 4)
    driver.offer(0)
    driver.notify()
    driver.rng.write(0x70, 4, 0)
    driver.host_answers(b"abcd")
    assert driver.peek(BUFFERS, 4) == bytes(4)
    assert driver.rng.read(0x70, 4) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loop", "has a loop"),
        ("descriptor", "descriptor 9 of 8"),
        ("indirect", "indirect"),
        ("overrun", "chains wait in a ring of 8"),
        ("outside", "outside RAM"),
    ],
)
def test_a_broken_ring_ends_the_service_until_a_reset(driver: Driver, name: str, text: str) -> None:
    driver.start()
    driver.describe(0, BUFFERS, 4)
    match name:
        case "loop":
            driver.describe(0, BUFFERS, 4, flags=NEXT, after=0)
            driver.offer(0)
        case "descriptor":
            driver.offer(9)
        case "indirect":
            driver.describe(0, BUFFERS, 4, flags=INDIRECT)
            driver.offer(0)
        case "overrun":
            driver.poke(AVAIL + 2, "<H", 9)
        case "outside":
            driver.rng.write(0x94, 4, 0x1234)
    driver.notify()
    assert any(text in str(error) for error in driver.errors())
    assert driver.rng.read(0x70, 4) & NEEDS_RESET
    assert driver.rng.read(0x60, 4) == 2
    # the bit stays whatever the driver writes, and nothing is served
    driver.rng.write(0x70, 4, STATUS_LIVE)
    assert driver.rng.read(0x70, 4) & NEEDS_RESET
    driver.notify()
    assert driver.board.pending == []
    driver.index = 0
    driver.poke(AVAIL + 2, "<H", 0)
    driver.start()
    driver.describe(1, BUFFERS, 4)
    driver.offer(1)
    driver.notify()
    assert len(driver.board.pending) == 1


def test_a_buffer_outside_ram_is_a_guest_error(driver: Driver) -> None:
    driver.start()
    driver.describe(0, RAM_BASE + RAM_BYTES - 2, 4)
    driver.offer(0)
    driver.notify()
    driver.host_answers(b"abcd")
    assert any("outside RAM" in str(error) for error in driver.errors())
    assert driver.used() == [(0, 0)]


def test_features_that_were_not_offered_are_refused(driver: Driver) -> None:
    driver.rng.write(0x70, 4, 3)
    driver.rng.write(0x20, 4, 1 << 28)
    driver.rng.write(0x24, 4, 1)
    driver.rng.write(0x20, 4, 1)
    driver.rng.write(0x70, 4, 11)
    assert driver.rng.read(0x70, 4) == 3
