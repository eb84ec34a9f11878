"""The interface on a pseudo terminal: how it starts, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Terminal, run
from tests.tui.real import record_until

LEFT = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?1003l")
"""The alternate screen left, the cursor shown, the mouse given back."""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_until(tmp_path_factory.mktemp("terminal"), "hello", 1000)


@pytest.mark.parametrize(("leave", "code"), [(":quit\r", 0), ("\x03\x03", 0), ("SIGTERM", 130)])
def test_the_terminal_is_left_as_it_was(trace: Path, leave: str, code: int) -> None:
    with Terminal("tui", trace) as terminal:
        terminal.expect("start.S:8")
        if leave.startswith("SIG"):
            terminal.signal(leave)
        else:
            terminal.type(leave)
        assert terminal.end() == code
        assert terminal.restored()
        for sequence in LEFT:
            assert sequence in terminal.seen
        assert b"Traceback" not in terminal.seen


def test_without_a_terminal_it_says_what_to_use_instead(trace: Path) -> None:
    outcome = run("tui", trace)
    outcome.told(68, "needs a terminal", "rrdbg replay")


def test_a_foreign_file_is_told_after_the_screen_is_left(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.rrt"
    foreign.write_bytes(b"something else" * 100)
    with Terminal("tui", foreign) as terminal:
        assert terminal.end() == 65
        assert terminal.restored()
        told = terminal.seen[terminal.seen.rindex(b"\x1b[?1049l") :]
        assert b"not an rrdbg trace" in told
        assert b"Traceback" not in told
