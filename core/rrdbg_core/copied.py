"""A copy of this process that does something else: it has imported what it needs, and is ready in 20 ms, not in 250.

Only a process without other threads is copied, but for such as are known: what they hold locked would stay locked for
ever.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import NoReturn
from weakref import WeakSet

harmless: WeakSet[threading.Thread] = WeakSet()
"""Threads that hold no lock that a copy wants which does the same work as this process."""


def possible(own: Iterable[threading.Thread]) -> bool:
    """Return whether this process can be copied.

    Args:
        own: Threads that hold no lock that the copy will want.
    """
    known = {threading.current_thread(), *own}
    return sys.platform == "linux" and all(thread in known for thread in threading.enumerate())


class Copied:
    """A copy of this process that does something else: what `subprocess.Popen` is for a program.

    Args:
        main: What it does, with a pipe as standard input and one as standard output.
        stderr: Descriptor of the file that it has as standard error, or `subprocess.DEVNULL`.
        keep: Other descriptors that stay open in it.

    Raises:
        OSError: There are no more processes or files.
    """

    def __init__(self, main: Callable[[], object], stderr: int, keep: Collection[int] = ()) -> None:
        self._dying = threading.Lock()
        self.returncode: int | None = None
        """As that of `Popen`; None while it has not been waited for."""
        ends = [*os.pipe()]
        try:
            ends += os.pipe()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, about the threads that are ours
                self.pid = os.fork()
                """Of the copy."""
        except OSError:
            for end in ends:
                os.close(end)
            raise
        source, to_copy, from_copy, sink = ends
        if self.pid == 0:
            _begin(main, source, sink, stderr, keep)
        os.close(source)
        os.close(sink)
        self.stdin = open(to_copy, "wb", buffering=0)  # noqa: SIM115
        """What it reads."""
        self.stdout = open(from_copy, "rb", buffering=0)  # noqa: SIM115
        """What it writes."""

    def alive(self) -> bool:
        """Return whether it has not ended yet."""
        try:
            return (
                self.returncode is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            )
        except ChildProcessError:  # somebody has waited for all processes
            return False

    def kill(self) -> None:
        """Kill it, if it has not been waited for."""
        with self._dying:
            if self.returncode is None:
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end and return `returncode`."""
        if self.returncode is None:
            with suppress(ChildProcessError):  # somebody has waited for all processes
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with self._dying:  # from here on its number may be another process's
                self.returncode = -signal.SIGKILL
                with suppress(ChildProcessError):
                    self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _begin(main: Callable[[], object], source: int, sink: int, stderr: int, keep: Collection[int]) -> NoReturn:
    """Forget what this process was, and do something else until the end."""
    try:
        # nothing of what it was is ever finished, closed or deleted here
        gc.disable()
        gc.freeze()
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        _keep_only(source, sink, stderr, keep)
        sys.excepthook, sys.stderr = sys.__excepthook__, sys.__stderr__
        main()
    except BaseException:
        with suppress(BaseException):
            traceback.print_exc()
    finally:
        os._exit(1)


def _keep_only(source: int, sink: int, stderr: int, keep: Collection[int]) -> None:
    """Make three files standard input, output and error, and close all others but those to keep."""
    import fcntl

    if stderr == subprocess.DEVNULL:
        stderr = os.open(os.devnull, os.O_WRONLY)
    # first out of the way of one another
    for number, file in enumerate([fcntl.fcntl(file, fcntl.F_DUPFD, 3) for file in (source, sink, stderr)]):
        os.dup2(file, number)
    low = 3
    for kept in sorted(keep):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, 1 + max(map(int, os.listdir("/proc/self/fd"))))
