"""What the tutorial shows is what its commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rrdbg.session.errors import NotFound

from .transcript import BLOCK, refreshed

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.fixture(scope="module")
def text() -> str:
    return TUTORIAL.read_text(encoding="utf-8")


def test_every_line_is_what_is_printed(text: str) -> None:
    assert len(BLOCK.findall(text)) > 5
    assert refreshed(text) == text, "python -m tests.bugs.transcript docs/tutorial.md writes it anew"


def test_a_wrong_line_is_seen() -> None:
    wrong = "```console\n$ rrdbg record guest:hello\nhello from hart 1\n```\n"
    right = refreshed(wrong)
    assert right != wrong
    assert "hello from hart 0, machine mode\n" in right
    assert refreshed(right) == right


def test_a_command_that_fails_is_seen() -> None:
    with pytest.raises(NotFound, match="nosuch"):
        refreshed("```console\n$ rrdbg record guest:hello\n$ rrdbg replay hello.rrt\n(rrdbg) break nosuch\n```\n")


def test_the_source_it_quotes(text: str) -> None:
    """C in the text is in the guest's source, line by line."""
    source = (TUTORIAL.parents[1] / "guests" / "bugs" / "use-after-free.c").read_text(encoding="utf-8")
    blocks = re.findall(r"^```c\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        for line in filter(None, map(str.strip, block.splitlines())):
            assert line in source, line
