"""The process that compiles regions: what it does, and that nothing it does or suffers reaches the guest."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rrdbg_core.cpu.regions import client, link, spare
from rrdbg_core.cpu.regions.client import Client
from rrdbg_core.cpu.regions.link import Result, Stats
from rrdbg_core.cpu.regions.store import key

from tests.cpu import region_compiler as compiler
from tests.cpu.region_compiler import GOOD, plan_at

COMPILER = (sys.executable, "-m", "tests.cpu.region_compiler")
FAKE = (sys.executable, "-m", "tests.cpu.region_fake")
PATIENCE_S = 60.0
"""Longer than anything here takes; only a hang meets it."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every test begin without regions, and restart without pauses."""
    monkeypatch.setenv("RRDBG_CACHE", str(tmp_path))
    monkeypatch.setattr(link, "PAUSE_S", 0.0)
    key.cache_clear()  # somebody may be working on the sources
    return tmp_path / "regions"


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """See that no thread, process or open file is left but for those of tests before, which may end meanwhile."""
    gc.collect()  # guests of other tests that nobody can reach any more hold some
    spare.drop()
    others = set(threading.enumerate())

    def threads() -> set[str]:
        return {thread.name for thread in set(threading.enumerate()) - others if thread.name.startswith("regions")}

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    before, had = open_files(), children()
    yield
    await_true(lambda: not threads())
    assert open_files() <= before
    assert children() <= had
    if hasattr(os, "waitpid") and not had:
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


def children() -> set[int]:
    """Return the processes that this one has started, those included that ended and were not waited for."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split()}


def await_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def page(address: int) -> bytes:
    """Return the content of a page: different everywhere."""
    return b"".join(struct.pack("<Q", address + at) for at in range(0, 4096, 8))


def pcs(*values: int) -> bytes:
    return struct.pack(f"={len(values)}Q", *values)


def drive(
    regions: Client, *samples: int, until: Callable[[Stats, list[Result]], bool], repeat: bool = False
) -> list[Result]:
    """Be the machine: send samples, answer what is wanted, and collect what comes until it is enough.

    Args:
        repeat: Send the samples again all the time, as a guest in a loop does.
    """
    results: list[Result] = []
    end = time.monotonic() + PATIENCE_S
    regions.send_samples(pcs(*samples))
    while True:
        regions.send_pages({address: page(address) for address in regions.wanted()})
        results += regions.take()
        if until(regions.stats, results):
            return results
        assert time.monotonic() < end, regions.stats
        regions.wait(0.02 if repeat else 1.0)
        if repeat:
            regions.send_samples(pcs(*samples))


def compiled(count: int) -> Callable[[Stats, list[Result]], bool]:
    return lambda stats, _: stats.compiled + stats.stored + stats.refused >= count


def entries(results: list[Result]) -> list[int]:
    return sorted(plan.entries[0] for result in results for plan in result.plans)


def run_code(result: Result) -> list[int]:
    """Load object code, and return what each of its functions returns."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine(jit=True)
    )
    engine.add_object_file(llvm.ObjectFileRef.from_data(result.code))
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_uint64)
    return [function(engine.get_function_address(compiler.name_of(plan)))() for plan in result.plans]


# ---- it works --------------------------------------------------------------------------------------------------------
def test_samples_become_code() -> None:
    wanted = [GOOD + 0x1000 * n + 8 * n for n in range(20)]
    with Client(b"p", command=COMPILER) as regions:
        results = drive(regions, *wanted, until=compiled(20))
        assert entries(results) == wanted
        assert len(results) < 20  # several at once
        for result in results:
            assert not result.stored
            assert run_code(result) == [plan.entries[0] for plan in result.plans]
            for plan in result.plans:
                assert plan == plan_at(plan.entries[0], page(plan.entries[0] & ~0xFFF))
        assert regions.stats.starts == 1
        assert regions.stats.cpu_ns > 0
        assert regions.take() == []


