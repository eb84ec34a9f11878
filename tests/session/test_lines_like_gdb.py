"""`info line` and `break` of every line, function and instruction, held against stock gdb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rrdbg_core.errors import RrdbgError

from rrdbg.symbols.dwarf.lineprogram import Rows
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import needs_gcc
from tests.guests.manifest import GUESTS

from .guest_builds import NAMES, Build
from .guest_builds import recorded as guest_recorded
from .oracle import Ours, recorded

pytestmark = [needs_gdb, needs_gcc]


def in_one_line(text: str) -> str:
    """Return an answer without the line ends that gdb puts into long ones."""
    return re.sub(r"\s+", " ", text.replace("\n   and ends", " and ends")).strip()


@pytest.mark.parametrize("level", ["-O0", "-O1"])
def test_info_line(level: str, tmp_path: Path) -> None:
    trace = recorded("story.c", level, tmp_path)
    with Gdb(trace) as gdb, Ours(trace) as ours:
        code = ours.session.source("story.c").code
        functions = [row.name for row in ours.session.program_symbols("function")]
        start = ours.session.lookup("main").address
        questions = [f"info line story.c:{line}" for line in range(1, max(code) + 1)]
        questions += [f"info line {name}" for name in functions]
        questions += [f"info line *{address:#x}" for address in range(start, start + 40, 2)]
        answers = zip(questions, gdb.ask(*questions), ours.at(0, *questions), strict=True)
        differ = [
            f"{question}\n  gdb:   {theirs}\n  rrdbg: {mine}"
            for question, theirs, mine in answers
            if in_one_line(theirs) != in_one_line(mine)
        ]
    assert "\n".join(differ) == ""


def without_empty(rows: Rows) -> None:
    """Take out of a line table what gdb takes out: rows at whose address code of another file starts.

    So gdb knows no place for a line that does nothing but call a function that was inlined from another file. Whether
    the other file's row counts is the rule of its reader (`lnp_state_machine::record_line`, `record_line`).
    """
    start, has_statement = 0, False
    for n, (address, file, mark) in enumerate(zip(rows.addresses, rows.files, rows.statements, strict=True)):
        if n and (address != rows.addresses[n - 1] or rows.statements[n - 1] == END):
            start, has_statement = n, False
        if mark != END and n > start and file != rows.files[n - 1] and (mark == STATEMENT or not has_statement):
            for other in range(start, n):
                if rows.files[other] == rows.files[n - 1] and rows.statements[other] == STATEMENT:
                    rows.statements[other] = 0
        has_statement = has_statement or mark == STATEMENT


STATEMENT, END = 1, 2


def places_of(ours: Ours, line: str) -> list[int]:
    """Return where `break` stops for a line; none: it is refused."""
    try:
        point = ours.session.add_break(line)
    except RrdbgError:
        return []
    ours.session.delete_point()
    return sorted([point.address or 0, *(place.address for place in point.more)])


def compare_breaks(trace: Path) -> str:
    """Return for which lines of all files the places of `break` differ."""
    with Gdb(trace) as gdb, Ours(trace) as ours:
        ours.ask(f"directory {GUESTS}")
        session = ours.session
        for part in session._symbols._parts:  # type: ignore[attr-defined]
            for _, program in part.lines._programs:
                without_empty(program.rows)
        files = [file for file in session.source_files() if not file.startswith("<")]  # <built-in>
        ends = {file: max(session.source(file).code, default=0) for file in files}
        lines = [f"{file}:{n}" for file, end in ends.items() for n in range(1, end + 1)]
        assert len(lines) > 100
        asked = [command for line in lines for command in ("delete", f"break {line}", "info breakpoints")]
        found = []
        for line, told in zip(lines, gdb.ask(*asked)[2::3], strict=True):
            theirs, mine = sorted(int(text, 16) for text in re.findall(r"0x[0-9a-f]{16}", told)), places_of(ours, line)
            if theirs != mine:
                found.append(f"{line}\n  gdb:   {[*map(hex, theirs)]}\n  rrdbg: {[*map(hex, mine)]}")
    return "\n".join(found)


@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
def test_break_at_every_line(level: str, tmp_path: Path) -> None:
    """A line has a place for each block that it reaches into, and for each copy."""
    assert compare_breaks(guest_recorded("hello", tmp_path, Build(level, 5), limit=1000)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("guest", NAMES)
def test_break_at_every_line_of_all_guests(guest: str, level: str, tmp_path: Path) -> None:
    assert compare_breaks(guest_recorded(guest, tmp_path, Build(level, 4), limit=1000)) == ""


def test_a_line_that_only_calls_what_was_inlined(tmp_path: Path) -> None:
    """gdb moves the breakpoint to another line; rrdbg has the place where the call begins."""
    trace = guest_recorded("hello", tmp_path, Build("-Os", 5))
    with Ours(trace) as ours:
        ours.ask("break lib/uart.c:19")
        ours.ask("continue")
        inlined, caller = (frame.text for frame in ours.session.backtrace(2))
        assert "write8 (" in inlined
        assert caller.endswith("uart_init () at lib/uart.c:19")
