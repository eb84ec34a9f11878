"""Call frame information: how the registers of a caller are found, for each address of an image.

DWARF 5, section 6.4, and its variant `.eh_frame` of the Linux Standard Base (Core 5.0, chapter 10.6). Entries are found
by address; nothing is run before it is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from enum import Enum
from functools import cached_property, lru_cache

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.sections import Sections
from rrdbg.symbols.escape import describe

MAX_REMEMBERED = 1 << 10
"""States that DW_CFA_remember_state may nest."""
_M64 = (1 << 64) - 1


class How(Enum):
    """How a value is found."""

    UNDEFINED = "undefined"
    """It is lost."""
    SAME = "same"
    """It is still in its register."""
    OFFSET = "offset"
    """In memory, `number` bytes from the CFA."""
    VAL_OFFSET = "val_offset"
    """It is the CFA plus `number`."""
    REGISTER = "register"
    """In register `number`."""
    EXPRESSION = "expression"
    """In memory, at the address that `expression` computes from the CFA."""
    VAL_EXPRESSION = "val_expression"
    """It is what `expression` computes from the CFA."""
    BASE = "base"
    """For the CFA itself: register `number` plus `offset`."""


class Rule(Frozen):
    """A rule for one register, or for the CFA."""

    how: How
    """What the rest means."""
    number: int = 0
    """Offset or register."""
    offset: int = 0
    """For BASE."""
    expression: bytes = b""
    """DWARF operations."""


UNDEFINED = Rule(How.UNDEFINED)
SAME = Rule(How.SAME)


class Row(Frozen):
    """The rules that hold at an address."""

    address: int
    """First address."""
    cfa: Rule
    """How the CFA is found: BASE or VAL_EXPRESSION."""
    registers: dict[int, Rule]
    """How each register of the caller is found, by DWARF number; the others are as they are."""
    return_address: int
    """Number of the column that holds the return address."""
    signal: bool
    """Whether the function is entered by a signal or trap: its caller stands *at* the return address."""


class _Common(Frozen):
    """A CIE: what the entries of several functions share."""

    code_factor: int
    data_factor: int
    return_address: int
    signal: bool
    initial: bytes
    encoding: int
    augmented: bool
    lsda: bool


class _Entry(Frozen):
    """An FDE: one stretch of code."""

    start: int
    stop: int
    common: _Common
    program: bytes


class Damaged(ValueError):
    """Call frame information that cannot be understood."""


class Reader:
    """A cursor over little-endian bytes that never leaves them."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if not 0 <= count <= self.end - self.at:
            raise Damaged(f"{count} bytes at {self.at:#x} reach beyond the end at {self.end:#x}")
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, size: int) -> int:
        """Return an unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def uleb(self) -> int:
        """Return an unsigned LEB128 number."""
        value = shift = 0
        while True:
            byte = self.uint(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value & _M64
            if shift > 70:
                raise Damaged(f"a number at {self.at:#x} does not end")

    def sleb(self) -> int:
        """Return a signed LEB128 number."""
        value = shift = 0
        while True:
            byte = self.uint(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value - (1 << shift) if byte & 0x40 else value
            if shift > 70:
                raise Damaged(f"a number at {self.at:#x} does not end")

    def string(self) -> bytes:
        """Return bytes up to a zero, which is passed over."""
        stop = self.data.find(b"\0", self.at, self.end)
        if stop < 0:
            raise Damaged(f"a string at {self.at:#x} does not end")
        text = self.data[self.at : stop]
        self.at = stop + 1
        return text


class CallFrames:
    """The call frame information of one ELF image. None: it has no rows."""

    def __init__(self, image: bytes | Sections) -> None:
        self._elf = image if isinstance(image, Sections) else Sections(image)
        self.problem = ""
        """What is damaged, in half a sentence; empty when all is well. Known once something was looked up."""
        self.row = lru_cache(maxsize=1 << 14)(self._row)
        """Return the rules at an address, or None where nothing is said."""

    def _row(self, address: int) -> Row | None:
        entry = self._entry(address)
        if entry is None:
            return None
        found: Row | None = None
        try:
            for row in _rows(entry):
                if row.address > address:
                    break
                found = row
        except Damaged as error:
            self.problem = f"its call frame information is damaged ({describe(error)})"
            return None
        return found

    def extent(self, address: int) -> tuple[int, int] | None:
        """Return the stretch of code that shares an entry with an address: lo and hi of lo <= a < hi."""
        entry = self._entry(address)
        return (entry.start, entry.stop) if entry else None

    def _entry(self, address: int) -> _Entry | None:
        starts, entries = self._index
        at = bisect_right(starts, address) - 1
        # of entries that overlap, the one that starts last and covers the address
        for index in range(at, max(at - 4, -1), -1):
            if entries[index].start <= address < entries[index].stop:
                return entries[index]
        return None

    @cached_property
    def _index(self) -> tuple[list[int], list[_Entry]]:
        entries: list[_Entry] = []
        for name, address, data in self._sections():
            try:
                for entry in _entries(data, address, eh=name == ".eh_frame"):
                    if entry.start < entry.stop:
                        entries.append(entry)
            except Damaged as error:
                self.problem = f"its section {name} is damaged ({describe(error)})"
        entries.sort(key=lambda entry: entry.start)
        return [entry.start for entry in entries], entries

    def _sections(self) -> list[tuple[str, int, bytes]]:
        found = []
        # what was written for debuggers comes first: at one address it wins
        for name in (".debug_frame", ".eh_frame"):
            section = self._elf.find(name)
            try:
                data = self._elf.get(name)
            except DwarfError as error:
                self.problem = f"its call frame information cannot be read ({error})"
                continue
            if data:
                found.append((name, section.address if section is not None else 0, data))
        return found


# ---- entries


def _entries(data: bytes, base: int, *, eh: bool) -> Iterator[_Entry]:
    """Yield the FDEs of a section, in their order."""
    commons: dict[int, _Common] = {}
    reader = Reader(data)
    while reader.at + 4 <= len(data):
        begin = reader.at
        length, wide = reader.uint(4), False
        if length == 0xFFFF_FFFF:
            length, wide = reader.uint(8), True
        if length == 0:
            if eh:
                return  # the terminator
            continue
        place = reader.at
        end = place + length
        if end > len(data):
            raise Damaged(f"the entry at {begin:#x} reaches beyond the section")
        entry = Reader(data, place, end)
        size = 8 if wide and not eh else 4
        pointer = entry.uint(size)
        is_common = pointer == 0 if eh else pointer == (1 << 8 * size) - 1
        if not is_common:
            at = place - pointer if eh else pointer
            if at not in commons:
                commons[at] = _common(data, at, eh)
            yield _described(entry, commons[at], base)
        reader.at = end


def _common(data: bytes, at: int, eh: bool) -> _Common:
    if not 0 <= at < len(data):
        raise Damaged(f"there is no entry at {at:#x}")
    reader = Reader(data, at)
    length, wide = reader.uint(4), False
    if length == 0xFFFF_FFFF:
        length, wide = reader.uint(8), True
    reader.end = min(reader.at + length, len(data))
    reader.uint(8 if wide and not eh else 4)
    version = reader.uint(1)
    augmentation = reader.string()
    if version >= 4 and not eh:
        reader.uint(2)  # sizes of addresses and of segment selectors
    code_factor, data_factor = reader.uleb(), reader.sleb()
    return_address = reader.uint(1) if version == 1 else reader.uleb()
    encoding, lsda = 0, False
    signal = b"S" in augmentation
    if augmentation.startswith(b"z"):
        size = reader.uleb()
        stop = reader.at + size
        for letter in augmentation[1:]:
            if letter == ord("R"):
                encoding = reader.uint(1)
            elif letter == ord("P"):
                _pointer(reader, reader.uint(1), 0)
            elif letter == ord("L"):
                reader.uint(1)
                lsda = True
            elif letter not in b"SB":
                break
        reader.at = stop
    elif augmentation not in (b"", b"eh"):
        raise Damaged(f"unknown augmentation {augmentation!r}")
    program = reader.take(reader.end - reader.at)
    return _Common(
        code_factor, data_factor, return_address, signal, program, encoding, augmentation.startswith(b"z"), lsda
    )


def _described(reader: Reader, common: _Common, base: int) -> _Entry:
    start = _pointer(reader, common.encoding, base)
    size = _pointer(reader, common.encoding & 0x0F, 0)
    if common.augmented:
        reader.take(reader.uleb())
    return _Entry(start, start + size, common, reader.take(reader.end - reader.at))


_SIZES = {0x00: 8, 0x02: 2, 0x03: 4, 0x04: 8, 0x0A: 2, 0x0B: 4, 0x0C: 8}


def _pointer(reader: Reader, encoding: int, base: int) -> int:
    """Return a pointer as `.eh_frame` encodes it (LSB 10.5); `base` is the section's address."""
    if encoding == 0xFF:
        return 0
    place = base + reader.at
    form = encoding & 0x0F
    if form == 0x01:
        value = reader.uleb()
    elif form == 0x09:
        value = reader.sleb()
    elif form in _SIZES:
        size = _SIZES[form]
        value = reader.uint(size)
        if form & 0x08 and value >> 8 * size - 1:
            value -= 1 << 8 * size
    else:
        raise Damaged(f"unknown pointer encoding {encoding:#x}")
    if encoding & 0x70 == 0x10:
        value += place
    elif encoding & 0x70 not in (0x00, 0x50):
        raise Damaged(f"pointer encoding {encoding:#x} needs what a linked image does not say")
    return value & _M64


