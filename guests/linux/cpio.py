"""Archives in the format that Linux unpacks as its first file system: cpio, "newc".

See Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. Nothing of the host gets in: no times, no
owners, and files are numbered in order, so the same contents make the same archive.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file of the archive."""

    name: str
    """Its path, without a slash in front."""
    mode: int
    """Its type and permissions, as in `stat`."""
    data: bytes = b""
    """What is in it; of a symbolic link, where it leads."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device."""


def folder(name: str) -> Entry:
    """Return a folder."""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, *, executable: bool = False) -> Entry:
    """Return a regular file."""
    return Entry(name, stat.S_IFREG | (0o755 if executable else 0o644), data)


def link(name: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def character_device(name: str, major: int, minor: int) -> Entry:
    """Return a character device."""
    return Entry(name, stat.S_IFCHR | 0o600, b"", (major, minor))


def archive(entries: list[Entry]) -> bytes:
    """Return an archive of some files. Folders come before what is in them."""
    return b"".join(_parts(entries))


def _parts(entries: list[Entry]) -> Iterator[bytes]:
    for number, entry in enumerate(entries, 1):
        yield from _entry(number, entry)
    yield from _entry(0, Entry("TRAILER!!!", 0))


def _entry(number: int, entry: Entry) -> Iterator[bytes]:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in fields)
    yield header + name + bytes(-(len(header) + len(name)) % 4)
    yield entry.data + bytes(-len(entry.data) % 4)
