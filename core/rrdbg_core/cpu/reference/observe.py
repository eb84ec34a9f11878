"""What the debugger sees of a step of the reference interpreter: watches, breakpoints, step log."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import places_of, space_of
from rrdbg_core.cpu.condition import CannotJudge
from rrdbg_core.cpu.condition_code import HOLDS, NO, UNJUDGED
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.reference.state import INTERRUPT, READ, WRITE, Words
from rrdbg_core.cpu.stops import REGISTER_HIT, TRAP_HIT
from rrdbg_core.isa.plain import M64
from rrdbg_core.isa.rvc import expand
from rrdbg_core.isa.table import decode


class Observed(Words):
    """Adds the debugger's eyes."""

    def _row_before(self) -> list[int]:
        """Return the step log's row as far as it is known before the step; the last word is where rd lies."""
        h = self._h
        pc = h[L.PC]
        place = 0
        word = self._code_half(pc)
        if word is not None and word & 3 == 3:
            word = self._code_word(pc)
        if word is not None:
            expanded = word if word & 3 == 3 else expand(word)
            decoded = decode(expanded)
            if decoded is not None:
                place = expanded >> 7 & 31
                if "rd" in decoded.insn.floats:
                    place = L.F + decoded.rd
        return [self._m[L.ICOUNT], pc, word or 0, h[L.PRIV], place]

    @abstractmethod
    def _code_half(self, address: int) -> int | None:
        """Return a halfword of code at the present privilege, or None if there is none."""

    @abstractmethod
    def _code_word(self, address: int) -> int | None:
        """Return a word of code likewise."""

    def _after(self, old: list[int], row: list[int]) -> None:
        h, m = self._h, self._m
        if m[L.LOG_LIMIT]:
            *known, place = row
            accesses = m[L.ACCESSES : L.ACCESSES + 3 * m[L.ACCESS_COUNT]]
            words = [*known, self._cause, h[place], m[L.ACCESS_COUNT], *accesses]
            words += [0] * (L.LOG_PLACES - len(words))
            words += m[L.PLACES : L.PLACES + 2 * m[L.ACCESS_COUNT]]
            self._log_rows.append(words + [0] * (L.LOG_WORDS - len(words)))
            if len(self._log_rows) >= m[L.LOG_LIMIT]:
                self._hand_over_log()
        for r, place, kind, gate in self._other_rows if m[L.REG_WATCH] else ():
            if kind == L.WATCH_REGISTER and h[place] != old[place]:
                self._found(gate, REGISTER_HIT + r, 0, 0, 0, old[place], h[place])

    def _hand_over_log(self) -> None:
        if self._log_rows and self.on_log:
            self.on_log(np.array(self._log_rows, np.uint64))
        self._log_rows = []

    def _found(self, gate: int, index: int, address: int, size: int, kind: int, old: int, new: int) -> None:
        """Stop behind this step, or remember the hit. Of several hits the first stops and the last is remembered."""
        m = self._m
        if m[L.HIT_INDEX] if not gate else gate in self._matched:
            m[L.HIT_MORE] = 1
        if gate:
            self._matched.setdefault(gate, (address, size, kind, old, new, index))
        elif m[L.SEARCH]:
            self._remember(index)
        elif not m[L.HIT_INDEX]:
            m[L.HIT_INDEX], m[L.HIT_ADDR], m[L.HIT_SIZE], m[L.HIT_KIND] = index, address, size, kind
            m[L.HIT_OLD], m[L.HIT_NEW] = old, new

    def _remember(self, index: int) -> None:
        m = self._m
        m[L.LAST_HIT], m[L.LAST_HIT_INDEX] = self._at, index
        m[L.HITS] += 1

    def _caught(self) -> None:
        kind = 2 if self._cause & INTERRUPT else 1
        for mask, _, what, gate in self._other_rows if self._m[L.CATCH] & kind else ():
            if what == L.WATCH_TRAP and mask & kind:
                self._found(gate, TRAP_HIT, 0, 0, 0, 0, 0)

    def _stimer_due(self) -> int:
        """Return the first icount at which time has reached stimecmp."""
        h, m = self._h, self._m
        if not h[L.STIMER]:
            return M64
        return max(0, -(-(h[L.STIMER] - 1 - m[L.WARP_NS]) >> m[L.SHIFT]))

    # -- gates ---------------------------------------------------------------------------------------------------------

    def _verdict(self, gate: int) -> int:
        """Judge a gate's condition on the present state."""
        read = self._readers[gate]
        if read is None:
            return HOLDS
        try:
            return HOLDS if read(self._h, self._m, self._h[L.PC], self._m[L.ICOUNT], self._word_at) else NO
        except CannotJudge:
            return UNJUDGED

    def _word_at(self, address: int, size: int) -> int | None:
        """Return what a condition loads."""
        places = places_of(space_of(self._h), address, size, self._read)
        if len(places) != 1 or places[0][1] < size or not self._in_ram(places[0][0], size):
            return None
        return self._peek(places[0][0], size)

    def _read(self, address: int, size: int) -> bytes:
        return self._peek(address, size).to_bytes(size, "little") if self._in_ram(address, size) else b""

    def _pass(self, gates: dict[int, int], indices: dict[int, int]) -> int | None:
        """Return the first gate that stops the run, of those with these verdicts; else count them."""
        rows = self._gate_rows
        if self._m[L.SEARCH]:
            for gate, verdict in gates.items():
                if verdict == UNJUDGED or (verdict == HOLDS and gate == 0):
                    rows[gate, L.GATE_DOUBTS] += np.uint64(1)
                    self._remember(indices[gate])
                elif verdict == HOLDS:
                    if rows[gate, L.GATE_PASSED] < rows[gate, L.GATE_IGNORE]:
                        rows[gate, L.GATE_LAST] = self._at
                    rows[gate, L.GATE_PASSED] += np.uint64(1)
            return None
        for gate, verdict in gates.items():
            if verdict == UNJUDGED or (verdict == HOLDS and not rows[gate, L.GATE_IGNORE]):
                return gate
        if not self._m[L.HIT_INDEX]:
            for gate, verdict in gates.items():
                if verdict == HOLDS:
                    rows[gate, L.GATE_IGNORE] -= np.uint64(1)
                    rows[gate, L.GATE_PASSED] += np.uint64(1)
        return None

    def _judge_step(self) -> None:
        """Judge the gates that the step has come to."""
        h, m = self._h, self._m
        settled = (
            m[L.ICOUNT] < min(m[L.DUE] or self._limit, self._stimer_due()) and not h[L.WFI] and not m[L.TRACKED_HIT]
        )
        verdicts = {gate: self._verdict(gate) if settled else UNJUDGED for gate in self._matched}
        gate = self._pass(verdicts, {gate: hit[-1] for gate, hit in self._matched.items()})
        if gate is not None and not m[L.HIT_INDEX]:
            *what, index = self._matched[gate]
            m[L.HIT_ADDR : L.HIT_NEW + 1] = what
            m[L.HIT_INDEX] = index

    def _at_break(self) -> bool:
        """Return whether to stop before the instruction at pc."""
        m = self._m
        gates = self._breaks.get(self._h[L.PC])
        if gates is None or m[L.SKIP_BREAK] == self._at + 1 or m[L.MMIO_STATE] >= 2 or m[L.CALLED]:
            return False
        verdicts = {gate: self._verdict(gate) for gate in gates}
        return self._pass(verdicts, dict.fromkeys(gates, 0)) is not None

    def _log_access(self, kind: int, address: int, size: int, value: int, places: Sequence[tuple[int, int]]) -> None:
        """Log an access and where it went: physical addresses and bytes, in one piece or in two."""
        m = self._m
        if m[L.STEPPING] and m[L.ACCESS_COUNT] < 3:
            row = L.ACCESSES + 3 * m[L.ACCESS_COUNT]
            m[row : row + 3] = [kind | size << 8, address, value]
            row = L.PLACES + 2 * m[L.ACCESS_COUNT]
            m[row : row + 2] = [places[0][0], sum(places[-1]) - 1]
            m[L.ACCESS_COUNT] += 1

    def _accessed(self, kind: int, address: int, size: int, old: int, new: int) -> None:
        """Note an access to RAM: the page's generation, and the watches that it hits."""
        m = self._m
        generations = self.memory.written if kind == WRITE else self.memory.read_
        for byte in (address, address + size - 1):
            generations[byte - RAM_BASE >> 12] = m[L.GENERATION]
            if kind == WRITE:
                self.memory.dirty_words[byte - RAM_BASE >> 3] = 1
        for i, (start, length, kinds, gate) in enumerate(self._memory_rows):
            if address >= start + length or start >= address + size:
                continue
            if kinds & L.WATCH_TRACKED:
                if kind == WRITE:
                    m[L.TRACKED_HIT] = 1
            elif kinds & (L.WATCH_READ if kind == READ else L.WATCH_WRITE):
                self._found(gate, i + 1, address, size, kind, old, new)
            elif kind == WRITE and kinds & L.WATCH_CHANGE:
                inside = [b for b in range(size) if start <= address + b < start + length]
                if any((old ^ new) >> 8 * b & 0xFF for b in inside):
                    self._found(gate, i + 1, address, size, kind, old, new)
