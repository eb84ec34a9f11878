"""Breakpoints, watchpoints and catchpoints: how they are set, and what they want of the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrdbg_core.isa.registers import ABI, REGISTERS

from rrdbg.session.api import Location, Point, PointKind
from rrdbg.session.csrs import EXCEPTIONS, INTERRUPTS
from rrdbg.session.engine import MemoryWatch, Targets
from rrdbg.session.errors import DivisionByZero, NotFound, Unreadable, UsageError
from rrdbg.session.expression import Expression, parse
from rrdbg.session.locations import Locations

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
    register: int = 0
    """Number of the register watched; 0 for none."""
    causes: frozenset[int] | None = None
    """For a catchpoint: mcause values; None with both flags below for whole classes."""
    exceptions: bool = False
    """For a catchpoint: whether exceptions count."""
    interrupts: bool = False
    """For a catchpoint: whether interrupts count."""
    condition: Expression | None = None
    """Must be true."""
    enabled: bool = True
    """Whether it stops anything."""
    temporary: bool = False
    """Whether it goes at its first stop."""
    ignore: int = 0
    """Hits to pass over."""
    hits: int = 0
    """Hits so far."""

    def value(self, location: Location | None) -> Point:
        """Return the point as faces see it."""
        return Point(
            self.number,
            self.kind,
            self.what,
            self.addresses[0] if self.addresses else None,
            self.length,
            ABI[self.register] if self.register else "",
            location,
            self.condition.text if self.condition else "",
            self.enabled,
            self.temporary,
            self.ignore,
            self.hits,
        )

    @property
    def is_internal(self) -> bool:
        """Whether it is a front end's own, which users neither see nor touch."""
        return self.number < 0

    @property
    def is_break(self) -> bool:
        """Whether it stops before an instruction."""
        return self.kind is PointKind.BREAK

    def catches(self, cause: int) -> bool:
        """Return whether a catchpoint wants a trap."""
        if self.causes is not None:
            return cause in self.causes
        return self.interrupts if cause >> 63 else self.exceptions


def targets_of(points: Sequence[PointState], extra: Sequence[int] = ()) -> Targets:
    """Return what the engine has to look for."""
    breaks = {address for point in points if point.is_break for address in point.addresses}
    watches = tuple(
        MemoryWatch(
            point.addresses[0],
            point.length,
            reads=point.kind in (PointKind.RWATCH, PointKind.AWATCH),
            writes=point.kind is PointKind.AWATCH,
            changes=point.kind is PointKind.WATCH,
        )
        for point in points
        if point.length
    )
    registers = 0
    for point in points:
        registers |= 1 << point.register if point.register else 0
    return Targets(
        tuple(sorted(breaks | set(extra))),
        watches,
        registers,
        any(point.exceptions for point in points),
        any(point.interrupts for point in points),
    )


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
    ) -> Point:
        """Set a breakpoint."""
        self._check_open()
        addresses = self._code_addresses(location)
        what = location if isinstance(location, str) else f"{location:#x}"
        point = PointState(0, PointKind.BREAK, what.strip(), addresses, temporary=temporary, ignore=ignore)
        return self._add(point, condition, internal)

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
    ) -> Point:
        """Set a watchpoint."""
        self._check_open()
        if kind not in (PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH):
            raise UsageError(f"{kind.value} is no kind of watchpoint")
        text = what.strip() if isinstance(what, str) else f"{what:#x}"
        point = PointState(0, kind, text, temporary=temporary, ignore=ignore)
        expression = parse(text)
        if expression.register and expression.register != "pc":
            number = REGISTERS.get(expression.register)
            if not number or kind is not PointKind.WATCH:
                raise UsageError(
                    f"${expression.register} cannot be watched with {kind.value}",
                    hint="`watch` takes x1 to x31; `catch trap` and conditions see CSRs",
                )
            point.register = number
        else:
            address, size = self._data_place(expression)
            point.addresses, point.length = (address,), length or size
            if not 0 < point.length <= MAX_WATCHED or address + point.length > 1 << 64:
                raise UsageError(
                    f"cannot watch {point.length:_} bytes at {address:#x}", hint=f"at most {MAX_WATCHED:_}"
                )
        return self._add(point, condition, internal)

    def add_catch(self, what: str = "trap", *, condition: str = "", temporary: bool = False, ignore: int = 0) -> Point:
        """Stop at traps."""
        self._check_open()
        point = PointState(0, PointKind.CATCH, what.strip(), temporary=temporary, ignore=ignore)
        point.causes = _causes(what)
        words = what.split()
        point.interrupts = words[0] in ("trap", "interrupt") or any(c >> 63 for c in point.causes or ())
        point.exceptions = words[0] in ("trap", "exception") or any(not c >> 63 for c in point.causes or ())
        return self._add(point, condition)

    def _add(self, point: PointState, condition: str, internal: bool = False) -> Point:
        point.condition = self._condition(condition)
        if internal:
            point.number = self._next_internal
            self._next_internal -= 1
        else:
            point.number = self._next_point
            self._next_point += 1
        self._points[point.number] = point
        return self._public(point)

    def _condition(self, text: str) -> Expression | None:
        if not text.strip():
            return None
        expression = parse(text)
        # unknown names are told now; what cannot be computed here may be where the point hits
        with contextlib.suppress(Unreadable, DivisionByZero):
            expression.evaluate(self)
        return expression

    def _data_place(self, expression: Expression) -> tuple[int, int]:
        if expression.symbol:
            symbol = self.lookup(expression.symbol)
            return symbol.address, symbol.size or 8
        if expression.place is not None:
            address, kind = expression.place(self)
            return address, kind.size
        value = expression.evaluate(self)
        return value.bits, value.target.size if value.target else 8

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
        point.condition = self._condition(condition)
        return self._public(point)

    def _chosen(self, number: int | None) -> list[PointState]:
        self._check_open()
        if number is None:
            return [point for point in self._points.values() if not point.is_internal]
        if number not in self._points:
            raise NotFound(f"no breakpoint number {number}", hint="`info breakpoints` lists them")
        return [self._points[number]]

    def _public(self, point: PointState) -> Point:
        return point.value(self.locate(point.addresses[0]) if point.addresses else None)


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
