"""Work that copies of the process share: what comes out is what one alone would find, whatever becomes of them."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.errors import RrdbgError
from rrdbg_core.replay import crew
from rrdbg_core.replay.crew import MAX_JOBS, PROCESSES, Crew, crew_size
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.targets import MemoryWatch, Targets
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace

from tests.replay.rewrite import rewrite

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
SEED = random.SystemRandom().getrandbits(32)
Do = Callable[[int], bytes]
Words = npt.NDArray[np.uint64]


@pytest.fixture(autouse=True)
def copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be copied though a test runner may have threads, and for the least of reasons."""
    monkeypatch.setattr(crew, "possible", lambda own: True)
    monkeypatch.setattr("rrdbg_core.replay.replayer.SHARED_STEPS", 0)
    monkeypatch.setattr("rrdbg_core.replay.replayer.ALONE_S", 0.0)
    monkeypatch.setenv(PROCESSES, "3")


class Diary:
    """A file in which all processes note who did what."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def note(self, number: int) -> None:
        os.write(self.fd, f"{os.getpid()} {number}\n".encode())

    def lines(self) -> list[tuple[int, int]]:
        """Return who and what."""
        pairs = [line.split() for line in os.pread(self.fd, 1 << 20, 0).splitlines()]
        return [(int(who), int(what)) for who, what in pairs]

    def others(self) -> set[int]:
        """Return who else was at it."""
        return {who for who, _ in self.lines()} - {os.getpid()}


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    diary = Diary(tmp_path / "diary")
    yield diary
    os.close(diary.fd)


def first(count: int, do: Do, diary: Diary, copies: int = 2) -> tuple[int, bytes] | None:
    """Return what a crew finds whose first own job waits until a copy is at work, so that none has it all."""
    here = os.getpid()

    def job(number: int) -> bytes:
        diary.note(number)
        while os.getpid() == here and copies and not diary.others():
            team.look()
        return do(number)

    team = Crew(count, job, prepare=lambda: None, keep=(diary.fd,), copies=copies)
    try:
        return team.first()
    finally:
        team.end()


def test_the_first_job_with_an_answer_is_found_whoever_does_it(diary: Diary) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(30):
        count = rng.randrange(2, 60)
        answers = [rng.randbytes(rng.randrange(1, 20)) if rng.random() < 0.05 else b"" for _ in range(count)]
        expected = next(((number, answer) for number, answer in enumerate(answers) if answer), None)
        assert first(count, answers.__getitem__, diary) == expected
    assert diary.others()


def test_as_many_jobs_as_there_may_be_are_all_done(diary: Diary) -> None:
    assert first(MAX_JOBS, lambda number: b"last" if number == MAX_JOBS - 1 else b"", diary) == (MAX_JOBS - 1, b"last")
    assert {what for _, what in diary.lines()} == set(range(MAX_JOBS))


@pytest.mark.parametrize("fate", ["dies", "fails", "hangs", "lies half"])
def test_what_a_copy_leaves_undone_is_done(fate: str, diary: Diary) -> None:
    here = os.getpid()

    def do(number: int) -> bytes:
        if os.getpid() != here:
            match fate:
                case "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "fails":
                    raise RrdbgError("no")
                case "hangs":
                    threading.Event().wait()
                case _:
                    os.write(1, b"\0\0\0")
                    os._exit(0)
        return b"found" if number == 7 else b""

    assert first(10, do, diary) == (7, b"found")
    done_here = {what for who, what in diary.lines() if who == here}
    assert done_here >= set(range(8))


@pytest.mark.parametrize("scarce", ["no pipe", "no process", "a small pipe"])
def test_where_the_system_gives_little_this_process_does_it(scarce: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    if scarce == "a small pipe":
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:12] if len(data) == 4 * 30 else data))
    else:
        monkeypatch.setattr(*((os, "pipe") if scarce == "no pipe" else (crew, "Copied")), refuse)
    team = Crew(30, lambda number: b"found" if number == 29 else b"", prepare=lambda: None, keep=(), copies=2)
    assert team.first() == (29, b"found")
    team.end()


def test_what_goes_wrong_in_a_job_goes_wrong_here_too(diary: Diary) -> None:
    def do(number: int) -> bytes:
        if number == 3:
            raise RrdbgError("job 3")
        return b""

    with pytest.raises(RrdbgError, match="job 3"):
        first(6, do, diary)


def test_copies_end_with_the_crew_and_with_this_process(diary: Diary) -> None:
    first(5, lambda number: b"", diary)
    for pid in diary.others():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    # a process that dies leaves none behind: they see that nobody waits for them
    child = os.fork()
    if not child:
        stop = os.getpid()

        def do(number: int) -> bytes:
            diary.note(number)
            while os.getpid() != stop or not diary.others() - {stop} - before:
                team.look()
            os.kill(stop, signal.SIGKILL)
            return b""

        before = diary.others()
        team = Crew(4, do, prepare=lambda: None, keep=(diary.fd,), copies=2)
        team.first()
    before = diary.others() | {child}
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = diary.others() - before
    assert left
    while any(is_alive(pid) for pid in left):
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return whether there is such a process that is not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_user_says_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(40)))
    sizes = []
    for asked in ("1", "5", "0", "", "many"):
        monkeypatch.setenv(PROCESSES, asked)
        sizes.append(crew_size())
    assert sizes == [1, 5, 1, crew.MOST, crew.MOST]


# ---- replays --------------------------------------------------------------------------------------------------------
@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the numbers of the jobs which copies have done. The first own job waits for them."""
    done: list[int] = []
    note, do = Crew._note, Crew._try

    def noted(self: Crew, number: int, answer: bytes) -> None:
        if self._at != number:
            done.append(number)
        note(self, number, answer)

    def tried(self: Crew, number: int) -> None:
        before = len(done)
        while self._copies and len(done) == before and self._count > 1:
            self._listen()
            if not any(is_alive(copy.pid) for copy in self._copies):
                break
        do(self, number)

    monkeypatch.setattr(Crew, "_note", noted)
    monkeypatch.setattr(Crew, "_try", tried)
    return done


