"""What single steps did, row by row: for exports, the step list and scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rrdbg_core.cpu import layout as L

from rrdbg.session.api import Bookmark, EventRow, Location, Note, StepRow
from rrdbg.session.base import PRIVS, location_of
from rrdbg.session.call_code import chooses_space
from rrdbg.session.csrs import cause_text
from rrdbg.session.decoding import instruction, register_name
from rrdbg.session.engine import Words
from rrdbg.session.errors import UsageError
from rrdbg.session.overview import Overview
from rrdbg.session.rows import MemoryAccess
from rrdbg.symbols.table import SymbolTable

BATCH = 1 << 14
"""Steps of which `iter_steps` holds the rows at once: some 10 MB."""
MAX_ROWS = 1 << 20
_INTERRUPT = 1 << 63
_EBREAK = 0x0010_0073
_A0 = 10


class Steps(Overview):
    """The part of a session that tells what steps did."""

    def _setup(self) -> None:
        super()._setup()
        self._known: dict[tuple[int, int, int], tuple[str, Location, str]] = {}

    def step_rows(self, lo: int, count: int) -> tuple[StepRow, ...]:
        """Return what the steps lo, lo+1, ... did."""
        self._check_open()
        if lo < 0 or not 0 <= count <= MAX_ROWS:
            raise UsageError(f"cannot list {count:_} steps from {lo:_}", hint=f"at most {MAX_ROWS:_} at once")
        hi = min(lo + count, self.end)
        if lo >= hi:
            return ()
        blocks: list[Words] = []
        with self._excursion("listing steps", lo, hi):
            self._engine.log(lo, hi, blocks.append)
            rows = [row for block in blocks for row in block.tolist()]
            names = self._names_of(blocks)
            hosted = {row[0]: self._a0_after(row[0]) for row in rows if row[2] == _EBREAK and not row[4]}
        return self._told(lo, hi, rows, hosted, names)

    def _names_of(self, blocks: list[Words]) -> list[tuple[int, SymbolTable]]:
        """Return the symbols that hold in steps that have just been made, the newest first: from which step on.

        They change where another address space is chosen. The guest then stands anywhere.
        """
        steps = [int(step) for block in blocks for step in block[chooses_space(block), 0]]
        if not steps and not int(self._engine.hart[L.SATP]):
            return [(0, self._symbols)]
        chosen = steps if self._symbols_here.has_programs else []
        found = [(chosen[-1] + 1 if chosen else 0, self._named_by(blocks))]
        for number in reversed(range(len(chosen))):
            self._engine.seek(chosen[number])
            found.append((chosen[number - 1] + 1 if number else 0, self._named_by(blocks)))
        return found

    def _named_by(self, blocks: list[Words]) -> SymbolTable:
        """Return the symbols that hold here, those of a kernel too if one of the steps was its."""
        highest = max((int(block[:, 1].max()) for block in blocks), default=0)
        self._symbols.around(highest)
        return self._symbols

    def iter_steps(self, lo: int, hi: int) -> Iterator[StepRow]:
        """Yield what the steps lo <= n < hi did."""
        while lo < hi:
            rows = self.step_rows(lo, min(BATCH, hi - lo))
            if not rows:
                return
            yield from rows
            lo += len(rows)

    def _a0_after(self, step: int) -> int:
        """Return a0 behind a semihosting call, which the log does not hold: the host writes it, not the hart."""
        self._engine.seek(step + 1)
        return int(self._engine.hart[L.X + _A0])

    def _told(
        self,
        lo: int,
        hi: int,
        rows: list[list[int]],
        hosted: dict[int, int],
        names: list[tuple[int, SymbolTable]],
    ) -> tuple[StepRow, ...]:
        events: defaultdict[int, list[EventRow]] = defaultdict(list)
        first, last = self._source.first_event_at(lo), self._source.first_event_at(hi)
        for event in self._source.event_rows(first, last - first):
            events[event.icount].append(event)
        marks: defaultdict[int, list[Bookmark]] = defaultdict(list)
        for mark in self._user.bookmarks():
            marks[mark.icount].append(mark)
        notes: defaultdict[int, list[Note]] = defaultdict(list)
        for note in self._user.notes():
            notes[note.icount].append(note)
        shift = self._source.shift
        warp = self._source.virtual_at(lo) - (lo << shift)
        told: list[StepRow] = []
        for row in rows:
            icount, pc, insn, priv, cause = row[:5]
            if icount in events:
                warp = self._source.virtual_at(icount) - (icount << shift)
            while len(names) > 1 and icount >= names[-2][0]:
                names.pop()
            text, location, register = self._text_of(pc, insn, names[-1][1])
            trap = ""
            registers: tuple[tuple[str, int], ...] = ()
            if cause:
                trap = cause_text(cause if cause & _INTERRUPT else cause - 1)
                if cause & _INTERRUPT:
                    insn, text = 0, f"({trap})"
            elif icount in hosted:
                registers = ((register_name(_A0), hosted[icount]),)
            elif register:
                registers = ((register, row[5]),)
            told.append(
                StepRow(
                    icount,
                    (icount << shift) + warp,
                    0,
                    PRIVS.get(priv, "?"),
                    pc,
                    insn,
                    text,
                    location,
                    registers,
                    _accesses(row) if row[6] else (),
                    trap,
                    tuple(events.get(icount, ())),
                    tuple(marks.get(icount, ())),
                    tuple(notes.get(icount, ())),
                )
            )
        return tuple(told)

    def _text_of(self, pc: int, insn: int, names: SymbolTable) -> tuple[str, Location, str]:
        """Return an instruction's text, place and destination register; loops ask again and again."""
        key = pc, insn, id(names)
        known = self._known.get(key)
        if known is None:
            if len(self._known) > 1 << 16:
                self._known.clear()
            decoded = instruction(insn, pc)
            text = decoded.text if insn else "(bad address)"
            known = text, location_of(names, pc), decoded.writes
            self._known[key] = known
        return known


def _accesses(row: list[int]) -> tuple[MemoryAccess, ...]:
    return tuple(
        MemoryAccess("write" if kind & 0xFF == 2 else "read", address, kind >> 8, value)
        for kind, address, value in (row[at : at + 3] for at in range(7, 7 + 3 * row[6], 3))
    )
