"""Looking at the guest: registers, memory, code, expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL, read_virtual, space_of, translate
from rrdbg_core.isa.csr import FLOAT_NUMBERS
from rrdbg_core.isa.registers import ABI, DWARF_NUMBERS, FLOAT_ABI, FLOAT_REGISTERS, REGISTERS

from rrdbg.session.api import DisasmLine, Location, MemoryBlock, Position, RegisterValue, SymbolInfo
from rrdbg.session.base import PRIVS, SessionBase
from rrdbg.session.csrs import CSR_NAMES, SUPERVISOR_NAMES, csr_text, csr_value, float_text
from rrdbg.session.decoding import instruction
from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.expression import Expression, parse
from rrdbg.session.expression_scene import FrameScene, Notebook, World
from rrdbg.session.numbers import M64, Value
from rrdbg.session.positions import resolve
from rrdbg.symbols.rows import Symbol
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.unwind import Code, Frame

MAX_READ = 1 << 24
"""Bytes read at once."""
MAX_DISASSEMBLY = 100_000
MAX_SPACES = 1024
"""Address spaces whose code is remembered."""
_MACHINE = ("icount", "priv", "time_ns")


class Inspect(SessionBase):
    """The part of a session that looks."""

    # expressions

    @cached_property
    def _notebook(self) -> Notebook:
        """Values shown, and the user's variables."""
        return Notebook()

    @property
    def _world(self) -> World:
        return World(self._symbols, self._machine_register, self._exit_code_here, self._notebook)

    @cached_property
    def _codes(self) -> dict[tuple[int, int], Code]:
        """By address space, and by the identity of the symbols, which live as long."""
        return {}

    @property
    def _code(self) -> Code:
        """What frames stand in that are found here: their memory and symbols are those of the address space at hand."""
        space, names = self._space, self._symbols
        key = space, id(names)
        if key not in self._codes:
            if len(self._codes) >= MAX_SPACES:
                self._codes.clear()
            self._codes[key] = self._code_of(
                names,
                lambda at, size: read_virtual(space, at, size, self._ram),
                lambda at: translate(space, at, self._ram) is not None,
            )
        return self._codes[key]

    def _code_of(self, names: SymbolTable, read: Callable[[int, int], bytes], mapped: Callable[[int], bool]) -> Code:
        return Code(lambda address: None, lambda address: None, read, is_mapped=mapped, names=names)

    @property
    def _space(self) -> int:
        """The address space in which the hart executes, see cpu/addresses.py of the core."""
        return space_of(self._engine.hart)

    def _ram(self, address: int, length: int) -> bytes:
        """Read physical memory, as far as it can be read."""
        return self._engine.read(address, length, True)

    def _chosen_frame(self) -> Frame | None:
        """Return the frame that the user selected, None for the innermost."""
        return None

    def _dwarf_registers(self) -> tuple[int, ...]:
        """Return x0 to x31, and f0 to f31 of a machine that has them."""
        hart = self._engine.hart
        floats = hart[L.F : L.F + 32].tolist() if self._engine.mach[L.FLOAT] else []
        return (*hart[L.X : L.X + 32].tolist(), *floats)

    def _innermost(self) -> Frame:
        """Return the innermost frame."""
        hart = self._engine.hart
        return Frame(self._code, int(hart[L.PC]), self._dwarf_registers())

    def scene(self, *, innermost: bool = False) -> FrameScene:
        """Return the scene of expressions: the selected frame, or the innermost one."""
        return FrameScene(self._world, self._innermost) if innermost else self._scene()

    def _scene(self) -> FrameScene:
        return FrameScene(self._world, lambda: self._chosen_frame() or self._innermost())

    def value(self, expression: str) -> Value:
        """Return an expression's value as a number."""
        self._check_open()
        return parse(expression).evaluate(self)

    def evaluate(self, expression: str) -> int:
        """Return an expression's value: 64 bits, unsigned."""
        return self.value(expression).bits

    def _watch_place(self, expression: Expression) -> tuple[int, int]:
        """Return the address and size of what a watchpoint's expression means."""
        if expression.symbol and self._symbols.debug.variable(expression.symbol, self._scene().state.pc) is None:
            symbol = self.lookup(expression.symbol)
            return symbol.address, symbol.size or 8
        return expression.watched(self)

    def _shown_as(self, expression: Expression, length: int) -> Callable[[int], str] | None:
        """Return what writes values of a watched expression, where its type is known."""
        return None

    def _exit_code_here(self) -> int | None:
        """Return the guest's exit code, where it has exited."""
        return self._source.info().exit_code if self._engine.icount == self._engine.end else None

    def _machine_register(self, name: str) -> int | None:
        """Return a register that is no frame's: pc, CSRs, what the machine counts."""
        hart = self._engine.hart
        match name:
            case "pc":
                return int(hart[L.PC])
            case "icount":
                return self._engine.icount
            case "priv":
                return int(hart[L.PRIV])
            case "time_ns":
                return self._source.virtual_at(self._engine.icount)
        if name in FLOAT_REGISTERS:
            return self._innermost_register(DWARF_NUMBERS[name])
        return csr_value(name, hart, self._engine.mach)

    def _innermost_register(self, number: int) -> int | None:
        """Return a register by its DWARF number."""
        hart = self._engine.hart
        if number >= 32:
            return int(hart[L.F + number - 32]) if self._engine.mach[L.FLOAT] else None
        return int(hart[L.X + number]) if number else 0

    # registers

    def registers(self, names: Sequence[str] | None = None) -> tuple[RegisterValue, ...]:
        """Return registers: `names`, or pc and x1 to x31. "float", "csr" and "all" are names of groups."""
        self._check_open()
        if names and "float" in names and not self._engine.mach[L.FLOAT]:
            raise NotFound("the machine has no f registers", hint="it was recorded without F and D")
        wanted: list[str] = []
        for name in names or ("general",):
            if name in ("general", "all"):
                wanted += ["pc", *ABI[1:]]
            if name == "float" or (name == "all" and self._engine.mach[L.FLOAT]):
                wanted += [*FLOAT_ABI, *FLOAT_NUMBERS]
            if name in ("csr", "all"):
                wanted += CSR_NAMES
                wanted += SUPERVISOR_NAMES if self._engine.mach[L.SUPERVISOR] else ()
            if name == "all":
                wanted += _MACHINE
            if name not in ("general", "float", "csr", "all"):
                wanted.append(name)
        return tuple(self._register(name) for name in wanted)

    def _register(self, name: str) -> RegisterValue:
        number = DWARF_NUMBERS.get(name)
        frame = self._chosen_frame()
        if frame is not None and (number is not None or name == "pc"):
            bits = frame.address if number is None else frame.register(number)
            if bits is None and not (name in FLOAT_REGISTERS and not self._engine.mach[L.FLOAT]):
                return RegisterValue(name, 0, "float" if name in FLOAT_REGISTERS else "general", "<not saved>")
        else:
            bits = self._innermost_register(number) if number is not None else self._machine_register(name)
        if bits is None:
            raise NotFound(f"unknown register ${name}", hint="`info registers all` lists them")
        if name == "pc" or name in REGISTERS:
            return RegisterValue(name, bits, "general", self._name_of(bits))
        if name in FLOAT_REGISTERS:
            return RegisterValue(name, bits, "float", float_text(bits))
        if name in _MACHINE:
            return RegisterValue(name, bits, "machine", PRIVS.get(bits, "?") if name == "priv" else "")
        text = csr_text(name, bits) or (self._name_of(bits) if name in ("mepc", "mtvec", "sepc", "stvec") else "")
        return RegisterValue(name, bits, "csr", text)

    def _name_of(self, address: int) -> str:
        # small numbers are hardly addresses, even when an image starts at 0
        symbol = self._symbols.around(address) if address >= 0x1000 else None
        if symbol is None:
            return ""
        offset = address - symbol.address
        return f"<{symbol.name}+{offset}>" if offset else f"<{symbol.name}>"

    # memory

    def read_memory(self, address: int, length: int, *, physical: bool = False) -> MemoryBlock:
        """Read memory without side effects."""
        self._check_open()
        if not 0 <= length <= MAX_READ:
            raise UsageError(f"cannot read {length:_} bytes at once", hint=f"at most {MAX_READ:_}")
        address &= M64
        data = self._engine.read(address, length, physical)
        behind = address + len(data) & M64
        space = PHYSICAL if physical else self._space
        mapped = len(data) == length or translate(space, behind, self._ram) is not None
        return MemoryBlock(address, data, length, mapped=mapped)

    # code

    def disassemble(
        self, address: int | None = None, count: int = 10, *, before: int = 0, physical: bool = False
    ) -> tuple[DisasmLine, ...]:
        """Disassemble `count` instructions from an address, and up to `before` ones in front of it."""
        self._check_open()
        start = int(self._engine.hart[L.PC]) if address is None else address & M64
        if not 0 <= count <= MAX_DISASSEMBLY or not 0 <= before <= MAX_DISASSEMBLY:
            raise UsageError(f"cannot disassemble {max(count, before):_} instructions at once")
        lines = self._lines(self._begin(start, before, physical), start, physical)[-before:] if before else []
        data = self._engine.read(start, 4 * count, physical)
        at = start
        for _ in range(count):
            line = self._line(at, data[at - start : at - start + 4])
            lines.append(line)
            if not line.raw:
                break
            at = at + len(line.raw) & M64
        return tuple(lines)

    def _begin(self, start: int, before: int, physical: bool) -> int:
        """Return where to start so that instructions fall into step before `start`: a function's beginning, if near."""
        reach = start - 4 * before - 16
        symbol = self._symbols.around(start)
        if symbol is not None and symbol.address < start and start - symbol.address <= 1 << 16:
            if symbol.address >= reach:
                previous = self._symbols.around(symbol.address - 1)
                if previous is not None and previous.kind == "function":
                    return max(previous.address, symbol.address - (1 << 12))
            return symbol.address
        # without a symbol: the start from which a walk arrives exactly, the furthest one
        for at in range(max(start - 4 * before, 0) & ~1, start, 2):
            if self._arrives(at, start, physical):
                return at
        return start

    def _arrives(self, at: int, goal: int, physical: bool) -> bool:
        data = self._engine.read(at, goal - at, physical)
        position = 0
        while position + 2 <= len(data):
            position += 4 if data[position] & 3 == 3 else 2
            if position >= goal - at:
                return position == goal - at
        return False

    def _lines(self, at: int, stop: int, physical: bool) -> list[DisasmLine]:
        data = self._engine.read(at, stop - at, physical)
        lines: list[DisasmLine] = []
        base = at
        while at < stop and at - base < len(data):
            line = self._line(at, data[at - base : at - base + 4])
            if not line.raw or at + len(line.raw) > stop:
                break
            lines.append(line)
            at += len(line.raw)
        return lines

    def _line(self, address: int, data: bytes) -> DisasmLine:
        where = self.locate(address)
        if len(data) < 2 or (data[0] & 3 == 3 and len(data) < 4):
            return DisasmLine(address, b"", "(bad address)", where)
        raw = data[:4] if data[0] & 3 == 3 else data[:2]
        insn = instruction(int.from_bytes(raw, "little"), address)
        target_text = self.locate(insn.target).text if insn.target is not None else ""
        return DisasmLine(address, raw, insn.text, where, insn.target, target_text)

    # names

    def lookup(self, name: str) -> SymbolInfo:
        """Return a symbol by name."""
        self._check_open()
        return _info(self._named(name))

    def _named(self, name: str) -> Symbol:
        found = self._symbols.named(name)
        if found is not None:
            return found
        lacking = "" if self._symbols.starting_with("", 1) else "; ".join(self._symbols.problems())
        raise NotFound(
            f"no symbol {name!r} in the trace's images", hint=lacking or "`info symbols PREFIX` lists what there is"
        )

    def symbol_problems(self) -> tuple[str, ...]:
        """Return what the images lack."""
        self._check_open()
        return tuple(self._symbols.problems())

    def symbols(self, prefix: str = "", limit: int = 1000) -> tuple[SymbolInfo, ...]:
        """Return symbols whose names start with `prefix`, by name."""
        self._check_open()
        found = self._symbols.starting_with(prefix, limit)
        if not found and (other := self._symbols.missing(prefix)) is not None:
            found = other.starting_with(prefix, limit)
        return tuple(map(_info, found))

    def source_lines(self, address: int) -> tuple[Location, ...]:
        """Return the locations of the line table within the function around an address."""
        self._check_open()
        symbol = self._symbols.around(address)
        if symbol is None or not symbol.size:
            return ()
        rows = self._symbols.lines_between(symbol.address, symbol.address + symbol.size)
        return tuple(
            Location(row.address, symbol.name, row.address - symbol.address, row.file, row.line) for row in rows
        )

    # positions

    def position(self, position: Position) -> int:
        """Return the icount a position means here."""
        self._check_open()
        return resolve(position, self)

    def virtual_at(self, icount: int) -> int:
        """Return the virtual time of a position, as positions see it."""
        return self._source.virtual_at(icount)

    def at_virtual(self, ns: int) -> int:
        """Return the first position at or after a virtual time, as positions see it."""
        return self._source.at_virtual(ns)

    def bookmark_at(self, name: str) -> int | None:
        """Return where a bookmark is, as positions see it."""
        mark = self._user.find(name)
        return mark.icount if mark else None

    def event_at(self, number: int) -> int | None:
        """Return where an event applies, as positions see it."""
        events = self._source.events
        return events[number].icount if 0 <= number < len(events) else None


def _info(symbol: Symbol) -> SymbolInfo:
    return SymbolInfo(symbol.name, symbol.address, symbol.size, symbol.kind)
