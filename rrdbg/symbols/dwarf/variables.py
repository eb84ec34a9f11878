"""The variables of functions, inlined calls, blocks and units."""

from __future__ import annotations

from collections.abc import Iterator

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.forms import Abbreviation
from rrdbg.symbols.dwarf.functions import BLOCKS, Node
from rrdbg.symbols.dwarf.names import chain, plain_name
from rrdbg.symbols.dwarf.units import Unit

_WANTED = (D.TAG_FORMAL_PARAMETER, D.TAG_VARIABLE, D.TAG_CONSTANT)
_CALLS = (D.TAG_CALL_SITE, D.TAG_GNU_CALL_SITE)


def declared_in(node: Node) -> list[Die]:
    """Return the parameters and variables that a function, inlined call or block declares itself, in gdb's order.

    What was optimised away altogether is described at the function that a call is an instance of; it comes last.
    """
    found = list(_inside(node.die))
    origin = node.die.reference(D.AT_ABSTRACT_ORIGIN)
    if origin is not None:
        present = _origins(node.die)
        found += [die for die in _inside(origin, present) if die.offset not in present]
    return [die for die in found if plain_name(die)]


def _inside(die: Die, without: frozenset[int] = frozenset()) -> Iterator[Die]:
    """Yield parameters and variables among the children, and in blocks that have no addresses."""
    waiting = [die.children()]
    while waiting:
        child = next(waiting[-1], None)
        if child is None:
            waiting.pop()
        elif child.tag in _WANTED:
            if child.tag != D.TAG_VARIABLE or not _is_declaration(child):
                yield child
        elif child.tag in BLOCKS and child.offset not in without and not _has_code(child):
            waiting.append(child.children())


def _has_code(die: Die) -> bool:
    return die.has(D.AT_LOW_PC) or die.has(D.AT_RANGES)


def _is_declaration(die: Die) -> bool:
    """Return whether it is an `extern` declaration: the variable is elsewhere."""
    return die.flag(D.AT_DECLARATION) and die.flag(D.AT_EXTERNAL)


def _origins(die: Die) -> frozenset[int]:
    """Return the offsets of the entries that the children of an instance stand for."""
    found: set[int] = set()
    waiting = [die.children()]
    while waiting:
        child = next(waiting[-1], None)
        if child is None:
            waiting.pop()
            continue
        if child.tag in _CALLS:
            continue
        for entry in chain(child):
            found.add(entry.offset)
        if child.tag in BLOCKS and not child.has(D.AT_ABSTRACT_ORIGIN):
            waiting.append(child.children())
    return frozenset(found)


def globals_of(unit: Unit) -> Iterator[Die]:
    """Yield the variables outside of functions that a unit defines."""
    layout = unit.layout
    number, count = 1, len(layout.starts)
    while number < count:
        tag = layout.abbreviations[number].tag
        if tag == D.TAG_NAMESPACE:
            number += 1
            continue
        if tag == D.TAG_VARIABLE:
            die = unit.die(number)
            if die.has(D.AT_LOCATION) or die.has(D.AT_CONST_VALUE):
                yield die
        number = layout.ends[number]


def is_outside_functions(die: Die) -> bool:
    """Return whether a variable is a global, a static of its file, or a static member."""
    parent = die.parent
    return parent is None or parent.tag in _OUTSIDE


_OUTSIDE = (
    D.TAG_COMPILE_UNIT,
    D.TAG_PARTIAL_UNIT,
    D.TAG_SKELETON_UNIT,
    D.TAG_NAMESPACE,
    D.TAG_STRUCTURE_TYPE,
    D.TAG_CLASS_TYPE,
    D.TAG_UNION_TYPE,
)


def value_holder(die: Die) -> Die | None:
    """Return the entry of the chain that says where a variable is, or what its value is."""
    for entry in chain(die):
        if entry.has(D.AT_CONST_VALUE) or entry.has(D.AT_LOCATION):
            return entry
    return None


def constant(die: Die, size: int) -> bytes | None:
    """Return the bytes of a variable that became a constant; None: it did not."""
    raw = die.raw(D.AT_CONST_VALUE)
    if raw is None:
        return None
    form, value = raw
    if isinstance(value, bytes):
        return value + b"\0" if form == D.FORM_STRING else value
    if form in (D.FORM_STRP, D.FORM_LINE_STRP):
        return die.text(D.AT_CONST_VALUE).encode() + b"\0"
    size = size if 0 < size <= 64 else 8
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def completes(row: Abbreviation) -> bool:
    """Return whether entries of a shape say where a variable is that another entry declares."""
    return (
        row.tag == D.TAG_VARIABLE
        and (D.AT_LOCATION in row.names or D.AT_CONST_VALUE in row.names)
        and (D.AT_SPECIFICATION in row.names or D.AT_ABSTRACT_ORIGIN in row.names)
    )


def completions(unit: Unit) -> dict[int, Die]:
    """Return the variables in a unit by the offset of the declaration that each completes."""
    found: dict[int, Die] = {}
    for number, row in enumerate(unit.layout.abbreviations):
        if completes(row):
            try:
                entries = list(chain(unit.die(number)))
            except DwarfError:
                continue
            for entry in entries[1:]:
                found.setdefault(entry.offset, unit.die(number))
    return found
