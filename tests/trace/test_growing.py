"""A trace can be read while it is being written."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace import BadTrace, Ending, Manifest, Trace, TraceWriter

from tests.trace import synthetic


@pytest.mark.parametrize("recording", [False, True])
def test_byte_by_byte(tmp_path: Path, recording: bool) -> None:
    """One reader that follows sees, after each byte, what the file holds; a torn end is damage only for the dead."""
    written = synthetic.build(tmp_path / "whole.rrt")
    data = (tmp_path / "whole.rrt").read_bytes()
    path = tmp_path / "t.rrt"
    first = written.stages[0][0]
    path.write_bytes(data[:first])
    with path.open("ab", buffering=0) as file:
        if recording:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        trace = Trace.open(path)
        expected = written.at(first)
        for size in range(first + 1, len(data) + 1):
            file.write(data[size - 1 : size])
            news = trace.refresh()
            if written.at(size) is not expected:
                assert news
                expected = written.at(size)
            if news or size % 64 == 0:
                assert synthetic.view(trace) == expected
            if recording:
                assert trace.damage == ""
            else:
                assert (trace.damage == "") == (trace.size == size)
        assert trace.ending == written.ending
        assert not trace.refresh()
        assert not trace.recording
        trace.close()


def test_the_recorder_dies_with_a_torn_chunk(tmp_path: Path) -> None:
    """The same torn end: nothing to worry about while the recorder lives, damage once it is gone."""
    path = tmp_path / "t.rrt"
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from tests.trace import synthetic
from rrdbg_core.trace import TraceWriter, image_digest
import os
writer = TraceWriter({str(path)!r}, synthetic.manifest(), {{image_digest(synthetic.IMAGE): synthetic.IMAGE}})
writer.progress(1234)
writer.flush()
os.write(writer._out._fd, b"RRTC torn")
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as recorder:
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == "ready\n"
        with Trace.open(path) as trace:
            assert (trace.recording, trace.damage, trace.ending, trace.end_icount) == (True, "", None, 1234)
            with pytest.raises(RrdbgError, match="being recorded"):
                synthetic.build(path, force=True)
            recorder.kill()
            recorder.wait()
            assert not trace.refresh()
            assert not trace.recording
            assert "is cut off" in trace.damage
            assert "the last 9 bytes of the file are lost, it replays up to icount 1234" in trace.damage


def test_reader_beside_writer(tmp_path: Path) -> None:
    """A reader that refreshes between flushes sees all events up to the newest promise, never one less or more."""
    path = tmp_path / "t.rrt"
    events = [Event(10 * k, EventKind.UART_INPUT, "uart", "", b"%d" % k, 0) for k in range(3000)]
    with TraceWriter(path, Manifest(config=MachineConfig(ram_bytes=1 << 16)), {}) as writer:
        writer.flush()
        with Trace.open(path) as trace:
            rng = np.random.default_rng(1)
            done = 0
            while done < len(events):
                step = int(rng.integers(1, 100))
                writer.events(events[done : done + step])
                done = min(done + step, len(events))
                if rng.random() < 0.5:
                    writer.progress(10 * done - 1)
                    writer.flush()
                    assert trace.refresh()
                assert list(trace.events[-3:]) == events[: len(trace.events)][-3:]
                assert len(trace.events) == (trace.end_icount + 10) // 10 - (trace.end_icount == 0)
            writer.end(Ending(10 * done, "until"))
            assert trace.refresh()
            assert list(trace.events) == events


def test_the_file_is_truncated_while_open(tmp_path: Path) -> None:
    path = tmp_path / "t.rrt"
    synthetic.build(path)
    with Trace.open(path) as trace:
        pages = np.arange(synthetic.RAM_PAGES)
        versions = trace.versions(1)
        path.write_bytes(path.read_bytes()[:300])
        for use in (
            lambda: trace.load_pages(pages, versions),
            lambda: trace.snapshots[0],
            lambda: trace.events[0],
            lambda: trace.epochs[0],
        ):
            with pytest.raises(BadTrace, match="shorter"):
                use()
