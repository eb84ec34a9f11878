"""The determinism contract, rules 1, 2, 3, 8 and 9, end to end; and that each check fails when its rule is broken."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.machine import running
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import Divergence, Now
from rrdbg_core.replay import epoch_writer, recorder
from rrdbg_core.replay.capsule import capture, release
from rrdbg_core.replay.console_input import HostInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.pauses import Walker
from rrdbg_core.replay.recorder import Until
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import END, SHELL, assembled, bundled, recorded, script
from tests.replay.test_live import TIMER
from tests.replay.test_recorder import content

SECOND = TIMER.replace("5000", "10000000")
"""A guest that sleeps for a second."""
CLOCK = (
    """
li s0, 0x101000; lw t0, 0(s0); lw t1, 4(s0)     # the goldfish RTC
li s1, 0x80080000; sw t0, 0(s1); sw t1, 4(s1)
"""
    + END
)
PATCHED = (
    """
la s1, spot; li s2, 40000; li s3, 20000; la s4, new; lw s5, 0(s4)
again:
spot: addi s0, s0, 1
bne s2, s3, go
sw s5, 0(s1); fence.i
go: addi s2, s2, -1
bnez s2, again
"""
    + END
    + "\nnew: addi s0, s0, 2"
)
"""A guest that changes the code of its loop half way through."""


def same(a: Path, b: Path) -> bool:
    return content(a) == content(b)


# ---- 1: a pure function --------------------------------------------------------------------------------------------
def in_new_process(path: Path, hash_seed: str) -> str:
    """Record the conversation in another process with another order of sets; return its last digest."""
    code = (
        "import sys; from pathlib import Path; from tests.replay.guests import *\n"
        "from rrdbg_core.trace.reader import Trace\n"
        "recorded(bundled('shell'), Path(sys.argv[1]), script(SHELL))\n"
        "print(list(Trace.open(sys.argv[1]).digests.values())[-1].hex())\n"
    )
    env = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(filter(None, ["core", "."])), "HOME": str(Path.home())}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_rule_1_processes_and_hash_seeds_do_not_matter(tmp_path: Path, shell_trace: Path) -> None:
    one, two = (in_new_process(tmp_path / f"{seed}.rrt", seed) for seed in ("1", "2"))
    assert one == two
    assert same(tmp_path / "1.rrt", tmp_path / "2.rrt")
    assert same(tmp_path / "1.rrt", shell_trace)


def test_rule_1_broken_host_time_reaches_the_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "rtc_ns", lambda machine: time.time_ns())
    for name in ("a", "b"):
        recorded(assembled(CLOCK), tmp_path / f"{name}.rrt")
    assert not same(tmp_path / "a.rrt", tmp_path / "b.rrt")


# ---- 2: only the virtual clock moves the guest ---------------------------------------------------------------------
def test_rule_2_idle_time_is_virtual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def spied(source: LiveSource, now: Now, goal_ns: int | None) -> Now | None:
        began = time.monotonic()
        reached = wait(source, now, goal_ns)
        waits.append(time.monotonic() - began)
        return reached

    wait = LiveSource._wait
    monkeypatch.setattr(LiveSource, "_wait", spied)
    recorded(assembled(SECOND), tmp_path / "warped.rrt")
    assert not waits
    recorded(assembled(SECOND), tmp_path / "waited.rrt", HostInput())
    assert sum(waits) > 0.9
    waits.clear()
    # the wait is no event: both runs are the same, and replay never waits
    assert same(tmp_path / "warped.rrt", tmp_path / "waited.rrt")
    with Trace.open(tmp_path / "waited.rrt") as trace:
        assert verify(trace).ok
    assert not waits


def test_rule_2_the_rtc_is_its_base_and_virtual_time(tmp_path: Path) -> None:
    base = 1_700_000_000_000_000_000
    recorded(assembled("li t0, 1000; w: addi t0, t0, -1; bnez t0, w\n" + CLOCK, rtc_base_ns=base), tmp_path / "a.rrt")
    with Trace.open(tmp_path / "a.rrt") as trace:
        replayer = Replayer(trace)
        replayer.seek(trace.end_icount)
        value = int.from_bytes(replayer.read(0x8008_0000, 8), "little")
        assert base + 2000 <= value < base + trace.end_icount


def test_rule_2_broken_a_timer_on_host_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(assembled(SECOND), tmp_path / "a.rrt")
    monkeypatch.setattr(Machine, "virtual_ns", lambda machine: time.monotonic_ns())
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert not verify(trace).ok


# ---- 3: the realtime clock is for what the guest cannot see --------------------------------------------------------
@pytest.fixture
def busy_host(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes the recorder look up from its work, and promise, as often as it can."""

    def start() -> None:
        monkeypatch.setattr(epoch_writer, "FLUSH_S", 0.0)
        monkeypatch.setattr(recorder, "PROGRESS_S", 0.0)
        monkeypatch.setattr(running, "SLICE", 5000)
        monkeypatch.setattr(running, "ACCESSES", 7)

    return start


