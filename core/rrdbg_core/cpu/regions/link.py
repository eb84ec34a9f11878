"""The threads between a running machine and the process that compiles for it (see `helper`), and what they share.

They start it, feed it, listen to it, and bury it. Without it, or when it is slow, stopped, dead or mad, there are fewer
regions or none; nothing else comes of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from rrdbg_core.copied import Copied, harmless, possible
from rrdbg_core.cpu.regions import helper, spare
from rrdbg_core.cpu.regions.plan import Plan
from rrdbg_core.cpu.regions.record import decode_plan, digest, encode_plan, unseal
from rrdbg_core.cpu.regions.store import Store, current, key
from rrdbg_core.cpu.regions.wire import (
    PAGE_BYTES,
    PROTOCOL,
    BrokenMessage,
    Kind,
    frame,
    pack_blobs,
    receive,
    unpack_blobs,
    unpack_words,
)

STARTS = 6
"""Times that the compiler is started, all in all: a plan that it dies of costs two, see `Link._mourn`."""
PAUSE_S = 0.5
"""Shortest time between a death and the next start; doubled each time."""
NEWS_WAITING = 64
"""Messages with samples and the like that wait to be sent; older ones are dropped."""
MESSAGES_WAITING = 8192
"""Other messages that wait, none of which may be dropped; with more the compiler is taken for dead."""
UNASKED_WAITING = 256
"""With more messages than this, pages that were not asked for are dropped."""
PAGES_WANTED = 4096
"""Pages that may be asked for and not sent yet; a compiler that wants more is mad."""
RESULTS_BYTES = 96 << 20
"""Object code that waits to be taken; what comes then is dropped."""
ADOPTED = 1024
"""Batches of plans that a new compiler hears of; older ones it may plan again."""
END_S = 0.25
"""Time that the compiler has to end by itself."""
_CRASHES = {getattr(signal, name, None) for name in ("SIGABRT", "SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE", "SIGTRAP")} - {
    None
}
Process = subprocess.Popen[bytes] | Copied
"""A compiler."""
COMMAND = (sys.executable or "python", "-P", "-m", "rrdbg_core.cpu.regions.helper")
"""What starts one that is no copy of this process."""


@dataclass(frozen=True, slots=True)
class Result:
    """Regions that were compiled together."""

    plans: tuple[Plan, ...]
    """What they are made of."""
    code: bytes
    """Relocatable object code of all of them."""
    stored: bool
    """True if it comes from the disk."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What has been done so far."""

    stored: int = 0
    """Regions that came from the disk."""
    compiled: int = 0
    """Regions that were compiled."""
    refused: int = 0
    """Plans that cannot be compiled, or not without harm to the compiler."""
    starts: int = 0
    """How often the compiler was started, or should have been."""
    dropped: int = 0
    """Messages with samples and the like that were dropped."""
    cpu_ns: int = 0
    """CPU time that the compiler has taken, in all its lives, as far as it has told."""


