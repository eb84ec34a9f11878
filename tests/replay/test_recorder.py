"""The recorder: what is in a trace, when it ends, and that the host cannot be seen in it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.replay import epoch_writer
from rrdbg_core.replay.console_input import BytesInput, HostInput
from rrdbg_core.replay.recorder import Progress, Until
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.trace.model import CHECK_PERIOD, EPOCH, EpochIndex
from rrdbg_core.trace.output import TraceFull
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import END, SHELL, assembled, bundled, recorded, script
from tests.replay.test_live import ECHO, SLEEP

INDEXED = ("exceptions", "written", "written_lines", "written_words", "read", "executed")
LONG = "li s0, 0; li s1, 0x80080000; loop: addi s0, s0, 1; sd s0, 0(s1); j loop"
"""A guest that counts for ever."""


@contextmanager
def host_load() -> Iterator[None]:
    """Keep every processor busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def content(path: Path) -> dict[str, list[object]]:
    """Return everything in a trace but its id, its date and its promises."""
    with Trace.open(path) as trace:
        assert trace.damage == ""
        packs = [
            trace.load_pages(np.arange(len(versions), dtype=np.uint32), versions).tobytes()
            for versions in map(trace.versions, range(len(trace.snapshots)))
        ]
        return {
            "config": [trace.manifest.config],
            "events": list(trace.events),
            "checks": trace.checks.tolist(),
            "digests": sorted(trace.digests.items()),
            "snapshots": [(s.icount, s.events, {k: w.tolist() for k, w in s.state.items()}) for s in trace.snapshots],
            "pages": [hash(pack) for pack in packs],
            "index": [
                [getattr(e, name).tolist() for name in INDEXED] + [e.start, e.stop, e.console] for e in trace.epochs
            ],
            "ending": [trace.ending],
        }


@pytest.mark.parametrize("guest", ["shell", "storm"])
def test_the_same_run_recorded_under_load_is_the_same_to_the_bit(guest: str, tmp_path: Path) -> None:
    options = {"shell": {}, "storm": {"steps": 800_000}}[guest]
    console = [script(SHELL) if guest == "shell" else BytesInput(b"x" * 300) for _ in range(2)]
    recorded(bundled(guest), tmp_path / "quiet.rrt", console[0], **options)
    with host_load():
        recorded(bundled(guest), tmp_path / "loaded.rrt", console[1], **options)
    quiet, loaded = content(tmp_path / "quiet.rrt"), content(tmp_path / "loaded.rrt")
    assert quiet["events"]
    for part, value in quiet.items():
        assert loaded[part] == value, part


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    for seed in (1, 2):
        recorded(bundled("storm", seed=seed), tmp_path / f"{seed}.rrt", steps=400_000)
    assert content(tmp_path / "1.rrt")["digests"] != content(tmp_path / "2.rrt")["digests"]


def test_until_an_icount_even_inside_an_epoch_or_at_its_end(tmp_path: Path) -> None:
    for number, steps in enumerate((0, 12_345, EPOCH, EPOCH + 7)):
        ending = recorded(assembled(LONG), tmp_path / f"{number}.rrt", steps=steps).ending
        assert (ending.icount, ending.reason, ending.exit_code) == (steps, "until", None)
        with Trace.open(tmp_path / f"{number}.rrt") as trace:
            assert trace.end_icount == steps
            assert len(trace.checks) == steps // CHECK_PERIOD
            assert sorted(trace.digests) == sorted({steps} | ({EPOCH} if steps >= EPOCH else set()))


@pytest.mark.parametrize("shift", [0, 3])
def test_until_a_virtual_time_while_the_guest_runs(tmp_path: Path, shift: int) -> None:
    until = Until(virtual_ns=100_001)
    recording = recorded(assembled(LONG, shift=shift), tmp_path / "a.rrt", until=until)
    assert recording.ending.icount == -(-100_001 >> shift)
    assert recording.ending.reason == "until"


def test_until_a_virtual_time_while_the_guest_sleeps(tmp_path: Path) -> None:
    tick = "la t0, trap; csrw mtvec, t0; li t0, 0x2004000; li t1, 1000; sd t1, 0(t0); li t0, 0x80; csrw mie, t0\n"
    guest = tick + "li t0, 8; csrs mstatus, t0; s: wfi; j s\ntrap: li t0, 0x2004000; li t1, -1; sd t1, 0(t0); j s"
    for ns, events in ((70_000, 1), (100_000, 1), (100_005, 0)):
        recording = recorded(assembled(guest), tmp_path / f"{ns}.rrt", until=Until(virtual_ns=ns))
        assert recording.virtual_ns == ns
        assert recording.ending.reason == "until"
        with Trace.open(tmp_path / f"{ns}.rrt") as trace:
            replayer = Replayer(trace)
            replayer.seek(trace.end_icount)
            assert replayer.machine.virtual_ns() == ns
            assert len(trace.events) == events  # what the clock warped to where the recording was cut


