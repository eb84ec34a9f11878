"""Copies of this process that share a list of jobs with it: epochs are independent of each other.

What is wanted is the answer to the first job, in the list's order, that has one: the newest hit of a search, the first
stretch that does not replay. Nothing depends on the copies. What they leave undone, because they die, hang or are slow,
this process does itself in the end; where it cannot be copied, it does everything.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Collection
from contextlib import suppress

from rrdbg_core.copied import Copied, harmless, possible

PROCESSES = "RRDBG_PROCESSES"
"""Environment variable: how many processes share long work at most; 1: it is not shared."""
MOST = 8
"""Of them, if it does not say."""
MAX_JOBS = 8192
"""So many numbers of jobs go into a pipe that nobody reads yet: it holds 64 KiB on Linux."""
_JOB, _ANSWER = struct.Struct("<I"), struct.Struct("<II")


def crew_size() -> int:
    """Return how many processes may share long work: one for each CPU that this one may use, unless the user says."""
    asked = os.environ.get(PROCESSES, "").strip()
    if asked.isdigit():
        return max(int(asked), 1)
    affinity = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else 1, MOST)


class Crew:
    """This process and copies of it.

    Args:
        count: Number of jobs, at most `MAX_JOBS`.
        do: Does a job, by its number, and returns its answer; empty: none. Calls `look` now and then.
        prepare: Called first in each copy, in which other threads are no more.
        keep: Descriptors that the copies need.
        copies: How many copies there shall be at most; of those that cannot be made nobody hears.
    """

    def __init__(
        self,
        count: int,
        do: Callable[[int], bytes],
        *,
        prepare: Callable[[], None],
        keep: Collection[int],
        copies: int,
    ) -> None:
        self._count = count
        self._do = do
        self._answers: dict[int, bytes] = {}
        self._known: int | None = None  # the first job so far that has an answer
        self._at: int | None = None  # the job that this process is doing
        self._copies: list[Copied] = []
        self._heard: dict[Copied, bytes] = {}
        self._home = os.getpid()
        self._wanted, self._prepare, self._keep = min(copies, count - 1), prepare, keep
        self._queue = -1

    def end(self) -> None:
        """End the copies."""
        for copy in self._copies:
            copy.kill()
            copy.stdin.close()
            copy.stdout.close()
            copy.wait()
        self._copies.clear()
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1

    def first(self) -> tuple[int, bytes] | None:
        """Do the jobs, and return the number and the answer of the first one that has an answer."""
        self._start()
        while (number := self._take()) is not None and self._is_wanted(number):
            self._try(number)
        for number in range(self._count):
            if self._is_wanted(number):  # there are no copies, or one has taken it and is at it or dead
                self._try(number)
            if number == self._known:
                return number, self._answers[number]
        return None

    def look(self) -> None:
        """Take in what the copies have done; the job at hand may not be wanted any more, and ends with an exception."""
        if os.getpid() != self._home:
            if os.getppid() != self._home:
                os._exit(0)  # nobody waits for it any more
            return
        self._listen()
        if self._at is not None and not self._is_wanted(self._at):
            raise _Done

    def _start(self) -> None:
        """Make the copies, as far as there are processes, files and memory for them."""
        if self._wanted <= 0 or not possible(harmless):
            return
        with suppress(OSError, MemoryError):
            self._queue, sink = os.pipe()
            try:
                os.set_blocking(sink, False)
                # a user with many pipes gets smaller ones: what does not go into it is done in the end
                os.write(sink, b"".join(_JOB.pack(number) for number in range(self._count)))
            finally:
                os.close(sink)
            for _ in range(self._wanted):
                copy = Copied(self._serve, subprocess.DEVNULL, (self._queue, *self._keep))
                os.set_blocking(copy.stdout.fileno(), False)
                self._copies.append(copy)

    def _try(self, number: int) -> None:
        self._at = number
        with suppress(_Done):
            self._note(number, self._do(number))
        self._at = None
        self._listen()

    def _is_wanted(self, number: int) -> bool:
        return number not in self._answers and (self._known is None or number < self._known)

    def _take(self) -> int | None:
        """Return the number of the next job that nobody does yet. A pipe hands out each of its bytes once."""
        data = os.read(self._queue, _JOB.size) if self._queue >= 0 else b""
        return _JOB.unpack(data)[0] if data else None

    def _note(self, number: int, answer: bytes) -> None:
        self._answers[number] = answer
        if answer and (self._known is None or number < self._known):
            self._known = number

    def _listen(self) -> None:
        for copy in self._copies:
            with suppress(OSError):
                while data := copy.stdout.read(1 << 16):
                    self._heard[copy] = self._heard.get(copy, b"") + data
            heard = self._heard.get(copy, b"")
            while len(heard) >= _ANSWER.size:
                number, size = _ANSWER.unpack_from(heard)
                if len(heard) < _ANSWER.size + size:
                    break
                self._note(number, heard[_ANSWER.size : _ANSWER.size + size])
                heard = heard[_ANSWER.size + size :]
            self._heard[copy] = heard

    def _serve(self) -> None:
        """Be a copy."""
        self._prepare()
        while (number := self._take()) is not None:
            answer = self._do(number)
            os.write(1, _ANSWER.pack(number, len(answer)) + answer)
            if answer:
                return  # what comes later is not wanted


class _Done(BaseException):
    """The job at hand is done, or not wanted any more."""
