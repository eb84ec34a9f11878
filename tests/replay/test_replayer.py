"""The replayer: every walk through a trace sees the states of the straight run, and every stop is where it belongs."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from rrdbg_core.machine.base import program_of
from rrdbg_core.machine.events import EventKind
from rrdbg_core.machine.source import Divergence
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.targets import MemoryWatch, Targets
from rrdbg_core.trace.model import EPOCH
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import assembled, bundled, recorded, script
from tests.replay.naive import Step, hits_before, hits_in, walk
from tests.replay.rewrite import rewrite
from tests.replay.test_recorder import LONG

Open = Callable[[Path], Replayer]
SEED = int(os.environ.get("SEED", "20261126"))
"""Of what is random here; any other one will do."""


def straight(replayer: Replayer, places: list[int]) -> dict[int, bytes]:
    """Return the digests of a straight run at some positions."""
    digests = {}
    for place in sorted(places):
        replayer.advance(place)
        digests[place] = replayer.machine.digest()
    return digests


@pytest.mark.parametrize("trace", ["shell_trace", "storm_trace", "heap_trace"])
def test_any_walk_sees_the_states_of_the_straight_run(
    trace: str, request: pytest.FixtureRequest, replayer: Open
) -> None:
    print(f"seed {SEED}")
    path: Path = request.getfixturevalue(trace)
    rng = random.Random(SEED)
    here = replayer(path)
    places = sorted([*rng.sample(range(here.end + 1), 20), 0, here.end])
    expected = straight(replayer(path), places)
    for _ in range(70):
        place = rng.choice(places)
        match rng.randrange(6):
            case 0:
                here.run(place, Targets(breaks=(0x8000_0000,), registers=rng.choice((0, 1 << 10))))
            case 1:
                here.last_hit(max(place - 3000, 0), place, Targets(exceptions=True, interrupts=True))
            case 2:
                here.log(max(place - 50, 0), place, lambda rows: None)
            case 3:
                here.machine.core.drop_caches()
            case 4:
                here.traps(max(place - 2000, 0), place)
            case 5 if place:
                here.seek(place - 1)
        here.seek(place)
        assert here.icount == place
        assert here.machine.digest() == expected[place]


def random_targets(rng: random.Random, steps: list[Step], base: int, size: int) -> Targets:
    """Return something that has a chance to hit in these steps."""
    pcs = [step.pc for step in steps]
    touched = [a for step in steps for _, a, _ in step.accesses if base <= a < base + size - 8] or [base]
    breaks = tuple(rng.sample(pcs, 2)) if rng.random() < 0.5 else ()
    watches = []
    for _ in range(rng.randrange(3)):
        kind = rng.choice(((True, False, False), (False, True, True), (False, False, True), (True, True, True)))
        start = min(max(rng.choice(touched) + rng.randrange(-4, 5), base), base + size - 64)
        watches.append(MemoryWatch(start, rng.choice((1, 2, 8, 40)), *kind))
    registers = rng.choice((0, 0, 1 << rng.randrange(1, 32)))
    return Targets(breaks, tuple(watches), registers, rng.random() < 0.3, rng.random() < 0.3)


def ram_of(steps_from: int, replayer: Replayer) -> tuple[int, int]:
    """Return a stretch of RAM that the steps write most: the page of the stack."""
    replayer.seek(steps_from)
    stack = int(replayer.machine.core.hart[2])
    return (stack - 4096) & ~4095, 12288


@pytest.mark.parametrize("trace", ["shell_trace", "storm_trace"])
def test_stops_are_those_of_a_step_by_step_walk(trace: str, request: pytest.FixtureRequest, replayer: Open) -> None:
    print(f"seed {SEED}")
    path: Path = request.getfixturevalue(trace)
    rng = random.Random(SEED)
    slow, fast = replayer(path), replayer(path)
    hits = 0
    for _ in range(5):
        lo = rng.randrange(9000, slow.end - 1500)
        hi = lo + 1200
        base, size = ram_of(lo, slow)
        steps = walk(slow, lo, hi, (base, size))
        for _ in range(12):
            targets = random_targets(rng, steps, base, size)
            before = {step.number for step in steps if hits_before(step, targets)}
            inside = {step.number for step in steps if hits_in(step, targets, base)}
            assert fast.last_hit(lo, hi, targets) == max(before | inside, default=None), targets
            hits += len(before | inside)
            fast.seek(lo)
            at = lo
            for _ in range(4):
                found = fast.run(hi, targets)
                stops = [n for n in before if n > at] + [n + 1 for n in inside if n >= at]
                first = min((n for n in stops if n < hi or n - 1 in inside), default=hi)
                assert fast.icount == first, (targets, at)
                if found is None:
                    assert first == hi
                    break
                assert first in before if found.is_break else first - 1 in inside, targets
                at = first
    assert hits > 100


def test_writes_of_a_device_hit_in_the_step_before_they_become_visible(storm_trace: Path, replayer: Open) -> None:
    here = replayer(storm_trace)
    event = next(event for event in here.trace.events if event.kind is EventKind.BH)
    here.seek(event.icount - 1)
    before = here.read(0x8000_0000, 1 << 20)
    here.seek(event.icount)
    after = here.read(0x8000_0000, 1 << 20)
    at = after.find(event.payload)
    assert at >= 0
    assert before[at : at + 32] != after[at : at + 32]
    watch = MemoryWatch(0x8000_0000 + at + 8, 8, False, False, True)
    targets = Targets(watches=(watch,))
    here.seek(event.icount - 100)
    found = here.run(event.icount + 100, targets)
    assert here.icount == event.icount
    assert found is not None
    assert found.is_write
    assert (found.old, found.new) == tuple(int.from_bytes(ram[at + 8 : at + 16], "little") for ram in (before, after))
    assert here.last_hit(event.icount - 100, event.icount + 1, targets) == event.icount - 1
    assert here.last_hit(event.icount - 100, event.icount - 1, targets) is None
    # a position includes what is applied there
    assert here.last_hit(event.icount, event.icount + 5, targets) is None


def test_a_stop_at_an_event_comes_behind_the_event(shell_trace: Path, replayer: Open) -> None:
    here, straight_on = replayer(shell_trace), replayer(shell_trace)
    stops = 0
    for event in here.trace.events:
        straight_on.seek(event.icount - 1)
        before = straight_on.machine.core.hart[:32].copy()
        straight_on.advance(event.icount)
        changed = [r for r in range(1, 32) if straight_on.machine.core.hart[r] != before[r]]
        if changed:
            here.seek(event.icount - 1)
            found = here.run(event.icount + 100, Targets(registers=1 << changed[0]))
            assert found is not None
            assert here.icount == event.icount
            assert here.machine.digest() == straight_on.machine.digest()
            stops += 1
    assert stops >= 3


def test_a_reset_changes_registers_behind_the_step_that_asked_for_it(shell_trace: Path, replayer: Open) -> None:
    here = replayer(shell_trace)
    stack = Targets(registers=1 << 2)
    # the stack pointer is set twice, at both starts, and cleared by the reset between them
    first = here.last_hit(0, 100, stack)
    assert first is not None
    step = here.last_hit(0, here.end, Targets(breaks=(0x8000_0000,)))
    assert step is not None
    assert step > 10_000
    assert here.last_hit(0, step, stack) == step - 1
    here.seek(step - 1)
    old = int(here.machine.core.hart[2])
    found = here.run(here.end, stack)
    assert here.icount == step
    assert found is not None
    assert (found.old, found.new) == (old, 0)


def test_the_index_only_saves_time(heap_trace: Path, replayer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    here = replayer(heap_trace)
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    words = []
    for _ in range(3):
        here.seek(rng.randrange(here.end))
        words.append(int(here.machine.core.hart[2]) & ~7)
    first_page = here.trace.epochs[0].written.tolist()
    words += [0x8000_0000 + 4096 * page + 8 * rng.randrange(512) for page in rng.sample(first_page, 3)]
    for word in words:
        targets = Targets(watches=(MemoryWatch(word, 8, False, True, True),))
        found = here.last_hit(0, here.end, targets)
        with monkeypatch.context() as patch:
            patch.setattr(type(here.trace), "epochs", ())
            assert here.last_hit(0, here.end, targets) == found


def test_epochs_that_cannot_hit_are_not_run(heap_trace: Path, replayer: Open) -> None:
    here = replayer(heap_trace)
    here.seek(here.end)
    # the code at the reset vector runs once
    assert here.last_hit(0, here.end, Targets(breaks=(0x8000_0000,))) == 0
    page = next(page for page in range(2000) if page not in here.trace.epochs[0].executed)
    where = here.icount
    assert here.last_hit(0, here.end, Targets(breaks=(0x8000_0000 + 4096 * page,))) is None
    assert here.icount == where


def test_a_motion_can_be_cancelled_and_the_replayer_goes_on(
    heap_trace: Path, replayer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrdbg_core.replay.replayer.POLL_S", 0.0)  # some of it takes less

    class Enough(Exception):
        pass

    def enough(icount: int) -> None:
        raise Enough

    here = replayer(heap_trace)
    expected = straight(replayer(heap_trace), [5_000_000, 20_000_000])
    for work in (
        lambda: here.seek(here.end),
        lambda: here.last_hit(0, here.end, Targets(registers=1 << 5)),
        lambda: here.run(here.end, Targets(breaks=(1,))),
        lambda: here.log(0, here.end, lambda rows: None),
        lambda: here.traps(0, here.end),
        lambda: here.console(0, here.end),
    ):
        here.seek(5_000_000)
        here.poll = enough
        with pytest.raises(Enough):
            work()
        here.poll = lambda icount: None
        for place, digest in expected.items():
            here.seek(place)
            assert here.machine.digest() == digest


def test_poll_is_called_often(heap_trace: Path, replayer: Open) -> None:
    here = replayer(heap_trace)
    for work in (
        lambda: here.seek(EPOCH),
        lambda: here.log(EPOCH, EPOCH + 1_000_000, lambda rows: None),
        lambda: here.last_hit(0, 1_500_000, Targets(registers=1)),
    ):
        calls = [time.process_time()]
        here.poll = lambda icount, calls=calls: calls.append(time.process_time())
        work()
        calls.append(time.process_time())
        # measured in the processor's time: the tests may share it
        assert max(b - a for a, b in pairwise(calls)) < 0.2


def test_a_sink_that_fails_in_the_middle_of_a_step_does_no_harm(storm_trace: Path, replayer: Open) -> None:
    here = replayer(storm_trace)
    expected = straight(replayer(storm_trace), [700_000])

    def fail(rows: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        here.log(690_000, 710_000, fail)
    here.run(here.end, Targets())
    here.seek(700_000)
    assert here.machine.digest() == expected[700_000]


@pytest.mark.parametrize("chunk", [1 << 12, 1 << 20, 1 << 23, 1 << 30])
def test_rungs_are_near_wherever_one_goes(chunk: int, heap_trace: Path) -> None:
    """However many steps are made at once on the way."""
    with Trace.open(heap_trace) as trace:
        replayer = Replayer(trace)
        rng = random.Random(chunk)
        for _ in range(20):
            here = rng.randrange(1 << 26)
            target = here + (1 << 23) + rng.randrange(1 << 26)
            rungs = set()
            while here < target:
                boundary = replayer._next_rung(here, target, None)
                here = min(boundary, here + chunk, target)
                rungs |= {here} if here == boundary else set()
            for least, most in ((0, 1 << 18), (1 << 18, 1 << 20), (1 << 20, 1 << 21), (1 << 21, 1 << 22)):
                assert any(least <= target - rung <= most for rung in rungs), target
            assert len(rungs) < 14


def test_rungs_keep_their_budget_and_are_used(heap_trace: Path) -> None:
    with Trace.open(heap_trace) as trace:
        here = Replayer(trace, ladder_bytes=300_000)
        rng = random.Random(1)
        for _ in range(30):
            here.seek(rng.randrange(here.end))
            assert here._ladder.bytes <= 300_000
        roomy = Replayer(trace)
        roomy.seek(roomy.end)
        rungs = roomy.rungs(0, roomy.end)
        assert rungs[0] == 0
        assert rungs[-1] >= roomy.end - (1 << 19)
        assert sorted(set(rungs)) == list(rungs)


def test_few_rungs_are_spread_over_the_trace(heap_trace: Path) -> None:
    """However one has jumped about, and however little memory there is, no place is far behind one to start from."""
    with Trace.open(heap_trace) as trace:
        here = Replayer(trace, ladder_bytes=600_000)
        rng = random.Random(2)
        here.run(here.end, Targets())
        for _ in range(60):
            here.seek(rng.randrange(here.end))
            rungs = here.rungs(0, here.end)
            longest = max(b - a for a, b in pairwise([*rungs, here.end]))
            assert longest < 0.6 * here.end
        ladder = here._ladder
        ladder.clear()
        assert ladder.bytes == 0


def test_going_back_loads_only_what_differs(heap_trace: Path, replayer: Open) -> None:
    here = replayer(heap_trace)
    here.seek(here.end)
    loads: list[int] = []
    load = here.machine.core.load_pages
    here.machine.core.load_pages = lambda pages, content: (loads.append(len(pages)), load(pages, content))[1]  # type: ignore[method-assign]
    here.seek(here.end - 1)
    assert sum(loads) < 64


def test_a_growing_trace_can_be_walked_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.rrt"
    go_on = threading.Event()
    go_on.set()
    options = {"interrupt": lambda: not go_on.is_set()}
    work = threading.Thread(target=recorded, args=(assembled(LONG), path), kwargs=options)
    work.start()
    try:
        while not path.exists() or path.stat().st_size < 2500:
            time.sleep(0.02)
        with Trace.open(path) as trace:
            here = Replayer(trace)
            ends = []
            for _ in range(5):
                here.seek(here.end)
                assert abs(3 * int(here.machine.core.hart[8]) - here.end) < 12  # s0 counts rounds of three steps
                ends.append(here.end)
                patience = time.monotonic() + 120
                while not here.refresh() or here.end == ends[-1]:
                    assert time.monotonic() < patience
                    time.sleep(0.01)
            assert ends == sorted(ends)
            go_on.clear()
            work.join(120)
            assert here.refresh()
            here.seek(here.end)
            assert trace.ending is not None
            assert here.end == trace.ending.icount
            assert not here.refresh()
    finally:
        go_on.clear()
        work.join(120)


def test_what_differs_is_noticed_in_passing(shell_trace: Path, heap_trace: Path, tmp_path: Path) -> None:
    other_checks = rewrite(heap_trace, tmp_path / "a.rrt", checks=lambda words: words ^ 1)
    other_digest = rewrite(shell_trace, tmp_path / "b.rrt", digest=lambda icount, digest: digest[::-1])
    for path in (other_checks, other_digest):
        with Trace.open(path) as trace:
            here = Replayer(trace)
            here.seek(0)
            with pytest.raises(Divergence):
                here.seek(here.end)


def test_positions_outside_the_trace_are_refused(shell_trace: Path, replayer: Open) -> None:
    here = replayer(shell_trace)
    for place in (-1, here.end + 1):
        with pytest.raises(ValueError, match="outside"):
            here.seek(place)
    assert here.run(here.end + 500, Targets()) is None
    assert here.icount == here.end


def test_a_trace_without_snapshots_replays(tmp_path: Path) -> None:
    """A recorder may die before its first snapshot is in the file; what it promised replays from power-on."""
    recorded(bundled("shell"), tmp_path / "a.rrt", script("at 8_400: help\n".replace("\n", "\\n")))
    with Trace.open(tmp_path / "a.rrt") as trace:
        here = Replayer(trace)
        here.seek(here.end)
        expected = here.machine.digest()
        trace._snapshots.clear()
        again = Replayer(trace)
        again.seek(again.end)
        assert again.machine.digest() == expected
        again.seek(8000)
        again.seek(again.end)
        assert again.machine.digest() == expected


def test_a_compiler_gets_ready_for_long_traces(
    shell_trace: Path, replayer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs: list[bytes] = []
    monkeypatch.setattr("rrdbg_core.replay.replayer.prepare", programs.append)
    here = replayer(shell_trace)
    assert not programs
    monkeypatch.setattr("rrdbg_core.replay.replayer.LONG_STEPS", here.end - here.start - 1)
    replayer(shell_trace)
    assert programs == [program_of(here.trace.manifest.config)]
    monkeypatch.setattr("rrdbg_core.replay.replayer.LONG_STEPS", here.end - here.start)
    replayer(shell_trace)
    assert len(programs) == 1
