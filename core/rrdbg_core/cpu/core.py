"""The guest CPU as the machine drives it: the compiled kernel behind one call, and what it hands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.base import Exit
from rrdbg_core.cpu.digest import CompiledDigester, Digester
from rrdbg_core.cpu.stops import Stops

if TYPE_CHECKING:
    from rrdbg_core.cpu.digest import Part

    Words = npt.NDArray[np.uint64]

__all__ = ["CHECK_PERIOD", "Core", "Exit"]

CHECK_PERIOD = 1 << 16
"""Steps between check words."""
_EXITS = tuple(Exit)
_DRAIN = int(Exit.DRAIN)
_NO_CHECKS, _NO_TRAPS = np.zeros(0, np.uint64), np.zeros((0, 2), np.uint64)


class Core(Stops):
    """One hart, its memory, and the kernel that runs them.

    Shapes: harts u64[1, HART_WORDS], mach u64[MACH_WORDS], see cpu/layout.py.

    Args:
        ram_bytes: Size of RAM.
        hart_count: Harts.
        program: What stands for the guest program among the compiled regions on disk; nothing: they are not kept.
        progress: Told when the kernel has to be compiled.
    """

    def run(self, limit: int) -> Exit:
        """Run until icount is `limit`, or until something is due before that. Never goes beyond the limit."""
        kernel, table, mach, exits = self._kernel.run, self._table, self._words, self.exits
        self.supply.tend(self.steps)
        before, mach[L.SERVED] = mach[L.ICOUNT], 0
        reason = kernel(table, limit)
        while reason == _DRAIN:
            exits[_DRAIN] += 1
            self._drain()
            reason = kernel(table, limit)
        exits[reason] += 1
        self.steps += mach[L.ICOUNT] - before
        if self.on_log:
            self._drain()
        elif mach[L.OUTPUT_ROWS]:
            self._print()
        return _EXITS[reason]

    def _drain(self) -> None:
        mach = self._words
        if mach[L.STALE]:
            page = mach[L.STALE] - 1
            mach[L.STALE] = 0
            self.regions.code_changed((page, page + 1))
        if mach[L.NEWS]:
            self.supply.hear()
        if mach[L.CHECKS]:
            self.check_words.append(self._checks[: mach[L.CHECKS]].copy())
            mach[L.CHECKS] = 0
        if mach[L.TRAPS]:
            self.trap_rows.append(self._traps[: mach[L.TRAPS]].copy())
            mach[L.TRAPS] = 0
        if mach[L.LOG_ROWS]:
            if self.on_log:
                self.on_log(self._log[: mach[L.LOG_ROWS]].copy())
            mach[L.LOG_ROWS] = 0
        if mach[L.OUTPUT_ROWS]:
            self._print()

    def _print(self) -> None:
        """Hand over what was printed."""
        rows = self._output[: self._words[L.OUTPUT_ROWS]].T.tolist()
        self._words[L.OUTPUT_ROWS] = 0
        if self.on_output:
            self.on_output(*rows)

    def take_checks(self) -> npt.NDArray[np.uint64]:
        """Return the check words since the last call, one per multiple of 2^16 steps that was reached."""
        self._drain()
        words, self.check_words = self.check_words, []
        return words[0] if len(words) == 1 else np.concatenate([_NO_CHECKS, *words])

    def take_traps(self) -> npt.NDArray[np.uint64]:
        """Return the traps since the last call: u64[n, 2] of icount and mcause."""
        self._drain()
        rows, self.trap_rows = self.trap_rows, []
        return np.concatenate(rows) if rows else _NO_TRAPS

    def digester(self, parts: Sequence[Part]) -> Digester:
        """Return what hashes RAM and some parts of a state."""
        return CompiledDigester(self._kernel.digest, self.memory, parts)

    def lend(self, clint: Words, clint_at: int, uart: Words, uart_at: int) -> None:
        """Let the kernel do what it can of two devices, given their states and addresses; 0: nothing."""
        self._clint, self._uart = clint, uart
        self.mach[L.CLINT_AT], self.mach[L.UART_AT] = clint_at, uart_at
        self._point()

    def mmio_done(self, value: int = 0, *, ok: bool = True) -> None:
        """Answer a device access: the next run completes the instruction, or traps."""
        self.mach[L.MMIO_VALUE] = value
        self.mach[L.MMIO_STATE] = 2 if ok else 3

    def call_done(self) -> None:
        """Say that the call of the host was carried out: the next run completes the ebreak or ecall."""
        self.mach[L.CALLED] = 1

    def set_interrupt(self, bits: int, level: bool, hart: int = 0) -> None:
        """Raise or lower lines in a hart's mip."""
        old = int(self.harts[hart, L.MIP])
        self.harts[hart, L.MIP] = old | bits if level else old & ~bits

    # ---- step log ----------------------------------------------------------------------------------------------------
    def log_steps(self, rows: int, on_log: Callable[[Words], None] | None) -> None:
        """Log every step from now on, in blocks of at most `rows`; 0 ends it."""
        self._log = np.zeros((max(rows, 1), L.LOG_WORDS), np.uint64)
        self.mach[L.LOG_LIMIT] = rows
        self.mach[L.LOG_ROWS] = 0
        self.on_log = on_log
        self._point()
        self._set_stepping()
