"""Debugging a kernel and two processes at the same addresses: what a user asks, and what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rrdbg_core.cpu import layout as L

import rrdbg
from rrdbg.commands.interpreter import Interpreter
from rrdbg.export import jsonl, text
from rrdbg.session.api import NotFound, PointKind, Session, StopReason
from rrdbg.session.errors import Unreadable, UsageError
from tests.guests.manifest import elf

from .traces import make_trace

USER, STACK, SHARED, LAZY = 0x4000_0000, 0x4001_0000, 0x4002_0000, 0x4003_0000


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paging") / "paging.rrt"
    make_trace(elf("tiny/paging").read_bytes(), path, privilege="msu", isa="rv64gc", ram_bytes=1 << 20)
    return path


@pytest.fixture
def session(trace: Path) -> Iterator[Session]:
    with rrdbg.open(trace) as opened:
        yield opened


def user(session: Session, name: str) -> int:
    """Return where a process sees a function."""
    return USER + session.lookup(name).address - session.lookup("__start_user_text").address


def process(session: Session) -> int:
    """Return which process runs, by the ASID."""
    return (session.evaluate("$satp") >> 44 & 0xFFFF) - 1


@pytest.fixture(scope="module")
def calls(trace: Path) -> list[tuple[int, int]]:
    """Position and process of every call of `work`, by a list of all steps."""
    found = []
    with rrdbg.open(trace) as session:
        work = user(session, "work")
        for row in session.iter_steps(0, session.end):
            if row.pc == work and not row.trap:
                session.goto(row.icount)
                found.append((row.icount, process(session)))
    return found


def test_a_breakpoint_belongs_to_the_process_it_is_set_in(session: Session, calls: list[tuple[int, int]]) -> None:
    assert [who for _, who in calls] == [0, 1, 0, 1, 0, 1]
    for position, who in calls[:2]:
        session.goto(position)
        point = session.add_break("*$pc")
        assert point.space & (1 << 44) - 1 == session.evaluate("$satp") & (1 << 44) - 1
        mine = [at for at, other in calls if other == who]
        session.goto("start")
        stops = [session.continue_().when.icount for _ in mine]
        assert stops == mine
        assert session.continue_().reason is StopReason.END
        assert [session.reverse_continue().when.icount for _ in mine] == mine[::-1]
        assert session.reverse_continue().reason is StopReason.START
        session.delete_point()


def test_set_before_there_is_paging_or_everywhere_it_stops_in_both(
    session: Session, calls: list[tuple[int, int]]
) -> None:
    places = [at for at, _ in calls]
    session.goto("start")
    work = user(session, "work")
    session.add_break(work)
    assert [session.continue_().when.icount for _ in places] == places
    session.delete_point()
    session.goto(places[3])
    assert session.add_break(work, everywhere=True).space == 0
    assert [session.reverse_continue().when.icount for _ in places[:3]] == places[2::-1]


def physical_work(session: Session, position: int) -> int:
    """Return where the copy of `work` lies that the process at a position has, by its page table."""
    session.goto(position)
    entry = session.read_memory(leaf_table(session) + 8 * (USER >> 12 & 511), 8, physical=True).data
    offset = user(session, "work") - USER
    assert offset < 0x1000
    return (int.from_bytes(entry, "little") >> 10 << 12) + offset


def test_a_physical_address_stops_by_whatever_address(session: Session, calls: list[tuple[int, int]]) -> None:
    """Nobody says by which: nothing is mapped yet where it is set. Both processes have their own copy of the code."""
    prompt = Interpreter(session)
    for who, (first, _) in enumerate(calls[:2]):
        place = physical_work(session, first)
        mine = [at for at, process in calls if process == who]
        session.delete_point()
        session.goto("start")
        assert session.when().priv == "M"
        said = prompt.run(f"break -p {place:#x}").text
        assert said.startswith(f"Breakpoint {who + 1} at physical address {place:#x}")
        assert "by whatever address this physical one is executed" in prompt.run("info breakpoints").text
        assert [session.continue_().when.icount for _ in mine] == mine
        assert session.continue_().reason is StopReason.END
        assert [session.reverse_continue().when.icount for _ in mine] == mine[::-1]
        assert session.reverse_continue().reason is StopReason.START
        assert session.points()[0].hits == 2 * len(mine)


def test_backwards_a_physical_address_is_found_as_well(session: Session, calls: list[tuple[int, int]]) -> None:
    """With a condition over the process's memory, and a hit to pass over."""
    place = physical_work(session, calls[0][0])
    mine = [at for at, process in calls if process == 0]
    wanted = []
    for position in mine:
        session.goto(position)
        if session.evaluate(f"*(u64*){SHARED + 16:#x}") > 1:
            wanted.append(position)
    assert 0 < len(wanted) < len(mine)
    session.goto("end")
    session.add_break(place, physical=True, condition=f"*(u64*){SHARED + 16:#x} > 1", ignore=1)
    assert [session.reverse_continue().when.icount for _ in wanted[1:]] == wanted[-2::-1]
    assert session.pc == user(session, "work")
    session.goto("start")
    session.delete_point()
    Interpreter(session).run(f"tbreak -p {place:#x}")
    assert session.continue_().when.icount == mine[0]
    assert not session.points()