def test_until_a_pattern_ends_behind_the_step_that_prints_its_last_byte(tmp_path: Path) -> None:
    seen: list[bytes] = []
    recording = recorded(
        bundled("shell"),
        tmp_path / "a.rrt",
        script(SHELL),
        until=Until(pattern=b"once upon"),
        on_console=lambda step, data: seen.append(data),
    )
    assert recording.ending.reason == "until"
    assert b"".join(seen).endswith(b"once upon")
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert trace.epochs[-1].console[-1] == (trace.end_icount, b"n")


def test_the_guest_ends_it(tmp_path: Path) -> None:
    recording = recorded(assembled("li t2, 7\n" + END.replace("0x5555", "0x73333")), tmp_path / "a.rrt")
    assert (recording.ending.reason, recording.ending.exit_code) == ("exit", 7)


def test_a_guest_that_sleeps_for_ever_ends_it_and_input_left_over_is_told(tmp_path: Path) -> None:
    recording = recorded(assembled(SLEEP), tmp_path / "a.rrt", BytesInput(b"abc"))
    assert recording.ending.reason == "idle"
    assert recording.leftover == "2 bytes of input were never read"


@pytest.mark.parametrize("guest", [LONG, SLEEP])
def test_a_timeout_and_an_interruption_end_it_wherever_the_guest_is(guest: str, tmp_path: Path) -> None:
    reasons = []
    for number, options in enumerate(({"timeout_s": 0.3}, {"interrupt": iter([False] * 5 + [True] * 99).__next__})):
        path = tmp_path / f"{number}.rrt"
        reasons.append(recorded(assembled(guest), path, HostInput(), **options).ending.reason)
        with Trace.open(path) as trace:
            assert trace.ending is not None
            Replayer(trace).seek(trace.end_icount)
    assert reasons == ["timeout", "interrupted"]


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    patience = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_progress_is_told_and_promised_while_the_guest_waits_for_its_user(tmp_path: Path) -> None:
    told: list[Progress] = []
    console = HostInput()
    path = tmp_path / "a.rrt"
    work = threading.Thread(
        target=recorded, args=(bundled("shell"), path, console), kwargs={"on_progress": told.append}
    )
    work.start()
    try:
        # its prompt is printed by then
        until(lambda: told and told[-1].promised > 5000 and told[-1].idle)
        with Trace.open(path) as trace:
            first = trace.end_icount
            assert first > 5000
            replayer = Replayer(trace)
            replayer.seek(first)
            digest = replayer.machine.digest()
            console.feed(b"help\n")
            until(lambda: replayer.refresh() and trace.end_icount > first)
            # what was promised is what the position has to be for ever
            again = Replayer(trace)
            again.seek(first)
            assert again.machine.digest() == digest
    finally:
        console.feed(b"exit 0\n")
        work.join(120)
    assert any(progress.idle for progress in told)
    assert told[-1].trace_bytes > 0


def test_a_full_trace_ends_cleanly(tmp_path: Path) -> None:
    guest = "li s0, 0x80010000; li s1, 0x800f0000; again: mv s2, s0; next: sd s2, 0(s2); csrr t0, mcycle; sd t0, 8(s2);"
    guest += "addi s2, s2, 512; blt s2, s1, next; j again"
    recording = recorded(assembled(guest), tmp_path / "a.rrt", max_bytes=400_000)
    assert recording.ending.reason == "max-size"
    assert (tmp_path / "a.rrt").stat().st_size <= 400_000
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert trace.damage == ""
        assert trace.end_icount == recording.ending.icount
        Replayer(trace).seek(trace.end_icount)


def test_a_full_disk_is_an_error_and_the_prefix_replays(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; sys.dont_write_bytecode = True\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))\n"
        "from pathlib import Path; from tests.replay.test_recorder import *\n"
        "recorded(assembled(LONG), Path(sys.argv[1]))\n"
    )
    assert hasattr(resource, "RLIMIT_FSIZE")
    assert hasattr(signal, "SIGXFSZ")
    path = tmp_path / "a.rrt"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert TraceFull.__name__ in done.stderr.splitlines()[-2] + done.stderr.splitlines()[-1]
    with Trace.open(path) as trace:
        assert trace.end_icount >= EPOCH
        assert trace.ending is None or trace.ending.reason == "disk-full"
        Replayer(trace).seek(trace.end_icount)


def test_an_image_that_cannot_be_loaded_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RrdbgError) as caught:
        recorded(assembled(LONG, entry=0x123), tmp_path / "a.rrt")
    assert caught.value.exit_code == ExitCode.BAD_IMAGE
    assert list(tmp_path.iterdir()) == []


