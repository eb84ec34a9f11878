"""Disk images on the host: what a recording reads blocks of."""

from __future__ import annotations

import os
import stat
import threading
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
        try:
            if Path(path).is_dir():
                raise RrdbgError(f"{shown} is a directory, no disk image", exit_code=ExitCode.BAD_IMAGE)
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 it stays open for the whole recording
        except FileNotFoundError as error:
            raise RrdbgError(f"{shown}: no such disk image", exit_code=ExitCode.NOT_FOUND) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RrdbgError(f"cannot read the disk image {shown}: {reason}", exit_code=ExitCode.HOST_IO) from error
        self._lock = threading.Lock()
        mode = os.fstat(self._file.fileno()).st_mode
        try:
            self.size_bytes = self._file.seek(0, os.SEEK_END)
            """Size of the image when it was opened; what the file has behind that later does not count."""
        except OSError:
            self.size_bytes = -1
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)) or self.size_bytes < 0:
            raise self._refused(f"{shown} is neither a file nor a block device, so no disk image")
        if not self.size_bytes:
            raise self._refused(
                f"the disk image {shown} is empty", f"truncate -s 64M {shown} makes an empty disk of it"
            )
        if self.size_bytes > MAX_IMAGE_BYTES:
            raise self._refused(f"the disk image {shown} has {self.size_bytes} bytes; {MAX_IMAGE_BYTES} are the most")

    def _refused(self, message: str, hint: str | None = None) -> RrdbgError:
        self._file.close()
        return RrdbgError(message, hint=hint, exit_code=ExitCode.BAD_IMAGE)

    def read(self, number: int) -> bytes | None:
        """Return a block, with zeros behind the end of the image; None if it cannot be read (any more)."""
        start = number * BLOCK_BYTES
        size = max(min(self.size_bytes - start, BLOCK_BYTES), 0)
        block = b""
        try:
            with self._lock:
                self._file.seek(start)
                while len(block) < size:
                    part = self._file.read(size - len(block))
                    if not part:  # somebody has cut the file
                        return None
                    block += part
        except (OSError, ValueError):
            return None
        return block.ljust(BLOCK_BYTES, b"\0")

    def close(self) -> None:
        """Close the file; no block can be read any more."""
        self._file.close()
