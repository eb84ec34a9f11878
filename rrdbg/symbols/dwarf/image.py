"""The debug information of one image: units, found by address and by name."""

from __future__ import annotations

from functools import cached_property

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.forms import Abbreviation
from rrdbg.symbols.dwarf.functions import Functions
from rrdbg.symbols.dwarf.index import NameIndex, RangeIndex, units_by_address
from rrdbg.symbols.dwarf.lineprogram import LineProgram
from rrdbg.symbols.dwarf.names import STRUCTURES, qualified_name
from rrdbg.symbols.dwarf.sections import Sections
from rrdbg.symbols.dwarf.typereader import TypeReader
from rrdbg.symbols.dwarf.units import Dwarf, Unit

CHECKED_UNITS = 64
"""Units whose headers are read to see whether they are damaged; of others one hears when they are needed."""

MAX_CANDIDATES = 200
"""Entries of a name that are looked at for the definition of a type."""


class ImageDebug:
    """What one image's debug information says, by its own addresses."""

    def __init__(self, image: bytes | Sections) -> None:
        self.sections = image if isinstance(image, Sections) else Sections(image)
        """Its ELF sections."""
        self.dwarf = Dwarf(self.sections)
        """Its units."""
        self.names = NameIndex(self.dwarf)
        """Its entries by name."""
        self.types = TypeReader(self._definition)
        """Its types."""
        self._functions: dict[int, Functions] = {}
        self._programs: dict[int, LineProgram | None] = {}
        self._definitions: dict[tuple[int, str], Die | None] = {}

    @property
    def problem(self) -> str:
        """Why there is no debug information, or less than there was, in half a sentence; empty when all is well."""
        if self.sections.problem:
            return f"{self.sections.problem}, which could have debug information"
        if self.sections.relocatable:
            return "it is an object file: its debug information has no addresses before it is linked"
        if ".debug_info" not in self.sections:
            return "it was built without debug information (-g)"
        try:
            units = self.dwarf.units
        except DwarfError as error:
            return f"its debug information is damaged ({error})"
        for unit in units[:CHECKED_UNITS]:
            self.program(unit)
        problems = self.dwarf.problems + [unit.problem for unit in units if unit.problem]
        if problems:
            more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
            return f"its debug information is damaged ({problems[0]}{more})"
        if any(_is_skeleton(unit) for unit in units[:CHECKED_UNITS]):
            return "its debug information is in .dwo files (-gsplit-dwarf), which are not supported"
        return ""

    @cached_property
    def usable(self) -> bool:
        """Whether there is any."""
        if self.sections.relocatable or ".debug_info" not in self.sections:
            return False
        try:
            return bool(self.dwarf.units)
        except DwarfError as error:
            self.dwarf.problems.append(str(error))
            return False

    @cached_property
    def by_address(self) -> RangeIndex[Unit]:
        """Its units by the addresses of their code."""
        return units_by_address(self.dwarf) if self.usable else RangeIndex(())

    def unit_at(self, pc: int) -> Unit | None:
        """Return the unit whose code contains an address."""
        return next(self.by_address.around(pc), None)

    def functions(self, unit: Unit) -> Functions:
        """Return the functions of a unit."""
        found = self._functions.get(unit.offset)
        if found is None:
            found = self._functions[unit.offset] = Functions(unit)
        return found

    def program(self, unit: Unit) -> LineProgram | None:
        """Return a unit's lines; None: it has none, or they are damaged."""
        if unit.offset not in self._programs:
            try:
                self._programs[unit.offset] = LineProgram(unit)
            except DwarfError as error:
                unit.problem = unit.problem or str(error)
                self._programs[unit.offset] = None
        return self._programs[unit.offset]

    def file(self, die: Die, attribute: int) -> str:
        """Return the file that an entry's attribute names by number."""
        number = die.integer(attribute)
        if number is None or (number == 0 and die.unit.version < 5):
            return ""
        program = self.program(die.unit)
        return program.file(number) if program else ""

    def _definition(self, declared: Die) -> Die | None:
        """Return the definition of a type that is only declared, from its own unit or another one."""
        name = qualified_name(declared)
        if not name:
            return None
        tags = STRUCTURES if declared.tag in STRUCTURES else (declared.tag,)
        key = min(tags), name
        if key not in self._definitions:
            self._definitions[key] = self._find_definition(declared, name, tags)
        return self._definitions[key]

    def _find_definition(self, declared: Die, name: str, tags: tuple[int, ...]) -> Die | None:
        def wanted(row: Abbreviation) -> bool:
            return row.tag in tags and D.AT_BYTE_SIZE in row.names and D.AT_DECLARATION not in row.names

        for count, die in enumerate(self.names.find(declared.text(D.AT_NAME), wanted, declared.unit)):
            if count > MAX_CANDIDATES:
                break
            try:
                if qualified_name(die) == name:
                    return die
            except DwarfError as error:
                die.unit.problem = die.unit.problem or str(error)
        return None


def _is_skeleton(unit: Unit) -> bool:
    try:
        return unit.kind == D.UT_SKELETON or unit.root.has(D.AT_GNU_DWO_NAME)
    except DwarfError:
        return False
