"""Another reader, written from docs/format.md alone: it must see what `Trace` sees."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.block
import pytest
import xxhash

from tests.trace import synthetic


class Reader:
    """Numbers one behind the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def bytes(self, size: int) -> bytes:
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size : self.at]

    def u(self, size: int) -> int:
        return int.from_bytes(self.bytes(size), "little")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.u(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def varints(self, count: int) -> list[int]:
        return [self.varint() for _ in range(count)]

    def zigzag(self) -> int:
        value = self.varint()
        return -(value + 1) // 2 if value % 2 else value // 2

    def string(self) -> str:
        return self.bytes(self.u(1)).decode()

    def ascending(self, count: int) -> list[int]:
        numbers: list[int] = []
        for step in self.varints(count):
            numbers.append(step if not numbers else numbers[-1] + 1 + step)
        return numbers

    def sums(self, count: int, base: int) -> list[int]:
        numbers = []
        for step in self.varints(count):
            base += step
            numbers.append(base)
        return numbers


def chunks(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return kind, first, last and content of each chunk."""
    assert data[:8] == bytes.fromhex("8952 5254 0d0a 1a0a")
    version, flags, size, file_id, check = struct.unpack_from("<HHI16sQ", data, 8)
    assert (version, flags, size) == (1, 0, 40)
    assert check == xxhash.xxh3_64_intdigest(data[:32])
    result, at = [], 40
    while at < len(data):
        magic, kind, version, flags, segment, stored, raw, first, last, check = struct.unpack_from(
            "<4s4B2I3Q", data, at
        )
        assert (magic, version, segment) == (b"RRTC", 0, 0)
        content = data[at + 40 : at + 40 + stored]
        assert check == xxhash.xxh3_64_intdigest(file_id + struct.pack("<Q", at) + data[at : at + 32] + content)
        if flags & 1:
            content = lz4.block.decompress(content, uncompressed_size=raw)
        assert len(content) == raw
        result.append((kind, first, last, content))
        at += 40 + stored
    return result


class Machine:
    """What one knows after reading some chunks."""

    def __init__(self) -> None:
        self.manifest: dict[str, Any] = {}
        self.images: dict[str, bytes] = {}
        self.events: list[tuple[Any, ...]] = []
        self.checks: dict[int, int] = {}
        self.digests: dict[int, tuple[int, str]] = {}
        self.snapshots: list[tuple[int, int, dict[str, list[int]], bytes]] = []
        self.epochs: list[tuple[Any, ...]] = []
        self.pages: dict[int, bytes] = {}
        self.versions = 0
        self.blocks: dict[tuple[str, int], bytes | None] = {}
        self.objects: dict[bytes, bytes] = {}
        self.end = 0
        self.ending: tuple[Any, ...] = ()

    def take(self, kind: int, first: int, last: int, content: bytes) -> None:
        r = Reader(content)
        names = "manifest image journal snapshot pages digest checks progress index ending blocks objects"
        getattr(self, f"take_{names.split()[kind - 1]}")(r, first, last)
        assert r.at == len(content)
        if kind in (4, 6, 8, 10):
            assert first == last >= self.end
            self.end = first

    def take_manifest(self, r: Reader, first: int, last: int) -> None:
        self.manifest = json.loads(r.bytes(len(r.data)))

    def take_image(self, r: Reader, first: int, last: int) -> None:
        digest, size, offset = r.bytes(16).hex(), r.u(8), r.u(8)
        self.images[digest] = self.images.get(digest, b"")
        assert len(self.images[digest]) == offset
        self.images[digest] += r.bytes(len(r.data) - 32)
        if len(self.images[digest]) == size:
            assert hashlib.blake2b(self.images[digest], digest_size=16).hexdigest() == digest

    def take_journal(self, r: Reader, first: int, last: int) -> None:
        n, t = r.varint(), r.varint()
        types = [(r.u(1), r.string(), r.string()) for _ in range(t)]
        tags = r.varints(n)
        icounts = r.sums(n, first)
        assert (icounts[0], icounts[-1]) == (first, last)
        warp, warps = 0, []
        for _ in range(n):
            warp += r.zigzag()
            warps.append(warp)
        sizes = r.varints(n)
        for tag, icount, warp, size in zip(tags, icounts, warps, sizes, strict=True):
            self.events.append((icount, *types[tag], r.bytes(size), warp))

    def take_snapshot(self, r: Reader, first: int, last: int) -> None:
        events, versions, p = r.u(8), r.u(4), r.u(2)
        assert versions == self.versions
        parts = [(r.string(), r.u(4)) for _ in range(p)]
        state = {name: [r.u(8) for _ in range(words)] for name, words in parts}
        pages = self.manifest["config"]["ram_bytes"] // 4096
        ram = b"".join(self.pages.get(page, bytes(4096)) for page in range(pages))
        self.snapshots.append((first, events, state, ram))

    def take_pages(self, r: Reader, first: int, last: int) -> None:
        version, n, z, g, stored, raw = (r.u(4) for _ in range(6))
        assert version == self.versions + 1
        self.versions += n
        d = Reader(lz4.block.decompress(r.bytes(stored), uncompressed_size=raw))
        numbers, zeros = d.ascending(n), d.ascending(z)
        deltas = d.bytes((n + 7) // 8)
        masks = [d.u(8) for _ in range(n)]
        counts, sizes = d.varints(g), d.varints(g)
        assert d.at == raw
        entry = 0
        for count, size in zip(counts, sizes, strict=True):
            lines_bytes = 64 * sum(mask.bit_count() for mask in masks[entry : entry + count])
            block = r.bytes(size)
            lines = Reader(block if size == lines_bytes else lz4.block.decompress(block, uncompressed_size=lines_bytes))
            for k in range(entry, entry + count):
                is_delta = deltas[k // 8] >> k % 8 & 1
                page = bytearray(self.pages[numbers[k]] if is_delta else bytes(4096))
                for line in range(64):
                    if masks[k] >> line & 1:
                        page[64 * line : 64 * line + 64] = lines.bytes(64)
                self.pages[numbers[k]] = bytes(page)
            entry += count
        for page in zeros:
            self.pages.pop(page, None)

    def take_digest(self, r: Reader, first: int, last: int) -> None:
        assert r.u(8) == len(self.events)
        self.digests[first] = len(self.events), r.bytes(16).hex()

    def take_checks(self, r: Reader, first: int, last: int) -> None:
        for position in range(first, last + 1, 65536):
            self.checks[position] = r.u(8)

    def take_progress(self, r: Reader, first: int, last: int) -> None:
        assert r.u(8) == len(self.events)

    def take_index(self, r: Reader, first: int, last: int) -> None:
        exceptions, interrupts = r.varints(64), r.varints(64)
        written, read, executed = (r.ascending(r.varint()) for _ in range(3))
        masks = [r.u(8) for _ in written]
        words = [r.u(1) for _ in range(sum(mask.bit_count() for mask in masks))]
        count = r.varint()
        places = r.sums(count, first)
        sizes = r.varints(count)
        console = tuple((place, r.bytes(size)) for place, size in zip(places, sizes, strict=True))
        lines = [r.u(8) for _ in executed]
        halves = [r.u(4) for _ in range(sum(mask.bit_count() for mask in lines))]
        rows = (exceptions, interrupts, written, masks, words, read, executed, lines, halves)
        self.epochs.append((first, last, *rows, console))

    def take_blocks(self, r: Reader, first: int, last: int) -> None:
        device, n = r.string(), r.varint()
        numbers, lost = r.varints(n), [r.u(1) for _ in range(n)]
        for number, gone in zip(numbers, lost, strict=True):
            assert (device, number) not in self.blocks
            assert gone in (0, 1)
            self.blocks[device, number] = None if gone else r.bytes(4096)

    def take_objects(self, r: Reader, first: int, last: int) -> None:
        n = r.varint()
        names = [r.bytes(16) for _ in range(n)]
        for name, size in zip(names, r.varints(n), strict=True):
            encoded = r.bytes(size)
            assert hashlib.blake2b(encoded, digest_size=16).digest() == name
            (parts,) = struct.unpack_from("<H", encoded)
            assert len(encoded) >= 2 + 16 * parts
            self.objects[name] = encoded

    def take_ending(self, r: Reader, first: int, last: int) -> None:
        assert r.u(8) == len(self.events)
        flags, code, virtual_ns = r.u(1), struct.unpack("<q", r.bytes(8))[0], r.u(8)
        self.ending = (first, r.string(), code if flags & 1 else None, virtual_ns if flags & 2 else None)


@pytest.mark.parametrize("build", [synthetic.build, synthetic.build_with_disk])
def test_the_document_is_enough(tmp_path: Path, build: Callable[[Path], synthetic.Synthetic]) -> None:
    """Read traces with every kind of chunk."""
    expected = build(tmp_path / "t.rrt").expected()
    machine = Machine()
    for chunk in chunks((tmp_path / "t.rrt").read_bytes()):
        machine.take(*chunk)
    assert machine.manifest == expected["manifest"].values()
    assert machine.images == expected["images"]
    assert machine.events == [(e.icount, e.kind, e.device, e.name, e.payload, e.warp_ns) for e in expected["events"]]
    assert list(machine.checks.values()) == expected["checks"]
    assert machine.snapshots == expected["snapshots"]
    assert machine.epochs == expected["epochs"]
    assert machine.blocks == {("rng0", number): block for number, block in expected["blocks"].items()}
    assert machine.objects == expected["objects"]
    assert machine.end == expected["end"]
    ending = expected["ending"]
    assert machine.ending == (ending.icount, ending.reason, ending.exit_code, ending.virtual_ns)
    valid = {
        icount: bytes.fromhex(digest)
        for icount, (events, digest) in machine.digests.items()
        if events == sum(event[0] <= icount for event in machine.events)
    }
    assert valid == expected["digests"]
