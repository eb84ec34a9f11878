"""What all parts of a session share: the engine, the symbols, progress, and cancellation."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rrdbg_core.cpu import layout as L
from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import Location, Progress, ProgressCallback, When
from rrdbg.session.engine import Engine
from rrdbg.session.errors import Cancelled
from rrdbg.session.source import TraceSource
from rrdbg.session.symbols_here import SymbolsHere
from rrdbg.session.userdata import UserData
from rrdbg.symbols.table import SymbolTable

PROGRESS_PERIOD = 0.1
"""Seconds between two reports."""

_IDLE, _RUNNING, _GOING_HOME = range(3)

PRIVS = {0: "U", 1: "S", 3: "M"}


class SessionBase:
    """State of a session, and the bracket around everything that may take long."""

    def __init__(self, engine: Engine, source: TraceSource, symbols: SymbolTable, user: UserData) -> None:
        self._engine = engine
        self._source = source
        self._user = user
        self._closed = False
        self._cancel = False
        self._lock = threading.RLock()  # a signal handler may cancel while its own thread holds it
        self._state = _IDLE
        self._title = ""
        self._span: tuple[int, int] = (0, 0)
        self._started = 0.0
        self._reported = 0.0
        self.on_progress: ProgressCallback | None = None
        engine.poll = self._poll
        self._symbols_here = SymbolsHere(engine, symbols, self._ram_span, self._work)

    @property
    def _symbols(self) -> SymbolTable:
        """The symbols that hold where the guest stands."""
        return self._symbols_here.table()

    def _ram_span(self) -> tuple[int, int]:
        info = self._source.info()
        return info.ram_base, info.ram_bytes

    # the bracket

    @contextlib.contextmanager
    def _work(self, title: str, start: int = 0, goal: int = 0) -> Iterator[None]:
        """Run something long: on any error, a cancellation included, the session stands where it stood before.

        Args:
            title: For progress reports.
            start: Position where the work starts.
            goal: Position where it ends at the latest; may lie before `start`.
        """
        self._check_open()
        if self._state:  # part of something longer, which goes home
            yield
            return
        before, undo = self._engine.icount, self._remember()
        self._title, self._span = title, (start, goal)
        self._started = self._reported = time.monotonic()
        self._state = _RUNNING
        self._engine.home = before
        try:
            yield
        except BaseException:
            self._state = _GOING_HOME
            undo()
            if self._engine.icount != before:
                self._engine.seek(before)
            raise
        finally:
            self._engine.home = None
            with self._lock:
                self._state, self._cancel = _IDLE, False

    def _remember(self) -> Callable[[], None]:
        """Return what undoes, after an error, what a motion does to the session beside moving it."""
        return lambda: None

    @contextlib.contextmanager
    def _excursion(self, title: str, start: int = 0, goal: int = 0) -> Iterator[None]:
        """Look elsewhere and come back."""
        with self._work(title, start, goal):
            home = self._engine.icount
            yield
            if self._engine.icount != home:
                self._engine.seek(home)

    def _poll(self, icount: int) -> None:
        """Called by the engine while it runs."""
        if self._state == _GOING_HOME:
            return
        if self._cancel:
            raise Cancelled(f"{self._title or 'it'} was cancelled")
        now = time.monotonic()
        if self.on_progress is None or now - self._reported < PROGRESS_PERIOD:
            return
        self._reported = now
        self.on_progress(self._progress(icount, now))

    def _progress(self, icount: int, now: float) -> Progress:
        start, goal = self._span
        total = abs(goal - start)
        # backwards, windows are walked forwards: what counts is how far the oldest one is
        done = max(0, min(abs(icount - start), total))
        rate = done / max(now - self._started, 1e-9)
        return Progress(self._title, done, total, rate, (total - done) / rate if rate and total else None)

    def cancel(self) -> bool:
        """Make the call that now runs raise `Cancelled` soon, and return whether there is one."""
        with self._lock:
            self._cancel = self._state == _RUNNING
            return self._state != _IDLE

    def cancel_next(self) -> None:
        """Make the call that now runs, or that is about to start, raise `Cancelled`: for the engine's process."""
        with self._lock:
            self._cancel = self._state != _GOING_HOME

    def cancel_over(self) -> None:
        """Forget a cancellation that came too late."""
        self._cancel = False

    def _check_open(self) -> None:
        if self._closed:
            raise RrdbgError("the session is closed", hint="rrdbg.open opens the trace again")

    # where

    @property
    def icount(self) -> int:
        """The current position."""
        self._check_open()
        return self._engine.icount

    @property
    def pc(self) -> int:
        """The selected hart's program counter."""
        self._check_open()
        return int(self._engine.hart[L.PC])

    @property
    def end(self) -> int:
        """The last position."""
        return self._engine.end

    def locate(self, address: int) -> Location:
        """Return an address by name."""
        return location_of(self._symbols, address)

    def when(self) -> When:
        """Return where the session stands."""
        self._check_open()
        hart = self._engine.hart
        pc, icount = int(hart[L.PC]), self._engine.icount
        return When(
            icount,
            self._engine.end,
            self._source.virtual_at(icount),
            0,
            PRIVS.get(int(hart[L.PRIV]), "?"),
            pc,
            self.locate(pc),
            bool(hart[L.WFI]),
        )


def location_of(names: SymbolTable, address: int) -> Location:
    """Return an address by name."""
    symbol = names.around(address)
    line = names.line(address)
    return Location(
        address,
        symbol.name if symbol else "",
        address - symbol.address if symbol else 0,
        line.file if line else "",
        line.line if line else 0,
    )
