"""A recorder that is killed, and a trace that is cut: what is there replays up to the position that was promised."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from rrdbg_core.machine import running
from rrdbg_core.replay import epoch_writer
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.trace.frame import BadTrace
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import bundled, recorded

KILLER = r"""
import os, random, signal, sys, time
from pathlib import Path
from tests.replay.guests import assembled, bundled, recorded
folder, first, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
guest = "li s1, 0x80020000; li s2, 0x800f0000; again: mv s3, s1; next: sd s0, 0(s3); addi s0, s0, 1;"
guest += "addi s3, s3, 1024; blt s3, s2, next; j again"
for number in range(first, first + count):
    child = os.fork()
    if child == 0:
        parts = bundled("storm", seed=number) if number % 5 == 0 else assembled(guest)
        recorded(parts, folder / f"{number}.rrt")
        os._exit(0)
    path = folder / f"{number}.rrt"
    # most are killed at work, by how far they are, some before there is anything to lose
    wanted = rng.choice((-1, *range(0, 90_000, 10_000)))
    while wanted >= 0 and not (path.exists() and path.stat().st_size > wanted):
        time.sleep(0.001)
    time.sleep(rng.random() * 0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def kill_and_replay(folder: Path, first: int, count: int) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    command = [sys.executable, "-c", KILLER, str(folder), str(first), str(count), str(seed)]
    subprocess.run(command, check=True, capture_output=True)
    ends = []
    for number in range(first, first + count):
        path = folder / f"{number}.rrt"
        if not path.exists():
            continue
        try:
            trace = Trace.open(path)
        except BadTrace:  # not even the images were in it
            continue
        with trace:
            assert trace.ending is None or trace.ending.reason == "exit"
            replayer = Replayer(trace)
            replayer.seek(trace.end_icount)
            assert replayer.icount == trace.end_icount
            replayer.seek(trace.end_icount // 2)
            ends.append(trace.end_icount)
        path.unlink()
    # however busy the host is, some were alive for long enough to promise more than the start
    assert len(ends) > count // 2
    assert sum(end > 0 for end in ends) > count // 5
    assert len(set(ends)) >= 3


def test_a_killed_recorder_leaves_a_trace_that_replays(tmp_path: Path) -> None:
    kill_and_replay(tmp_path, 0, 15)


@pytest.mark.slow
def test_a_hundred_killed_recorders(tmp_path: Path) -> None:
    kill_and_replay(tmp_path, 15, 85)


def test_a_cut_trace_replays_to_the_position_that_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_writer, "FLUSH_S", 0.0)
    monkeypatch.setattr(running, "SLICE", 5000)
    recorded(bundled("storm"), tmp_path / "whole.rrt", steps=400_000)
    data = (tmp_path / "whole.rrt").read_bytes()
    rng = random.Random(4)
    ends = set()
    for cut in rng.sample(range(23_000, len(data)), 20):
        path = tmp_path / "cut.rrt"
        path.write_bytes(data[:cut])
        with Trace.open(path) as trace:
            assert all(event.icount <= trace.end_icount for event in trace.events)
            replayer = Replayer(trace)
            replayer.seek(trace.end_icount)
            ends.add(trace.end_icount)
    assert len(ends) > 5
