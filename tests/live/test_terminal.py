"""`rrdbg record --tui` on a pseudo terminal: how it starts, what it leaves behind, and that the trace is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import Trace

from tests.cli.programs import printing, spinning, write
from tests.cli.support import Terminal, run
from tests.live.recorders import await_end

LEFT = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l")
"""The alternate screen left, the cursor shown, the mouse given back."""


def test_typing_and_quitting(tmp_path: Path) -> None:
    with Terminal("record", "guest:shell", "--tui", "-o", tmp_path / "a.rrt") as user:
        user.expect("● LIVE")
        user.expect("getc")
        user.type("T")
        user.expect("keys go to the guest")
        user.type("echo one\r")
        user.expect("one")
        user.type("\x01x")
        user.expect("command")
        user.type("q")
        assert user.end() == ExitCode.OK
        assert user.restored()
        told = user.seen[user.seen.rindex(LEFT[0]) :]
        assert b"you ended the recording" in told
        assert b"a.rrt" in told
        assert b"Traceback" not in user.seen
    assert await_end(tmp_path / "a.rrt") == "interrupted"
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert b"".join(event.payload for event in trace.events) == b"echo one\r"
    assert run("verify", tmp_path / "a.rrt").code == ExitCode.OK


def test_the_guests_exit_code_is_ours(tmp_path: Path) -> None:
    image = write(tmp_path / "hi.elf", printing("hello\n", 7))
    with Terminal("record", image, "--tui", "-o", tmp_path / "a.rrt") as user:
        user.expect("recording ended")
        user.type("q")
        assert user.end() == 7
        assert user.restored()


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", ExitCode.INTERRUPTED), ("SIGKILL", -signal.SIGKILL)])
def test_a_signal_ends_the_recording_cleanly(tmp_path: Path, name: str, code: int) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    with Terminal("record", image, "--tui", "-o", tmp_path / "a.rrt") as user:
        user.expect("● LIVE")
        user.expect("80000000")
        user.signal(name)
        assert user.end() == code
        if name == "SIGTERM":
            assert user.restored()
    assert await_end(tmp_path / "a.rrt") == "interrupted"
    with Trace.open(tmp_path / "a.rrt") as trace:
        assert trace.damage == ""


def test_the_terminal_goes_away(tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    with Terminal("record", image, "--tui", "-o", tmp_path / "a.rrt") as user:
        user.expect("● LIVE")
        user.expect("80000000")
        for fd in (user.master, user.slave):
            os.close(fd)
        user.master = user.slave = -1
        assert user.process.wait(60) == ExitCode.INTERRUPTED
    assert await_end(tmp_path / "a.rrt") == "interrupted"


def test_an_interface_that_hangs_is_ended_by_a_signal_all_the_same() -> None:
    """As Textual may when its terminal is gone."""
    script = """
        import asyncio, os, signal
        from rrdbg.tui import run
        run.LAST_RESORT = 0.05
        class Stuck:
            def exit(self, return_code): pass
        async def main():
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(1000)
        with run._signals_end(Stuck()):
            asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=120)
    assert done.returncode == ExitCode.INTERRUPTED


def test_leaving_to_the_shell_pauses(tmp_path: Path) -> None:
    """As without an interface: a guest of a stopped job does not run on behind one's back."""
    image = write(tmp_path / "spin.elf", spinning())
    with Terminal("record", image, "--tui", "-o", tmp_path / "a.rrt", session=False) as user:
        user.expect("● LIVE")
        user.expect("80000000")
        user.type("\x1a")
        pid, status = os.waitpid(user.process.pid, os.WUNTRACED)
        assert pid == user.process.pid
        assert os.WIFSTOPPED(status)
        with Trace.open(tmp_path / "a.rrt") as trace:
            end = -1
            while trace.end_icount > end:  # until it stands
                end = trace.end_icount
                signal.sigtimedwait([], 1.2)  # longer than between two promises
                trace.refresh()
            assert trace.recording
            user.signal("SIGCONT")
            while trace.end_icount == end:
                trace.refresh()
        user.type("q")
        assert user.end() == ExitCode.OK


@pytest.mark.parametrize("option", [("--json",), ("--input", "-"), ("--theme", "plaid")])
def test_options_that_make_no_sense(tmp_path: Path, option: tuple[str, ...]) -> None:
    with Terminal("record", "guest:hello", "--tui", "-o", tmp_path / "a.rrt", *option) as user:
        assert user.end() == ExitCode.USAGE
        assert b"Traceback" not in user.seen
        assert user.restored()
    assert not (tmp_path / "a.rrt").exists()


def test_without_a_terminal_it_is_told(tmp_path: Path) -> None:
    run("record", "guest:hello", "--tui", "-o", tmp_path / "a.rrt").told(ExitCode.HOST_IO, "needs a terminal")
    assert not (tmp_path / "a.rrt").exists()


def test_an_existing_trace_is_told_before_the_screen_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "a.rrt", "mine")
    with Terminal("record", "guest:hello", "--tui", "-o", tmp_path / "a.rrt") as user:
        assert user.end() == ExitCode.USAGE
        assert b"exists" in user.seen
        assert b"\x1b[?1049h" not in user.seen
    assert (tmp_path / "a.rrt").read_text() == "mine"
