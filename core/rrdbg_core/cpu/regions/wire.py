"""Messages between a running machine and its compiler's process: u8 kind, u32 bytes, little endian, then the bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum

from rrdbg_core.cpu.regions.record import MAX_RECORD_BYTES

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 64
"""Bytes of the largest message."""
MAX_PAGES = 512
"""Pages that one message asks for."""
PAGE_BYTES = 4096
PROTOCOL = 2
_HEAD = struct.Struct("<BI")


class Kind(IntEnum):
    """What a message is."""

    BEGIN = 1
    """To the compiler, first of all: u32 protocol, u32 bytes of the key, key, program."""
    SAMPLES = 2
    """To the compiler: u64 of each."""
    PAGE = 3
    """To the compiler: u64 address, the page."""
    FORGET = 4
    """To the compiler: u8, not 0: their code has changed; each plan that is not there any more, u32 bytes before it."""
    ALONE = 5
    """To the compiler: digests of plans, 16 bytes each, one of which ended its predecessor: each is tried alone."""
    NEVER = 6
    """To the compiler: u8, not 0: for good; a plan that is not tried, since it ended its predecessor."""
    ADOPT = 7
    """To the compiler: each plan that was compiled before it began, u32 bytes before it."""
    MISSED = 8
    """To the compiler: u64 address of each load or store for which regions are left often, see `Block.careful`."""
    READY = 16
    """From the compiler, first of all: u32 protocol, key."""
    WANTED = 17
    """From the compiler: u64 address of each page that it misses."""
    TRYING = 18
    """From the compiler: each plan that it is about to compile, u32 bytes before it."""
    RESULT = 19
    """From the compiler: u64 nanoseconds of CPU time it has taken so far, u8, not 0: from the disk; a sealed record."""


class BrokenMessage(Exception):
    """Bytes that are no message."""


def frame(kind: Kind, payload: bytes) -> bytes:
    """Return a message as bytes."""
    return _HEAD.pack(kind, len(payload)) + payload


def receive(read: Callable[[int], bytes | None]) -> tuple[Kind, bytes]:
    """Return the next message.

    Args:
        read: Returns up to as many bytes, none at the end.

    Raises:
        EOFError: There is none.
        BrokenMessage: It is none.
    """
    number, size = _HEAD.unpack(_exactly(read, _HEAD.size))
    if size > MAX_MESSAGE_BYTES:
        raise BrokenMessage(f"a message of {size} bytes")
    try:
        kind = Kind(number)
    except ValueError:
        raise BrokenMessage(f"a message of kind {number}") from None
    return kind, _exactly(read, size)


def _exactly(read: Callable[[int], bytes | None], size: int) -> bytes:
    pieces, missing = [], size
    while missing:
        piece = read(min(missing, 1 << 16))
        if not piece:
            raise EOFError
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def pack_words(words: Sequence[int]) -> bytes:
    """Return u64 as bytes."""
    return struct.pack(f"<{len(words)}Q", *words)


def unpack_words(data: bytes) -> tuple[int, ...]:
    """Return the u64 in bytes. Raises BrokenMessage."""
    if len(data) % 8:
        raise BrokenMessage(f"{len(data)} bytes are not u64")
    return struct.unpack(f"<{len(data) // 8}Q", data)


def pack_blobs(blobs: Sequence[bytes]) -> bytes:
    """Return byte strings as one."""
    return b"".join(part for blob in blobs for part in (struct.pack("<I", len(blob)), blob))


def unpack_blobs(data: bytes) -> list[bytes]:
    """Return what `pack_blobs` put together. Raises BrokenMessage."""
    blobs, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + size > len(data):
            raise BrokenMessage(f"{size} bytes at {at} of {len(data)}")
        blobs.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return blobs
