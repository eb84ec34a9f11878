"""Where a trace goes: full disks, limits, files that are there already, places where no file can be."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace import EPOCH, Ending, Manifest, Snapshot, Trace, TraceFull, TraceWriter, host, image_digest

from tests.trace import synthetic

PLAIN = Manifest(config=MachineConfig(ram_bytes=1 << 16))
ROOT = Path(__file__).parents[2]


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- a full disk -----------------------------------------------------------------------------------------------------
_LIMITED = """
import resource, sys
from pathlib import Path
from rrdbg_core.trace import TraceFull
from tests.trace import synthetic
folder, limits = Path(sys.argv[1]), range(*map(int, sys.argv[2:5]))
for limit in limits:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    writers = []
    def step(trace):
        writers.append(trace.writer)
        trace.writer.flush()
    try:
        synthetic.build(folder / f"{limit}.rrt", on_step=step)
    except TraceFull as error:
        assert error.exit_code == 68 and "File too large" in str(error), error
        if writers:
            writers[0].close()
    else:
        raise AssertionError(f"{limit} bytes were enough")
"""


def test_disk_full_at_any_byte(tmp_path: Path) -> None:
    """The file system takes so many bytes and no more: what was promised before is there, and the file says why."""
    whole = tmp_path / "whole.rrt"
    written = synthetic.build(whole)
    limits = range(100, whole.stat().st_size, 23)
    arguments = [str(n) for n in (limits.start, limits.stop, limits.step)]
    subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path), *arguments], check=True, cwd=ROOT, timeout=300)
    opened = 0
    for limit in limits:
        path = tmp_path / f"{limit}.rrt"
        if not path.exists():
            assert (written.at(limit) or {"end": 0})["end"] == 0
            continue
        with Trace.open(path) as trace:
            opened += 1
            assert not trace.damage
            assert path.stat().st_size <= limit
            seen = synthetic.view(trace)
            # the end that says so takes some bytes itself: it may cost what came last
            fits = [written.at(size) for size in range(limit, 0, -1) if written.at(size)]
            wanted = next(expected for expected in fits if expected["end"] == seen["end"])
            ending = trace.ending
            if ending is not None:
                assert ending == Ending(seen["end"], "disk-full")
            assert {**seen, "ending": None} == {**wanted, "ending": None}
            assert fits[0]["end"] == seen["end"]
    assert opened > 70


def test_no_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file system says when it is full; the recorder's next calls fail the same way, and closing works."""
    path = tmp_path / "t.rrt"
    writer = TraceWriter(path, PLAIN, {})
    writer.events([Event(5, EventKind.UART_INPUT, "uart", "", b"a", 0)])
    writer.progress(100)
    writer.flush()
    size = path.stat().st_size
    writer.events([Event(500, EventKind.UART_INPUT, "uart", "", b"b", 0)])
    write, calls = os.writev, []

    def full(fd: int, parts: Sequence[bytes | memoryview]) -> int:
        calls.append(parts)
        if len(calls) == 1:
            return write(fd, [b"".join(parts)[:3]])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", full)
        writer.progress(1000)
        with pytest.raises(TraceFull, match="No space left on device") as error:
            writer.flush()
        assert error.value.exit_code == ExitCode.HOST_IO
        for use in (
            lambda: writer.progress(2000),
            lambda: writer.digest(2000, bytes(16)),
            lambda: writer.events([]),
        ):
            with pytest.raises(TraceFull, match="No space left"):
                use()
    assert path.stat().st_size == size
    writer.end(Ending(2000, "until"))
    writer.close()
    with Trace.open(path) as trace:
        assert (trace.damage, trace.end_icount, len(trace.events)) == ("", 100, 1)


