"""The whole state of a replay as a value that can be moved: into another machine, or into another process.

Encoded as: u32 length, JSON head, then every part's words, every page, and objects, all little-endian and without any
program in it. Positions and sizes are checked on the way in.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.errors import RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.objects import name_of, roots
from rrdbg_core.machine.source import ReplaySource
from rrdbg_core.trace.reader import Trace

Words = npt.NDArray[np.uint64]


class Capsule(Frozen):
    """State at a position."""

    icount: int
    """Position."""
    events: int
    """Journal events applied so far."""
    state: dict[str, Words]
    """`Machine.save()`."""
    pages: npt.NDArray[np.int64]
    """Pages that were ever written; all others are zero."""
    content: npt.NDArray[np.uint8]
    """u8[n, 4096]: what they hold."""
    objects: dict[bytes, bytes]
    """Objects that the state leads to and the trace may lack, encoded, by name."""


def source_of(trace: Trace) -> ReplaySource:
    """Return the journal of a trace as a machine's source of events."""
    ending = trace.ending
    cut = ending is not None and ending.reason not in ("exit", "disk-full")
    return ReplaySource(trace.events, trace.end_icount, cut=cut, store=trace)


def capture(machine: Machine, source: ReplaySource) -> Capsule:
    """Return the state of a machine that has stopped between two steps."""
    pages = machine.core.dirty_pages(1)
    state = machine.save()
    objects = machine.objects.reach_here(roots(state, machine.devices))
    return Capsule(machine.icount, source.position, state, pages, machine.memory.rows()[pages], objects)


def release(capsule: Capsule, machine: Machine, source: ReplaySource, *, order: list[str] | None = None) -> None:
    """Put a state into a machine, whatever it did before."""
    core = machine.core
    others = np.setdiff1d(core.dirty_pages(1), capsule.pages)
    core.load_pages(others, np.zeros((len(others), PAGE_BYTES), np.uint8))
    core.load_pages(capsule.pages, capsule.content)
    machine.objects.add(capsule.objects)
    machine.restore(capsule.state, order=order)
    source.seek(capsule.events)
    core.take_checks()
    core.take_traps()


def encode(capsule: Capsule) -> bytes:
    """Return a capsule as bytes."""
    head = {
        "icount": capsule.icount,
        "events": capsule.events,
        "parts": {name: len(words) for name, words in capsule.state.items()},
        "pages": len(capsule.pages),
        "objects": [len(encoded) for encoded in capsule.objects.values()],
    }
    text = json.dumps(head).encode()
    parts = [words.astype("<u8").tobytes() for words in capsule.state.values()]
    return b"".join(
        (
            len(text).to_bytes(4, "little"),
            text,
            *parts,
            capsule.pages.astype("<i8").tobytes(),
            capsule.content.tobytes(),
            *capsule.objects.values(),
        )
    )


def decode(data: bytes) -> Capsule:
    """Return the capsule behind some bytes.

    Raises:
        RrdbgError: They are none.
    """
    try:
        size = 4 + int.from_bytes(data[:4], "little")
        head = json.loads(data[4:size])
        state = {}
        for name, words in head["parts"].items():
            state[name] = np.frombuffer(data, "<u8", words, size).astype(np.uint64)
            size += 8 * words
        pages = np.frombuffer(data, "<i8", head["pages"], size).astype(np.int64)
        size += 8 * len(pages)
        content = np.frombuffer(data, np.uint8, len(pages) * PAGE_BYTES, size).reshape(-1, PAGE_BYTES)
        size += content.nbytes
        objects = {}
        for length in head["objects"]:
            encoded = data[size : size + length]
            objects[name_of(encoded)] = encoded
            size += length
        return Capsule(head["icount"], head["events"], state, pages, content, objects)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RrdbgError(f"a state that came from another process is broken: {error}") from error
