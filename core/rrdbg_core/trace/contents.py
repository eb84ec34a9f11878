"""What stands in the smaller chunks: parts of images, snapshots, digests, check words, progress, index, end, blocks of
media, objects."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.memory import LINES_PER_PAGE
from rrdbg_core.devices.blocktree import BLOCK_BYTES
from rrdbg_core.devices.contract import NAME_BYTES
from rrdbg_core.frozen import Frozen
from rrdbg_core.trace import varint
from rrdbg_core.trace.cursor import Cursor, ascending, text
from rrdbg_core.trace.model import BINS, EPOCH, NO_TRAPS, Ending, EpochIndex, Snapshot
from rrdbg_core.trace.printed import Printed
from rrdbg_core.trace.varint import Malformed

IMAGE_PART_BYTES = 8 << 20
"""Bytes of an image that one chunk holds at most."""
MAX_IMAGE_BYTES = 1 << 36
MAX_STATE_PARTS = 4096

_IMAGE = struct.Struct("<16sQQ")
_SNAPSHOT = struct.Struct("<QIH")
_DIGEST = struct.Struct("<Q16s")
_PROGRESS = struct.Struct("<Q")
_END = struct.Struct("<QBqQ")
_HAS_EXIT_CODE, _HAS_VIRTUAL_TIME = 1, 2
_NOT_ANY = varint.encode(NO_TRAPS)


def image_digest(content: bytes) -> str:
    """Return the name of an image in a trace: BLAKE2b of its content, 128 bits, in hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


# ---- images: digest 16 bytes, size of the whole u64, offset of this part u64, bytes ----------------------------------
class ImagePart(Frozen):
    """A part of an image."""

    digest: str
    """Name of the whole."""
    size: int
    """Bytes of the whole."""
    offset: int
    """Where the part begins."""
    data: memoryview
    """The part."""


def encode_image_part(digest: str, size: int, offset: int, data: bytes) -> bytes:
    """Encode a part of an image."""
    return _IMAGE.pack(bytes.fromhex(digest), size, offset) + data


def decode_image_part(payload: bytes) -> ImagePart:
    """Decode a part of an image."""
    cursor = Cursor(payload)
    digest, size, offset = _IMAGE.unpack(cursor.take(_IMAGE.size))
    data = cursor.take(cursor.left)
    if size > MAX_IMAGE_BYTES or offset + len(data) > size:
        raise Malformed(f"{len(data)} bytes at {offset} of an image of {size}")
    return ImagePart(digest.hex(), size, offset, data)


# ---- snapshots: events u64, versions u32, parts u16; parts x (name, words u32); all words u64 -----------------------
def encode_snapshot(snapshot: Snapshot, versions: int) -> bytes:
    """Encode a snapshot; `versions` is the number of page versions up to here."""
    state = snapshot.state
    return b"".join(
        (
            _SNAPSHOT.pack(snapshot.events, versions, len(state)),
            _names(tuple(state), tuple(map(len, state.values()))),
            *(words.astype("<u8", copy=False).tobytes() for words in state.values()),
        )
    )


@lru_cache(4)
def _names(names: tuple[str, ...], sizes: tuple[int, ...]) -> bytes:
    return b"".join([text(name) + struct.pack("<I", size) for name, size in zip(names, sizes, strict=True)])


def decode_snapshot_head(payload: bytes) -> tuple[int, int]:
    """Return the number of events applied and the number of page versions up to a snapshot."""
    events, versions, _ = Cursor(payload).fixed(_SNAPSHOT)
    return events, versions


def decode_snapshot(payload: bytes, icount: int) -> Snapshot:
    """Decode a snapshot."""
    cursor = Cursor(payload)
    events, _, count = cursor.fixed(_SNAPSHOT)
    if count > MAX_STATE_PARTS:
        raise Malformed(f"it claims {count} parts of state")
    sizes = [(cursor.text(), int.from_bytes(cursor.take(4), "little")) for _ in range(count)]
    state = {name: cursor.words(size) for name, size in sizes}
    if len(state) != count:
        raise Malformed("a part of the state is there twice")
    cursor.end()
    return Snapshot(icount, events, state)


