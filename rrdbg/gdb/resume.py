"""Moving: what gdb's resumptions mean in a trace, and what it is told where they end.

Watchpoints are reported as RISC-V's triggers report them, and as gdb expects it of RISC-V: before the access. gdb then
makes the one step that accesses, without its watchpoints, and looks at the value. Backwards all this is mirrored: the
stop is reported behind the access, and gdb undoes the step. So both directions end where the session ends them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rrdbg_core.errors import RrdbgError

from rrdbg.gdb import description
from rrdbg.gdb.fields import little
from rrdbg.gdb.interrupts import Here, Stepper
from rrdbg.gdb.points import SOFTWARE, ClientPoints, Place
from rrdbg.session.api import Cancelled, Progress, Session, Stop, StopReason
from rrdbg.session.errors import EngineDied

T = TypeVar("T")

SIGINT, SIGTRAP = 2, 5
_EXPEDITED = {2: "sp", 8: "s0", description.PC: "pc", description.ICOUNT: "icount"}
"""Registers that every stop reply carries: gdb needs them at once."""
_PATIENCE, _PERIOD = 3.0, 5.0
"""Seconds until a search tells how far it is, and between two such lines."""


@dataclass
class Client:
    """What the connected client understands."""

    features: frozenset[str] = frozenset()
    """What it said in qSupported: `swbreak`, `error-message`, ..."""
    acknowledging: bool = True
    """Whether packets are acknowledged."""
    said: set[str] = field(default_factory=set)
    """Hints that it was given: each once."""
    physical: bool = False
    """Whether the addresses of memory that it reads are physical ones."""


class Runner:
    """Runs the session's motions for a client, and hears its Ctrl-C."""

    def __init__(self, session: Session, points: ClientPoints, client: Client, say: Callable[[str], None]) -> None:
        self._session = session
        self._points = points
        self.client = client
        """What the client understands."""
        self._say = say
        self._next_line = 0.0
        self._due: tuple[int, bool] | None = None
        self.here = Here(session)
        self.stepper = Stepper(session, self.here)
        self.interrupted: Callable[[], bool] = lambda: False
        """Returns whether the client, or its end, wants what runs to end."""

    def interrupt(self) -> None:
        """End what runs; `interrupted` is true already. From any thread."""
        self._session.cancel()

    def go(self, *, backwards: bool = False) -> bytes:
        """Run to the next or the previous stop, and return the stop reply."""

        def move() -> bytes:
            if self._take_due(backwards):
                self._tick(-1 if backwards else 1)
                pc = self.here["pc"]
                places = [place for place in self._points.places if place.is_break and place.address == pc]
                if places:
                    return self.reply(reason=self._break_reason(places))
            self.here.forget()
            return self._reply_to(self._session.reverse_continue() if backwards else self._session.continue_())

        return self._run(move)

    def step(self, *, backwards: bool = False) -> bytes:
        """Make or undo a step, and return the stop reply."""

        def move() -> bytes:
            if self._take_due(backwards):
                self._tick(-1 if backwards else 1)
                return self.reply()
            return self._reply_to(self.stepper.step_back() if backwards else self.stepper.step())

        return self._run(move)

    def step_range(self, lo: int, hi: int) -> bytes:
        """Step until pc leaves lo <= pc < hi, and return the stop reply."""

        def move() -> bytes:
            if self._take_due(False):
                self._tick(1)
                return self.reply()
            return self._reply_to(self.stepper.step_range(lo, hi))

        return self._run(move)

    def _tick(self, count: int) -> None:
        self.here.forget()
        self._session.tick(count)

    def _take_due(self, backwards: bool) -> bool:
        """Return whether the step to come is one whose watchpoints were reported already."""
        due, self._due = self._due, None
        return due is not None and due == (self.here["icount"], backwards)

    def _run(self, move: Callable[[], bytes]) -> bytes:
        start = self.here["icount"]
        self._points.settle()
        try:
            return self.attend(move)
        except Cancelled:
            self.here.forget()
            here = self.here["icount"]
            where = f"; back where it started, at position {here:_}" if here == start else f" at position {here:_}"
            self._say(f"Interrupted{where}.\n")
            return self.reply(SIGINT)
        except EngineDied:
            raise
        except RrdbgError as error:
            self._say(f"{error}\n")
            return self.reply()

    def command(self, work: Callable[[], T]) -> T:
        """Run a command of the user's, which may move as well."""
        self._due = None
        self._points.settle()
        try:
            return self.attend(work)
        finally:
            self.here.forget()

    def arrive(self, position: str) -> bytes:
        """Go to a position, and return the stop reply."""
        self._due = None
        self.here.forget()
        self.attend(lambda: self._session.goto(position))
        return self.reply()

    def attend(self, work: Callable[[], T]) -> T:
        """Do something that may take long: it can be interrupted, and tells how far it is."""
        if self.interrupted():
            raise Cancelled("it was cancelled")
        self._next_line = time.monotonic() + _PATIENCE
        self._session.on_progress = self._progress
        try:
            return work()
        finally:
            self._session.on_progress = None

    def _progress(self, progress: Progress) -> None:
        if self.interrupted():
            # the first attempt may have come just before the call began
            self._session.cancel()
            return
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + _PERIOD
            self._say(f"{progress_text(progress)}\n")

    # stop replies

    def reply(self, signal: int = SIGTRAP, reason: str = "") -> bytes:
        """Return a stop reply for where the session stands."""
        registers = b"".join(b"%x:%b;" % (number, little(self.here[name])) for number, name in _EXPEDITED.items())
        return b"T%02x%b%bthread:1;" % (signal, reason.encode(), registers)

    def _reply_to(self, stop: Stop) -> bytes:
        if stop.reason is StopReason.START:
            return self.reply(reason="replaylog:begin;")
        if stop.reason is StopReason.END:
            self._say(f"{stop.text.splitlines()[0]}\n")
            return self.reply(reason="replaylog:end;")
        places = [place for number in stop.points if (place := self._points.place_of(number)) is not None]
        if len(places) < len(stop.points):
            # one of the user's own, set with `monitor`: gdb does not know it
            self._say(f"{stop.text}\n")
            if not places:
                return self.reply(0)
        watches = [place for place in places if not place.is_break]
        if watches:
            return self._accessing(stop, watches)
        return self.reply(reason=self._break_reason(places))

    def _accessing(self, stop: Stop, watches: list[Place]) -> bytes:
        """Return the reply for watchpoints that hit in the step behind us (before us, going back)."""
        self._tick(1 if stop.reverse else -1)
        self._due = (self.here["icount"], stop.reverse)
        word = {2: "watch", 3: "rwatch", 4: "awatch"}[watches[0].type]
        # gdb looks for the watchpoints around this address; an access may begin before what is watched
        address = max([place.address for place in watches] + ([stop.address] if stop.address is not None else []))
        return self.reply(reason=f"{word}:{address:x};")

    def _break_reason(self, places: list[Place]) -> str:
        for place in places:
            word = "swbreak" if place.type == SOFTWARE else "hwbreak"
            if word in self.client.features:
                return f"{word}:;"
        return ""


def progress_text(progress: Progress) -> str:
    """Return a line about how far a search is."""
    parts = [] if progress.share is None else [f"{progress.share:.0%}"]
    if progress.rate >= 1e6:
        parts.append(f"{progress.rate / 1e6:.0f} M steps/s")
    if progress.eta is not None:
        parts.append(f"{progress.eta:.0f} s left at most")
    return f"{progress.title}: {', '.join(parts) or '...'}"
