"""Steps as text: fixed columns first, then what the step did.

    icount virtual_ns hart priv pc instruction <symbol+offset> file:line | register=value ... | access ... | trap

Events, bookmarks and notes at a position come before its step, on lines of their own that start with `#`.
"""

from __future__ import annotations

from rrdbg.session.api import StepRow


def line(row: StepRow) -> str:
    """Return a step as one line or more, each with a newline."""
    location = row.location
    name = f" <{location.text}>" if location.symbol else ""
    source = f" {location.source}" if location.line else ""
    text = f"{row.icount:>12} {row.virtual_ns:>14} {row.hart} {row.priv} {row.pc:016x} {row.text}{name}{source}"
    if row.registers:
        text += " |" + "".join([f" {register}={value:#x}" for register, value in row.registers])
    if row.accesses:
        accesses = [
            f" {a.kind} {a.address:#x}:{a.size} {'=' if a.kind == 'read' else '<-'} {a.value:#x}" for a in row.accesses
        ]
        text += " |" + "".join(accesses)
    if row.trap:
        text += f" | trap {row.trap}"
    if row.events or row.bookmarks or row.notes:
        return _before(row) + text + "\n"
    return text + "\n"


def _before(row: StepRow) -> str:
    lines = [f"# event {event.number}: {event.text}\n" for event in row.events]
    lines += [f"# bookmark @{mark.name}: {mark.text}".rstrip(": ") + "\n" for mark in row.bookmarks]
    lines += [f"# note {note.number}: {_one_line(note.text)}\n" for note in row.notes]
    return "".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())
