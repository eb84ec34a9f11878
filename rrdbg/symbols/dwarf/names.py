"""Names of entries: qualified by namespaces and classes, inherited from the entries that they complete."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.die import Die

_ORIGINS = 8
"""Entries that complete one another, one behind the other."""
_DEPTH = 64
"""Namespaces and classes around each other."""

STRUCTURES = (D.TAG_STRUCTURE_TYPE, D.TAG_UNION_TYPE, D.TAG_CLASS_TYPE, D.TAG_INTERFACE_TYPE)
_BEFORE_STAR = re.compile(r"(?<=[\w>]) (?=[*&])")
_ANONYMOUS = "(anonymous namespace)"


def chain(die: Die) -> Iterator[Die]:
    """Yield an entry, the one that it is an instance of, and the declaration that it completes."""
    for _ in range(_ORIGINS):
        yield die
        origin = die.reference(D.AT_ABSTRACT_ORIGIN) or die.reference(D.AT_SPECIFICATION)
        if origin is None:
            return
        die = origin


def holder(die: Die, name: int) -> Die | None:
    """Return the entry of the chain that has an attribute."""
    return next((entry for entry in chain(die) if entry.has(name)), None)


def inherited_text(die: Die, *names: int) -> str:
    """Return the first text that the chain has of some attributes."""
    for entry in chain(die):
        for name in names:
            if entry.has(name) and (text := entry.text(name)):
                return text
    return ""


def plain_name(die: Die) -> str:
    """Return an entry's name without what encloses it."""
    return _canonical(inherited_text(die, D.AT_NAME))


def _canonical(name: str) -> str:
    """Return a template's name as the demangler and GCC write it: `List<char*>`, where clang writes `List<char *>`."""
    return _BEFORE_STAR.sub("", name) if "<" in name else name


def linkage_name(die: Die) -> str:
    """Return an entry's mangled name."""
    return inherited_text(die, D.AT_LINKAGE_NAME, D.AT_MIPS_LINKAGE_NAME)


def qualified_name(die: Die) -> str:
    """Return an entry's name with its namespaces and classes; empty when it has no name."""
    declared = die
    for entry in chain(die):
        declared = entry
    name = plain_name(die)
    if not name or declared.unit.language == "c":
        return name
    return "::".join([*_around(declared), name])


def _around(die: Die) -> list[str]:
    names: list[str] = []
    parent = die.parent
    for _ in range(_DEPTH):
        if parent is None:
            break
        if parent.tag == D.TAG_NAMESPACE:
            names.append(parent.text(D.AT_NAME) or _ANONYMOUS)
        elif parent.tag in STRUCTURES or parent.tag == D.TAG_ENUMERATION_TYPE:
            if not (name := parent.text(D.AT_NAME)):
                break
            names.append(_canonical(name))
        elif parent.tag not in (D.TAG_VARIANT_PART, D.TAG_VARIANT):
            break
        specified = parent.reference(D.AT_SPECIFICATION)
        parent = (specified or parent).parent
    names.reverse()
    return names


def safe_name(die: Die) -> str:
    """Return an entry's qualified name, empty when it is damaged."""
    try:
        return qualified_name(die)
    except DwarfError:
        return ""
