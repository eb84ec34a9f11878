"""What debug information says of the guest's program: functions, inlined calls, blocks, variables and types.

Nothing is read when it is opened, and a question reads the units that it needs. Damaged units know less; nothing here
raises because of what an image contains.
"""

from __future__ import annotations

from dataclasses import replace

from rrdbg.symbols.debug_names import DebugNames
from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.context import call_origin
from rrdbg.symbols.dwarf.data import DwarfError, forgiving
from rrdbg.symbols.dwarf.lists import location_at, locations
from rrdbg.symbols.dwarf.names import qualified_name
from rrdbg.symbols.dwarf.typereader import Bound
from rrdbg.symbols.dwarf.variables import constant, value_holder
from rrdbg.symbols.location import (
    Context,
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
from rrdbg.symbols.place_text import place_text
from rrdbg.symbols.places import Constant, Fixed, Place, simple_place
from rrdbg.symbols.scopes import CallSite, DebugVariable
from rrdbg.symbols.types import ArrayType, PointerType, QualifiedType, Type, TypedefType

MAX_LENGTH = 1 << 40
"""Elements of a variable-length array."""


def _is_variable_length(kind: Type) -> bool:
    while isinstance(kind, TypedefType | QualifiedType | PointerType):
        kind = kind.target
    return isinstance(kind, ArrayType) and (kind.bound is not None or _is_variable_length(kind.element))


def _words(expression: bytes, context: Context, pc: int) -> str:
    """Return where an expression says that something is, in gdb's words."""

    def frame_base() -> bytes:
        try:
            return context.frame_base(pc)
        except LookupError:
            return b""

    try:
        return place_text(expression, context, frame_base)
    except LookupError:
        return "not known"


class DebugInfo(DebugNames):
    """The debug information of all images of a trace; the first image that knows an answer gives it.

    Addresses are the guest's virtual ones. A caller's frame is asked about with an address inside its call.

    Args:
        images: The images, each with how far from its own addresses it was loaded, and its symbols.
    """

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

    @forgiving("not known: its debug information is damaged")
    def place_text(self, variable: DebugVariable, pc: int) -> str:
        """Return where a variable is, in gdb's words: at all addresses where it has a place."""
        loaded, die = variable.die
        owner = value_holder(die)
        if owner is None:
            return "optimized out"
        raw = owner.raw(D.AT_CONST_VALUE)
        if raw is not None and isinstance(raw[1], int):
            return f"constant {raw[1]} ({raw[1] & (1 << 64) - 1:#x})"
        data = constant(owner, variable.type.size)
        if data is not None:
            return f"constant bytes:  {data.hex(' ')}"
        context = self._context(loaded, owner.unit)
        where = owner.list_offset(D.AT_LOCATION)
        if where is None:
            expression = location_at(owner, D.AT_LOCATION, pc - loaded.bias)
            return _words(expression, context, pc) if expression else "optimized out"
        lines = ["multi-location:"]
        for lo, hi, expression in locations(owner.unit, *where):
            first, behind = lo + loaded.bias, hi + loaded.bias
            lines.append(f"  Range {first:#x}-{behind:#x}: {_words(expression, context, first)}")
        return "\n".join(lines) + "\n"

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

    @forgiving(0)
    def dwarf_version(self, pc: int) -> int:
        """Return the version of the debug information around an address; 0: there is none."""
        found = self._unit(pc)
        return found[1].version if found else 0

    @forgiving(False)
    def has_macros(self, pc: int) -> bool:
        """Return whether the debug information around an address says which macros there were."""
        found = self._unit(pc)
        names = (D.AT_MACRO_INFO, D.AT_MACROS, D.AT_GNU_MACROS)
        return found is not None and any(found[1].die(0).has(name) for name in names)

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
