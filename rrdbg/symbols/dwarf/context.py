"""What a DWARF expression refers to: its unit, its function's frame base, its caller's call."""

from __future__ import annotations

from collections.abc import Callable

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, uleb
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.functions import Node, entry_of
from rrdbg.symbols.dwarf.image import ImageDebug
from rrdbg.symbols.dwarf.lists import location_at
from rrdbg.symbols.dwarf.names import chain, holder, linkage_name, plain_name
from rrdbg.symbols.dwarf.typereader import base_type
from rrdbg.symbols.dwarf.units import Unit
from rrdbg.symbols.dwarf.variables import constant, value_holder
from rrdbg.symbols.evaluator import Evaluator
from rrdbg.symbols.location import (
    FrameState,
    Implicit,
    Location,
    Memory,
    OptimisedOut,
    Piece,
    Pieces,
    Register,
    Value,
)
from rrdbg.symbols.types import BaseType

MAX_CALLERS = 16
"""Frames that the value of one variable is looked for in."""
MAX_TAIL_CALLS = 100
"""Functions looked at for whether one may have called itself by a tail call."""
_CALL_BYTES = 8
"""Longest call: auipc and jalr."""
_CALLS = (D.TAG_CALL_SITE, D.TAG_GNU_CALL_SITE)
_COMPLETE = (
    D.AT_CALL_ALL_CALLS,
    D.AT_CALL_ALL_TAIL_CALLS,
    D.AT_GNU_ALL_CALL_SITES,
    D.AT_GNU_ALL_TAIL_CALL_SITES,
)
_PARAMETERS = (D.TAG_CALL_SITE_PARAMETER, D.TAG_GNU_CALL_SITE_PARAMETER)


class Loaded(Frozen):
    """An image at the place where it was loaded."""

    debug: ImageDebug
    """What its debug information says."""
    bias: int
    """How far from its own addresses it was loaded."""

    def node(self, pc: int) -> tuple[Unit, Node] | None:
        """Return the function around an address of the guest, and its unit."""
        pc -= self.bias
        for unit in self.debug.by_address.around(pc) if pc >= 0 else ():
            try:
                node = self.debug.functions(unit).around(pc)
            except DwarfError as error:
                unit.problem = unit.problem or str(error)
                continue
            if node is not None:
                return unit, node
        return None


Finder = Callable[[int], "tuple[Loaded, Unit, Node] | None"]
"""Returns the function around an address of the guest."""


class Calls:
    """The calls that a function makes, as its debug information describes them."""

    def __init__(self, node: Node) -> None:
        self.by_return: dict[int, Die] = {}
        """By the address that they return to, in the image."""
        self.tail: list[Die] = []
        """Those that are jumps."""
        unit = node.die.unit
        layout = unit.layout
        for number in range(node.die.number + 1, layout.ends[node.die.number]):
            if layout.abbreviations[number].tag not in _CALLS:
                continue
            die = unit.die(number)
            address = die.address(D.AT_CALL_RETURN_PC)
            if address is None:
                address = die.address(D.AT_LOW_PC)
            if die.flag(D.AT_CALL_TAIL_CALL) or die.flag(D.AT_GNU_TAIL_CALL):
                self.tail.append(die)
            if address is not None:
                self.by_return.setdefault(address, die)

    def at(self, pc: int) -> tuple[int, Die] | None:
        """Return the call that an address is in, with where it returns to."""
        for address in range(pc + 1, pc + 1 + _CALL_BYTES):
            if (found := self.by_return.get(address)) is not None:
                return address, found
        return None


def call_origin(die: Die) -> Die | None:
    """Return the function that a call site names."""
    return die.reference(D.AT_CALL_ORIGIN) or die.reference(D.AT_ABSTRACT_ORIGIN)


def has_all_tail_calls(node: Node) -> bool:
    """Return whether a function's description names all of its tail calls."""
    return any((owner := holder(node.die, name)) is not None and owner.flag(name) for name in _COMPLETE)


