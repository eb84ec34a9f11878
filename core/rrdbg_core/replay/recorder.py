"""Run a guest and write a trace of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike

from rrdbg_core.cpu.regions.client import prepare
from rrdbg_core.errors import ExitCode
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.replay.control import Control
from rrdbg_core.replay.epoch_writer import EpochWriter
from rrdbg_core.replay.hostclock import TICK_S
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.stats import RunStats
from rrdbg_core.trace.model import EPOCH, Ending, Manifest, SourceRef
from rrdbg_core.trace.output import TraceFull
from rrdbg_core.trace.writer import TraceWriter

PROGRESS_S = 0.05
"""Host time between two calls of `on_progress`."""
GUEST_ERRORS = 1000
"""Guest errors that are handed on; more are only counted."""


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
    prepare()
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
        recorder.close()


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
        self._epochs = EpochWriter(machine, writer)
        self._until = until
        self._interrupt = interrupt
        self._control = control
        self._clock = source.clock
        self._guest_errors = 0
        self._heard = b""
        self._reason = ""  # why the recording shall end at the next position
        self._started = self._clock.seconds()
        self._shown = time.monotonic() - PROGRESS_S  # the first look is told at once
        self._deadline = None if timeout_s is None else self._started + timeout_s
        self._standing = False
        machine.on_console, machine.listens = self._printed, until.pattern is not None
        machine.on_guest_error = self._guest_error
        source.stop = self._idle
        source.on_block = self._epochs.block
        source.until_ns, source.on_until = until.virtual_ns, self._end_here
        control.wake = source.nudge

    def close(self) -> None:
        """Close the file, whatever has happened."""
        self._epochs.close()

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
        self._epochs.begin()
        if self.on_start:
            self._epochs.settle()
            self.on_start()
        while not self._is_over():
            goal = self._goal()
            stop = machine.run(goal, interrupt=self._look)
            if stop is StopReason.EXIT:
                return "exit"
            if stop is StopReason.IDLE:
                return "idle"
            if machine.icount == goal and goal % EPOCH == 0:
                self._epochs.epoch()
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
        if self._epochs.is_due:
            self._epochs.promise(icount - idle)
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
        return self._wants_to_end() or self._control.asks or self._epochs.is_due

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
        if self._epochs.is_due:
            self._epochs.promise(before)
        self._attend(before, idle=True)
        return self._wants_to_end()

    def _attend(self, icount: int, *, idle: bool) -> None:
        """Do what whoever watches asks for: promise a position, and stand still while the recording is paused."""
        control = self._control
        if not control.asks:
            return
        self._epochs.promise(icount)
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
                self._epochs.event_count,
                self._clock.seconds() - self._started,
                idle,
                self._epochs.promised,
                self._standing,
            )
        )

    # ---- what the machine tells --------------------------------------------------------------------------------------
    def _printed(self, step: int, data: bytes) -> None:
        self._epochs.printed(step, data)
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

    def _end(self, reason: str) -> Recording:
        """Write the end. A trace that is full ends without index and digest of its last epoch."""
        machine, icount = self._machine, self._machine.icount
        host_seconds = self._clock.seconds() - self._started
        warp = self._source.untold_warp(icount, machine.warp_ns)
        if warp is not None and reason != "exit":
            machine.apply(warp)
        try:
            self._epochs.finish()
        except TraceFull as error:
            if error.exit_code != ExitCode.LIMIT:
                raise
        code = machine.exit_code if reason == "exit" else None
        ending = Ending(icount, reason, code, machine.virtual_ns())
        self._epochs.end(ending)
        stats = self._epochs.stats()
        return Recording(
            ending,
            machine.virtual_ns(),
            host_seconds,
            self._writer.size,
            self._epochs.event_count,
            stats.snapshots.count,
            self._guest_errors,
            self._source.console_input.leftover(),
            stats,
        )
