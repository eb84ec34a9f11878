"""A recording under way in a process of its own: watch it, pause it, type into its guest, end it.

The recorder ends when its input ends: whoever watches and dies, however he dies, leaves a whole trace behind. It writes
the trace; who wants to look at the guest opens that file in a session, which takes in what is added.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, cast

from rrdbg_core.errors import RrdbgError
from rrdbg_core.frozen import Frozen

from rrdbg.session.codec import unpack_error
from rrdbg.session.pipe import Channel
from rrdbg.session.values import ConsoleOutput

PATIENCE_S = 30.0
"""How long a recorder may take to write the end of its trace before it is killed."""

ABANDONED_S = 2.0
"""The same for one that is still getting ready: it may be compiling the guest CPU."""


class State(Frozen):
    """How far a recording is, told some twenty times a second."""

    icount: int
    """Steps so far."""
    virtual_ns: int
    """The virtual clock."""
    trace_bytes: int
    """Size of the trace so far."""
    events: int
    """Journal events so far."""
    host_seconds: float
    """Host time since the first step, without pauses."""
    idle: bool
    """The guest waits for input or for a timer, in host time."""
    promised: int
    """Position up to which the trace replays."""
    paused: bool
    """It stands still because it was asked to; `promised` is then as near to `icount` as a position can be."""


class Printed(Frozen):
    """The guest has printed."""

    chunks: ConsoleOutput
    """What, by position; at least one."""


class Ended(Frozen):
    """A recording has ended, as it was to."""

    icount: int
    """Its last position."""
    exit_code: int
    """What `rrdbg record` exits with."""
    lines: tuple[str, ...]
    """What `rrdbg record` says about it: the first line says why it ended."""


class Broken(Frozen):
    """A recording has ended because of an error, or its process died. What it has written replays."""

    error: RrdbgError
    """What went wrong."""


class Misuse(Frozen):
    """The guest used a device wrongly."""

    text: str
    """What it did, and where."""


Report = State | Printed | Ended | Broken | Misuse
"""What a recorder reports."""


def pack_output(pieces: Sequence[tuple[int, bytes]]) -> tuple[bytes, bytes, bytes]:
    """Return pieces of output, each with its position, as few values: a guest may print a byte at a time."""
    positions, sizes = array("q"), array("I")
    for at, data in pieces:
        if positions and positions[-1] == at:
            sizes[-1] += len(data)
        else:
            positions.append(at)
            sizes.append(len(data))
    return positions.tobytes(), sizes.tobytes(), b"".join(data for _, data in pieces)


def unpack_output(positions: bytes, sizes: bytes, data: bytes) -> ConsoleOutput:
    """Return the pieces, those of one position as one."""
    return ConsoleOutput(positions, array("q", accumulate(array("I", sizes))).tobytes(), data)


class LiveRecorder:
    """The recorder's process, seen from outside.

    Args:
        command: Arguments for Python that start it.
        options: What to record, for the process to make sense of.
        say: Called with what it says before the guest starts, for instance that the guest CPU is compiled.

    Raises:
        RrdbgError: It cannot be started, or cannot record that.
    """

    def __init__(
        self, command: Sequence[str], options: Mapping[str, Any], say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115 - what the process says as it dies
        try:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._talk,
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            raise RrdbgError(f"cannot start the recorder's process: {error.strerror}") from error
        self._channel = Channel(cast(Any, self._process.stdout), cast(Any, self._process.stdin))
        self._say = say
        self._early: list[Report] = []
        self._thread: threading.Thread | None = None
        self.path = ""
        """The trace; known once the recording has started."""
        self.outcome: Ended | Broken | None = None
        """How the recording ended, once it has."""
        self._send("record", dict(options))

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def started(self) -> str:
        """Wait until the guest runs, and return the path of the trace, which can be opened now.

        Raises:
            RrdbgError: It cannot be recorded.
        """
        while not self.path and self.outcome is None:
            self._take(self._receive(), self._early.append)
        if isinstance(self.outcome, Broken):
            self._reap()
            raise self.outcome.error
        return self.path

    def watch(self, report: Callable[[Report], object]) -> None:
        """Have everything reported from now on, in a thread of its own; `Ended` or `Broken` is the last report."""

        def read() -> None:
            for early in self._early:
                report(early)
            while self.outcome is None:
                self._take(self._receive(), report)

        self._thread = threading.Thread(target=read, name="rrdbg-recorder", daemon=True)
        self._thread.start()

    # what it shall do; any thread may ask, and once the recording has ended nothing happens

    def pause(self) -> None:
        """Stand still before the next step; a `State` tells when it does."""
        self._send("pause")

    def resume(self) -> None:
        """Go on."""
        self._send("resume")

    def sync(self) -> None:
        """Put everything so far into the trace; a `State` tells when it is there."""
        self._send("sync")

    def type(self, data: bytes) -> None:
        """Type at the guest's console."""
        self._send("type", data)

    def reset(self) -> None:
        """Reset the guest."""
        self._send("reset")

    def stop(self) -> None:
        """End the recording."""
        self._send("stop")

    def close(self) -> Ended | Broken:
        """End the recording, wait until its trace is whole, and return how it went."""
        self.stop()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            if self._thread.is_alive():
                self._process.kill()
                self._thread.join()
        else:
            while self.outcome is None:
                self._take(self._receive(), lambda report: None)
        self._reap()
        assert self.outcome is not None
        return self.outcome

    def abandon(self) -> None:
        """End a recording that has not started to report: properly if it can be, else by force."""
        self.stop()
        self._reap(ABANDONED_S)

    # the pipe

    def _send(self, what: str, value: Any = None) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is gone; the reading side tells
            self._channel.send({"do": what, "with": value})

    def _receive(self) -> Any:
        try:
            return self._channel.receive()
        except (EOFError, OSError, ValueError):
            return {"died": None}

    def _take(self, message: Any, report: Callable[[Report], object]) -> None:
        (what, value), *_ = message.items()
        match what:
            case "console":
                report(Printed(unpack_output(*value)))
            case "state":
                report(State(*value))
            case "misuse":
                report(Misuse(value))
            case "say":
                self._say(value)
            case "started":
                self.path = value
            case "ended":
                self.outcome = Ended(*value)
            case "failed":
                self.outcome = Broken(unpack_error(value))
            case "died":
                self.outcome = Broken(self._died())
        if self.outcome is not None:
            report(self.outcome)

    def _died(self) -> RrdbgError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.poll()
        self._talk.seek(0)
        said = self._talk.read().decode(errors="replace").strip().splitlines()[-3:]
        if code is None:
            how = "does not answer any more"
        else:
            how = f"was killed (signal {-code})" if code < 0 else f"ended (exit status {code})"
        return RrdbgError(
            f"the recorder's process {how}{': ' + ' / '.join(said) if said else ''}",
            hint=f"what it had written until then replays: {self.path}" if self.path else None,
        )

    def _reap(self, patience_s: float = PATIENCE_S) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._talk.close()