def test_the_next_run_starts_with_its_regions(cache: Path) -> None:
    with Client(b"p", command=COMPILER) as regions:
        first = drive(regions, GOOD, GOOD + 8, until=compiled(2))
        # the helper writes after it has told; its next answer comes after that
        drive(regions, GOOD + 16, until=compiled(3))
    with Client(b"p", command=("/does/not/exist",)) as regions:
        assert regions.wait_stored(PATIENCE_S)
        stored = regions.take()
        assert [(result.plans, result.code) for result in stored[: len(first)]] == [(r.plans, r.code) for r in first]
        assert all(result.stored for result in stored)
        assert regions.stats.stored >= 2
        assert regions.stats.starts == 0
    for other in (Client(b"q"), Client(), Client(b"p", store=False)):
        with other as regions:
            assert regions.wait_stored(PATIENCE_S)
            assert regions.take() == []
    assert len(list(cache.iterdir())) == 1


def test_what_is_on_disk_is_not_compiled_again() -> None:
    with Client(b"p", command=COMPILER) as regions:
        first = drive(regions, GOOD, until=compiled(1))
        regions.forget([result.plans[0] for result in first], changed=False)
        again = drive(regions, GOOD, until=compiled(2), repeat=True)
    assert [(result.plans, result.code) for result in again] == [(result.plans, result.code) for result in first]
    assert [result.stored for result in again] == [True]


def test_the_compiler_hears_of_what_is_on_disk() -> None:
    """Or it would plan it once more, perhaps otherwise."""
    with Client(b"p", command=COMPILER) as regions:
        drive(regions, GOOD, until=compiled(1))
        drive(regions, GOOD + 8, until=compiled(2))
    with Client(b"p", command=COMPILER) as regions:
        assert regions.wait_stored(PATIENCE_S)
        known = entries(regions.take())
        assert GOOD in known
        assert entries(drive(regions, GOOD, GOOD + 64, until=compiled(len(known) + 1))) == [GOOD + 64]


def test_code_that_has_changed_is_asked_for_and_compiled_again() -> None:
    with Client(b"p", command=COMPILER) as regions:
        [first] = drive(regions, GOOD, until=compiled(1))
        regions.forget(first.plans)
        regions.send_samples(pcs(GOOD))
        assert regions.wait(PATIENCE_S)
        assert regions.wanted() == [GOOD]
        regions.send_pages({GOOD: bytes(4096)})
        [second] = drive(regions, GOOD, until=compiled(2))
    assert second.plans == (plan_at(GOOD, bytes(4096)),)


def test_a_page_is_asked_for_once() -> None:
    with Client(b"p", command=COMPILER) as regions:
        regions.send_samples(pcs(GOOD, GOOD + 8, GOOD + 0x1000))
        assert regions.wait(PATIENCE_S)
        assert sorted(regions.wanted()) == [GOOD, GOOD + 0x1000]
        regions.send_pages({GOOD: page(GOOD)})  # the other cannot be had
        assert entries(drive(regions, GOOD, until=compiled(2))) == [GOOD, GOOD + 8]
        assert regions.wanted() == []


def test_pages_that_were_asked_for_are_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "UNASKED_WAITING", 0)
    wanted = [GOOD + 0x1000 * n for n in range(400)]
    with Client(command=COMPILER) as regions:
        regions.send_samples(pcs(*wanted))
        missing: set[int] = set()
        while len(missing) < 400:
            assert regions.wait(PATIENCE_S)
            missing.update(regions.wanted())
        for address in sorted(missing):
            for _ in range(5):
                regions.send_samples(pcs(GOOD) * 50)
            regions.send_pages({address: page(address), 0x7000: page(0)})
        drive(regions, until=compiled(400))
        assert regions.stats.dropped > 0


def test_what_is_no_page_is_not_sent() -> None:
    with Client(command=COMPILER) as regions:
        regions.send_samples(pcs(GOOD))
        assert regions.wait(PATIENCE_S)
        assert regions.wanted() == [GOOD]
        regions.send_pages({GOOD: bytes(4095)})
        regions.send_pages({GOOD: page(GOOD)})
        drive(regions, until=compiled(1))
        assert regions.stats.starts == 1


def test_more_than_fits_into_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SAMPLES_BYTES", 16)
    with Client(command=COMPILER) as regions:
        assert entries(drive(regions, GOOD, GOOD + 8, GOOD + 16, until=compiled(2))) == [GOOD + 8, GOOD + 16]
        many = [plan_at(GOOD + 8 * n, page(GOOD)) for n in range(3 * client.FORGOTTEN_AT_ONCE)]
        regions.forget([*many, plan_at(GOOD + 8, page(GOOD))], changed=False)
        assert entries(drive(regions, GOOD + 8, GOOD + 24, until=compiled(4))) == [GOOD + 8, GOOD + 24]
        assert regions.stats.starts == 1


