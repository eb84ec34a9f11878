"""Object code of regions, linked into this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.handler import FIRST_REGION, MAX_REGIONS
from rrdbg_core.cpu.memory import LINE_BYTES, LINES_PER_PAGE, RAM_BASE
from rrdbg_core.cpu.regions.flow import marks
from rrdbg_core.cpu.regions.plan import Plan
from rrdbg_core.cpu.regions.translate import MARKS, symbol

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]

_free = list(range(FIRST_REGION + MAX_REGIONS - 1, FIRST_REGION - 1, -1))
"""Places in the table of handlers, which all cores of the process share."""
_libraries = count()
"""Numbers for names, which cannot be used again."""
_serials = count()


@dataclass(eq=False, slots=True)
class Region:
    """A region that can be entered wherever its code stands in RAM."""

    plan: Plan
    """What it is made of."""
    number: int
    """Its place in the table of handlers."""
    code: tuple[tuple[int, bytes], ...]
    """The bytes that it was made of, by offsets in RAM."""
    lines: dict[int, int]
    """The lines that these lie in, by page."""
    serial: int
    """How many were linked before it: an entry belongs to the newest region that has it and can be entered."""
    installed: bool = False
    """Whether it can be entered now."""

    def fits(self, ram: npt.NDArray[np.uint8]) -> bool:
        """Return whether its code is what stands in RAM."""
        return all(ram[at : at + len(code)].tobytes() == code for at, code in self.code)


class LinkedObject:
    """One piece of object code and its regions.

    Raises:
        ValueError: It is not what the plans say, or there is no place for it.
        RuntimeError: It is damaged.
    """

    def __init__(self, plans: Sequence[Plan], code: bytes, handlers: int) -> None:
        import llvmlite.binding as llvm

        if len(plans) > len(_free):
            raise ValueError("there are too many regions")
        names = [symbol(number) for number in range(len(plans))]
        builder = llvm.JITLibraryBuilder().add_object_img(code)
        for name in (*names, MARKS):
            builder.export_symbol(name)
        self._library: Any = builder.link(_linker(), f"regions {next(_libraries)}")
        functions, place = [self._library[name] for name in names], self._library[MARKS]
        if not all(functions) or not place:
            raise ValueError("the object code lacks regions")
        marked = [mark for plan in plans for mark in marks(plan)]
        self._marks = _view(place, len(marked), np.uint8)
        self._halves, self._mark_of_half = _halves(marked)
        # the marks that were collected last, and the halfwords of RAM that they stand for
        self._collected, self._run = bytes(len(marked)), np.zeros(0, np.int64)
        self.size = len(code)
        """Bytes of the object code."""
        self.regions = tuple(_region(plan) for plan in plans)
        table = _view(handlers, FIRST_REGION + MAX_REGIONS, np.uint64)
        for region, function in zip(self.regions, functions, strict=True):
            table[region.number] = function

    def collect(self, run: npt.NDArray[np.uint8]) -> None:
        """Note in `Memory.run` what was run in the regions since the last call."""
        marks = self._marks.tobytes()
        if marks != self._collected:  # mostly it is the same code again
            self._collected, self._run = marks, self._halves[self._marks[self._mark_of_half] != 0]
        if len(self._run):
            run[self._run] = 1
            self._marks[:] = 0

    def close(self) -> None:
        """Give the memory back. Nothing may lead into the regions any more."""
        _free.extend(region.number for region in self.regions)
        self._marks = np.zeros(0, np.uint8)
        self._mark_of_half = np.zeros(0, np.int64)
        self._library.close()


@cache
def _linker() -> Any:
    """Return what links: to set it up takes longer than to link a region."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # JITLink puts code and data of an object side by side. The older linker maps them where the system likes, and
    # aborts the process where that is 2 GiB apart, as it may be beside the RAM of several machines.
    return llvm.create_lljit_compiler(use_jit_link=True, suppress_errors=True)


def _region(plan: Plan) -> Region:
    code = tuple((block.pc - RAM_BASE, block.code) for block in plan.blocks)
    lines: dict[int, int] = {}
    for at, data in code:
        for line in range(at // LINE_BYTES, (at + len(data) - 1) // LINE_BYTES + 1):
            page = line // LINES_PER_PAGE
            lines[page] = lines.get(page, 0) | 1 << line % LINES_PER_PAGE
    return Region(plan, _free.pop(), code, lines, next(_serials))


def _halves(marked: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the halfwords of RAM at which instructions start that have marks, and the mark of each."""
    pcs = np.fromiter(chain.from_iterable(marked), np.int64)
    return (pcs - RAM_BASE) >> 1, np.repeat(np.arange(len(marked)), [len(mark) for mark in marked])


def _view(address: int, length: int, kind: Any) -> npt.NDArray[Any]:
    """Return an array over memory that LLVM owns."""
    import ctypes

    size = length * np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), kind)