def _lines_executed(epoch: EpochIndex) -> Iterator[tuple[int, int, int]]:
    """Yield page, line and mask of the halfwords."""
    halves = iter(epoch.executed_halves.tolist())
    for page, lines in zip(epoch.executed.tolist(), epoch.executed_lines.tolist(), strict=True):
        for line in range(64):
            if lines >> line & 1:
                yield page, line, next(halves)


def test_the_index_names_what_was_touched(shell_trace: Path) -> None:
    """Compare the index with the log of every step."""
    with Trace.open(shell_trace) as trace:
        replayer = Replayer(trace)
        (epoch,) = trace.epochs
        rows: list[np.ndarray] = []
        replayer.log(0, trace.end_icount, rows.append)
        log = np.concatenate(rows)
        executed = set(((log[:, 1] - RAM_BASE) // PAGE_BYTES).tolist())
        assert executed <= set(epoch.executed.tolist())
        started = log[(log[:, 4] < 1 << 63) & (log[:, 4] != 2), 1]  # neither interrupts nor fetch faults
        assert set(((started - RAM_BASE) // 2).tolist()) == {
            int(page) * 2048 + 32 * line + half
            for page, line, mask in _lines_executed(epoch)
            for half in range(32)
            if mask >> half & 1
        }
        read, lines = set(), set()
        for row in log[log[:, 6] > 0].tolist():
            for slot in range(int(row[6])):
                kind, address = int(row[7 + 3 * slot]), int(row[8 + 3 * slot])
                for byte in (address, address + (kind >> 8) - 1):
                    if byte >= RAM_BASE:
                        place = byte - RAM_BASE
                        if kind & 255 == 2:
                            lines.add(place // 64)
                        else:
                            read.add(place // PAGE_BYTES)
        assert read <= set(epoch.read.tolist())
        indexed = {
            int(page) * 64 + bit
            for page, mask in zip(epoch.written, epoch.written_lines, strict=True)
            for bit in range(64)
            if int(mask) >> bit & 1
        }
        assert lines <= indexed
        # beyond the hart's own stores: entropy by DMA, and the images, which a reset loads again
        assert len(indexed - lines) < 2000
        assert len(epoch.read) < 40
        causes = log[:, 4]
        interrupts = int((causes >= 1 << 63).sum())
        assert int(epoch.interrupts.sum()) == interrupts
        assert int(epoch.exceptions.sum()) == int((causes > 0).sum()) - interrupts
        text = b"".join(piece for _, piece in epoch.console)
        assert text.count(b"$ ") == 8
        assert [at for at, _ in epoch.console] == [at for at, _ in replayer.console(0, trace.end_icount)]


def test_echoed_input_is_in_the_console_index_at_the_position_behind_its_step(tmp_path: Path) -> None:
    recorded(assembled(ECHO), tmp_path / "a.rrt", script("at 900: x\nat 2000: \\n"))
    with Trace.open(tmp_path / "a.rrt") as trace:
        replayer = Replayer(trace)
        rows: list[np.ndarray] = []
        replayer.log(0, trace.end_icount, rows.append)
        stores = [int(row[0]) for row in np.concatenate(rows) if int(row[6]) and int(row[7]) & 255 == 2]
        assert [at for at, _ in trace.epochs[0].console] == [step + 1 for step in stores[:2]]


def test_snapshots_are_asked_for_what_changed_since_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index of the trace says which pages were written; every snapshot but the first tells what it has cost."""
    asked: list[int] = []
    told: list[int] = []

    class Spy(epoch_writer.Thinning):
        def pay(self, changed_pages: int) -> bool:
            asked.append(changed_pages)
            return len(asked) % 3 == 0

        def learn(self, changed_pages: int, ns: int) -> None:
            assert ns > 0
            told.append(changed_pages)

    monkeypatch.setattr(epoch_writer, "Thinning", Spy)
    # another page in each round of eight million steps, and one that is written in all of them
    guest = "li s1, 0x80020000; li s2, 4096; li s3, 0x80010000; round: sd s0, 0(s1); add s1, s1, s2; li s0, 4000000\n"
    guest += "sd s0, 0(s3); work: addi s0, s0, -1; bnez s0, work; j round"
    path = tmp_path / "t.rrt"
    recorded(assembled(guest), path, steps=7 * EPOCH)
    expected, changed, taken = [], set[int](), []
    with Trace.open(path) as trace:
        for epoch in trace.epochs:
            changed |= set(epoch.written.tolist())
            expected.append(len(changed))
            if epoch.stop in trace.snapshot_icounts:
                taken.append(len(changed))
                changed.clear()
    assert len(set(expected)) > 2
    assert asked == expected
    assert told[1:] == taken
