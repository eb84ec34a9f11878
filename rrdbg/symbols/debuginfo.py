"""What debug information says of the guest's program: functions, inlined calls, blocks, variables and types.

Nothing is read when it is opened, and a question reads the units that it needs. Damaged units know less; nothing here
raises because of what an image contains.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from rrdbg.symbols.basetypes import named_base_type
from rrdbg.symbols.demangle import answers_to, demangle
from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.context import Loaded, Resolver, UnitContext, call_origin
from rrdbg.symbols.dwarf.data import DwarfError, forgiving
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.forms import Abbreviation
from rrdbg.symbols.dwarf.functions import Node, entry_of
from rrdbg.symbols.dwarf.image import MAX_CANDIDATES, ImageDebug
from rrdbg.symbols.dwarf.lists import location_at, ranges_of
from rrdbg.symbols.dwarf.names import chain, holder, linkage_name, plain_name, qualified_name
from rrdbg.symbols.dwarf.typereader import Bound
from rrdbg.symbols.dwarf.units import Unit
from rrdbg.symbols.dwarf.variables import (
    completes,
    completions,
    constant,
    declared_in,
    globals_of,
    is_outside_functions,
    value_holder,
)
from rrdbg.symbols.elf import ElfSymbols
from rrdbg.symbols.location import (
    FrameState,
    Implicit,
    Location,
    Memory,
    OptimisedOut,
    Register,
    Unavailable,
    Value,
    contents,
    evaluate,
)
from rrdbg.symbols.places import (
    ADDRESSES,
    BehindCfa,
    BehindRegister,
    Constant,
    Fixed,
    InRegister,
    Place,
    simple_place,
)
from rrdbg.symbols.scopes import Block, CallSite, DebugVariable, Ranges, Scope
from rrdbg.symbols.types import ArrayType, EnumType, PointerType, QualifiedType, Type, TypedefType

__all__ = [
    "BehindCfa",
    "BehindRegister",
    "Block",
    "CallSite",
    "Constant",
    "DebugInfo",
    "DebugVariable",
    "Fixed",
    "InRegister",
    "Place",
    "Ranges",
    "Scope",
]

T = TypeVar("T")

MAX_ANSWERS = 10_000
"""Answers about names that are kept."""

MAX_LENGTH = 1 << 40
"""Elements of a variable-length array."""

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


def _is_variable_length(kind: Type) -> bool:
    while isinstance(kind, TypedefType | QualifiedType | PointerType):
        kind = kind.target
    return isinstance(kind, ArrayType) and (kind.bound is not None or _is_variable_length(kind.element))


class DebugInfo:
    """The debug information of all images of a trace; the first image that knows an answer gives it.

    Addresses are the guest's virtual ones. A caller's frame is asked about with an address inside its call.

    Args:
        images: The images, each with how far from its own addresses it was loaded, and its symbols.
    """

    def __init__(self, images: Sequence[tuple[ImageDebug, int, ElfSymbols | None]] = ()) -> None:
        self._images = [Loaded(image, bias) for image, bias, _ in images]
        self._symbols = [symbols for _, _, symbols in images]
        self._resolver = Resolver(self._find)
        self._find_cached = lru_cache(maxsize=4096)(self._search)
        self._contexts: dict[tuple[int, int], UnitContext] = {}
        self._completions: dict[tuple[int, int], dict[int, Die]] = {}
        self._scopes: dict[tuple[int, int], Scope] = {}
        self._declarations: dict[tuple[int, int], Sequence[Die]] = {}
        self._answers: dict[Hashable, Any] = {}

    def problems(self) -> Sequence[str]:
        """Return what was found to be missing or damaged so far, half a sentence per image; empty where all is well."""
        return [loaded.debug.problem for loaded in self._images]

    def _once(self, ask: Callable[..., T], *args: Hashable) -> T:
        """Return an answer that takes a search; asked again, from memory."""
        key = ask.__name__, args
        if key not in self._answers:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            self._answers[key] = ask(*args)
        found: T = self._answers[key]
        return found

    # places

    def _find(self, pc: int) -> tuple[Loaded, Unit, Node] | None:
        return self._find_cached(pc)

    def _search(self, pc: int) -> tuple[Loaded, Unit, Node] | None:
        for loaded in self._images:
            if (found := loaded.node(pc)) is not None:
                return loaded, *found
        return None

    def _unit(self, pc: int | None) -> tuple[Loaded, Unit] | None:
        if pc is not None:
            for loaded in self._images:
                if pc >= loaded.bias and (unit := loaded.debug.unit_at(pc - loaded.bias)) is not None:
                    return loaded, unit
        return None

    def _context(self, loaded: Loaded, unit: Unit) -> UnitContext:
        key = id(unit.dwarf), unit.offset
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = UnitContext(loaded, unit, self._resolver)
        return found

    @forgiving(())
    def scopes(self, pc: int) -> tuple[Scope, ...]:
        """Return the scopes around an address, innermost first: inlined calls, and the function they ended up in."""
        found = self._find(pc)
        if found is None:
            return ()
        loaded, _, node = found
        path = node.path(pc - loaded.bias)
        return tuple(self._scope(loaded, part) for part in reversed(path) if part.is_scope)

    def _scope(self, loaded: Loaded, node: Node) -> Scope:
        key = id(node.die.unit.dwarf), node.die.offset
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = self._new_scope(loaded, node)
        return found

    def _new_scope(self, loaded: Loaded, node: Node) -> Scope:
        die, bias = node.die, loaded.bias
        inline = die.tag == D.TAG_INLINED_SUBROUTINE
        debug = loaded.debug
        declared = holder(die, D.AT_DECL_LINE)
        outer = holder(die, D.AT_EXTERNAL)
        return Scope(
            "inline" if inline else "function",
            qualified_name(die),
            linkage_name(die),
            entry_of(node) + bias,
            tuple((lo + bias, hi + bias) for lo, hi in node.ranges),
            debug.file(declared, D.AT_DECL_FILE) if declared else "",
            declared.number_of(D.AT_DECL_LINE) if declared else 0,
            debug.file(die, D.AT_CALL_FILE) if inline else "",
            die.number_of(D.AT_CALL_LINE) if inline else 0,
            die.number_of(D.AT_CALL_COLUMN) if inline else 0,
            outer is not None and outer.flag(D.AT_EXTERNAL),
            (id(die.unit.dwarf), die.offset),
            b"" if inline else die.block(D.AT_FRAME_BASE) or b"",
            lambda: debug.types.function(die),
            (loaded, node),
        )

    def blocks(self, scope: Scope, pc: int) -> tuple[Block, ...]:
        """Return the lexical blocks of a scope around an address, innermost first; the last one is its body."""
        nodes = self._nodes(scope, pc)
        bias = scope.die[0].bias if scope.die else 0
        return tuple(
            Block(tuple((lo + bias, hi + bias) for lo, hi in node.ranges), depth, node)
            for depth, node in reversed(list(enumerate(nodes)))
        )

    @staticmethod
    def _nodes(scope: Scope, pc: int) -> list[Node]:
        """Return a scope's body and blocks around an address, outermost first."""
        if scope.die is None:
            return []
        loaded, node = scope.die
        found: list[Node] = []
        for part in node.path(pc - loaded.bias):
            if part.is_scope and part is not node:
                break
            found.append(part)
        return found

    # variables

    def arguments(self, scope: Scope, pc: int) -> tuple[DebugVariable, ...]:
        """Return the arguments of a scope in their order."""
        if scope.die is None:
            return ()
        loaded, node = scope.die
        return tuple(
            self._variable(loaded, die, "arg", 0) for die in self._declared(node) if die.tag == D.TAG_FORMAL_PARAMETER
        )

    def _declared(self, node: Node) -> Sequence[Die]:
        key = id(node.die.unit.dwarf), node.die.offset
        found = self._declarations.get(key)
        if found is None:
            found = self._declarations[key] = self._read_declared(node)
        return found

    @staticmethod
    @forgiving(())
    def _read_declared(node: Node) -> Sequence[Die]:
        return declared_in(node)

    def locals(self, scope: Scope, pc: int) -> tuple[DebugVariable, ...]:
        """Return the variables of a scope that are visible at an address: innermost block first, each in its order.

        Variables that live in the function for ever are among them, with the kind "static".
        """
        found: list[DebugVariable] = []
        seen: set[str] = set()
        for depth, node in reversed(list(enumerate(self._nodes(scope, pc)))):
            here = [die for die in self._declared(node) if die.tag != D.TAG_FORMAL_PARAMETER]
            found += [self._variable(scope.die[0], die, "", depth, seen) for die in here]
            seen.update(variable.name for variable in found)
        return tuple(found)

    def _variable(
        self, loaded: Loaded, die: Die, kind: str, depth: int, shadowing: Collection[str] = (), name: str = ""
    ) -> DebugVariable:
        declared = holder(die, D.AT_DECL_LINE)
        name = name or plain_name(die)
        return DebugVariable(
            name,
            kind or ("static" if self._is_static(die) else "local"),
            loaded.debug.file(declared, D.AT_DECL_FILE) if declared else "",
            declared.number_of(D.AT_DECL_LINE) if declared else 0,
            linkage_name(die),
            depth,
            name in shadowing,
            (artificial := holder(die, D.AT_ARTIFICIAL)) is not None and artificial.flag(D.AT_ARTIFICIAL),
            (id(die.unit.dwarf), die.offset),
            lambda: loaded.debug.types.type_of(die),
            (loaded, die),
        )

    @staticmethod
    def _is_static(die: Die) -> bool:
        owner = value_holder(die)
        expression = owner.block(D.AT_LOCATION) if owner else None
        return bool(expression) and expression is not None and expression[0] in ADDRESSES

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

    @forgiving(())
    def statics(self, pc: int) -> tuple[DebugVariable, ...]:
        """Return the variables of the unit around an address that other units do not see."""
        found = self._unit(pc)
        if found is None:
            return ()
        loaded, unit = found
        rows = []
        for die in globals_of(unit):
            outer = holder(die, D.AT_EXTERNAL)
            if (outer is None or not outer.flag(D.AT_EXTERNAL)) and (name := qualified_name(die)):
                rows.append(self._variable(loaded, die, "static", 0, (), name))
        return tuple(rows)

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
    def _global_anywhere(self, loaded: Loaded, symbols: ElfSymbols | None, name: str) -> DebugVariable | None:
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

    def variable_at(self, address: int) -> DebugVariable | None:
        """Return the global or static variable that lies around an address."""
        for loaded, symbols in zip(self._images, self._symbols, strict=True):
            symbol = symbols.around(address - loaded.bias) if symbols is not None and address >= loaded.bias else None
            if symbol is None or symbol.kind == "function":
                continue
            for name in (symbol.name, symbol.name.rpartition(".")[0]):  # GCC: count.0 is a static called count
                for variable in self._all_at(loaded, symbol.address) or self._all_named(loaded, name):
                    place = self.place(variable, 0)
                    if isinstance(place, Fixed) and place.address <= address < place.address + max(
                        variable.type.size, 1
                    ):
                        return variable
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

    # values

    def concrete(self, kind: Type, state: FrameState) -> Type:
        """Return a type with the lengths that its arrays have in a frame (variable-length arrays)."""
        if isinstance(kind, ArrayType):
            element = self.concrete(kind.element, state)
            count = self._length(kind.bound, state) if kind.count is None and kind.bound is not None else kind.count
            if element is kind.element and count == kind.count:
                return kind
            return ArrayType(element, count, kind.vector, None if count is not None else kind.bound)
        if isinstance(kind, TypedefType | QualifiedType | PointerType) and _is_variable_length(kind):
            target = self.concrete(kind.target, state)
            # a typedef's own name would hide the length that was found
            return target if isinstance(kind, TypedefType) else replace(kind, target=target)
        return kind

    @forgiving(None)
    def _length(self, bound: Bound, state: FrameState) -> int | None:
        die = bound.die
        found = self._find(state.pc)
        if found is None:
            return None
        loaded = found[0]
        value: int | None = None
        expression = die.block(bound.attribute)
        if expression is not None:
            value = self._number(evaluate(expression, state, self._context(loaded, die.unit)), state)
        else:
            variable = die.reference(bound.attribute)
            if variable is not None:
                size = loaded.debug.types.type_of(variable).size or 8
                got = contents(self.locate(self._variable(loaded, variable, "", 0), state), size, state)
                value = int.from_bytes(got.data, "little", signed=True) if got.complete else None
        if value is None:
            return None
        if bound.attribute == D.AT_UPPER_BOUND:
            value += 1 - bound.lower
        return value if 0 <= value <= MAX_LENGTH else None

    @staticmethod
    def _number(location: Location, state: FrameState) -> int | None:
        if isinstance(location, Memory):
            return location.address  # the value that is left on the stack
        if isinstance(location, Value):
            return location.bits
        return state.register(location.number) if isinstance(location, Register) else None

    def locate(self, variable: DebugVariable, state: FrameState) -> Location:
        """Return where a variable is in a frame."""
        if variable.die is None:
            return OptimisedOut()
        loaded, die = variable.die
        try:
            owner = value_holder(die)
            if owner is None:
                return OptimisedOut("the compiler kept neither a place nor a value for it")
            data = constant(owner, variable.type.size)
            if data is not None:
                return Implicit(data)
            expression = location_at(owner, D.AT_LOCATION, state.pc - loaded.bias)
            if not expression:
                return OptimisedOut("the compiler did not keep its value here")
            return evaluate(expression, state, self._context(loaded, owner.unit))
        except DwarfError as error:
            return Unavailable(f"its debug information is damaged ({error})")

    @forgiving(None)
    def place(self, variable: DebugVariable, pc: int) -> Place | None:
        """Return a variable's place at an address, where one simple rule says it; None: it takes `locate`."""
        if variable.die is None:
            return None
        loaded, die = variable.die
        owner = value_holder(die)
        if owner is None:
            return None
        data = constant(owner, variable.type.size)
        if data is not None:
            return Constant(data)
        expression = location_at(owner, D.AT_LOCATION, pc - loaded.bias)
        if not expression:
            return None
        context = self._context(loaded, owner.unit)
        try:
            return simple_place(expression, context, lambda: context.frame_base(pc))
        except LookupError:
            return None

    @forgiving(None)
    def call_site(self, return_pc: int) -> CallSite | None:
        """Return the call that returns to an address."""
        found = self._resolver.call_at(return_pc - 1)
        if found is None or found[3] != return_pc:
            return None
        die = found[2]
        origin = call_origin(die)
        tail = die.flag(D.AT_CALL_TAIL_CALL) or die.flag(D.AT_GNU_TAIL_CALL)
        return CallSite(return_pc, qualified_name(origin) if origin is not None else "", tail)

    @forgiving("")
    def producer(self, pc: int) -> str:
        """Return the compiler of the unit around an address, as it calls itself; empty: unknown."""
        found = self._unit(pc)
        return found[1].producer if found else ""

    @forgiving("")
    def language(self, pc: int) -> str:
        """Return the language of the unit around an address: "c", "c++", "rust", "asm", or empty."""
        found = self._unit(pc)
        return found[1].language if found else ""

    @forgiving(False)
    def locations_valid(self, pc: int) -> bool:
        """Return whether the unit around an address says where variables are in prologues too: gcc with location lists.

        gdb then takes functions at their first instruction.
        """
        found = self._unit(pc)
        if found is None or not found[1].producer.startswith("GNU "):
            return False
        lists = (D.FORM_SEC_OFFSET, D.FORM_LOCLISTX)
        rows = found[1].abbreviations.all().values()
        return any(name == D.AT_LOCATION and form in lists for row in rows for name, form, _ in row.attributes)