def test_what_no_promise_covers_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events got into the file, the promise behind them did not: the end that says so fits what comes before it."""
    path = tmp_path / "t.rrt"
    writer = TraceWriter(path, PLAIN, {})
    writer.progress(100)
    writer.flush()
    writer.events([Event(500, EventKind.UART_INPUT, "uart", "", bytes(100), 0)])
    write, calls = os.writev, []

    def full(fd: int, parts: Sequence[bytes | memoryview]) -> int:
        calls.append(parts)
        if len(calls) == 1:
            return write(fd, [b"".join(parts)[:-20]])
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, parts)

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(TraceFull):  # noqa: PT012
        writer.progress(1000)
        writer.flush()
    writer.close()
    with Trace.open(path) as trace:
        assert (trace.damage, trace.ending, len(trace.events)) == ("", Ending(100, "disk-full"), 0)


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (0, 3, 0, 4), (1,) * 1500, (70_000, 1, 0, 300_000)])
@pytest.mark.parametrize("most", [1, 7, 100_000])
def test_parts_are_written_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], most: int
) -> None:
    """However little the system takes at a time."""
    parts = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    whole, took = b"".join(parts), []

    def some(fd: int, parts: Sequence[bytes | memoryview]) -> int:
        assert len(parts) <= 1024
        took.append(os.write(fd, b"".join(parts)[: max(most, len(whole) // 50)]))
        return took[-1]

    monkeypatch.setattr(os, "writev", some)
    with open(tmp_path / "parts", "w+b") as file:
        assert list(host.write(file.fileno(), parts)) == took
        file.seek(0)
        assert file.read() == whole


def test_the_disk_fails_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = TraceWriter(tmp_path / "t.rrt", PLAIN, {})
    writer.end(Ending(10, "until"))

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("rrdbg_core.trace.host.sync", fail)
    with pytest.raises(TraceFull, match="Input/output error"):
        writer.close(sync=True)
    writer.close()


# ---- --max-size ------------------------------------------------------------------------------------------------------
def test_limit(tmp_path: Path) -> None:
    """At the limit the trace is ended properly, with all events, and stays below the limit."""
    path = tmp_path / "t.rrt"
    limit = 300_000
    writer = TraceWriter(path, PLAIN, {}, max_bytes=limit)
    rng = np.random.default_rng(1)
    events: list[Event] = []
    icount = 0
    with pytest.raises(TraceFull, match="limit of 300000 bytes") as error:  # noqa: PT012
        while True:
            icount += 100
            events.append(Event(icount, EventKind.UART_INPUT, "uart", "", rng.bytes(300), 0))
            writer.events(events[-1:])
            if len(events) % 50 == 0:
                writer.progress(icount)
    assert error.value.exit_code == ExitCode.LIMIT
    writer.end(Ending(icount, "max-size"))
    writer.close()
    assert limit // 2 < path.stat().st_size <= limit
    with Trace.open(path) as trace:
        assert list(trace.events) == events
        assert trace.ending == Ending(icount, "max-size")


def test_snapshot_beyond_the_limit(tmp_path: Path) -> None:
    """A snapshot that does not fit is left out; those before it and after it are not harmed."""
    path = tmp_path / "t.rrt"
    rng = np.random.default_rng(1)
    content = rng.integers(0, 256, (16, 4096), dtype=np.uint8)
    every = np.arange(16, dtype=np.uint32)
    with TraceWriter(path, PLAIN, {}, max_bytes=180_000) as writer:
        writer.snapshot(Snapshot(0, 0, {}), every, None, content)
        with pytest.raises(TraceFull):
            writer.snapshot(Snapshot(EPOCH, 0, {}), every, None, ~content)
        content[3, 64:128] = 7
        writer.snapshot(Snapshot(EPOCH + 5, 0, {}), every[3:4], np.array([2], np.uint64), content[3:4])
        writer.end(Ending(EPOCH + 6, "max-size"))
    with Trace.open(path) as trace:
        assert list(trace.snapshot_icounts) == [0, EPOCH + 5]
        assert (trace.load_pages(every, trace.versions(1)) == content).all()


def test_images_beyond_the_limit(tmp_path: Path) -> None:
    with pytest.raises(TraceFull) as error:
        TraceWriter(tmp_path / "t.rrt", PLAIN, {image_digest(b"x"): b"x"}, max_bytes=1000)
    assert error.value.exit_code == ExitCode.LIMIT
    assert _files(tmp_path) == []


# ---- files that are there, places where none can be ------------------------------------------------------------------
def test_no_overwriting_without_force(tmp_path: Path) -> None:
    path = tmp_path / "t.rrt"
    path.write_text("precious")
    with pytest.raises(RrdbgError, match="exists") as error:
        TraceWriter(path, PLAIN, {})
    assert error.value.exit_code == ExitCode.USAGE
    assert "--force" in str(error.value)
    assert path.read_text() == "precious"


def test_force_replaces_when_there_is_something(tmp_path: Path) -> None:
    """The old file stays until the new one can be replayed; who has the old one open keeps it."""
    path = tmp_path / "t.rrt"
    synthetic.build(path)
    path.chmod(0o640)
    with Trace.open(path) as old:
        before = synthetic.view(old)
        writer = TraceWriter(path, PLAIN, {}, force=True)
        writer.flush()
        assert path.stat().st_size == old.size
        writer.progress(50)
        assert path.stat().st_size == old.size
        writer.flush()
        with Trace.open(path) as new:
            assert (new.end_icount, new.recording) == (50, True)
        writer.close()
        assert synthetic.view(old) == before
    assert _files(tmp_path) == ["t.rrt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_force_where_open_files_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the old file stays until the new one is closed."""
    monkeypatch.setattr("rrdbg_core.trace.host.RENAMES_OPEN_FILES", False)
    path = tmp_path / "t.rrt"
    path.write_text("old")
    with TraceWriter(path, PLAIN, {}, force=True) as writer:
        writer.progress(50)
        writer.flush()
        assert path.read_text() == "old"
    assert _files(tmp_path) == ["t.rrt"]
    with Trace.open(path) as trace:
        assert trace.end_icount == 50


