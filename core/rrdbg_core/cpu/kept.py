"""What is kept of compiled code on this machine: kernels (see `build`) and regions (see `regions.store`)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rrdbg_core.cpu import build
from rrdbg_core.cpu.regions import store
from rrdbg_core.cpu.regions.record import tally
from rrdbg_core.errors import RrdbgError

KERNELS, REGIONS = "kernels", store.KIND
PATTERNS = {KERNELS: ("*.o", "tmp????????"), REGIONS: (f"*{store.SUFFIX}",)}
"""Kind to names of its files; what was never finished is one too."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file."""

    path: Path
    """Where."""
    size: int
    """Bytes."""
    used: float
    """When it was written, or regions were read, in seconds since the epoch."""
    current: bool
    """True: this version of rrdbg, on this machine, would use it."""
    regions: int = 0
    """Regions in it."""
    refused: int = 0
    """Stretches of guest code known in it that cannot be compiled."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The files of one kind."""

    directory: Path
    """Where they are."""
    files: tuple[KeptFile, ...]
    """The one not used for longest first."""
    problem: str
    """Why nothing there is used; empty: it is."""

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(file.size for file in self.files)


def survey(kind: str) -> Kept:
    """Return the files of one kind; nothing is made or changed. Raises OSError."""
    directory = build.cache_root() / kind
    if not directory.is_dir():
        return Kept(directory, (), "")
    problem = ""
    try:
        build.cache_directory(kind)
    except RrdbgError as error:
        problem = error.message
    version = build.key() if kind == KERNELS else store.key().hex()
    files = []
    for path in _paths(kind, directory):
        with suppress(FileNotFoundError):  # somebody else drops files too
            info = path.stat()
            counts = tally(memoryview(_start(path))) if kind == REGIONS else (0, 0)
            current = path.name.startswith(version) and not problem
            files.append(KeptFile(path, info.st_size, info.st_mtime, current, *counts))
    return Kept(directory, tuple(sorted(files, key=lambda file: file.used)), problem)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(store.PROGRAM_BYTES)


def _paths(kind: str, directory: Path) -> list[Path]:
    paths = [path for pattern in PATTERNS[kind] for path in directory.glob(pattern)]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def clear(kind: str) -> tuple[int, int]:
    """Drop all files of one kind, and return how many and of how many bytes.

    Raises:
        OSError: One of them cannot be dropped.
        RrdbgError: The directory is not ours alone.
    """
    directory = build.cache_root() / kind
    if not directory.is_dir():
        return 0, 0
    dropped = size = 0
    for path in _paths(kind, build.cache_directory(kind)):
        with suppress(FileNotFoundError):
            info = path.stat()
            path.unlink()
            dropped, size = dropped + 1, size + info.st_size
    return dropped, size
