"""What a chunk contains, as plain values that JSON can hold: for `rrdbg dump`, and for tests of the format."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrdbg_core.checked import Invalid
from rrdbg_core.cpu import layout
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.devices.blocktree import BLOCK_BYTES
from rrdbg_core.devices.contract import NAME_BYTES
from rrdbg_core.machine import objects
from rrdbg_core.machine.events import Event
from rrdbg_core.trace import contents, journal, pagepack
from rrdbg_core.trace.frame import Chunk, ChunkKind
from rrdbg_core.trace.model import CHECK_PERIOD, EpochIndex, Manifest
from rrdbg_core.trace.pagepack import LINE_BYTES, PAGE_BYTES, line_numbers
from rrdbg_core.trace.varint import Malformed

Plain = dict[str, Any]
SHOWN_BYTES = 256
"""Bytes of a chunk of an unknown kind that are shown."""


def describe(chunk: Chunk, payload: bytes, ram_pages: int) -> Plain:
    """Return everything in a chunk.

    Raises:
        Malformed: It contradicts itself.
    """
    if chunk.newer:
        return {"newer": True, "bytes": payload[:SHOWN_BYTES].hex()}
    match chunk.kind:
        case ChunkKind.MANIFEST:
            return _manifest(payload)
        case ChunkKind.IMAGE:
            part = contents.decode_image_part(payload)
            return {"image": part.digest, "size": part.size, "offset": part.offset, "data": part.data.hex()}
        case ChunkKind.JOURNAL:
            return {"events": [event_values(event) for event in journal.decode(payload, chunk.first, chunk.last)]}
        case ChunkKind.SNAPSHOT:
            return _snapshot(chunk, payload)
        case ChunkKind.PAGES:
            return _pages(payload, ram_pages)
        case ChunkKind.DIGEST:
            events, digest = contents.decode_digest(payload)
            return {"events": events, "digest": digest.hex()}
        case ChunkKind.CHECKS:
            words = contents.decode_checks(payload).tolist()
            return {
                "words": [
                    {"icount": chunk.first + k * CHECK_PERIOD, "word": f"0x{word:016x}"} for k, word in enumerate(words)
                ]
            }
        case ChunkKind.PROGRESS:
            return {"events": contents.decode_progress(payload)}
        case ChunkKind.BLOCKS:
            return _blocks(payload)
        case ChunkKind.OBJECTS:
            return _objects(payload)
        case ChunkKind.INDEX:
            return index_values(contents.decode_index(payload, chunk.first, chunk.last, ram_pages))
    events, ending = contents.decode_end(payload, chunk.first)
    return {
        "events": events,
        "reason": ending.reason,
        "exit_code": ending.exit_code,
        "virtual_ns": ending.virtual_ns,
    }


def summary(chunk: Chunk, payload: bytes) -> str:
    """Return what a chunk holds, in a few words.

    Raises:
        Malformed: It contradicts itself.
    """
    if chunk.newer:
        return "of a newer version"
    match chunk.kind:
        case ChunkKind.MANIFEST:
            return f"{len(payload)} bytes of JSON"
        case ChunkKind.IMAGE:
            part = contents.decode_image_part(payload)
            return f"{part.digest}, bytes {part.offset} to {part.offset + len(part.data)} of {part.size}"
        case ChunkKind.JOURNAL:
            return f"{journal.count(payload)} events"
        case ChunkKind.SNAPSHOT:
            events, versions = contents.decode_snapshot_head(payload)
            return f"{events} events applied, {versions} page versions"
        case ChunkKind.PAGES:
            first, entries, zeros = pagepack.head(payload)[:3]
            return f"page versions {first} to {first + entries - 1}, {zeros} pages become zero"
        case ChunkKind.DIGEST:
            return contents.decode_digest(payload)[1].hex()
        case ChunkKind.CHECKS:
            return f"{len(payload) // 8} words"
        case ChunkKind.PROGRESS:
            return f"{contents.decode_progress(payload)} events so far"
        case ChunkKind.INDEX:
            return f"{len(payload)} bytes"
        case ChunkKind.BLOCKS:
            device, blocks = contents.decode_blocks(payload)
            lost = sum(block.offset is None for block in blocks)
            return f"{len(blocks)} blocks of {device}" + (f", {lost} of them unreadable" if lost else "")
        case ChunkKind.OBJECTS:
            return f"{len(contents.decode_objects(payload))} objects"
    return contents.decode_end(payload, chunk.first)[1].reason


def event_values(event: Event) -> Plain:
    """Return an event as plain values."""
    return {
        "icount": event.icount,
        "kind": event.kind.name.lower(),
        "device": event.device,
        "name": event.name,
        "warp_ns": event.warp_ns,
        "payload": event.payload.hex(),
    }


def index_values(epoch: EpochIndex) -> Plain:
    """Return an index block as plain values."""
    return {
        "exceptions": epoch.exceptions.tolist(),
        "interrupts": epoch.interrupts.tolist(),
        "written": [
            {"page": page, "lines": f"0x{mask:016x}"}
            for page, mask in zip(epoch.written.tolist(), epoch.written_lines.tolist(), strict=True)
        ],
        "written_words": epoch.written_words.tobytes().hex(),
        "read": epoch.read.tolist(),
        "executed": [
            {"page": page, "lines": f"0x{mask:016x}"}
            for page, mask in zip(epoch.executed.tolist(), epoch.executed_lines.tolist(), strict=True)
        ],
        "executed_halves": epoch.executed_halves.astype("<u4").tobytes().hex(),
        "console": [{"icount": icount, "data": data.hex()} for icount, data in epoch.console],
    }


def _checks(chunk: Chunk, payload: bytes) -> list[Plain]:
    words = contents.decode_checks(payload).tolist()
    return [{"icount": chunk.first + k * CHECK_PERIOD, "word": f"0x{word:016x}"} for k, word in enumerate(words)]


def _manifest(payload: bytes) -> Plain:
    try:
        return Manifest.from_json(payload).values()
    except Invalid as error:
        raise Malformed(f"no manifest: {error}") from error


def _snapshot(chunk: Chunk, payload: bytes) -> Plain:
    snapshot = contents.decode_snapshot(payload, chunk.first)
    versions = contents.decode_snapshot_head(payload)[1]
    parts: Plain = {}
    for name, words in snapshot.state.items():
        values = [f"0x{word:x}" for word in words.tolist()]
        names = _names(name)
        parts[name] = dict(zip(names, values, strict=True)) if len(names) == len(values) else values
    return {"events": snapshot.events, "versions": versions, "state": parts}


def _blocks(payload: bytes) -> Plain:
    device, blocks = contents.decode_blocks(payload)
    rows = [
        {
            "number": block.number,
            "data": None if block.offset is None else payload[block.offset : block.offset + BLOCK_BYTES].hex(),
        }
        for block in blocks
    ]
    return {"device": device, "blocks": rows}


def _objects(payload: bytes) -> Plain:
    rows = []
    for name, (start, stop) in contents.decode_objects(payload).items():
        encoded = payload[start:stop]
        if not objects.is_encoded(encoded):
            raise Malformed(f"object {name.hex()} is none")
        parts = objects.parts_of(encoded)
        rows.append(
            {
                "name": name.hex(),
                "parts": [part.hex() for part in parts],
                "data": encoded[objects.PARTS_OFFSET + NAME_BYTES * len(parts) :].hex(),
            }
        )
    return {"objects": rows}


def _names(part: str) -> list[str]:
    """Return the names of the words of the hart's and the machine's state; of other parts, none."""
    owner = part.rstrip("0123456789")
    return [
        field.name if field.words == 1 else f"{field.name}{k + (field.offset == layout.X + 1)}"
        for field in layout.FIELDS
        if field.owner == owner
        for k in range(field.words)
    ]


def _pages(payload: bytes, ram_pages: int) -> Plain:
    directory = pagepack.decode(payload, len(payload), ram_pages)
    lines: list[bytes] = []
    for group in range(len(directory.group_offsets) - 1):
        start, stop = directory.group_offsets[group : group + 2].tolist()
        count = int(directory.group_starts[group + 1] - directory.group_starts[group])
        data = bytes(pagepack.decode_group(memoryview(payload)[start:stop], count))
        lines += [data[k : k + LINE_BYTES] for k in range(0, len(data), LINE_BYTES)]
    entries = []
    for k, page in enumerate(directory.pages.tolist()):
        start = int(directory.starts[k])
        numbers = line_numbers(np.atleast_1d(directory.masks[k])).tolist()
        entries.append(
            {
                "version": directory.first + k,
                "page": page,
                "address": f"{RAM_BASE + page * PAGE_BYTES:#x}",
                "delta": bool(directory.deltas[k]),
                "lines": {str(number): lines[start + i].hex() for i, number in enumerate(numbers)},
            }
        )
    return {"entries": entries, "zeros": directory.zeros.tolist()}
