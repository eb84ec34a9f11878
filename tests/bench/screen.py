"""`rrdbg tui` on a pseudo terminal, with the time at which each piece of the screen was drawn.

What comes is kept as it comes and understood afterwards: the terminal emulator (pyte) is slow, and would take time from
what is measured.
"""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import pyte

SPINNER = set("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
"""What turns in the status line while the engine works."""

QUIET = 0.15
"""Seconds in which nothing is drawn and both processes sleep: the answer is complete."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The screen at some time."""

    at: float
    """Seconds after the key."""
    busy: float
    """Seconds of CPU that interface and engine have used since: so long it takes where nobody else computes."""
    rows: tuple[tuple[tuple[object, ...], ...], ...]
    """Each cell's character and looks."""

    @property
    def text(self) -> list[str]:
        """The rows as text."""
        return ["".join(str(cell[0]) for cell in row) for row in self.rows]

    @property
    def working(self) -> bool:
        """Whether the status line shows that the engine works."""
        return any(cell[0] in SPINNER for cell in self.rows[-1])


@dataclass(frozen=True, slots=True)
class Answer:
    """What followed a key."""

    frames: tuple[Frame, ...]
    """The screen before, at time 0, and each one after it that is another."""
    busy: tuple[float, float]
    """Seconds of CPU that the interface and the engine took."""
    ended: bool
    """Whether all of it was seen: nothing was drawn any more."""

    @property
    def done(self) -> float:
        """Seconds until the screen was complete."""
        return self.frames[-1].at

    @property
    def told(self) -> Frame | None:
        """The first screen with a part of the answer, or with a sign that the engine works.

        None: nothing changed. A message that goes is no answer: of the status line only its left part, the position,
        counts, unless nothing else changes.
        """
        before, after = self.frames[0], self.frames[-1]
        status = len(before.rows) - 1
        left = len(before.rows[0]) // 3

        def changes(whole: bool) -> list[tuple[int, int]]:
            return [
                (y, x)
                for y, (old, new) in enumerate(zip(before.rows, after.rows, strict=True))
                if old != new
                for x, (a, b) in enumerate(zip(old, new, strict=True))
                if a != b and (whole or y != status or x < left)
            ]

        wanted = changes(False) or changes(True)
        for frame in self.frames[1:]:
            if frame.working or any(frame.rows[y][x] == after.rows[y][x] for y, x in wanted):
                return frame
        return None

    @property
    def silence(self) -> float:
        """Longest time in seconds, from the key to the complete screen, in which nothing was drawn."""
        times = [frame.at for frame in self.frames]
        return max((b - a for a, b in pairwise(times)), default=0.0)


class Interface:
    """The interface under measurement."""

    def __init__(self, trace: Path, size: tuple[int, int], config: Path) -> None:
        self.size = size
        """Columns and rows."""
        self._master, slave = pty.openpty()
        _resize(slave, size)
        env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "XDG_CONFIG_HOME": str(config)}
        env.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rrdbg", "tui", str(trace)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: _own_terminal(slave),
        )
        os.close(slave)
        self._pieces: list[tuple[float, float, bytes]] = []
        self._understood = 0
        self._engine: int | None = None
        self._stream = pyte.ByteStream(screen := pyte.Screen(*size))
        self._screen = screen
        self._rows = [self._row(y) for y in range(size[1])]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            at = time.perf_counter()
            self._pieces.append((at, sum(self.cpu()), data))

    # what it does

    @property
    def engine(self) -> int | None:
        """Process number of the engine."""
        if self._engine is None:
            with contextlib.suppress(OSError):  # started by a thread
                for task in os.listdir(f"/proc/{self.process.pid}/task"):
                    children = Path(f"/proc/{self.process.pid}/task/{task}/children").read_text().split()
                    self._engine = int(children[0]) if children else self._engine
        return self._engine

    def cpu(self) -> tuple[float, float]:
        """Return the seconds of CPU that the interface and the engine have used."""
        return _cpu(self.process.pid), _cpu(self.engine)

    def send(self, data: bytes) -> None:
        """Press keys."""
        os.write(self._master, data)

    def ask(self, *keys: bytes, patience: float, pause: float = 0.0, quiet: float = QUIET) -> Answer:
        """Press keys and watch the answer.

        Args:
            keys: What is pressed; timed is what follows the last one.
            patience: Seconds after which the watching ends.
            pause: Seconds between two keys.
            quiet: Seconds without anything that make an end.
        """
        for key in keys[:-1]:
            self.send(key)
            time.sleep(pause)
        cpu = self.cpu()
        start = time.perf_counter()
        self.send(keys[-1])
        ended = self._wait(start, patience, quiet)
        after = self.cpu()
        used = (after[0] - cpu[0], after[1] - cpu[1])
        return Answer(tuple(self.frames(start, sum(cpu))), used, ended)

    def settle(self, patience: float = 60.0, quiet: float = QUIET) -> Frame:
        """Wait until nothing happens any more and return the screen."""
        start = time.perf_counter()
        self._wait(start, patience, quiet)
        return list(self.frames(start))[-1]

    def _wait(self, start: float, patience: float, quiet: float) -> bool:
        since = start
        seen = len(self._pieces)
        while True:
            time.sleep(0.02)
            now = time.perf_counter()
            if self.process.poll() is not None:
                return True
            # on a busy machine both may be about to go on for a long time
            if len(self._pieces) != seen or _runs(self.process.pid) or _runs(self.engine):
                seen, since = len(self._pieces), now
            elif now - since >= quiet:
                return True
            if now - start > patience:
                return False

    def frames(self, start: float, cpu: float = 0.0) -> Sequence[Frame]:
        """Understand what came since the last call, and return the screens since a time; `cpu`: used until then."""
        frames: list[Frame] = []
        pieces = self._pieces[self._understood :]
        self._understood += len(pieces)
        early = [piece for piece in pieces if piece[0] < start]
        for _, _, data in early:
            self._stream.feed(data)
        self._look()
        frames.append(Frame(0.0, 0.0, tuple(self._rows)))
        for at, used, data in pieces[len(early) :]:
            self._stream.feed(data)
            if self._look():
                frames.append(Frame(at - start, used - cpu, tuple(self._rows)))
        return frames

    def _look(self) -> bool:
        changed = False
        for y in self._screen.dirty:
            row = self._row(y)
            if row != self._rows[y]:
                self._rows[y] = row
                changed = True
        self._screen.dirty.clear()
        return changed

    def _row(self, y: int) -> tuple[tuple[object, ...], ...]:
        row = self._screen.buffer[y]
        return tuple(tuple(row[x]) for x in range(self.size[0]))


def _own_terminal(slave: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def _resize(slave: int, size: tuple[int, int]) -> None:
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def _cpu(pid: int | None) -> float:
    """Return the seconds of CPU of all threads of a process (schedstat, in ns; /proc/PID/stat counts in 10 ms)."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    except (OSError, IndexError):  # it has ended
        pass
    return total / 1e9


def _runs(pid: int | None) -> bool:
    """Return whether a thread of a process runs, or would if a core were free."""
    with contextlib.suppress(OSError):  # it has ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            if Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] == "R":
                return True
    return False
