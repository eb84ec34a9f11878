"""`info line` of every line, function and instruction, held against stock gdb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import needs_gcc

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
