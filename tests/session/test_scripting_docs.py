"""The examples of docs/scripting.md run, one after the other, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rrdbg

DOCUMENT = Path(__file__).parents[2] / "docs" / "scripting.md"


def test_the_examples(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.rrt").write_bytes(trace.read_bytes())
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    with rrdbg.open("run.rrt") as session:
        names = {"rrdbg": rrdbg, "session": session}
        for block in blocks[1:]:
            exec(compile(block, str(DOCUMENT), "exec"), names)
    exec(compile(blocks[0], str(DOCUMENT), "exec"), {})
    said = capsys.readouterr().out
    assert "10 became 15" in said
    assert "['odd']" in said
    assert said.rstrip().endswith("the guest exited with code 7")


def test_the_names_it_mentions() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in re.findall(r"rrdbg\.([A-Z]\w+)", text):
        assert hasattr(rrdbg, name), name
    for name in re.findall(r"`(?:session\.)?(\w+)\(", text):
        assert hasattr(rrdbg.Session, name) or name in ("help",), name
    for name in rrdbg.__all__:
        assert getattr(rrdbg, name) is not None
