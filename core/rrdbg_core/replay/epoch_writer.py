"""What a recording puts into its file, epoch by epoch: `EpochWriter`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rrdbg_core.machine.events import Event
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.objects import roots
from rrdbg_core.machine.stats import Meter
from rrdbg_core.replay.crew import crew_size
from rrdbg_core.replay.epoch_index import Collected, EpochCollector, Pages, Words
from rrdbg_core.replay.scribe import Scribe
from rrdbg_core.replay.stats import RunStats
from rrdbg_core.replay.thinning import Thinning
from rrdbg_core.trace.model import Ending, Snapshot
from rrdbg_core.trace.writer import TraceWriter

FLUSH_S = 0.9
"""Host time between two promises that everything so far is in the file; a second is promised to users."""
BATCH_S, BATCH_EPOCHS, BATCH_PAGES = 0.25, 32, 1024
"""Host time, epochs, and pages in snapshots that may wait to be written: code is quick when it is run again at once."""
BESIDE = 4
"""What a snapshot costs in the thread that writes costs the recording a part of that: another CPU does it."""

Block = tuple[str, int, bytes | None]
"""A block of a medium: of which device, its number, and what it holds, if it can be read."""


class _Snapped(NamedTuple):
    """A snapshot that is not in the file yet."""

    snapshot: Snapshot
    """All but RAM."""
    pages: Pages
    """Pages written since the snapshot before; of the first, those not all zero."""
    lines: Words | None
    """Which of their lines may have changed; None: any."""
    content: npt.NDArray[np.uint8]
    """u8[n, 4096]: what they contain."""
    objects: dict[bytes, bytes]
    """Objects that its state leads to and the file may lack."""
    ns: int
    """What it has cost so far."""
    paid: int | None
    """What was paid for it, in nanoseconds; None: it is free."""


class _Closed(NamedTuple):
    """An epoch that is over and not in the file yet."""

    icount: int
    """Where it ended."""
    events: list[Event]
    """Its events."""
    words: Words
    """Its check words."""
    collected: Collected
    """What its index is made of."""
    digest: bytes
    """The digest of its end."""
    snapshot: _Snapped | None
    """The snapshot of its end, if there is one."""
    blocks: list[Block]
    """What it has read first of media."""


class _Written(NamedTuple):
    """A snapshot that is in the file."""

    pages: int
    """Pages in it."""
    ns: int
    """What it has cost, in both threads."""
    price: int
    """What it has cost the recording."""
    paid: int | None
    """What was paid for it; None: it is free."""


class EpochWriter:
    """Collects what a running machine does, and writes it: indices, digests, check words, snapshots, events, blocks.

    Where there is another CPU, a thread writes beside the guest.

    Args:
        machine: The machine, at power-on. Its core's collections are this object's from now on, and so is `on_event`.
        writer: The file.

    Raises of all methods:
        TraceFull: It takes no more.
    """

    def __init__(self, machine: Machine, writer: TraceWriter) -> None:
        self._machine, self._writer = machine, writer
        # at a limit of size each epoch is written at once: so it is known which one was too much
        self._scribe = Scribe(beside=crew_size() > 1 and writer.max_bytes is None)
        # what it is given belongs to it until it has settled, and so do the writer and these
        self._written: list[_Written] = []
        self._index_ns = 0
        self.promised = -1
        """Position up to which the file replays, as far as is known."""
        self._events: list[Event] = []
        self._handed = 0  # events before these
        self._blocks: list[Block] = []
        self._closed: list[_Closed] = []
        self._waiting_pages = 0
        self._batch = BATCH_EPOCHS if writer.max_bytes is None else 1
        self._snapshots, self._digests, self._words, self._indices, self._flushes = (Meter() for _ in range(5))
        self._thinning = Thinning(machine.memory.pages)
        self._earned_ns = time.thread_time_ns()  # what was computed until then has earned its part
        self._flushed = time.monotonic()
        self._collector = EpochCollector(machine.core, 0)
        machine.on_event = self._events.append

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next promise."""
        return time.monotonic() - self._flushed >= FLUSH_S

    @property
    def event_count(self) -> int:
        """Events so far."""
        return self._handed + len(self._events)

    def block(self, device: str, number: int, block: bytes | None) -> None:
        """Take in a block of a medium that is read for the first time; see `TraceWriter.block`."""
        self._blocks.append((device, number, block))

    def printed(self, step: int, data: bytes) -> None:
        """Take in output of a step."""
        self._collector.printed(step, data)

    def begin(self) -> None:
        """Write the first snapshot: the machine has not made a step."""
        machine = self._machine
        loaded = machine.core.dirty_pages(1)
        self._hand_over()
        machine.core.take_unsaved()
        first = self._snap(_not_zero(machine.memory.rows(), loaded), None, None)
        self._scribe.give(lambda: self._write([], first))

    def _hand_over(self, before: int | None = None) -> None:
        """Give the writer the closed epochs, then events, all or those before a position, and check words."""
        self._catch_up()
        self._hand_blocks(self._take_blocks())
        events = self._events
        ready = self._take_events(len(events) if before is None else sum(event.icount < before for event in events))
        # counted first: a writer that is full has taken them
        self._writer.events(ready)
        self._writer.checks(self._take_checks())

    def _take_blocks(self) -> list[Block]:
        taken, self._blocks[:] = self._blocks[:], []
        return taken

    def _hand_blocks(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            self._writer.block(*block)

    def _take_events(self, count: int) -> list[Event]:
        taken = self._events[:count]
        del self._events[:count]
        self._handed += count
        return taken

    def _take_checks(self) -> Words:
        began_ns = time.perf_counter_ns()
        words = self._machine.core.take_checks()
        self._words.add(time.perf_counter_ns() - began_ns, len(words))
        return words

    def promise(self, icount: int) -> None:
        """Promise that everything up to a position is in the file, and see to it."""
        self._flushed = time.monotonic()
        self._catch_up()
        if icount > self.promised:
            self._hand_over(icount + 1)
            self._writer.progress(icount)
            self.promised = icount
        self._flush()

    def epoch(self) -> None:
        """Close an epoch: index, digest, and a snapshot if it can be afforded."""
        machine = self._machine
        core, icount = machine.core, machine.icount
        events = self._take_events(len(self._events))
        began_ns = time.perf_counter_ns()
        collected = self._collector.take(icount)
        collected_ns = time.perf_counter_ns()
        digest = machine.digest(core.generation)
        digested_ns = time.perf_counter_ns()
        words = self._take_checks()
        self._indices.add(collected_ns - began_ns)
        self._digests.add(digested_ns - collected_ns)
        now_ns = time.thread_time_ns()
        self._thinning.earn(now_ns - self._earned_ns)
        self._earned_ns = now_ns
        snapshot = None
        paid = self._thinning.pay(core.unsaved_pages)
        if paid:
            snapshot = self._snap(*core.take_unsaved(), paid)
            self._waiting_pages += len(snapshot.pages)
        self._closed.append(_Closed(icount, events, words, collected, digest, snapshot, self._take_blocks()))
        if (
            len(self._closed) >= self._batch
            or self._waiting_pages >= BATCH_PAGES
            or time.monotonic() - self._flushed >= BATCH_S
        ):
            self._write_closed()
            self._flushed = time.monotonic()

    def _write_closed(self) -> None:
        """Have the closed epochs written, and handed to the operating system."""
        closed, self._closed = self._closed, []
        self._waiting_pages = 0
        if closed:
            self.settle()
            self._scribe.give(lambda: self._write(closed))

    def _catch_up(self) -> None:
        """See to it that all closed epochs are written."""
        self._write_closed()
        self.settle()

    def settle(self) -> None:
        """Wait for what is being written, and learn what it has cost."""
        self._scribe.settle()
        self._indices.more(self._index_ns)
        self._index_ns = 0
        for pages, ns, price, paid in self._written:
            self._snapshots.add(ns)
            self._thinning.learn(pages, price)
            if paid is not None:
                self._thinning.settle(paid, price)
        self._written.clear()

    def _write(self, closed: Sequence[_Closed], first: _Snapped | None = None) -> None:
        """Write epochs, or the first snapshot: the scribe's work."""
        if first is not None:
            self._write_snapshot(first)
        for epoch in closed:
            self._hand_blocks(epoch.blocks)
            self._writer.events(epoch.events)
            self._writer.checks(epoch.words)
            began_ns = time.perf_counter_ns()
            self._writer.index(epoch.collected.to_index())
            self._index_ns += time.perf_counter_ns() - began_ns
            self._writer.digest(epoch.icount, epoch.digest)
            if epoch.snapshot is not None:
                self._write_snapshot(epoch.snapshot)
        self._flush()
        self.promised = closed[-1].icount if closed else 0

    def _flush(self) -> None:
        with self._flushes.timing():
            self._writer.flush()

    def _snap(self, pages: Pages, lines: Words | None, paid: int | None) -> _Snapped:
        machine = self._machine
        began_ns = time.thread_time_ns()
        snapshot = Snapshot(machine.icount, self._handed, machine.save())
        content = machine.memory.rows()[pages]
        names = roots(snapshot.state, machine.devices)
        objects = machine.objects.reach(names, self._writer.holds)
        machine.objects.sweep(lambda: names)
        return _Snapped(snapshot, pages, lines, content, objects, time.thread_time_ns() - began_ns, paid)

    def _write_snapshot(self, snapped: _Snapped) -> None:
        began_ns = time.thread_time_ns()
        self._writer.snapshot(snapped.snapshot, snapped.pages, snapped.lines, snapped.content, snapped.objects)
        ns = time.thread_time_ns() - began_ns
        price = snapped.ns + (ns // BESIDE if self._scribe.beside else ns)
        self._written.append(_Written(len(snapped.pages), snapped.ns + ns, price, snapped.paid))

    def finish(self) -> None:
        """Write everything up to where the machine stands for good."""
        icount = self._machine.icount
        self._hand_over()
        collected = self._collector.take(icount)
        if collected.stop > collected.start:
            with self._indices.timing():
                self._writer.index(collected.to_index())
        with self._digests.timing():
            self._writer.digest(icount, self._machine.digest(self._machine.core.generation))

    def end(self, ending: Ending) -> None:
        """Write how it ended. The trace may be full by its limit of size."""
        with self._flushes.timing():
            self._writer.end(ending)

    def close(self) -> None:
        """Write what waits and close the file, whatever has happened."""
        self._scribe.wait()
        self._writer.close()

    def stats(self) -> RunStats:
        """Return what was done and what it cost."""
        return RunStats(
            self._machine.stats(),
            self._snapshots.cost,
            self._digests.cost,
            self._words.cost,
            self._indices.cost,
            self._flushes.cost,
            self._writer.bytes_by_kind,
        )


def _not_zero(rows: npt.NDArray[np.uint8], pages: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Return those of some pages, ascending, that hold anything but zeros: looked at where they lie, since a copy of a
    kernel takes longer than all else here.

    Shapes: rows u8[n, 4096].
    """
    runs = np.split(pages, (np.diff(pages) != 1).nonzero()[0] + 1)
    held = [run[rows[run[0] : run[-1] + 1].any(axis=1)] for run in runs if len(run)]
    return np.concatenate(held).astype(np.uint32) if held else np.zeros(0, np.uint32)
