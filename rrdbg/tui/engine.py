"""The thread that talks to the engine, so that the interface never waits.

Jobs run one after another in one thread. What they return, and how far they are, is posted to the app as messages; no
widget is touched here. A newer job of the same kind replaces one that still waits, so that dragging along the timeline
seeks to the latest place only.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual.message import Message

from rrdbg.session.api import Cancelled, Progress, ProgressCallback
from rrdbg.session.errors import EngineDied
from rrdbg.tui.source import Source

if TYPE_CHECKING:
    from textual.app import App

Opener = Callable[[ProgressCallback], Source]
"""Opens a trace, in the engine's thread; reports progress to the callback, as the session does ever after."""

PROGRESS_PERIOD = 0.08
"""Seconds between two progress messages: often enough to look alive."""

SOON = 0.045
"""Seconds from the key until it is told what the engine does: with the drawing that may be under way by then, and its
own, before a tenth of a second has passed, when users begin to wonder whether a key was heard. What is done by then
shows itself, and nothing flickers."""

SWITCH = 0.001
"""Seconds for which a thread may keep the interpreter: while the screen is drawn the engine's answers are waiting, and
an answer has many parts."""

SHOWN, AROUND, LATER = 1, 2, 3
"""Background work: what panes on the screen show, what the timeline does, and what fills lists."""

STALE = 0.4
"""Seconds after which a seek is given up for a newer one; a quicker one is let finish, or a fast drag shows nothing."""


UNKNOWN = 0.02
"""Seconds that a step takes before one was made."""


class Done(Message):
    """A job ended well."""

    def __init__(
        self, kind: str, value: Any, then: Callable[[Any], None] | None, *, background: int = 0, last: bool = True
    ) -> None:
        self.kind = kind
        """Kind of the job."""
        self.value = value
        """What it returned."""
        self.then = then
        """What the interface does with it, in its own thread."""
        self.background = background
        """As that of the job."""
        self.last = last
        """Whether nothing else that the screen shows is waited for."""
        super().__init__()


class Failed(Message):
    """A job ended with an error that has a message for the user."""

    def __init__(self, kind: str, error: BaseException, job: Job | None = None) -> None:
        self.kind = kind
        """Kind of the job."""
        self.job = job
        """The job; None: the trace did not open."""
        self.error = error
        """What was raised."""
        super().__init__()


class Advanced(Message):
    """How far the running job is."""

    def __init__(self, progress: Progress, job: Job | None) -> None:
        self.progress = progress
        """As the session reports it."""
        self.job = job
        """The job; None: the trace is being opened."""
        super().__init__()


class Rested(Message):
    """The engine has nothing left to do that the user waits for."""


@dataclass(slots=True)
class Job:
    """Something to do with the source."""

    kind: str
    """Jobs of one kind that wait replace each other; "" replaces none."""
    title: str
    """What the status line says if it takes long; empty: nothing is said, and it is not cancelled."""
    work: Callable[[Source], Any]
    """Runs in the engine's thread."""
    then: Callable[[Any], None] | None = None
    """Runs in the interface with the result."""
    background: int = 0
    """0: the user waits for it. Higher: `SHOWN`, `AROUND` or `LATER`; it waits while anything more urgent does, gives
    way to it when it runs, and then starts again."""
    count: int = 1
    """How often it is done: one that waits can grow while a key is held down."""
    asked: float = field(default_factory=time.monotonic)
    """When it was asked for."""


