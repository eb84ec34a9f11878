"""Walk a recording in both directions: `Replayer`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL, read_virtual, space_of
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.regions.client import prepare
from rrdbg_core.cpu.stops import GateCount
from rrdbg_core.machine.base import program_of
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import Divergence
from rrdbg_core.machine.stats import Meter
from rrdbg_core.replay.armed import NOTHING, Armed
from rrdbg_core.replay.capsule import source_of
from rrdbg_core.replay.checking import HINT, Checker
from rrdbg_core.replay.crew import MAX_JOBS, Crew, crew_size
from rrdbg_core.replay.ladder import Ladder
from rrdbg_core.replay.search import windows
from rrdbg_core.replay.stats import RunStats
from rrdbg_core.replay.targets import Found, Targets
from rrdbg_core.trace.model import EPOCH
from rrdbg_core.trace.reader import Trace

Words = npt.NDArray[np.uint64]

POLL_S = 0.016
"""Host time between two calls of `poll`."""
MIN_CHUNK, MAX_CHUNK = 1 << 12, 1 << 23
"""Steps between two chances to call it; as many as take half of that time."""
SPACINGS = ((1 << 20, 1 << 18), (1 << 22, 1 << 20))
"""Rungs on the way to a target: up to so far from it, so far apart; beyond, at the ends of epochs. A rung costs a
millisecond if the guest writes much. Going back by one step from a target finds one within 2^20 steps, and makes those
that are 2^18 apart, where the next steps back start."""
RUN_SPACING, MAX_STRETCH = 1 << 21, 4
"""Rungs behind a run or a search that stops nobody knows where; how often that is doubled where it costs too much."""
RUNG_SHARE = 32
"""Such rungs may cost one in so much time of the run."""
LOG_ROWS = 4096
RESTORE_STEPS = 1 << 18
"""Steps that take as long as going back to a rung: if the target is that near, run on."""
ALONE_S = 0.1
"""Host time that a search takes before other processes help with what is left."""
LONG_STEPS = 1 << 26
"""Steps of a trace that are worth it to let a compiler get ready before the machine is built."""
SHARED_STEPS = 1 << 26
"""Steps that are worth it: to copy this process takes 20 ms."""


class Replayer:
    """The guest of a trace at a position of its choice.

    A motion restores the nearest of recorded snapshots and rungs, unless the present state is as near, and runs on from
    there; what it passes is compared with the recording. Positions lie between the start and the end of the trace.
    After an exception the guest stands anywhere; every motion is still possible.

    Args:
        trace: The trace.
        progress: Told if the guest CPU has to be compiled first.
        ladder_bytes: Memory for rungs.

    Raises of all motions:
        Divergence: The replay differs from the recording.
    """

    def __init__(
        self, trace: Trace, *, progress: Callable[[str], None] | None = None, ladder_bytes: int = 192 << 20
    ) -> None:
        if trace.end_icount - trace.start_icount > LONG_STEPS:
            prepare(program_of(trace.manifest.config))
        self.trace = trace
        """The trace."""
        self.source = source_of(trace)
        """The journal, and how much of it is applied."""
        self.machine = Machine(trace.manifest.config, dict(trace.images), self.source, progress=progress)
        """The machine that replays it."""
        self.poll: Callable[[int], None] = lambda icount: None
        """Called at least every 10 ms or so with the position, while something runs; raises to end it."""
        self.passed: list[int] = []
        """For each of the gated targets of the last `run` or `last_hit`, the hits that were passed over."""
        self._armed = Armed(self.machine)
        self._ladder = Ladder(trace, self.machine, self.source, ladder_bytes)
        self._checker = Checker(trace, self.machine)
        self._kept = Meter()  # rungs
        self._polled = 0.0
        self._home: int | None = None
        self._chunk = 1 << 17
        self._stretch, self._since_rung = 0, 0.0
        self._traps: list[Words] | None = None
        self._keeps_rungs = True
        # whether the state is that of a position: not at power-on, nor after an error in the middle of a step
        self._clean = False
        if self._ladder.below(trace.start_icount) is None:
            self.machine.run(trace.start_icount)
            self._ladder.keep()
        self.seek(trace.start_icount)

    @property
    def icount(self) -> int:
        """The position."""
        return self.machine.icount

    @property
    def start(self) -> int:
        """The first position."""
        return self.trace.start_icount

    @property
    def end(self) -> int:
        """The last position."""
        return self.trace.end_icount

    def stats(self) -> RunStats:
        """Return what was done since the replayer was made, and what it cost."""
        checker = self._checker
        return RunStats(self.machine.stats(), self._kept.cost, checker.digests.cost, checker.words.cost)

    def refresh(self) -> bool:
        """Take in what a recorder has added to the trace; return whether there was anything."""
        if not self.trace.refresh():
            return False
        fresh = source_of(self.trace)
        self.source.events, self.source.end_icount, self.source.cut = fresh.events, fresh.end_icount, fresh.cut
        self._ladder.refresh()
        self._checker.refresh()
        return True

    @property
    def home(self) -> int | None:
        """The position that one may want to come back to at once."""
        return self._home

    @home.setter
    def home(self, icount: int | None) -> None:
        self._home = icount
        self._ladder.pin(icount)

    # ---- motions -----------------------------------------------------------------------------------------------------
    def seek(self, icount: int) -> None:
        """Go to a position."""
        if not self.start <= icount <= self.end:
            raise ValueError(f"position {icount} lies outside of {self.start} to {self.end}")
        below = self._ladder.below(icount)
        assert below is not None
        here = self.icount
        if not self._clean or not below - RESTORE_STEPS <= here <= icount:
            self._clean = False
            self._ladder.restore(below, partial(self._look_up, below))
            self._checker.moved()
            self.machine.core.take_traps()
            self._clean = True
        if self.icount != icount:
            self._armed.set(NOTHING)
            self._advance(icount)

    def advance(self, icount: int, *, rungs: bool = True) -> None:
        """Run forwards to a position, without going back to anything before; with rungs that lead back, or without."""
        self._recover()
        self._armed.set(NOTHING)
        self._advance(min(icount, self.end), ladder=None if rungs else False)

    def run(self, limit: int, targets: Targets) -> Found | None:
        """Run forwards to the first hit and return it, or to position `limit` and return None.

        A break that stands at the current position is passed over. A break hit stops before its instruction, any other
        hit after its step. A break at `limit` itself is not looked at.
        """
        limit = min(limit, self.end)
        self.passed = [0] * len(targets.gated)
        self._recover()
        if self.icount >= limit:
            return None
        self._armed.set(targets)
        self._armed.pass_break()
        reason = self._advance(limit, ladder=True)
        self.passed = [count.passed for count in self._armed.counts]
        if reason is StopReason.BREAKPOINT:
            return Found(True)
        if reason is StopReason.WATCHPOINT:
            found = self._armed.found()
            self.machine.run(self.icount)  # the position behind the step comes after its events
            return found if self._armed.outside is None else replace(found, whole=False)
        return self._armed.outside

    def last_hit(self, lo: int, hi: int, targets: Targets) -> int | None:
        """Return the number of the last step in lo <= n < hi that stops; the guest then stands anywhere.

        What gates ignore are the newest hits. `passed` counts those that are newer than the step; all if there is none.
        """
        lo, hi = max(lo, self.start), min(hi, self.end)
        self.passed = [0] * len(targets.gated)
        places = self._ladder.positions(lo + 1, hi)
        paged = bool(self.machine.core.mach[L.SUPERVISOR])
        stretches = windows(lo, hi, places, targets.open(), self.trace.epochs, self._look_up, paged=paged)
        may_share = not any(gated.ignore for gated in targets.gated) and crew_size() > 1
        began, step = time.perf_counter(), None
        for start, stop in stretches:
            step = self._last_in(start, stop, targets)
            if step is not None:
                return step
            if may_share and time.perf_counter() - began > ALONE_S:
                break
        while step is None and (batch := list(islice(stretches, MAX_JOBS))):
            step = self._last_shared(batch, targets)
        return step

    def _last_shared(self, stretches: Sequence[tuple[int, int]], targets: Targets) -> int | None:
        """Return the last step that stops in one of some stretches, the newest first; gates ignore nothing."""

        def search(number: int) -> bytes:
            step = self._last_in(*stretches[number], targets)
            return b"" if step is None else step.to_bytes(8, "little")

        found = self.share(len(stretches), search, sum(stop - start for start, stop in stretches))
        return None if found is None else int.from_bytes(found[1], "little")

    def share(self, count: int, do: Callable[[int], bytes], steps: int) -> tuple[int, bytes] | None:
        """Have copies of this process help with jobs that move the guest; it then stands anywhere.

        Args:
            count: Number of jobs, at most `MAX_JOBS`.
            do: Does a job, by its number, with the motions of this replayer, and returns its answer; empty: none.
            steps: How many there are to run in all of them.

        Returns:
            Number and answer of the first job that has one.
        """
        poll = self.poll

        def alone() -> None:
            self.poll = lambda icount: crew.look()
            self._keeps_rungs = False
            self.machine.core.supply.renew()

        def look(icount: int) -> None:
            poll(icount)
            crew.look()

        copies = crew_size() - 1 if steps >= SHARED_STEPS else 0
        crew = Crew(count, do, prepare=alone, keep=(self.trace.fileno(),), copies=copies)
        self.poll = look
        try:
            return crew.first()
        finally:
            self.poll = poll
            crew.end()

    def _last_in(self, start: int, stop: int, targets: Targets) -> int | None:
        """Return the last step in start <= n < stop that stops, and add the newer ones to `passed`."""
        counts = self._search(start, stop, targets)
        newest = self._armed.newest()
        left = [gated.ignore - passed for gated, passed in zip(targets.gated, self.passed, strict=True)]
        # counted from the oldest hit, number `passed - left` is the newest one that is not ignored
        marks = [max(count.passed - ignored, 0) for count, ignored in zip(counts, left, strict=True)]
        if any(0 < mark < count.passed for mark, count in zip(marks, counts, strict=True)):
            counts = self._search(start, stop, targets, marks)
        steps = [count.last for count, mark in zip(counts, marks, strict=True) if mark]
        step = max(steps if newest is None else [*steps, newest], default=None)
        if step is not None:
            counts = self._search(step + 1, stop, targets) if any(left) and step + 1 < stop else []
        for number, count in enumerate(counts):
            self.passed[number] += count.passed
        return step

    def _search(self, start: int, stop: int, targets: Targets, marks: Sequence[int] = ()) -> list[GateCount]:
        """Run the steps start <= n < stop and return what came to each gate."""
        self.seek(start)
        self._armed.search(targets, marks)
        self._advance(stop, ladder=True)
        return self._armed.counts

    def rungs(self, lo: int, hi: int) -> Sequence[int]:
        """Return positions lo <= p < hi that are quick to reach, ascending, the first one being lo."""
        return [lo, *self._ladder.positions(lo + 1, hi)]

    def log(self, lo: int, hi: int, sink: Callable[[Words], None]) -> None:
        """Run the steps lo <= n < hi and hand over their rows (cpu/layout.py LOG_WORDS), in blocks."""
        self.seek(lo)
        self._armed.set(NOTHING)
        core = self.machine.core
        core.log_steps(LOG_ROWS, sink)
        try:
            self._advance(min(hi, self.end), ladder=False)
        finally:
            core.log_steps(0, None)

    def traps(self, lo: int, hi: int) -> Words:
        """Run the steps lo <= n < hi and return the traps they took: u64[n, 2] of icount and mcause."""
        self.seek(lo)
        self._armed.set(NOTHING)
        self._traps = []
        try:
            self._advance(min(hi, self.end))
            return np.concatenate([np.zeros((0, 2), np.uint64), *self._traps])
        finally:
            self._traps = None

    def console(self, lo: int, hi: int) -> list[tuple[int, bytes]]:
        """Run the steps lo <= n < hi and return what they printed: first position at which it is visible, and bytes."""
        pieces: list[tuple[int, bytes]] = []
        self.seek(lo)
        self._armed.set(NOTHING)
        self.machine.on_console = lambda step, data: pieces.append((step + 1, data))
        try:
            self._advance(min(hi, self.end))
        finally:
            self.machine.on_console = None
        return pieces

    def read(self, address: int, length: int, physical: bool = True) -> bytes:
        """Read RAM without side effects, as far as it can be read: at physical addresses, or where the hart is."""
        memory = self.machine.memory
        if not physical and (space := space_of(self.machine.core.hart)) != PHYSICAL:
            return read_virtual(space, address, length, self.read)
        if not RAM_BASE <= address < RAM_BASE + memory.size:
            return b""
        return memory.read(address, min(length, RAM_BASE + memory.size - address))

    # ---- running -----------------------------------------------------------------------------------------------------
    def _recover(self) -> None:
        """Come back to a position after an error in the middle of a step."""
        if not self._clean:
            self.seek(min(self.icount, self.end))

    def _look_up(self, icount: int) -> None:
        """Call `poll` now and then, while nothing runs."""
        now = time.perf_counter()
        if now - self._polled >= POLL_S:
            self._polled = now
            self.poll(icount)

    def _interrupt(self) -> bool:
        """Call `poll` now and then, between two steps."""
        now = time.perf_counter()
        if now - self._polled >= POLL_S:
            self._polled = now
            self._clean = True
            self.poll(self.icount)
            self._clean = False
        return False

    def _advance(self, target: int, ladder: bool | None = None) -> StopReason:
        """Run forwards to a position, or to what the core is armed for.

        Args:
            target: The position.
            ladder: Whether rungs are made on the way, evenly; None: denser ones near the target.
        """
        machine, checker = self.machine, self._checker
        while True:
            here = machine.icount
            if here >= target:
                return StopReason.LIMIT
            # chunks are shorter than the time after which the machine asks by itself
            self._interrupt()
            boundary = self._next_rung(here, target, ladder)
            stop = checker.next_stop(here, min(target, here + self._chunk, boundary))
            began = time.perf_counter()
            self._clean = False
            reason = machine.run(stop, interrupt=self._interrupt)
            seconds = time.perf_counter() - began
            self._adapt(seconds, machine.icount - here)
            self._since_rung += seconds
            traps = machine.core.take_traps()
            if self._traps is not None:
                self._traps.append(traps)
            if reason is not StopReason.WATCHPOINT:
                checker.compare()
            self._clean = True
            if reason in (StopReason.BREAKPOINT, StopReason.WATCHPOINT):
                return reason
            if self._armed.outside is not None and not self._armed.searching:
                return reason
            if machine.icount < stop:
                self._clean = False
                raise Divergence(
                    f"the guest stops at icount {machine.icount} ({reason.value}), the recording goes on to {self.end}",
                    hint=HINT,
                )
            if stop == boundary:
                self._ladder.passed(stop)
                if ladder is not False and self._keeps_rungs:
                    began = time.perf_counter()
                    with self._kept.timing():
                        self._ladder.keep(partial(self._look_up, stop))
                    if ladder:
                        self._stretch_rungs(time.perf_counter() - began)
                    self._since_rung = 0.0

    def _adapt(self, seconds: float, steps: int) -> None:
        """Choose chunks that take about half of the time between two polls."""
        if seconds > POLL_S / 2:
            self._chunk = max(self._chunk // 2, MIN_CHUNK)
        elif seconds < POLL_S / 4 and steps >= self._chunk:
            self._chunk = min(self._chunk * 2, MAX_CHUNK)

    def _stretch_rungs(self, cost: float) -> None:
        """Choose how far apart the rungs of a run are: they cost a share of its time."""
        if cost * RUNG_SHARE > self._since_rung:
            self._stretch = min(self._stretch + 1, MAX_STRETCH)
        elif cost * RUNG_SHARE * 4 < self._since_rung:
            self._stretch = max(self._stretch - 1, 0)

    def _next_rung(self, here: int, target: int, ladder: bool | None) -> int:
        """Return the next position at which a rung is made, or a snapshot passed."""
        spacing = RUN_SPACING << self._stretch if ladder else EPOCH
        rungs = [(here // spacing + 1) * spacing]
        if ladder is None:
            rungs += [(max(here, target - near) // spacing + 1) * spacing for near, spacing in SPACINGS]
        return min(rungs)
