"""Firmware, kernel, initial RAM disk and device tree: what goes where in RAM, as QEMU's `virt` places it."""

from __future__ import annotations

import argparse
import gzip
import io
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import xxhash
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine import loader
from rrdbg_core.machine.config import MAX_RAM, MIN_RAM, ImageRef
from rrdbg_core.machine.devicetree import board_tree
from rrdbg_core.machine.fdt import BadTree, cells, pack, unpack
from rrdbg_core.trace.contents import image_digest

from rrdbg.cli.images import read_input, resolve_image
from rrdbg.cli.record import BOOT_OPTIONS

MIB = 1 << 20
KERNEL_ALIGNMENT = 2 * MIB
INITRD_DISTANCE = 512 * MIB
"""The RAM disk lies so far behind the kernel's start, or half of the RAM, whichever is less."""
HIGHEST_TREE = 3072 * MIB
"""The device tree lies below this, so that 32-bit code finds it."""
TREE_NAME = "board.dtb"
RISCV_IMAGE, IMAGE_MAGIC_AT = b"RSC\x05", 56
_GZIP, _ZBOOT = b"\x1f\x8b", b"zimg"
_FOREIGN = ((b"ARM\x64", 56, "ARM64"), (b"HdrS", 0x202, "x86"))
"""What the headers of other kernels begin with, where, and whose they are (Documentation/arch of Linux)."""
_NEXT_STAGE = struct.Struct("<6Q")
_OSBI, _OSBI_VERSION, _S_MODE = 0x4942534F, 2, 1
_USAGE = ExitCode.USAGE


