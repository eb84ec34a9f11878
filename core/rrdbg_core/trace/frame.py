"""The frame of the file: its header, and chunks with header and checksum. docs/format.md describes every byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import NamedTuple

import lz4.block
import xxhash

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.trace.model import FORMAT_VERSION
from rrdbg_core.trace.varint import Malformed

FILE_MAGIC = b"\x89RRT\r\n\x1a\n"
"""As in PNG: a byte that is no text, the name, and line ends that a text-mode copy would mangle."""
CHUNK_MAGIC = b"RRTC"
FILE_HEADER = struct.Struct("<8sHHI16s")
CHUNK_HEADER = struct.Struct("<4sBBBBIIQQ")
CHECKSUM = struct.Struct("<Q")
_WHOLE_HEADER = struct.Struct(CHUNK_HEADER.format + "Q")
FILE_HEADER_BYTES = FILE_HEADER.size + CHECKSUM.size
CHUNK_HEADER_BYTES = CHUNK_HEADER.size + CHECKSUM.size

Parts = Sequence[bytes]
"""Bytes that stand one behind the other."""
MAX_CHUNK_BYTES = 32 << 20
"""Bound of a chunk's stored and of its raw length."""
MAX_ICOUNT = 1 << 62
"""No position reaches it."""


class ChunkKind(IntEnum):
    """What a chunk holds. The numbers are part of the format."""

    MANIFEST = 1
    """What the machine is made of: JSON."""
    IMAGE = 2
    """A part of a guest image."""
    JOURNAL = 3
    """Events."""
    SNAPSHOT = 4
    """State of the machine, all but RAM."""
    PAGES = 5
    """Pages of RAM that changed since the snapshot before."""
    DIGEST = 6
    """Root hash of the guest state."""
    CHECKS = 7
    """Check words."""
    PROGRESS = 8
    """Everything up to this position is in the file."""
    INDEX = 9
    """What happened in an epoch."""
    END = 10
    """Why the recording ended."""
    BLOCKS = 11
    """Blocks of a device's medium that were read for the first time."""
    OBJECTS = 12
    """Objects that states refer to."""


class ChunkFlag(IntFlag):
    """Flags of a chunk."""

    LZ4 = 1
    """The stored bytes are one LZ4 block."""
    OPTIONAL = 2
    """A reader that does not know the kind skips the chunk."""


_KINDS = frozenset(int(kind) for kind in ChunkKind)
# as numbers: ~ of a flag is not the complement, and & takes a while for each chunk
_LZ4 = int(ChunkFlag.LZ4)
_NO_FLAGS = ~int(ChunkFlag.LZ4 | ChunkFlag.OPTIONAL)


class BadTrace(RrdbgError):
    """The trace cannot be read."""

    exit_code = ExitCode.BAD_TRACE


class Incomplete(Exception):
    """The file ends inside a chunk."""


class Chunk(NamedTuple):
    """A chunk's header, with its place. Thousands are made when a trace is opened."""

    number: int
    """0 for the first."""
    offset: int
    """Of its header in the file."""
    kind: int
    """A `ChunkKind`, or a number that a later version knows."""
    version: int
    """Version of the kind's content."""
    flags: int
    """`ChunkFlag`s."""
    segment: int
    """Part of the recording that it belongs to; this version writes one."""
    stored: int
    """Bytes behind the header."""
    raw: int
    """Bytes of the content."""
    first: int
    """First icount that it is about."""
    last: int
    """Last icount that it is about."""
    checksum: int
    """xxh3_64."""

    @property
    def end(self) -> int:
        """Offset behind the chunk."""
        return self.offset + CHUNK_HEADER_BYTES + self.stored

    @property
    def payload_offset(self) -> int:
        """Offset of the stored bytes."""
        return self.offset + CHUNK_HEADER_BYTES

    @property
    def name(self) -> str:
        """The kind in words."""
        return ChunkKind(self.kind).name.lower() if self.kind in _KINDS else f"kind {self.kind}"

    @property
    def newer(self) -> bool:
        """Whether a later version wrote it, in a way that this one cannot read."""
        return bool(self.version or self.segment or self.flags & _NO_FLAGS) or self.kind not in _KINDS

    @property
    def compressed(self) -> bool:
        """Whether the stored bytes are one LZ4 block."""
        return bool(self.flags & _LZ4)

    @property
    def where(self) -> str:
        """The chunk in words, for errors."""
        return f"chunk {self.number} ({self.name}, at offset {self.offset})"


def file_header(file_id: bytes) -> bytes:
    """Return the file's header."""
    header = FILE_HEADER.pack(FILE_MAGIC, FORMAT_VERSION, 0, FILE_HEADER_BYTES, file_id)
    return header + CHECKSUM.pack(xxhash.xxh3_64_intdigest(header))


