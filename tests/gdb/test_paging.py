"""Stock gdb on a kernel and its processes, behind page tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.gdb.interrupts import Here, Stepper
from rrdbg.session.api import Session
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.test_stub import Talk
from tests.guests.manifest import elf
from tests.session.traces import make_trace

USER, SHARED, LAZY = 0x4000_0000, 0x4002_0000, 0x4003_0000


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paging") / "paging.rrt"
    make_trace(elf("tiny/paging").read_bytes(), path, privilege="msu", isa="rv64gc", ram_bytes=1 << 20)
    return path


@pytest.fixture
def session(trace: Path) -> Iterator[Session]:
    with rrdbg.open(trace) as opened:
        yield opened


def work_of(session: Session) -> int:
    return USER + session.lookup("work").address - session.lookup("__start_user_text").address


@needs_gdb
def test_stock_gdb(trace: Path) -> None:
    with rrdbg.open(trace) as session:
        work = work_of(session)
    with Gdb(trace) as gdb:
        gdb.ask("break page_fault", "continue")
        frames = gdb.ask("backtrace")[0].splitlines()
        assert frames[0].startswith("#0  page_fault (address=1073938440)")
        assert " in kernel () " in frames[1]
        assert " in s_trap () " in f"{frames[2]} "
        shown = gdb.ask("print/d $priv", "print/x $stval", "print/x (unsigned long) $satp >> 60")
        assert [answer.partition("= ")[2] for answer in shown] == ["1", f"{LAZY + 8:#x}", "0x8"]
        assert f"Cannot access memory at address {LAZY:#x}" in gdb.ask(f"x/gx {LAZY:#x}")[0]
        first = gdb.icount
        gdb.ask("finish")
        # user code, by its virtual address; then forwards and backwards through both processes' calls
        gdb.ask("delete", f"break *{work:#x}", "monitor goto start")
        stops = []
        for _ in range(6):
            gdb.ask("continue")
            stops.append((gdb.icount, gdb.ask("print/x $satp & 0xfffffffffff")[0].partition("= ")[2]))
        assert len({root for _, root in stops}) == 2
        assert stops[0][0] < first
        gdb.ask("reverse-continue")
        assert gdb.icount == stops[4][0]
        # what is watched is the memory, whoever writes there
        gdb.ask("delete", f"watch *(unsigned long *) {SHARED + 16:#x}")
        values = [gdb.ask("continue")[0], gdb.ask("reverse-continue")[0], gdb.ask("reverse-continue")[0]]
        assert [value.partition("New value = ")[2].split()[0] for value in values] == ["5", "4", "3"]


def test_packets(session: Session) -> None:
    session.add_break(work_of(session))
    session.continue_()
    session.delete_point()
    talk = Talk(session)
    place = physical(session)
    session.goto("end")
    six = b"0600000000000000"
    assert talk(f"m{SHARED:x},8") == six
    assert talk("qqemu.PhyMemMode") == b"0"
    assert talk(f"m{LAZY + 0x1000:x},8").startswith(b"E")
    assert talk("Qqemu.PhyMemMode:1") == b"OK"
    assert talk("qqemu.PhyMemMode") == b"1"
    assert talk(f"m{place:x},8") == six
    assert talk(f"m{SHARED:x},8").startswith(b"E")
    assert talk("Qqemu.PhyMemMode:0") == b"OK"
    assert talk(f"m{SHARED:x},8") == six
    # what is not mapped cannot be watched
    assert talk(f"Z2,{LAZY + 0x1000:x},8").startswith(b"E")
    names = {row.name for row in session.registers(["csr"])}
    target = talk("qXfer:features:read:target.xml:0,ffff").decode()
    for name in ("satp", "sepc", "scause", "stval", "stvec", "sscratch", "sstatus", "priv"):
        assert f'name="{name}"' in target
        assert name in names or name == "priv"


def physical(session: Session) -> int:
    """Return where the shared page lies, by hand."""
    at = (session.evaluate("$satp") & (1 << 44) - 1) << 12
    for level in (2, 1, 0):
        data = session.read_memory(at + 8 * (SHARED >> 12 + 9 * level & 511), 8, physical=True).data
        at = (int.from_bytes(data, "little") >> 10) << 12
    return at


def test_a_point_stays_where_it_was_set(session: Session) -> None:
    """gdb lifts its points at each stop, and steps off a breakpoint without them."""
    work = work_of(session)
    session.add_break(work)
    session.continue_()
    session.delete_point()
    home = session.evaluate("$satp")
    session.goto("+1")
    talk = Talk(session)
    place = f"{work:x},2"
    found = []
    for _ in range(3):
        talk(f"Z0,{place}")
        reply = talk("c")
        if b"replaylog" in reply or not reply.startswith(b"T05"):
            break
        talk(f"z0,{place}")
        if session.pc != work:
            break
        found.append(session.evaluate("$satp"))
        # off the breakpoint, and into the kernel or the other process by a step that lasts
        talk("s")
    assert found == [home, home]


def test_steps_back_over_traps_of_s_mode(session: Session) -> None:
    """A step back from behind a system call goes into the handler's end, as on a machine without S mode."""
    session.add_catch("ecall-u")
    stop = session.continue_()
    session.delete_point()
    here = Here(session)
    assert here.has_s_mode
    assert (here["priv"], here["scause"], here["sepc"]) == (1, 8, session.evaluate("$sepc"))
    stepper = Stepper(session, here)
    assert stepper.step_back().when.icount == stop.when.icount - 1
    assert stepper.step().when.icount == stop.when.icount
