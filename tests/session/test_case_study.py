"""The case study in docs/: the script finds the culprit without being told who it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import record

import rrdbg
from rrdbg.commands.script import run_script
from rrdbg.session.api import StopReason

from .history import config_for

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "examples" / "case_study.py"
CULPRIT, LINE = "copy_name", "*at = 0;"


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("heap") / "heap.rrt"
    config, images = config_for((ROOT / "guests" / "bin" / "heap.elf").read_bytes(), ram_bytes=128 << 20)
    assert record(config, images, LiveSource(config), path).ending.exit_code == 1
    return path


def test_the_script_finds_the_write(heap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_script(str(SCRIPT), [str(heap)]) == 0
    said = capsys.readouterr().out
    with rrdbg.open(heap) as session:
        mark = next(mark for mark in session.bookmarks() if mark.name == "culprit")
        row = session.step_rows(mark.icount, 1)[0]
        assert row.location.symbol == CULPRIT
        source = (ROOT / "guests" / "heap.c").read_text().splitlines()
        assert source[row.location.line - 1].strip() == LINE
        assert f"{CULPRIT}+{row.location.offset}" in said
        # the step really changes the header, and nothing does after it
        write = row.accesses[0]
        field = write.address
        session.goto(mark.icount)
        before = session.evaluate(f"*(u64*){field:#x}")
        session.stepi()
        after = session.evaluate(f"*(u64*){field:#x}")
        assert (write.kind, write.value) == ("write", 0)
        assert before >= 32
        assert after < 32, "no size of a block"
        session.add_watch(f"*(u64*){field:#x}")
        assert session.continue_().reason is StopReason.END
        # long before anybody noticed
        assert session.icount - mark.icount > 1_000_000
        console = b"".join(chunk.data for chunk in session.console()).decode()
        assert f"block {field:#x} has size {after}" in console


def test_the_script_is_told_nothing(heap: Path) -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    with rrdbg.open(heap) as session:
        mark = next((mark for mark in session.bookmarks() if mark.name == "culprit"), None)
        assert mark is not None
        row = session.step_rows(mark.icount, 1)[0]
        functions = [symbol.name for symbol in session.symbols() if symbol.kind == "function"]
    for word in functions:
        assert not re.search(rf"\b{re.escape(word)}\b", re.sub(r'""".*?"""', "", text, flags=re.DOTALL)), word
    digits = text.replace("_", "")
    for number in (mark.icount, row.pc, row.accesses[0].address):
        assert f"{number:x}" not in digits
        assert str(number) not in digits


def test_what_the_documentation_shows(heap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_script(str(SCRIPT), [str(heap)]) == 0
    said = capsys.readouterr().out
    assert said in (ROOT / "docs" / "case-study.md").read_text(encoding="utf-8"), (
        "docs/case-study.md shows other output"
    )
