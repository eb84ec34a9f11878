"""A person at a terminal, played by the test over a pseudo terminal: the interactive side of `rrdbg record`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import Trace

from tests.cli.programs import echoing, printing, write
from tests.cli.support import Terminal, run

CTRL_A, CTRL_C = "\x01", "\x03"


def ending(path: Path) -> tuple[str, int | None]:
    """Return why a recording ended, and the guest's exit code."""
    trace = Trace.open(path)
    try:
        assert trace.ending is not None
        assert trace.damage == ""
        return trace.ending.reason, trace.ending.exit_code
    finally:
        trace.close()


def test_a_session_with_the_shell(tmp_path: Path) -> None:
    """Typing reaches the guest, Ctrl-C too, and Ctrl-A x ends the recording with a trace that replays."""
    path = tmp_path / "shell.rrt"
    with Terminal("record", "guest:shell", "-o", path) as user:
        user.expect("Ctrl-A x ends")
        user.expect("$ ")
        assert user.raw()
        user.type("echo one two\r")
        user.expect("one two\r\n")
        user.type("half a line" + CTRL_C)
        user.expect("^C")
        user.type(CTRL_A + "h")
        user.expect("reset the guest")
        user.type(CTRL_A + "c")
        user.expect("steps, ")
        user.type(CTRL_A + "x")
        assert user.end() == ExitCode.OK
        assert user.restored()
        assert b"you ended the recording" in user.seen
    assert ending(path) == ("interrupted", None)
    assert run("verify", path).code == ExitCode.OK


def test_the_guest_ends_the_session(tmp_path: Path) -> None:
    path = tmp_path / "shell.rrt"
    with Terminal("record", "guest:shell", "-o", path) as user:
        user.expect("$ ")
        user.type("exit 7\r")
        assert user.end() == 7
        assert user.restored()
    assert ending(path) == ("exit", 7)


def test_a_reset_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "shell.rrt"
    with Terminal("record", "guest:shell", "-o", path) as user:
        user.expect("$ ")
        user.type(CTRL_A + "r")
        user.expect("$ ")
        user.type("exit 0\r")
        assert user.end() == 0
    trace = Trace.open(path)
    assert "RESET" in [event.kind.name for event in trace.events]
    trace.close()
    assert run("verify", path).code == ExitCode.OK


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_signals_end_it_cleanly(name: str, tmp_path: Path) -> None:
    path = tmp_path / "echo.rrt"
    with Terminal("record", write(tmp_path / "echo.elf", echoing()), "-o", path) as user:
        user.await_mode(raw=True)
        user.type("ab")
        user.expect("ab")
        user.signal(name)
        assert user.end() == ExitCode.INTERRUPTED
        assert user.restored()
    assert ending(path) == ("interrupted", None)


def test_a_stop_and_a_continue(tmp_path: Path) -> None:
    """Stopped from outside, the terminal is the shell's; afterwards it is the guest's again."""
    image = write(tmp_path / "echo.elf", echoing())
    with Terminal("record", image, "-o", tmp_path / "echo.rrt", session=False) as user:
        user.await_mode(raw=True)
        user.signal("SIGTSTP")
        user.await_mode(raw=False)
        assert user.restored()
        user.signal("SIGCONT")
        user.await_mode(raw=True)
        user.type("on!")
        user.expect("on!")
        assert user.end() == 0
        assert user.restored()


def test_the_terminal_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "echo.rrt"
    with Terminal("record", write(tmp_path / "echo.elf", echoing()), "-o", path) as user:
        user.await_mode(raw=True)
        for fd in (user.master, user.slave):
            os.close(fd)
        user.master = user.slave = -1
        assert user.process.wait(30) in (ExitCode.INTERRUPTED, ExitCode.OK, 141)
    assert ending(path)[0] == "interrupted"


def test_an_error_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "there.rrt", b"mine")
    with Terminal("record", write(tmp_path / "echo.elf", echoing()), "-o", path) as user:
        assert user.end() == ExitCode.USAGE
        assert user.restored()
        assert b"exists" in user.seen
    assert path.read_bytes() == b"mine"


def test_what_the_guest_prints_is_not_touched(tmp_path: Path) -> None:
    """Bytes that are no text, behind a pipe while a terminal shows the progress."""
    image = write(tmp_path / "p.elf", printing("\x1b[31mred\x7f\x80\xff\n"))
    with (
        open(tmp_path / "out", "wb") as out,
        Terminal("record", image, "-o", tmp_path / "p.rrt", stdout=out.fileno()) as user,
    ):
        assert user.end() == 0
    assert (tmp_path / "out").read_bytes() == "\x1b[31mred\x7f\x80\xff\n".encode()