@dataclass
class Boot:
    """What is loaded, and where the hart starts."""

    images: list[ImageRef] = field(default_factory=list)
    """What is loaded, in order."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """Its content by digest."""
    firmware: Literal["none", "sbi"] = "none"
    """Who runs in M mode, see `MachineConfig`."""
    entry: int | None = None
    """First instruction; None: the image says."""
    device_tree: int | None = None
    """Its address."""
    next_stage: int | None = None
    """Address of what fw_dynamic is told."""

    def add(self, path: Path, content: bytes, address: int | None = None) -> loader.Program:
        """Load a file: an ELF where it says, anything else at an address."""
        kind = "elf" if content[:4] == b"\x7fELF" else "raw"
        where = None if kind == "elf" else address
        program = loader.load(kind, content, path.name, where)
        self.put(ImageRef(kind=kind, digest=image_digest(content), name=path.name, load_address=where), content)  # type: ignore[arg-type]
        return program

    def put(self, ref: ImageRef, content: bytes) -> None:
        """Load what a reference says."""
        self.images.append(ref)
        self.contents[ref.digest] = content


def wants_boot(args: argparse.Namespace) -> bool:
    """Return whether the options name a kernel or firmware rather than an IMAGE.

    Raises:
        RrdbgError: They name both, or half of what is needed.
    """
    booted = [name for name in BOOT_OPTIONS if getattr(args, name) is not None]
    if args.image is not None and booted:
        raise RrdbgError(
            f"IMAGE and --{booted[0]} exclude each other",
            hint="--kernel runs in S mode, --bios in M mode, and IMAGE has the machine for itself",
            exit_code=_USAGE,
        )
    if args.kernel is None and booted and booted != ["bios"]:
        needs = next(name for name in booted if name != "bios")
        raise RrdbgError(f"--{needs} needs a --kernel", exit_code=_USAGE)
    if booted and (args.load_address is not None or args.entry is not None):
        option = "--load-address" if args.load_address is not None else "--entry"
        raise RrdbgError(f"{option} goes with IMAGE, not with --{booted[0]}", exit_code=_USAGE)
    return bool(booted)


def load(args: argparse.Namespace) -> Boot:
    """Return what IMAGE, or the options instead of it, load.

    Raises:
        RrdbgError: A file cannot be read, is not what it should be, or RAM is too small.
    """
    return _boot(args) if wants_boot(args) else _image(args)


def _image(args: argparse.Namespace) -> Boot:
    """Return what IMAGE loads: it, and the board's device tree behind it, as QEMU's `-bios none -kernel` does."""
    path = resolve_image(args.image)
    content = read_input(path, ExitCode.BAD_IMAGE)
    kind = loader.detect(path, content, args.load_address)
    if kind == "elf" and args.load_address is not None:
        raise RrdbgError(
            f"{path} is an ELF, which says itself where it goes",
            hint="leave --load-address out",
            exit_code=_USAGE,
        )
    program = loader.load(kind, content, path.name, args.load_address)
    found = Boot(entry=args.entry)
    ref = ImageRef(kind=kind, digest=image_digest(content), name=path.name, load_address=args.load_address)
    found.put(ref, content)
    if MIN_RAM <= args.memory <= MAX_RAM:  # else it is refused, but what is wrong with the image is told first
        # without rng-seed: recorded twice, a run without input is the same to the bit
        blob = pack(board_tree(args.memory))
        address = _tree_address(args.memory, len(blob))
        apart = all(s.address + s.size <= address or s.address >= address + len(blob) for s in program.segments)
        if address > RAM_BASE and apart:
            found.add(Path(TREE_NAME), blob, address)
            found.device_tree = address
    return found


def _boot(args: argparse.Namespace) -> Boot:
    """Return what the options --bios, --kernel, --initrd, --append and --dtb load.

    Raises:
        RrdbgError: A file cannot be read, is not what it should be, or RAM is too small.
    """
    found = Boot()
    if args.memory > MAX_RAM:  # less than the least is too little for any kernel
        raise RrdbgError(f"--memory {args.memory}: it should be at most {MAX_RAM}", exit_code=_USAGE)
    end = RAM_BASE + args.memory
    start = RAM_BASE
    match args.bios:
        case None | "default":
            found.firmware = "sbi"
            start = RAM_BASE + KERNEL_ALIGNMENT
        case "none":
            pass
        case name:
            path = Path(name)
            program = found.add(path, read_input(path, ExitCode.BAD_IMAGE), RAM_BASE)
            start = _aligned(max(s.address + s.size for s in program.segments))
            found.entry = program.entry
    if args.kernel is None and found.firmware == "sbi":
        raise RrdbgError("--bios default needs a --kernel", exit_code=_USAGE)
    top, kernel_entry = start, start
    if args.kernel is not None:
        top, kernel_entry = _add_kernel(found, args.kernel, start, end)
        if found.entry is None:
            found.entry = kernel_entry
    disk = _add_initrd(found, args, kernel_entry, top) if args.initrd is not None else None
    _add_tree(found, args, kernel_entry, disk, top)
    return found


def _add_kernel(found: Boot, name: str, start: int, end: int) -> tuple[int, int]:
    """Load the kernel and return what lies behind it, and its first instruction."""
    path = resolve_image(name)
    content = read_input(path, ExitCode.BAD_IMAGE)
    if content[:2] == _GZIP:
        room = end - RAM_BASE
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(room + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise loader.BadImage(f"{path}: the compressed kernel is damaged: {error}") from error
        if len(content) > room:
            raise loader.BadImage(f"{path}: the kernel is larger than RAM", hint="give it more with --memory")
    if content[4:8] == _ZBOOT:
        raise loader.BadImage(
            f"{path}: a kernel that EFI firmware unpacks (zboot)",
            hint="take the Image that it was made of: arch/riscv/boot/Image",
        )
    for magic, at, machine in _FOREIGN:
        if content[at : at + len(magic)] == magic:
            raise loader.BadImage(f"{path}: a kernel for {machine}", hint="rrdbg runs RISC-V kernels, of 64 bits")
    program = found.add(path, content, start)
    top = max(s.address + s.size for s in program.segments)
    if content[IMAGE_MAGIC_AT : IMAGE_MAGIC_AT + 4] == RISCV_IMAGE:
        # what it needs behind the file, and it says so (Documentation/arch/riscv/boot-image-header.rst)
        top = max(top, start + int.from_bytes(content[16:24], "little"))
    if top > end:
        raise loader.BadImage(
            f"{path}: the kernel needs RAM up to 0x{top:x}, there is RAM up to 0x{end:x}",
            hint="give it more with --memory",
        )
    return top, program.entry


def _add_initrd(found: Boot, args: argparse.Namespace, kernel_entry: int, top: int) -> tuple[int, int]:
    """Load the RAM disk and return where it begins and ends."""
    path = Path(args.initrd)
    content = read_input(path, ExitCode.NOT_FOUND)
    if not content:
        raise loader.BadImage(f"{path}: the file is empty")
    start = max(kernel_entry + min(args.memory // 2, INITRD_DISTANCE), _aligned(top))
    found.put(ImageRef(kind="raw", digest=image_digest(content), name=path.name, load_address=start), content)
    return start, start + len(content)


def _add_tree(found: Boot, args: argparse.Namespace, kernel_entry: int, disk: tuple[int, int] | None, top: int) -> None:
    """Make the device tree, and what fw_dynamic is told, behind everything else."""
    if args.dtb is None:
        root, name = board_tree(args.memory), TREE_NAME
    else:
        path = Path(args.dtb)
        name = path.name
        try:
            root = unpack(read_input(path, ExitCode.NOT_FOUND))
        except BadTree as error:
            raise loader.BadImage(f"{path}: not a device tree blob: {error}") from error
    chosen = root.child("chosen", {"rng-seed": _entropy(args.seed)})
    if args.append is not None:
        try:
            args.append.encode()
        except UnicodeEncodeError as error:
            raise RrdbgError(f"--append {args.append!r}: this is no UTF-8", exit_code=_USAGE) from error
        chosen.set({"bootargs": args.append})
    if disk is not None:
        first, last = disk
        chosen.set({"linux,initrd-start": cells(first), "linux,initrd-end": cells(last)})
    blob = pack(root)
    blob += bytes(-len(blob) % 8)
    stage = b""
    if args.bios not in (None, "default", "none"):
        goes_on = kernel_entry if args.kernel is not None else 0
        stage = _NEXT_STAGE.pack(_OSBI, _OSBI_VERSION, goes_on, _S_MODE, 0, 0)
    address = _tree_address(args.memory, len(blob) + len(stage))
    last = disk[1] if disk else top
    if address < last:
        raise RrdbgError(
            f"RAM is too small: kernel and RAM disk reach up to 0x{last:x}, and the device tree has to go behind them",
            hint="give the guest more with --memory",
            exit_code=ExitCode.BAD_IMAGE,
        )
    found.add(Path(name), blob + stage, address)
    found.device_tree = address
    if stage:
        found.next_stage = address + len(blob)


def _tree_address(ram_bytes: int, size: int) -> int:
    """Return where a device tree of that size goes."""
    return (min(RAM_BASE + ram_bytes, HIGHEST_TREE) - size) & -KERNEL_ALIGNMENT


def _entropy(seed: int | None) -> bytes:
    """Return 32 bytes for the kernel's random numbers."""
    if seed is None:
        return os.urandom(32)
    return b"".join(xxhash.xxh3_128_digest(f"rng-seed {half}".encode(), seed & (1 << 64) - 1) for half in (0, 1))


def _aligned(address: int) -> int:
    return -(-address // KERNEL_ALIGNMENT) * KERNEL_ALIGNMENT