def test_rule_3_progress_and_promises_do_not_touch_the_guest(tmp_path: Path, busy_host: Callable[[], None]) -> None:
    recorded(bundled("storm"), tmp_path / "seldom.rrt", steps=300_000)
    busy_host()
    calls: list[object] = []
    recorded(bundled("storm"), tmp_path / "often.rrt", steps=300_000, on_progress=calls.append)
    assert calls
    with Trace.open(tmp_path / "often.rrt") as often, Trace.open(tmp_path / "seldom.rrt") as seldom:
        promises = [sum(chunk.kind == "progress" for chunk in trace.chunks()) for trace in (often, seldom)]
    assert promises[0] > promises[1]
    assert same(tmp_path / "seldom.rrt", tmp_path / "often.rrt")


def test_rule_3_broken_a_promise_that_touches_the_guest(
    tmp_path: Path, busy_host: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(bundled("storm"), tmp_path / "a.rrt", steps=300_000)
    busy_host()
    machines: list[Machine] = []
    run = Machine.run

    def watched(machine: Machine, until: int, **options: object) -> object:
        machines.append(machine)
        return run(machine, until, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Machine, "run", watched)
    recorded(
        bundled("storm"),
        tmp_path / "b.rrt",
        steps=300_000,
        on_progress=lambda progress: machines[-1].core.write(0x8070_0000, b"x"),
    )
    assert not same(tmp_path / "a.rrt", tmp_path / "b.rrt")


# ---- 8: stopping is free -------------------------------------------------------------------------------------------
def straight_digest(path: Path, end: int) -> bytes:
    with Trace.open(path) as trace:
        walker = Walker(trace)
        walker.machine.run(end)
        return walker.machine.digest()


def stop_and_go(path: Path, stops: list[int], at_stop: Callable[[Walker], None]) -> bytes:
    """Run to each of some positions, do something there, and return the digest at the last."""
    with Trace.open(path) as trace:
        walker = Walker(trace)
        for stop in stops:
            walker.machine.run(stop)
            at_stop(walker)
        return walker.machine.digest()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, 60_000), max_size=12), st.integers(0, 1000))
def test_rule_8_stops_saves_and_moves_are_free(shell_trace: Path, stops: set[int], seed: int) -> None:
    rng = random.Random(seed)

    def anything(walker: Walker) -> None:
        if rng.random() < 0.5:
            walker.move(walker.capture(), rng.randrange(1000))
        else:
            walker.machine.save()

    assert stop_and_go(shell_trace, [*sorted(stops), 60_000], anything) == straight_digest(shell_trace, 60_000)


def test_rule_8_broken_a_stop_costs_the_guest_something(storm_trace: Path) -> None:
    def costly(walker: Walker) -> None:
        walker.machine.core.hart[L.MINSTRET] ^= 1

    assert stop_and_go(storm_trace, [1000, 50_000, 90_000], costly) != straight_digest(storm_trace, 90_000)


def test_rule_8_broken_a_timer_that_is_not_saved(storm_trace: Path) -> None:
    def forgetful(walker: Walker) -> None:
        capsule = walker.capture()
        capsule.state["device.clint"][:] = 0
        walker.renew()
        release(capsule, walker.machine, walker.source)

    try:
        digest = stop_and_go(storm_trace, [50_000, 90_000], forgetful)
    except Divergence:
        return
    assert digest != straight_digest(storm_trace, 90_000)


