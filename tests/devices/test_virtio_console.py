"""The console device: output, input into buffers of any shape, and drivers that get it wrong."""

from __future__ import annotations

import random

import pytest
from rrdbg_core.devices.virtio_console import MAX_INPUT_BYTES, MAX_OUTPUT_BYTES, VirtioConsole
from rrdbg_core.machine.conformance.bench import RAM_BASE, RAM_BYTES, BenchBoard

from tests.devices.ring import EVENT_IDX, INDIRECT_DESC, NEEDS_RESET, VERSION_1, Driver, Segment

RECEIVE, TRANSMIT = 0, 1


def make(features: int = 0, *, index: int = 0, seed: int = 0) -> Driver:
    board = BenchBoard()
    device = VirtioConsole("console", board)
    driver = Driver(device, board, features=features, sizes=(8, 8), index=index, seed=seed)
    driver.start()
    return driver


def printed(driver: Driver) -> bytes:
    return b"".join(bytes(entry[1]) for entry in driver.board.said if entry[0] == "console")  # type: ignore[call-overload]


@pytest.mark.parametrize("index", [0, 0xFFF8])
@pytest.mark.parametrize("features", [0, INDIRECT_DESC, EVENT_IDX, INDIRECT_DESC | EVENT_IDX])
def test_what_is_sent_is_printed_and_what_is_typed_arrives(features: int, index: int) -> None:
    rng = random.Random(features + index)
    driver = make(features, index=index, seed=3)
    device, said, sent, got, typed = driver.device, b"", b"", b"", b""
    buffers: dict[int, list[Segment]] = {}
    for turn in range(400):
        room = device.can_receive()
        if room and rng.random() < 0.5:
            data = rng.randbytes(rng.randint(1, room))
            device.receive(data)
            typed += data
        elif rng.random() < 0.5 and len(driver.queues[RECEIVE].free) > 2:
            some = [Segment(rng.choice((0, 1, 7, 100)), True) for _ in range(rng.randrange(1, 3))]
            buffers[driver.offer(RECEIVE, some, indirect=bool(features & INDIRECT_DESC) and rng.random() < 0.5)] = some
        elif len(driver.queues[TRANSMIT].free) > 2:
            data = b"%d " % turn * rng.randrange(1, 30)
            cut = rng.randrange(len(data) + 1)
            some = [Segment(cut, False), Segment(len(data) - cut, False)]
            for segment, part in zip(some, (data[:cut], data[cut:]), strict=True):
                segment.address = driver.room(segment.size)
                driver.put(segment.address, part)
            driver.offer(TRANSMIT, some, indirect=bool(features & INDIRECT_DESC) and rng.random() < 0.5)
            sent += data
        for head, size in driver.taken_back(RECEIVE):
            whole = b"".join(driver.get(segment.address, segment.size) for segment in buffers.pop(head))
            got += whole[:size]
        driver.taken_back(TRANSMIT)
        said = printed(driver)
        assert said == sent
        assert got == typed
    assert len(typed) > 500
    assert not driver.read(0x70) & NEEDS_RESET


def test_there_is_room_when_the_driver_has_given_a_buffer() -> None:
    driver = make()
    device = driver.device
    assert device.can_receive() == 0
    driver.offer(RECEIVE, [Segment(5, True)])
    assert device.can_receive() == 5
    driver.offer(RECEIVE, [Segment(2 * MAX_INPUT_BYTES, True)])
    device.receive(b"abc")
    assert device.can_receive() == MAX_INPUT_BYTES
    assert driver.taken_back(RECEIVE)[0][1] == 3
    driver.write(0x70, 0)
    assert device.can_receive() == 0


def test_one_port_and_no_more() -> None:
    driver = make()
    assert driver.offered() == VERSION_1 | INDIRECT_DESC | EVENT_IDX
    assert driver.read(0x104) == 1


@pytest.mark.parametrize("queue", [RECEIVE, TRANSMIT])
def test_what_makes_no_sense_needs_a_reset(queue: int) -> None:
    driver = make()
    far = RAM_BASE + RAM_BYTES - 2
    driver.offer(RECEIVE, [Segment(9, True)])
    driver.offer(queue, [Segment(4, queue == RECEIVE, far)])
    if queue == RECEIVE:
        for data in (b"fits", b"gone"):
            driver.device.receive(data)
    assert any("outside RAM" in error for error in driver.errors())
    assert driver.read(0x70) & NEEDS_RESET
    assert driver.device.can_receive() == 0
    driver.restart()
    driver.offer(RECEIVE, [Segment(9, True)])
    assert driver.device.can_receive() == 9


def test_too_much_to_print() -> None:
    driver = make()
    driver.offer(TRANSMIT, [Segment(MAX_OUTPUT_BYTES + 1, False, RAM_BASE)])
    assert driver.read(0x70) & NEEDS_RESET
    assert printed(driver) == b""


@pytest.mark.parametrize("seed", range(4))
def test_garbage_in_the_rings(seed: int) -> None:
    rng = random.Random(seed)
    driver = make(INDIRECT_DESC | EVENT_IDX, seed=seed)
    for _ in range(500):
        queue = rng.choice(driver.queues)
        for place in range(8):
            address = rng.choice((RAM_BASE + rng.randrange(RAM_BYTES), queue.base, rng.getrandbits(64)))
            size = rng.choice((0, 1, 16, 32, 512, rng.getrandbits(32)))
            flags = rng.choice((0, 1, 2, 3, 4, 5, rng.getrandbits(16)))
            driver.poke(queue.base + 16 * place, "<QIHH", address, size, flags, rng.randrange(9))
        index = driver.device.state.last_avail[queue.number] + rng.choice((1, 1, 2, 8, 9)) & 0xFFFF  # type: ignore[attr-defined]
        driver.poke(queue.avail + 2, "<HH", index, rng.randrange(9))
        driver.write(0x50, queue.number)
        room = driver.device.can_receive()
        if room:
            driver.device.receive(rng.randbytes(rng.randint(1, room)))
        if driver.read(0x70) & NEEDS_RESET:
            driver.restart()
    driver.device.state.dump()