def test_two_machines_with_the_same_program() -> None:
    with Client(b"p", command=COMPILER) as one, Client(b"p", command=COMPILER) as other:
        assert entries(drive(one, GOOD, until=compiled(1))) == [GOOD]
        assert entries(drive(other, GOOD, GOOD + 8, until=compiled(2))) == [GOOD, GOOD + 8]
        drive(one, GOOD + 16, until=compiled(2))
        drive(other, GOOD + 24, until=compiled(3))
    with Client(b"p") as regions:
        assert regions.wait_stored(PATIENCE_S)
        stored = entries(regions.take())
        assert set(stored) >= {GOOD, GOOD + 8}
        assert len(stored) == len(set(stored))


# ---- plans that cannot be compiled -----------------------------------------------------------------------------------
BAD = {
    "raises": (compiler.RAISES, 0, True),
    "aborts": (compiler.ABORTS, 2, True),
    "killed": (compiler.KILLED, 2, False),
    "hangs": (compiler.HANGS, 2, False),
}
"""Name to page, deaths of the compiler, whether it is known in the next run."""


@pytest.mark.parametrize("name", BAD)
def test_a_plan_that_harms_the_compiler_is_not_tried_again(name: str) -> None:
    bad, deaths, known = BAD[name]
    command = (*COMPILER, "COMPILE_SECONDS=1") if name == "hangs" else COMPILER
    wanted = [GOOD, bad, GOOD + 8, GOOD + 0x1000]
    with Client(b"p", command=command) as regions:
        results = drive(regions, *wanted, until=lambda stats, _: stats.compiled >= 3 and stats.refused > 0, repeat=True)
        assert {plan.entries[0] for result in results for plan in result.plans} == {GOOD, GOOD + 8, GOOD + 0x1000}
        assert regions.stats.starts == deaths + 1
        for _ in range(3):
            before = regions.stats.compiled
            drive(regions, bad, GOOD + 0x2000 + 8 * before, until=lambda stats, _, n=before: stats.compiled > n)
        assert regions.stats.starts == deaths + 1
        assert not regions.given_up
    with Client(b"p", command=command) as regions:
        assert regions.wait_stored(PATIENCE_S)
        assert regions.stats.refused == known
        assert regions.take() != []
        if known:
            drive(regions, bad, GOOD + 0x4000, until=lambda stats, _: stats.compiled == 1)
            assert regions.stats.starts == 1


def test_what_goes_wrong_can_be_read(tmp_path: Path) -> None:
    with (tmp_path / "talk").open("w+") as talk:
        with Client(command=COMPILER, stderr=talk.fileno()) as regions:
            drive(regions, compiler.RAISES, until=compiled(1))
        talk.seek(0)
        assert "KeyError: 'no such instruction'" in talk.read()


def test_a_compiler_that_talks_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with Client(command=COMPILER) as regions:
        assert entries(drive(regions, compiler.TALKS, until=compiled(1))) == [compiler.TALKS]
        assert regions.stats.starts == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="no signals on this system")
def test_which_deaths_are_a_plans_own_fault() -> None:
    for code, own in (
        (-signal.SIGSEGV, True),
        (-signal.SIGABRT, True),
        (-signal.SIGKILL, False),
        (1, False),
        (0, False),
    ):
        assert link._crashed(code) is own


