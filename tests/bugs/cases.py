"""The planted bugs: the guests, and what is known of each without the debugger.

The guest says which instruction is to blame (`.label`, see guests/bugs/label.h), and a rule over the bare machine,
written here with the source in view, which of its executions. The scripts are told neither.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.registers import REGISTERS
from rrdbg_core.machine.config import DeviceRef, ImageRef, MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.trace import image_digest

from tests.guests.manifest import elf

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(repr=False)
class At:
    """The bare machine, about to execute the culprit."""

    machine: Machine
    symbols: dict[str, int]

    def __getitem__(self, register: str) -> int:
        return int(self.machine.core.hart[L.X + REGISTERS[register]])

    def read(self, address: int, size: int = 8) -> int:
        return int.from_bytes(self.machine.memory.read(address, size), "little")


Rule = Callable[[At], bool]


@dataclass(frozen=True)
class Case:
    """A bug."""

    name: str
    """Of the guest and of the script."""
    blame: Rule
    """Whether this execution of the culprit is the one to blame."""
    within: tuple[int, int]
    """Positions between which it is looked for, so that the tests are quick."""
    insn: str
    """What the culprit is."""
    far: int
    """Steps at least between culprit and failure."""
    entropy: bool = False
    """Whether it needs the entropy device."""
    stack: str = ""
    """How the damaged word on the busiest page of the stack is reached when the script has ended; empty: elsewhere."""

    @property
    def script(self) -> Path:
        """The script that finds it."""
        return next(SCRIPTS.glob(f"{self.name}.*"))

    @property
    def image(self) -> bytes:
        """The guest's ELF."""
        return elf(f"bugs/{self.name}").read_bytes()

    def config(self) -> tuple[MachineConfig, dict[str, bytes]]:
        """Return the machine, and the image by digest."""
        image = self.image
        ref = ImageRef(kind="elf", digest=image_digest(image), name=f"{self.name}.elf")
        devices = (DeviceRef(kind="virtio-rng", name="virtio-rng", slot=0),) if self.entropy else ()
        config = MachineConfig(ram_bytes=16 << 20, seed=1, images=(ref,), devices=devices)
        return config, {ref.digest: image}

    def culprits(self) -> set[int]:
        """Return the addresses that the guest says are to blame."""
        data = ELFFile(io.BytesIO(self.image)).get_section_by_name(".label").data()
        return {int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)}

    def symbols(self) -> dict[str, tuple[int, int]]:
        """Return the symbols, with address and size."""
        table = ELFFile(io.BytesIO(self.image)).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return {row.name: (row["st_value"], row["st_size"]) for row in table.iter_symbols() if row.name}

    def blamed(self) -> list[int]:
        """Run the bare machine, stop at each execution of the culprit, and return those to blame."""
        config, images = self.config()
        machine = Machine(config, images, LiveSource(config))
        machine.run(self.within[0])
        machine.core.set_breakpoints(sorted(self.culprits()))
        at = At(machine, {name: address for name, (address, _) in self.symbols().items()})
        found = []
        while machine.run(self.within[1]) is StopReason.BREAKPOINT:
            if self.blame(at):
                found.append(machine.icount)
            machine.core.skip_break_once()
        return found


def _stale_session(at: At) -> bool:
    """A session that none of the users has any more, and its cell is a message: it has a sum, and waits."""
    sessions = at.symbols["sessions"]
    if at["a5"] in {at.read(sessions + 8 * user) for user in range(16)}:
        return False
    message = at.read(at.symbols["oldest"])
    while message and message != at["a5"]:
        message = at.read(message)
    return message != 0


def _lost_update(at: At) -> bool:
    """What is about to be written is less than what is there."""
    return at["a0"] < at.read(at.symbols["total"])


def _return_address(at: At) -> bool:
    """The fourth byte of an address in RAM: of those that a character is put over, the last one that changes."""
    return at["a0"] % 8 == 3 and at.read(at["a0"] - 3) >> 24 == 0x80


def _lost_job(at: At) -> bool:
    """The sample was posted, but is not among the jobs that were done."""
    return at.read(at.symbols["posted"] + 1, 1) == 1 and not at["s0"] >> 8 & 1


M = 1_000_000
CASES = {
    case.name: case
    for case in (
        Case("use-after-free", _stale_session, (80 * M, 86 * M), "sd a0,16(a5)", 90_000),
        Case("data-race", _lost_update, (62 * M, 67 * M), "sd a0,0(a5)", 2_000_000),
        Case("lost-interrupt", _lost_job, (0, 47 * M), "sd zero,0(a5)", 15_000),
        # the ring has 16 entries of 8 bytes
        Case("off-by-one", lambda at: at["a5"] == at["a0"] + 128, (0, M), "sd a2,0(a5)", 1_000_000_000, stack="$a5"),
        Case("stack-smash", _return_address, (0, M), "sb a5,0(a0)", 1_000_000_000, stack="$a0"),
        # its own page is the upper one of two
        Case("trampled", lambda at: not at["a1"] & 4096, (0, 4 * M), "sd a5,0(a1)", 1_000_000_000, stack="$a1"),
        # a discount of more than a hundred per cent
        Case("uninitialised", lambda at: at.read(at["sp"] + 8) > 100, (0, 18 * M), "ld a0,8(sp)", 2_000_000),
        Case("wrong-csr-bit", lambda at: True, (0, 60 * M), "csrc mie,a5", 0),
        Case("late-dma", lambda at: True, (0, 31 * M), "jal", 40_000, entropy=True),
    )
}