class Link:
    """What the threads share with the client: they hold this, so that a client that is forgotten goes away."""

    def __init__(
        self, program: bytes, command: tuple[str, ...], stderr: int, bell: Callable[[], object] | None = None
    ) -> None:
        self._program = program
        self._bell = bell
        self._key = self._salt = b""
        self._command = command
        self._stderr = stderr
        self._owner = os.getpid()
        self._changed = threading.Condition()  # its lock may be taken again: garbage is collected anywhere
        self._messages: deque[bytes] = deque()
        self._news: deque[bytes] = deque(maxlen=NEWS_WAITING)
        self._asked: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._process: Process | None = None
        self._copy: Copied | None = None
        """The first compiler, until it is fed."""
        self._may_copy = command == COMMAND
        self._trying: list[bytes] = []
        """Plans that the compiler works at."""
        self._suspects: set[bytes] = set()
        """Digests of plans of which one was deadly."""
        self._deadly: dict[bytes, bool] = {}
        """Plans that were, and whether by themselves."""
        self._compiled: deque[tuple[Plan, ...]] = deque(maxlen=ADOPTED)
        """What there are regions of, of which the next compiler has to hear."""
        self._start_at = 0.0
        self._waiting_bytes = 0
        self._past_cpu_ns = 0
        self._closed = False
        self.results: deque[Result] = deque()
        self.wanted: list[int] = []
        self.loaded = False
        self.given_up = False
        self.stats = Stats()

    # ---- from the machine's side -------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Start the thread."""
        self._spawn(self._run, "regions")

    def put_news(self, kind: Kind, payload: bytes) -> None:
        """Queue what has been seen of the guest, if there is somebody to take it, and see that a compiler is there."""
        if self.given_up or self._closed or self._owner != os.getpid():
            return
        with self._changed:
            if self._may_copy and self.loaded and not (self.given_up or self._closed):
                self._make_copy()
            if len(self._news) == NEWS_WAITING:
                self.stats = replace(self.stats, dropped=self.stats.dropped + 1)
            self._news.append(frame(kind, payload))
            self._changed.notify_all()

    def _make_copy(self) -> None:
        """Let the first compiler be a copy of this process, if that can be. Called by the thread that runs the guest.

        So no guest code is being linked at the moment, which LLVM's locks would tell.
        """
        self._may_copy = False
        if self._process is None and not self.stats.starts and not self._spare_waits() and possible(self._threads):
            with suppress(OSError, MemoryError):
                self._copy = Copied(helper.main, self._stderr)

    def _spare_waits(self) -> bool:
        return spare.waits() and self._command == COMMAND and self._stderr == subprocess.DEVNULL

    @property
    def ready(self) -> bool:
        """Whether a compiler is there, or waits to be."""
        return self._process is not None or self._copy is not None or self._spare_waits()

    def put(self, kind: Kind, payload: bytes, page: int | None = None) -> None:
        """Queue another message, if there is somebody to take it; a page, if it was asked for."""
        if self._owner != os.getpid():
            return
        with self._changed:
            if self._process is None or self._closed:
                return
            if page is not None:
                if page not in self._asked and len(self._messages) > UNASKED_WAITING:
                    return
                self._asked.discard(page)
            self._messages.append(frame(kind, payload))
            if len(self._messages) > MESSAGES_WAITING:
                _kill(self._process)
            self._changed.notify_all()

    def take(self) -> list[Result]:
        """Return the results."""
        if not self.results:
            return []
        with self._changed:
            taken = list(self.results)
            self.results.clear()
            self._waiting_bytes = 0
        return taken

    def take_wanted(self) -> list[int]:
        """Return the pages that are wanted."""
        if not self.wanted:
            return []
        with self._changed:
            taken, self.wanted = self.wanted, []
        return taken

    def wait(self, timeout_s: float, until: Callable[[Link], bool]) -> bool:
        """Wait until something is so, at least until everything is over."""
        with self._changed:
            self._changed.wait_for(lambda: until(self) or self._closed or self.given_up, timeout_s)
            return until(self)

    def abandon(self) -> None:
        """End everything, and wait for nothing."""
        if self._owner == os.getpid():
            with self._changed:
                self._closed = True
                if self._process is not None:
                    _kill(self._process)
                self._changed.notify_all()

    def close(self) -> None:
        """End everything."""
        if self._owner != os.getpid():
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._join(END_S)
        self.abandon()
        self._join(END_S * 8)

    def _join(self, timeout_s: float) -> None:
        """Wait for the threads; the one that sends may still start one that listens."""
        end = time.monotonic() + timeout_s
        while threads := [thread for thread in self._threads if thread.is_alive()]:
            threads[0].join(max(0.0, end - time.monotonic()))
            if threads[0].is_alive():
                return

    # ---- the thread that sends ---------------------------------------------------------------------------------------
    def _spawn(self, target: Callable[..., None], name: str, *args: Any) -> bool:
        thread = threading.Thread(target=target, name=name, args=args, daemon=True)
        harmless.add(thread)  # a copy has a link of its own
        with self._changed:
            self._threads = [old for old in self._threads if old.is_alive()] + [thread]
            try:
                thread.start()
            except (RuntimeError, MemoryError):  # no more threads, or Python is about to end
                self._threads.remove(thread)
                self.given_up = self.loaded = True
                return False
        return True

    def _run(self) -> None:
        process: Process | None = None
        try:
            self.given_up = not self._load()
            if self._spare_waits() and not self.given_up:  # it has to look at what is on disk itself
                process = self._start()
            while (message := self._next()) is not None:
                if process is not self._process:
                    _hang_up(process)
                    process = self._process
                process = process or self._start()
                if process is not None:
                    _send(process, message)
        except MemoryError:
            pass
        finally:
            _hang_up(process)
            with self._changed:
                self.given_up = self.loaded = True
                unfed, self._copy = self._copy, None
                self._changed.notify_all()
            if unfed is not None:
                _bury(unfed)

    def _load(self) -> bool:
        """Read what is on disk; return whether regions can be compiled at all."""
        try:
            self._key = key()
            self._salt = self._key + self._program
            records = Store(self._program, version=self._key).load() if self._program else []
        except (OSError, RuntimeError, ImportError):  # no sources to hash, or no LLVM
            return False
        try:
            batches = [tuple(map(decode_plan, record.plans)) for record in records]
        except ValueError:
            batches = []
        for index in current(batches):
            self._receive(batches[index], records[index].code, stored=True)
        with self._changed:
            self.loaded = True
            self._changed.notify_all()
        return True

    def _next(self) -> bytes | None:
        """Return the next message to send; None at the end."""
        with self._changed:
            while not self._closed and not self.given_up:
                if self._messages:
                    return self._messages.popleft()
                if self._news:
                    return self._news.popleft()
                self._changed.wait()
        return None

    def _start(self) -> Process | None:
        """Start the compiler, if it may be started now."""
        if time.monotonic() < self._start_at:
            return None
        process: Process | None
        with self._changed:
            process, self._copy = self._copy, None
        if process is None and self._spare_waits():
            process = spare.take()
        if process is None:
            with suppress(OSError, ValueError, MemoryError):
                process = subprocess.Popen(
                    self._command,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._stderr,
                    start_new_session=os.name == "posix",  # Ctrl-C is not for it
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        with self._changed:
            self._may_copy = False
            self.stats = replace(self.stats, starts=self.stats.starts + 1)
            if process is None:
                self._wait_for_next_start()
                return None
            self._process = process
            self._trying = []
            if not self._spawn(self._listen, "regions-listen", process):
                _bury(process)
                self._process = None
                return None
            if self._closed:
                _kill(process)
            version, suspects, deadly = self._key, b"".join(self._suspects), dict(self._deadly)
            compiled = list(self._compiled)
        begin = PROTOCOL.to_bytes(4, "little") + len(version).to_bytes(4, "little") + version + self._program
        _send(process, frame(Kind.BEGIN, begin))
        _send(process, frame(Kind.ALONE, suspects))
        for plan, for_good in deadly.items():
            _send(process, frame(Kind.NEVER, bytes([for_good]) + plan))
        for plans in compiled:
            _send(process, frame(Kind.ADOPT, pack_blobs(list(map(encode_plan, plans)))))
        return process

    def _wait_for_next_start(self) -> None:
        self._start_at = time.monotonic() + PAUSE_S * (1 << self.stats.starts) / 2
        self.given_up = self.given_up or self.stats.starts >= STARTS
        self._changed.notify_all()

    # ---- the threads that listen, one for each life of the compiler --------------------------------------------------
    def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            self._greet(*receive(process.stdout.read))
            while True:
                self._hear(*receive(process.stdout.read))
        except (EOFError, OSError, ValueError, BrokenMessage, MemoryError):
            pass
        finally:
            _kill(process)
            process.stdout.close()
            self._mourn(process.wait())

    def _greet(self, kind: Kind, payload: bytes) -> None:
        if kind != Kind.READY or payload != PROTOCOL.to_bytes(4, "little") + self._key:
            raise BrokenMessage("not the compiler that was meant")

    def _hear(self, kind: Kind, payload: bytes) -> None:
        match kind:
            case Kind.WANTED:
                self._want(unpack_words(payload))
            case Kind.TRYING:
                self._trying = unpack_blobs(payload)
            case Kind.RESULT:
                found = unseal(self._salt, memoryview(payload), 9)
                if found is None or found[1] != len(payload):
                    raise BrokenMessage("a damaged record")
                plans = tuple(map(decode_plan, found[0].plans))
                self._trying = []
                with self._changed:
                    cpu_ns = self._past_cpu_ns + int.from_bytes(payload[:8], "little")
                    self.stats = replace(self.stats, cpu_ns=cpu_ns)
                self._receive(plans, found[0].code, stored=payload[8] != 0)
            case _:
                raise BrokenMessage(f"a message of kind {kind.name}")

    def _want(self, pages: Sequence[int]) -> None:
        with self._changed:
            pages = [page for page in pages if page not in self._asked]
            if len(pages) + len(self._asked) > PAGES_WANTED or any(page % PAGE_BYTES for page in pages):
                raise BrokenMessage("no such pages")
            self._asked.update(pages)
            self.wanted += pages
            self._ring()

    def _receive(self, plans: tuple[Plan, ...], code: bytes, *, stored: bool) -> None:
        with self._changed:
            stats = self.stats
            if not code:
                self.stats = replace(stats, refused=stats.refused + len(plans))
            elif stored:
                self.stats = replace(stats, stored=stats.stored + len(plans))
            else:
                self.stats = replace(stats, compiled=stats.compiled + len(plans))
            if code and self._waiting_bytes + len(code) <= RESULTS_BYTES:
                self._waiting_bytes += len(code)
                self.results.append(Result(plans, code, stored))
                self._compiled.append(plans)
            self._ring()

    def _ring(self) -> None:
        """Tell everyone who waits, and the guest's thread, that something has come."""
        self._changed.notify_all()
        if self._bell is not None:
            self._bell()

    def _mourn(self, exit_code: int) -> None:
        """Remember what the compiler died of, so that the next one does not.

        One of several plans: each is tried alone. A plan that was alone is not tried again; in no later run of the
        program either if the compiler crashed by itself, rather than being killed or running out of time.
        """
        with self._changed:
            self._process = None
            self._past_cpu_ns = self.stats.cpu_ns
            self._messages.clear()
            self._asked.clear()
            self.wanted = []
            if not self._closed:
                if len(self._trying) == 1:
                    self._deadly[self._trying[0]] = _crashed(exit_code)
                self._suspects.update(map(digest, self._trying))
                self._trying = []
                self._wait_for_next_start()
            self._changed.notify_all()


def _send(process: Process, message: bytes) -> None:
    """Write a message whole. If the reader is dead, another thread notices."""
    assert process.stdin is not None
    left = memoryview(message)
    with suppress(OSError):
        while left:
            left = left[process.stdin.write(left) :]


def _hang_up(process: Process | None) -> None:
    """Close the pipe to a process; only the thread that writes there may, or it could write to another file."""
    if process is not None and process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _kill(process: Process) -> None:
    with suppress(OSError):
        process.kill()


def _bury(process: Process) -> None:
    """End a process that nobody listens to."""
    _kill(process)
    process.wait()
    _hang_up(process)
    assert process.stdout is not None
    process.stdout.close()


def _crashed(exit_code: int) -> bool:
    """Return whether a process ended by its own fault."""
    if os.name == "nt":
        return exit_code & 0xC0000000 == 0xC0000000
    return -exit_code in _CRASHES
