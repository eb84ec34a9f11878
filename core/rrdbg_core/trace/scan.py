"""Walk the chunks of a file and check each one's checksum: what comes out is what was written, or nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import frame, host
from rrdbg_core.trace.frame import CHUNK_HEADER, CHUNK_HEADER_BYTES, FILE_HEADER_BYTES, BadTrace, Chunk, Incomplete
from rrdbg_core.trace.varint import Malformed

WINDOW_BYTES = 256 << 10
"""How much is read at once while walking."""


class ChunkFile:
    """A file of chunks, read from its start to the first chunk that is not whole.

    Raises:
        BadTrace: It cannot be opened, or is no trace that this version reads.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.shown = os.fspath(path)
        try:
            self._fd = os.open(self.path, os.O_RDONLY | host.OPEN_FLAGS | host.NONBLOCK)
        except OSError as error:
            raise _cannot_open(self.shown, error) from error
        try:
            mode = os.fstat(self._fd).st_mode
            if not stat.S_ISREG(mode):
                what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
                raise BadTrace(f"{self.shown} is {what}", hint="a trace is a file that `rrdbg record` made")
            self.file_id, self.format_version = frame.parse_file_header(self.read_at(FILE_HEADER_BYTES, 0), self.shown)
        except OSError as error:
            os.close(self._fd)
            raise _cannot_open(self.shown, error) from error
        except BadTrace:
            os.close(self._fd)
            raise
        self._window, self._window_offset = b"", 0
        self.offset = FILE_HEADER_BYTES
        """Behind the last whole chunk."""
        self.number = 0
        """Whole chunks so far."""
        self.fault = ""
        """Why the walk ended, "" at a clean end of the file."""
        self.cut_off = False
        """Whether it ended because the last chunk is not all there."""

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._fd

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._fd).st_size

    @property
    def recording(self) -> bool:
        """Whether a recorder holds the file; False where nobody can tell."""
        return host.is_locked(self._fd)

    def read_at(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes."""
        if self._fd < 0:
            raise ValueError("the trace is closed")
        return host.read_at(self._fd, size, offset)

    def read_exactly(self, size: int, offset: int) -> bytes:
        """Read `size` bytes that were there when their chunk was checked.

        Raises:
            BadTrace: They are not there any more.
        """
        try:
            data = self.read_at(size, offset)
        except OSError as error:
            raise BadTrace(f"cannot read {self.shown}: {error.strerror}", exit_code=ExitCode.HOST_IO) from error
        if len(data) != size:
            raise BadTrace(f"{self.shown} has become shorter while it was open")
        return data

    def walk(self) -> Iterator[tuple[Chunk, bytes]]:
        """Return the chunks behind the last one, with their stored bytes.

        Ends at the end of the file or at a chunk that is not whole; `fault` says why. Walking again goes on there.
        """
        self.fault, self.cut_off = "", False
        self._window = b""
        size = self.size
        while self.offset < size:
            try:
                found = self._next(size)
            except Incomplete as error:
                self.fault, self.cut_off = f"is cut off: {error}", True
                return
            except Malformed as error:
                self.fault = f"is damaged: {error}"
                return
            except OSError as error:
                self.fault = f"cannot be read: {error.strerror}"
                return
            self.offset = found[0].end
            self.number += 1
            yield found
        self._window = b""

    def _next(self, size: int) -> tuple[Chunk, bytes]:
        header = self._ahead(CHUNK_HEADER_BYTES, self.offset)
        chunk = frame.parse_chunk_header(header, self.number, self.offset)
        if chunk.end > size:
            raise Incomplete(f"{size - chunk.offset} of {chunk.end - chunk.offset} bytes are there")
        stored = self._ahead(chunk.stored, chunk.payload_offset)
        if len(stored) != chunk.stored:
            raise Incomplete("the file has become shorter")
        self._check(chunk, header[: CHUNK_HEADER.size], stored)
        return chunk, stored

    def _ahead(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes, and some more for the next time."""
        begin = offset - self._window_offset
        if not 0 <= begin <= begin + size <= len(self._window):
            self._window, self._window_offset = self.read_at(max(size, WINDOW_BYTES), offset), offset
            begin = 0
        return self._window[begin : begin + size]

    def _check(self, chunk: Chunk, header: bytes, stored: bytes) -> None:
        if chunk.checksum != frame.checksum(self.file_id, chunk.offset, header, stored):
            raise Malformed("its checksum does not match")
        if not chunk.first <= chunk.last < frame.MAX_ICOUNT:
            raise Malformed(f"it is about positions {chunk.first} to {chunk.last}")

    def content(self, chunk: Chunk) -> bytes:
        """Return the content of a chunk that was walked over.

        Raises:
            BadTrace: It is not there any more, or is not what its header says.
        """
        header = self.read_exactly(CHUNK_HEADER.size, chunk.offset)
        stored = self.read_exactly(chunk.stored, chunk.payload_offset)
        try:
            self._check(chunk, header, stored)
            return frame.unpack(chunk, stored)
        except Malformed as error:
            raise self.bad(chunk, error) from error

    def bad(self, chunk: Chunk, what: object) -> BadTrace:
        """Return the error that says what is wrong with a chunk."""
        return BadTrace(f"{self.shown}: {chunk.where}: {what}")


def _cannot_open(path: str, error: OSError) -> BadTrace:
    if error.errno == errno.ENOENT:
        return BadTrace(f"there is no file {path}", exit_code=ExitCode.NOT_FOUND)
    code = ExitCode.BAD_TRACE if error.errno == errno.EISDIR else ExitCode.HOST_IO
    return BadTrace(f"cannot read {path}: {error.strerror}", exit_code=code)
