"""Guests for these tests: the bundled ones, small ones in assembly, and how they are recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rrdbg_core.machine.config import DeviceRef, ImageRef, MachineConfig
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.replay.console_input import ConsoleInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Recording, Until, record
from rrdbg_core.replay.script import ScriptInput, parse_script
from rrdbg_core.trace.contents import image_digest

BIN = Path(__file__).parents[2] / "guests" / "bin"
RNG = DeviceRef(kind="virtio-rng", name="rng", slot=0)
UART, FINISHER, CLINT = 0x1000_0000, 0x10_0000, 0x200_0000
END = "li t0, 0x100000; li t1, 0x5555; sw t1, 0(t0); stay: j stay"
"""Assembly that ends the run."""

Parts = tuple[MachineConfig, dict[str, bytes]]


def bundled(name: str, **config: Any) -> Parts:
    """Return configuration and images of a bundled guest, with a seeded entropy device."""
    return _parts(
        "elf", (BIN / f"{name}.elf").read_bytes(), {"seed": 7, "devices": (RNG,), "ram_bytes": 1 << 23} | config
    )


def assembled(code: str, **config: Any) -> Parts:
    """Return configuration and images of a guest in assembly."""
    return _parts("raw", assemble(code), {"ram_bytes": 1 << 20} | config)


def _parts(kind: Any, image: bytes, config: dict[str, Any]) -> Parts:
    digest = image_digest(image)
    return MachineConfig(images=(ImageRef(kind=kind, digest=digest, name="guest"),), **config), {digest: image}


def script(text: str) -> ScriptInput:
    """Return scripted input."""
    return ScriptInput(parse_script(text))


def recorded(parts: Parts, path: Path, console: ConsoleInput | None = None, **options: Any) -> Recording:
    """Record a guest into a trace."""
    until = Until(icount=options.pop("steps", None))
    return record(*parts, LiveSource(parts[0], console), path, **({"until": until} | options))


SHELL = r"""
at 8_400: help\n
on "$ ": echo once upon a time\n
after 3ms: rand\n
on "$ ": poke 0x80100000 1234\n
on "$ ": run fib 12\n
on "$ ": reset\n
on "$ ": time\n
on "$ ": exit 9\n
"""
"""A conversation with the guest `shell`: typed ahead, answered, after a pause, through a reset."""
