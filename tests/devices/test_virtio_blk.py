"""The block device: against a driver of its own and a model of the disk, and with drivers that get it wrong."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest
from rrdbg_core.devices.blocktree import BLOCK_BYTES, BlockTree
from rrdbg_core.devices.virtio_blk import LATENCY_NS, MAX_REQUEST_BYTES, Medium, VirtioBlk
from rrdbg_core.machine.conformance.bench import RAM_BASE, RAM_BYTES, BenchBoard
from rrdbg_core.machine.objects import Objects

from tests.devices.ring import (
    EVENT_IDX,
    INDIRECT,
    INDIRECT_DESC,
    NEEDS_RESET,
    NEXT,
    SCRATCH,
    VERSION_1,
    WRITE,
    Driver,
    Segment,
)

SECTOR = 512
SECTORS = 301
"""Neither a whole number of blocks nor of anything else."""
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IOERR, UNSUPP = 0, 1, 2
RO = 1 << 5
LOST = {7, 30}
"""Blocks of the image that cannot be read."""


def image(number: int) -> bytes | None:
    return None if number in LOST else random.Random(number).randbytes(BLOCK_BYTES)


@dataclass
class Disk:
    """The disk as it should be."""

    data: bytearray = field(default_factory=lambda: bytearray(b"".join(image(n) or bytes(4096) for n in range(38))))
    lost: set[int] = field(default_factory=lambda: set(LOST))

    def copy(self) -> Disk:
        return Disk(bytearray(self.data), set(self.lost))

    def read(self, sector: int, count: int) -> bytes | None:
        blocks = range(sector // 8, -(-(sector + count) // 8)) if count else range(0)
        return None if self.lost & set(blocks) else bytes(self.data[SECTOR * sector : SECTOR * (sector + count)])

    def write(self, sector: int, data: bytes) -> bool:
        """Write, unless the rest of a block is needed that cannot be read."""
        count = len(data) // SECTOR
        if not count:
            return True
        edges = {sector // 8} if sector % 8 else set()
        edges |= {(sector + count) // 8} if (sector + count) % 8 else set()
        if self.lost & edges:
            return False
        self.data[SECTOR * sector : SECTOR * (sector + count)] = data
        self.lost -= set(range(sector // 8, -(-(sector + count) // 8)))
        return True


def make(medium: Medium | None = None, **options: int) -> Driver:
    board = BenchBoard()
    board.blocks = image
    driver = Driver(VirtioBlk("disk", board, medium or Medium(SECTORS)), board, **options)  # type: ignore[arg-type]
    driver.start()
    return driver


def cut(rng: random.Random, size: int, writable: bool, most: int) -> list[Segment]:
    """Cut a buffer into pieces, at any byte."""
    places = sorted(rng.randrange(size + 1) for _ in range(rng.randrange(most)))
    return [Segment(b - a, writable) for a, b in zip([0, *places], [*places, size], strict=True)]


@dataclass
class Pending:
    segments: list[Segment]
    expect: int
    data: bytes | None


class Traffic:
    """Random requests, and what must come back."""

    def __init__(self, seed: int, features: int, size: int, index: int) -> None:
        self.rng = random.Random(seed)
        self.driver = make(features=features, sizes=[size], index=index, seed=seed)  # type: ignore[arg-type]
        self.size = size
        self.disk = Disk()
        self.waiting: dict[int, Pending] = {}
        self.order: list[int] = []

    def request(self) -> None:
        """Make a request, if there are descriptors for it."""
        rng, driver = self.rng, self.driver
        count = rng.choice((0, 1, 1, 2, 5, 8, 16, rng.randrange(40)))
        sector = rng.choice((rng.randrange(SECTORS), 8 * rng.randrange(SECTORS // 8), SECTORS - count))
        kind = rng.choice((IN, IN, IN, OUT, OUT, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES, 99))
        room, payload = 0, b""
        match kind:
            case 0:
                room = SECTOR * count + (rng.random() < 0.05)
            case 1:
                payload = rng.randbytes(SECTOR * count + (rng.random() < 0.05))
            case 8:
                room = rng.choice((20, 20, 7, 100))
            case 11 | 13:
                payload = struct.pack("<QII", sector, count, 0)
        indirect = bool(driver.features & INDIRECT_DESC) and rng.random() < 0.6
        head = struct.pack("<IIQ", kind, rng.getrandbits(32), sector)
        segments = cut(rng, len(head) + len(payload), False, 4) + cut(rng, room + 1, True, 4)
        if (1 if indirect else len(segments)) > len(driver.queues[0].free):
            return
        for segment in segments:
            segment.address = driver.room(segment.size)
        whole = head + payload
        for segment in segments:
            if not segment.writable:
                driver.put(segment.address, whole[: segment.size])
                whole = whole[segment.size :]
        place = driver.offer(0, segments, indirect=indirect)
        self.waiting[place] = Pending(segments, *self.outcome(kind, sector, count, room, payload))
        self.order.append(place)

    def outcome(self, kind: int, sector: int, count: int, room: int, payload: bytes) -> tuple[int, bytes | None]:
        """Return status and data; requests are carried out in order, so the model may run ahead."""
        disk = self.disk
        beyond = sector + count > SECTORS
        match kind:
            case 0:
                data = None if room % SECTOR or beyond else disk.read(sector, count)
                return (IOERR, None) if data is None else (OK, data)
            case 1:
                good = not (len(payload) % SECTOR or beyond) and disk.write(sector, payload)
                return (OK if good else IOERR), None
            case 4:
                return OK, None
            case 8:
                return OK, bytes(20)[:room]
            case 11 | 13:
                good = not beyond and disk.write(sector, bytes(SECTOR * count))
                return (OK if good else IOERR), None
        return UNSUPP, None

    def collect(self) -> None:
        """Compare what has come back with what must."""
        driver = self.driver
        for head, written in driver.taken_back(0):
            assert head == self.order.pop(0)
            pending = self.waiting.pop(head)
            got = b"".join(driver.get(s.address, s.size) for s in pending.segments if s.writable)
            assert got[-1] == pending.expect
            assert written == len(pending.data or b"") + 1
            if pending.data is not None:
                assert got[: len(pending.data)] == pending.data


@pytest.mark.parametrize("index", [0, 0xFFF0])
@pytest.mark.parametrize("size", [1, 2, 8, 32])
@pytest.mark.parametrize("features", [0, INDIRECT_DESC, EVENT_IDX, INDIRECT_DESC | EVENT_IDX])
def test_random_requests_do_what_a_model_does(features: int, size: int, index: int) -> None:
    if size < 8 and not features & INDIRECT_DESC:
        size = 8  # no direct chain fits
    traffic = Traffic(size + features, features, size, index)
    for _ in range(300):
        if traffic.rng.random() < 0.6:
            traffic.request()
        else:
            traffic.driver.wait(traffic.rng.randrange(4 * LATENCY_NS))
        traffic.collect()
    traffic.driver.settle()
    traffic.collect()
    assert not traffic.waiting
    assert not traffic.driver.read(0x70) & NEEDS_RESET
    assert traffic.driver.kicks
    moved = traffic.driver.queues[0].avail_index - index & 0xFFFF
    assert moved > 30
    for block in range(38):
        if block not in traffic.disk.lost:
            here = BlockTree(traffic.driver.board, 38).read(traffic.driver.device.state.written, block, 1)  # type: ignore[attr-defined]
            now = here.get(block) or image(block)
            last = SECTORS * SECTOR - block * BLOCK_BYTES
            assert now is not None
            assert now[:last] == traffic.disk.data[block * BLOCK_BYTES :][: min(BLOCK_BYTES, last)]


@pytest.mark.parametrize("seed", range(4))
def test_a_restored_disk_goes_on_as_the_old_one_did(seed: int) -> None:
    """Any earlier moment comes back, in a new device with nothing but the words and the objects they lead to."""
    traffic = Traffic(seed, INDIRECT_DESC | EVENT_IDX, 16, 0)
    driver, rng = traffic.driver, traffic.rng
    kept = []
    for _ in range(40):
        for _ in range(6):
            traffic.request()
        driver.settle()
        traffic.collect()
        kept.append((driver.device.state.words.copy(), bytes(driver.board.ram), traffic.disk.copy()))
    for _ in range(30):
        words, ram, disk = rng.choice(kept)
        root = VirtioBlk.State.fields["written"].name_in(words)  # type: ignore[union-attr]
        board = BenchBoard()
        board.blocks = image
        board.objects.add(driver.board.objects.reach([root] if root else []))
        board.ram[:] = ram
        device = VirtioBlk("disk", board, Medium(SECTORS))
        device.bind(np.zeros(device.state.size, np.uint64))
        device.state.words[:] = words
        for block in {block for block in range(37) if block not in disk.lost}:
            sector = 8 * block
            assert device._read(sector, 8) == disk.read(sector, 8)


def test_equal_contents_have_equal_states() -> None:
    """Whatever way led to them, and however often: the digest of the state tells contents, not histories."""
    board = BenchBoard()
    tree = BlockTree(board, 5000)
    one, two = bytes(BLOCK_BYTES), b"\1" * BLOCK_BYTES
    together = tree.write(b"", {3: one, 4999: two})
    apart = tree.write(tree.write(tree.write(b"", {4999: one}), {3: one}), {4999: two})
    assert together == apart
    assert tree.write(together, {3: two}) != together
    assert tree.read(together, 0, 5000) == {3: one, 4999: two}


@pytest.mark.parametrize("blocks", [1, 2, 64, 65, 4096, 4097, 1 << 20])
def test_a_tree_is_a_table_of_blocks(blocks: int) -> None:
    rng = random.Random(blocks)
    tree, root, model = BlockTree(BenchBoard(), blocks), b"", dict[int, bytes]()
    for _ in range(60):
        first = rng.randrange(blocks)
        count = min(rng.choice((1, 2, 70, 5000)), blocks - first)
        block = rng.randbytes(8) * (BLOCK_BYTES // 8)
        if rng.random() < 0.3:
            root = tree.fill(root, first, count, block)
            model.update(dict.fromkeys(range(first, first + count), block))
        else:
            some = {first + n: block for n in range(min(count, 70))}
            root = tree.write(root, some)
            model.update(some)
        low = max(first - 5, 0)
        assert tree.read(root, low, count + 10) == {
            n: model[n] for n in range(low, low + count + 10) if n in model and n < low + count + 10
        }


def test_filling_a_large_disk_costs_next_to_nothing() -> None:
    board = BenchBoard()
    tree = BlockTree(board, 1 << 30)
    root = tree.fill(b"", 5, (1 << 30) - 7, bytes(BLOCK_BYTES))
    assert board.objects.bytes < 200_000
    assert sorted(tree.read(root, 0, 10)) == [5, 6, 7, 8, 9]
    assert sorted(tree.read(root, (1 << 30) - 4, 4)) == [(1 << 30) - 4, (1 << 30) - 3]


def test_a_write_costs_what_it_writes() -> None:
    board = BenchBoard()
    tree = BlockTree(board, 1 << 20)
    root = tree.write(b"", {n: n.to_bytes(4096, "little") for n in range(2000)})
    known = set(board.objects.reach([root]))
    root = tree.write(root, {1234: b"x" * BLOCK_BYTES})
    fresh = board.objects.reach([root], known.__contains__)
    assert len(fresh) == 5  # a block, and the nodes above it
    assert sum(map(len, fresh.values())) < 9000


def test_what_is_not_needed_is_swept() -> None:
    board = BenchBoard()
    tree, root = BlockTree(board, 64), b""
    roots = []
    for turn in range(50):
        root = tree.write(root, {turn % 64: random.Random(turn).randbytes(BLOCK_BYTES)})
        roots.append(root)
    needed = [roots[10], root]
    before = board.objects.bytes
    board.objects.sweep(lambda: needed)
    assert board.objects.bytes == before  # not worth it
    board.objects.sweep(lambda: needed, at_once=True)
    assert set(board.objects.reach(needed)) == set(board.objects._here)
    assert board.objects.bytes == sum(map(len, board.objects._here.values())) < before
    assert len(tree.read(root, 0, 64)) == 50


def test_objects_that_are_elsewhere_need_not_be_here() -> None:
    first = BenchBoard()
    root = BlockTree(first, 64).write(b"", {n: bytes([n]) * BLOCK_BYTES for n in range(9)})
    asked = []

    def elsewhere(name: bytes) -> bytes | None:
        asked.append(name)
        return first.objects.encoded(name)

    objects = Objects(elsewhere)
    tree = BlockTree(objects, 64)
    assert len(tree.read(root, 0, 64)) == 9
    count = len(asked)
    assert len(tree.read(root, 0, 64)) == 9
    assert len(asked) == count
    changed = tree.write(root, {3: b"n" * BLOCK_BYTES})
    assert len(objects.reach_here([changed])) == 2
    objects.sweep(lambda: [changed], at_once=True)
    assert tree.read(changed, 3, 1) == {3: b"n" * BLOCK_BYTES}


# ---- interrupts and time ---------------------------------------------------------------------------------------------
def simple(driver: Driver, kind: int = IN, sector: int = 0, size: int = SECTOR, data: bytes = b"") -> list[Segment]:
    """Offer a request of a header, a buffer and a status byte."""
    segments = [Segment(16, False), Segment(len(data) or size, not data), Segment(1, True)]
    for segment in segments:
        segment.address = driver.room(segment.size)
    driver.poke(segments[0].address, "<IIQ", kind, 0, sector)
    driver.put(segments[1].address, data)
    driver.put(segments[2].address, b"\xff")
    driver.offer(0, segments)
    return segments


def test_a_request_takes_its_time() -> None:
    driver = make()
    status = simple(driver)[2].address
    due = LATENCY_NS + 16 + SECTOR + 1
    assert driver.device.next_deadline_ns() == due
    driver.wait(due - 1)
    assert driver.get(status, 1) == b"\xff"
    driver.wait(1)
    assert driver.get(status, 1) == b"\0"
    assert driver.device.irq_level()
    assert driver.read(0x60) == 1
    driver.write(0x64, 1)
    assert not driver.device.irq_level()


@pytest.mark.parametrize("features", [0, EVENT_IDX])
def test_interrupts_come_when_they_are_wanted(features: int) -> None:
    """Against the rule of section 2.7.7.1, for every used entry."""
    driver = make(features=features, sizes=[16], index=0xFFFA)  # type: ignore[arg-type]
    rng = random.Random(3)
    for _ in range(60):
        index = driver.queues[0].used_seen
        event = rng.choice((None, index)) if not features else (index + rng.choice((-1, 0, 0, 1, 5)) & 0xFFFF)
        driver.quiet(0, event)
        simple(driver)
        driver.settle()
        wanted = event == index if features else event is not None
        assert driver.read(0x60) == int(wanted)
        driver.write(0x64, 1)
        assert len(driver.taken_back(0)) == 1


def test_a_busy_device_is_not_notified_and_finds_the_next_request_by_itself() -> None:
    driver = make(features=EVENT_IDX, sizes=[16])  # type: ignore[arg-type]
    statuses = [simple(driver, sector=n)[2].address for n in range(5)]
    assert driver.kicks == 1
    driver.settle()
    assert [driver.get(status, 1) for status in statuses] == [b"\0"] * 5
    assert len(driver.taken_back(0)) == 5
    simple(driver)
    assert driver.kicks == 2


def test_the_disk_survives_a_reset_and_a_request_under_way_does_not() -> None:
    driver = make()
    simple(driver, OUT, 8, data=b"w" * 4096)
    driver.settle()
    status = simple(driver, OUT, 0, data=b"x" * 4096)[2].address
    driver.write(0x70, 0)
    assert driver.device.next_deadline_ns() is None
    driver.restart()
    data = simple(driver, IN, 0, 8192)[1].address
    driver.settle()
    assert driver.get(data, 8192) == (image(0) or b"") + b"w" * 4096
    assert driver.get(status, 1) == b"\xff"
    driver.device.reset()
    assert driver.device._read(8, 8) == b"w" * 4096  # type: ignore[attr-defined]


# ---- what drivers may get wrong --------------------------------------------------------------------------------------
def test_features() -> None:
    driver = make()
    offered = driver.offered()
    assert offered & (VERSION_1 | INDIRECT_DESC | EVENT_IDX) == VERSION_1 | INDIRECT_DESC | EVENT_IDX
    assert not offered & RO
    assert driver.negotiate(0)  # as on QEMU
    assert driver.negotiate(INDIRECT_DESC)
    assert not driver.negotiate(VERSION_1 | RO)
    assert driver.negotiate(VERSION_1)
    driver.write(0x20, 0)  # too late: what was agreed upon holds
    assert any("taken already" in error for error in driver.errors())
    driver.write(0x70, 15)
    assert driver.read(0x70) == 15
    assert make(Medium(SECTORS, readonly=True)).offered() & (RO | 1 << 13 | 1 << 14) == RO


def test_a_driver_that_goes_on_without_features_is_not_served() -> None:
    driver = make()
    driver.negotiate(RO)
    driver.write(0x44, 1)
    driver.write(0x70, 7)
    simple(driver)
    assert driver.device.next_deadline_ns() is None


def test_a_read_only_drive_keeps_what_it_has() -> None:
    driver = make(Medium(SECTORS, readonly=True, serial="abc"))
    for kind in (OUT, DISCARD, WRITE_ZEROES):
        status = simple(driver, kind, 0, data=struct.pack("<QII", 0, 1, 0) * 32)[2].address
        driver.settle()
        assert driver.get(status, 1) == bytes([IOERR])
        driver.taken_back(0)
    data = simple(driver, GET_ID, 0, 20)[1].address
    driver.settle()
    assert driver.get(data, 20) == b"abc".ljust(20, b"\0")
    assert driver.device.state.written == b""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("segment", "status"),
    [
        (struct.pack("<QII", 0, 8, 0), OK),
        (struct.pack("<QII", 0, 8, 1), UNSUPP),
        (struct.pack("<QII", 0, 8, 2), UNSUPP),
        (struct.pack("<QII", 0, 8, 0) * 2, UNSUPP),
        (struct.pack("<QII", 0, 8, 0)[:9], IOERR),
        (struct.pack("<QII", (1 << 64) - 1, 8, 0), IOERR),
        (struct.pack("<QII", 0, (1 << 32) - 1, 0), IOERR),
    ],
)
def test_segments_to_discard(segment: bytes, status: int) -> None:
    driver = make()
    place = simple(driver, DISCARD, 0, data=segment)[2].address
    driver.settle()
    assert driver.get(place, 1) == bytes([status])
    assert not driver.read(0x70) & NEEDS_RESET


def test_requests_that_are_too_large() -> None:
    driver = make(features=INDIRECT_DESC, sizes=[8])  # type: ignore[arg-type]
    table, area = SCRATCH + 0x1_0000, SCRATCH + 0x2_0000
    count = MAX_REQUEST_BYTES // 0x1_0000 + 1  # the same memory again and again
    header, status = SCRATCH + 0x100, SCRATCH + 0x200
    driver.poke(header, "<IIQ", IN, 0, 0)
    rows = [(header, 16, NEXT), *[(area, 0x1_0000, NEXT | WRITE)] * count, (status, 1, WRITE)]
    for n, (address, size, flags) in enumerate(rows):
        driver.poke(table + 16 * n, "<QIHH", address, size, flags, n + 1)
    driver.poke(driver.queues[0].base, "<QIHH", table, 16 * len(rows), INDIRECT, 0)
    driver.poke(driver.queues[0].avail + 2, "<HH", 1, 0)
    driver.write(0x50, 0)
    driver.settle()
    assert driver.get(status, 1) == bytes([IOERR])
    assert any("more than" in error for error in driver.errors())


BROKEN = {
    "loop": "has a loop",
    "descriptor": "descriptor 9 of 8",
    "chained descriptor": "descriptor 40000 of 8",
    "indirect not agreed upon": "was not offered",
    "indirect and next": "within a table",
    "nested": "within a table",
    "empty table": "a table of 0 bytes",
    "odd table": "a table of 24 bytes",
    "table outside": "outside RAM",
    "loop in a table": "has a loop",
    "beyond the table": "descriptor 2 of 2",
    "overrun": "chains wait",
    "ring outside": "outside RAM",
    "used outside": "outside RAM",
    "readable behind writable": "behind one to write",
    "no header": "header or status",
    "no status": "header or status",
    "data outside": "a buffer lies outside RAM",
    "header outside": "a buffer lies outside RAM",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_makes_no_sense_needs_a_reset(name: str) -> None:
    driver = make(features=0 if name == "indirect not agreed upon" else INDIRECT_DESC, sizes=[8])  # type: ignore[arg-type]
    queue, area = driver.queues[0], SCRATCH
    far = RAM_BASE + RAM_BYTES - 8
    driver.poke(area, "<IIQ", IN, 0, 0)
    chain = [(area, 16, NEXT, 1), (area + 64, SECTOR, NEXT | WRITE, 2), (area + 2048, 1, WRITE, 0)]
    table = area + 4096
    inner = [(area, 16, NEXT, 1), (area + 2048, 1, WRITE, 0)]
    avail = (1, 0)
    indirect = (table, 32, INDIRECT, 0)
    match name:
        case "loop":
            chain[2] = (area + 2048, 1, WRITE | NEXT, 1)
        case "descriptor":
            avail = (1, 9)
        case "chained descriptor":
            chain[1] = (area + 64, SECTOR, NEXT | WRITE, 40000)
        case "indirect not agreed upon":
            chain = [indirect]
        case "indirect and next":
            chain[0] = (table, 32, INDIRECT | NEXT, 1)
        case "nested":
            chain, inner[1] = [indirect], (table, 32, INDIRECT, 0)
        case "empty table":
            chain = [(table, 0, INDIRECT, 0)]
        case "odd table":
            chain = [(table, 24, INDIRECT, 0)]
        case "table outside":
            chain = [(far, 32, INDIRECT, 0)]
        case "loop in a table":
            chain, inner[0] = [indirect], (area, 16, NEXT, 0)
        case "beyond the table":
            chain, inner[0] = [indirect], (area, 16, NEXT, 2)
        case "overrun":
            avail = (9, 0)
        case "ring outside":
            driver.write(0x94, 0x1234)
        case "used outside":
            driver.write(0xA4, 0x1234)
        case "readable behind writable":
            chain[2] = (area + 2048, 1, 0, 0)
        case "no header":
            chain = [(area, 15, NEXT, 1), (area + 2048, 1, WRITE, 0)]
        case "no status":
            chain = [(area, 16, 0, 0)]
        case "data outside":
            chain[1] = (far, SECTOR, NEXT | WRITE, 2)
        case "header outside":
            chain[0] = (far, 16, NEXT, 1)
    for place, rows in ((queue.base, chain), (table, inner)):
        for n, row in enumerate(rows):
            driver.poke(place + 16 * n, "<QIHH", *row)
    driver.poke(queue.avail + 2, "<HH", *avail)
    driver.write(0x50, 0)
    driver.settle()
    assert any(BROKEN[name] in error for error in driver.errors()), driver.errors()
    assert driver.read(0x70) & NEEDS_RESET
    assert driver.read(0x60) & 2
    # nothing is served before a reset, and everything after it
    driver.write(0x50, 0)
    assert driver.device.next_deadline_ns() is None
    driver.restart()
    status = simple(driver)[2].address
    driver.settle()
    assert driver.get(status, 1) == b"\0"


@pytest.mark.parametrize("seed", range(6))
def test_garbage_in_the_rings(seed: int) -> None:
    """Whatever the rings hold: no exception, no hang, and a reset helps."""
    rng = random.Random(seed)
    driver = make(features=INDIRECT_DESC | EVENT_IDX, sizes=[8], seed=seed)  # type: ignore[arg-type]
    queue = driver.queues[0]
    for _ in range(400):
        for place in range(8):
            address = rng.choice((SCRATCH + rng.randrange(4096), queue.base, rng.getrandbits(64), RAM_BASE))
            size = rng.choice((0, 1, 16, 32, 512, rng.getrandbits(32)))
            flags = rng.choice((0, 1, 2, 3, 4, 5, rng.getrandbits(16)))
            driver.poke(queue.base + 16 * place, "<QIHH", address, size, flags, rng.choice((0, rng.randrange(8), 9)))
        driver.put(SCRATCH, rng.randbytes(64))
        driver.poke(SCRATCH + rng.randrange(64), "<IIQ", rng.randrange(14), 0, rng.randrange(SECTORS))
        index = driver.device.state.last_avail[0] + rng.choice((1, 1, 1, 2, 8, 9)) & 0xFFFF
        driver.poke(queue.avail + 2, "<HH", index, *(rng.randrange(9),))
        driver.write(0x50, 0)
        for _ in range(9):
            driver.wait(1 << 26)
        assert driver.device.next_deadline_ns() is None or not driver.device.state.broken
        if driver.read(0x70) & NEEDS_RESET:
            driver.restart()
    driver.device.state.dump()