class UnitContext:
    """What an expression of a unit refers to; a `location.Context`."""

    def __init__(self, loaded: Loaded, unit: Unit, resolver: Resolver) -> None:
        self._loaded = loaded
        self._unit = unit
        self._resolver = resolver

    @property
    def bias(self) -> int:
        """How far from its addresses the image was loaded."""
        return self._loaded.bias

    @property
    def offset_size(self) -> int:
        """Bytes of an offset."""
        # before version 3 references to entries of other units were as wide as addresses
        return 8 if self._unit.version == 2 else self._unit.offset_size

    def address(self, index: int) -> int:
        """Return an entry of `.debug_addr`."""
        return self._unit.indexed_address(index)

    def base_type(self, offset: int) -> BaseType | None:
        """Return the base type at a unit offset."""
        die = self._unit.at(self._unit.offset + offset)
        if die.tag != D.TAG_BASE_TYPE:
            raise DwarfError("it uses a type that is no base type")
        return base_type(die)

    def procedure(self, offset: int, *, absolute: bool) -> bytes:
        """Return the DWARF procedure at an offset of the unit, or of the section."""
        die = self._unit.dwarf.die_at(offset) if absolute else self._unit.at(self._unit.offset + offset)
        return die.block(D.AT_LOCATION) or b""

    def pointed(self, offset: int, state: FrameState) -> Location:
        """Return where in a frame the variable is that is described at an offset of the section."""
        owner = value_holder(self._unit.dwarf.die_at(offset))
        if owner is None:
            return OptimisedOut("the compiler kept neither a place nor a value for what it points to")
        size = self._loaded.debug.types.type_of(owner).size
        data = constant(owner, size)
        if data is not None:
            return Implicit(data)
        expression = location_at(owner, D.AT_LOCATION, state.pc - self.bias)
        found = Evaluator(state, UnitContext(self._loaded, owner.unit, self._resolver)).run(expression or b"")
        # behind it there is nothing: not the next register
        return Pieces((Piece(found, size * 8),)) if isinstance(found, Register | Value) else found

    def frame_base(self, pc: int) -> bytes:
        """Return the frame base expression of the function around an address."""
        found = self._loaded.node(pc)
        owner = holder(found[1].die, D.AT_FRAME_BASE) if found else None
        expression = location_at(owner, D.AT_FRAME_BASE, pc - self.bias) if owner else None
        if not expression:
            raise LookupError("its function has no frame base here")
        return expression

    def entry_value(self, expression: bytes, state: FrameState) -> int:
        """Return what an expression was when the frame's function was entered."""
        number = _register(expression)

        def matches(die: Die) -> bool:
            place = die.block(D.AT_LOCATION)
            return place == expression or (number is not None and place is not None and _register(place) == number)

        return self._resolver.parameter(state, matches, "its value at the call is not recorded")

    def parameter(self, offset: int, state: FrameState) -> int:
        """Return the value that the parameter at a unit offset was called with."""
        wanted = self._unit.offset + offset

        def matches(die: Die) -> bool:
            named = die.reference(D.AT_CALL_PARAMETER) or die.reference(D.AT_ABSTRACT_ORIGIN)
            return named is not None and any(entry.offset == wanted for entry in chain(named))

        return self._resolver.parameter(state, matches, "its value at the call is not recorded")


