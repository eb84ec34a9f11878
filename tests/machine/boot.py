"""Machines for tests: raw code at the start of RAM, and what it printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.events import Event
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import FOREVER, EventSource, ReplaySource

RAM_BYTES = 1 << 20


def boot(
    code: str | bytes, *, events: Sequence[Event] = (), source: EventSource | None = None, **config: Any
) -> Machine:
    """Return a machine that stands at the first instruction of `code`, assembly or bytes."""
    image = assemble(code) if isinstance(code, str) else code
    config = {"ram_bytes": RAM_BYTES, **config}
    ref = ImageRef(kind="raw", digest="guest", name="guest")
    machine_config = MachineConfig(images=(ref,), **config)
    return Machine(machine_config, {"guest": image}, source or ReplaySource(list(events), FOREVER))


def console(machine: Machine) -> bytearray:
    """Return a buffer that fills with what the guest prints."""
    text = bytearray()
    machine.on_console = lambda icount, data: text.extend(data)
    return text
