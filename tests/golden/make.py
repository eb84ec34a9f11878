"""Record the golden traces of this format and machine version that are not there yet: `make traces`.

Those that are there stay as they are, of whatever version: later programs replay them or refuse them by name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rrdbg_core.devices.blocktree import BLOCK_BYTES
from rrdbg_core.machine.config import MACHINE_VERSION, DeviceRef, DriveRef, ImageRef, MachineConfig
from rrdbg_core.machine.devicetree import board_tree
from rrdbg_core.machine.fdt import pack
from rrdbg_core.replay.console_input import ConsoleInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import record
from rrdbg_core.replay.script import ScriptInput, parse_script
from rrdbg_core.trace.contents import image_digest
from rrdbg_core.trace.model import FORMAT_VERSION
from rrdbg_core.trace.reader import Trace

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "traces"
RAM_BYTES = 8 << 20
INDEX = FOLDER / "INDEX.json"

SHELL = r"""
on "$ ": help\n
on "$ ": rand\n
after 2ms: run fib 15\n
on "$ ": reset\n
on "$ ": echo after the reset\n
on "$ ": exit 3\n
"""
STORM = "\n".join(f"after {17 * i} us: {'tick' * (i % 7 + 1)}" for i in range(1, 60))
GUESTS: dict[str, str | None] = {
    "hello": None,
    "shell": SHELL,
    "storm": STORM,
    "heap": None,
    "usermode": None,
    "float": None,
    "disk": None,
    "paging": None,
    "superpage": None,
    "sbi": r'on "again? ": yes\n',
}
"""Recorded guests and what is typed into them."""
SUPERVISOR = {"paging", "superpage", "sbi"}
"""Those of them that want S mode."""
KERNEL_AT, TREE_AT = 0x8020_0000, 0x8060_0000
"""Where a kernel for the built-in firmware and its device tree go."""
DISK = DeviceRef(kind="virtio-blk", name="disk", slot=1, drive=DriveRef(name="disk.img", size_bytes=1 << 20))
"""What the guest `disk` has beside the others' devices; long enough a run for a snapshot behind its writes."""


def block(number: int) -> bytes:
    """Return a block of the disk's image."""
    return number.to_bytes(8, "little") * (BLOCK_BYTES // 8)


@dataclass(frozen=True, slots=True)
class Golden:
    """What a golden trace must replay to."""

    format_version: int
    """Version of the file format."""
    machine: str
    """Version of the board."""
    end: int
    """Last position."""
    exit_code: int | None
    """The guest's exit code."""
    events: int
    """Journal events."""
    console_sha256: str
    """Digest of everything the guest printed."""
    final_digest: str
    """Digest of the guest's state at the end."""


def describe(trace: Trace) -> Golden:
    """Return what a trace says of itself."""
    console = b"".join(data for epoch in trace.epochs for _, data in epoch.console)
    return Golden(
        trace.format_version,
        trace.manifest.config.machine,
        trace.end_icount,
        trace.ending.exit_code if trace.ending else None,
        len(trace.events),
        hashlib.sha256(console).hexdigest(),
        trace.digests[trace.end_icount].hex(),
    )


def path_of(name: str) -> Path:
    """Return where the trace of a guest lies."""
    return FOLDER / f"v{FORMAT_VERSION}-{MACHINE_VERSION}-{name}.rrt"


def machine(name: str) -> tuple[MachineConfig, dict[str, bytes]]:
    """Return the machine of a guest, and its images by digest."""
    kernel = ROOT / "guests" / "bin" / "payload" / f"{name}.Image"
    if kernel.exists():
        tree = pack(board_tree(RAM_BYTES))
        files = [("raw", kernel.name, KERNEL_AT, kernel.read_bytes()), ("raw", "board.dtb", TREE_AT, tree)]
    else:
        elf = next((ROOT / "guests" / "bin").glob(f"**/{name}.elf"))
        files = [("elf", elf.name, None, elf.read_bytes())]
    config = MachineConfig(
        isa="rv64gc",
        privilege="msu" if name in SUPERVISOR else "mu",
        firmware="sbi" if kernel.exists() else "none",
        entry=KERNEL_AT if kernel.exists() else None,
        device_tree=TREE_AT if kernel.exists() else None,
        ram_bytes=RAM_BYTES,
        seed=1,
        rtc_base_ns=1_700_000_000_000_000_000,
        images=tuple(
            ImageRef(kind=kind, digest=image_digest(data), name=file, load_address=address)  # type: ignore[arg-type]
            for kind, file, address, data in files
        ),
        devices=(DeviceRef(kind="virtio-rng", name="rng", slot=0), *([DISK] if name == "disk" else [])),
    )
    return config, {image_digest(data): data for *_, data in files}


def make(name: str, script: str | None) -> Path:
    """Record one guest and return its trace."""
    config, images = machine(name)
    console = ConsoleInput() if script is None else ScriptInput(parse_script(script))
    path = path_of(name)
    source = LiveSource(config, console, media={"disk": block})
    record(config, images, source, path, force=True, creator="golden")
    return path


def main() -> int:
    """Record the guests that have no trace, and write the index."""
    FOLDER.mkdir(exist_ok=True)
    index = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    for name, script in GUESTS.items():
        if path_of(name).exists():
            continue
        path = make(name, script)
        trace = Trace.open(path)
        index[path.name] = asdict(describe(trace))
        trace.close()
        print(f"{path.name}: {path.stat().st_size:_} bytes, {index[path.name]['end']:_} steps")
    INDEX.write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
