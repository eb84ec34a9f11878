"""What a trace holds beside the guest's own state: blocks of media, and objects that states refer to."""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg_core.devices.blocktree import BLOCK_BYTES
from rrdbg_core.machine.objects import is_encoded, name_of
from rrdbg_core.trace import contents
from rrdbg_core.trace.frame import Chunk
from rrdbg_core.trace.lazy import KEPT_BYTES, Cache
from rrdbg_core.trace.scan import ChunkFile
from rrdbg_core.trace.varint import Malformed


@dataclass(slots=True)
class MediumInfo:
    """How much of a medium a trace holds."""

    blocks: int = 0
    """Blocks of 4096 bytes that were read."""
    unreadable: int = 0
    """How many of them the host could not read."""


class _Contents:
    """Contents of chunks, a few of them kept.

    Args:
        file: The trace.
    """

    def __init__(self, file: ChunkFile) -> None:
        self._chunks: list[Chunk] = []
        self._contents = Cache(lambda n: file.content(self._chunks[n]), lambda n: self._chunks[n].raw, KEPT_BYTES)

    def add(self, chunk: Chunk) -> int:
        """Take in a chunk and return its number."""
        self._chunks.append(chunk)
        return len(self._chunks) - 1

    def chunk(self, number: int) -> Chunk:
        """Return a chunk."""
        return self._chunks[number]

    def part(self, number: int, start: int, stop: int) -> bytes:
        """Return a part of a chunk's content."""
        return self._contents[number][start:stop]


class Media:
    """The blocks of all devices' media.

    Args:
        file: The trace.
    """

    def __init__(self, file: ChunkFile) -> None:
        self._contents = _Contents(file)
        self._places: dict[tuple[str, int], tuple[int, int | None]] = {}
        self.devices: dict[str, MediumInfo] = {}
        """How much there is, by device."""

    def add(self, chunk: Chunk, payload: bytes) -> None:
        """Take in a chunk."""
        device, blocks = contents.decode_blocks(payload)
        fresh = {(device, block.number): block.offset for block in blocks}
        if len(fresh) != len(blocks) or not fresh.keys().isdisjoint(self._places):
            raise Malformed("a block is there twice")
        number = self._contents.add(chunk)
        info = self.devices.setdefault(device, MediumInfo())
        for key, offset in fresh.items():
            self._places[key] = number, offset
            info.blocks += 1
            info.unreadable += offset is None

    def block(self, device: str, number: int) -> bytes | None:
        """Return a block; None if it could not be read.

        Raises:
            KeyError: It is not there.
        """
        chunk, offset = self._places[device, number]
        return None if offset is None else self._contents.part(chunk, offset, offset + BLOCK_BYTES)


class StoredObjects:
    """The objects of a trace.

    Args:
        file: The trace.
    """

    def __init__(self, file: ChunkFile) -> None:
        self._file = file
        self._contents = _Contents(file)
        self._places: dict[bytes, tuple[int, int, int]] = {}

    def add(self, chunk: Chunk, payload: bytes) -> None:
        """Take in a chunk."""
        places = contents.decode_objects(payload)
        number = self._contents.add(chunk)
        self._places.update({name: (number, start, stop) for name, (start, stop) in places.items()})

    def get(self, name: bytes) -> bytes | None:
        """Return an encoded object, or None if there is none of that name."""
        place = self._places.get(name)
        if place is None:
            return None
        encoded = self._contents.part(*place)
        if name_of(encoded) != name or not is_encoded(encoded):
            raise self._file.bad(self._contents.chunk(place[0]), f"object {name.hex()} is another one")
        return encoded
