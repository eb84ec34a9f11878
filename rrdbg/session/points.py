"""Breakpoints, watchpoints and catchpoints: how they are set, and what they want of the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL, leaf_of, places_of
from rrdbg_core.cpu.condition import PC, BadCondition, Condition, both
from rrdbg_core.isa import expr
from rrdbg_core.isa.registers import DWARF_NAMES, DWARF_NUMBERS

from rrdbg.session.api import Location, Point, PointKind
from rrdbg.session.csrs import EXCEPTIONS, INTERRUPTS
from rrdbg.session.engine import Gated, MemoryWatch, Targets, merged
from rrdbg.session.errors import DivisionByZero, NotFound, Unreadable, UsageError
from rrdbg.session.expression import Expression, parse
from rrdbg.session.expression_scene import FrameScene
from rrdbg.session.locations import Locations
from rrdbg.session.modes import CAUSE, PRIV_U, Mode, in_mode
from rrdbg.symbols.unwind import Frame

MAX_WATCHED = 1 << 20
"""Bytes of the longest watchpoint."""


@dataclass(slots=True)
class PointState:
    """A point as the session keeps it."""

    number: int
    """Its number; below 0 for a front end's own."""
    kind: PointKind
    """What it waits for."""
    what: str
    """As it was written."""
    addresses: tuple[int, ...] = ()
    """Where; several for a source line that was compiled to several places."""
    length: int = 0
    """Bytes watched."""
    places: tuple[tuple[int, int], ...] = ()
    """Where they lie: physical addresses and bytes, in their order. It is what was mapped when the point was set."""
    space: int = PHYSICAL
    """For a breakpoint in a page of U mode: the address space it is in; else it is in all."""
    program: str = ""
    """For a breakpoint in a program of U mode that is not in the address space at hand: its file. It stops wherever the
    program is."""
    physical: bool = False
    """For a breakpoint: whether its addresses are physical, and it stops by whatever addresses they are executed."""
    aliases: tuple[int, ...] = ()
    """Virtual addresses by which it was seen to be executed."""
    register: int = 0
    """DWARF number of the register watched; 0 for none."""
    causes: frozenset[int] | None = None
    """For a catchpoint: mcause values; None with both flags below for whole classes."""
    exceptions: bool = False
    """For a catchpoint: whether exceptions count."""
    interrupts: bool = False
    """For a catchpoint: whether interrupts count."""
    condition: Expression | None = None
    """Must be true."""
    shown: Callable[[int], str] | None = None
    """Writes values of what is watched, where its type is known."""
    lowered: Condition | None = None
    """The same as the engine judges it, if it can."""
    enabled: bool = True
    """Whether it stops anything."""
    temporary: bool = False
    """Whether it goes at its first stop."""
    ignore: int = 0
    """Hits to pass over."""
    hits: int = 0
    """Hits so far."""
    locations: tuple[Location, ...] = ()
    """The addresses by name, once somebody has asked."""

    def value(self, locate: Callable[[int], Location]) -> Point:
        """Return the point as faces see it; `locate` names addresses."""
        if len(self.locations) != len(self.addresses):
            self.locations = tuple(map(locate, self.addresses))
        return Point(
            self.number,
            self.kind,
            self.what,
            self.addresses[0] if self.addresses else None,
            self.length,
            DWARF_NAMES[self.register] if self.register else "",
            self.locations[0] if self.locations else None,
            self.condition.text if self.condition else "",
            self.enabled,
            self.temporary,
            self.ignore,
            self.hits,
            self.locations[1:],
            self.space,
            self.physical,
        )

    @property
    def is_internal(self) -> bool:
        """Whether it is a front end's own, which users neither see nor touch."""
        return self.number < 0

    @property
    def is_break(self) -> bool:
        """Whether it stops before an instruction."""
        return self.kind is PointKind.BREAK

    @property
    def judged_by_engine(self) -> bool:
        """Whether the engine can tell which hits count."""
        return not (self.program or self.physical) and (self.condition is None or self.lowered is not None)

    def address_of(self, place: int) -> int:
        """Return the address, as the user watches it, of the first watched byte from a physical one on."""
        behind = 0
        for start, length in self.places:
            if start <= place < start + length:
                return self.addresses[0] + behind + place - start
            behind += length
        return self.addresses[0]

    def overlaps(self, first: int, last: int) -> bool:
        """Return whether some of its bytes lie at physical addresses `first` to `last`."""
        return any(start <= last and first < start + length for start, length in self.places)

    def plain(self) -> Targets:
        """Return where it can hit, whatever its condition."""
        watches = (
            MemoryWatch(
                start,
                length,
                reads=self.kind in (PointKind.RWATCH, PointKind.AWATCH),
                writes=self.kind is PointKind.AWATCH,
                changes=self.kind is PointKind.WATCH,
            )
            for start, length in self.places
        )
        return Targets(
            (*self.addresses, *self.aliases) if self.is_break else (),
            tuple(watches),
            1 << self.register if self.register else 0,
            self.exceptions,
            self.interrupts,
        )

    def gate(self) -> Condition | None:
        """Return what the engine has to judge: the causes of a catchpoint, the address space, and the condition."""
        causes = None
        for cause in sorted(self.causes or ()):
            one = expr.eq(CAUSE, cause)
            causes = one if causes is None else causes | one
        own = Condition(causes) if causes is not None else None
        if self.space != PHYSICAL:
            own = in_mode(Mode(PRIV_U, self.space))
        elif self.program:
            own = in_mode(Mode(PRIV_U))
        return both(own, self.lowered)

    def catches(self, cause: int) -> bool:
        """Return whether a catchpoint wants a trap."""
        if self.causes is not None:
            return cause in self.causes
        return self.interrupts if cause >> 63 else self.exceptions