class Engine:
    """Owns the source and the thread in which it is used."""

    def __init__(self, app: App[Any], open_source: Opener) -> None:
        self._app = app
        self._open = open_source
        self._jobs: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._waiting: list[Job] = []
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._reported = 0.0
        self._running: Job | None = None
        self._started = 0.0
        self._unwanted: Job | None = None
        self._paces: dict[str, float] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="rrdbg-engine", daemon=True)

    def start(self) -> None:
        """Open the source in the thread and serve jobs."""
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a job of the user's runs or waits."""
        running = self._running
        return (running is not None and not running.background) or any(not job.background for job in self._waiting)

    @property
    def idle(self) -> bool:
        """Whether the source is open and nothing at all is left to do."""
        return self._source is not None and self._running is None and not self._waiting

    @property
    def awaited(self) -> Job | None:
        """The job that the user has been waiting for the longest, among those that have a title."""
        with self._lock:
            jobs = [self._running, *self._waiting]
            return next((job for job in jobs if job is not None and not job.background and job.title), None)

    def owed(self, kind: str) -> int:
        """Return how often a job of a kind that waits is to be done; 0: none waits."""
        with self._lock:
            return sum(job.count for job in self._waiting if job.kind == kind)

    def has(self, title: str) -> bool:
        """Return whether a job of the user's that is called so runs or waits."""
        with self._lock:
            return any(job is not None and job.title == title for job in (self._running, *self._waiting))

    def pace(self, kind: str) -> float:
        """Return the seconds that a job of a kind takes each time: the last one did, or the running one does."""
        running = self._running
        pace = self._paces.get(kind, UNKNOWN)
        if running is not None and running.kind == kind:
            return max(pace, (time.monotonic() - self._started) / running.count)
        return pace

    def waits_for(self, kind: str) -> bool:
        """Return whether a job of a kind waits."""
        with self._lock:
            return any(job.kind == kind for job in self._waiting)

    def forget(self, *kinds: str) -> None:
        """Drop what waits of some kinds: it is out of date."""
        with self._lock:
            self._waiting = [job for job in self._waiting if job.kind not in kinds]

    def submit(self, job: Job) -> None:
        """Queue a job; one of the same kind that still waits is dropped, and background work gives way."""
        with self._lock:
            if job.kind:
                self._waiting = [other for other in self._waiting if other.kind != job.kind]
            self._waiting.append(job)
            running = self._running
            stale = time.monotonic() - self._started > STALE
        self._jobs.put(None)
        if running is None or self._source is None:
            return
        outdated = running.background in (SHOWN, AROUND) and job.kind == running.kind
        if running.background > job.background or outdated or (stale and job.kind == running.kind == "goto"):
            self._source.cancel()

    def cancel(self) -> bool:
        """Ask the user's running job to stop, and forget those that wait. Return whether there was one.

        Jobs without a title are what a pane needs to show the position: those go on.
        """
        with self._lock:
            kept = [job for job in self._waiting if job.background or not job.title]
            found = len(kept) < len(self._waiting)
            self._waiting = kept
            running = self._running
            if running is None or running.background or not running.title:
                return found
            self._unwanted = running
        if self._source is not None:
            self._source.cancel()
        return True

    def close(self) -> None:
        """End the thread and the source; waits a moment only."""
        self._closing = True
        if self._source is not None:
            self._source.cancel()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(2.0)

    # in the thread

    def _serve(self) -> None:
        sys.setswitchinterval(SWITCH)
        try:
            self._source = self._open(self._progress)
        except Exception as error:
            self._post(Failed("open", error))
            return
        self._post(Done("open", self._source, None))
        while not self._closing:
            self._jobs.get()
            with self._lock:
                self._source.begin()
                self._waiting.sort(key=lambda job: job.background)
                job = self._running = self._waiting.pop(0) if self._waiting else None
                self._started = time.monotonic()
            if job is not None:
                self._run(job, self._source)
        with suppress(Exception):
            self._source.close()

    def _run(self, job: Job, source: Source) -> None:
        message: Message
        try:
            value = job.work(source)
            self._paces[job.kind] = (time.monotonic() - self._started) / job.count
            with self._lock:
                last = all(other.background > SHOWN for other in self._waiting)
            message = Done(job.kind, value, job.then, background=job.background, last=last)
        except Cancelled as error:
            if job is not self._unwanted:
                # It gave way, or was hit by the cancelling of the job before it. A newer one of its kind replaces it.
                with self._lock:
                    self._running = None
                    if not job.kind or all(other.kind != job.kind for other in self._waiting):
                        self._waiting.insert(0, job)
                self._jobs.put(None)
                return
            message = Failed(job.kind, error, job)
        except Exception as error:  # a defect of ours must not take the interface down
            message = Failed(job.kind, error, job)
            self._closing = isinstance(error, EngineDied)
        # Told first: who finds the engine idle knows that its answers are on their way.
        self._app.post_message(message)
        with self._lock:
            self._running = None
            if self._closing:
                self._waiting = []
            last = all(waiting.background for waiting in self._waiting)
        if last:
            self._app.post_message(Rested())

    def _progress(self, progress: Progress) -> None:
        now = time.monotonic()
        running = self._running
        if now - self._reported >= PROGRESS_PERIOD:
            self._reported = now
            self._post(Advanced(progress, running))

    def _post(self, message: Message) -> None:
        if not self._closing:
            self._app.post_message(message)
