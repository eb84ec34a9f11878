"""Keep compiled regions on disk, so that a program that ran here once starts with its regions.

One file for each program, of whole records one after another (see `record`). Its name and the checksum of every record
carry a hash of all that the object code depends on and of the program: a file of an older version is never read, and
goes away when it has not been used for long. What lies here is executed: the directory is ours alone, see
`cpu.build.cache_directory`.

Several processes may run the same program at once: each appends whole records under a lock, behind the last whole one.
Readers take no lock: what is torn, damaged or foreign ends the file for them, and the next writer cuts it off. Where
nothing can be written nothing is kept, and nobody is told: a region can always be compiled again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rrdbg_core.cpu import build
from rrdbg_core.cpu.regions.plan import Plan
from rrdbg_core.cpu.regions.record import Record, decode_plan, digest, seal, unseal
from rrdbg_core.errors import RrdbgError

KIND = "regions"
"""Name of the directory."""
PROGRAM_BYTES = 32 << 20
"""Bytes of the largest file: some 3,000 regions."""
TOTAL_BYTES = 256 << 20
"""Bytes of all files; those that were not used for longest go first."""
_ROOM_BYTES = TOTAL_BYTES // 4
"""Bytes that are made free at once when there are more."""
FOREIGN_SECONDS = 14 * 24 * 3600
"""Age at which files of other versions are dropped."""
SUFFIX = ".regions"
"""Of the files' names."""
_LOCK_TRIES, _LOCK_WAIT_S = 50, 0.01
_FLAGS = sum(getattr(os, f"O_{name}", 0) for name in ("BINARY", "NOFOLLOW", "CLOEXEC", "NONBLOCK"))
"""A pipe in the place of a file is not waited for."""


@cache
def key() -> bytes:
    """Return a hash of all that the object code of regions depends on, the programs apart."""
    whole = hashlib.sha256(build.key().encode())
    here = Path(__file__).parent
    for path in [*sorted(here.parent.glob("*.py")), *sorted(here.glob("*.py"))]:
        whole.update(path.name.encode())
        whole.update(path.read_bytes())
    return whole.digest()[:16]


class Store:
    """The regions of one program on disk. No method raises OSError."""

    def __init__(self, program: bytes, *, version: bytes | None = None, directory: Path | None = None) -> None:
        """Find the file; nothing is read yet.

        Args:
            program: What stands for the guest program; without it nothing is kept.
            version: What the object code depends on, `key()` by default.
            directory: Where the file is, the cache by default.
        """
        self._version = key() if version is None else version
        self.salt = self._version + program
        """What records are sealed with."""
        self._path: Path | None = None
        self._known: dict[bytes, tuple[int, int]] = {}
        """Digests of plans to where their record is."""
        self._whole = 0
        """Bytes of whole records that have been seen."""
        self._inode = 0
        self._unchecked = 0
        if program:
            with suppress(OSError, RrdbgError):
                where = build.cache_directory(KIND) if directory is None else directory
                name = hashlib.sha256(program).hexdigest()[:32]
                self._path = where / f"{self._version.hex()}-{name}{SUFFIX}"

    def exists(self) -> bool:
        """Return whether there is a file; what it holds is not looked at."""
        return self._path is not None and self._path.exists()

    def load(self) -> list[Record]:
        """Return all records there are, and remember that they were used."""
        file = self._open(os.O_RDONLY)
        if file is None:
            return []
        try:
            self._forget()
            records = self._read_on(file)
            with suppress(OSError):
                os.utime(file if os.utime in os.supports_fd else self._path)  # type: ignore[arg-type]
        except (OSError, MemoryError):
            return []
        finally:
            os.close(file)
        return records

    def find(self, plan: bytes) -> Record | None:
        """Return the record that holds a plan, if one was there at the last `load` or `add`."""
        place = self._known.get(digest(plan))
        file = self._open(os.O_RDONLY) if place else None
        if place is None or file is None:
            return None
        try:
            os.lseek(file, place[0], os.SEEK_SET)
            found = unseal(self.salt, memoryview(_read(file, place[1])))
        except (OSError, MemoryError):
            return None
        finally:
            os.close(file)
        return found[0] if found and plan in found[0].plans else None

    def add(self, sealed: bytes) -> bool:
        """Append a sealed record, unless all of its plans are there already; return whether it is there now."""
        found = unseal(self.salt, memoryview(sealed))
        file = self._open(os.O_RDWR | os.O_CREAT) if found and found[1] == len(sealed) else None
        if found is None or file is None:
            return False
        try:
            if not _lock(file):
                return False
            self._scan(file)
            if all(digest(plan) in self._known for plan in found[0].plans):
                return True
            if self._whole + len(sealed) > PROGRAM_BYTES >= 2 * len(sealed):
                self._shrink(file)
            if self._whole + len(sealed) > PROGRAM_BYTES or not self._append(file, sealed):
                return False
            self._learn(found[0], self._whole, len(sealed))
            self._whole += len(sealed)
            self._unchecked += len(sealed)
        except (OSError, MemoryError, ValueError):
            return False
        finally:
            os.close(file)  # and with it the lock
        if self._unchecked >= PROGRAM_BYTES // 8 or self._whole == len(sealed):
            self._unchecked = 0
            assert self._path is not None
            tidy(self._path.parent, self._version, self._path)
        return True

    def _open(self, flags: int) -> int | None:
        """Open the file, if it is ours and a file at all."""
        if self._path is None:
            return None
        try:
            file = os.open(self._path, flags | _FLAGS, 0o600)
        except OSError:
            return None
        info = os.fstat(file)
        strange = not stat.S_ISREG(info.st_mode)
        if hasattr(os, "getuid"):
            strange = strange or info.st_uid != os.getuid() or bool(info.st_mode & 0o022)
        if strange:
            os.close(file)
            return None
        if info.st_ino != self._inode or info.st_size < self._whole:
            self._forget()
            self._inode = info.st_ino
        return file

    def _forget(self) -> None:
        self._known.clear()
        self._whole = 0

    def _scan(self, file: int) -> list[Record]:
        """Read on behind the whole records that are known; from the start, if what follows is none."""
        records = self._read_on(file)
        if self._whole < os.fstat(file).st_size and self._whole and not records:
            self._forget()
            records = self._read_on(file)
        return records

    def _read_on(self, file: int) -> list[Record]:
        os.lseek(file, self._whole, os.SEEK_SET)
        data = memoryview(_read(file, PROGRAM_BYTES - self._whole))
        records, at = [], 0
        while (found := unseal(self.salt, data, at)) is not None:
            record, end = found
            records.append(record)
            self._learn(record, self._whole + at, end - at)
            at = end
        self._whole += at
        return records

    def _learn(self, record: Record, at: int, size: int) -> None:
        self._known.update((digest(plan), (at, size)) for plan in record.plans)

    def _shrink(self, file: int) -> None:
        """Write the file anew without what is superseded, and no longer than half of what it may be."""
        self._forget()
        records = self._read_on(file)
        kept, size = [], 0
        for index in reversed(current([tuple(map(decode_plan, record.plans)) for record in records])):
            sealed = seal(self.salt, records[index])
            size += len(sealed)
            if size > PROGRAM_BYTES // 2:
                break
            kept.append(sealed)
        self._forget()
        if self._append(file, b"".join(reversed(kept))):
            self._read_on(file)

    def _append(self, file: int, data: bytes) -> bool:
        """Write behind the last whole record, all of it or nothing."""
        os.ftruncate(file, self._whole)
        os.lseek(file, self._whole, os.SEEK_SET)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
        except OSError:  # the disk is full; a piece that cannot be cut off now is cut off by the next writer
            with suppress(OSError):
                os.ftruncate(file, self._whole)
            return False
        return True


