"""A person at a terminal, played by the test over a pseudo terminal: the interactive side of `rrdbg record`."""

from __future__ import annotations

import os
import re
import termios
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import Trace

from tests.cli.programs import SPIN, echoing, printing, spinning, write
from tests.cli.support import PATIENCE_S, Terminal, run

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


def test_a_stop_that_cannot_be_caught(tmp_path: Path) -> None:
    """After SIGSTOP a shell takes the terminal back in its own way; it is made raw again all the same."""
    image = write(tmp_path / "echo.elf", echoing())
    with Terminal("record", image, "-o", tmp_path / "echo.rrt", session=False) as user:
        user.await_mode(raw=True)
        user.signal("SIGSTOP")
        termios.tcsetattr(user.slave, termios.TCSANOW, user.modes)
        user.signal("SIGCONT")
        user.await_mode(raw=True)
        user.type("!")
        assert user.end() == 0
        assert user.restored()


def test_the_terminal_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "echo.rrt"
    with Terminal("record", write(tmp_path / "echo.elf", echoing()), "-o", path) as user:
        user.await_mode(raw=True)
        for fd in (user.master, user.slave):
            os.close(fd)
        user.master = user.slave = -1
        assert user.process.wait(PATIENCE_S) in (ExitCode.INTERRUPTED, ExitCode.OK, 141)
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


def test_progress_is_shown_and_wiped(tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    with Terminal("record", image, "--no-input", "--timeout", "1s", "-o", tmp_path / "s.rrt") as user:
        user.expect("recording: ")
        user.expect(" M steps/s, ")
        assert not user.raw()
        assert user.end() == ExitCode.LIMIT
        assert b"\r\x1b[Krrdbg: --timeout ended" in user.seen


@pytest.mark.parametrize(
    ("printed", "shown"), [("a whole line\n", True), ("the start of one", False)], ids=["whole line", "half a line"]
)
def test_progress_never_mixes_with_the_guests_output(tmp_path: Path, printed: str, shown: bool) -> None:
    """What the guest prints without a newline stays as it is on the screen: the progress waits."""
    image = write(tmp_path / "p.elf", printing(printed, end=SPIN))
    with Terminal("record", image, "--no-input", "--timeout", "1s", "-o", tmp_path / "p.rrt") as user:
        user.expect(printed.strip())
        assert user.end() == ExitCode.LIMIT
        assert (b"\rrecording: " in user.seen) == shown
        assert re.search(rb"(\n|\x1b\[K)rrdbg: --timeout", user.seen)  # our summary starts a line of its own


def test_ctrl_c_ends_a_recording_that_nobody_types_into(tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    with Terminal("record", image, "--no-input", "-o", tmp_path / "s.rrt") as user:
        user.expect("recording: ")
        user.type(CTRL_C)
        assert user.end() == ExitCode.INTERRUPTED
    assert ending(tmp_path / "s.rrt") == ("interrupted", None)


def test_the_demo_on_a_terminal(tmp_path: Path) -> None:
    """It ends in the terminal interface, where q leaves."""
    with Terminal("demo", "--pauses", "4", cwd=tmp_path) as user:
        user.expect("$ rrdbg record guest:heap")
        user.expect("copy_name")
        user.expect("all agree")
        user.expect("$ rrdbg info")
        user.expect("Press Enter")
        user.type("\r")
        user.expect("\x1b[?1049h")
        user.expect("heap corrupted")
        user.type("q")
        assert user.end() == 0
        assert user.restored()
    assert (tmp_path / "demo" / "culprit.jsonl").read_text().count("\n") == 6


def test_the_interface_gives_the_terminal_back_after_a_stop_that_cannot_be_caught(tmp_path: Path) -> None:
    """Whoever goes on after SIGSTOP finds the terminal in the interface's own modes: those are not the user's."""
    path = tmp_path / "heap.rrt"
    assert run("record", "guest:heap", "-o", path).code == 1
    with Terminal("tui", path) as user:
        user.expect("\x1b[?1049h")
        user.expect("heap corrupted")
        user.signal("SIGSTOP")
        user.signal("SIGCONT")
        user.expect("\x1b[?1049h")
        user.type("q")
        assert user.end() == 0
        assert user.restored()


def test_the_demo_without_a_terminal(tmp_path: Path) -> None:
    done = run("demo", tmp_path / "there", "--pauses", "4")
    assert done.code == 0
    assert b"Done." in done.out
    assert (tmp_path / "there" / "heap.rrt").exists()
