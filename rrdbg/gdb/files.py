"""The images of a trace as files that gdb can open (`vFile`, gdb manual appendix F.7 "Host I/O packets").

gdb loads symbols from them without a file of its own. Nothing else can be opened, and nothing is written: the client
never gets at the host's files.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from rrdbg.gdb.errors import Malformed
from rrdbg.gdb.fields import bytes_of, number, numbers
from rrdbg.gdb.packets import MAX_PAYLOAD, escape

# error numbers of the File-I/O protocol (appendix E.13.9.3)
_ENOENT, _EBADF, _EACCES, _EINVAL, _ENFILE, _EROFS = 2, 9, 13, 22, 23, 30
_WRITING = 0x1 | 0x2 | 0x8 | 0x200 | 0x400 | 0x800
_MAX_OPEN = 64
_STAT = struct.Struct(">7I3Q3I")
_REGULAR, _READABLE = 0o100000, 0o444
_ELF = b"\x7fELF"


class Files:
    """Named contents, opened and read by a client."""

    def __init__(self, load: Callable[[], Mapping[str, bytes]]) -> None:
        self._load = load
        self._contents: dict[str, bytes] | None = None
        self._open: dict[int, bytes] = {}

    @property
    def contents(self) -> dict[str, bytes]:
        """The files by absolute name; read when first asked for."""
        if self._contents is None:
            self._contents = {}
            for name, data in self._load().items():
                self._contents.setdefault(f"/{PurePosixPath(name).name}", data)
        return self._contents

    @property
    def program(self) -> str:
        """Name of the file that gdb should take for the program: the first ELF; empty when there is none."""
        return next((name for name, data in self.contents.items() if data.startswith(_ELF)), "")

    def close_all(self) -> None:
        """Close what a client left open."""
        self._open.clear()

    def packet(self, rest: bytes) -> bytes:
        """Answer a packet, given without its `vFile:`; an empty answer to what is not known."""
        operation, _, arguments = rest.partition(b":")
        match operation:
            case b"setfs":
                return b"F0"
            case b"open":
                return self._opened(arguments)
            case b"close":
                return b"F0" if self._open.pop(number(arguments, "descriptor"), None) is not None else _failed(_EBADF)
            case b"pread":
                return self._read(arguments)
            case b"fstat":
                data = self._open.get(number(arguments, "descriptor"))
                return _failed(_EBADF) if data is None else _stat(data)
            case b"stat" | b"lstat":
                data = self.contents.get(_name(arguments))
                return _failed(_ENOENT) if data is None else _stat(data)
            case b"readlink":
                return _failed(_EINVAL if _name(arguments) in self.contents else _ENOENT)
            case b"pwrite" | b"unlink":
                return _failed(_EROFS)
        return b""

    def _opened(self, arguments: bytes) -> bytes:
        name, *flags = arguments.split(b",")
        if len(flags) != 2:
            raise Malformed("vFile:open needs a name, flags and a mode")
        data = self.contents.get(_name(name))
        if data is None:
            return _failed(_ENOENT)
        if number(flags[0], "flags") & _WRITING:
            return _failed(_EROFS)
        free = next((fd for fd in range(3, 3 + _MAX_OPEN) if fd not in self._open), None)
        if free is None:
            return _failed(_ENFILE)
        self._open[free] = data
        return b"F%x" % free

    def _read(self, arguments: bytes) -> bytes:
        descriptor, count, offset = numbers(arguments, 3)
        data = self._open.get(descriptor)
        if data is None:
            return _failed(_EBADF)
        # a byte may become two
        piece = data[offset : offset + min(count, MAX_PAYLOAD // 2 - 32)]
        return b"F%x;%b" % (len(piece), escape(piece))


def _name(digits: bytes) -> str:
    return str(PurePosixPath("/" + bytes_of(digits).decode(errors="replace").lstrip("/")))


def _failed(number: int) -> bytes:
    return b"F-1,%x" % number


def _stat(data: bytes) -> bytes:
    size = len(data)
    # device, inode, mode, links, user, group, device type; size, block size, blocks; three times
    fields = _STAT.pack(0, 0, _REGULAR | _READABLE, 1, 0, 0, 0, size, 4096, (size + 511) // 512, 0, 0, 0)
    return b"F%x;%b" % (len(fields), escape(fields))
