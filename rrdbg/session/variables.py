"""The program's values as people ask for them: variables of frames, parts of values, printed values, types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rrdbg_core.cpu.condition import Condition

from rrdbg.session.api import Printed, Variable
from rrdbg.session.backtrace import Level
from rrdbg.session.ctypes_values import (
    MAX_VALUE,
    SYMBOLS,
    CValue,
    checked,
    dereferenced,
    element_of,
    integer,
    is_character,
    is_float,
    is_integral,
    is_pointer,
    member_of,
    number,
    referenced,
    unreadable,
)
from rrdbg.session.errors import NotFound, Unreadable, UsageError
from rrdbg.session.expression import Expression, parse
from rrdbg.session.expression_evaluator import present_members
from rrdbg.session.expression_lower import lower
from rrdbg.session.expression_scene import FrameScene
from rrdbg.session.printing import Options, Printer
from rrdbg.session.printing_numbers import LETTERS
from rrdbg.session.printing_types import ptype_text, type_text, whatis_text
from rrdbg.session.steps import Steps
from rrdbg.symbols.catalog import called_with
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.location import Memory, OptimisedOut
from rrdbg.symbols.scopes import DebugVariable, Scope
from rrdbg.symbols.types import (
    VOID,
    ArrayType,
    FunctionType,
    PointerType,
    StructType,
    VoidType,
    strip,
)
from rrdbg.symbols.unwind import Frame

MAX_CHILDREN = 2000
"""Parts of one value that `children` returns."""
_SIMPLE = re.compile(r"(?:[A-Za-z_$]|'[^']*'::)[\w$]*(?:(?:\.|->|::)\w+|\[\d+\])*")
_MADE_UP = re.compile(r"(?<=\w)\.\d+$")
_KINDS = ("local", "arg", "static")


class Variables(Steps):
    """The part of a session that shows values."""

    def _setup(self) -> None:
        super()._setup()
        self._print_options = Options()

    # frames' variables

    def variables(self, kind: str = "local") -> tuple[Variable, ...]:
        """Return the selected frame's variables."""
        self._check_open()
        if kind not in _KINDS:
            raise UsageError(f"there is no kind of variables {kind!r}", hint=", ".join(_KINDS))
        level = self._level()
        scene = self._scene_of(level)
        debug = self._symbols.debug
        if kind == "static":
            found: Sequence[DebugVariable] = debug.statics(level.pc)
        elif level.scope is None:
            return ()
        elif kind == "arg":
            found = debug.arguments(level.scope, level.pc)
        else:
            found = debug.locals(level.scope, level.pc)
        return tuple(self._variable(scene, variable) for variable in found)

    def _arguments(self, level: Level) -> tuple[Variable, ...]:
        """Return a frame's arguments, for its line in the backtrace: with what they were when it was called."""
        if level.scope is None:
            return ()
        scene = self._scene_of(level)
        found: list[Variable] = []
        for variable in self._symbols.debug.arguments(level.scope, level.pc):
            row = self._variable(scene, variable)
            first = None if level.scope.kind == "inline" else self._first_value(level, variable)
            if first is None:
                found.append(row)
                continue
            then = replace(row, name=f"{row.name}@entry", text=self._printer("").inner(first), address=None)
            if row.text == then.text:  # as gdb shows one that has not changed: x=x@entry=5
                found.append(replace(row, text=f"{then.name}={then.text}"))
            else:
                found += [row, then]
        return tuple(found)

    def _first_value(self, level: Level, variable: DebugVariable) -> CValue | None:
        """Return what a scalar argument was when its function was called, if the caller says so."""
        assert level.scope is not None
        bare = strip(variable.type)
        if isinstance(bare, StructType | ArrayType) or bare.size > 8:
            return None
        value = called_with(self._symbols.debug, variable, level.scope, level.state)
        return None if value is None else number(variable.type, value)

    def _scene(self) -> FrameScene:
        if self.frame or self._hidden:  # an inlined call may end up in the same place as the frame
            return self._scene_of(self._level())
        return super()._scene()

    def _scene_of(self, level: Level) -> FrameScene:
        inner: Scope | None = level.scope if level.calls_inlined else None
        return FrameScene(self._world, lambda: level.state, inner)

    def _variable(self, scene: FrameScene, variable: DebugVariable) -> Variable:
        value = self._value_of(scene, variable)
        name = harmless(variable.name)
        return self._row(value, name, name, variable.kind)

    def _value_of(self, scene: FrameScene, variable: DebugVariable) -> CValue:
        try:
            return scene.variable(variable)
        except Unreadable as error:
            return CValue(variable.type, OptimisedOut(error.message), scene.state)

    def _row(self, value: CValue, name: str, expression: str, kind: str) -> Variable:
        try:
            text = self._printer("").inner(value)
        except UsageError as error:
            text = f"<error: {error.message}>"
        return Variable(name, type_text(value.type), text, expression, kind, value.address, self._is_expandable(value))

    # parts

    def children(self, expression: str) -> tuple[Variable, ...]:
        """Return the parts of a value."""
        self._check_open()
        scene = self._scene()
        value = referenced(parse(expression).compute(scene))
        if not self._is_expandable(value):
            return ()
        text = expression.strip()
        return tuple(self._parts(value, text if _SIMPLE.fullmatch(text) else f"({text})", scene))

    def _parts(self, value: CValue, text: str, scene: FrameScene) -> Iterator[Variable]:
        bare = strip(value.type)
        match bare:
            case StructType():
                yield from self._members(value, text, ".", scene)
            case ArrayType():
                for index in range(min(bare.count or 0, MAX_CHILDREN)):
                    yield self._row(element_of(value, index), f"[{index}]", f"{text}[{index}]", "element")
            case PointerType():
                target = strip(bare.target)
                if isinstance(target, StructType) and not target.incomplete:
                    yield from self._members(dereferenced(value, scene.state), text, "->", scene)
                elif not isinstance(target, FunctionType | VoidType | StructType):
                    yield self._row(dereferenced(value, scene.state), f"*{text}", f"*{text}", "element")

    def _members(self, value: CValue, text: str, link: str, scene: FrameScene) -> Iterator[Variable]:
        bare = strip(value.type)
        assert isinstance(bare, StructType)
        for member in present_members(value)[:MAX_CHILDREN]:
            if member.is_virtual:
                continue
            name = harmless(member.name)
            if member.is_static:
                found = scene.static_member(bare, member.name)
                if found is not None:
                    yield self._row(found, name, f"{text}{link}{name}", "member")
            elif member.is_base:
                base = strip(member.type)
                name = harmless(base.name) if isinstance(base, StructType) else ""
                yield self._row(member_of(value, member), f"<{name}>", f"{text}{link}'{name}'", "member")
            elif member.name:
                yield self._row(member_of(value, member), name, f"{text}{link}{name}", "member")
            elif isinstance(strip(member.type), StructType):  # members of what has no name are this one's
                yield from self._members(member_of(value, member), text, link, scene)

    def _is_expandable(self, value: CValue) -> bool:
        bare = strip(value.type)
        if isinstance(bare, PointerType) and bare.kind != "*":
            bare = strip(bare.target)
        if isinstance(bare, StructType):
            return bool(bare.members) or bare.variant_part is not None
        if isinstance(bare, ArrayType):
            return bool(bare.count)
        if not isinstance(bare, PointerType):
            return False
        target = strip(bare.target)
        if isinstance(target, StructType):
            ok = not target.incomplete
        else:
            ok = not isinstance(target, FunctionType | VoidType) and not is_character(target)
        try:
            return ok and target.size > 0 and len(self._memory(integer(value), 1)) == 1
        except Unreadable:
            return False

    # printing

    def print_value(self, expression: str, format: str = "", *, remember: bool = False) -> Printed:
        """Return the value of an expression as gdb prints it."""
        self._check_open()
        letter = print_letter(format)
        parsed = parse(expression.strip() or "$")
        value = self._shown(parsed)
        text = self._printer(letter).top(_readable(value))
        index = self._notebook.remember(value) if remember else None
        plain = _number_of(value)
        return Printed(
            text,
            type_text(value.type),
            value.type.size,
            value.address,
            None if plain is None else plain & (1 << 64) - 1,
            self._is_expandable(value),
            index,
            plain,
        )

    def _shown(self, parsed: Expression) -> CValue:
        """Return the value of what is to be shown: a variable of the user's that was never set is void, as in gdb."""
        try:
            return parsed.compute(self._scene())
        except NotFound:
            if not parsed.register:
                raise
            return CValue(VOID)

    def _printer(self, letter: str) -> Printer:
        return Printer(self._print_options, self._name_at, letter, self._scene().static_member, self._memory)

    def _memory(self, address: int, length: int) -> bytes:
        return self._engine.read(address, length, False)

    def _name_at(self, address: int) -> str:
        """Return an address by name, as pointers show it: `symbol+offset`, or nothing."""
        symbol = self._symbols.around(address)
        if symbol is None:
            return ""
        if not symbol.size and symbol.kind != "function" and not self._symbols.is_code(symbol.address):
            return ""  # as in gdb: a label among data says nothing of what lies behind it
        # counter.0 and sort.constprop.0 are what a compiler makes of names; gdb shows the program's own
        name = symbol.name
        if symbol.kind == "object":
            name = _MADE_UP.sub("", name)
        elif "." in name:
            function = next(iter(self._symbols.debug.scopes(symbol.address)[-1:]), None)
            name = function.name if function is not None and function.low_pc == symbol.address else name
        offset = address - symbol.address
        return f"{name}+{offset}" if offset else name

    def whatis(self, expression: str, *, expand: bool = False) -> str:
        """Return the type of an expression, or of a type's name."""
        self._check_open()
        parsed = parse(expression)
        scene = self._scene()
        kind = parsed.type_in(scene)
        if kind in SYMBOLS:
            return type_text(kind)
        if expand:
            return ptype_text(kind)
        return whatis_text(kind, named=parsed.is_type(scene))

    # points

    def _shown_as(self, expression: Expression, length: int) -> Callable[[int], str] | None:
        """Return what writes values of a watched expression, where its type is known."""
        kind = expression.compute(self._scene()).type
        if strip(kind) in SYMBOLS or kind.size != length or not 0 < length <= MAX_VALUE:
            return None

        def shown(bits: int) -> str:
            return self._printer("").top(number(kind, bits))

        return shown

    def _lower(self, condition: Expression, pc: int | None) -> Condition | None:
        """Return a condition as the engine judges it where the guest stands at `pc`, or anywhere."""
        if pc is None:
            return lower(condition, self.scene(innermost=True), None, self._rules)
        frame = Frame(self._code, pc, (0, *(None,) * 31))
        return lower(condition, FrameScene(self._world, lambda: frame), pc, self._rules)

    # settings

    def print_setting(self, name: str, value: str | None = None) -> str:
        """Return a setting of how values are printed, after changing it to `value`."""
        self._check_open()
        if value is not None:
            self._print_options = self._print_options.changed(name, value.strip())
        return self._print_options.text(name)


def print_letter(format: str) -> str:
    """Return the format letter of what follows `print/`.

    Raises:
        UsageError: It is no format for values.
    """
    letter = format.strip()
    if letter and (len(letter) > 1 or letter not in LETTERS or letter == "i"):
        if any(char in "bhwgi" or char.isdigit() for char in letter):
            raise UsageError(f"format /{letter} is for memory", hint="x/FMT ADDRESS shows memory")
        raise UsageError(f"undefined output format {letter!r}", hint=f"formats {LETTERS}")
    return letter


def _readable(value: CValue) -> CValue:
    """Return a value that is not wholly unreadable memory. Raises Unreadable."""
    bare = strip(value.type)
    if isinstance(value.place, Memory) and not isinstance(bare, FunctionType):
        gaps = value.contents.gaps
        if gaps and not gaps[0].optimised:
            raise unreadable(value, gaps[0].start)
    return value


def _number_of(value: CValue) -> int | None:
    """Return the number that a value is, if it is one and known."""
    bare = strip(value.type)
    if not (is_integral(bare) or is_pointer(bare)) or is_float(bare):
        return None
    try:
        return integer(checked(value))
    except Unreadable:
        return None
