"""Steps as JSON lines: one object per step; 64-bit values as hex strings, because JSON readers lose bits of numbers.

Always there: icount, virtual_ns, hart, priv, pc, insn, text. Where they apply: symbol, offset, file, line, registers
(name to value), accesses (kind, address, size, value), trap, events, bookmarks, notes.
"""

from __future__ import annotations

import json
from typing import Any

from rrdbg.session.api import EventRow, StepRow

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def line(row: StepRow) -> str:
    """Return a step as one JSON object and a newline."""
    record: dict[str, Any] = {
        "icount": row.icount,
        "virtual_ns": row.virtual_ns,
        "hart": row.hart,
        "priv": row.priv,
        "pc": hex(row.pc),
        "insn": hex(row.insn),
        "text": row.text,
    }
    location = row.location
    if location.symbol:
        record["symbol"], record["offset"] = location.symbol, location.offset
    if location.line:
        record["file"], record["line"] = location.file, location.line
    if row.registers:
        record["registers"] = {name: hex(value) for name, value in row.registers}
    if row.accesses:
        record["accesses"] = [
            {"kind": a.kind, "address": hex(a.address), "size": a.size, "value": hex(a.value)} for a in row.accesses
        ]
    if row.trap:
        record["trap"] = row.trap
    if row.events:
        record["events"] = [_event(event) for event in row.events]
    if row.bookmarks:
        record["bookmarks"] = [{"name": mark.name, "text": mark.text} for mark in row.bookmarks]
    if row.notes:
        record["notes"] = [note.text for note in row.notes]
    return _encode(record) + "\n"


def _event(event: EventRow) -> dict[str, Any]:
    return {
        "number": event.number,
        "kind": event.kind,
        "device": event.device,
        "name": event.name,
        "size": event.size,
        "payload": event.payload.hex(),
    }
