"""Small traces with everything in them, and what each prefix of one must read back as."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rrdbg_core.machine.config import DeviceRef, ImageRef, MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.objects import Objects
from rrdbg_core.trace import (
    BINS,
    CHECK_PERIOD,
    Ending,
    EpochIndex,
    Manifest,
    Snapshot,
    Trace,
    TraceWriter,
    image_digest,
)

RAM_PAGES = 16
MIDDLE = 3 * CHECK_PERIOD
"""Where the second snapshot lies."""
IMAGE = b"\x7fELF" + bytes(range(90))
BLOCKS: dict[int, bytes | None] = {0: bytes(range(256)) * 16, 7: None, 1 << 30: b"block".ljust(4096, b".")}
"""Blocks of a medium."""
_STORE = Objects(lambda name: None)
_LEAF = _STORE.store(b"leaf")
NAMES = [_STORE.store(b"node", [_LEAF]), _LEAF, _STORE.store(b"another")]
OBJECTS = _STORE.reach(NAMES)
"""Objects, encoded, by their names."""


def manifest(**changes: Any) -> Manifest:
    """Return a manifest of a small machine with one image and one device."""
    config = MachineConfig(
        ram_bytes=RAM_PAGES * 4096,
        images=(ImageRef(kind="elf", digest=image_digest(IMAGE), name="guest.elf"),),
        devices=(DeviceRef(kind="virtio-rng", name="rng0", slot=0),),
        seed=7,
    )
    return Manifest(config=config, created="2026-11-25T20:00:00Z", creator="test", **changes)


def view(trace: Trace) -> dict[str, Any]:
    """Return everything that can be read from a trace, comparable."""
    pages = np.arange(RAM_PAGES, dtype=np.uint32)
    return {
        "manifest": trace.manifest,
        "images": dict(trace.images),
        "events": list(trace.events),
        "end": trace.end_icount,
        "ending": trace.ending,
        "checks": trace.checks.tolist(),
        "digests": trace.digests,
        "blocks": {number: trace.block("rng0", number) for number in BLOCKS if held(trace, number)},
        "objects": {name: trace.stored(name) for name in OBJECTS if trace.stored(name)},
        "epochs": [plain_epoch(epoch) for epoch in trace.epochs],
        "snapshots": [
            (*plain_snapshot(snapshot), trace.load_pages(pages, trace.versions(number)).tobytes())
            for number, snapshot in enumerate(trace.snapshots)
        ],
    }


def held(trace: Trace, number: int) -> bool:
    """Return whether a trace has a block."""
    try:
        trace.block("rng0", number)
    except KeyError:
        return False
    return True


def plain_snapshot(snapshot: Snapshot) -> tuple[Any, ...]:
    """Return a snapshot as comparable values."""
    return snapshot.icount, snapshot.events, {name: words.tolist() for name, words in snapshot.state.items()}


def plain_epoch(epoch: EpochIndex) -> tuple[Any, ...]:
    """Return an index block as comparable values."""
    traps, written = (epoch.exceptions, epoch.interrupts), (epoch.written, epoch.written_lines, epoch.written_words)
    arrays = (*traps, *written, epoch.read, epoch.executed, epoch.executed_lines, epoch.executed_halves)
    return (epoch.start, epoch.stop, *(array.tolist() for array in arrays), epoch.console)


@dataclass
class Synthetic:
    """A trace under construction, and what it holds so far."""

    writer: TraceWriter
    ram: np.ndarray = field(default_factory=lambda: np.zeros((RAM_PAGES, 4096), np.uint8))
    events: list[Event] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)
    digests: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    epochs: list[tuple[Any, ...]] = field(default_factory=list)
    snapshots: list[tuple[Any, ...]] = field(default_factory=list)
    blocks: dict[int, bytes | None] = field(default_factory=dict)
    objects: dict[bytes, bytes] = field(default_factory=dict)
    end: int = 0
    ending: Ending | None = None
    stages: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """(file size, what a file of at least that size reads back as)."""

    def stage(self) -> None:
        """Note that all so far is in the file."""
        self.writer.flush()
        self.stages.append((self.writer.size, self.expected()))

    def expected(self) -> dict[str, Any]:
        """Return what `view` has to return now."""
        return {
            "manifest": manifest(),
            "images": {image_digest(IMAGE): IMAGE},
            "events": list(self.events),
            "end": self.end,
            "ending": self.ending,
            "checks": self.checks[: self.end // CHECK_PERIOD],
            "digests": {
                icount: digest
                for icount, (count, digest) in self.digests.items()
                if count == sum(event.icount <= icount for event in self.events)
            },
            "blocks": dict(self.blocks),
            "objects": dict(self.objects),
            "epochs": [epoch for epoch in self.epochs if epoch[1] <= self.end],
            "snapshots": list(self.snapshots),
        }

    def at(self, size: int) -> dict[str, Any] | None:
        """Return what the first `size` bytes of the file have to read back as, or None if they cannot be opened."""
        fitting = [expected for end, expected in self.stages if end <= size]
        return fitting[-1] if fitting else None

    # ---- steps -------------------------------------------------------------------------------------------------------
    def add_events(self, events: list[Event]) -> None:
        """Add events and have them written."""
        self.writer.events(events)
        self.events += events

    def add_checks(self, words: list[int]) -> None:
        """Add check words."""
        self.writer.checks(np.array(words, np.uint64))
        self.checks += words

    def add_blocks(self, *numbers: int) -> None:
        """Add blocks of a medium. They come with the next promise."""
        for number in numbers:
            self.writer.block("rng0", number, BLOCKS[number])
            self.blocks[number] = BLOCKS[number]

    def add_snapshot(
        self,
        icount: int,
        state: dict[str, np.ndarray],
        changed: dict[int, dict[int, bytes]],
        objects: Sequence[bytes] = (),
    ) -> None:
        """Add a snapshot in which lines of pages changed: {page: {line: its 64 bytes}}."""
        pages = sorted(changed)
        for page in pages:
            for line, data in changed[page].items():
                self.ram[page, 64 * line : 64 * line + 64] = np.frombuffer(data, np.uint8)
        lines = None
        if self.snapshots:
            lines = np.array([sum(1 << line for line in changed[page]) for page in pages], np.uint64)
        snapshot = Snapshot(icount, len(self.events), state)
        some = {name: OBJECTS[name] for name in objects}
        self.writer.snapshot(snapshot, np.array(pages, np.uint32), lines, self.ram[pages], some)
        self.objects |= some
        self.snapshots.append((*plain_snapshot(snapshot), self.ram.tobytes()))
        self.end = icount

    def add_digest(self, icount: int, digest: bytes) -> None:
        """Add a digest."""
        self.writer.digest(icount, digest)
        self.digests[icount] = len(self.events), digest
        self.end = icount

    def add_progress(self, icount: int) -> None:
        """Add a promise."""
        self.writer.progress(icount)
        self.end = icount

    def add_index(self, epoch: EpochIndex) -> None:
        """Add the index of an epoch."""
        self.writer.index(epoch)
        self.epochs.append(plain_epoch(epoch))

    def add_end(self, ending: Ending) -> None:
        """Add the end."""
        self.writer.end(ending)
        self.end, self.ending = ending.icount, ending


def an_epoch(start: int, stop: int, seed: int) -> EpochIndex:
    """Return an index block with something in every field."""
    rng = np.random.default_rng(seed)

    def some() -> np.ndarray:
        return np.sort(rng.choice(RAM_PAGES, int(rng.integers(1, RAM_PAGES)), replace=False)).astype(np.uint32)

    written, executed = some(), some()
    executed_lines = rng.integers(0, 1 << 40, len(executed), dtype=np.uint64)
    lines = rng.integers(1, 1 << 63, len(written), dtype=np.uint64)
    return EpochIndex(
        start,
        stop,
        rng.integers(0, 3, BINS).astype(np.uint32),
        rng.integers(0, 300, BINS).astype(np.uint32),
        written,
        lines,
        rng.integers(1, 256, int(np.bitwise_count(lines).sum())).astype(np.uint8),
        some(),
        executed,
        executed_lines,
        rng.integers(1, 1 << 32, int(np.bitwise_count(executed_lines).sum())).astype(np.uint32),
        ((start + 5, b"hello\n"), (start + 5, b"\x1b[31m"), (stop, b"\xff\x00")),
    )


def build(path: Path, *, force: bool = False, on_step: Callable[[Synthetic], None] = Synthetic.stage) -> Synthetic:
    """Write a trace with every kind of chunk but those for disks, and note what each prefix holds."""
    random_ = random.Random(5)
    trace = Synthetic(TraceWriter(path, manifest(), {image_digest(IMAGE): IMAGE}, force=force))
    on_step(trace)
    state = {"hart0": np.array([1, 2, 1 << 63], np.uint64), "mach": np.array([0, 17, 5, 6], np.uint64)}
    trace.add_snapshot(0, state, {3: {0: random_.randbytes(64), 63: b"\x01" * 64}, 4: {7: bytes(64)}})
    on_step(trace)
    trace.add_events([Event(1000, EventKind.UART_INPUT, "uart", "", b"ls\r", 0)])
    trace.add_events([Event(1000, EventKind.BH, "rng0", "entropy", random_.randbytes(20), 1 << 33)])
    trace.add_checks([random_.getrandbits(64)])
    trace.add_progress(70_000)
    on_step(trace)
    # the second event at the same position as a promise
    trace.add_events([Event(70_000, EventKind.WARP, "", "", b"", (1 << 33) + 5)])
    trace.add_events([Event(90_000, EventKind.RESET, "", "", b"", (1 << 33) + 5)])
    trace.add_checks([random_.getrandbits(64) for _ in range(2)])
    trace.add_digest(MIDDLE, random_.randbytes(16))
    on_step(trace)
    trace.add_index(an_epoch(0, MIDDLE, 1))
    on_step(trace)
    state = {"hart0": np.array([9, 2, 1 << 63], np.uint64), "mach": np.array([MIDDLE, 18, 5, 6], np.uint64)}
    trace.add_snapshot(MIDDLE, state, {3: {1: random_.randbytes(64)}, 9: {5: b"page nine".ljust(64)}})
    on_step(trace)
    # an event behind the digest of its position takes the digest back
    trace.add_events([Event(MIDDLE, EventKind.UART_INPUT, "uart", "", b"q", (1 << 33) + 9)])
    trace.add_progress(MIDDLE)
    on_step(trace)
    trace.add_checks([1])
    all_zero = dict.fromkeys(range(64), bytes(64))
    trace.add_snapshot(MIDDLE + CHECK_PERIOD, state, {3: {0: bytes(64), 1: bytes(64)}, 9: all_zero})
    on_step(trace)
    trace.add_digest(MIDDLE + 70_000, random_.randbytes(16))
    on_step(trace)
    trace.add_index(an_epoch(MIDDLE, MIDDLE + 80_000, 2))
    trace.stages.append((trace.writer.size, trace.expected()))  # in the file, but nothing promises it yet
    trace.add_end(Ending(MIDDLE + 80_000, "exit", 3, 12345))
    on_step(trace)
    trace.writer.close()
    return trace


def build_with_disk(path: Path) -> Synthetic:
    """Write a short trace with a medium and objects, and note what each prefix holds."""
    trace = Synthetic(TraceWriter(path, manifest(), {image_digest(IMAGE): IMAGE}))
    trace.stage()
    state = {"hart0": np.array([1], np.uint64)}
    trace.add_snapshot(0, state, {3: {0: b"\1" * 64}})
    trace.stage()
    trace.add_blocks(7, 0)
    trace.add_progress(1000)
    trace.stage()
    trace.add_snapshot(2000, state, {3: {1: b"\2" * 64}}, NAMES[:2])
    trace.stage()
    trace.add_blocks(1 << 30)
    trace.add_snapshot(3000, state, {}, NAMES)
    trace.stage()
    trace.add_end(Ending(4000, "until"))
    trace.stage()
    trace.writer.close()
    return trace
