"""The state of a machine as named parts: save, restore, compare, and the digest over every bit of it.

Parts: `hart0`, `mach` (the clocks), `board`, `bottom_halves`, and `device.NAME` for each device that has state. A part
is u64 words; which word is what say the schemas: `fields` of cpu/layout.py, and each device's state class.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.devices.contract import Device
from rrdbg_core.errors import ExitCode, RrdbgError

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    MachineState = dict[str, Words]

HART, MACH, BOARD, HALVES = "hart0", "mach", "board", "bottom_halves"


class Parts:
    """Every part of a machine's state but RAM.

    Args:
        core: The guest CPU.
        board: Words of the board, and `board_names` their names.
        halves: Pending bottom halves, two words each, and `half_names` their names.
        devices: The devices by name.
    """

    def __init__(
        self,
        core: Core,
        board: Words,
        board_names: Sequence[str],
        halves: Words,
        half_names: Sequence[str],
        devices: Mapping[str, Device],
    ) -> None:
        self._core = core
        has = {"floats": bool(core.mach[L.FLOAT]), "supervisor": bool(core.mach[L.SUPERVISOR])}
        fields = L.fields(**has)
        self._scattered = {
            HART: (core.hart, np.array(L.state_words("hart", **has))),
            MACH: (core.mach, np.array(L.state_words("mach"))),
        }
        self._whole = {BOARD: board, HALVES: halves}
        self._fields = {
            HART: [(f.name, f.words) for f in fields if f.owner == "hart"],
            MACH: [(f.name, f.words) for f in fields if f.owner == "mach"],
            BOARD: [(name, 1) for name in board_names],
            HALVES: [(f"{name}.{kind}", 1) for name in half_names for kind in ("plain", "oneshot")],
        }
        for name, device in devices.items():
            if device.state.size:
                self._whole[f"device.{name}"] = device.state.words
                self._fields[f"device.{name}"] = [(n, f.count) for n, f in device.state.fields.items()]
        self._sizes = {name: sum(words for _, words in fields) for name, fields in self._fields.items()}
        parts = {name: (words, None) for name, words in self._whole.items()} | self._scattered
        self._digester = core.digester([(name, *parts[name]) for name in sorted(parts)])
        self._hashed = 1  # generation from which on pages are not hashed yet

    def names(self) -> list[str]:
        """Return the names of all parts."""
        return list(self._sizes)

    def shuffled(self, seed: int) -> list[str]:
        """Return the names in an order drawn from `seed`."""
        names = sorted(self._sizes)
        random.Random(seed).shuffle(names)
        return names

    def save(self) -> MachineState:
        """Return a copy of each part."""
        state = {name: words[index] for name, (words, index) in self._scattered.items()}
        return state | {name: words.copy() for name, words in self._whole.items()}

    def restore(self, state: MachineState, order: Sequence[str] | None = None) -> None:
        """Put back each part, in any order.

        Raises:
            RrdbgError: The state is not of this machine.
        """
        if {name: len(words) for name, words in state.items()} != self._sizes:
            raise RrdbgError("the snapshot is of another machine", exit_code=ExitCode.BAD_TRACE)
        for name in order or list(state):
            if name in self._scattered:
                words, index = self._scattered[name]
                words[index] = state[name]
            else:
                self._whole[name][:] = state[name]

    def fields(self) -> Iterator[tuple[str, str, int]]:
        """Yield part, field and place of every word, in order: ("device.uart", "rx[3]", 17)."""
        for part, fields in self._fields.items():
            place = 0
            for name, count in fields:
                first = 1 if name == "x" else 0  # x0 is not state
                for index in range(count):
                    yield part, name if count == 1 else f"{name}[{index + first}]", place
                    place += 1

    def differences(self, a: MachineState, b: MachineState) -> list[str]:
        """Return the fields in which two states differ: "hart0.mepc: 0x80000010, 0x80000014"."""
        return [
            f"{part}.{name}: 0x{int(a[part][place]):x}, 0x{int(b[part][place]):x}"
            for part, name, place in self.fields()
            if a[part][place] != b[part][place]
        ]

    def digest(self, generation: int = 0) -> bytes:
        """Return the 128-bit root hash of RAM and of every state word.

        Args:
            generation: The core's present generation of dirty pages if the caller has just started it; else one is
                started.
        """
        digest = self._digester(self._hashed)
        self._hashed = generation or self._core.new_generation()
        return digest
