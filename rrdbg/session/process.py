"""The engine's process. A face that starts it first has its own imports behind it by the time the engine answers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress

from rrdbg_core.errors import RrdbgError

_RUN = "from rrdbg.session.server import main; main()"


class EngineProcess:
    """An engine that waits for its first message.

    Raises:
        RrdbgError: The operating system starts no process.
    """

    def __init__(self) -> None:
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115 - what the process says as it dies
        # -P: a module in the folder where the user stands, which may be anyone's, is not ours. -c takes less than -m.
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-c", _RUN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._talk,
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            self._talk.close()
            raise RrdbgError(f"cannot start the engine's process: {error.strerror}") from error
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self.stdin = self._popen.stdin
        """Where it takes messages from."""
        self.stdout = self._popen.stdout
        """Where its answers come from."""

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._popen.pid

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit status. Raises subprocess.TimeoutExpired."""
        return self._popen.wait(timeout)

    def died(self) -> tuple[int | None, list[str]]:
        """Return the exit status of a process that answers no more, None if it still runs, and the last it said."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(1)
        self._talk.seek(0)
        return self._popen.poll(), self._talk.read().decode(errors="replace").strip().splitlines()[-3:]

    def end(self) -> None:
        """End it; waits a moment for it to end by itself."""
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):
                stream.close()
        try:
            self._popen.wait(2)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._talk.close()
