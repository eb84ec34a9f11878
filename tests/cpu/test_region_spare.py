"""A compiler that waits for a guest, and what it and the running machine tell each other when they are quick."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rrdbg_core.cpu.regions import client, spare
from rrdbg_core.cpu.regions.client import Client
from rrdbg_core.cpu.regions.link import Result
from rrdbg_core.cpu.regions.store import Store

from tests.cpu import test_region_helper
from tests.cpu.guest import asm
from tests.cpu.region_compiler import GOOD
from tests.cpu.test_region_helper import (
    COMPILER,
    PATIENCE_S,
    await_true,
    compiled,
    drive,
    entries,
    has_ended,
    page,
    pcs,
    pid_of,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
cache, nothing_stays = test_region_helper.cache, test_region_helper.nothing_stays


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let a compiler wait, and return its process."""
    monkeypatch.delenv(client.SWITCH, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(spare, "possible", lambda own: True)  # whatever threads earlier tests have left
    client.prepare()
    assert spare.waits()
    yield spare._waiting[0][1].pid
    spare.drop()


def test_one_that_waits_compiles(waiting: int) -> None:
    client.prepare()
    assert spare._waiting[0][1].pid == waiting  # one is enough
    loop = b"".join(word.to_bytes(4, "little") for word in (asm("addi", rd=1, rs1=1, imm=1), asm("jal", imm=-4)))
    with Client(b"p") as regions:
        assert regions.ready
        await_true(lambda: regions._link._process is not None)
        assert pid_of(regions) == waiting
        assert not spare.waits()
        window = [*[GOOD, GOOD + 4] * 32, 0]
        results: list[Result] = []

        def driven() -> bool:
            regions.send_samples(pcs(*window * 32))
            regions.wait(0.1)
            regions.send_pages({address: loop.ljust(4096, b"\0") for address in regions.wanted()})
            results.extend(regions.take())
            return bool(results)

        await_true(driven)
        assert results[0].plans[0].blocks[0].code in (loop, loop[:4])
        assert regions.stats.starts == 1


def test_who_has_a_compiler_of_his_own_leaves_it(waiting: int) -> None:
    with Client(b"p", command=COMPILER) as regions:
        assert not regions.ready
        drive(regions, GOOD, until=compiled(1))
        assert pid_of(regions) != waiting
    assert spare.waits()


def test_one_that_died_while_it_waited(waiting: int) -> None:
    os.kill(waiting, signal.SIGKILL)
    await_true(lambda: not spare._waiting[0][1].alive())
    assert spare.take() is None
    assert not spare.waits()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_copy_of_the_process_has_none(waiting: int) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if spare.take() is None and not spare.waits() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert spare.waits()


def test_one_that_waits_ends_with_its_parent() -> None:
    code = "from rrdbg_core.cpu.regions import client, spare; client.prepare(); print(spare._waiting[0][1].pid)"
    code = f"import os; os.cpu_count = lambda: 2; {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    await_true(lambda: has_ended(int(done.stdout)))


@pytest.mark.parametrize(("value", "cores"), [("0", 2), (None, 1)])
def test_none_waits_where_none_is_wanted(value: str | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(client.SWITCH, raising=False)
    if value is not None:
        monkeypatch.setenv(client.SWITCH, value)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    client.prepare()
    assert not spare.waits()


def test_none_waits_where_the_regions_are_on_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(client.SWITCH, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(spare, "possible", lambda own: True)
    path = Store(b"p")._path
    assert path is not None
    assert path.parent == cache
    path.write_bytes(b"")
    client.prepare(b"p")
    assert not spare.waits()
    path.unlink()
    client.prepare(b"p")
    assert spare.waits()
    spare.drop()


def test_the_bell_rings_when_something_comes() -> None:
    rung = threading.Event()
    with Client(b"p", command=COMPILER, bell=rung.set) as regions:
        regions.send_samples(pcs(GOOD))
        assert rung.wait(PATIENCE_S)
        assert regions.wanted() == [GOOD]
        rung.clear()
        regions.send_pages({GOOD: page(GOOD)})
        assert rung.wait(PATIENCE_S)
        assert entries(regions.take()) == [GOOD]


def test_places_of_misses_reach_the_former() -> None:
    with Client(b"p", command=COMPILER) as regions:
        regions.send_misses([GOOD + 16, GOOD + 32])
        results = drive(regions, until=compiled(2))
        assert entries(results) == [GOOD + 16, GOOD + 32]