def test_a_physical_address_that_is_not_executed(session: Session) -> None:
    """The processes have copies of the code: where it was copied from, it is not executed."""
    session.add_break(session.lookup("work").address, physical=True)
    assert session.continue_().reason is StopReason.END
    assert session.reverse_continue().reason is StopReason.START
    prompt = Interpreter(session)
    with pytest.raises(UsageError, match="belongs to no address space"):
        prompt.run("break -a -p 0x80000000")
    with pytest.raises(UsageError, match="needs a physical address"):
        prompt.run("break -p")


def test_code_of_the_kernel_belongs_to_no_process(session: Session, calls: list[tuple[int, int]]) -> None:
    session.add_break("page_fault")
    assert process_of_stops(session) == [0, 1]
    session.goto("start")
    session.delete_point()
    session.goto(calls[1][0])  # in U mode, with the kernel's pages mapped
    assert session.add_break("page_fault").space == 0
    session.goto("start")
    assert process_of_stops(session) == [0, 1]


def process_of_stops(session: Session) -> list[int]:
    found = []
    while session.continue_().points:
        found.append(process(session))
    return found


def test_a_watchpoint_sees_writes_by_every_name(session: Session, calls: list[tuple[int, int]]) -> None:
    session.goto(calls[0][0])
    session.add_watch(f"*(u64*){SHARED + 16:#x}")  # both processes count there
    session.goto("start")
    values = []
    while (stop := session.continue_()).points:
        values.append((stop.old, stop.new, process(session)))
    assert values == [(n, n + 1, n % 2) for n in range(6)]
    back = []
    while (stop := session.reverse_continue()).points:
        back.append((stop.old, stop.new))
    # backwards too the value was first written, then overwritten
    assert sorted(back) == [(n, n + 1) for n in range(6)]
    assert stop.reason is StopReason.START


def test_a_watchpoint_is_on_one_page_not_on_an_address(session: Session, calls: list[tuple[int, int]]) -> None:
    """The stacks of the processes have the same address."""
    session.goto(calls[1][0])
    session.add_watch(STACK - 64, length=64, kind=PointKind.AWATCH)
    session.goto("start")
    who = set()
    while session.continue_().points:
        if session.when().priv == "U":
            who.add(process(session))
    assert who == {1}


def test_the_bits_of_a_page_table_can_be_watched(session: Session, calls: list[tuple[int, int]]) -> None:
    """The hart itself sets A, and then D."""
    position = calls[0][0]
    session.goto(position)
    table = leaf_table(session)
    entry = table + 8 * (SHARED >> 12 & 511)
    session.goto("start")
    session.add_watch(entry, length=8, physical=True)
    seen = []
    while (stop := session.continue_()).points:
        seen.append((stop.old & 0xFF, stop.new & 0xFF, stop.when.priv))  # type: ignore[operator]
    plain = 1 | 2 | 4 | 16
    assert seen == [(0, plain, "S"), (plain, plain | 64, "U"), (plain | 64, plain | 64 | 128, "U")]
    there = []
    while (stop := session.reverse_continue()).points:
        there.append((stop.old & 0xFF, stop.new & 0xFF))  # type: ignore[operator]
    assert there[::-1] == [(old, new) for old, new, _ in seen]


def leaf_table(session: Session) -> int:
    """Return the last page table of the process's addresses, read by hand."""
    at = (session.evaluate("$satp") & (1 << 44) - 1) << 12
    for index in (USER >> 30 & 511, USER >> 21 & 511):
        data = session.read_memory(at + 8 * index, 8, physical=True).data
        at = (int.from_bytes(data, "little") >> 10) << 12
    return at


