"""Guest images: ELF, raw binaries and Intel hex, as bytes at addresses."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path

from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.config import ImageKind

EM_RISCV = 243
PT_LOAD = 1
SHT_SYMTAB = 2


class BadImage(RrdbgError):
    """The image cannot be loaded."""

    exit_code = ExitCode.BAD_IMAGE


class Segment(Frozen):
    """Bytes at a physical address; what `size` has beyond `data` is zero."""

    address: int
    """First byte."""
    data: bytes
    """Content."""
    size: int
    """Bytes in memory."""


class Program(Frozen):
    """A loaded image."""

    segments: tuple[Segment, ...]
    """What goes into RAM."""
    entry: int
    """First instruction."""
    symbols: dict[str, int] = field(default_factory=dict)
    """Symbols that the machine itself looks for: tohost and fromhost."""


def detect(path: Path, data: bytes, load_address: int | None) -> ImageKind:
    """Return the format of an image.

    Raises:
        BadImage: It is none of them.
    """
    if data[:4] == b"\x7fELF":
        return "elf"
    if data[:1] == b":" and path.suffix in (".hex", ".ihex", ".ihx", ".mcs"):
        return "hex"
    if load_address is not None:
        return "raw"
    if path.suffix in (".bin", ".img", ".raw"):
        return "raw"
    raise BadImage(
        f"{path}: not an ELF file", hint="a raw binary needs --load-address (0x80000000 is the start of RAM)"
    )


def load(kind: str, data: bytes, name: str, load_address: int | None = None) -> Program:
    """Parse an image.

    Raises:
        BadImage: It is broken, or not for this machine.
    """
    if kind == "elf":
        return _load_elf(data, name)
    if kind == "hex":
        return _load_hex(data, name, load_address)
    if not data:
        raise BadImage(f"{name}: the file is empty")
    address = RAM_BASE if load_address is None else load_address
    return Program((Segment(address, data, len(data)),), address)


def entry(programs: Sequence[Program]) -> int:
    """Return the first instruction.

    Where something is loaded at the start of RAM the hart starts there, as with QEMU's `-bios none`, whatever the ELF
    header says; else at the entry point of the first image.
    """
    if any(s.address <= RAM_BASE < s.address + s.size for program in programs for s in program.segments):
        return RAM_BASE
    return programs[0].entry if programs else RAM_BASE


def pieces(program: Program, name: str, ram_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield what goes into RAM: addresses and bytes.

    What lies below RAM is dropped, as on QEMU: linkers like to put the ELF headers into the page before the first
    segment.

    Raises:
        BadImage: Nothing lies in RAM, or RAM is too small.
    """
    end = RAM_BASE + ram_bytes
    loaded = False
    for segment in program.segments:
        if segment.address + segment.size > end:
            raise BadImage(
                f"{name}: bytes 0x{segment.address:x} to 0x{segment.address + segment.size - 1:x} of the image lie "
                f"outside RAM (0x{RAM_BASE:x} to 0x{end - 1:x})",
                hint="link the guest at 0x80000000, or give it more RAM with --memory",
            )
        below = max(RAM_BASE - segment.address, 0)
        if below < segment.size:
            loaded = True
            yield segment.address + below, segment.data[below:].ljust(segment.size - below, b"\0")
    if not loaded:
        raise BadImage(
            f"{name}: nothing in the image lies in RAM (0x{RAM_BASE:x} to 0x{end - 1:x})",
            hint="link the guest at 0x80000000",
        )


def _load_elf(data: bytes, name: str) -> Program:
    if len(data) < 64:
        raise BadImage(f"{name}: the ELF header is cut off after {len(data)} bytes")
    if data[4] != 2:
        raise BadImage(f"{name}: a 32-bit ELF", hint="rrdbg runs RV64 guests; build with -march=rv64... -mabi=lp64")
    if data[5] != 1:
        raise BadImage(f"{name}: a big-endian ELF", hint="rrdbg runs little-endian guests")
    kind, machine, _, entry, phoff, shoff = struct.unpack_from("<HHIQQQ", data, 16)
    phentsize, phnum, shentsize, shnum = struct.unpack_from("<HHHH", data, 54)
    if machine != EM_RISCV:
        raise BadImage(f"{name}: an ELF for machine {machine}, not RISC-V (243)")
    if kind not in (2, 3):
        raise BadImage(f"{name}: not an executable (ELF type {kind})", hint="link it: ld -T script.ld")
    if phnum == 0:
        raise BadImage(f"{name}: no program headers, nothing to load")
    if phentsize != 56 or phoff + 56 * phnum > len(data):
        raise BadImage(f"{name}: the program headers are cut off or malformed")
    segments = []
    virtual_entry = entry
    for index in range(phnum):
        p_type, _, offset, vaddr, paddr, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * index)
        if p_type != PT_LOAD or memsz == 0:
            continue
        if filesz > memsz or offset + filesz > len(data):
            raise BadImage(f"{name}: segment {index} is cut off: {offset + filesz} bytes wanted, {len(data)} there")
        segments.append(Segment(paddr, data[offset : offset + filesz], memsz))
        if vaddr <= virtual_entry < vaddr + memsz:
            entry = virtual_entry - vaddr + paddr
    if not segments:
        raise BadImage(f"{name}: no segment to load")
    return Program(tuple(segments), entry, _symbols(data, shoff, shentsize, shnum))


def _symbols(data: bytes, shoff: int, shentsize: int, shnum: int) -> dict[str, int]:
    """Return tohost and fromhost, if the symbol table has them; a broken table has nothing."""
    wanted = {}
    if shentsize != 64 or shoff + 64 * shnum > len(data):
        return {}
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i) for i in range(shnum)]
    for section in sections:
        if section[1] != SHT_SYMTAB or section[6] >= shnum:
            continue
        strings = sections[section[6]]
        names = data[strings[4] : strings[4] + strings[5]]
        for at in range(section[4], min(section[4] + section[5], len(data) - 23), 24):
            offset, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            name = names[offset : offset + 9]
            for known in (b"tohost", b"fromhost"):
                if name[: len(known) + 1] == known + b"\0":
                    wanted[known.decode()] = value
    return wanted


def _load_hex(data: bytes, name: str, load_address: int | None) -> Program:
    """Parse Intel hex (types 00 to 05); a load address moves the whole, so that its lowest byte lands there."""
    segments: list[Segment] = []
    base, entry = 0, None
    for number, line in enumerate(data.decode("ascii", "replace").split(), 1):
        try:
            record = bytes.fromhex(line.removeprefix(":"))
        except ValueError:
            record = b""
        if not line.startswith(":") or len(record) < 5 or len(record) != record[0] + 5 or sum(record) & 255:
            raise BadImage(f"{name}: line {number} is not an Intel hex record, or its checksum is wrong")
        offset, kind, payload = record[1] << 8 | record[2], record[3], record[4:-1]
        if kind == 0:
            segments.append(Segment(base + offset, payload, len(payload)))
        elif kind == 1:
            break
        elif kind in (2, 4):
            base = int.from_bytes(payload, "big") << (4 if kind == 2 else 16)
        elif kind == 5:
            entry = int.from_bytes(payload, "big")
    if not segments:
        raise BadImage(f"{name}: no data records")
    lowest = min(s.address for s in segments)
    shift = 0 if load_address is None else load_address - lowest
    moved = tuple(Segment(s.address + shift, s.data, s.size) for s in segments)
    return Program(moved, (lowest if entry is None else entry) + shift)
