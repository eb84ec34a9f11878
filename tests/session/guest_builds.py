"""The repository's guests, built at any level of optimisation, and recorded."""

from __future__ import annotations

import re
import subprocess
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
    for folder in (GUESTS, GUESTS / "bugs")
    for path in sorted(folder.glob("*.c"))
)
"""All guests and planted bugs."""
TYPED = {
    "shell": b"help\rpeek 0x80000000 4\rrun fib 12\recho one two\rrand\rtime\rcrash\r",
    "race": b"xyz",
    "storm": b"some input that makes interrupts",
}
"""What is typed at a guest."""
WITH_ENTROPY = {"race", "shell", "storm", "bugs/late-dma"}
LIMIT = 3_000_000
"""Steps after which a recording ends that does not end by itself."""


@cache
def _flags() -> tuple[str, ...]:
    """Return how the guests are compiled, without the level and what is said of debug information."""
    text = (GUESTS / "Makefile").read_text().replace("\\\n", " ")
    words = re.search(r"^FLAGS := (.*)$", text, re.MULTILINE)
    march = re.search(r"^O2 := (\S+)", text, re.MULTILINE)
    assert words is not None
    assert march is not None
    kept = [word for word in words[1].split() if word[:2] in ("-m", "-f", "-s") and "prefix-map" not in word]
    return (march[1], *kept)


def _compile(folder: Path, level: str, dwarf: int, *sources: Path) -> None:
    map_ = f"-ffile-prefix-map={GUESTS}/="
    options = [*_flags(), level, "-g", f"-gdwarf-{dwarf}", "-w", map_, f"-Wa,--debug-prefix-map={GUESTS}/="]
    command = [need(GCC), *options, f"-I{GUESTS}/lib", f"-I{GUESTS}/bugs", "-c", *map(str, sources)]
    subprocess.run(command, check=True, cwd=folder)


def built(guest: str, folder: Path, level: str, dwarf: int = 4) -> Path:
    """Compile a guest and return its ELF; what guests share is compiled once for a folder."""
    work = folder / f"{level}-dwarf{dwarf}"
    if not work.exists():
        work.mkdir(parents=True)
        lib = GUESTS / "lib"
        _compile(work, level, dwarf, *sorted(lib.glob("*.c")), *sorted(lib.glob("*.S")))
    objects = sorted(str(path) for path in work.glob("*.o"))
    own = work / guest.replace("/", "-")
    own.mkdir()
    _compile(own, level, dwarf, GUESTS / f"{guest}.c")
    elf = own / f"{own.name}.elf"
    link = "-nostdlib -static -no-pie -Wl,--build-id=none,--no-warn-rwx-segments -T lib/kernel.ld".split()
    made = [str(next(own.glob("*.o"))), *objects]
    subprocess.run([need(GCC), *_flags(), *link, "-o", str(elf), *made, "-lgcc"], check=True, cwd=GUESTS)
    return elf


def recorded(guest: str, folder: Path, level: str, dwarf: int = 4, limit: int = LIMIT) -> Path:
    """Build and record a guest, and return the trace."""
    elf = built(guest, folder, level, dwarf)
    data = elf.read_bytes()
    devices = (DeviceRef(kind="virtio-rng", name="virtio-rng", slot=0),) if guest in WITH_ENTROPY else ()
    image = ImageRef(kind="elf", digest=image_digest(data), name=elf.name)
    config = MachineConfig(ram_bytes=16 << 20, seed=1, images=(image,), devices=devices)
    path = elf.with_suffix(".rrt")
    source = LiveSource(config, BytesInput(TYPED.get(guest, b"")), warp=True)
    record(config, {image.digest: data}, source, path, until=Until(icount=limit))
    return path
