"""The compute kernels, and how long they run."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bench.host import ROOT

BIN = ROOT / "guests" / "bin"
KERNELS = (
    *("sort", "sha256", "sieve", "matrix", "interp", "strings"),
    *(f"bench/{name}" for name in ("arith32", "atomics", "bigcode", "bignum", "bits", "calls", "compress", "forth")),
    *(
        f"bench/{name}"
        for name in ("mandelbrot", "memory", "objects", "parse", "selfmod", "syscalls", "tables", "ticks", "trees")
    ),
    "bench/unoptimised",
)
"""At least 1 G steps each."""
QUICK = ("sort", "interp", "bench/calls", "bench/bigcode", "bench/memory", "bench/syscalls")
"""Different ones, for a first look."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A guest that computes something and ends."""

    name: str
    """As `rrdbg guests` has it."""
    steps: int
    """Steps that it makes."""
    output_sha256: str
    """Hash of what it prints."""

    @property
    def elf(self) -> Path:
        """Where it lies."""
        return BIN / f"{self.name}.elf"


@cache
def manifest() -> dict[str, Kernel]:
    """Return all guests that end by themselves."""
    rows = json.loads((BIN / "MANIFEST.json").read_text(encoding="utf-8"))["guests"]
    return {row["name"]: Kernel(row["name"], row["steps"], row["output_sha256"]) for row in rows}


def kernel(name: str) -> Kernel:
    """Return a kernel by name; `calls` will do for `bench/calls`."""
    found = manifest()
    return found[name] if name in found else found[f"bench/{name}"]


def scaled(elf: bytes, factor: float) -> bytes:
    """Return the ELF of a kernel of `bench/` that makes so many times its rounds, and at least one.

    Raises:
        ValueError: It has no constant `rounds`.
    """
    from rrdbg.symbols.elf import ElfSymbols

    addresses = ElfSymbols(elf).addresses("rounds")
    if len(addresses) != 1:
        raise ValueError("the guest has no constant `rounds`")
    (table,), (size, count) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<HH", elf, 54)
    for header in range(table, table + size * count, size):
        kind, _, offset, address, _, file_size = struct.unpack_from("<IIQQQQ", elf, header)
        if kind == 1 and address <= addresses[0] < address + file_size:  # PT_LOAD
            at = offset + addresses[0] - address
            (rounds,) = struct.unpack_from("<Q", elf, at)
            return elf[:at] + struct.pack("<Q", max(1, round(rounds * factor))) + elf[at + 8 :]
    raise ValueError("`rounds` is not in the file")
