"""The engine's process: a new one, or a copy of a process that has only just started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode

LINUX = sys.platform == "linux"

BEGIN = """
import os, signal, sys, threading
from rrdbg.session.process import EngineProcess
"""
OPEN = """
from rrdbg.session.remote import open_remote
session = open_remote(sys.argv[1], process=process)
"""


def run(code: str, *args: object, cwd: Path | None = None) -> list[str]:
    """Run a program and return the lines that it prints."""
    command = [sys.executable, "-c", BEGIN + code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("fork", [False, True])
def test_it_answers_and_ends(trace: Path, fork: bool) -> None:
    lines = run(
        f"process = EngineProcess(fork={fork})\n{OPEN}"
        "session.goto('end'); print(session.icount == session.info().end, len(session.registers()) >= 32)\n"
        "print(os.getsid(process.pid) == process.pid)\n"
        "session.close(); print(process.wait(5))",
        trace,
    )
    assert lines == ["True True", "True", "0"]


@pytest.mark.skipif(not LINUX, reason="processes are copied on Linux alone")
@pytest.mark.parametrize(
    ("fork", "before", "copied"),
    [
        (True, "", True),
        (False, "", False),
        # another thread may hold a lock, which would never be free in a copy
        (True, "threading.Thread(target=threading.Event().wait, daemon=True).start()", False),
    ],
)
def test_it_is_a_copy_only_where_that_is_asked_for_and_safe(trace: Path, fork: bool, before: str, copied: bool) -> None:
    lines = run(
        f"{before}\nprocess = EngineProcess(fork={fork})\n{OPEN}"
        "own, its = (open(f'/proc/{pid}/cmdline').read() for pid in (os.getpid(), process.pid))\n"
        "print(own == its); session.close()",
        trace,
    )
    assert lines == [str(copied)]


@pytest.mark.skipif(not LINUX, reason="processes are copied on Linux alone")
def test_a_copy_keeps_nothing_that_is_open(trace: Path) -> None:
    lines = run(
        f"other = open(sys.argv[1], 'rb'); process = EngineProcess(fork=True)\n{OPEN}"
        "links = [os.readlink(f'/proc/{process.pid}/fd/{n}') for n in os.listdir(f'/proc/{process.pid}/fd')]\n"
        "print(sum(link == sys.argv[1] for link in links), sum(link.startswith('pipe:') for link in links))\n"
        "session.close()",
        trace,
    )
    # the trace that it opened itself; its input, and its output under two numbers at most
    assert lines in (["1 2"], ["1 3"])


@pytest.mark.parametrize("fork", [False, True])
def test_how_it_died_is_known(trace: Path, fork: bool) -> None:
    lines = run(
        f"process = EngineProcess(fork={fork})\n{OPEN}"
        "os.kill(process.pid, signal.SIGKILL)\n"
        "try: session.registers()\n"
        "except Exception as error: print(str(error).splitlines()[0])",
        trace,
    )
    assert lines == ["the engine's process ended (exit status -9)"]


@pytest.mark.parametrize("fork", [False, True])
def test_what_it_says_as_it_dies_is_told(trace: Path, fork: bool) -> None:
    """A copy whose imports fail says why, as a new process does."""
    lines = run(
        "sys.modules['rrdbg.session.server'] = None\n" * fork
        + f"process = EngineProcess(fork={fork})\n"
        + ("" if fork else "os.kill(process.pid, signal.SIGKILL)\n")
        + "print(*process.died(), sep=chr(10))",
        trace,
    )
    assert lines[0] == ("1" if fork else "-9")
    assert ("rrdbg.session.server" in lines[1]) == fork


@pytest.mark.parametrize("fork", [False, True])
def test_modules_where_the_user_stands_are_not_ours(trace: Path, tmp_path: Path, fork: bool) -> None:
    """As with `python -m rrdbg`, which searches the current folder first."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this one')")
    lines = run(
        f"sys.path[0] = os.getcwd(); process = EngineProcess(fork={fork})\ndel sys.path[0]\n{OPEN}"
        "print(session.icount); session.close()",
        trace,
        cwd=tmp_path,
    )
    assert lines == ["0"]


def test_where_no_process_can_be_had(trace: Path) -> None:
    lines = run(
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
        "for fork in (False, True):\n"
        "    try: EngineProcess(fork=fork)\n"
        "    except Exception as error: print(type(error).__name__, int(getattr(error, 'exit_code', 0)))",
        trace,
    )
    assert lines == [f"RrdbgError {int(ExitCode.FAILED)}"] * 2
