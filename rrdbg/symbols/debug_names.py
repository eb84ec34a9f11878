"""Variables, types, enumerators and functions by name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from rrdbg.symbols.basetypes import named_base_type
from rrdbg.symbols.debug_scopes import DebugScopes
from rrdbg.symbols.demangle import answers_to, demangle
from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.context import Loaded
from rrdbg.symbols.dwarf.data import forgiving
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.forms import Abbreviation
from rrdbg.symbols.dwarf.functions import Node
from rrdbg.symbols.dwarf.image import MAX_CANDIDATES
from rrdbg.symbols.dwarf.lists import ranges_of
from rrdbg.symbols.dwarf.names import chain, holder, linkage_name, qualified_name
from rrdbg.symbols.dwarf.units import Unit
from rrdbg.symbols.dwarf.variables import completes, completions, is_outside_functions, value_holder
from rrdbg.symbols.rows import NamedRows
from rrdbg.symbols.scopes import DebugVariable, Scope
from rrdbg.symbols.types import EnumType, Type

T = TypeVar("T")

MAX_ANSWERS = 10_000
"""Answers about names that are kept."""

_TAGS = {
    "struct": (D.TAG_STRUCTURE_TYPE, D.TAG_CLASS_TYPE),
    "class": (D.TAG_STRUCTURE_TYPE, D.TAG_CLASS_TYPE),
    "union": (D.TAG_UNION_TYPE,),
    "enum": (D.TAG_ENUMERATION_TYPE,),
}
"""What may follow the words that C writes in front of a tag."""
_TAGGED = (*_TAGS["struct"], *_TAGS["union"], *_TAGS["enum"])
_TYPE_NAMES = (D.TAG_TYPEDEF, D.TAG_BASE_TYPE, D.TAG_UNSPECIFIED_TYPE, *_TAGGED)


def _is_variable(row: Abbreviation) -> bool:
    return row.tag == D.TAG_VARIABLE or row.tag == D.TAG_MEMBER


def _is_stored(row: Abbreviation) -> bool:
    return row.tag == D.TAG_VARIABLE and (D.AT_LOCATION in row.names or D.AT_CONST_VALUE in row.names)


def _is_constant(row: Abbreviation) -> bool:
    return row.tag == D.TAG_VARIABLE and D.AT_CONST_VALUE in row.names


def _is_declared_variable(row: Abbreviation) -> bool:
    return _is_variable(row) and D.AT_DECLARATION in row.names


def _is_placeless(row: Abbreviation) -> bool:
    return row.tag == D.TAG_VARIABLE and not row.names & {D.AT_LOCATION, D.AT_CONST_VALUE, D.AT_DECLARATION}


class DebugNames(DebugScopes):
    """The part of debug information that is found by name; the first image that knows an answer gives it."""

    def _once(self, ask: Callable[..., T], *args: Hashable) -> T:
        """Return an answer that takes a search; asked again, from memory."""
        key = ask.__name__, args
        if key not in self._answers:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            self._answers[key] = ask(*args)
        found: T = self._answers[key]
        return found

    # variables

    def variable(self, name: str, pc: int, scope: Scope | None = None) -> DebugVariable | None:
        """Return what a name means at an address, as C's scopes go: in blocks, in the unit, then anywhere.

        Args:
            name: A plain or qualified name.
            pc: The address.
            scope: Whose blocks; default: the innermost inlined call or function there.
        """
        if scope is None:
            scope = next(iter(self.scopes(pc)), None)
        if scope is not None:
            inside = (*self.locals(scope, pc), *self.arguments(scope, pc))
            found = next((variable for variable in inside if variable.name == name and not variable.shadowed), None)
            if found is not None:
                return found
        return self.global_variable(name, pc)

    def global_variable(self, name: str, pc: int | None = None) -> DebugVariable | None:
        """Return a variable outside of functions, by qualified or linkage name; that of the unit around `pc` first."""
        here = self._unit(pc)
        found: DebugVariable | None = self._once(self._global_in, *here, name) if here is not None else None
        return found if found is not None else self._once(self._global_of_any, name)

    def _global_of_any(self, name: str) -> DebugVariable | None:
        for loaded, symbols in zip(self._images, self._symbols, strict=True):
            if (found := self._global_anywhere(loaded, symbols, name)) is not None:
                return found
        return None

    def _plain(self, name: str) -> str:
        """Return the last part of a qualified name, which is what the debug information calls it."""
        depth = 0
        for at in range(len(name) - 1, 0, -1):
            depth += (name[at] in ">)") - (name[at] in "<(")
            if depth == 0 and name[at - 1 : at + 1] == "::":
                return name[at + 1 :]
        return name

    def _completed(self, loaded: Loaded, die: Die) -> Die:
        """Return the definition that completes a declaration, in its own unit or another one, or the declaration."""
        if value_holder(die) is not None:
            return die
        key = id(die.unit.dwarf), die.unit.offset
        table = self._completions.get(key)
        if table is None:
            table = self._completions[key] = completions(die.unit)
        if (found := table.get(die.offset)) is not None:
            return found
        others = loaded.debug.names.referring(die, completes)
        return next((other for other in others if any(entry.offset == die.offset for entry in chain(other))), die)

    @forgiving(None)
    def _global_in(self, loaded: Loaded, unit: Unit, name: str) -> DebugVariable | None:
        return self._pick_global(loaded, loaded.debug.names.in_unit(self._plain(name), _is_variable, unit), name)

    @forgiving(None)
    def _global_anywhere(self, loaded: Loaded, symbols: NamedRows | None, name: str) -> DebugVariable | None:
        if not loaded.debug.usable:
            return None
        names, plain = loaded.debug.names, self._plain(name)
        # a variable in memory has a symbol, unless there are none: without one only a constant can have the name
        addresses = symbols.addresses(name) if symbols is not None else []
        for address in addresses:
            if (found := self._pick_global(loaded, names.at_address(address), name)) is not None:
                return found
        stored = symbols is None or not len(symbols) or name != plain or addresses
        found = self._pick_global(loaded, names.find(plain, _is_stored if stored else _is_constant), name)
        return (
            found
            or self._pick_global(loaded, names.find(plain, _is_declared_variable), name)
            or self._pick_global(loaded, names.find(plain, _is_placeless), name, placed=False)
        )

    def _pick_global(
        self, loaded: Loaded, dies: Iterable[Die], name: str, *, placed: bool = True
    ) -> DebugVariable | None:
        for die in dies:
            if not is_outside_functions(die):
                continue
            whole = qualified_name(die)
            if name not in (whole, linkage_name(die)) and not whole.endswith(f"::{name}"):
                continue
            definition = self._completed(loaded, die)
            if not placed or value_holder(definition) is not None:
                outer = holder(definition, D.AT_EXTERNAL)
                kind = "global" if outer is not None and outer.flag(D.AT_EXTERNAL) else "static"
                return self._variable(loaded, definition, kind, 0, (), whole)
        return None

    @forgiving(())
    def _all_at(self, loaded: Loaded, address: int) -> Sequence[DebugVariable]:
        if not loaded.debug.usable:
            return ()
        dies = loaded.debug.names.at_address(address)
        return [self._variable(loaded, die, "", 0, (), qualified_name(die)) for die in dies]

    @forgiving(())
    def _all_named(self, loaded: Loaded, name: str) -> Sequence[DebugVariable]:
        if not name or not loaded.debug.usable:
            return ()
        found = []
        for die in loaded.debug.names.find(name, _is_variable):
            definition = self._completed(loaded, die)
            if value_holder(definition) is not None:
                found.append(self._variable(loaded, definition, "", 0, (), qualified_name(die)))
        return found

    # types and functions

    def type_named(self, text: str, pc: int | None = None) -> Type | None:
        """Return a type by its name: `int`, `unsigned long`, `struct list`, `size_t`, `ns::Class`.

        The unit around `pc` goes first. Pointers, arrays and qualifiers are the business of the expression's parser.
        """
        words = text.split()
        if not words:
            return None
        if (base := named_base_type(words)) is not None and len(words) > 1:
            return base
        tag = words[0] if words[0] in _TAGS and len(words) > 1 else ""
        name = " ".join(words[1:] if tag else words)
        here = self._unit(pc)
        order = [here[0]] if here else []
        order += [loaded for loaded in self._images if loaded not in order]
        for loaded in order:
            unit = here[1] if here and here[0] is loaded else None
            found: Type | None = self._once(self._type_in, loaded, unit, name, tag)
            if found is not None:
                return found
        return base

    @forgiving(None)
    def _type_in(self, loaded: Loaded, unit: Unit | None, name: str, tag: str) -> Type | None:
        if not loaded.debug.usable:
            return None
        tags = _TAGS.get(tag, ())

        def wanted(row: Abbreviation) -> bool:
            if D.AT_DECLARATION in row.names:
                return False
            return row.tag in tags if tag else row.tag in _TYPE_NAMES

        partly: Type | None = None
        for die in islice(loaded.debug.names.find(self._plain(name), wanted, unit), MAX_CANDIDATES):
            if not tag and die.tag in _TAGGED and die.unit.language in ("c", "asm", ""):
                continue  # C: `struct list` is not `list`
            whole = qualified_name(die)
            if whole == name:
                return loaded.debug.types.read(die)
            if partly is None and whole.endswith(f"::{name}"):
                partly = loaded.debug.types.read(die)
        return partly

    def enumerator(self, name: str, pc: int | None = None) -> tuple[EnumType, int] | None:
        """Return the enumeration that has a constant, and its value; that of the unit around `pc` first."""
        here = self._unit(pc)
        for loaded in self._images:
            unit = here[1] if here and here[0] is loaded else None
            found: tuple[EnumType, int] | None = self._once(self._enumerator_in, loaded, unit, name)
            if found is not None:
                return found
        return None

    @forgiving(None)
    def _enumerator_in(self, loaded: Loaded, unit: Unit | None, name: str) -> tuple[EnumType, int] | None:
        if not loaded.debug.usable:
            return None
        plain = self._plain(name)
        for die in islice(
            loaded.debug.names.find(plain, lambda row: row.tag == D.TAG_ENUMERATOR, unit), MAX_CANDIDATES
        ):
            parent = die.parent
            kind = loaded.debug.types.read(parent) if parent is not None else None
            if not isinstance(kind, EnumType):
                continue
            around = kind.name if kind.scoped else kind.name.rpartition("::")[0]
            whole = f"{around}::{plain}" if around else plain
            partly = name != plain and whole.endswith(f"::{name}")
            if whole == name or partly or (name == plain and not kind.scoped):
                return kind, die.integer(D.AT_CONST_VALUE) or 0
        return None

    def function_named(self, name: str) -> tuple[Scope, ...]:
        """Return the functions of a name: demangled with or without parameters, or the linkage name."""
        return self._once(self._functions_named, name)

    def _functions_named(self, name: str) -> tuple[Scope, ...]:
        found: dict[Hashable, Scope] = {}
        for loaded, symbols in zip(self._images, self._symbols, strict=True):
            for address in symbols.addresses(name) if symbols is not None else ():
                for scope in self.scopes(address + loaded.bias)[-1:]:
                    if scope.low_pc == address + loaded.bias:
                        found.setdefault(scope.key, scope)
        if found:
            return tuple(found.values())
        for loaded in self._images:
            for node in self._functions_in(loaded, name):
                scope = self._scope(loaded, node)
                found.setdefault(scope.key, scope)
        return tuple(found.values())

    @forgiving(())
    def _functions_in(self, loaded: Loaded, name: str) -> Sequence[Node]:
        """Return the functions of a name by the debug information alone."""
        found: list[Node] = []
        for die in self._function_dies(loaded, name):
            found += loaded.debug.functions(die.unit).instances(die)
        return [node for node in found if node.ranges]

    def _function_dies(self, loaded: Loaded, name: str) -> Iterator[Die]:
        if not loaded.debug.usable:
            return
        base = name.partition("(")[0] if not name.startswith("(") else name
        for die in loaded.debug.names.find(self._plain(base), lambda row: row.tag == D.TAG_SUBPROGRAM):
            whole = qualified_name(die)
            linkage = linkage_name(die)
            if base != name and linkage and not answers_to(demangle(linkage), name):
                continue  # another function of the name
            if base in (whole, linkage) or whole.endswith(f"::{base}"):
                yield die

    def inlined_calls(self, name: str) -> tuple[Scope, ...]:
        """Return the places where a function was inlined."""
        return self._once(self._inlined_calls, name)

    @forgiving(())
    def _inlined_calls(self, name: str) -> tuple[Scope, ...]:
        found: list[Scope] = []
        for loaded in self._images:
            origins = {die.offset: die.unit for die in self._function_dies(loaded, name)}
            for unit in {id(unit): unit for unit in origins.values()}.values():
                for die in unit.tagged(D.TAG_INLINED_SUBROUTINE):
                    if any(entry.offset in origins for entry in chain(die)) and (ranges := ranges_of(die)):
                        found.append(self._new_scope(loaded, Node(die, ranges)))
        return tuple(found)
