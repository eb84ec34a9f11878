"""Run a guest on a bare machine, with scripted input and seeded entropy; no recorder, no trace."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rrdbg_core.machine import loader
from rrdbg_core.machine.config import DeviceRef, ImageRef, MachineConfig
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, Idle, Now

ENTROPY_DELAY = 1000
"""Steps that the host takes to find entropy."""
RNG = DeviceRef(kind="virtio-rng", name="rng", slot=0)


@dataclass(frozen=True)
class Result:
    """How a run went."""

    reason: StopReason
    exit_code: int | None
    steps: int
    output: bytes


class ScriptedSource:
    """Console input at given steps, or earlier if the guest idles; entropy from a seed."""

    def __init__(self, typed: Sequence[tuple[int, bytes]], seed: int) -> None:
        # a byte at a time never overruns the FIFO
        self._typed = [(icount + 2000 * i, text[i : i + 1]) for icount, text in typed for i in range(len(text))]
        self._random = random.Random(seed)
        self._pending: list[tuple[int, str, str, int]] = []
        self._now = 0

    def next_icount(self) -> int:
        return min([icount for icount, _ in self._typed[:1]] + [p[0] for p in self._pending] + [FOREVER])

    def take(self, now: Now) -> Event | None:
        self._now = now.icount
        for pending in self._pending:
            due, device, name, size = pending
            if due <= now.icount:
                self._pending.remove(pending)
                return Event(now.icount, EventKind.BH, device, name, self._random.randbytes(size), now.warp_ns)
        if self._typed and self._typed[0][0] <= now.icount:
            text = self._typed.pop(0)[1]
            return Event(now.icount, EventKind.UART_INPUT, "uart", "", text, now.warp_ns)
        return None

    def idle(self, now: Now) -> str:
        if self._pending:
            self._pending = [(now.icount, *rest) for _, *rest in self._pending]  # type: ignore[misc]
            return Idle.EVENT
        if now.deadline_ns is not None:
            return Idle.JUMP
        if self._typed:
            self._typed[0] = (now.icount, self._typed[0][1])
            return Idle.EVENT
        return Idle.END

    def listens(self) -> bool:
        return False

    def idle_until(self) -> int:
        return 0

    def room(self, device: str, size: int) -> None:
        """Input is slow enough."""

    def scheduled(self, device: str, name: str, request: bytes, oneshot: bool) -> None:
        self._pending.append((self._now + ENTROPY_DELAY, device, name, int.from_bytes(request, "little")))

    def reset(self) -> None:
        """Drop what was under way: the guest was reset."""
        self._pending.clear()

    def console(self, step: int, data: bytes) -> None:
        """`build` collects the output."""


def build(
    image: Path,
    *,
    typed: Sequence[tuple[int, bytes]] = (),
    seed: int | None = None,
    load_address: int | None = None,
    privilege: str = "mu",
) -> tuple[Machine, bytearray]:
    """Return a machine at power-on and where its output will be. With a seed it has an entropy device."""
    data = image.read_bytes()
    kind = loader.detect(image, data, load_address)
    config = MachineConfig(
        isa="rv64gc",
        privilege=privilege,  # type: ignore[arg-type]
        images=(ImageRef(kind=kind, digest="image", name=image.name, load_address=load_address),),  # type: ignore[arg-type]
        devices=() if seed is None else (RNG,),
    )
    machine = Machine(config, {"image": data}, ScriptedSource(typed, seed or 0))
    output = bytearray()
    machine.on_console = lambda _, text: output.extend(text)
    return machine, output


def run(
    image: Path,
    *,
    typed: Sequence[tuple[int, bytes]] = (),
    seed: int | None = None,
    load_address: int | None = None,
    limit: int = 3_000_000_000,
    privilege: str = "mu",
) -> Result:
    """Run a guest to its end."""
    machine, output = build(image, typed=typed, seed=seed, load_address=load_address, privilege=privilege)
    reason = machine.run(limit)
    return Result(reason, machine.exit_code, machine.icount, bytes(output))
