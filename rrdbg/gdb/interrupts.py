"""Steps that pass over interrupts, as QEMU's gdb server makes them.

gdb's `step`, `next` and `finish` are made of single steps and believe that a program goes where its instructions say:
an interrupt on the way leads them astray. So a step here is one of the interrupted program; breakpoints and
watchpoints in the handlers still stop. Traps that an instruction causes itself are entered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from rrdbg.session.api import Point, Session, Stop, StopReason
from rrdbg.session.errors import NotFound

_RETURNS = (0x3020_0073, 0x1020_0073)
"""mret and sret."""
_MIE, _SIE = 1 << 3, 1 << 1
_SUPERVISOR, _MACHINE = 1, 3


class Here:
    """The registers that every stop needs, read once for each."""

    NAMES = ("pc", "sp", "s0", "icount", "priv", "mip", "mie", "mstatus", "mcause", "mepc")
    """Their names."""
    OF_S_MODE = ("mideleg", "scause", "sepc")
    """Those that only machines with S mode have; 0 on others."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._values: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        if not self._values:
            names = [*self.NAMES, *(self.OF_S_MODE if self.has_s_mode else ())]
            self._values = dict.fromkeys(self.OF_S_MODE, 0)
            self._values |= {row.name: row.value for row in self._session.registers(names)}
        return self._values[name]

    @cached_property
    def has_s_mode(self) -> bool:
        """Whether the machine has S mode."""
        try:
            self._session.registers(["satp"])
        except NotFound:
            return False
        return True

    def forget(self) -> None:
        """The guest moves."""
        self._values.clear()


class Stepper:
    """Makes and undoes single steps."""

    def __init__(self, session: Session, here: Here) -> None:
        self._session = session
        self._here = here
        self.over_interrupts = True
        """Whether an interrupt and its handler belong to the step that they come before."""

    def step(self) -> Stop:
        """Execute one instruction."""
        while self.over_interrupts and self._is_interrupt_due():
            stop = self._pass_interrupt()
            if stop is not None:
                return stop
        self._here.forget()
        return self._session.stepi()

    def step_range(self, lo: int, hi: int) -> Stop:
        """Execute instructions until pc leaves lo <= pc < hi, at least one."""
        stop = self.step()
        while _is_plain(stop) and lo <= stop.when.pc < hi:
            self._here.forget()
            stop = self._session.step_range(lo, hi)
            if _is_plain(stop) and self.over_interrupts and self._was_interrupt(lo, hi):
                self._here.forget()
                self._session.tick(-1)
                stop = self.step()
        return stop

    def step_back(self) -> Stop:
        """Undo one instruction."""
        while True:
            pc, sp, priv = self._place()
            self._here.forget()
            stop = self._session.reverse_stepi()
            if not _is_plain(stop) or not self.over_interrupts or not self._is_return():
                return stop
            # that was the end of a handler, perhaps of an interrupt: on, to where it was taken
            here = stop.when.icount
            condition = f"$sp == {sp:#x} && ({self._came_from(pc, priv)})"
            with self._point(self._session.add_catch("trap", condition=condition, internal=True)) as taken:
                found = self._session.reverse_continue()
            self._here.forget()
            if taken.number not in found.points and found.points:
                return found
            if not found.points or self._here["pc"] != pc or not self._is_interrupt_due():
                # an exception's handler, or begun before the recording
                self._session.goto(here)
                self._here.forget()
                return stop
            if found.points != (taken.number,):
                return found

    def _came_from(self, pc: int, priv: int) -> str:
        """Return the condition of having just taken a trap that returns to a place."""
        by_m = f"{_any_of('$mepc', pc, pc - 2, pc - 4)} && ($mstatus >> 11 & 3) == {priv}"
        if not self._here.has_s_mode:
            return by_m
        by_s = f"{_any_of('$sepc', pc, pc - 2, pc - 4)} && ($sstatus >> 8 & 1) == {priv}"
        return f"$priv == {_SUPERVISOR} ? {by_s} : {by_m}"

    def _pass_interrupt(self) -> Stop | None:
        """Run until the program goes on that an interrupt holds up; return what stopped it on the way."""
        pc, sp, priv = self._place()
        condition = f"$sp == {sp:#x} && $priv == {priv}"
        with self._point(self._session.add_break(pc, condition=condition, internal=True)) as returned:
            stop = self._session.continue_()
        self._here.forget()
        return None if returned.number in stop.points else stop

    @contextmanager
    def _point(self, point: Point) -> Iterator[Point]:
        try:
            yield point
        finally:
            self._session.delete_point(point.number)

    def _place(self) -> tuple[int, int, int]:
        return self._here["pc"], self._here["sp"], self._here["priv"]

    def _is_interrupt_due(self) -> bool:
        """Return whether the next step takes an interrupt (privileged spec, sections 3.1.9 and 3.1.8)."""
        pending, priv, status = self._here["mip"] & self._here["mie"], self._here["priv"], self._here["mstatus"]
        delegated = self._here["mideleg"]
        if pending & ~delegated and (priv < _MACHINE or status & _MIE):
            return True
        return bool(pending & delegated and (priv < _SUPERVISOR or (priv == _SUPERVISOR and status & _SIE)))

    def _was_interrupt(self, lo: int, hi: int) -> bool:
        """Return whether the last step took an interrupt, at a place in lo <= pc < hi."""
        by = "s" if self._here["priv"] == _SUPERVISOR else "m"
        if not self._here[f"{by}cause"] >> 63 or not lo <= self._here[f"{by}epc"] < hi:
            return False
        (row,) = self._session.step_rows(self._here["icount"] - 1, 1)
        return row.insn == 0

    def _is_return(self) -> bool:
        code = self._session.read_memory(self._here["pc"], 4).data
        return int.from_bytes(code, "little") in _RETURNS


def _is_plain(stop: Stop) -> bool:
    return stop.reason is StopReason.STEP and not stop.points


def _any_of(what: str, *values: int) -> str:
    return "(" + " || ".join(f"{what} == {value:#x}" for value in values) + ")"