# ---- deaths ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("at", range(14))
def test_a_compiler_that_dies_at_any_message(at: int, tmp_path: Path) -> None:
    """It dies once, before or after it takes or sends its nth message; the next one compiles everything."""
    marker = tmp_path / "died"
    command = (*FAKE, "dies", str(at), "killed" if at // 2 % 2 else "exits", str(marker))
    with Client(b"p", command=command) as regions:
        wanted = {GOOD, GOOD + 8, GOOD + 0x1000}
        drive(
            regions,
            *wanted,
            until=lambda _, results: marker.exists() and wanted <= set(entries(results)) and regions.stats.starts == 2,
            repeat=True,
        )
        assert not regions.given_up
        assert regions.stats.refused == 0


@pytest.mark.parametrize(
    "kind", ["garbage", "zeros", "huge", "key", "kind", "damaged", "pages", "half", "none", "ours"]
)
def test_a_compiler_that_is_mad(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that it says is believed, and it is not started for ever."""
    monkeypatch.setattr(link, "STARTS", 2)
    with Client(b"p", command=(*FAKE, "mad", kind)) as regions:
        results = drive(regions, GOOD, until=lambda *_: regions.given_up, repeat=True)
        assert results == []
        assert regions.wanted() == []
        assert regions.stats.starts == link.STARTS
        regions.send_samples(pcs(GOOD))
        regions.send_pages({GOOD: page(GOOD)})
        regions.forget([plan_at(GOOD, page(GOOD))])


def test_a_compiler_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (("/does/not/exist",), ("/",), (sys.executable, "-c", "raise SystemExit(3)"), ("a\0b",)):
        with Client(b"p", command=command) as regions:
            assert drive(regions, GOOD, until=lambda *_, r=regions: r.given_up, repeat=True) == []
            assert regions.stats.starts == link.STARTS

    def full(*_: Any, **__: Any) -> None:
        raise OSError(24, "Too many open files")

    with Client(b"p", command=COMPILER) as regions:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", full)
            drive(regions, GOOD, until=lambda stats, _: stats.starts == 2, repeat=True)
        assert not regions.given_up
        assert entries(drive(regions, GOOD, until=compiled(1), repeat=True)) == [GOOD]


def test_no_file_descriptors_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system itself tells it."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Client(b"p", command=COMPILER) as regions:
        assert regions.wait_stored(PATIENCE_S)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 1, hard))
        try:
            drive(regions, GOOD, until=lambda stats, _: stats.starts == 2, repeat=True)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert entries(drive(regions, GOOD, until=compiled(1), repeat=True)) == [GOOD]


@pytest.mark.parametrize("failing", [1, 2])
def test_no_more_threads(monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    start, count = threading.Thread.start, [0]

    def refuse(thread: threading.Thread) -> None:
        count[0] += 1
        if count[0] == failing:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Client(b"p", command=COMPILER) as regions:
        assert drive(regions, GOOD, until=lambda *_: regions.given_up, repeat=True) == []


def test_starts_are_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PAUSE_S", 1000.0)
    with Client(b"p", command=("/does/not/exist",)) as regions:
        drive(regions, GOOD, until=lambda stats, _: stats.starts == 1)
        for _ in range(100):
            regions.send_samples(pcs(GOOD))
        regions.wait(0.1)
        assert regions.stats.starts == 1


def test_sources_that_change_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler that is started then is of another version: its code is not taken."""
    monkeypatch.setattr(link, "key", lambda: b"of other sources")
    monkeypatch.setattr(link, "STARTS", 2)
    with Client(b"p", command=COMPILER) as regions:
        assert drive(regions, GOOD, until=lambda *_: regions.given_up, repeat=True) == []


# ---- one that hangs, and the end -------------------------------------------------------------------------------------
def pid_of(regions: Client) -> int:
    process = regions._link._process
    assert process is not None
    return process.pid


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no stopped processes on this system")
def test_a_stopped_compiler_is_not_waited_for() -> None:
    regions = Client(b"p", command=COMPILER)
    drive(regions, GOOD, until=compiled(1))
    os.kill(pid_of(regions), signal.SIGSTOP)
    many = pcs(*range(GOOD, GOOD + 8 * 4096, 8))
    for _ in range(200):
        regions.send_samples(many)
    regions.send_pages({GOOD: page(GOOD)})
    regions.forget([plan_at(GOOD, page(GOOD))])
    assert regions.stats.dropped >= 200 - link.NEWS_WAITING - 2
    assert regions.take() == []
    regions.close()


def test_too_much_that_must_not_be_dropped_ends_it() -> None:
    with Client(b"p", command=(*FAKE, "mad", "deaf")) as regions:
        plan = plan_at(GOOD, page(GOOD))
        regions.send_samples(pcs(GOOD))
        end = time.monotonic() + PATIENCE_S
        while regions.stats.starts < 2:
            assert time.monotonic() < end
            regions.forget([plan] * 20)
            regions.send_samples(pcs(GOOD))


@pytest.mark.parametrize("at", ["begin", "start", "samples", "compile", "result"])
def test_a_client_that_is_closed_at_any_time(at: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RRDBG_TEST_GATE", str(tmp_path / "gate"))
    regions = Client(b"p", command=COMPILER)
    if at != "begin":
        regions.send_samples(pcs(compiler.SLOW if at == "compile" else GOOD))
    if at in ("samples", "compile"):
        assert regions.wait(PATIENCE_S)
        regions.send_pages({address: page(address) for address in regions.wanted()})
    if at == "compile":
        await_true(lambda: bool(regions._link._trying))
    if at == "result":
        drive(regions, GOOD, until=compiled(1))
    for _ in range(2):
        regions.close()
    assert not regions.wait(PATIENCE_S)
    regions.send_samples(pcs(GOOD))
    assert regions.take() == regions.wanted() == []


def test_a_client_that_is_forgotten() -> None:
    regions = Client(b"p", command=COMPILER)
    drive(regions, GOOD, until=compiled(1))
    del regions
    gc.collect()  # the fixture waits for the threads, and these for the process


def test_results_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "RESULTS_BYTES", 3000)
    with Client(command=COMPILER) as regions:
        regions.send_samples(pcs(*range(GOOD, GOOD + 8 * 100, 8)))
        assert regions.wait(PATIENCE_S)
        regions.send_pages({address: page(address) for address in regions.wanted()})
        await_true(lambda: regions.stats.compiled == 100)
        assert 0 < sum(len(result.code) for result in regions.take()) <= 3000


def has_ended(pid: int) -> bool:
    """Return whether a process has; one that nobody waits for is a zombie until init has looked at it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


PARENT = """
import os, sys, time
from tests.cpu.test_region_helper import *
regions = Client(b"p", command=(*COMPILER, "LOOK_S=0.05", "COMPILE_SECONDS=1000"))
drive(regions, int(sys.argv[1]), until=lambda stats, _: stats.compiled or regions._link._trying)
if sys.argv[2] == "copied" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(pid_of(regions), flush=True)
if sys.argv[2] == "returns":
    sys.exit()
if sys.argv[2] == "raises":
    raise KeyError
time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("how", "pc"),
    [
        ("killed", GOOD),
        ("killed", compiler.SLOW),
        ("returns", compiler.SLOW),
        ("raises", GOOD),
        pytest.param(
            "copied", GOOD, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no copies of processes")
        ),
    ],
)
def test_it_ends_with_its_parent(how: str, pc: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However that dies, in the middle of a compilation too, and if copies of the parent keep the pipe open."""
    monkeypatch.setenv("RRDBG_TEST_GATE", str(tmp_path / "gate"))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(pc), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    if how in ("killed", "copied"):
        parent.kill()
    parent.wait(PATIENCE_S)

    await_true(lambda: has_ended(pid))
    parent.communicate()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no copies of processes on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_copy_of_the_process_leaves_the_compiler_alone() -> None:
    with Client(b"p", command=COMPILER) as regions:
        drive(regions, GOOD, until=compiled(1))
        child = os.fork()
        if child == 0:
            regions.send_samples(pcs(GOOD + 8))
            regions.send_pages({GOOD: page(GOOD)})
            regions.close()
            os._exit(0 if regions.take() == [] else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert entries(drive(regions, GOOD + 8, until=compiled(2))) == [GOOD + 8]
        assert regions.stats.starts == 1


# ---- switches, costs -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "on"), [(None, True), ("", True), ("1", True), ("0", False), ("Off", False)])
def test_the_switch(value: str | None, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(client.SWITCH, raising=False)
    if value is not None:
        monkeypatch.setenv(client.SWITCH, value)
    assert client.enabled() is on


def modules_of(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_what_is_imported() -> None:
    """The machine's side costs nothing; the compiler's process starts without what takes long to load."""
    assert not modules_of("import rrdbg_core.cpu.regions.client") & {"llvmlite", "numpy", "numba", "pydantic"}
    code = "import rrdbg_core.cpu.regions.helper, rrdbg_core.cpu.regions.form, rrdbg_core.cpu.regions.compile"
    loaded = modules_of(code)
    assert "xxhash" in loaded
    assert not loaded & {"numpy", "numba", "tempfile", "traceback"}


def test_the_fake_can_be_believed() -> None:
    """With the right salt the result of `mad ours` counts: what is refused above is refused for its salt."""
    with Client(b"p", command=(*FAKE, "mad", "right")) as regions:
        [result] = drive(regions, GOOD, until=compiled(1))
        assert result.code == b"object code"