def parse_file_header(data: bytes, path: str) -> tuple[bytes, int]:
    """Return the file id and the version of the format.

    Raises:
        BadTrace: This is no trace, or one of a newer version.
    """
    if not data:
        raise BadTrace(f"{path} is empty", hint="the recorder was killed before it wrote anything")
    if data[: len(FILE_MAGIC)] != FILE_MAGIC[: len(data)]:
        raise BadTrace(f"{path} is not an rrdbg trace", hint="traces are made by `rrdbg record`")
    if len(data) < FILE_HEADER_BYTES:
        raise BadTrace(f"{path} is cut off inside its header, after {len(data)} bytes", hint="nothing is left of it")
    _, version, _flags, size, file_id = FILE_HEADER.unpack(data[: FILE_HEADER.size])
    (checksum,) = CHECKSUM.unpack(data[FILE_HEADER.size : FILE_HEADER_BYTES])
    if checksum != xxhash.xxh3_64_intdigest(data[: FILE_HEADER.size]):
        raise BadTrace(f"the header of {path} is damaged", hint="without it no chunk can be trusted")
    if version > FORMAT_VERSION or size != FILE_HEADER_BYTES:
        raise BadTrace(
            f"{path} has format version {version}; this rrdbg reads versions up to {FORMAT_VERSION}",
            hint="use a newer rrdbg",
        )
    return bytes(file_id), version


def checksum(file_id: bytes, offset: int, header: bytes, *stored: bytes | memoryview) -> int:
    """Return the checksum of a chunk: bound to the file, the place, the header and the stored bytes."""
    state = xxhash.xxh3_64(b"".join((file_id, CHECKSUM.pack(offset), header)))
    for part in stored:
        state.update(part)
    return state.intdigest()


def build_chunk(
    file_id: bytes, offset: int, kind: ChunkKind, content: Parts, first: int, last: int, *, compress: bool = True
) -> Parts:
    """Return a chunk that will stand at `offset`, in parts: large ones are not copied."""
    stored, flags = content, 0
    size = raw = sum(map(len, content))
    if compress and raw >= 64:
        packed = lz4.block.compress(content[0] if len(content) == 1 else b"".join(content), store_size=False)
        if len(packed) < raw:
            stored, flags, size = (packed,), int(ChunkFlag.LZ4), len(packed)
    if max(size, raw) > MAX_CHUNK_BYTES:
        raise ValueError(f"a chunk of {raw} bytes is too long")
    if not 0 <= first <= last < MAX_ICOUNT:
        raise ValueError(f"a chunk about positions {first} to {last}")
    header = CHUNK_HEADER.pack(CHUNK_MAGIC, kind, 0, flags, 0, size, raw, first, last)
    return (header + CHECKSUM.pack(checksum(file_id, offset, header, *stored)), *stored)


def parse_chunk_header(data: bytes, number: int, offset: int) -> Chunk:
    """Return a chunk's header.

    Raises:
        Incomplete: There are too few bytes.
        Malformed: It is no header.
    """
    if len(data) < CHUNK_HEADER_BYTES:
        raise Incomplete(f"{len(data)} bytes of its header are there")
    magic, kind, version, flags, segment, stored, raw, first, last, check = _WHOLE_HEADER.unpack_from(data)
    if magic != CHUNK_MAGIC:
        raise Malformed("no chunk starts there")
    if stored > MAX_CHUNK_BYTES or raw > MAX_CHUNK_BYTES:
        raise Malformed(f"it claims {max(stored, raw)} bytes")
    return Chunk(number, offset, kind, version, flags, segment, stored, raw, first, last, check)


def unpack(chunk: Chunk, stored: bytes) -> bytes:
    """Return the content of a chunk whose checksum holds; the stored bytes, if a later version wrote it.

    Raises:
        Malformed: It is not what the header says.
    """
    if chunk.newer:
        return stored
    if not chunk.compressed:
        if chunk.raw != chunk.stored:
            raise Malformed(f"{chunk.stored} bytes where the header says {chunk.raw}")
        return stored
    return decompress(stored, chunk.raw)


def decompress(stored: bytes | memoryview, raw: int) -> bytes:
    """Undo one LZ4 block that holds exactly `raw` bytes, a number that the caller has bounded."""
    try:
        data: bytes = lz4.block.decompress(stored, uncompressed_size=raw)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise Malformed("its LZ4 block is broken") from error
    if len(data) != raw:
        raise Malformed(f"its LZ4 block holds {len(data)} bytes where {raw} are announced")
    return data
