"""Stock gdb on a trace, driven command by command: an oracle for tests.

    with Gdb("run.rrt") as gdb:                        # symbols come from the trace; elf=... takes others
        frames, here = gdb.at(1_234, "bt", "info line")    # go to a position, one answer per command
        text = gdb.ask("print *list")[0]               # where it stands
        gdb.ask("break main", "reverse-continue")
        assert gdb.icount == 8298

One gdb process and one engine serve any number of commands and positions: about a second to start, then some
milliseconds a position. An answer is what gdb prints for the command, its error messages included, without the last
newline. Tests that use it are marked `@needs_gdb`.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pytest

GDB = shutil.which("gdb-multiarch")
needs_gdb = pytest.mark.skipif(GDB is None, reason="gdb-multiarch is not installed (apt: gdb-multiarch)")

PATIENCE_S = 120.0
"""Longer than anything here takes; only a hang meets it."""
_MARK = "@@rrdbg@@"
_BATCH = 50
"""Commands sent ahead of their answers: both pipes hold them."""
_SETTINGS = (
    "set confirm off", "set pagination off", "set width 0", "set height 0", "set style enabled off",
    "set print frame-arguments all", "set debuginfod enabled off", "set auto-load off",
    "set remotetimeout 120",  # a busy machine is no defect of the protocol
)  # fmt: skip

_AGAIN = ("maintenance flush dcache", "maintenance flush register-cache", "frame 0")
"""What makes gdb look again, and take the new place for the current one."""


class Gdb:
    """gdb with a trace as its target.

    Args:
        trace: The trace.
        elf: Program whose symbols gdb takes; None: the one in the trace.
        settings: gdb commands before it connects, such as `set remote noack-packet off`.
        target: What to connect to, such as `extended-remote :1234`; None: a server of its own, at the end of a pipe.
    """

    def __init__(
        self, trace: str | Path | None = None, *, elf: Path | None = None, settings: Sequence[str] = (),
        target: str | None = None,
    ) -> None:  # fmt: skip
        assert GDB is not None
        assert (trace is None) != (target is None)
        command = [GDB, "-q", "-nx"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._seen = b""
        try:
            self.ask("set prompt", *_SETTINGS, *settings)
            if elf is not None:
                self.ask(f"file {elf}")
            if target is None:
                target = f"remote | {shlex.join([sys.executable, '-m', 'rrdbg', 'gdb', '--stdio', str(trace)])}"
            self.greeting = self.ask(f"target {target}")[0]
            """What gdb printed when it connected."""
            connected = not target.startswith("remote |") or self.ask('printf "%lu", $icount')[0].isdecimal()
            assert connected, self.greeting
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Gdb:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let gdb quit."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def ask(self, *commands: str) -> list[str]:
        """Run commands where it stands and return what each prints."""
        answers: list[str] = []
        for at in range(0, len(commands), _BATCH):
            batch = commands[at : at + _BATCH]
            for command in batch:
                self.send(command)
            answers += [self.answer() for _ in batch]
        return answers

    def at(self, position: int | str, *commands: str) -> list[str]:
        """Go to a position, then run commands."""
        going = (f"monitor goto {position}", *_AGAIN)
        return self.ask(*going, *commands)[len(going) :]

    def goto(self, position: int | str) -> None:
        """Go to a position."""
        self.at(position)

    @property
    def icount(self) -> int:
        """The position where it stands."""
        return int(self.ask('printf "%lu", $icount')[0])

    def send(self, command: str) -> None:
        """Send a command; `answer` returns what it prints, in their order."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\necho {_MARK}\\n\n".encode())
        self._process.stdin.flush()

    def answer(self) -> str:
        """Return what the next command sent prints."""
        return self._read_to(f"{_MARK}\n".encode()).decode(errors="replace").removesuffix("\n")

    def wait_for(self, text: str) -> None:
        """Wait until a text appears in the answer that is under way."""
        end = time.monotonic() + PATIENCE_S
        while text.encode() not in self._seen:
            assert time.monotonic() < end, f"{text!r} did not come: {self._seen[-2000:]!r}"
            self._take()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def _read_to(self, mark: bytes) -> bytes:
        end = time.monotonic() + PATIENCE_S
        while mark not in self._seen:
            assert time.monotonic() < end, f"gdb does not answer: {self._seen[-2000:]!r}"
            self._take()
        text, _, self._seen = self._seen.partition(mark)
        return text

    def _take(self) -> None:
        """Take in what gdb has printed, if it comes within a second."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        if select.select([fd], [], [], 1)[0]:
            data = os.read(fd, 1 << 16)
            assert data, f"gdb is gone: {self._seen[-2000:]!r}"
            self._seen += data
