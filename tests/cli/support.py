"""Runs the command line as users do: as a process, with pipes or with a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

RRDBG = [sys.executable, "-m", "rrdbg"]
PATIENCE_S = 120.0
"""Longer than anything here takes; only a hang meets it."""


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    code: int
    out: bytes
    err: str

    def told(self, code: int, *words: str) -> None:
        """Check that it failed as it should: its code, one message with these words, no traceback, no data."""
        assert "Traceback" not in self.err
        assert self.code == code, self.err
        assert self.out == b""
        said = [line for line in self.err.splitlines() if line.startswith("rrdbg: ")]
        assert len(said) == 1, self.err
        for word in words:
            assert word in self.err, self.err


def run(*args: str | Path, **kwargs: object) -> Outcome:
    """Run a command line in a process of its own, to its end; `kwargs` go to `subprocess.run`."""
    options: dict[str, object] = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": PATIENCE_S}
    command = [*RRDBG, *map(str, args)]
    done = subprocess.run(command, check=False, **(options | kwargs))  # type: ignore[call-overload]
    return Outcome(done.returncode, done.stdout or b"", (done.stderr or b"").decode(errors="replace"))


Cli = Callable[..., Outcome]
"""Runs a command line in this process, without standard input."""


class Terminal:
    """A command line on a pseudo terminal of its own, driven as with expect."""

    def __init__(
        self, *args: str | Path, cwd: Path | None = None, stdout: int | None = None, session: bool = True
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.modes = termios.tcgetattr(self.slave)
        self.seen = b""
        self._from = 0
        self.process = subprocess.Popen(
            [*RRDBG, *map(str, args)],
            stdin=self.slave,
            stdout=self.slave if stdout is None else stdout,
            stderr=self.slave,
            cwd=cwd,
            # the kernel stops no process whose parent is in another session
            start_new_session=session,
            process_group=None if session else 0,
            preexec_fn=self._take_terminal if session else None,
        )

    def _take_terminal(self) -> None:
        import fcntl

        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)

    def expect(self, text: str) -> None:
        """Wait until the screen shows a text behind what was expected before."""
        wanted = text.encode()
        end = time.monotonic() + PATIENCE_S
        while (at := self.seen.find(wanted, self._from)) < 0:
            assert time.monotonic() < end, f"{text!r} did not come: {self.seen[self._from :]!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 4096)
        self._from = at + len(wanted)

    def type(self, text: str) -> None:
        """Type."""
        os.write(self.master, text.encode())

    def raw(self) -> bool:
        """Return whether the terminal is in raw mode."""
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def await_mode(self, *, raw: bool) -> None:
        """Wait until the terminal is raw, or is not."""
        end = time.monotonic() + PATIENCE_S
        while self.raw() != raw:
            alive = self.process.poll() is None
            assert alive, os.read(self.master, 4096)
            assert time.monotonic() < end
            time.sleep(0.01)

    def restored(self) -> bool:
        """Return whether the terminal is exactly as it was."""
        return termios.tcgetattr(self.slave) == self.modes

    def signal(self, name: str) -> None:
        """Send a signal to the process."""
        self.process.send_signal(getattr(signal, name))

    def end(self) -> int:
        """Wait for the end, reading what comes, and return the exit code."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, f"no end: {self.seen[self._from :]!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 4096)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 4096)
        return self.process.returncode
