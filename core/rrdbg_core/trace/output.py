"""The file under a trace that is being written: whole chunks or nothing, and an old trace replaced only at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.trace import host
from rrdbg_core.trace.frame import Parts

BUFFER_BYTES = 1 << 20
"""Bytes that wait before they are written without being asked."""


class TraceFull(RrdbgError):
    """No more can be written. What is in the file stays readable."""

    exit_code = ExitCode.HOST_IO


class Output:
    """An append-only file. `append` takes whole chunks; after an error the file ends behind the last whole one.

    With `force` an existing file stays as it is until `commit`: before that, everything goes into a new file beside it.
    """

    def __init__(self, path: str | os.PathLike[str], *, force: bool) -> None:
        # a symbolic link is followed: it goes on pointing to the trace
        self.path = Path(os.path.realpath(path))
        self.shown = os.fspath(path)
        self.size = 0
        """Bytes, those that wait included."""
        self._written = 0
        self._waiting: list[bytes] = []
        self._ends: list[int] = []
        self._temporary: Path | None = None
        try:
            self._fd = self._open(force)
        except OSError as error:
            raise self._refusal(error) from error
        host.lock(self._fd)

    def _open(self, force: bool) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | host.OPEN_FLAGS
        if not force or not self._existing():
            return os.open(self.path, flags, 0o666)
        self._temporary = self.path.with_name(f".{self.path.name[:200]}.{secrets.token_hex(4)}.part")
        return os.open(self._temporary, flags, 0o666)

    def _existing(self) -> bool:
        """Return whether there is a file that may be replaced."""
        try:
            fd = os.open(self.path, os.O_RDWR | host.OPEN_FLAGS | host.NONBLOCK)
        except FileNotFoundError:
            return False
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise RrdbgError(
                    f"{self.shown} is not a regular file", hint="a trace needs one", exit_code=ExitCode.USAGE
                )
            if host.is_locked(fd):
                raise RrdbgError(
                    f"{self.shown} is being recorded by another rrdbg",
                    hint="give another name, or end that recording first",
                    exit_code=ExitCode.HOST_IO,
                )
        finally:
            os.close(fd)
        return True

    def _refusal(self, error: OSError) -> RrdbgError:
        if error.errno == errno.EEXIST:
            if self.path.is_dir():
                error.errno = errno.EISDIR
            else:
                return RrdbgError(
                    f"{self.shown} exists",
                    hint="give another name, or overwrite it with --force",
                    exit_code=ExitCode.USAGE,
                )
        if error.errno == errno.EISDIR:
            return RrdbgError(f"{self.shown} is a directory", hint="name a file in it", exit_code=ExitCode.USAGE)
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return RrdbgError(
                f"cannot write {self.shown}: there is no directory {self.path.parent}",
                hint="make it, or give another name",
                exit_code=ExitCode.NOT_FOUND,
            )
        return RrdbgError(f"cannot write {self.shown}: {error.strerror}", exit_code=ExitCode.HOST_IO)

    def append(self, chunk: Parts) -> None:
        """Add a whole chunk.

        Raises:
            TraceFull: See `flush`.
        """
        self._waiting += chunk
        self.size += sum(map(len, chunk))
        self._ends.append(self.size)
        if self.size - self._written >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system.

        Raises:
            TraceFull: It takes no more. `size` says what is left: whole chunks.
        """
        waiting, self._waiting = self._waiting, []
        done = 0
        try:
            for some in host.write(self._fd, waiting):
                done += some
        except OSError as error:
            kept = max((end for end in self._ends if end <= self._written + done), default=self._written)
            self.cut(kept)
            raise TraceFull(
                f"cannot write {self.shown}: {error.strerror}",
                hint=f"the first {kept} bytes are a trace that can be replayed" if kept else "nothing of it is there",
            ) from error
        self._written += done
        self._ends.clear()

    def cut(self, size: int) -> None:
        """Take back what lies behind `size`, which is not more than is written."""
        self._waiting.clear()
        self._ends.clear()
        self.size = self._written = size
        with contextlib.suppress(OSError):  # a torn chunk at the end is no danger, only untidy
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, size, os.SEEK_SET)

    def commit(self) -> None:
        """Put the file in the place of the one it replaces; where open files cannot be renamed, `close` does it.

        Raises:
            TraceFull: The directory does not let us.
        """
        if self._temporary is None or (self._fd >= 0 and not host.RENAMES_OPEN_FILES):
            return
        try:
            with contextlib.suppress(OSError):
                os.chmod(self._temporary, stat.S_IMODE(os.stat(self.path).st_mode))
            os.replace(self._temporary, self.path)
        except OSError as error:
            raise TraceFull(
                f"cannot replace {self.shown}: {error.strerror}", hint=f"the trace is in {self._temporary}"
            ) from error
        self._temporary = None

    def discard(self) -> None:
        """Close and delete the file; a file that it should have replaced is still there."""
        os.close(self._fd)
        with contextlib.suppress(OSError):
            os.unlink(self._temporary or self.path)

    def close(self, *, sync: bool) -> None:
        """Close the file, all of it on the disk if `sync`.

        Raises:
            TraceFull: The disk reports an error.
        """
        try:
            if sync:
                host.sync(self._fd)
        except OSError as error:
            raise TraceFull(f"cannot write {self.shown}: {error.strerror}") from error
        finally:
            os.close(self._fd)
            self._fd = -1
            self.commit()
