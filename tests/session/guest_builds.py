"""The repository's guests, built at any level of optimisation, by GCC or by clang, and recorded."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rrdbg_core.machine.config import DeviceRef, ImageRef, MachineConfig
from rrdbg_core.replay.console_input import BytesInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Until, record
from rrdbg_core.trace import image_digest

from tests.guests.manifest import GUESTS
from tests.symbols.compilers import GCC, need

NAMES = tuple(
    str(path.relative_to(GUESTS).with_suffix(""))
    for folder in (GUESTS, GUESTS / "bugs", GUESTS / "bench")
    for path in sorted(folder.glob("*.c"))
)
"""All guests but the tiny ones, which share what they do most of the time."""
PAGED = tuple(
    f"tiny/{path.stem}"
    for path in sorted((GUESTS / "tiny").glob("*.c"))
    if re.search(r'"(supervisor|sv39)\.h"', path.read_text())
)
"""Those of the tiny ones that run in S mode, most of them behind page tables."""
TYPED = {
    "shell": b"help\rpeek 0x80000000 4\rrun fib 12\recho one two\rrand\rtime\rcrash\r",
    "race": b"xyz",
    "storm": b"some input that makes interrupts",
}
"""What is typed at a guest."""
WITH_ENTROPY = {"race", "shell", "storm", "bugs/late-dma"}
LIMIT = 3_000_000
"""Steps after which a recording ends that does not end by itself."""
CLANG = "clang"
_OTHERS = {GCC: (), CLANG: ("--target=riscv64-unknown-elf", "-mno-relax")}
_MARCH = {GCC: "rv64imac_zicsr_zifencei_zba_zbb_zbs", CLANG: "rv64imac"}
_FLOAT = {GCC: "rv64gc_zicsr_zifencei", CLANG: "rv64gc"}


@dataclass(frozen=True)
class Build:
    """A way to compile."""

    level: str
    """Level of optimisation: -O0, -O2, ..."""
    dwarf: int = 4
    """Version of the debug information."""
    compiler: str = GCC
    """GCC or CLANG."""

    def __str__(self) -> str:
        return f"{self.compiler.rpartition('-')[2]}{self.level}-dwarf{self.dwarf}"


@cache
def _flags() -> tuple[str, ...]:
    """Return how the guests are compiled, without what is said of processor, level and debug information."""
    text = (GUESTS / "Makefile").read_text().replace("\\\n", " ")
    words = re.search(r"^FLAGS := (.*)$", text, re.MULTILINE)
    assert words is not None
    kept = [word for word in words[1].split() if word[:2] in ("-m", "-f", "-s") and "prefix-map" not in word]
    return tuple(word for word in kept if word != "-fno-tree-loop-distribute-patterns")


@cache
def _with_floats() -> frozenset[str]:
    """Return the guests that compute with floating point."""
    names = re.search(r"^GUESTS_o2gc := (.*)$", (GUESTS / "Makefile").read_text(), re.MULTILINE)
    assert names is not None
    words = re.sub(r"\$\(addprefix ([\w/]+),(\w+)\)", r"\1\2", names[1]).split()
    assert all((GUESTS / f"{word}.c").exists() for word in words)
    return frozenset(words)


def _target(guest: str, compiler: str) -> tuple[str, ...]:
    """Return what is said of the processor."""
    if guest in _with_floats():
        return f"-march={_FLOAT[compiler]}", "-mabi=lp64d", "-fno-math-errno"
    return f"-march={_MARCH[compiler]}", "-mabi=lp64"


def _compile(guest: str, folder: Path, build: Build, *sources: Path) -> None:
    c = [path for path in sources if path.suffix == ".c"]
    assembly = [path for path in sources if path.suffix == ".S"]
    for compiler, files in ((build.compiler, c), (GCC, assembly)):
        if not files:
            continue
        options = [*_flags(), *_target(guest, compiler), *_OTHERS[compiler], build.level]
        options += ["-g", f"-gdwarf-{build.dwarf}", "-w", f"-ffile-prefix-map={GUESTS}/="]
        if compiler == GCC:
            options += ["-fno-tree-loop-distribute-patterns", f"-Wa,--debug-prefix-map={GUESTS}/="]
        include = [f"-I{GUESTS}/lib", f"-I{GUESTS}/bugs"]
        subprocess.run([need(compiler), *options, *include, "-c", *map(str, files)], check=True, cwd=folder)


def built(guest: str, folder: Path, build: Build) -> Path:
    """Compile a guest and return its ELF; what guests share is compiled once for a folder."""
    work = folder / f"{build}{'-floats' * (guest in _with_floats())}"
    if not work.exists():
        work.mkdir(parents=True)
        lib = GUESTS / "lib"
        _compile(guest, work, build, *sorted(lib.glob("*.c")), *sorted(lib.glob("*.S")))
    objects = sorted(str(path) for path in work.glob("*.o"))
    own = work / guest.replace("/", "-")
    own.mkdir()
    _compile(guest, own, build, GUESTS / f"{guest}.c")
    elf = own / f"{own.name}.elf"
    link = ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none,--no-warn-rwx-segments", "-T", "lib/kernel.ld"]
    made = [str(next(own.glob("*.o"))), *objects]
    command = [need(GCC), *_flags(), *_target(guest, GCC), *link, "-o", str(elf), *made, "-lgcc"]
    subprocess.run(command, check=True, cwd=GUESTS)
    return elf


def recorded(guest: str, folder: Path, build: Build, limit: int = LIMIT) -> Path:
    """Build and record a guest, and return the trace."""
    elf = built(guest, folder, build)
    data = elf.read_bytes()
    devices = (DeviceRef(kind="virtio-rng", name="virtio-rng", slot=0),) if guest in WITH_ENTROPY else ()
    image = ImageRef(kind="elf", digest=image_digest(data), name=elf.name)
    config = MachineConfig(
        isa="rv64gc" if guest in _with_floats() else "rv64imac",
        privilege="msu" if guest in PAGED else "mu",
        ram_bytes=16 << 20,
        seed=1,
        images=(image,),
        devices=devices,
    )
    path = elf.with_suffix(".rrt")
    source = LiveSource(config, BytesInput(TYPED.get(guest, b"")), warp=True)
    record(config, {image.digest: data}, source, path, until=Until(icount=limit))
    return path