def targets_of(
    points: Sequence[PointState], extra: Targets | Gated | None = None, *, count: bool
) -> tuple[Targets, list[PointState]]:
    """Return what the engine has to look for, and the points behind its first gates.

    Args:
        points: What is wanted.
        extra: Something more.
        count: Whether the engine passes over hits that a point ignores.
    """
    gated, behind = [], []
    plain = [extra] if isinstance(extra, Targets) else []
    for point in points:
        condition = point.gate()
        ignore = point.ignore if count and point.judged_by_engine else 0
        if condition is None and not ignore:
            plain.append(point.plain())
        else:
            gated.append(Gated(point.plain(), condition, ignore))
            behind.append(point)
    if isinstance(extra, Gated):
        gated.append(extra)
    return replace(merged(plain), gated=tuple(gated)), behind


class Points(Locations):
    """The part of a session that keeps points."""

    def _setup(self) -> None:
        self._points: dict[int, PointState] = {}
        self._next_point = 1
        self._next_internal = -1

    def _remember(self) -> Callable[[], None]:
        saved = [(point, point.hits, point.ignore) for point in self._points.values()]

        def undo() -> None:
            for point, hits, ignore in saved:
                point.hits, point.ignore = hits, ignore
                self._points[point.number] = point

        return undo

    def add_break(
        self,
        location: str | int,
        *,
        condition: str = "",
        temporary: bool = False,
        ignore: int = 0,
        internal: bool = False,
        everywhere: bool = False,
        physical: bool = False,
    ) -> Point:
        """Set a breakpoint."""
        self._check_open()
        if everywhere and physical:
            raise UsageError(
                "a physical address belongs to no address space",
                hint="-p: by whatever address it is executed; -a: that address in all address spaces",
            )
        addresses = self._code_addresses(location)
        what = location if isinstance(location, str) else f"{location:#x}"
        point = PointState(0, PointKind.BREAK, what.strip(), addresses, temporary=temporary, ignore=ignore)
        if physical:
            point.physical = bool(self._engine.mach[L.SUPERVISOR])  # else all addresses are physical
        elif not everywhere:
            point.program = self._symbols.program_elsewhere(addresses[0])
            point.space = PHYSICAL if point.program else self._space_of(addresses)
        return self._add(point, condition, internal)

    def _space_of(self, addresses: Sequence[int]) -> int:
        """Return the address space to which code belongs: the one at hand where it is in pages of U mode, else none."""
        space = self._space
        if space == PHYSICAL:
            return PHYSICAL
        leaves = [leaf_of(space, address, self._ram) for address in addresses]
        return space if all(leaf is not None and leaf.is_user for leaf in leaves) else PHYSICAL

    def add_watch(
        self,
        what: str | int,
        *,
        length: int = 0,
        kind: PointKind = PointKind.WATCH,
        condition: str = "",
        temporary: bool = False,
        ignore: int = 0,
        internal: bool = False,
        physical: bool = False,
    ) -> Point:
        """Set a watchpoint."""
        self._check_open()
        if kind not in (PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH):
            raise UsageError(f"{kind.value} is no kind of watchpoint")
        text = what.strip() if isinstance(what, str) else f"{what:#x}"
        point = PointState(0, kind, text, temporary=temporary, ignore=ignore)
        expression = parse(text)
        if expression.register and expression.register != "pc":
            number = DWARF_NUMBERS.get(expression.register, 0)
            there = 0 < number < (64 if self._engine.mach[L.FLOAT] else 32)
            if not there or kind is not PointKind.WATCH:
                raise UsageError(
                    f"${expression.register} cannot be watched with {kind.value}",
                    hint="`watch` takes x1 to x31, f0 to f31 if there are any; `catch trap` and conditions see CSRs",
                )
            point.register = number
        else:
            address, size = self._watch_place(expression)
            point.addresses, point.length = (address,), length or size
            point.shown = self._shown_as(expression, point.length)
            if not 0 < point.length <= MAX_WATCHED or address + point.length > 1 << 64:
                raise UsageError(
                    f"cannot watch {point.length:_} bytes at {address:#x}", hint=f"at most {MAX_WATCHED:_}"
                )
            space = PHYSICAL if physical else self._space
            point.places = tuple(places_of(space, address, point.length, self._ram))
            found = sum(length for _, length in point.places)
            if found < point.length:
                raise Unreadable(
                    f"cannot watch memory at address {address + found:#x}: not mapped",
                    hint="a watchpoint watches what is mapped where it is set; `watch -p` takes a physical address",
                )
        return self._add(point, condition, internal)

    def add_catch(
        self,
        what: str = "trap",
        *,
        condition: str = "",
        temporary: bool = False,
        ignore: int = 0,
        internal: bool = False,
    ) -> Point:
        """Stop at traps."""
        self._check_open()
        point = PointState(0, PointKind.CATCH, what.strip(), temporary=temporary, ignore=ignore)
        point.causes = _causes(what)
        words = what.split()
        point.interrupts = words[0] in ("trap", "interrupt") or any(c >> 63 for c in point.causes or ())
        point.exceptions = words[0] in ("trap", "exception") or any(not c >> 63 for c in point.causes or ())
        return self._add(point, condition, internal)

    def _add(self, point: PointState, condition: str, internal: bool = False) -> Point:
        self._set_condition(point, condition)
        if internal:
            point.number = self._next_internal
            self._next_internal -= 1
        else:
            point.number = self._next_point
            self._next_point += 1
        self._points[point.number] = point
        return self._public(point)

    def _set_condition(self, point: PointState, text: str) -> None:
        point.condition = self._condition(point, text)
        point.lowered = None if point.condition is None else self._lowered(point, point.condition)

    def _lowered(self, point: PointState, condition: Expression) -> Condition | None:
        """Return a point's condition as the engine judges it; None if it cannot."""
        if point.physical:
            return None
        if not point.is_break:
            return self._lower(condition, None)
        found: Condition | None = None
        for address in point.addresses:
            here = self._lower(condition, address)
            if here is None:
                return None
            if found is not None:
                try:
                    here = Condition(expr.select(expr.eq(PC, address), here.tree, found.tree))
                except BadCondition:
                    return None
            found = here
        return found

    def _lower(self, condition: Expression, pc: int | None) -> Condition | None:
        """Return a condition as the engine judges it where the guest stands at `pc`, or anywhere; None if it cannot."""
        return None

    def _condition(self, point: PointState, text: str) -> Expression | None:
        if not text.strip():
            return None
        expression = parse(text)
        # unknown names are told now; names mean what they mean where the point is
        for address in point.addresses if point.is_break else (None,):
            # what cannot be computed now may be where the point hits
            with contextlib.suppress(Unreadable, DivisionByZero):
                if address is None:
                    expression.evaluate(self)
                else:
                    expression.type_in(self._scene_at(address))
        return expression

    def _scene_at(self, pc: int) -> FrameScene:
        """Return the scene of a place in code, in which nothing has a value."""
        frame = Frame(self._code, pc, (0, *(None,) * 31))
        return FrameScene(self._world, lambda: frame)

    # by number

    def points(self) -> tuple[Point, ...]:
        """Return all points by number."""
        self._check_open()
        return tuple(map(self._public, self._chosen(None)))

    def delete_point(self, number: int | None = None) -> None:
        """Delete a point, or all of them."""
        for point in self._chosen(number):
            del self._points[point.number]

    def enable_point(self, number: int | None = None, *, on: bool = True) -> None:
        """Enable or disable a point, or all of them."""
        for point in self._chosen(number):
            point.enabled = on

    def ignore_point(self, number: int, count: int) -> Point:
        """Pass over the next hits of a point."""
        point = self._chosen(number)[0]
        point.ignore = max(count, 0)
        return self._public(point)

    def condition_point(self, number: int, condition: str) -> Point:
        """Set a point's condition; empty removes it."""
        point = self._chosen(number)[0]
        self._set_condition(point, condition)
        return self._public(point)

    def _chosen(self, number: int | None) -> list[PointState]:
        self._check_open()
        if number is None:
            return [point for point in self._points.values() if not point.is_internal]
        if number not in self._points:
            raise NotFound(f"no breakpoint number {number}", hint="`info breakpoints` lists them")
        return [self._points[number]]

    def _public(self, point: PointState) -> Point:
        return point.value(self.locate)


def _causes(what: str) -> frozenset[int] | None:
    """Return the mcause values that a catchpoint's text means; None for whole classes."""
    words = what.lower().split()
    names = {name: code for code, name in EXCEPTIONS.items()}
    lines = {name: code | 1 << 63 for code, name in INTERRUPTS.items()}
    match words:
        case ["trap" | "exception" | "interrupt"]:
            return None
        case ["interrupt", text] if text.isdecimal() or text in lines:
            return frozenset([lines[text] if text in lines else int(text) | 1 << 63])
        case ["exception", text] | [text] if text.isdecimal() or text in names:
            return frozenset([names[text] if text in names else int(text)])
        case [text] if text in lines:
            return frozenset([lines[text]])
        case ["ecall"]:
            return frozenset([8, 9, 11])
    raise UsageError(
        f"cannot catch {what!r}",
        hint=f"trap, exception, interrupt, a cause's number, or one of {', '.join([*names, *lines])}",
    )
