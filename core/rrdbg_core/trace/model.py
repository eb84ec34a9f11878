"""What a trace holds, as values: the same whether they go into a file or come out of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated

import numpy as np
import numpy.typing as npt

from rrdbg_core.checked import Checked, Range
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.config import MachineConfig

FORMAT_VERSION = 1
"""Version of the file format, which is frozen: what is new is a new kind of chunk or a new version."""
EPOCH = 1 << 25
"""Steps between digests; snapshots lie at multiples. What they cost is shared by 10 to 100 ms of guest time."""
CHECK_PERIOD = 1 << 16
"""Steps between check words."""
BINS = 64
"""Parts of a window of steps in which an index counts traps."""
NO_TRAPS = np.zeros(BINS, np.uint32)
"""The counts of an epoch without traps. Most are, and what is the same array is known to be encoded alike."""
NO_TRAPS.flags.writeable = False
MIN_WINDOW = 1 << 24
"""Steps of the smallest window."""


class ParentRef(Checked):
    """The trace that this one branches off."""

    file_id: str
    """Hexadecimal id of its file."""
    icount: int
    """Position of the branch."""


class SourceRef(Checked):
    """A source file of the guest's program that the trace carries."""

    name: str
    """Its name in the debug information."""
    digest: str
    """Name of its content, which is stored like an image."""


class Manifest(Checked):
    """First chunk of every trace."""

    config: MachineConfig
    """What the machine is made of."""
    start_icount: Annotated[int, Range(0, (1 << 62) - 1)] = 0
    """Position of the first snapshot; 0: power-on."""
    parent: ParentRef | None = None
    """For a branch: where it comes from."""
    sources: tuple[SourceRef, ...] = ()
    """Source files of the guest's program; replay does not need them."""
    created: str = ""
    """Wall clock at the start of the recording, ISO 8601, for people."""
    creator: str = ""
    """Program and version that recorded it, for people."""


class Ending(Frozen):
    """Why a recording ended."""

    icount: int
    """Last position."""
    reason: str
    """"exit", "idle", "until", "interrupted", "timeout", "max-size" or "disk-full"."""
    exit_code: int | None = None
    """The guest's exit code, if it ended the run itself."""
    virtual_ns: int | None = None
    """Virtual time at the last position, if the recorder told it."""


def window(start: int, stop: int) -> tuple[int, int]:
    """Return where the window of the steps start <= n < stop begins, and the steps of each of its parts."""
    size = max(MIN_WINDOW, 1 << (start ^ max(stop - 1, start)).bit_length())
    return start - start % size, size // BINS


class EpochIndex(Frozen):
    """What happened in the steps start <= n < stop. Derived: replay can make it again.

    Traps are counted in `BINS` parts of the steps' window: the smallest one that holds all of them, is as long as a
    power of two, at least `MIN_WINDOW`, and begins at a multiple of its length.
    """

    start: int
    """First step."""
    stop: int
    """One past the last step."""
    exceptions: npt.NDArray[np.uint32]
    """u32[BINS]: exceptions taken in each part of the window."""
    interrupts: npt.NDArray[np.uint32]
    """u32[BINS]: interrupts taken in each."""
    written: npt.NDArray[np.uint32]
    """u32[n]: numbers of the RAM pages written, ascending."""
    written_lines: npt.NDArray[np.uint64]
    """u64[n]: for each of them the 64-byte lines written; bit k is bytes 64 k to 64 k + 63."""
    written_words: npt.NDArray[np.uint8]
    """u8[k]: for each of those lines, in order, the 8-byte words written; bit w is its bytes 8 w to 8 w + 7."""
    read: npt.NDArray[np.uint32]
    """u32[m]: numbers of the RAM pages read, ascending."""
    executed: npt.NDArray[np.uint32]
    """u32[k]: numbers of the RAM pages executed, ascending."""
    executed_lines: npt.NDArray[np.uint64]
    """u64[k]: for each of them the 64-byte lines in which instructions were started."""
    executed_halves: npt.NDArray[np.uint32]
    """u32[j]: for each of those lines, in order, the halfwords at which instructions were started."""
    console: Sequence[tuple[int, bytes]] = ()
    """Console output: the position at which each piece is visible first, and its bytes."""

    @property
    def window(self) -> tuple[int, int]:
        """Where the window begins, and the steps of each part."""
        return window(self.start, self.stop)


class Snapshot(Frozen):
    """Guest state at a position, all but RAM, and which pages to find where."""

    icount: int
    """Position."""
    events: int
    """Journal events applied up to and with this position."""
    state: dict[str, npt.NDArray[np.uint64]] = field(repr=False)
    """`Machine.save()`."""
