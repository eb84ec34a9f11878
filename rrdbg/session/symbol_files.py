"""Files with symbols that a session is opened with, beside the images that the trace carries."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from os import PathLike

from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.symbols.namelist import STARTS, NameList
from rrdbg.symbols.table import SymbolFile

_RISCV = 243
_AT = re.compile(r"(.+)@(0x[0-9a-fA-F_]+|\d[\d_]*)")


def read_symbol_files(files: Sequence[str | PathLike[str]]) -> list[SymbolFile]:
    """Read files with symbols.

    Args:
        files: Paths of ELF files, and of lists as nm prints them; with `@ADDRESS` behind it, a file's `.text` section
            was loaded there, or the kernel that a list describes.

    Raises:
        RrdbgError: One cannot be read, or is neither.
    """
    return [_read(os.fspath(file)) for file in files]


def _read(text: str) -> SymbolFile:
    path, address = text, None
    match = None if os.path.exists(text) else _AT.fullmatch(text)
    if match is not None:
        path, address = match[1], int(match[2].replace("_", ""), 0)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        before, _, place = text.rpartition("@")
        hint = f"behind the @ stands where its code was loaded, and {place!r} is no address"
        raise RrdbgError(
            f"cannot read symbols from {path}: {error.strerror}",
            hint=hint if match is None and os.path.exists(before) else None,
            exit_code=ExitCode.NOT_FOUND,
        ) from error
    if data[:4] != b"\x7fELF":
        return _listed(path, data, address)
    if data[4:6] != b"\2\1" or int.from_bytes(data[18:20], "little") != _RISCV:
        raise RrdbgError(
            f"{path} is not an ELF file for 64-bit RISC-V",
            hint="symbols come from the guest's own program",
            exit_code=ExitCode.USAGE,
        )
    return SymbolFile(os.path.basename(path), data, address)


def _listed(path: str, data: bytes, address: int | None) -> SymbolFile:
    try:
        names = NameList(data)
    except ValueError as error:
        raise RrdbgError(
            f"{path} is not an ELF file, which could have symbols, and {error}",
            hint="for a kernel give vmlinux or System.map, not Image; for firmware what the linker wrote, not the .bin",
            exit_code=ExitCode.USAGE,
        ) from error
    if address is not None and names.start is None:
        raise RrdbgError(
            f"{path} does not say where the kernel begins, so it cannot be moved to {address:#x}",
            hint=f"one of the symbols {', '.join(name.decode() for name in STARTS)} says it",
            exit_code=ExitCode.USAGE,
        )
    return SymbolFile(os.path.basename(path), data, address)
