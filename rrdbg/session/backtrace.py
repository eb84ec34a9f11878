"""The stack of the guest: frames through calls, inlined calls and traps, found once for each position.

Three sources, in this order. Where the hart is in a trap handler, the trace itself shows what was interrupted: the
state in which the trap was taken, exact to the last register. Call frame information (or, without it, what a function's
instructions did to the stack) leads from a call to its caller. Where both end, the trace shows how the function was
entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL
from rrdbg_core.frozen import Frozen

from rrdbg.session.api import FrameInfo, Location, Variable, When
from rrdbg.session.base import PRIVS
from rrdbg.session.call_code import arrivals, changes, chooses_space, returns_from_traps
from rrdbg.session.csrs import cause_text
from rrdbg.session.engine import Gated, Targets, Words
from rrdbg.session.errors import NotFound
from rrdbg.session.frames import Frames
from rrdbg.session.modes import PRIV_M, Mode, in_mode, mode_of
from rrdbg.symbols.cfi import Row
from rrdbg.symbols.demangle import demangle, without_parameters
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.scopes import Scope
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.types import ArrayType, PointerType, StructType, Type, strip
from rrdbg.symbols.unwind import SP, Code, Frame, Jumped, endless

MAX_FRAMES = 10_000
"""Frames at which a stack is given up."""
TRAP_REACH = 1 << 26
"""Steps that are searched back for the trap that is being handled."""
RETURN_REACH = 1 << 24
"""Steps over which a trap is looked after, whether it has returned."""
TRAPS_LOOKED_AT = 16
LOOP_REACH = 1 << 16
"""Steps of a trap loop that are looked at at once."""
MAX_VECTORS = 64
"""Entries of a table of handlers."""
ENTRY_REACH = 1 << 24
"""Steps that are searched back for how a function was entered, where nothing else says it."""
LOG_WINDOWS = (1 << 10, 1 << 13, 1 << 16, 1 << 18)
"""Steps back that are looked at one by one for the call that was not returned from."""
Scopes = tuple[Scope, ...]
"""Scopes around an address, innermost first."""

_STACKS = 64
"""Positions whose stacks are remembered."""
_INTERRUPT = 1 << 63


class Level(Frozen):
    """A frame as the session knows it: a function, or an inlined call, that stands somewhere."""

    number: int
    """0 is the innermost."""
    state: Frame
    """Its registers and memory; inlined calls share those of the function they ended up in."""
    scope: Scope | None
    """Its function in the debug information."""
    function: str
    """Its name, or empty."""
    file: str
    """Source file it stands in, or empty."""
    line: int
    """Line it stands in, 0 when unknown; for callers that of the call."""
    inlined: bool = False
    """Whether it was inlined into the next one."""
    calls_inlined: bool = False
    """Whether the next one further in was inlined into it."""
    mode: Mode = Mode(PRIV_M)
    """In what it executes."""
    trap: str = ""
    """For what a trap interrupted: the trap in words."""
    taken: int | None = None
    """For what a trap interrupted: the position at which it was taken."""

    @property
    def pc(self) -> int:
        """An address inside of the instruction at which it stands: what scopes and locations are looked up by."""
        return self.state.pc

    @property
    def tail_call(self) -> bool:
        """Whether it has left already, by a tail call."""
        return isinstance(self.state, Jumped)

    def cfa(self) -> int | None:
        """Return the canonical frame address."""
        return self.state.cfa()


class _Physical(Frozen):
    """A frame without regard to inlined calls."""

    state: Frame
    mode: Mode
    position: int | None
    """The position at which the hart was in this very state, where that is known."""
    trap: str = ""
    taken: int | None = None


class _Stack:
    """The frames at one position, found as far as somebody asked."""

    def __init__(self, frames: Iterator[Level]) -> None:
        self._frames = frames
        self.found: list[Level] = []
        self.whole = False

    def upto(self, count: int) -> Sequence[Level]:
        """Return the innermost frames, at most `count`."""
        while not self.whole and len(self.found) < count:
            level = next(self._frames, None)
            if level is None:
                self.whole = True
            else:
                self.found.append(level)
        return self.found[:count]


class Backtrace(Frames):
    """The part of a session that knows the stack."""

    def _setup(self) -> None:
        super()._setup()
        self._stacks: dict[tuple[int, int], _Stack] = {}
        self._loop = range(0)  # steps, each of which takes the same trap as the one before
        self._loop_cause = ""
        self._outside = (-1, 0)  # position, and number of inlined calls before which it counts as standing
        self._selected = (-1, 0)  # position, and number of the frame
        self._returns_from_traps = lru_cache(maxsize=4096)(returns_from_traps)

    def _code_of(self, names: SymbolTable, read: Callable[[int, int], bytes], mapped: Callable[[int], bool]) -> Code:
        return Code(
            names.frame_rules,
            lambda address: _function(names, address),
            read,
            lambda return_pc, pc: names.debug.tail_calls(return_pc, pc),
            mapped,
            names,
        )

    def _names(self, state: Frame) -> SymbolTable:
        """Return the symbols that hold where a frame stands."""
        return state.code.names or self._symbols

    # what faces ask for

    @property
    def frame(self) -> int:
        """Number of the selected frame; every motion selects frame 0."""
        position, number = self._selected
        return number if position == self.icount else 0

    def backtrace(self, limit: int = 64) -> tuple[FrameInfo, ...]:
        """Return the frames, innermost first."""
        return tuple(self._info_of(level) for level in self._levels(max(limit, 0)))

    def select_frame(self, number: int) -> FrameInfo:
        """Select a frame."""
        level = self._level(number)
        self._selected = (self.icount, number)
        return self._info_of(level)

    # what the session's other parts ask for

    def _level(self, number: int | None = None) -> Level:
        """Return a frame; the selected one without a number.

        Raises:
            NotFound: There are not so many.
        """
        number = self.frame if number is None else number
        levels = self._levels(number + 1) if number >= 0 else ()
        if number < 0 or len(levels) <= number:
            count = len(levels)
            raise NotFound(f"no frame at level {number}", hint=f"`backtrace` shows {count} frame{'s' * (count != 1)}")
        return levels[number]

    def _levels(self, count: int) -> Sequence[Level]:
        """Return the innermost frames."""
        self._check_open()
        here = self._engine.icount, self._hidden
        stack = self._stacks.get(here)
        if stack is None:
            while len(self._stacks) >= _STACKS:
                del self._stacks[next(iter(self._stacks))]
            stack = self._stacks[here] = _Stack(self._walk())
        try:
            return stack.upto(min(count, MAX_FRAMES))
        except BaseException:
            self._stacks.pop(here, None)  # an iterator that raised has no more to say
            raise

    @property
    def _hidden(self) -> int:
        """How many inlined calls begin here that a step of lines has not gone into yet: as gdb has it.

        Such a position is in the first instruction of an inlined function, and at the line of its call.
        """
        position, count = self._outside
        return count if position == self._engine.icount else 0

    def _hide(self, count: int) -> None:
        """Stand before inlined calls that begin here; like any motion, this selects frame 0."""
        self._outside = (self._engine.icount, count)
        self._selected = (-1, 0)

    def _beginning(self) -> int:
        """Return how many inlined calls begin at the current position."""
        pc = int(self._engine.hart[L.PC])
        scopes = self._symbols.debug.scopes(pc)
        return next((i for i, scope in enumerate(scopes) if not begins_at(scope, pc)), len(scopes))

    def _seen_scopes(self) -> Scopes:
        """Return the scopes around the current position, without inlined calls that it stands before."""
        return self._symbols.debug.scopes(int(self._engine.hart[L.PC]))[self._hidden :]

    def when(self) -> When:
        """Return where the session stands."""
        when = super().when()
        if not self._hidden:
            return when
        call = self._symbols.debug.scopes(when.pc)[self._hidden - 1]
        return replace(when, location=replace(when.location, file=call.call_file, line=call.call_line))

    def _arguments(self, level: Level) -> tuple[Variable, ...]:
        """Return a frame's arguments."""
        return ()

    def _chosen_frame(self) -> Frame | None:
        position, number = self._selected
        if number and position == self._engine.icount:
            return self._level(number).state
        return None

    # walking

    def _walk(self) -> Iterator[Level]:
        number = 0
        for physical in self._physical():
            for level in self._expanded(physical):
                yield replace(level, number=number)
                number += 1

    def _expanded(self, physical: _Physical) -> Iterator[Level]:
        """Yield the inlined calls at a place, innermost first, and the function around them."""
        state = physical.state
        names = self._names(state)
        line = names.line(state.pc)
        file, number = (line.file, line.line) if line else ("", 0)
        scopes = names.debug.scopes(state.pc)
        if isinstance(state, Jumped):
            scopes = scopes[:1]  # gdb shows no more of a tail call that was inlined
        hidden = self._hidden if physical.position == self._engine.icount and not physical.trap else 0
        if hidden:
            file, number = scopes[hidden - 1].call_file, scopes[hidden - 1].call_line
        for index, scope in enumerate(scopes[hidden:], hidden):
            last = index == len(scopes) - 1
            yield Level(
                0,
                state,
                scope,
                harmless(title(scope)),
                file,
                number,
                inlined=not last,
                calls_inlined=index > 0,
                mode=physical.mode,
                trap=physical.trap if index == hidden else "",
                taken=physical.taken if index == hidden else None,
            )
            file, number = scope.call_file, scope.call_line
        if not scopes:
            symbol = names.around(state.pc)
            name = symbol.name if symbol else ""  # code that a program writes lies in an object
            yield Level(
                0, state, None, name, file, number, mode=physical.mode, trap=physical.trap, taken=physical.taken
            )

    def _physical(self) -> Iterator[_Physical]:
        current = self._here_physical()
        position = self._engine.icount
        frames: list[Frame] = []
        exact = False  # whether the trace showed the last frame: no doubt about it
        while True:
            yield current
            state = current.state
            frames.append(state)
            if self._is_outermost(state, len(frames)):
                return
            after = self._again(current) or self._beyond_trap(state, position)
            if after is None and not exact and endless(frames):
                return
            exact = after is not None
            # code without call frame information: the trace knows best, as long as it is near
            if after is None and state.row is None and current.position is not None:
                after = self._by_trace(current, frames, position)
                exact = after is not None
            written = state.returning() if after is None else None
            if (caller := self._plausible(written)) is not None:
                after = _Physical(caller, current.mode, None)
                jumped = state.caller()
                while isinstance(jumped, Jumped):
                    yield _Physical(jumped, current.mode, None)
                    jumped = jumped.outer
            if after is None and current.position is None:
                after = self._by_trace(current, frames, position)
                exact = after is not None
            if after is None:
                if written is not None and state.row is not None:
                    yield _Physical(written, current.mode, None)  # what lies where the return address was
                return
            if after.taken is not None:
                position, frames = after.taken, []
            current = after

    def _here_physical(self) -> _Physical:
        hart = self._engine.hart
        return _Physical(
            Frame(self._code, int(hart[L.PC]), self._dwarf_registers()), mode_of(hart), self._engine.icount
        )

    def _is_outermost(self, state: Frame, count: int) -> bool:
        """Return whether gdb would show nothing beyond a frame."""
        if state.address == 0 and count > 1:
            return True
        names = self._names(state)
        scopes = names.debug.scopes(state.pc)
        symbol = names.around(state.pc)
        name = scopes[-1].name if scopes else symbol.name if symbol else ""
        if name == "main":
            return True
        return symbol is not None and names.is_entry(symbol)

    def _plausible(self, caller: Frame | None) -> Frame | None:
        """Return a caller if it is code, or where gdb would stop too."""
        if caller is None or caller.address == 0:
            return caller
        data = caller.read(caller.pc & ~1, 2)
        return caller if len(data) == 2 and data != b"\0\0" else None

    # code

    def _rules(self, address: int) -> Row | None:
        return self._symbols.frame_rules(address)

    def _function(self, address: int) -> tuple[int, int] | None:
        """Return the extent of the function around an address."""
        return _function(self._symbols, address)

    # through traps

    def _beyond_trap(self, state: Frame, position: int) -> _Physical | None:
        """Return what was interrupted, if a frame is where traps arrive."""
        extent = state.code.function(state.pc)
        vectors = (L.MTVEC, L.STVEC) if self._engine.mach[L.SUPERVISOR] else (L.MTVEC,)
        arrives = any(self._arrives_by(int(self._engine.hart[word]), state, extent) for word in vectors)
        if not arrives and extent is not None:
            arrives = self._returns_from_traps(state.read(extent[0], min(extent[1] - extent[0], 1 << 16)))
        return self._handled(position) if arrives else None

    def _arrives_by(self, vector: int, state: Frame, extent: tuple[int, int] | None) -> bool:
        """Return whether a frame's function is where traps arrive, given mtvec or stvec."""
        base = vector & ~3
        table = range(base, base + 4 * (MAX_VECTORS if vector & 3 else 1))
        if state.pc in table:
            return True
        if extent is None:
            return False
        start, stop = extent[0], max(extent[1], extent[0] + 1)
        return any(start <= at < stop for at in arrivals(base, state.read(base, len(table))))

    def _again(self, current: _Physical) -> _Physical | None:
        """Return what was interrupted where a trap was taken at the first instruction of the handler of an equal one.

        That is the same place: taking a trap changes no general register. So a loop of them is not replayed trap by
        trap.
        """
        step = (current.position or 0) - 1
        if not self._loop.start < step < self._loop.stop:
            return None
        return replace(current, position=step, trap=self._loop_cause, taken=step)

    def _remember_loop(self, step: int) -> None:
        """Look for equal traps in the steps directly before a trap. The guest then stands anywhere."""
        rows = self._engine.traps(max(step + 1 - LOOP_REACH, 0), step + 1)
        equal = (rows[:, 0] + np.uint64(len(rows)) - np.arange(len(rows), dtype=np.uint64) == np.uint64(step + 1)) & (
            rows[:, 1] == rows[-1, 1]
        )
        count = len(rows) if equal.all() else int(np.argmin(equal[::-1]))
        self._loop = range(step + 1 - count, step + 1)
        self._loop_cause = cause_text(int(rows[-1, 1]))

    def _handled(self, position: int) -> _Physical | None:
        """Return what the latest trap before a position has interrupted that has not returned since."""
        with self._excursion("looking for the trap that is being handled", position, max(position - TRAP_REACH, 0)):
            upper, floor = position, max(position - TRAP_REACH, 0)
            for _ in range(TRAPS_LOOKED_AT):
                step = self._engine.last_hit(floor, upper, Targets(exceptions=True, interrupts=True))
                if step is None:
                    return None
                self._engine.seek(step)
                found = self._here_physical()
                if not self._returned(step, position, found):
                    cause = self._trap_of(step)
                    name = cause_text(cause) if cause is not None else "trap"
                    if step == position - 1:
                        self._remember_loop(step)
                    return replace(found, trap=name, taken=step)
                upper = step
        return None

    def _returned(self, step: int, position: int, interrupted: _Physical) -> bool:
        """Return whether a trap has returned before a position. The guest then stands anywhere."""
        if position - step > RETURN_REACH:
            return False
        frame = self._frame()
        places = (frame.pc, frame.pc + (self._length_at(frame.pc) or 4))
        self._engine.seek(step + 1)
        return self._comes_to(self._exactly_in(frame, *places), position)

    # by the trace

    def _by_trace(self, current: _Physical, frames: Sequence[Frame], position: int) -> _Physical | None:
        """Return the caller of the last frame by looking how its function was entered."""
        with self._excursion("looking for the caller", position, max(position - ENTRY_REACH, 0)):
            at = current.position
            if at is None and len(frames) > 1:
                entered = self._entered_with(frames[-2], current.mode, position)
                at = entered - 1 if entered else None
            if at is None:
                return None
            within = current.position is None and self._behind(at) != current.state.address
            while (step := self._unmatched(at, current.mode)) is not None:
                behind = self._behind(step)
                if within and behind == current.state.address:
                    # what this frame called went on elsewhere, as by mret: this is the call, not the one that led here
                    at, within = step, False
                    continue
                found = self._here_physical()
                cause = self._trap_of(step)
                if cause is not None:
                    return replace(found, trap=cause_text(cause), taken=step)
                caller = Frame(self._code, behind, found.state.registers, called=True)
                return _Physical(caller, found.mode, step)
            return None

    def _behind(self, step: int) -> int:
        """Return the address behind the instruction of a step. The guest then stands there."""
        self._engine.seek(step)
        address = int(self._engine.hart[L.PC])
        insn = self._instruction(address)
        return address + (insn.length if insn else 4)

    def _entered_with(self, callee: Frame, mode: Mode, position: int) -> int | None:
        """Return the position at which the function of a frame was entered, by its CFA. The guest stands anywhere."""
        extent, cfa = callee.code.function(callee.pc), callee.cfa()
        if extent is None or cfa is None:
            return None
        self._engine.seek(position)
        floor = max(position - ENTRY_REACH, 0)
        # a function may change its mode, but not the process that it belongs to
        entry = Gated(Targets((extent[0],)), in_mode(mode) if mode.space != PHYSICAL else None)
        for _ in range(64):
            step = self._engine.last_hit(floor, position, Targets(gated=(entry,)))
            if step is None:
                return None
            self._engine.seek(step)
            if int(self._engine.hart[L.X + SP]) == cfa:
                return step
            position = step
        return None

    def _unmatched(self, position: int, mode: Mode) -> int | None:
        """Return the step of the latest call or trap before a position that was not returned from.

        For a program in an address space of its own that is not looked for before the space was last chosen: there the
        steps of other programs may lie.
        """
        depth, upper = 0, position
        for window in LOG_WINDOWS:
            lower = max(upper - window, 0)
            if lower == upper:
                break
            rows = self._rows(lower, upper)
            switches = np.flatnonzero(chooses_space(rows)).tolist() if mode.space != PHYSICAL else []
            rows = rows[switches[-1] + 1 :] if switches else rows
            sums = np.cumsum(changes(rows)[::-1]) + depth
            hit = np.flatnonzero(sums > 0)
            if len(hit):
                return int(rows[len(rows) - 1 - int(hit[0]), 0])
            if switches:
                return None
            depth, upper = int(sums[-1]), lower
        return None

    def _rows(self, lo: int, hi: int) -> Words:
        """Return the first words of the log of lo <= n < hi: icount, pc, insn, priv, cause, rd value. It runs there."""
        blocks: list[Words] = []
        self._engine.log(lo, hi, lambda block: blocks.append(block[:, :6].copy()))
        return np.concatenate(blocks)

    # as faces see it

    def _info_of(self, level: Level) -> FrameInfo:
        args = self._arguments(level)
        state = level.state
        symbol = self._names(state).around(state.pc)
        address = state.address
        location = Location(
            address,
            symbol.name if symbol else level.function,
            address - symbol.address if symbol else 0,
            level.file,
            level.line,
        )
        return FrameInfo(
            level.number,
            address,
            level.cfa() or 0,
            level.function,
            location,
            level.inlined,
            level.trap,
            PRIVS.get(level.mode.priv, "?"),
            level.taken,
            args,
            self._frame_line(level, args),
            level.tail_call,
        )

    def _frame_line(self, level: Level, args: Sequence[Variable]) -> str:
        """Return a frame as gdb's `backtrace` prints it; in front of what a trap interrupted, the trap."""
        line = f"#{level.number:<2} {self._place_line(level, args)}"
        if not level.trap:
            return line
        return f"<{level.trap} taken at {level.taken:_}>\n{line}"

    def _place_line(self, level: Level, args: Sequence[Variable]) -> str:
        """Return where a frame stands, in gdb's words."""
        parts = self._structures(level)
        shown = ", ".join(f"{arg.name}={'...' if arg.name in parts else arg.text}" for arg in args)
        source = f" at {level.file}:{level.line}" if level.line else ""
        address = "" if self._at_line_start(level) else f"{level.state.address:#018x} in "
        return f"{address}{level.function or '??'} ({shown}){source}"

    def _structures(self, level: Level) -> set[str]:
        """Return the arguments that are structures or refer to them, of which a frame's line shows nothing."""
        if level.scope is None:
            return set()
        arguments = self._names(level.state).debug.arguments(level.scope, level.pc)
        return {harmless(argument.name) for argument in arguments if is_structure(argument.type)}

    def _at_line_start(self, level: Level) -> bool:
        """Return whether gdb leaves the address out: at the start of a line, and where only a line is known."""
        if level.calls_inlined:
            return bool(level.line)
        row = self._names(level.state).line(level.state.pc)
        return row is not None and not level.state.called and row.address == level.state.address and row.statement


def _function(names: SymbolTable, address: int) -> tuple[int, int] | None:
    """Return the extent of the function around an address."""
    symbol = names.around(address)
    if symbol is not None and symbol.kind != "object":
        return symbol.address, symbol.address + symbol.size
    return names.frame_extent(address)


def title(scope: Scope) -> str:
    """Return a function's name as gdb has it: of C++ the mangled one says more, as where a lambda is from."""
    mangled = scope.linkage_name
    name = demangle(mangled) if mangled.startswith("_Z") else mangled
    return without_parameters(name) if name != mangled else scope.name


def begins_at(scope: Scope, pc: int) -> bool:
    """Return whether an inlined call begins at an address: gdb takes each way into its code for one."""
    return scope.kind == "inline" and (scope.low_pc == pc or not scope.contains(pc - 1))


def is_structure(kind: Type) -> bool:
    """Return whether a type is a structure, an array, or a C++ reference to one."""
    bare = strip(kind)
    if isinstance(bare, PointerType) and bare.kind != "*":
        bare = strip(bare.target)
    return isinstance(bare, StructType | ArrayType)