# ---- programs


def _rows(entry: _Entry) -> Iterator[Row]:
    """Yield the rows of an entry, by address."""
    common = entry.common
    first = _Run(entry, {}, None)
    for _ in first.run(common.initial):
        raise Damaged("a common entry advances")
    run = _Run(entry, first.registers, first.cfa)
    yield from run.run(entry.program)
    yield run.row()


class _Run:
    """A program of call frame instructions at work."""

    def __init__(self, entry: _Entry, initial: dict[int, Rule], cfa: Rule | None) -> None:
        self.common = entry.common
        self.address = entry.start
        self.initial = dict(initial)
        self.registers = dict(initial)
        self.cfa = cfa
        self.remembered: list[tuple[Rule | None, dict[int, Rule]]] = []

    def row(self) -> Row:
        """Return the rules in force."""
        if self.cfa is None:
            raise Damaged(f"no CFA is defined at {self.address:#x}")
        return Row(self.address, self.cfa, dict(self.registers), self.common.return_address, self.common.signal)

    def run(self, program: bytes) -> Iterator[Row]:
        """Run, yielding the rules in force before each advance."""
        reader = Reader(program)
        code, data = self.common.code_factor, self.common.data_factor
        while reader.at < len(program):
            op = reader.uint(1)
            low = op & 0x3F
            match op >> 6:
                case 1:  # advance_loc
                    yield from self._to(self.address + low * code)
                case 2:  # offset
                    self.registers[low] = Rule(How.OFFSET, reader.uleb() * data)
                case 3:  # restore
                    self._restore(low)
                case _:
                    yield from self._extended(op, reader, code, data)

    def _to(self, address: int) -> Iterator[Row]:
        if address != self.address:
            yield self.row()
        self.address = address

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.registers[register] = self.initial[register]
        else:
            self.registers.pop(register, None)

    def _extended(self, op: int, reader: Reader, code: int, data: int) -> Iterator[Row]:
        match op:
            case 0x00:  # nop
                return
            case 0x01:  # set_loc
                yield from self._to(_pointer(reader, self.common.encoding & 0x0F, 0))
                return
            case 0x02 | 0x03 | 0x04:  # advance_loc1, 2, 4
                yield from self._to(self.address + reader.uint(1 << op - 2) * code)
                return
            case 0x0A:  # remember_state
                if len(self.remembered) >= MAX_REMEMBERED:
                    raise Damaged("too many states are remembered")
                self.remembered.append((self.cfa, dict(self.registers)))
                return
            case 0x0B:  # restore_state
                if not self.remembered:
                    raise Damaged("a state is restored that was not remembered")
                self.cfa, self.registers = self.remembered.pop()
                return
            case 0x0E:  # def_cfa_offset
                self.cfa = Rule(How.BASE, self._base().number, reader.uleb())
                return
            case 0x0F:  # def_cfa_expression
                self.cfa = Rule(How.VAL_EXPRESSION, expression=reader.take(reader.uleb()))
                return
            case 0x13:  # def_cfa_offset_sf
                self.cfa = Rule(How.BASE, self._base().number, reader.sleb() * data)
                return
            case 0x2E:  # GNU_args_size
                reader.uleb()
                return
        register = reader.uleb()
        match op:
            case 0x05:  # offset_extended
                self.registers[register] = Rule(How.OFFSET, reader.uleb() * data)
            case 0x06:  # restore_extended
                self._restore(register)
            case 0x07:  # undefined
                self.registers[register] = UNDEFINED
            case 0x08:  # same_value
                self.registers[register] = SAME
            case 0x09:  # register
                self.registers[register] = Rule(How.REGISTER, reader.uleb())
            case 0x0C:  # def_cfa
                self.cfa = Rule(How.BASE, register, reader.uleb())
            case 0x0D:  # def_cfa_register; gcc begins with it, and means offset 0
                self.cfa = Rule(How.BASE, register, self._base().offset if self.cfa else 0)
            case 0x10:  # expression
                self.registers[register] = Rule(How.EXPRESSION, expression=reader.take(reader.uleb()))
            case 0x11:  # offset_extended_sf
                self.registers[register] = Rule(How.OFFSET, reader.sleb() * data)
            case 0x12:  # def_cfa_sf
                self.cfa = Rule(How.BASE, register, reader.sleb() * data)
            case 0x14:  # val_offset
                self.registers[register] = Rule(How.VAL_OFFSET, reader.uleb() * data)
            case 0x15:  # val_offset_sf
                self.registers[register] = Rule(How.VAL_OFFSET, reader.sleb() * data)
            case 0x16:  # val_expression
                self.registers[register] = Rule(How.VAL_EXPRESSION, expression=reader.take(reader.uleb()))
            case 0x2F:  # GNU_negative_offset_extended
                self.registers[register] = Rule(How.OFFSET, -reader.uleb() * data)
            case _:
                raise Damaged(f"unknown call frame instruction {op:#x}")

    def _base(self) -> Rule:
        if self.cfa is None or self.cfa.how is not How.BASE:
            raise Damaged("the CFA's register is changed where it has none")
        return self.cfa
