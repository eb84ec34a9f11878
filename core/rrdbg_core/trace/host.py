"""What differs between operating systems: reading at an offset, the recorder's lock, forcing data to the disk."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_seek_lock = threading.Lock()
OPEN_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
"""Flags for every `os.open`."""
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
"""Flag with which opening a pipe does not wait for its other end."""

RENAMES_OPEN_FILES = os.name != "nt"
"""Whether a file can be renamed while it is open."""
_MAX_PARTS = 512
"""Parts that one call of the system gets: POSIX promises 16, Linux and macOS take 1024."""


def read_at(fd: int, size: int, offset: int) -> bytes:
    """Read up to `size` bytes at `offset`; fewer only at the end of the file."""
    parts: list[bytes] = []
    while size > 0:
        part = _pread(fd, min(size, 1 << 30), offset)
        if not part:
            break
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write(fd: int, parts: Sequence[bytes]) -> Iterator[int]:
    """Write parts, one behind the other; yield how many bytes each call of the system has taken."""
    at, offset = 0, 0  # the part that is next, and what of it is written
    while at < len(parts):
        batch: list[bytes | memoryview] = [memoryview(parts[at])[offset:], *parts[at + 1 : at + _MAX_PARTS]]
        written = os.writev(fd, batch) if hasattr(os, "writev") else os.write(fd, batch[0])
        yield written
        offset += written
        while at < len(parts) and offset >= len(parts[at]):
            offset -= len(parts[at])
            at += 1


def _pread(fd: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, size, offset)
    with _seek_lock:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)


def lock(fd: int) -> None:
    """Mark the file as being recorded until the descriptor is closed, by whatever death of the process."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # file systems without locks
            fcntl.flock(fd, fcntl.LOCK_EX)


def is_locked(fd: int) -> bool:
    """Return whether a recorder holds the file; False where nobody can tell."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def sync(fd: int) -> None:
    """Have the file's content survive a power cut."""
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)
