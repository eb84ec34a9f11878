"""Prove that a trace replays, and that looking at it changes nothing: `verify`."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.source import Divergence
from rrdbg_core.replay import blame
from rrdbg_core.replay.capsule import capture
from rrdbg_core.replay.crew import crew_size
from rrdbg_core.replay.differences import state_differences
from rrdbg_core.replay.pauses import Walker
from rrdbg_core.replay.plan import Pause, perform, plan, run_on
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.trace.model import CHECK_PERIOD
from rrdbg_core.trace.reader import Trace

LADDER_BYTES = 64 << 20
POLL_S = 0.01
CHUNK_PAGES = 1024
"""Pages that are compared at a time."""
JOBS = 8
"""For each process, into how many jobs a straight replay is divided that several share: the last ones to end wait."""


class VerifyReport(Frozen):
    """What a verification found."""

    ok: bool
    """Everything agrees."""
    text: str
    """It, in words; several lines if something differs."""
    icount: int | None
    """Where to look, if something differs: the first step, or the start of the stretch, that went wrong."""
    kind: str
    """"ok"; "recording": re-executions agree, only the recording differs; "re-execution": they differ from each other;
    "snapshot": a recorded snapshot is not what replay has there; "power-on": the machine does not start as recorded."""
    stretch: tuple[int, int] | None
    """Positions between which it went wrong: equal before, different behind."""
    steps: int
    """Steps replayed and compared."""
    checks: int
    """Check words compared."""
    digests: int
    """Digests compared."""
    snapshots: int
    """Snapshots compared."""
    pauses: int
    """Pauses made."""
    moves: int
    """How many of them went on in a new machine."""
    processes: int
    """How many of those in a new process."""
    host_seconds: float
    """Host time that it took."""


def verify(
    trace: Trace,
    *,
    pauses: int = 0,
    seed: int = 0,
    fresh_processes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Replay the whole trace against its check words, digests, snapshots and events; with pauses, twice.

    One replay runs straight through; without pauses, other processes help with it. The other stops at random steps: at
    half of them its state is written out and put, part by part in random order, into a new machine with cold caches,
    which goes on; at the others it is looked at in every way that a debugger has. Both must go through the same states.

    Args:
        trace: The trace.
        pauses: How many stops.
        seed: Chooses them.
        fresh_processes: How many go on in a process of their own; None: one in a hundred.
        progress: Called at least every 50 ms or so with the position; raises to end it.

    Returns:
        What was found. What differs is no error.

    Raises:
        RrdbgError: The trace cannot be replayed at all.
    """
    processes = -(-pauses // 100) if fresh_processes is None else fresh_processes
    return _Verifier(trace, progress or (lambda icount: None)).run(pauses, seed, processes)


class _Verifier:
    """One verification under way."""

    def __init__(self, trace: Trace, progress: Callable[[int], None]) -> None:
        self._trace = trace
        self._progress = progress
        self._began = time.monotonic()
        self._polled = 0.0
        self._straight = Replayer(trace, ladder_bytes=LADDER_BYTES)
        self._straight.poll = progress
        self._end = trace.end_icount
        self._words = trace.checks
        self._first_word = trace.start_icount // CHECK_PERIOD + 1
        self._pauses = self._moves = self._processes = 0
        self._generation = 0
        # a snapshot at the start is what the replay starts from, and compared with the machine at power-on
        self._last_snapshot = 0 if list(trace.snapshot_icounts[:1]) == [trace.start_icount] else -1
        self._snapshots_seen = self._last_snapshot + 1

    def run(self, count: int, seed: int, processes: int) -> VerifyReport:
        """Do it."""
        start = self._trace.start_icount
        walker = Walker(self._trace)
        problem = self._power_on(walker)
        if problem is not None:
            return problem
        planned = plan(start, self._end, count, seed, processes)
        if planned:
            problem = self._run_both(walker, planned)
        else:
            del walker  # a machine takes memory
            shared = crew_size() > 1 and self._run_shared()
            problem = None if shared else self._run_straight(self._end)
        return problem or self._report(True, self._summary(), None, "ok", None)

    def _run_both(self, walker: Walker, planned: Sequence[Pause]) -> VerifyReport | None:
        """Run the straight replay and the one with pauses side by side."""
        stops = [*planned, Pause(self._end, None, 0)]
        for pause, following in zip([None, *planned], stops, strict=True):
            problem = self._run_straight(following.icount) or self._run_paused(walker, pause, following.icount)
            if problem is not None:
                return problem
        return None

    # ---- the straight replay -----------------------------------------------------------------------------------------
    def _power_on(self, walker: Walker) -> VerifyReport | None:
        """Compare the machine at power-on with the first snapshot."""
        if self._trace.start_icount:
            walker.move(capture(self._straight.machine, self._straight.source), 0)
            return None
        walker.machine.run(0)
        if walker.machine.digest() == self._straight.machine.digest():
            return None
        recorded = capture(self._straight.machine, self._straight.source)
        lines = state_differences(walker.machine, recorded, walker.capture())
        text = "\n".join(("the machine does not start in the state of the first snapshot; recorded, now:", *lines))
        return self._report(False, text, 0, "power-on", (0, 0))

    def _run_shared(self) -> bool:
        """Run the straight replay with the help of other processes; return whether all of it is in order.

        A stretch begins in the state of a recorded snapshot, and is in order if it leads to that of the last one in it.
        So if each stretch is in order, the whole is. The first one that is not has to be run again, to see why: the
        straight replay stands at its beginning.
        """
        straight, places = self._straight, self._trace.snapshot_icounts
        count = min(crew_size() * JOBS, len(places))
        # snapshots at which stretches begin; -1: there is none at the start
        firsts = [self._last_snapshot, *(number * len(places) // count for number in range(1, count))]
        ends = [*(places[number] for number in firsts[1:]), self._end]

        def begin(number: int) -> None:
            straight.seek(places[firsts[number]] if number else straight.start)
            self._last_snapshot = firsts[number]
            self._generation = straight.machine.core.new_generation()

        def replay(number: int) -> bytes:
            begin(number)
            try:
                return b"" if self._pass(ends[number]) is None else b"a snapshot"
            except Divergence:
                return b"the way"

        if count < 2:
            return False
        furthest = straight.start

        def progress(icount: int) -> None:
            nonlocal furthest
            furthest = max(furthest, icount)
            self._progress(furthest)

        straight.poll = progress
        found = straight.share(count, replay, self._end - straight.start)
        straight.poll = self._progress
        self._snapshots_seen = len(places)
        if found is not None:
            begin(found[0])
            self._snapshots_seen = self._last_snapshot + 1
        return found is None

    def _run_straight(self, until: int) -> VerifyReport | None:
        """Run the straight replay on, and find out about what is wrong on the way."""
        try:
            return self._pass(until)
        except Divergence as error:
            finding = blame.recording_differs(self._straight, error)
            return self._report(False, finding.text, finding.icount, finding.kind, finding.stretch)

    def _pass(self, until: int) -> VerifyReport | None:
        """Run the straight replay on, and compare the snapshots on the way.

        Raises:
            Divergence: It differs from the recording between them.
        """
        straight = self._straight
        places = self._trace.snapshot_icounts
        while True:
            number = bisect_left(places, straight.icount)
            if number < len(places) and places[number] == straight.icount:
                if number != self._last_snapshot:
                    self._last_snapshot = number
                    problem = self._compare_snapshot(number)
                    if problem is not None:
                        return problem
                number += 1
            if straight.icount >= until:
                return None
            straight.advance(min(until, places[number]) if number < len(places) else until, rungs=False)

    def _compare_snapshot(self, number: int) -> VerifyReport | None:
        """Compare a snapshot with the replay: its state, and the pages that either has changed since the last one."""
        trace, machine = self._trace, self._straight.machine
        snapshot = trace.snapshots[number]
        now = trace.versions(number)
        before = trace.versions(number - 1) if number else np.zeros_like(now)
        dirty = machine.core.dirty_pages(self._generation) if number else machine.core.dirty_pages(1)
        self._generation = machine.core.new_generation()
        pages = np.union1d(np.flatnonzero(now != before), dirty).astype(np.uint32)
        rows, wrong = machine.memory.rows(), []
        for at in range(0, len(pages), CHUNK_PAGES):  # memory that was used just now costs no page faults
            some = pages[at : at + CHUNK_PAGES]
            wrong += some[(trace.load_pages(some, now[some]) != rows[some]).any(axis=1)].tolist()
        lines = machine.differences(snapshot.state, machine.save())
        lines += [f"RAM page at 0x{0x8000_0000 + page * 4096:x}" for page in wrong[:8]]
        self._snapshots_seen += 1
        if not lines:
            return None
        text = "\n".join((f"the snapshot at icount {snapshot.icount} is not the state there; recorded, now:", *lines))
        return self._report(False, text, snapshot.icount, "snapshot", (snapshot.icount, snapshot.icount))

    # ---- the paused replay -------------------------------------------------------------------------------------------
    def _poll(self, icount: int) -> None:
        now = time.monotonic()
        if now - self._polled >= POLL_S:
            self._polled = now
            self._progress(icount)

    def _run_paused(self, walker: Walker, pause: Pause | None, until: int) -> VerifyReport | None:
        """Make a pause and run on to the next one; the straight replay stands there already."""
        start = self._trace.start_icount if pause is None else pause.icount
        trouble = ""
        try:
            self._step_out(walker, pause, until)
            if pause is not None:
                self._pauses += 1
        except Divergence as error:
            trouble = error.message
        words = walker.take_checks()
        first = start // CHECK_PERIOD + 1 - self._first_word
        recorded = self._words[first : first + len(words)]
        same = bool((recorded == words[: len(recorded)]).all())
        if not trouble and same and walker.machine.digest() == self._straight.machine.digest():
            return None
        finding = blame.executions_differ(self._straight, walker, pause, start, until, trouble)
        return self._report(False, finding.text, finding.icount, finding.kind, finding.stretch)

    def _step_out(self, walker: Walker, pause: Pause | None, until: int) -> None:
        if pause is None:
            run_on(walker, until, self._poll)
        else:
            self._moves += pause.is_move
            self._processes += pause.operation is None
            perform(walker, pause, until, self._poll)

    # ---- the report --------------------------------------------------------------------------------------------------
    def _summary(self) -> str:
        trace = self._trace
        parts = [
            f"{self._end - trace.start_icount} steps",
            f"{len(self._words)} check words",
            f"{len(trace.digests)} digests",
            f"{self._snapshots_seen} snapshots",
            f"{len(trace.events)} events",
        ]
        text = "verified: " + ", ".join(parts)
        if self._pauses:
            text += (
                f"; {self._pauses} pauses, {self._moves} of them into a new machine"
                f" ({self._processes} into a new process)"
            )
        return text + ": all agree"

    def _report(
        self, ok: bool, text: str, icount: int | None, kind: str, stretch: tuple[int, int] | None
    ) -> VerifyReport:
        reached = self._end if icount is None else icount
        return VerifyReport(
            ok,
            text,
            icount,
            kind,
            stretch,
            reached - self._trace.start_icount,
            max(reached // CHECK_PERIOD + 1 - self._first_word, 0),
            sum(position <= reached for position in self._trace.digests),
            self._snapshots_seen,
            self._pauses,
            self._moves,
            self._processes,
            time.monotonic() - self._began,
        )
