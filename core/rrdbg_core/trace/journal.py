"""Journal blocks: events by columns.

varint           events
varint           types
types x          kind u8, device string, bottom half string
varint x events  type of each
varint x events  icount, minus that of the event before (the first: minus the chunk's first icount)
varint x events  warp_ns, minus that of the event before (the first: minus 0), zigzag
varint x events  bytes of payload
bytes            payloads, one behind the other
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace import varint
from rrdbg_core.trace.cursor import Cursor, text
from rrdbg_core.trace.varint import Malformed

MAX_EVENTS = 65536
"""Events of a block."""
MAX_TYPES = 4096
"""Types of a block."""
MAX_PAYLOAD = 1 << 20
"""Bytes that one event may carry."""


def encode(events: Sequence[Event]) -> bytes:
    """Encode at least one event; they ascend."""
    types: dict[tuple[int, str, str], int] = {}
    tags = [types.setdefault((event.kind, event.device, event.name), len(types)) for event in events]
    icounts = np.array([event.icount for event in events], np.int64)
    warps = np.array([event.warp_ns for event in events], np.int64)
    parts = [varint.encode_one(len(events)), varint.encode_one(len(types))]
    parts += [bytes([kind]) + text(device) + text(name) for kind, device, name in types]
    parts += [
        varint.encode(tags),
        varint.encode(np.diff(icounts, prepend=icounts[0])),
        varint.encode(varint.zigzag(np.diff(warps, prepend=0))),
        varint.encode([len(event.payload) for event in events]),
    ]
    parts += [event.payload for event in events]
    return b"".join(parts)


def count(payload: bytes) -> int:
    """Return the number of events in a block without decoding them."""
    events = Cursor(payload).varint()
    if not 0 < events <= MAX_EVENTS:
        raise Malformed(f"it claims {events} events")
    return events


def decode(payload: bytes, first: int, last: int) -> list[Event]:
    """Decode a block.

    Args:
        payload: Content of the chunk.
        first: Its first icount.
        last: Its last.

    Raises:
        Malformed: It is no journal block, or not of these icounts.
    """
    events = count(payload)
    cursor = Cursor(payload)
    cursor.varint()
    kinds = cursor.varint()
    if not 0 < kinds <= MAX_TYPES:
        raise Malformed(f"it claims {kinds} types of events")
    types = [(_kind(cursor.take(1)[0]), cursor.text(), cursor.text()) for _ in range(kinds)]
    tags = cursor.varints(events)
    if int(tags.max()) >= kinds:
        raise Malformed("an event is of a type that is not there")
    steps = cursor.varints(events)
    if int(steps.max()) > last - first:
        raise Malformed(f"an event lies beyond {last}")
    icounts = (np.cumsum(steps) + np.uint64(first)).tolist()
    if icounts[0] != first or icounts[-1] != last:
        raise Malformed("its events are not those that its header announces")
    warps = np.cumsum(varint.unzigzag(cursor.varints(events)))
    if int(warps.min()) < 0:
        raise Malformed("a virtual time is negative")
    sizes = cursor.varints(events)
    if int(sizes.sum()) != cursor.left:
        raise Malformed("the payloads do not fill the block")
    result = []
    for tag, icount, warp, size in zip(tags.tolist(), icounts, warps.tolist(), sizes.tolist(), strict=True):
        kind, device, name = types[tag]
        result.append(Event(icount, kind, device, name, bytes(cursor.take(size)), warp))
    return result


def _kind(number: int) -> EventKind:
    try:
        return EventKind(number)
    except ValueError as error:
        raise Malformed(f"there is no event of kind {number}") from error
