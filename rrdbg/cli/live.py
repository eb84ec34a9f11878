"""The recorder's process under `rrdbg record --tui`: it records, reports, and does what comes through its input.

It ends when its input ends, with a whole trace.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import Namespace
from collections import deque
from types import FrameType
from typing import Any

from rrdbg_core.cpu import build
from rrdbg_core.cpu.regions.client import prepare
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.replay.console_input import HostInput
from rrdbg_core.replay.control import Control
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Progress

from rrdbg.cli import recording
from rrdbg.cli.stats import lines as stats_lines
from rrdbg.cli.summary import exit_code, summary
from rrdbg.cli.terminal import count
from rrdbg.session.codec import pack_error
from rrdbg.session.live import pack_output
from rrdbg.session.pipe import Channel

COMMAND = ("-m", "rrdbg.cli.live")
"""Arguments for Python that start this."""
REPORTS_HZ = 25
"""Reports a second, at most."""
MAX_WAITING = 4 << 20
"""Bytes of console output that wait for a reader before the guest has to, as at a terminal that is held."""
MAX_MISUSES = 20
"""Times that a guest's misuse of a device is told."""


class Reporter:
    """Sends reports from a thread of its own: the guest does not wait for the pipe; output goes out in few messages.

    A guest may print byte by byte: what it prints is put into a queue without a lock, and only a thread that sleeps is
    woken.

    Args:
        channel: Where to.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition()
        self._console: deque[tuple[int, bytes]] = deque()
        self._printed = 0  # bytes put into the queue, and bytes taken out of it: each written by one thread only
        self._taken = 0
        self._asleep = False
        self._state: tuple[Any, ...] | None = None
        self._others: list[dict[str, Any]] = []
        self._over = False
        self.gone = False
        """Nobody listens any more."""
        self._thread = threading.Thread(target=self._run, name="rrdbg-reports", daemon=True)
        self._thread.start()

    def printed(self, step: int, data: bytes) -> None:
        """Report what the guest printed in a step."""
        if self._printed - self._taken > MAX_WAITING:
            with self._changed:
                self._changed.wait_for(lambda: self._printed - self._taken <= MAX_WAITING or self.gone)
        self._console.append((step + 1, data))
        self._printed += len(data)
        if self._asleep:  # it says so before it looks for something to do
            with self._changed:
                self._changed.notify_all()

    def state(self, progress: Progress) -> None:
        """Report how far it is; an older state that still waits is not sent."""
        with self._changed:
            self._state = (
                progress.icount,
                progress.virtual_ns,
                progress.trace_bytes,
                progress.events,
                progress.host_seconds,
                progress.idle,
                progress.promised,
                progress.paused,
            )
            self._changed.notify_all()

    def send(self, what: str, value: Any) -> None:
        """Report anything else."""
        with self._changed:
            self._others.append({what: value})
            self._changed.notify_all()

    def finish(self) -> None:
        """Send everything that waits."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        over = False
        while not (over or self.gone):
            with self._changed:
                self._asleep = True
                self._changed.wait_for(lambda: self._console or self._state or self._others or self._over)
                self._asleep = False
                state, others, over = self._state, self._others, self._over
                self._state, self._others = None, []
            console = [self._console.popleft() for _ in range(len(self._console))]
            with self._changed:
                self._taken += sum(len(data) for _, data in console)
                self._changed.notify_all()
            try:
                if console:
                    self._channel.send({"console": pack_output(console)})
                if state is not None:
                    self._channel.send({"state": state})
                for message in others:
                    self._channel.send(message)
            except OSError:
                with self._changed:
                    self.gone = True
                    self._changed.notify_all()
            if not over:
                threading.Event().wait(1 / REPORTS_HZ)


class Live:
    """One recording for somebody at the other end of a pipe."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._reporter = Reporter(channel)
        self._control = Control()
        self._source: LiveSource | None = None
        self._input: HostInput | None = None
        self._signalled = self._left = False
        self._misuses = 0
        self._first_misuse = ""

    def run(self) -> None:
        """Record what the first message says, to its end."""
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)
        try:
            message = self._channel.receive()
            self._record(Namespace(**message["with"]))
        except (EOFError, OSError):
            return  # nobody is there
        except MemoryError:
            error = RrdbgError(
                "the host has not enough memory for this guest",
                hint="try less RAM: record --memory 128M",
                exit_code=ExitCode.HOST_IO,
            )
            self._reporter.send("failed", pack_error(error))
        except Exception as error:  # whatever it is, the face has to hear of it
            self._reporter.send("failed", pack_error(error))
        self._reporter.finish()

    def _record(self, args: Namespace) -> None:
        plan = recording.plan(args)
        build.load(lambda text: self._reporter.send("say", text))
        if isinstance(plan.input, HostInput):
            self._input = plan.input
        self._source = plan.source(plan.input, warp=args.warp)
        threading.Thread(target=self._listen, name="rrdbg-control", daemon=True).start()
        result = plan.record(
            self._source,
            interrupt=lambda: self._left or self._signalled or self._reporter.gone,
            on_progress=self._reporter.state,
            on_console=self._reporter.printed,
            on_guest_error=self._on_guest_error,
            on_start=lambda: self._reporter.send("started", os.path.abspath(plan.output)),
            control=self._control,
        )
        reason = result.ending.reason
        if reason == "interrupted" and not self._signalled:
            reason = "user"
        lines = summary(result, reason, plan.output, self._first_misuse)
        if args.embed_sources:
            lines.insert(-1, plan.sources.text())
        if args.stats:
            lines += ["what it did and cost:", *stats_lines(result.stats)]
        code = exit_code(reason, result.ending.exit_code)
        self._reporter.send("ended", (result.ending.icount, int(code), tuple(lines)))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True

    def _on_guest_error(self, icount: int, device: str, text: str) -> None:
        what = f"{device}: {text}, at icount {count(icount)}"
        self._first_misuse = self._first_misuse or what
        self._misuses += 1
        if self._misuses <= MAX_MISUSES:
            self._reporter.send("misuse", what)

    def _listen(self) -> None:
        """Take in what is asked for, in a thread of its own."""
        assert self._source is not None
        while not self._left:
            try:
                message = self._channel.receive()
            except (EOFError, OSError, ValueError):
                message = {"do": "stop"}
            match message["do"]:
                case "pause":
                    self._control.pause()
                case "resume":
                    self._control.resume()
                case "sync":
                    self._control.sync()
                case "type" if self._input is not None:
                    self._input.feed(message["with"])
                case "reset":
                    self._source.request_reset()
                case "stop":
                    self._left = True
                    self._source.nudge()


def main() -> None:
    """Serve the process's standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the face decides what Ctrl-C means
    prepare()
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed by mistake must not get into the frames
    Live(Channel(sys.stdin.buffer, outgoing)).run()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
