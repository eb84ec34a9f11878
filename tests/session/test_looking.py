"""What a session says about the guest and the trace, held against the list of all states."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.errors import RrdbgError

import rrdbg
from rrdbg.session.api import NotFound, Session, UsageError
from rrdbg.session.codec import decode, encode
from rrdbg.session.csrs import cause_text
from rrdbg.session.values import ConsoleChunk, ConsoleOutput

from .history import History
from .model import session_over
from .programs import Guest
from .test_motions import recorded


def test_registers_and_when(session: Session, history: History) -> None:
    for position in range(0, history.end + 1, 3):
        session.goto(position)
        values = {row.name: row.value for row in session.registers()}
        assert values["pc"] == history.pc(position) == session.pc
        assert [values[f"a{n}"] for n in range(8)] == [history.x(position, 10 + n) for n in range(8)]
        when = session.when()
        assert (when.icount, when.end, when.pc, when.priv) == (position, history.end, history.pc(position), "M")
        assert session.evaluate("$minstret") <= position


def test_groups_of_registers(session: Session) -> None:
    general, csrs = session.registers(), session.registers(["csr"])
    assert [row.name for row in general][:3] == ["pc", "ra", "sp"]
    assert len(general) == 32
    assert {"mstatus", "mcause", "pmpaddr15", "mip"} <= {row.name for row in csrs}
    everything = session.registers(["all"])
    assert [row.name for row in everything[: len(general)]] == [row.name for row in general]
    assert session.registers(["icount"])[0].value == session.icount
    with pytest.raises(NotFound, match=r"\$nosuch"):
        session.registers(["nosuch"])


def test_memory_and_expressions(session: Session, history: History, counter: Guest) -> None:
    session.goto("end")
    address = counter.symbols["counter"]
    assert session.evaluate("counter") == session.evaluate("&counter") == address
    assert session.evaluate("*(u64*)counter") == 15
    assert session.read_memory(counter.symbols["text"], 5).data == b"Hello"
    assert session.read_memory(counter.symbols["text"], 5, physical=True).data == b"Hello"
    end_of_ram = 0x8000_0000 + history.config.ram_bytes
    block = session.read_memory(end_of_ram - 4, 16)
    assert (len(block.data), block.length) == (4, 16)
    for unmapped in (0, 0x1000_0000, 0x7FFF_FFFF, end_of_ram, (1 << 64) - 8):
        assert session.read_memory(unmapped, 8).data == b""
    with pytest.raises(RrdbgError, match="0x10000000"):
        session.evaluate("*(u32*)0x10000000")
    with pytest.raises(UsageError):
        session.read_memory(0, 1 << 40)


def test_disassembly(session: Session, history: History, counter: Guest) -> None:
    bump = counter.symbols["bump"]
    lines = session.disassemble(bump, 4, before=2)
    assert [line.address for line in lines] == [bump - 8, bump - 4, bump, bump + 4, bump + 8, bump + 12]
    assert [line.text for line in lines[2:]] == ["ld a0,0(s0)", "addi a0,a0,5", "sd a0,0(s0)", "ret"]
    assert [line.location.text for line in lines[2:4]] == ["bump", "bump+4"]
    call = next(step for step in history.steps if history.pc(step.icount + 1) == bump)
    line = session.disassemble(call.pc, 1)[0]
    assert (line.target, line.target_text) == (bump, "bump")
    bad = session.disassemble(0x1000_0000, 3)
    assert [item.text for item in bad] == ["(bad address)"]


def test_symbols(session: Session, counter: Guest) -> None:
    assert session.lookup("bump").address == counter.symbols["bump"]
    assert session.locate(counter.symbols["bump"] + 4).text == "bump+4"
    assert [symbol.name for symbol in session.symbols("")] == ["_start", "bump", "counter", "handler", "stack", "text"]
    assert [symbol.name for symbol in session.symbols("b")] == ["bump"]
    assert session.source_lines(session.pc) == ()
    with pytest.raises(NotFound, match="nosuch"):
        session.lookup("nosuch")


def test_steps_are_what_the_states_say(session: Session, history: History) -> None:
    session.goto(9)
    rows = session.step_rows(0, history.end + 10)
    assert session.icount == 9
    assert [row.icount for row in rows] == list(range(history.end))
    for row, step in zip(rows, history.steps, strict=True):
        n = row.icount
        assert (row.pc, row.insn, row.priv, row.hart) == (history.pc(n), step.insn, "M", 0)
        changed = {i: history.x(n + 1, i) for i in range(1, 32) if history.x(n, i) != history.x(n + 1, i)}
        named = {session.registers([name])[0].name: value for name, value in row.registers}
        numbers = {f"x{i}": value for i, value in changed.items()}
        assert set(numbers.values()) <= set(named.values()), n
        for name, value in row.registers:
            assert value == history.x(n + 1, _number(name)), n
        for access in row.accesses:
            if access.kind == "write" and access.address >= 0x8000_0000:
                data = history.read(n + 1, access.address, access.size)
                assert int.from_bytes(data, "little") == access.value
        if history.rams[n] != history.rams[n + 1]:
            assert any(access.kind == "write" for access in row.accesses), n
        assert row.trap == (cause_text(step.cause) if step.cause is not None else "")
        assert row.virtual_ns == int(history.machs[n][0]) + int(history.machs[n][1])
    assert [event.number for row in rows for event in row.events] == list(range(len(history.events)))
    assert list(session.iter_steps(3, 30)) == list(rows[3:30])
    assert session.step_rows(history.end, 5) == ()
    with pytest.raises(UsageError):
        session.step_rows(-1, 5)


def _number(name: str) -> int:
    from rrdbg_core.isa.registers import REGISTERS

    return REGISTERS[name]


def test_console(session: Session, history: History) -> None:
    assert b"".join(data for _, data in history.console) == b">x"
    at = history.console[1][0]
    session.goto("end")
    assert [(chunk.icount, chunk.data) for chunk in session.console()] == history.console
    assert [chunk.data for chunk in session.console(0, at - 1)] == [b">"]
    assert session.console(at - 1, at)[0].data == b"x"
    assert session.console(at) == ()
    session.goto(at - 1)
    assert [chunk.data for chunk in session.console()] == [b">"]


@given(st.lists(st.binary(max_size=3), max_size=12), st.slices(14))
def test_console_output_is_a_sequence_of_chunks(texts: list[bytes], cut: slice) -> None:
    chunks = [ConsoleChunk(10 * number, data) for number, data in enumerate(texts)]
    output = ConsoleOutput.of(chunks)
    assert output == chunks == list(output) == [output[number] for number in range(len(output))]
    assert output[cut] == chunks[cut]
    assert output[cut].data == b"".join(chunk.data for chunk in chunks[cut])
    assert decode(encode(output)) == output
    assert output != [*chunks, ConsoleChunk(1000, b"x")]
    assert ConsoleOutput.of(output) is output


def test_console_of_stretches(tmp_path: Path) -> None:
    guest, history = recorded(3)
    session = session_over(history, tmp_path)
    for lo in range(0, history.end, 97):
        for hi in range(lo, history.end, 301):
            got = [(chunk.icount, chunk.data) for chunk in session.console(lo, hi)]
            assert got == [(at, data) for at, data in history.console if lo < at <= hi]
    assert session.icount == 0
    assert guest.symbols


def test_timeline_is_exact_for_short_windows(session: Session, history: History) -> None:
    session.bookmark("here", 5)
    session.note("seen", 6)
    for lo, hi, buckets in [
        (0, history.end, 1),
        (0, history.end, 7),
        (3, 20, 17),
        (10, history.end + 50, 13),
        (0, 4, 9),
    ]:
        timeline = session.timeline(lo, hi, buckets)
        lanes = {lane.name: lane.counts for lane in timeline.lanes}
        assert all(lane.exact for lane in timeline.lanes)
        assert list(lanes) == ["traps", "interrupts", "console", "input", "bookmarks", "notes", "snapshots"]
        traps = [step.icount for step in history.steps if step.cause is not None]
        assert lanes["traps"] == _buckets(traps, lo, hi, buckets)
        assert lanes["interrupts"] == (0,) * buckets
        assert lanes["console"] == _buckets([at - 1 for at, _ in history.console], lo, hi, buckets)
        assert lanes["input"] == _buckets([event.icount for event in history.events], lo, hi, buckets)
        assert lanes["bookmarks"] == _buckets([5], lo, hi, buckets)
        assert lanes["notes"] == _buckets([6], lo, hi, buckets)
        assert lanes["snapshots"] == _buckets([0], lo, hi, buckets)
    with pytest.raises(UsageError):
        session.timeline(5, 5, 3)


def _buckets(positions: list[int], lo: int, hi: int, buckets: int) -> tuple[int, ...]:
    counts = [0] * buckets
    for position in positions:
        if lo <= position < hi:
            counts[(position - lo) * buckets // (hi - lo)] += 1
    return tuple(counts)


def test_info(session: Session, history: History) -> None:
    info = session.info()
    assert (info.end, info.events, info.exit_code, info.ended) == (history.end, len(history.events), 7, True)
    assert info.reason == "the guest exited with code 7"
    assert info.damage == ""
    assert info.virtual_end_ns == session.position("end") + (history.events[-1].warp_ns if history.events else 0)


def test_events(session: Session, history: History) -> None:
    rows = session.events()
    assert [(row.icount, row.kind, row.payload) for row in rows] == [
        (event.icount, event.kind.name.lower(), event.payload) for event in history.events
    ]
    assert any(row.text == 'input to uart: "x"' for row in rows)
    assert session.events(1, 0) == ()
    session.goto("#0")
    assert session.icount == history.events[0].icount


def test_a_closed_session_says_so(trace: Path) -> None:
    session = rrdbg.open(trace)
    session.close()
    session.close()
    for call in (session.when, session.info, session.points, session.registers, session.continue_, session.bookmarks):
        with pytest.raises(RrdbgError, match="the session is closed"):
            call()


def test_the_trace_is_never_written(trace: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run.rrt"
    copy.write_bytes(trace.read_bytes())
    with rrdbg.open(copy) as session:
        session.bookmark("crash", "end", "why?")
        session.note("first", 3)
        session.goto("end")
        session.reverse_continue()
    assert copy.read_bytes() == trace.read_bytes()
    with rrdbg.open(copy) as session:
        assert [(mark.name, mark.text) for mark in session.bookmarks()] == [("crash", "why?")]
        assert session.position("@crash") == session.info().end
        session.delete_bookmark("crash")
        session.delete_note(1)
        assert session.bookmarks() == session.notes() == ()
        with pytest.raises(NotFound):
            session.goto("@crash")
        with pytest.raises(NotFound):
            session.delete_note(1)