def test_force_keeps_the_old_one_if_the_run_fails_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t.rrt"
    path.write_text("precious")
    TraceWriter(path, PLAIN, {}, force=True).close()
    assert path.read_text() == "precious"
    assert _files(tmp_path) == ["t.rrt"]


def test_a_run_that_fails_at_once_leaves_nothing(tmp_path: Path) -> None:
    TraceWriter(tmp_path / "t.rrt", PLAIN, {}).close()
    assert _files(tmp_path) == []


def test_force_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "t.rrt").write_text("old")
    link = tmp_path / "t.rrt"
    link.symlink_to(tmp_path / "there" / "t.rrt")
    with TraceWriter(link, PLAIN, {}, force=True) as writer:
        writer.progress(5)
    assert link.is_symlink()
    with Trace.open(tmp_path / "there" / "t.rrt") as trace:
        assert trace.end_icount == 5


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("make", "name", "message", "code"),
    [
        (lambda path: path.mkdir(), "t.rrt", "is a directory", ExitCode.USAGE),
        (lambda path: None, "missing/t.rrt", "there is no directory", ExitCode.NOT_FOUND),
        (lambda path: path.touch(), "t.rrt/x.rrt", "there is no directory", ExitCode.NOT_FOUND),
        (lambda path: None, "x" * 300, "cannot write .*name too long", ExitCode.HOST_IO),
        (lambda path: None, "", "is a directory", ExitCode.USAGE),
    ],
)
def test_no_place(
    tmp_path: Path, make: Callable[[Path], None], name: str, message: str, code: ExitCode, force: bool
) -> None:
    make(tmp_path / "t.rrt")
    with pytest.raises(RrdbgError, match=f"(?i){message}") as error:
        TraceWriter(tmp_path / name, PLAIN, {}, force=force)
    assert error.value.exit_code == code


def test_not_into_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RrdbgError, match="not a regular file"):
        TraceWriter(tmp_path / "pipe", PLAIN, {}, force=True)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int, mode: int = 0) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RrdbgError, match=r"cannot write .*: Permission denied") as error:
        TraceWriter(tmp_path / "t.rrt", PLAIN, {})
    assert error.value.exit_code == ExitCode.HOST_IO


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file name with bytes that are no UTF-8 is an error at once, not a broken trace later."""
    digest = image_digest(b"x")
    ref = ImageRef(kind="raw", digest=digest, name="\udcff.bin", load_address=0x8000_0000)
    manifest = Manifest(config=MachineConfig(ram_bytes=1 << 16, images=(ref,)))
    with pytest.raises(RrdbgError, match="not Unicode"):
        TraceWriter(tmp_path / "t.rrt", manifest, {digest: b"x"})
    assert _files(tmp_path) == []


# ---- what a recorder must not do -------------------------------------------------------------------------------------
def test_promises_are_kept(tmp_path: Path) -> None:
    """Nothing goes back behind a promise: a trace would replay to something that never was."""
    late = [Event(99, EventKind.UART_INPUT, "uart", "", b"x", 0)]
    nothing = np.zeros(0, np.uint32)
    no_pages = np.zeros((0, 4096), np.uint8)
    with TraceWriter(tmp_path / "t.rrt", PLAIN, {}) as writer:
        writer.progress(100)
        for use in (
            lambda: writer.events(late),
            lambda: writer.progress(99),
            lambda: writer.digest(99, bytes(16)),
            lambda: writer.snapshot(Snapshot(99, 0, {}), nothing, None, no_pages),
            lambda: writer.end(Ending(99, "exit")),
        ):
            with pytest.raises(ValueError, match=r"late|before"):
                use()
        writer.events([Event(150, EventKind.UART_INPUT, "uart", "", b"x", 0)])
        with pytest.raises(ValueError, match="before"):
            writer.progress(120)
        writer.snapshot(Snapshot(200, 1, {}), nothing, None, no_pages)
        with pytest.raises(ValueError, match="snapshot at 200"):
            writer.snapshot(Snapshot(200, 1, {}), nothing, None, no_pages)
        with pytest.raises(ValueError, match="page 16 of 16"):
            writer.snapshot(Snapshot(300, 1, {}), np.array([16], np.uint32), None, np.zeros((1, 4096), np.uint8))
        writer.end(Ending(400, "exit", 0))
        with pytest.raises(ValueError, match="ended"):
            writer.progress(500)
    with pytest.raises(ValueError, match="not its digest"):
        TraceWriter(tmp_path / "u.rrt", PLAIN, {"00" * 16: b"x"})
    with Trace.open(tmp_path / "t.rrt") as trace:
        assert trace.ending == Ending(400, "exit", 0)
