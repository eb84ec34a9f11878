"""QEMU on the same guests: plain, with instruction counting, recording and replaying."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tests.bench.host import Cores, Cost, Failed, qemu, run

BOARD = ("-M", "virt", "-cpu", "rv64,zba=true,zbb=true,zbs=true", "-m", "128", "-bios", "none")
"""What rrdbg's machine is."""
CONSOLE = ("-display", "none", "-monitor", "none", "-serial", "stdio")
SHIFTS = ("shift=0,sleep=off", "shift=auto")
"""One nanosecond an instruction, as with rrdbg; what is taken where QEMU gives up with that."""
MODES = ("plain", "icount", "record", "replay")
"""What it is measured in: no counting of instructions; counting them; writing a log; running by the log."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of QEMU."""

    cost: Cost
    """The whole process."""
    shift: str
    """Which of `SHIFTS` it took; "" without counting."""


def command(mode: str, elf: Path, log: Path, shift: str = SHIFTS[0]) -> list[str]:
    """Return a command line."""
    path = qemu() or "qemu-system-riscv64"
    counting = {
        "plain": [],
        "icount": ["-icount", shift],
        "record": ["-icount", f"{shift},rr=record,rrfile={log}"],
        "replay": ["-icount", f"{shift},rr=replay,rrfile={log}"],
    }
    return [path, *BOARD, *CONSOLE, *counting[mode], "-kernel", str(elf)]


def measure(mode: str, elf: Path, log: Path, where: Cores, output_sha256: str, shift: str = "") -> Run:
    """Run a guest, and check what it prints.

    Args:
        mode: One of `MODES`.
        elf: The guest.
        log: File of the recording.
        where: Cores.
        output_sha256: What it must print.
        shift: How instructions become time; by default the first of `SHIFTS` that works. A replay needs what the
            recording had.

    Raises:
        Failed: It ended otherwise, or printed something else.
    """
    choices = [""] if mode == "plain" else [shift] if shift else SHIFTS
    for choice in choices:
        try:
            cost = run(command(mode, elf, log, choice), where)
        except Failed:
            if choice == choices[-1]:
                raise
            continue
        if hashlib.sha256(cost.stdout).hexdigest() != output_sha256:
            raise Failed(f"QEMU ({mode}, {choice}) printed {cost.stdout[:200]!r}")
        return Run(cost, choice)
    raise AssertionError("no choice")
