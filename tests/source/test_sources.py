"""Source files: where they are found, what a trace carries, and the lines executed around a position."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.api import LineVisit
from rrdbg.session.errors import NotFound
from rrdbg.session.session import TraceSession
from rrdbg.symbols.sources import Sources

from .walks import PROGRAMS, Steps, build, needs_gcc


def test_where_a_file_is_looked_for(tmp_path: Path) -> None:
    for name in ("a/x.c", "b/x.c", "c/x.c", "c/sub/x.c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    built = str(tmp_path / "a")

    def found(sources: Sources) -> str:
        text = sources.text("x.c")
        return text.lines[0] if text else ""

    files = {"sub/x.c": "/nowhere"}
    assert found(Sources(lambda: {"x.c": built})) == "a/x.c"
    assert found(Sources(lambda: files)) == ""
    sources = Sources(lambda: files, None, (str(tmp_path / "b"),))
    assert found(sources) == "b/x.c"  # by its base name, beside the trace
    sources.directory(str(tmp_path / "c"))
    assert found(sources) == "c/sub/x.c"
    sources.substitute("/nowhere/sub", str(tmp_path / "a"))
    assert found(sources) == "a/x.c"
    sources.substitute("/nowh", str(tmp_path / "c"))  # not where a part of the path ends
    assert found(sources) == "a/x.c"
    sources.substitute("/nowhere/sub", "")
    sources.directory("")
    assert found(sources) == "b/x.c"
    carried = Sources(lambda: files, {"sub/x.c": lambda: b"carried\x1b[0m\n\ttab"}, (str(tmp_path / "b"),))
    text = carried.text("x.c")
    assert text is not None
    assert (text.file, text.origin, text.lines) == ("sub/x.c", "trace", ("carried\\x1b[0m", "\ttab"))


@needs_gcc
def test_a_trace_carries_its_sources(tmp_path: Path) -> None:
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / "walk.c").write_bytes((PROGRAMS / "walk.c").read_bytes())
    elf = build("walk", tmp_path, "-g", "-O1", "-DPERIOD=0", f"-fdebug-prefix-map={PROGRAMS}={folder}").with_suffix(
        ".elf"
    )
    trace = tmp_path / "carrying.rrt"
    command = [sys.executable, "-m", "rrdbg", "record", "--no-input", "--embed-sources", "-o", str(trace), str(elf)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "sources: 1 file" in told
    (folder / "walk.c").unlink()
    with rrdbg.open(trace) as session:
        source = session.source("walk.c")
        assert source.origin == "trace"
        assert source.lines == tuple((PROGRAMS / "walk.c").read_text().splitlines())
        assert set(source.code) <= set(range(1, len(source.lines) + 1))
        session.add_break("fib")
        assert session.continue_().text.splitlines()[-1].partition("\t")[2] in source.lines
        with pytest.raises(NotFound, match=r"no source file 'nosuch\.c'"):
            session.source("nosuch.c")
    with rrdbg.open(tmp_path / elf.with_suffix(".rrt").name) as session:
        with pytest.raises(NotFound, match="looked at") as raised:
            session.source("walk.c")
        assert "substitute-path" in str(raised.value.hint)
        session.substitute_path(str(folder), str(PROGRAMS))
        assert session.source("walk.c").origin == str(PROGRAMS / "walk.c")


@needs_gcc
def test_lines_executed_around_a_position(session: TraceSession) -> None:
    rows = Steps(session).rows
    here = len(rows) // 2
    session.goto(here)
    visits = session.line_visits(150, 200)
    assert session.icount == here
    said = {n: (visit.file, visit.line) for visit in visits for n in range(visit.icount, visit.icount + visit.steps)}
    for row in rows[here - 150 : here + 200]:
        line = session._symbols.line(row.pc)
        expected = (line.file, line.line) if line is not None and (row.insn or not row.trap) else None
        assert said.get(row.icount) == expected
    assert all(a.icount + a.steps <= b.icount for a, b in itertools.pairwise(visits))
    for most in (1, 3, 100):
        nearest: dict[tuple[int, str, int], LineVisit] = {}
        for visit in sorted(visits, key=lambda visit: abs(visit.icount - here)):
            side = -1 if visit.icount + visit.steps <= here else int(visit.icount > here)
            if sum(other[0] == side for other in nearest) < most or not side:
                nearest.setdefault((side, visit.file, visit.line), visit)
        assert sorted(nearest.values(), key=lambda visit: visit.icount) == list(session.line_visits(150, 200, most))
