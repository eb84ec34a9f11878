"""virtio block device (virtio 1.2 section 5.2) over a raw image. Matches hw/block/virtio-blk.c with one queue.

The image is never written. Its blocks come from the board when they are first read, and stay what they were then for
the whole run. What the guest writes goes into a tree of objects (blocktree.py) that hangs on the state: it survives a
reset, as on a real disk, and not the end of the run.

Requests are served one after the other. Each completes after a latency on the virtual clock, which depends on its size
alone; that is when data is moved. Left out: writeback control, multiple queues, secure erase, lifetime, zones.

    0x00  capacity in sectors (u64)            0x22  num_queues (u16)
    0x08  size_max (u32)                       0x24  max_discard_sectors (u32)
    0x0c  seg_max (u32)                        0x28  max_discard_seg (u32)
    0x10  cylinders (u16), heads, sectors      0x2c  discard_sector_alignment (u32)
    0x14  blk_size (u32)                       0x30  max_write_zeroes_sectors (u32)
    0x18  topology (8 bytes)                   0x34  max_write_zeroes_seg (u32)
    0x20  writeback, unused                    0x38  write_zeroes_may_unmap
"""

from __future__ import annotations

import struct
from enum import IntEnum
from itertools import accumulate
from typing import ClassVar

from rrdbg_core.devices.blocktree import BLOCK_BYTES, BlockTree
from rrdbg_core.devices.contract import Board, field, flag, reference, timer
from rrdbg_core.devices.virtio_mmio import (
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    Buffer,
    Chain,
    QueueBroken,
    VirtioMmio,
    VirtioState,
)
from rrdbg_core.frozen import Frozen

SECTOR_BYTES = 512
SECTORS_PER_BLOCK = BLOCK_BYTES // SECTOR_BYTES
MAX_SECTORS = 1 << 38
"""Of an image; 128 TiB."""
MAX_REQUEST_BYTES = 32 << 20
"""Data of one request; QEMU takes 2 GiB, Linux asks for 16 MiB at most."""
MAX_FILL_SECTORS = (1 << 22) - 1
"""Sectors of a segment that is discarded or zeroed, as QEMU has it."""
SEG_MAX = 254
LATENCY_NS, NS_PER_BYTE = 20_000, 1
"""How long a request takes on the virtual clock."""

F_SEG_MAX, F_GEOMETRY, F_RO, F_BLK_SIZE, F_FLUSH, F_TOPOLOGY = 1 << 2, 1 << 4, 1 << 5, 1 << 6, 1 << 9, 1 << 10
F_DISCARD, F_WRITE_ZEROES = 1 << 13, 1 << 14
S_OK, S_IOERR, S_UNSUPP = 0, 1, 2
ID_BYTES = 20
_HEADER = struct.Struct("<IIQ")
_SEGMENT = struct.Struct("<QII")
_CONFIG = struct.Struct("<QIIHBBIBBHIBBHIIIIIB")
_UNMAP = 1


class Request(IntEnum):
    """What a request asks for."""

    IN = 0
    """Read."""
    OUT = 1
    """Write."""
    FLUSH = 4
    """Let nothing that was written get lost."""
    GET_ID = 8
    """Say what the drive calls itself."""
    DISCARD = 11
    """Forget some sectors."""
    WRITE_ZEROES = 13
    """Zero some sectors."""


class Medium(Frozen):
    """What a drive is, its blocks aside."""

    sectors: int = 1 << 11
    """Capacity in sectors of 512 bytes."""
    readonly: bool = False
    """The guest may not write."""
    serial: str = ""
    """What it calls itself."""


class VirtioBlkState(VirtioState):
    """State of the block device."""

    busy = flag("A request is under way")
    head = field(16, "Its chain")
    due_ns = timer("When it completes")
    written = reference("The blocks that were written")


