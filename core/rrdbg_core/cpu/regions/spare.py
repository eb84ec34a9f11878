"""A compiler that waits for the first machine that wants one.

It has to import, and to compile something once, before it is quick. Who knows that a guest is about to run, as a
recording does, lets that happen on another core while the machine is still being built.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from rrdbg_core.copied import Copied, possible
from rrdbg_core.cpu.regions import helper

_waiting: list[tuple[int, Copied]] = []
"""At most one, and the process that started it."""


def start() -> None:
    """Start one, unless one waits; where this process cannot be copied, do nothing."""
    if not waits() and (os.cpu_count() or 1) > 1 and possible(()):
        with suppress(OSError, MemoryError):
            _waiting[:] = [(os.getpid(), Copied(helper.main, subprocess.DEVNULL))]


def waits() -> bool:
    """Return whether one waits for this process."""
    return bool(_waiting) and _waiting[0][0] == os.getpid()


def take() -> Copied | None:
    """Return the one that waits, if it lives: it is the caller's from now on."""
    if not waits():
        return None
    _, compiler = _waiting.pop()
    if compiler.alive():
        return compiler
    _bury(compiler)
    return None


def drop() -> None:
    """End the one that waits, if there is one."""
    if (compiler := take()) is not None:
        _bury(compiler)


def _bury(compiler: Copied) -> None:
    with suppress(OSError):
        compiler.kill()
    compiler.wait()
    compiler.stdin.close()
    compiler.stdout.close()