class Resolver:
    """Finds what functions were called with, as far as their callers describe their calls."""

    def __init__(self, find: Finder) -> None:
        self._find = find
        self._depth = 0
        self._calls: dict[tuple[int, int], Calls] = {}

    def calls(self, node: Node) -> Calls:
        """Return the calls of a function."""
        key = id(node.die.unit.dwarf), node.die.offset
        found = self._calls.get(key)
        if found is None:
            found = self._calls[key] = Calls(node)
        return found

    def call_at(self, pc: int) -> tuple[Loaded, Unit, Die, int] | None:
        """Return the call that an address is in: image, unit, entry, and the address that it returns to."""
        found = self._find(pc)
        if found is None:
            return None
        loaded, unit, node = found
        call = self.calls(node).at(pc - loaded.bias)
        return None if call is None else (loaded, unit, call[1], call[0] + loaded.bias)

    def parameter(self, state: FrameState, matches: Callable[[Die], bool], missing: str) -> int:
        """Return the value of a parameter of the call that made a frame.

        Raises:
            LookupError: It is not known; says why.
        """
        caller = state.caller()
        if caller is None:
            raise LookupError("it was overwritten, and what called the function is not known")
        call = self.call_at(caller.pc)
        if call is None:
            raise LookupError("it was overwritten, and the caller does not describe its call")
        loaded, unit, die, _ = call
        context = UnitContext(loaded, unit, self)
        jump = self._through_jumps(state, caller, die, context)
        if jump is not None:
            die, caller, context = jump
        for child in die.children():
            if child.tag in _PARAMETERS and matches(child):
                expression = child.block(D.AT_CALL_VALUE) or child.block(D.AT_GNU_CALL_SITE_VALUE)
                if expression:
                    return self._evaluate(expression, caller, context)
        raise LookupError(f"it was overwritten, and {missing}")

    def _evaluate(self, expression: bytes, caller: FrameState, context: UnitContext) -> int:
        self._depth += 1
        try:
            if self._depth > MAX_CALLERS:
                raise LookupError("it was overwritten, and its callers pass it on without end")
            found = Evaluator(caller, context).run(expression)
        finally:
            self._depth -= 1
        if isinstance(found, Memory):
            return found.address
        if isinstance(found, Value):
            return found.bits
        if isinstance(found, Register) and (value := caller.register(found.number)) is not None:
            return value
        raise LookupError(getattr(found, "reason", "") or "it was overwritten, and so was what it was called with")

    def _through_jumps(
        self, state: FrameState, caller: FrameState, call: Die, context: UnitContext
    ) -> tuple[Die, FrameState, UnitContext] | None:
        """Return the tail call that led to a frame's function, and the frame that made it; None: there was none.

        Raises:
            LookupError: It is not certain which one it was.
        """
        found = self._find(state.pc)
        if found is None:
            raise LookupError("it was overwritten, and its function is not described")
        loaded, _, node = found
        jump = None
        if not self._leads_to(call, node, loaded, caller, context):
            jump = self._only_jump(call, node, loaded, state, caller)
            if jump is None:
                raise LookupError("it was overwritten, and a tail call hides what it was called with")
        if self._may_jump_to_itself(loaded, node):
            raise LookupError("it was overwritten, and a tail call may hide what it was called with")
        return jump

    def _only_jump(
        self, call: Die, node: Node, loaded: Loaded, state: FrameState, caller: FrameState
    ) -> tuple[Die, FrameState, UnitContext] | None:
        """Return the tail call by which a called function leads to another one, when there is just one way."""
        origin = call_origin(call)
        between = self._function(loaded, origin) if origin is not None else None
        if between is None or not has_all_tail_calls(between):
            return None
        ways = []
        for die in self.calls(between).tail:
            target = call_origin(die)
            if target is None or not is_function(target, node):
                return None  # it may lead there by a way round
            ways.append(die)
        if len(ways) != 1:
            return None
        pc = ways[0].address(D.AT_CALL_PC)
        if pc is None:
            behind = ways[0].address(D.AT_CALL_RETURN_PC) or ways[0].address(D.AT_LOW_PC)
            pc = entry_of(between) if behind is None else behind - 1
        unit = ways[0].unit
        return ways[0], Jumped(state, caller, pc + loaded.bias), UnitContext(loaded, unit, self)

    def _leads_to(self, call: Die, node: Node, loaded: Loaded, caller: FrameState, context: UnitContext) -> bool:
        origin = call_origin(call)
        if origin is not None:
            return is_function(origin, node)
        target = call.block(D.AT_CALL_TARGET) or call.block(D.AT_GNU_CALL_SITE_TARGET)
        if not target:
            return False
        return self._evaluate(target, caller, context) == entry_of(node) + loaded.bias

    def _may_jump_to_itself(self, loaded: Loaded, node: Node) -> bool:
        seen = {node.die.offset}
        waiting = [node]
        while waiting and len(seen) < MAX_TAIL_CALLS:
            for die in self.calls(waiting.pop()).tail:
                origin = call_origin(die)
                if origin is None:
                    return True  # through a pointer: to anywhere
                if is_function(origin, node):
                    return True
                target = self._function(loaded, origin)
                if target is not None and target.die.offset not in seen:
                    seen.add(target.die.offset)
                    waiting.append(target)
        return bool(waiting)

    def _function(self, loaded: Loaded, origin: Die) -> Node | None:
        unit = origin.unit
        functions = loaded.debug.functions(unit)
        if origin.has(D.AT_LOW_PC) or origin.has(D.AT_RANGES):
            return functions.node(origin.number)
        return next(iter(functions.instances(origin)), None)


def _register(expression: bytes) -> int | None:
    """Return the register that an expression of one operation means."""
    op = expression[0] if expression else 0
    if 0x50 <= op <= 0x6F:
        return op - 0x50 if len(expression) == 1 else None
    if op in (0x90, 0xA5, 0xF5):  # regx, regval_type and GNU's
        return uleb(expression, 1)[0]
    return None


_KEPT = frozenset((2, 3, 4, 8, 9, *range(18, 28), 40, 41, *range(50, 60)))
"""Registers that a function gives back as it found them: sp, gp, tp, s0 to s11, fs0 to fs11 (RISC-V ELF psABI)."""


class Jumped:
    """The frame of a function that has left by a tail call; a `FrameState`. Its stack is given back already."""

    def __init__(self, state: FrameState, caller: FrameState, pc: int) -> None:
        self._state = state
        self._caller = caller
        self._pc = pc

    @property
    def pc(self) -> int:
        """An address inside of the jump."""
        return self._pc

    def register(self, number: int) -> int | None:
        """Return a register that the function gave back, None for the others."""
        return self._caller.register(number) if number in _KEPT else None

    def read(self, address: int, length: int) -> bytes:
        """Read memory."""
        return self._state.read(address, length)

    def cfa(self) -> int | None:
        """Return the canonical frame address, which is that of the function that was jumped to."""
        return self._state.cfa()

    def caller(self) -> FrameState | None:
        """Return the frame that the call returns to."""
        return self._caller


def is_function(origin: Die, node: Node) -> bool:
    """Return whether an entry means a function: it is it, what it is an instance of, or an extern declaration of it."""
    entries = list(chain(node.die))
    if any(entry.offset == origin.offset and entry.unit.dwarf is origin.unit.dwarf for entry in entries):
        return True
    if not origin.flag(D.AT_EXTERNAL):
        return False
    # GCC declares memset as __builtin_memset, with memset for its linkage name
    mine, its = (linkage_name(die) or plain_name(die) for die in (origin, node.die))
    return mine == its and any(entry.flag(D.AT_EXTERNAL) for entry in entries)
