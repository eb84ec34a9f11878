"""Run a guest and write a trace of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rrdbg_core.errors import ExitCode
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.events import Event
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.objects import roots
from rrdbg_core.machine.stats import Meter
from rrdbg_core.replay.control import Control
from rrdbg_core.replay.crew import crew_size
from rrdbg_core.replay.epoch_index import Collected, EpochCollector, Pages, Words
from rrdbg_core.replay.hostclock import TICK_S
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.scribe import Scribe
from rrdbg_core.replay.stats import RunStats
from rrdbg_core.replay.thinning import Thinning
from rrdbg_core.trace.model import EPOCH, Ending, Manifest, Snapshot, SourceRef
from rrdbg_core.trace.output import TraceFull
from rrdbg_core.trace.writer import TraceWriter

FLUSH_S = 0.9
"""Host time between two promises that everything so far is in the file; a second is promised to users."""
BATCH_S, BATCH_EPOCHS, BATCH_PAGES = 0.25, 32, 1024
"""Host time, epochs, and pages in snapshots that may wait to be written: code is quick when it is run again at once."""
PROGRESS_S = 0.05
"""Host time between two calls of `on_progress`."""
GUEST_ERRORS = 1000
"""Guest errors that are handed on; more are only counted."""
BESIDE = 4
"""What a snapshot costs in the thread that writes costs the recording a part of that: another CPU does it."""


class Until(Frozen):
    """Where a recording ends, if nothing ends it before. What is None never does."""

    icount: int | None = None
    """At this position."""
    virtual_ns: int | None = None
    """At the first position at or behind this virtual time."""
    pattern: bytes | None = None
    """Behind the step that prints the last byte of this."""


class Progress(Frozen):
    """How far a recording is."""

    icount: int
    """Steps so far."""
    virtual_ns: int
    """The virtual clock."""
    trace_bytes: int
    """Size of the file so far."""
    events: int
    """Journal events so far."""
    host_seconds: float
    """Host time since the first step, without pauses."""
    idle: bool
    """The guest waits for input or for a timer, in host time."""
    promised: int = 0
    """Position up to which the file replays."""
    paused: bool = False
    """The recording stands still because somebody asked for it."""


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


class Recording(Frozen):
    """What was recorded."""

    ending: Ending
    """Where and why it ended."""
    virtual_ns: int
    """The virtual clock at the end."""
    host_seconds: float
    """Host time that it took, without pauses."""
    trace_bytes: int
    """Size of the file."""
    events: int
    """Journal events."""
    snapshots: int
    """Snapshots."""
    guest_errors: int
    """Times that the guest used a device wrongly."""
    leftover: str
    """Input that the guest never took, in words, or ""."""
    stats: RunStats
    """What was done and what it cost."""


def record(
    config: MachineConfig,
    images: Mapping[str, bytes],
    source: LiveSource,
    path: str | PathLike[str],
    *,
    force: bool = False,
    max_bytes: int | None = None,
    until: Until | None = None,
    timeout_s: float | None = None,
    interrupt: Callable[[], bool] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_console: Callable[[int, bytes], None] | None = None,
    on_guest_error: Callable[[int, str, str], None] | None = None,
    on_compile: Callable[[str], None] | None = None,
    on_start: Callable[[], None] | None = None,
    control: Control | None = None,
    sources: Sequence[SourceRef] = (),
    created: str = "",
    creator: str = "",
) -> Recording:
    """Run a guest from power-on and write its trace.

    Args:
        config: What the machine is made of.
        images: Content of its images, and of `sources`, by digest.
        source: Where its events come from.
        path: The trace.
        force: Overwrite an existing one.
        max_bytes: Size of the file at which the recording ends.
        until: Where it ends, if nothing ends it before.
        timeout_s: Host seconds after which it ends, without pauses.
        interrupt: Asked at least every 50 ms or so; True ends the recording.
        on_progress: Told about every `PROGRESS_S` how far it is.
        on_console: Handed the step and what the guest prints in it.
        on_guest_error: Handed icount, device and text when the guest misuses a device, `GUEST_ERRORS` times at most.
        on_compile: Told if the guest CPU has to be compiled first.
        on_start: Called once the trace can be opened, before the first step.
        control: What somebody who watches asks for: pauses, and to see the present.
        sources: Source files that the trace is to carry.
        created: Wall clock at the start, for people.
        creator: Program and version, for people.

    Returns:
        How it went. A full trace (`max_bytes`) ends a recording as well as anything.

    Raises:
        RrdbgError: The image cannot be loaded or the file cannot be written.
        TraceFull: The disk is full. What was recorded until then replays.
    """
    # the machine first: an image that cannot be loaded leaves no file behind
    machine = Machine(config, dict(images), source, progress=on_compile)
    manifest = Manifest(config=config, sources=tuple(sources), created=created, creator=creator)
    source.attach(machine.devices)
    writer = TraceWriter(path, manifest, images, force=force, max_bytes=max_bytes)
    recorder = _Recorder(machine, source, writer, until or Until(), timeout_s, interrupt, control or Control())
    recorder.on_progress, recorder.on_console, recorder.on_guest_error = on_progress, on_console, on_guest_error
    recorder.on_start = on_start
    try:
        return recorder.run()
    finally:
        recorder.scribe.wait()
        writer.close()


class _Recorder:
    """One recording under way."""

    def __init__(
        self,
        machine: Machine,
        source: LiveSource,
        writer: TraceWriter,
        until: Until,
        timeout_s: float | None,
        interrupt: Callable[[], bool] | None,
        control: Control,
    ) -> None:
        self.on_progress: Callable[[Progress], None] | None = None
        self.on_console: Callable[[int, bytes], None] | None = None
        self.on_guest_error: Callable[[int, str, str], None] | None = None
        self.on_start: Callable[[], None] | None = None
        self._machine, self._source, self._writer = machine, source, writer
        self._until = until
        self._interrupt = interrupt
        self._control = control
        self._clock = source.clock
        self._events: list[Event] = []
        # at a limit of size each epoch is written at once: so it is known which one was too much
        self.scribe = Scribe(beside=crew_size() > 1 and writer.max_bytes is None)
        """Who writes. What it is given belongs to it until it has settled, and so does the writer."""
        self._blocks: list[Block] = []
        self._written: list[_Written] = []
        self._index_ns = 0
        self._closed: list[_Closed] = []
        self._waiting_pages = 0
        self._batch = BATCH_EPOCHS if writer.max_bytes is None else 1
        self._event_count = self._guest_errors = 0
        self._snapshots, self._digests, self._words, self._indices, self._flushes = (Meter() for _ in range(5))
        self._thinning = Thinning(machine.memory.pages)
        self._earned_ns = time.thread_time_ns()  # what was computed until then has earned its part
        self._heard = b""
        self._reason = ""  # why the recording shall end at the next position
        self._started = self._clock.seconds()
        self._flushed = time.monotonic()
        self._shown = self._flushed - PROGRESS_S  # the first look is told at once
        self._deadline = None if timeout_s is None else self._started + timeout_s
        self._promised = -1
        self._standing = False
        self._collector = EpochCollector(machine.core, 0)
        machine.on_event = self._events.append
        machine.on_console, machine.listens = self._printed, until.pattern is not None
        machine.on_guest_error = self._guest_error
        source.stop = self._idle
        source.on_block = lambda *block: self._blocks.append(block)
        source.until_ns, source.on_until = until.virtual_ns, self._end_here
        control.wake = source.nudge

    # ---- the loop ----------------------------------------------------------------------------------------------------
    def run(self) -> Recording:
        """Record until something ends it."""
        try:
            reason = self._record()
        except TraceFull as error:
            if error.exit_code != ExitCode.LIMIT:
                raise
            reason = "max-size"
        return self._end(reason)

    def _record(self) -> str:
        machine = self._machine
        machine.run(0)
        loaded = machine.core.dirty_pages(1)
        self._hand_over()
        machine.core.take_unsaved()
        pages = _not_zero(machine.memory.rows(), loaded)
        first = self._snap(pages, None, None)
        self.scribe.give(lambda: self._write([], first))
        if self.on_start:
            self._settle()
            self.on_start()
        while not self._is_over():
            goal = self._goal()
            stop = machine.run(goal, interrupt=self._look)
            if stop is StopReason.EXIT:
                return "exit"
            if stop is StopReason.IDLE:
                return "idle"
            if machine.icount == goal and goal % EPOCH == 0:
                self._epoch()
            if self._reason:
                return self._reason
            self._stopped()
            if self._reason:  # not a step more than what a pause has shown
                return self._reason
        return "until"

    def _stopped(self) -> None:
        """Do what the machine was stopped for between two steps."""
        icount = self._machine.icount
        # an idle machine that warps from timer to timer is not done with its position
        idle = not self._source.is_settled(icount)
        if time.monotonic() - self._flushed >= FLUSH_S:
            self._promise(icount - idle)
        self._attend(icount - idle, idle=idle)

    def _goal(self) -> int:
        """Return how far the machine may run before it is looked at."""
        machine, until = self._machine, self._until
        goal = (machine.icount // EPOCH + 1) * EPOCH
        if until.icount is not None:
            goal = min(goal, until.icount)
        return goal

    def _is_over(self) -> bool:
        """Return whether the end that the user set is reached."""
        machine, until = self._machine, self._until
        if until.icount is not None and machine.icount >= until.icount:
            return True
        return until.virtual_ns is not None and machine.virtual_ns() >= until.virtual_ns

    def _look(self) -> bool:
        """Look, between two steps, whether the machine has to stop for anything."""
        self._show(idle=False)
        return self._wants_to_end() or self._control.asks or time.monotonic() - self._flushed >= FLUSH_S

    def _wants_to_end(self) -> bool:
        if not self._reason and self._interrupt is not None and self._interrupt():
            self._reason = "interrupted"
        if not self._reason and self._deadline is not None and self._clock.seconds() >= self._deadline:
            self._reason = "timeout"
        return bool(self._reason)

    def _idle(self) -> bool:
        """Do the same while the machine is idle: what lies before the step that made it so can be promised."""
        before = self._machine.icount - 1
        self._show(idle=True)
        if time.monotonic() - self._flushed >= FLUSH_S:
            self._promise(before)
        self._attend(before, idle=True)
        return self._wants_to_end()

    def _attend(self, icount: int, *, idle: bool) -> None:
        """Do what whoever watches asks for: promise a position, and stand still while the recording is paused."""
        control = self._control
        if not control.asks:
            return
        self._promise(icount)
        self._clock.pause()
        self._standing = standing = control.paused
        control.taken()
        self._show(idle=idle, at_once=True)
        while control.paused and not self._wants_to_end():
            control.wait(TICK_S)
            if control.taken():
                self._show(idle=idle, at_once=True)
        self._clock.resume()
        self._standing = False
        if standing:
            self._show(idle=idle, at_once=True)

    def _show(self, *, idle: bool, at_once: bool = False) -> None:
        if self.on_progress is None:
            return
        now = time.monotonic()
        if now - self._shown < PROGRESS_S and not at_once:
            return
        self._shown = now
        machine = self._machine
        self.on_progress(
            Progress(
                machine.icount,
                machine.virtual_ns(),
                self._writer.size,
                self._event_count + len(self._events),
                self._clock.seconds() - self._started,
                idle,
                self._promised,
                self._standing,
            )
        )

    # ---- what the machine tells --------------------------------------------------------------------------------------
    def _printed(self, step: int, data: bytes) -> None:
        self._collector.printed(step, data)
        if self.on_console:
            self.on_console(step, data)
        pattern = self._until.pattern
        if pattern is not None and not self._reason:
            self._heard += data
            if pattern in self._heard:
                self._end_here()
            self._heard = self._heard[-len(pattern) :]

    def _end_here(self) -> None:
        """End the recording at the next position: what the user waited for has come."""
        self._reason = self._reason or "until"
        self._machine.stop_behind_step()

    def _guest_error(self, icount: int, device: str, text: str) -> None:
        self._guest_errors += 1
        if self.on_guest_error and self._guest_errors <= GUEST_ERRORS:
            self.on_guest_error(icount, device, text)

    # ---- what goes into the file -------------------------------------------------------------------------------------
    def _hand_over(self, before: int | None = None) -> None:
        """Give the writer the closed epochs, then events, all or those before a position, and check words."""
        self._write_closed()
        self._settle()
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
        self._event_count += count
        return taken

    def _take_checks(self) -> Words:
        began_ns = time.perf_counter_ns()
        words = self._machine.core.take_checks()
        self._words.add(time.perf_counter_ns() - began_ns, len(words))
        return words

    def _promise(self, icount: int) -> None:
        """Promise that everything up to a position is in the file, and see to it."""
        self._flushed = time.monotonic()
        self._write_closed()
        self._settle()
        if icount > self._promised:
            self._hand_over(icount + 1)
            self._writer.progress(icount)
            self._promised = icount
        self._flush()

    def _epoch(self) -> None:
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
            self._settle()
            self.scribe.give(lambda: self._write(closed))

    def _settle(self) -> None:
        """Wait for what is being written, and learn what it has cost."""
        self.scribe.settle()
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
        self._promised = closed[-1].icount if closed else 0

    def _flush(self) -> None:
        with self._flushes.timing():
            self._writer.flush()

    def _snap(self, pages: Pages, lines: Words | None, paid: int | None) -> _Snapped:
        machine = self._machine
        began_ns = time.thread_time_ns()
        snapshot = Snapshot(machine.icount, self._event_count, machine.save())
        content = machine.memory.rows()[pages]
        names = roots(snapshot.state, machine.devices)
        objects = machine.objects.reach(names, self._writer.holds)
        machine.objects.sweep(lambda: names)
        return _Snapped(snapshot, pages, lines, content, objects, time.thread_time_ns() - began_ns, paid)

    def _write_snapshot(self, snapped: _Snapped) -> None:
        began_ns = time.thread_time_ns()
        self._writer.snapshot(snapped.snapshot, snapped.pages, snapped.lines, snapped.content, snapped.objects)
        ns = time.thread_time_ns() - began_ns
        price = snapped.ns + (ns // BESIDE if self.scribe.beside else ns)
        self._written.append(_Written(len(snapped.pages), snapped.ns + ns, price, snapped.paid))

    def _end(self, reason: str) -> Recording:
        """Write the end. A trace that is full ends without index and digest of its last epoch."""
        machine, writer = self._machine, self._writer
        icount = machine.icount
        host_seconds = self._clock.seconds() - self._started
        warp = self._source.untold_warp(icount, machine.warp_ns)
        if warp is not None and reason != "exit":
            machine.apply(warp)
        try:
            self._hand_over()
            collected = self._collector.take(icount)
            if collected.stop > collected.start:
                with self._indices.timing():
                    writer.index(collected.to_index())
            with self._digests.timing():
                writer.digest(icount, machine.digest(machine.core.generation))
        except TraceFull as error:
            if error.exit_code != ExitCode.LIMIT:
                raise
        code = machine.exit_code if reason == "exit" else None
        ending = Ending(icount, reason, code, machine.virtual_ns())
        with self._flushes.timing():
            writer.end(ending)
        return Recording(
            ending,
            machine.virtual_ns(),
            host_seconds,
            writer.size,
            self._event_count,
            self._snapshots.count,
            self._guest_errors,
            self._source.console_input.leftover(),
            self._stats(),
        )

    def _stats(self) -> RunStats:
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