def random_watch(rng: random.Random, replayer: Replayer) -> MemoryWatch:
    epoch = rng.choice(replayer.trace.epochs)
    page = int(rng.choice(epoch.written.tolist()))
    return MemoryWatch(0x8000_0000 + page * 4096 + 8 * rng.randrange(512), 8, False, rng.random() < 0.3, True)


def test_a_shared_search_finds_what_one_alone_finds(
    heap_trace: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    found = []
    with Trace.open(heap_trace) as one, Trace.open(heap_trace) as two:
        alone, together = Replayer(one), Replayer(two)
        for number in range(12):
            alone.seek(rng.randrange(alone.end))
            pc = int(alone.machine.core.hart[L.PC])
            targets = Targets((pc,)) if number % 2 == 0 else Targets(watches=(random_watch(rng, alone),))
            lo, hi = sorted(rng.sample(range(alone.end), 2)) if number else (0, alone.end)
            monkeypatch.setenv(PROCESSES, "1")
            expected = alone.last_hit(lo, hi, targets)
            monkeypatch.setenv(PROCESSES, "3")
            assert together.last_hit(lo, hi, targets) == expected
            assert together.passed == []
            found.append(expected)
    assert any(step is not None for step in found)
    assert shared


def test_a_shared_search_is_cancelled_and_the_replayer_goes_on(
    heap_trace: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrdbg_core.replay.replayer.POLL_S", 0.0)

    class Enough(Exception):
        pass

    def cancel(icount: int) -> None:
        raise Enough

    with Trace.open(heap_trace) as trace:
        replayer = Replayer(trace)
        replayer.seek(replayer.end)
        replayer.poll = cancel
        with pytest.raises(Enough):
            replayer.share(60, lambda number: replayer.seek(number * 500_000 + 1000) or b"", 1)
        replayer.poll = lambda icount: None
        replayer.seek(1000)
        assert replayer.icount == 1000


def test_a_shared_verification_says_the_same(heap_trace: Path, shared: list[int]) -> None:
    with Trace.open(heap_trace) as trace:
        report = verify(trace)
        assert (report.ok, report.steps) == (True, trace.end_icount)
        assert report.checks == len(trace.checks)
        assert report.digests == len(trace.digests)
        assert report.snapshots == len(trace.snapshots)
        assert len(trace.snapshots) > 1
    assert shared


def flip_word(which: int) -> dict[str, Callable[..., object]]:
    def change(words: Words) -> Words:
        words[which] ^= np.uint64(1)
        return words

    return {"checks": change}


def flip_page(snapshot: int) -> dict[str, Callable[..., object]]:
    def change(number: int, pages: npt.NDArray[np.uint32], content: npt.NDArray[np.uint8]) -> None:
        if number == snapshot:
            content[0, 100] ^= 1

    return {"pages": change}


FAULTS = {
    "early": flip_word(1),
    "in the middle": flip_word(260),
    "last": flip_word(-1),
    "first snapshot": flip_page(0),
    "second snapshot": flip_page(1),
    "digest": {"digest": lambda icount, digest: digest if icount < 30_000_000 else bytes(16)},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_shared_verification_finds_a_fault_in_its_place(
    fault: str, heap_trace: Path, tmp_path: Path, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(heap_trace, tmp_path / "a.rrt", **FAULTS[fault])  # type: ignore[arg-type]
    reports = []
    for processes in ("3", "1"):
        monkeypatch.setenv(PROCESSES, processes)
        with Trace.open(tmp_path / "a.rrt") as trace:
            report = verify(trace)
        reports.append((report.ok, report.kind, report.icount, report.stretch, report.text, report.snapshots))
    assert reports[0] == reports[1]
    assert not reports[0][0]
