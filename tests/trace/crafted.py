"""Files made chunk by chunk with valid checksums, whatever they contain; and everything one can ask of a trace."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from rrdbg_core.trace import Trace
from rrdbg_core.trace.frame import unpack
from rrdbg_core.trace.scan import ChunkFile

from tests.trace.synthetic import OBJECTS

FILE_ID = bytes(range(16))


@dataclass(frozen=True)
class Raw:
    """A chunk, its content not compressed unless `flags` says so."""

    kind: int
    payload: bytes
    first: int = 0
    last: int = 0
    version: int = 0
    flags: int = 0
    segment: int = 0
    raw: int | None = None


def write(path: Path, chunks: Sequence[Raw]) -> None:
    """Write a file of chunks. The checksums are computed here, from the format's description alone."""
    header = b"\x89RRT\r\n\x1a\n" + struct.pack("<HHI", 0, 0, 40) + FILE_ID
    data = bytearray(header + struct.pack("<Q", xxhash.xxh3_64_intdigest(header)))
    for chunk in chunks:
        raw = len(chunk.payload) if chunk.raw is None else chunk.raw
        start = struct.pack(
            "<4sBBBBIIQQ",
            b"RRTC",
            *(chunk.kind, chunk.version, chunk.flags, chunk.segment),
            *(len(chunk.payload), raw, chunk.first, chunk.last),
        )
        check = xxhash.xxh3_64_intdigest(FILE_ID + struct.pack("<Q", len(data)) + start + chunk.payload)
        data += start + struct.pack("<Q", check) + chunk.payload
    path.write_bytes(data)


def take_apart(path: Path) -> list[Raw]:
    """Return the chunks of a file, decompressed."""
    file = ChunkFile(path)
    chunks = [Raw(chunk.kind, unpack(chunk, stored), chunk.first, chunk.last) for chunk, stored in file.walk()]
    file.close()
    assert not file.fault
    return chunks


def ask_everything(trace: Trace) -> None:
    """Ask a trace for everything it has."""
    list(trace.events)
    list(trace.epochs)
    list(trace.snapshots)
    list(trace.chunks())
    assert len(trace.checks) + len(trace.digests) >= 0
    for digest in trace.images:
        trace.images[digest]
    for device in trace.media:
        for number in (0, 7, 1 << 30):
            with contextlib.suppress(KeyError):
                trace.block(device, number)
    for name in OBJECTS:
        trace.stored(name)
    for number in range(len(trace.snapshots)):
        versions = trace.versions(number)
        pages = np.flatnonzero(versions)
        trace.load_pages(pages, versions[pages])
