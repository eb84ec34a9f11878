"""All that debug information describes outside of functions, for lists; and what functions were called with."""

from __future__ import annotations

from collections.abc import Iterator

from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.context import Loaded
from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.names import STRUCTURES, holder, qualified_name
from rrdbg.symbols.dwarf.units import Unit
from rrdbg.symbols.dwarf.variables import globals_of, value_holder
from rrdbg.symbols.location import FrameState
from rrdbg.symbols.places import InRegister
from rrdbg.symbols.scopes import DebugVariable, Scope
from rrdbg.symbols.types import Type

_OP_REG0 = 0x50
_TYPES = (*STRUCTURES, D.TAG_ENUMERATION_TYPE, D.TAG_TYPEDEF, D.TAG_BASE_TYPE)


def _units(debug: DebugInfo) -> Iterator[tuple[Loaded, Unit]]:
    for loaded in debug._images:
        if loaded.debug.usable:
            for unit in loaded.debug.dwarf.units:
                yield loaded, unit


def all_variables(debug: DebugInfo) -> Iterator[DebugVariable]:
    """Yield the variables outside of functions, unit by unit."""
    for loaded, unit in _units(debug):
        try:
            for die in globals_of(unit):
                name = qualified_name(die)
                if name:
                    outer = holder(die, D.AT_EXTERNAL)
                    kind = "global" if outer is not None and outer.flag(D.AT_EXTERNAL) else "static"
                    yield debug._variable(loaded, die, kind, 0, (), name)
        except DwarfError as error:
            unit.problem = unit.problem or str(error)


def all_functions(debug: DebugInfo) -> Iterator[Scope]:
    """Yield the functions that have code, unit by unit."""
    for loaded, unit in _units(debug):
        try:
            for node in loaded.debug.functions(unit).all():
                yield debug._scope(loaded, node)
        except DwarfError as error:
            unit.problem = unit.problem or str(error)


def all_types(debug: DebugInfo) -> Iterator[tuple[Type, str, int]]:
    """Yield the types that have a name, with the file and line that declare them, unit by unit."""
    for loaded, unit in _units(debug):
        try:
            for die in _outer_types(unit):
                yield (
                    loaded.debug.types.read(die),
                    loaded.debug.file(die, D.AT_DECL_FILE),
                    die.integer(D.AT_DECL_LINE) or 0,
                )
        except DwarfError as error:
            unit.problem = unit.problem or str(error)


def called_with(debug: DebugInfo, argument: DebugVariable, function: Scope, state: FrameState) -> int | None:
    """Return what an argument that is passed in a register was when its function was called, if its caller says so."""
    place = debug.place(argument, function.low_pc)
    if not isinstance(place, InRegister) or not 0 <= place.number < 32 or argument.die is None:
        return None
    loaded, die = argument.die
    owner = value_holder(die)
    if owner is None:
        return None
    try:
        return debug._context(loaded, owner.unit).entry_value(bytes([_OP_REG0 + place.number]), state)
    except (LookupError, DwarfError):
        return None


def _outer_types(unit: Unit) -> Iterator[Die]:
    layout = unit.layout
    number, count = 1, len(layout.starts)
    while number < count:
        row = layout.abbreviations[number]
        if row.tag == D.TAG_NAMESPACE:
            number += 1
            continue
        if row.tag in _TYPES and D.AT_NAME in row.names and D.AT_DECLARATION not in row.names:
            yield unit.die(number)
        number = layout.ends[number]
