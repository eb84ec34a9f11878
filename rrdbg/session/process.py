"""The engine's process. A face that starts it first has its own imports behind it by the time the engine answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import BinaryIO, NoReturn

from rrdbg_core.errors import RrdbgError

PATIENCE = 0.002
"""Seconds between two looks whether a copy has ended."""

_RUN = "from rrdbg.session.server import main; main()"


class EngineProcess:
    """An engine that waits for its first message.

    Args:
        fork: This process has only just started. Then the engine is a copy of it where that is safe, and need not start
            Python and import once more what is there.

    Raises:
        RrdbgError: The operating system starts no process.
    """

    def __init__(self, *, fork: bool = False) -> None:
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115 - what the process says as it dies
        try:
            if fork and _alone():
                self._process: _Copy | subprocess.Popen[bytes] = _Copy(self._talk)
            else:
                self._process = _start(self._talk)
        except OSError as error:
            self._talk.close()
            raise RrdbgError(f"cannot start the engine's process: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin = self._process.stdin
        """Where it takes messages from."""
        self.stdout = self._process.stdout
        """Where its answers come from."""

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit status. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def died(self) -> tuple[int | None, list[str]]:
        """Return the exit status of a process that answers no more, None if it still runs, and the last it said."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._talk.seek(0)
        return self._process.poll(), self._talk.read().decode(errors="replace").strip().splitlines()[-3:]

    def end(self) -> None:
        """End it; waits a moment for it to end by itself."""
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):
                stream.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._talk.close()


def _start(errors: BinaryIO) -> subprocess.Popen[bytes]:
    # -P: a module in the folder where the user stands, which may be anyone's, is not ours. -c takes less than -m.
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=os.name == "posix",
    )


def _alone() -> bool:
    """Return whether no other thread of this process can hold a lock that its copy would never get.

    Elsewhere than on Linux nobody knows what system libraries do behind one's back.
    """
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


class _Copy:
    """A copy of this process that serves its standard input and output: as much of `Popen` as is needed."""

    def __init__(self, errors: BinaryIO) -> None:
        taken, ours = os.pipe()
        self.stdin = os.fdopen(ours, "wb")
        ours, given = os.pipe()
        self.stdout = os.fdopen(ours, "rb")
        sys.stdout.flush()
        sys.stderr.flush()
        self._status: int | None = None
        self._lock = threading.Lock()
        self.pid = os.fork()
        if not self.pid:
            _serve(taken, given, errors.fileno())
        os.close(taken)
        os.close(given)

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        with self._lock:
            if self._status is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # SIGCHLD is ignored, and nobody will ever know
                    self._status = 0
                else:
                    self._status = os.waitstatus_to_exitcode(status) if pid else None
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit status. Raises subprocess.TimeoutExpired."""
        began = time.monotonic()
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() - began >= timeout:
                raise subprocess.TimeoutExpired("the engine", timeout)
            time.sleep(PATIENCE)
        return status

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _serve(*standard: int) -> NoReturn:
    """Be the engine, with standard input, output and error."""
    try:
        os.setsid()
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stderr = os.fdopen(2, "w", closefd=False)
        if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
            del sys.path[0]  # as for `_start`: this is `python -m rrdbg`
        from rrdbg.session.server import main

        main()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)