def current(batches: Sequence[Sequence[Plan]]) -> list[int]:
    """Return which of the batches, the oldest first, are not superseded.

    A plan takes over its entries from older ones; one that has none left is not entered any more.
    """
    taken: set[tuple[int, bytes]] = set()
    kept = []
    for index in reversed(range(len(batches))):
        entries = {
            (block.pc, block.code) for plan in batches[index] for block in plan.blocks if block.pc in plan.entries
        }
        if not entries <= taken:
            kept.append(index)
            taken |= entries
    return kept[::-1]


@dataclass(frozen=True, slots=True)
class File:
    """A program's regions on disk."""

    path: Path
    """Where."""
    size: int
    """Bytes."""
    used: float
    """When they were last read or written, in seconds since the epoch."""
    current: bool
    """False: of another version, or for another CPU."""


def files(directory: Path, version: bytes) -> list[File]:
    """Return what lies in a directory, the least recently used first. Raises OSError."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # somebody else drops files too
            info = path.stat()
            found.append(File(path, info.st_size, info.st_mtime, path.name.startswith(version.hex())))
    return sorted(found, key=lambda file: file.used)


def tidy(directory: Path, version: bytes, keep: Path) -> None:
    """Drop files of other versions that were not used for long, and old ones until the rest is small enough."""
    with suppress(OSError):
        there = files(directory, version)
        there = [file for file in there if file.path != keep]
        old = {file.path for file in there if not file.current and time.time() - file.used > FOREIGN_SECONDS}
        total = sum(file.size for file in there) + keep.stat().st_size
        room = TOTAL_BYTES - (_ROOM_BYTES if total > TOTAL_BYTES else 0)
        for file in there:
            if total > room or file.path in old:
                file.path.unlink(missing_ok=True)
                total -= file.size


def _read(file: int, size: int) -> bytes:
    """Return up to as many bytes as a file still has."""
    pieces, missing = [], min(size, os.fstat(file).st_size - os.lseek(file, 0, os.SEEK_CUR))
    while missing > 0 and (piece := os.read(file, missing)):
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _lock(file: int) -> bool:
    """Lock a file until it is closed; give up if somebody keeps it locked, stopped perhaps."""
    try:
        import fcntl
    except ImportError:  # Windows; a lock hides bytes from readers there, so it lies behind all that there can be
        import msvcrt

        def attempt() -> None:
            os.lseek(file, 1 << 40, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:

        def attempt() -> None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    for _ in range(_LOCK_TRIES):
        try:
            attempt()
        except OSError:
            time.sleep(_LOCK_WAIT_S)
        else:
            return True
    return False
