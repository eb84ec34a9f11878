"""Disk images on the host: what a recording reads blocks of."""

from __future__ import annotations

import os
import stat
import threading
import weakref
from pathlib import Path

from rrdbg_core.devices.blocktree import BLOCK_BYTES
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import MAX_IMAGE_BYTES


class HostImage:
    """A raw image, opened for reading only. Nothing but its size is looked at before somebody asks for a block.

    Args:
        path: The file.

    Raises:
        RrdbgError: It is not there, cannot be read, or is no image.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        shown = os.fspath(path)
        if Path(path).is_dir():
            raise RrdbgError(f"{shown} is a directory, no disk image", exit_code=ExitCode.BAD_IMAGE)
        try:
            # where there are pipes, opening one must not wait for somebody to write
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError as error:
            raise RrdbgError(f"{shown}: no such disk image", exit_code=ExitCode.NOT_FOUND) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RrdbgError(f"cannot read the disk image {shown}: {reason}", exit_code=ExitCode.HOST_IO) from error
        self._open = weakref.finalize(self, os.close, self._fd)
        self._lock = threading.Lock()
        size = self._size()
        if size is None:
            raise _refused(f"{shown} is neither a file nor a block device, so no disk image")
        if not size:
            raise _refused(f"the disk image {shown} is empty", f"to have a blank disk: truncate -s 64M {shown}")
        if size > MAX_IMAGE_BYTES:
            raise _refused(f"the disk image {shown} has {size} bytes; {MAX_IMAGE_BYTES} are the most")
        self.size_bytes = size
        """Size of the image when it was opened; what the file has behind that later does not count."""

    def _size(self) -> int | None:
        mode = os.fstat(self._fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            return None
        try:
            return os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            return None

    def read(self, number: int) -> bytes | None:
        """Return a block, with zeros behind the end of the image; None if it cannot be read (any more)."""
        start = number * BLOCK_BYTES
        size = max(min(self.size_bytes - start, BLOCK_BYTES), 0)
        block = b""
        with self._lock:
            if not self._open.alive:
                return None
            try:
                os.lseek(self._fd, start, os.SEEK_SET)
                while len(block) < size:
                    part = os.read(self._fd, size - len(block))
                    if not part:  # somebody has cut the file
                        return None
                    block += part
            except OSError:
                return None
        return block.ljust(BLOCK_BYTES, b"\0")

    def close(self) -> None:
        """Close the file; no block can be read any more."""
        with self._lock:
            self._open()


def _refused(message: str, hint: str | None = None) -> RrdbgError:
    return RrdbgError(message, hint=hint, exit_code=ExitCode.BAD_IMAGE)