# ---- 9: no cache is guest state ------------------------------------------------------------------------------------
def test_rule_9_caches_may_be_dropped_anywhere(storm_trace: Path, tmp_path: Path) -> None:
    recorded(assembled(PATCHED), tmp_path / "patched.rrt")
    with Trace.open(tmp_path / "patched.rrt") as trace:
        patched_end = trace.end_icount
    for path, end in ((storm_trace, 400_000), (tmp_path / "patched.rrt", patched_end)):
        rng = random.Random(9)
        stops = sorted(rng.sample(range(end), 200))
        expected = straight_digest(path, end)
        assert stop_and_go(path, [*stops, end], lambda walker: walker.machine.core.drop_caches()) == expected


def test_rule_9_code_is_what_ram_holds_after_going_back(tmp_path: Path) -> None:
    recorded(assembled(PATCHED), tmp_path / "a.rrt")
    with Trace.open(tmp_path / "a.rrt") as trace:
        replayer = Replayer(trace)
        replayer.seek(trace.end_icount)
        assert int(replayer.machine.core.hart[L.X + 8]) == 20_000 + 1 + 2 * (20_000 - 1)
        replayer.seek(1000)  # warm caches hold the new code
        replayer.seek(65_000)
        replayer.seek(trace.end_icount)


def test_rule_9_broken_stale_code_after_going_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(assembled(PATCHED), tmp_path / "a.rrt")
    monkeypatch.setattr(Core, "_forget_code", lambda core, pages: None)
    with Trace.open(tmp_path / "a.rrt") as trace:
        replayer = Replayer(trace)
        replayer.seek(trace.end_icount)
        replayer.seek(1000)
        with pytest.raises(Divergence):
            replayer.seek(trace.end_icount)


def test_rule_9_instrumented_runs_are_the_same_run(storm_trace: Path) -> None:
    def instrumented(walker: Walker) -> None:
        core = walker.machine.core
        core.log_steps(128, lambda rows: None)
        walker.machine.run(walker.machine.icount + 700)
        core.log_steps(0, None)

    stops = list(range(0, 120_000, 5000))
    assert stop_and_go(storm_trace, [*stops, 130_000], lambda walker: None) == straight_digest(storm_trace, 130_000)
    digest = stop_and_go(storm_trace, stops, instrumented)
    assert digest == straight_digest(storm_trace, stops[-1] + 700)


def test_a_capsule_survives_its_encoding(storm_trace: Path) -> None:
    from rrdbg_core.errors import RrdbgError
    from rrdbg_core.replay.capsule import decode, encode

    with Trace.open(storm_trace) as trace:
        walker = Walker(trace)
        walker.machine.run(123_456)
        data = encode(capture(walker.machine, walker.source))
        digest = walker.machine.digest()
        walker.renew()
        release(decode(data), walker.machine, walker.source)
        assert walker.machine.digest() == digest
        for cut in (0, 3, 50, len(data) // 2, len(data) - 1):
            with pytest.raises(RrdbgError):
                decode(data[:cut])


def test_a_capsule_replaces_all_that_a_machine_held(shell_trace: Path) -> None:
    with Trace.open(shell_trace) as trace:
        walker = Walker(trace)
        walker.machine.run(1000)
        capsule, digest = walker.capture(), walker.machine.digest()
        walker.machine.run(trace.end_icount)
        walker.machine.core.write(0x8070_0000, b"x" * 9000)
        release(capsule, walker.machine, walker.source)
        assert walker.machine.digest() == digest
        walker.machine.run(2000)
        assert walker.machine.digest() == straight_digest(shell_trace, 2000)


def test_until_is_part_of_no_state(tmp_path: Path) -> None:
    """Where a recording was cut cannot be seen in what came before."""
    recorded(bundled("shell"), tmp_path / "short.rrt", script(SHELL), until=Until(pattern=b"fib"))
    recorded(bundled("shell"), tmp_path / "long.rrt", script(SHELL))
    with Trace.open(tmp_path / "short.rrt") as short, Trace.open(tmp_path / "long.rrt") as long:
        end = short.end_icount
        assert list(short.events) == [event for event in long.events if event.icount <= end]
        one, two = Replayer(short), Replayer(long)
        one.seek(end)
        two.seek(end)
        assert one.machine.digest() == two.machine.digest()