class _Failed(Exception):
    """A request that cannot be carried out."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class VirtioBlk(VirtioMmio):
    """The block device."""

    State = VirtioBlkState
    state: VirtioBlkState
    device_id = 2
    queue_count = 1
    features = F_INDIRECT_DESC | F_EVENT_IDX | F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY
    fill_features: ClassVar[int] = F_DISCARD | F_WRITE_ZEROES
    """Features of a drive that can be written."""
    exercises = (
        # a queue of four at 0x8008_0000: a request of three buffers, whose header is at 0x8008_0300
        (
            *((0x070, 4, 0), (0x070, 4, 3), (0x024, 4, 1), (0x020, 4, 1), (0x070, 4, 11), (0x030, 4, 0)),
            *((0x038, 4, 4), (0x080, 4, 0x8008_0000), (0x084, 4, 0), (0x090, 4, 0x8008_0100), (0x094, 4, 0)),
            *((0x0A0, 4, 0x8008_0200), (0x0A4, 4, 0)),
            *((0x8008_0000, 8, 0x8008_0300), (0x8008_0008, 8, 0x1_0001_0000_0010)),
            *((0x8008_0010, 8, 0x8008_1000), (0x8008_0018, 8, 0x2_0003_0000_0400)),
            *((0x8008_0020, 8, 0x8008_0310), (0x8008_0028, 8, 0x2_0000_0001), (0x8008_0300, 8, 0), (0x8008_0308, 8, 9)),
            *((0x8008_0100, 8, 0x0001_0000), (0x8008_0200, 8, 0), (0x044, 4, 1), (0x070, 4, 15), (0x050, 4, 0)),
        ),
        # the same buffers written: OUT, another sector, once more
        (
            *((0x8008_0018, 8, 0x2_0001_0000_0400), (0x8008_0300, 8, 1), (0x8008_0308, 8, 5)),
            *((0x8008_0102, 2, 2), (0x050, 4, 0)),
        ),
        ((0x8008_0300, 8, 1), (0x8008_0308, 8, 14), (0x8008_0102, 2, 3), (0x050, 4, 0)),
        ((0x8008_0300, 8, 13), (0x8008_0102, 2, 4), (0x050, 4, 0)),
        ((0x064, 4, 3),),
    )

    def __init__(self, name: str, board: Board, medium: Medium | None = None) -> None:
        super().__init__(name, board)
        self.drive = Medium() if medium is None else medium
        self._config = _config(self.drive)

    def offered(self) -> int:
        return self.features | (F_RO if self.drive.readonly else self.fill_features)

    def reset(self) -> None:
        """Forget all but what is on the disk."""
        written = self.state.written
        super().reset()
        self.state.written = written

    def read_config(self, offset: int, size: int) -> int:
        if offset + size > len(self._config):
            return super().read_config(offset, size)
        return int.from_bytes(self._config[offset : offset + size], "little")

    def next_deadline_ns(self) -> int | None:
        return self.state.due_ns - 1 if self.state.due_ns else None

    # ---- requests ----------------------------------------------------------------------------------------------------
    def notified(self, queue: int) -> None:
        if not self.state.busy:
            self._next()

    def _next(self) -> None:
        """Begin with the next request, if there is one."""
        state = self.state
        chain = self.take(0)
        if chain is not None:
            size = sum(buffer.size for buffer in chain.buffers)
            state.busy, state.head = 1, chain.head
            state.due_ns = self.board.virtual_ns() + LATENCY_NS + min(size, MAX_REQUEST_BYTES) * NS_PER_BYTE + 1

    def on_deadline(self) -> None:
        state = self.state
        state.busy = state.due_ns = 0
        chain = self.walk(0, state.head)
        if chain is None:
            return
        try:
            written = self._serve(chain)
        except QueueBroken as error:
            self.broken(f"request at {chain.head}: {error}")
            return
        self.complete(0, chain.head, written)
        self._next()

    def _serve(self, chain: Chain) -> int:
        """Carry out a request and return how many bytes of its buffers were written.

        Raises:
            QueueBroken: It is none.
        """
        readable = [buffer for buffer in chain.buffers if not buffer.writable]
        writable = [buffer for buffer in chain.buffers if buffer.writable]
        if sum(b.size for b in readable) < _HEADER.size or not sum(b.size for b in writable):
            raise QueueBroken("header or status are missing")
        kind, _, sector = _HEADER.unpack(self.gather(_cut(readable, 0, _HEADER.size)))
        outgoing = _cut(readable, _HEADER.size, sum(b.size for b in readable))
        room = sum(b.size for b in writable) - 1
        try:
            if max(room, sum(b.size for b in outgoing)) > MAX_REQUEST_BYTES:
                raise _Failed(S_IOERR, f"more than {MAX_REQUEST_BYTES} bytes")
            data = self._perform(kind, sector, outgoing, room)
            status = S_OK
        except _Failed as error:
            if str(error):
                self.board.guest_error(self, f"request of type {kind}, sector {sector}: {error}")
            data, status = b"", error.status
        self.scatter(writable, data)
        self.scatter(_cut(writable, room, room + 1), bytes([status]))
        return len(data) + 1

    def _perform(self, kind: int, sector: int, outgoing: list[Buffer], room: int) -> bytes:
        """Do what a request asks for, and return what it reads."""
        match kind:
            case Request.IN:
                return self._read(sector, self._sectors(sector, room))
            case Request.OUT:
                self._writes()
                count = self._sectors(sector, sum(b.size for b in outgoing))
                self._write(sector, count, self.gather(outgoing))
            case Request.FLUSH:
                pass  # what is written is written
            case Request.GET_ID:
                return self.drive.serial.encode()[:ID_BYTES].ljust(ID_BYTES, b"\0")[:room]
            case Request.DISCARD | Request.WRITE_ZEROES:
                self._writes()
                self._fill(kind, self.gather(outgoing))
            case _:
                raise _Failed(S_UNSUPP, "there is no such type")
        return b""

    def _writes(self) -> None:
        if self.drive.readonly:
            raise _Failed(S_IOERR, "the drive is read-only")

    def _sectors(self, sector: int, size: int) -> int:
        """Return how many sectors that many bytes from a sector on are."""
        count, rest = divmod(size, SECTOR_BYTES)
        if rest:
            raise _Failed(S_IOERR, f"{size} bytes are no whole sectors")
        if sector + count > self.drive.sectors:
            raise _Failed(S_IOERR, f"{count} sectors lie beyond the end at {self.drive.sectors}")
        return count

    def _fill(self, kind: int, data: bytes) -> None:
        """Discard or zero what a request lists: either leaves zeros."""
        if not data or len(data) % _SEGMENT.size:
            raise _Failed(S_IOERR, f"{len(data)} bytes are no list of segments")
        if len(data) > _SEGMENT.size:
            raise _Failed(S_UNSUPP, "more than one segment")
        sector, count, flags = _SEGMENT.unpack(data)
        if flags & ~_UNMAP or (flags and kind == Request.DISCARD):
            raise _Failed(S_UNSUPP, f"flags 0x{flags:x}")
        if count > MAX_FILL_SECTORS or sector + count > self.drive.sectors:
            raise _Failed(S_IOERR, f"{count} sectors from {sector} on")
        first, last = -(-sector // SECTORS_PER_BLOCK), (sector + count) // SECTORS_PER_BLOCK
        if first >= last:
            self._write(sector, count, bytes(count * SECTOR_BYTES))
            return
        before, behind = first * SECTORS_PER_BLOCK - sector, sector + count - last * SECTORS_PER_BLOCK
        written = self.state.written
        try:
            self._write(sector, before, bytes(before * SECTOR_BYTES))
            self._write(last * SECTORS_PER_BLOCK, behind, bytes(behind * SECTOR_BYTES))
        except _Failed:
            self.state.written = written  # what fails changes nothing
            raise
        self.state.written = self._tree.fill(self.state.written, first, last - first, bytes(BLOCK_BYTES))

    @property
    def _tree(self) -> BlockTree:
        return BlockTree(self.board, -(-self.drive.sectors // SECTORS_PER_BLOCK))

    # ---- blocks ------------------------------------------------------------------------------------------------------
    def _blocks(self, first: int, last: int) -> dict[int, bytes]:
        """Return the blocks first <= n < last as they are now."""
        blocks = self._tree.read(self.state.written, first, last - first)
        for number in range(first, last):
            if number not in blocks:
                block = self.board.medium(self, number)
                if block is None:
                    raise _Failed(S_IOERR, "")  # the host's mistake, not the guest's
                blocks[number] = block
        return blocks

    def _read(self, sector: int, count: int) -> bytes:
        if not count:
            return b""
        first, last = sector // SECTORS_PER_BLOCK, -(-(sector + count) // SECTORS_PER_BLOCK)
        blocks = self._blocks(first, last)
        start = (sector - first * SECTORS_PER_BLOCK) * SECTOR_BYTES
        return b"".join(blocks[number] for number in range(first, last))[start : start + count * SECTOR_BYTES]

    def _write(self, sector: int, count: int, data: bytes) -> None:
        if not count:
            return
        first, last = sector // SECTORS_PER_BLOCK, -(-(sector + count) // SECTORS_PER_BLOCK)
        before = sector - first * SECTORS_PER_BLOCK
        behind = last * SECTORS_PER_BLOCK - (sector + count)
        head = self._blocks(first, first + 1)[first][: before * SECTOR_BYTES] if before else b""
        tail = self._blocks(last - 1, last)[last - 1][BLOCK_BYTES - behind * SECTOR_BYTES :] if behind else b""
        whole = head + data + tail
        parts = {first + n: whole[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES] for n in range(last - first)}
        self.state.written = self._tree.write(self.state.written, parts)


def _config(drive: Medium) -> bytes:
    """Return the configuration space, which ends behind the last field that QEMU's has."""
    heads, sectors = 16, 63
    cylinders = min(max(drive.sectors // (heads * sectors), 2), 16383)
    return _CONFIG.pack(
        *(drive.sectors, 0, SEG_MAX, cylinders, heads, sectors, SECTOR_BYTES, 0, 0, 0, 0),
        *(1, 0, 1, MAX_FILL_SECTORS, 1, 1, MAX_FILL_SECTORS, 1, 1),
    )


def _cut(buffers: list[Buffer], start: int, stop: int) -> list[Buffer]:
    """Return the part of some buffers, taken as one, from byte `start` up to `stop`."""
    ends = accumulate((buffer.size for buffer in buffers), initial=0)
    parts = []
    for place, buffer in zip(ends, buffers, strict=False):
        low, high = max(start - place, 0), min(stop - place, buffer.size)
        if low < high:
            parts.append(Buffer(buffer.address + low, high - low, buffer.writable))
    return parts
