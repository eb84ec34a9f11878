"""What the command line says while it works: progress on stderr, and numbers people can read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time

from rrdbg.cli import host


def count(n: int) -> str:
    """Return a count with digit groups: 1_234_567."""
    return f"{n:_}"


def size(n: float) -> str:
    """Return a size in bytes with a binary unit: 3.2 MiB."""
    for unit in ("bytes", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a host time: 0.4 s, 12 s, 3 min 04 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def virtual(ns: int) -> str:
    """Return a virtual time: 12.5 us, 3.04 ms, 1.25 s."""
    for unit, scale in (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)):
        if ns >= scale:
            return f"{ns / scale:.4g} {unit}"
    return f"{ns} ns"


_WIPE_REST = "\x1b[K"  # of the line, what the terminal echoed behind it too


class ProgressLine:
    """One line on stderr that is rewritten in place on a terminal, and stays silent elsewhere.

    Used as a context manager: the line is wiped at the end, so that what follows starts on a clean line.
    """

    def __init__(self, label: str, *, enabled: bool | None = None, period: float = 0.1) -> None:
        self.label = label
        wanted = host.is_terminal(2) if enabled is None else enabled
        self.enabled = wanted and os.environ.get("TERM") != "dumb"  # which cannot wipe a line
        self.period = period
        self._started = time.monotonic()
        self._next = self._started + 0.3  # what is done sooner needs no progress line
        self._shown = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def text(self, text: str) -> None:
        """Show `text`, unless the last one is younger than the period."""
        now = time.monotonic()
        if not self.enabled or now < self._next:
            return
        self._next = now + self.period
        line = f"{self.label}: {text}"[: shutil.get_terminal_size().columns - 1]
        self._put(f"\r{line}{_WIPE_REST}")
        self._shown = True

    def update(self, done: float, total: float, unit: str = "") -> None:
        """Show a fraction with rate and time left."""
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate = done / elapsed
        share = done / total if total else 1.0
        left = duration((total - done) / rate) if rate > 0 else "?"
        per_second = f", {rate / 1e6:.0f} M {unit}/s" if unit and rate >= 1e6 else ""
        self.text(f"{share:6.1%}{per_second}, {left} left")

    def clear(self) -> None:
        """Wipe the line."""
        if self._shown:
            self._put(f"\r{_WIPE_REST}")
            self._shown = False

    @staticmethod
    def _put(text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone, the work goes on
            sys.stderr.write(text)
            sys.stderr.flush()


class Compiling:
    """Says on stderr that the guest CPU is being compiled, and for how long already; silent when it need not be.

    Used as a context manager; `start` is the callback that the compiler calls, once or with each of its stages. Where
    stderr is no terminal, one plain line says it.
    """

    EXPECTED = "about 20 s in all"

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._text = ""
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Compiling:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def start(self, text: str) -> None:
        """Begin to show `text`, or show it from now on."""
        if self._quiet:
            return
        if not text.startswith("compiling"):  # a remark, such as why the result cannot be kept
            host.say(f"rrdbg: {text}")
            return
        first, self._text = not self._text, text
        if not first:
            return
        if not host.is_terminal(2):
            host.say(f"rrdbg: {text} ({self.EXPECTED})")
            return
        self._thread = threading.Thread(target=self._tick, name="rrdbg-compiling", daemon=True)
        self._thread.start()

    def _tick(self) -> None:
        started = time.monotonic()
        with ProgressLine("rrdbg", period=0) as line:
            while not self._done.wait(0.5):
                line.text(f"{self._text}: {duration(time.monotonic() - started)} so far, {self.EXPECTED}")