# ---- digests: events u64, hash 16 bytes ------------------------------------------------------------------------------
def encode_digest(events: int, digest: bytes) -> bytes:
    """Encode a digest."""
    return _DIGEST.pack(events, digest)


def decode_digest(payload: bytes) -> tuple[int, bytes]:
    """Return the number of events applied at a digest, and the digest."""
    cursor = Cursor(payload)
    events, digest = _DIGEST.unpack(cursor.take(_DIGEST.size))
    cursor.end()
    return events, digest


# ---- check words: u64 each -------------------------------------------------------------------------------------------
def encode_checks(words: npt.NDArray[np.uint64]) -> bytes:
    """Encode check words."""
    return np.ascontiguousarray(words, "<u8").tobytes()


def decode_checks(payload: bytes) -> npt.NDArray[np.uint64]:
    """Decode check words."""
    cursor = Cursor(payload)
    words = cursor.words(cursor.left // 8)
    cursor.end()
    return words


# ---- progress: events u64 --------------------------------------------------------------------------------------------
def encode_progress(events: int) -> bytes:
    """Encode the number of events written so far."""
    return _PROGRESS.pack(events)


def decode_progress(payload: bytes) -> int:
    """Return the number of events written so far."""
    cursor = Cursor(payload)
    (events,) = cursor.fixed(_PROGRESS)
    cursor.end()
    return events


# ---- end: events u64, flags u8, exit code i64, virtual time u64, reason ----------------------------------------------
def encode_end(events: int, ending: Ending) -> bytes:
    """Encode the end."""
    flags = _HAS_EXIT_CODE * (ending.exit_code is not None) | _HAS_VIRTUAL_TIME * (ending.virtual_ns is not None)
    return _END.pack(events, flags, ending.exit_code or 0, ending.virtual_ns or 0) + text(ending.reason)


def decode_end(payload: bytes, icount: int) -> tuple[int, Ending]:
    """Return the number of events in the trace, and the end."""
    cursor = Cursor(payload)
    events, flags, code, virtual_ns = cursor.fixed(_END)
    reason = cursor.text()
    cursor.end()
    return events, Ending(
        icount,
        reason,
        code if flags & _HAS_EXIT_CODE else None,
        virtual_ns if flags & _HAS_VIRTUAL_TIME else None,
    )


# ---- blocks: device, varint n; n varints number; n u8 (1: unreadable); 4096 bytes for each other one -----------------
class Block(Frozen):
    """Where a block of a medium stands in its chunk."""

    number: int
    """Which."""
    offset: int | None
    """Of its bytes; None: it could not be read."""


def encode_blocks(device: str, blocks: Sequence[tuple[int, bytes | None]]) -> bytes:
    """Encode blocks of a device's medium, by number."""
    return b"".join(
        (
            text(device),
            varint.encode_one(len(blocks)),
            varint.encode([number for number, _ in blocks]),
            bytes([block is None for _, block in blocks]),
            *(block for _, block in blocks if block is not None),
        )
    )


def decode_blocks(payload: bytes) -> tuple[str, list[Block]]:
    """Return the device, and its blocks."""
    cursor = Cursor(payload)
    device, count = cursor.text(), cursor.varint()
    numbers = cursor.varints(count).tolist()
    lost = bytes(cursor.take(count))
    if lost.strip(b"\0\1"):
        raise Malformed("a block is neither there nor unreadable")
    blocks = []
    for number, gone in zip(numbers, lost, strict=True):
        blocks.append(Block(number, None if gone else cursor.offset))
        if not gone:
            cursor.take(BLOCK_BYTES)
    cursor.end()
    return device, blocks


# ---- objects: varint n; n names of 16 bytes; n varints length; encoded objects ---------------------------------------
def encode_objects(objects: Mapping[bytes, bytes]) -> bytes:
    """Encode objects by name."""
    sizes = varint.encode([len(encoded) for encoded in objects.values()])
    return b"".join((varint.encode_one(len(objects)), *objects, sizes, *objects.values()))


def decode_objects(payload: bytes) -> dict[bytes, tuple[int, int]]:
    """Return where in the chunk each object stands: its first byte, and one past its last."""
    cursor = Cursor(payload)
    count = cursor.varint()
    names = bytes(cursor.take(NAME_BYTES * count))
    sizes = cursor.varints(count).tolist()
    places = {}
    for number, size in enumerate(sizes):
        cursor.take(size)
        places[names[NAME_BYTES * number : NAME_BYTES * (number + 1)]] = cursor.offset - size, cursor.offset
    cursor.end()
    return places


# ---- index: see docs/format.md ---------------------------------------------------------------------------------------
def encode_index(epoch: EpochIndex) -> bytes:
    """Encode the index of an epoch."""
    return b"".join(
        (
            _count(epoch.exceptions),
            _count(epoch.interrupts),
            *(_column(pages.tobytes()) for pages in (epoch.written, epoch.read, epoch.executed)),
            epoch.written_lines.astype("<u8", copy=False).tobytes(),
            epoch.written_words.tobytes(),
            *_console(epoch),
            epoch.executed_lines.astype("<u8", copy=False).tobytes(),
            epoch.executed_halves.astype("<u4", copy=False).tobytes(),
        )
    )


def _count(traps: npt.NDArray[np.uint32]) -> bytes:
    return _NOT_ANY if traps is NO_TRAPS else varint.encode(traps)


@lru_cache(32)
def _column(pages: bytes) -> bytes:
    """Encode page numbers, u32. One epoch mostly touches the pages of the one before."""
    numbers = np.frombuffer(pages, np.uint32)
    return varint.encode_one(len(numbers)) + ascending(numbers)


def _console(epoch: EpochIndex) -> list[bytes]:
    """Encode what was printed."""
    if not len(epoch.console):
        return [varint.encode_one(0)]
    printed = Printed.of(epoch.console)
    steps = varint.encode(np.diff(printed.at, prepend=epoch.start))
    return [varint.encode_one(len(printed)), steps, varint.encode(printed.sizes), printed.data]


def decode_index(payload: bytes, start: int, stop: int, pages: int) -> EpochIndex:
    """Decode the index of an epoch of a machine with so many pages of RAM."""
    if stop > (start // EPOCH + 1) * EPOCH:
        raise Malformed("it spans two epochs")
    cursor = Cursor(payload)
    exceptions, interrupts = _counts(cursor), _counts(cursor)
    written, read, executed = (cursor.ascending(cursor.varint(), pages, "page") for _ in range(3))
    lines = cursor.words(len(written))
    words = np.frombuffer(cursor.take(int(np.bitwise_count(lines).sum())), np.uint8)
    if not words.all():
        raise Malformed("a line is written, but no word of it")
    count = cursor.varint()
    if count > cursor.left:
        raise Malformed(f"it claims {count} pieces of console output")
    steps = cursor.varints(count)
    sizes = cursor.varints(count)
    if count and (int(sizes.max()) > cursor.left or int(steps.max()) > stop - start):
        raise Malformed("its console output lies outside the epoch")
    places = np.cumsum(steps, dtype=np.uint64) + np.uint64(start)
    if count and int(places[-1]) > stop:
        raise Malformed("its console output lies outside the epoch")
    ends = np.cumsum(sizes, dtype=np.uint64).astype(np.int64)
    output = bytes(cursor.take(int(ends[-1]) if count else 0))
    console = Printed(places.astype(np.int64), ends, output)
    ran = _executed(cursor, len(executed))
    cursor.end()
    return EpochIndex(start, stop, exceptions, interrupts, written, lines, words, read, executed, *ran, console)


def _executed(cursor: Cursor, pages: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    """Return the lines executed of each page, and where in each; traces that know of pages only have all of them."""
    if not cursor.left:
        return np.full(pages, ~np.uint64(0)), np.full(LINES_PER_PAGE * pages, ~np.uint32(0))
    lines = cursor.words(pages)
    halves = np.frombuffer(cursor.take(4 * int(np.bitwise_count(lines).sum())), "<u4").astype(np.uint32, copy=False)
    if not halves.all():
        raise Malformed("a line is executed, but no instruction of it")
    return lines, halves


def _counts(cursor: Cursor) -> npt.NDArray[np.uint32]:
    counts = cursor.varints(BINS)
    if int(counts.max()) >= 1 << 32:
        raise Malformed("it counts more traps than there are steps")
    return counts.astype(np.uint32)