def test_memory_is_what_the_hart_sees(session: Session, calls: list[tuple[int, int]]) -> None:
    first, second = (at for at, _ in calls[:2])
    prompt = Interpreter(session)
    work = session.lookup("work").address
    for position in (first, second):
        session.goto(position)
        code = session.read_memory(session.pc, 16)
        assert code.data == session.read_memory(work, 16, physical=True).data
        assert [line.raw for line in session.disassemble(session.pc, 4)] == [
            line.raw for line in session.disassemble(work, 4, physical=True)
        ]
        # the kernel's memory is there in U mode as well: nobody asks who may read it
        assert session.evaluate("*(u64*)&faults") == session.evaluate("faults")
    session.goto(first)
    assert session.read_memory(LAZY - 8, 16).mapped is False
    with pytest.raises(NotFound, match=f"{LAZY:#x}: not mapped"):
        prompt.run(f"x/xg {LAZY:#x}")
    with pytest.raises(Unreadable, match="not mapped"):
        prompt.run(f"print *(int*){LAZY:#x}")
    with pytest.raises(Unreadable, match="not mapped"):
        session.add_watch(LAZY)
    session.goto("end")
    assert prompt.run(f"x/2xg {SHARED:#x}").text.endswith(f"{6:#018x}\t{6:#018x}")
    place = session.evaluate(f"*(u64*){leaf_table(session) + 8 * (SHARED >> 12 & 511):#x}") >> 10 << 12
    assert prompt.run(f"xp/2xg {place:#x}").text == f"{place:#x}:\t{6:#018x}\t{6:#018x}"
    assert prompt.run("xp").text.startswith(f"{place + 16:#x}:")


def test_machine_mode_reads_physical_memory(session: Session) -> None:
    session.goto("start")
    assert session.when().priv == "M"
    assert not session.read_memory(USER, 4).data
    assert session.read_memory(USER, 4).mapped


def test_frames_across_the_trap(session: Session) -> None:
    session.add_break("say")
    stop = session.continue_()
    frames = session.backtrace()
    names = [frame.function for frame in frames]
    assert names[:4] == ["say", "system_call", "kernel", "s_trap"]
    interrupted = frames[4]
    assert (interrupted.trap, interrupted.priv) == ("exception ecall-u", "U")
    assert user(session, "call") <= interrupted.pc < user(session, "user_main")
    assert interrupted.icount is not None
    session.goto(interrupted.icount)
    assert session.pc == interrupted.pc
    # and what it called with is what the kernel says
    assert session.evaluate("$a0") == 1000
    session.goto(stop.when.icount)
    assert session.evaluate("value") == 1000
    finished = session.finish()
    assert finished.when.location.symbol == "system_call"
    assert finished.when.priv == "S"


def test_a_system_call_as_one_instruction(session: Session, calls: list[tuple[int, int]]) -> None:
    """It comes back to the process that made it, though the other one runs the same code in between."""
    session.goto(calls[0][0])
    ecall = next(row for row in session.iter_steps(session.icount, session.end) if row.trap == "exception ecall-u")
    yielded = next(
        row
        for row in session.iter_steps(ecall.icount + 1, session.end)
        if row.trap == "exception ecall-u" and row.pc == ecall.pc
    )
    session.goto(yielded.icount)
    assert process(session) == 0
    sp = session.evaluate("$sp")
    session.nexti()
    assert (process(session), session.pc, session.evaluate("$sp")) == (0, ecall.pc + 4, sp)
    assert session.icount > calls[1][0]  # the other process has worked meanwhile
    session.reverse_nexti()
    assert session.icount == yielded.icount


def test_conditions_read_memory_of_the_process(session: Session, calls: list[tuple[int, int]]) -> None:
    session.goto("start")
    session.add_break(user(session, "work"), condition=f"*(u64*){SHARED + 16:#x} == 3")
    assert session.continue_().when.icount == calls[3][0]
    session.goto("end")
    assert session.reverse_continue().when.icount == calls[3][0]


def test_registers_and_exports(session: Session, calls: list[tuple[int, int]]) -> None:
    session.goto(calls[0][0])
    rows = {row.name: row for row in session.registers(["all"])}
    assert rows["satp"].text.startswith("Sv39")
    assert rows["priv"].text == "U"
    assert rows["priv"].value == L.PRIV_U
    steps = session.step_rows(session.icount, 50)
    assert {row.priv for row in steps} == {"S", "U"}
    written = next(a for row in steps for a in row.accesses if a.address == SHARED + 16 and a.kind == "write")
    assert written.value == 1
    for export in (jsonl, text):
        assert any("0x40020010" in export.line(row) for row in steps)
