"""A session that never runs a guest: plausible answers, computed from the position alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import (
    Bookmark,
    Cancelled,
    ConsoleChunk,
    Difference,
    DisasmLine,
    EventRow,
    FrameInfo,
    Lane,
    LineVisit,
    Location,
    MemoryBlock,
    Note,
    NotFound,
    Point,
    PointKind,
    Printed,
    Progress,
    ProgressCallback,
    RegisterValue,
    SourceFile,
    StepRow,
    Stop,
    StopReason,
    SymbolInfo,
    Timeline,
    TraceInfo,
    UsageError,
    Variable,
    VerifyResult,
    When,
)
from rrdbg.session.errors import EngineDied
from rrdbg.session.numbers import Type, Value
from rrdbg.session.program import Change

TOTAL = 12_345_678
BASE = 0x8000_0000
FUNCTIONS = ("_start", "main", "uart_putc", "schedule", "trap_entry", "memcpy")
NAMES = ("pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{i}" for i in range(8)))
NAMES += (*(f"s{i}" for i in range(2, 12)), "t3", "t4", "t5", "t6")
CSRS = (("mstatus", 0x1880, "MPP=M MPIE"), ("mtvec", BASE + 0x400, "trap_entry"), ("mcause", 11, "ecall from M-mode"))


def mix(n: int) -> int:
    """Return 64 well-mixed bits of a number."""
    n = (n ^ (n >> 31)) * 0x7FB5D329728EA185 & (1 << 64) - 1
    n = (n ^ (n >> 27)) * 0x81DADEF4BC2DD44D & (1 << 64) - 1
    return n ^ (n >> 33)


FILE = "src/task.c"
BODY = (
    "int {name}(struct task *task, unsigned n)", "{{", "  /* counts", "     [bold]ticks[/bold] */", "  long total = 0;",
    "  for (unsigned i = 0; i < n; i++)", '    total += task->next ? step(task, "a\x1b[31mb") : 0x1f; // grow',
    "  if (total > 100)", "    return -1;", "  return total;", "}}", "",
)  # fmt: skip
LINES = tuple(line.format(name=name) for name in FUNCTIONS for line in BODY)


def place(address: int) -> Location:
    """Return the name of an address: a function every 256 bytes, a line every 16."""
    number, offset = divmod(address - BASE, 0x100)
    name = FUNCTIONS[number % len(FUNCTIONS)]
    line = number % len(FUNCTIONS) * len(BODY) + 5 + offset // 16 % 6
    return Location(address, name, offset, FILE, line)


class FakeSession:
    """What the interface uses of `rrdbg.session.api.Session`."""

    def __init__(self, *, total: int = TOTAL, debug: bool = False) -> None:
        self.total = total
        self.debug = debug
        """Whether there is debug information."""
        self.sources = {FILE: SourceFile(FILE, "/home/src/task.c", LINES, tuple(range(5, len(LINES), 2)))}
        """Source files that can be found."""
        self.frame = 0
        self.failing: dict[str, str] = {}
        """Methods that fail, and what they say."""
        self.icount = 0
        self.on_progress: ProgressCallback | None = None
        self.breaks: list[Point] = []
        self.marks = [Bookmark("boot", total // 100)]
        self.cancelled = threading.Event()
        self.slow = threading.Event()
        """While set, `continue` does not end until it is cancelled."""
        self.dead = False
        """Once set, every call fails as it does when the engine's process is gone."""
        self.closed = False
        self.calls: list[str] = []
        """Motions that were asked for."""
        self.printed = [f"[{i:5}] task {i % 3}: tick {i * i}\r\n".encode() for i in range(400)]
        self.printed[3] = b"\x1b[31mred\x1b[0m [bold]markup[/bold] \xff\r\n"
        self.journal = [self._event(i, total * (i + 1) // 41) for i in range(40)]

    @staticmethod
    def _event(i: int, icount: int) -> EventRow:
        kind = "uart_input" if i % 3 else "warp"
        ns = icount + 1_000_000 * (i // 3)
        return EventRow(i, icount, ns, kind, "uart0", "", b"k[red]", 6, f"uart0 'k{i}[red]'")

    def info(self) -> TraceInfo:
        snapshots = tuple(range(0, self.total, 1 << 20))
        end = self.journal[-1].virtual_ns + self.total - self.journal[-1].icount
        return TraceInfo(
            "fake.rrt", self.total, end, 0, "virt-1", 1, BASE, 1 << 20, 40, snapshots, True, "", None, ""
        )  # fmt: skip

    def when(self) -> When:
        if self.dead:
            raise EngineDied("the engine's process ended", hint="open the trace again")
        past = [event for event in self.journal if event.icount <= self.icount]
        ns = self.icount + (past[-1].virtual_ns - past[-1].icount if past else 0)
        pc = BASE + (mix(self.icount // 16) % 6) * 0x100 + self.icount % 16 * 4
        return When(self.icount, self.total, ns, 0, "M", pc, self.locate(pc))

    @property
    def pc(self) -> int:
        return self.when().pc

    def locate(self, address: int) -> Location:
        location = place(address)
        return location if self.debug else Location(address, location.symbol, location.offset)

    def fail(self, method: str) -> None:
        if method in self.failing:
            raise RrdbgError(self.failing[method], hint="this is what to do")

    def registers(self, names: Sequence[str] | None = None) -> Sequence[RegisterValue]:
        if names:
            return [RegisterValue(name, value, "csr", text) for name, value, text in CSRS]
        step = self.icount + self.frame * 7
        values = [self.when().pc]
        values += [mix(i) >> (i * 2 % 48) if step % 32 < i else i * step for i in range(1, 32)]
        return [RegisterValue(name, value, "general") for name, value in zip(NAMES, values, strict=True)]

    def disassemble(self, address: int | None = None, count: int = 10, *, before: int = 0) -> Sequence[DisasmLine]:
        pc = self.when().pc if address is None else address
        return [self._insn(at) for at in range(max(BASE, pc - 4 * before), pc + 4 * count, 4)]

    def _insn(self, address: int) -> DisasmLine:
        number = address - BASE >> 2
        text, target = "addi\ta0,a0,1", None
        if number % 5 == 3:
            text, target = f"bnez\ta0,{address - 12:x}", address - 12
        elif number % 7 == 2:
            text, target = f"jal\tra,{BASE + 0x200:x}", BASE + 0x200
        name = place(target).text if target is not None else ""
        return DisasmLine(address, number.to_bytes(4, "little"), text, self.locate(address), target, name)

    def read_memory(self, address: int, length: int, *, physical: bool = False) -> MemoryBlock:
        if not BASE <= address < BASE + (1 << 20):
            return MemoryBlock(address, b"", length)
        data = bytes(mix(address + i) & 0xFF if i % 3 else 0x41 + i % 26 for i in range(length))
        return MemoryBlock(address, bytes([self.icount & 0xFF]) + data[1:], length)

    def evaluate(self, expression: str) -> int:
        if expression == "$sp":
            return BASE + 0x8000
        if expression in FUNCTIONS:
            return BASE + FUNCTIONS.index(expression) * 0x100
        try:
            return int(expression, 0)
        except ValueError:
            raise NotFound(f"no symbol '{expression}'", hint="info functions lists them") from None

    def events(self, first: int = 0, count: int = 1000) -> Sequence[EventRow]:
        return self.journal[first : first + count]

    def printed_at(self) -> list[int]:
        """Positions at which the lines of the console appear."""
        step = self.total // (len(self.printed) + 1)
        return [step * (i + 1) for i in range(len(self.printed))]

    def console(self, lo: int = 0, hi: int | None = None) -> Sequence[ConsoleChunk]:
        self.fail("console")
        chunks = [ConsoleChunk(at, data) for at, data in zip(self.printed_at(), self.printed, strict=True)]
        return [chunk for chunk in chunks if lo < chunk.icount <= (self.total if hi is None else hi)]

    def timeline(self, lo: int, hi: int, buckets: int) -> Timeline:
        span = hi - lo
        self.fail("timeline")

        def count(points: Sequence[int]) -> tuple[int, ...]:
            counts = [0] * buckets
            for point in points:
                if lo <= point < hi:
                    counts[(point - lo) * buckets // span] += 1
            return tuple(counts)

        def bursts(seed: int, period: int) -> tuple[int, ...]:
            phases = [(lo + i * span // buckets) * 64 // max(self.total, 1) for i in range(buckets)]
            return tuple(mix(phase * 31 + seed) % 900 if phase % period == seed else 0 for phase in phases)

        inputs = [event.icount for event in self.journal if event.kind == "uart_input"]
        lanes = {
            "traps": bursts(0, 5),
            "interrupts": bursts(1, 2),
            "console": count(self.printed_at()),
            "input": count(inputs),
            "bookmarks": count([mark.icount for mark in self.marks]),
            "notes": count([self.total // 2]),
            "snapshots": count(self.info().snapshots),
        }
        return Timeline(lo, hi, buckets, tuple(Lane(name, counts) for name, counts in lanes.items()))

    def goto(self, position: int | str) -> Stop:
        if isinstance(position, str):
            try:
                position = int(position.replace("_", ""))
            except ValueError:
                raise UsageError(f"no position '{position}'", hint="try 50%, start or end") from None
        return self.move(position, StopReason.SEEK)

    def move(self, position: int, reason: StopReason) -> Stop:
        self.icount = min(max(position, 0), self.total)
        self.frame = 0
        return Stop(reason, self.when(), text=f"at {self.icount}")

    def run(self, name: str, position: int, reason: StopReason) -> Stop:
        """Work for a while, or until it is cancelled."""
        self.cancelled.clear()
        for i in range(1000 if self.slow.is_set() else 1):
            if self.on_progress is not None:
                self.on_progress(Progress(name, i * self.total // 1000, self.total, 250e6, 3.5))
            if self.cancelled.wait(0.01):
                raise Cancelled("cancelled")
        return self.move(position, reason)

    def stepi(self, count: int = 1) -> Stop:
        self.calls.append("stepi")
        return self.move(self.icount + count, StopReason.STEP)

    def nexti(self, count: int = 1) -> Stop:
        self.calls.append("nexti")
        return self.move(self.icount + count, StopReason.STEP)

    def reverse_stepi(self, count: int = 1) -> Stop:
        self.calls.append("reverse-stepi")
        return self.move(self.icount - count, StopReason.STEP)

    def reverse_nexti(self, count: int = 1) -> Stop:
        self.calls.append("reverse-nexti")
        return self.move(self.icount - count, StopReason.STEP)

    def step(self, count: int = 1) -> Stop:
        self.calls.append("step")
        return self.move(self.icount + 4 * count, StopReason.STEP)

    def next_(self, count: int = 1) -> Stop:
        self.calls.append("next")
        return self.move(self.icount + 4 * count, StopReason.STEP)

    def reverse_step(self, count: int = 1) -> Stop:
        self.calls.append("reverse-step")
        return self.move(self.icount - 4 * count, StopReason.STEP)

    def reverse_next(self, count: int = 1) -> Stop:
        self.calls.append("reverse-next")
        return self.move(self.icount - 4 * count, StopReason.STEP)

    def land(self) -> Stop:
        self.calls.append("land")
        return self.move(self.total - 100, StopReason.SEEK)

    def continue_(self, count: int = 1) -> Stop:
        self.calls.append("continue")
        if self.watched():
            return self.move(self.icount + 1000 * count, StopReason.WATCHPOINT)
        return self.run("continue", self.total, StopReason.END)

    def reverse_continue(self, count: int = 1) -> Stop:
        self.calls.append("reverse-continue")
        if self.watched() and self.icount >= 1000 * count:
            return self.move(self.icount - 1000 * count, StopReason.WATCHPOINT)
        return self.run("reverse-continue", 0, StopReason.START)

    def finish(self) -> Stop:
        return self.move(self.icount + 16, StopReason.STEP)

    def reverse_finish(self) -> Stop:
        return self.move(self.icount - 16, StopReason.STEP)

    def until(self, location: str | int | None = None, *, here: bool = False) -> Stop:
        self.calls.append(f"until {location}")
        return self.move(self.icount + 3, StopReason.STEP)

    # the program

    def backtrace(self, limit: int = 64) -> Sequence[FrameInfo]:
        self.fail("backtrace")
        if not self.debug:
            return [FrameInfo(0, self.pc, 0, place(self.pc).symbol, self.locate(self.pc))]
        pc, outer, task = self.pc, BASE + 0x128, BASE + 0x350
        n = Variable("n", "unsigned int", str(self.icount), "n", "arg")
        return [
            FrameInfo(0, pc, BASE + 0x7F00, place(pc).symbol, place(pc), args=(n,)),
            FrameInfo(1, outer, BASE + 0x7F40, "count", place(outer), inlined=True),
            FrameInfo(2, outer, BASE + 0x7F40, "main", place(outer)),
            FrameInfo(3, task, BASE + 0x7F80, "schedule", place(task), trap="machine timer interrupt", icount=4321),
        ][:limit]

    def select_frame(self, number: int) -> FrameInfo:
        frames = self.backtrace()
        if number >= len(frames):
            raise NotFound(f"no frame {number}")
        self.calls.append(f"frame {number}")
        self.frame = number
        return frames[number]

    def variables(self, kind: str = "local") -> Sequence[Variable]:
        self.fail("variables")
        if not self.debug:
            return []
        if kind == "arg":
            return [Variable("n", "unsigned int", str(self.icount + self.frame), "n", "arg")]
        return [
            Variable("task", "struct task *", f"{BASE + 0x4000:#x}", "task", "local", BASE + 0x7EF0, True),
            Variable("total", "long", "<optimized out>", "total", "local"),
        ]

    def children(self, expression: str) -> Sequence[Variable]:
        self.calls.append(f"children {expression}")
        if expression == "task":
            whole = f"{{next = 0x0, ticks = {self.icount // 10}}}"
            return [Variable("*task", "struct task", whole, "*task", "member", BASE + 0x4000, True)]
        return [
            Variable("next", "struct task *", "0x0", "task->next", "member", BASE + 0x4000, True),
            Variable("ticks", "int", str(self.icount // 10), "task->ticks", "member", BASE + 0x4008),
        ]

    def print_value(self, expression: str, format: str = "") -> Printed:
        if expression == "nothing":
            raise NotFound('No symbol "nothing" in current context.')
        number = self.icount // 10
        text = hex(number) if format == "x" else str(number)
        address = None if expression == "fast" else BASE + 0x4008
        return Printed(text, "int", 4, address, number)

    def source(self, file: str) -> SourceFile:
        if file not in self.sources:
            raise NotFound(f"no source file {file}: looked in /home/src", hint="set substitute-path OLD NEW")
        return self.sources[file]

    def substitute_path(self, old: str, new: str) -> None:
        self.calls.append(f"substitute {old} {new}")

    def line_visits(self, before: int, after: int, lines: int = 0) -> Sequence[LineVisit]:
        if not self.debug:
            return []
        lo, hi = max(self.icount - 40, 0), min(self.icount + 40, self.total)
        first = place(self.pc).line
        return [LineVisit(at, FILE, first + (at - self.icount) // 4, 4) for at in range(lo - lo % 4, hi, 4)]

    def difference(self, lo: int, hi: int, limit: int = 1000) -> Difference:
        change = Change(BASE + 0x4008, bytes([lo & 0xFF]), bytes([hi & 0xFF]), Location(BASE + 0x4008, "ticks"))
        return Difference(lo, hi, (("a0", lo, hi), ("mcause", 0, 11)), (change,) if lo != hi else (), 1)

    def step_rows(self, lo: int, count: int) -> Sequence[StepRow]:
        self.calls.append(f"look at {lo}")
        pc = BASE + lo % 64 * 4
        row = StepRow(lo, lo, 0, "M", pc, 0, "sd\ta0,8(sp)", place(pc))
        return [row] if lo < self.total else []

    def reverse_until(self, location: str | int) -> Stop:
        self.calls.append(f"reverse-until {location}")
        return self.move(self.icount - 3, StopReason.STEP)

    def back(self) -> Stop:
        raise UsageError("there is nothing to go back to")

    def forward(self) -> Stop:
        raise UsageError("there is nothing to go forward to")

    def position(self, position: int | str) -> int:
        if str(position).startswith("@"):
            return next(mark.icount for mark in self.marks if mark.name == str(position)[1:])
        return int(position)

    def delete_bookmark(self, name: str) -> None:
        self.marks = [mark for mark in self.marks if mark.name != name]

    def bookmark(self, name: str, position: int | str | None = None, text: str = "") -> Bookmark:
        self.marks.append(Bookmark(name, self.icount, text))
        return self.marks[-1]

    def note(self, text: str, position: int | str | None = None) -> Note:
        return Note(2, self.icount, text)

    def symbols(self, prefix: str = "", limit: int = 1000) -> Sequence[SymbolInfo]:
        return [SymbolInfo(name, BASE + i * 256, 256, "function") for i, name in enumerate(FUNCTIONS)]

    def value(self, expression: str) -> Value:
        return Value(self.evaluate(expression), Type(8, False))

    def points(self) -> Sequence[Point]:
        return [point for point in self.breaks if point.number > 0]

    def watched(self) -> bool:
        return any(point.number < 0 and point.kind is PointKind.WATCH for point in self.breaks)

    def add_break(self, location: str | int, *, internal: bool = False) -> Point:
        if isinstance(location, str):
            file, _, line = location.rpartition(":")
            assert file == FILE
            number, row = divmod(int(line) - 5, len(BODY))
            address = BASE + number * 0x100 + min(row, 5) * 16
        else:
            address = location
        number = -1 if internal else len(self.breaks) + 1
        what = location if isinstance(location, str) else hex(location)
        self.breaks.append(Point(number, PointKind.BREAK, what, address, location=self.locate(address)))
        return self.breaks[-1]

    def add_watch(self, what: str | int, *, length: int = 0, internal: bool = False) -> Point:
        self.calls.append(f"watch {what:#x} {length}" if isinstance(what, int) else f"watch {what}")
        number = -1 if internal else len(self.breaks) + 1
        address = what if isinstance(what, int) else None
        self.breaks.append(Point(number, PointKind.WATCH, str(what), address, length))
        return self.breaks[-1]

    def enable_point(self, number: int | None = None, *, on: bool = True) -> None:
        self.calls.append(f"{'enable' if on else 'disable'} {number}")
        self.breaks = [replace(point, enabled=on) if point.number == number else point for point in self.breaks]

    def condition_point(self, number: int, condition: str) -> Point:
        self.breaks = [replace(p, condition=condition) if p.number == number else p for p in self.breaks]
        return next(point for point in self.breaks if point.number == number)

    def delete_point(self, number: int | None = None) -> None:
        self.breaks = [point for point in self.breaks if point.number != number]

    def bookmarks(self) -> Sequence[Bookmark]:
        return sorted(self.marks, key=lambda mark: mark.icount)

    def notes(self) -> Sequence[Note]:
        return [Note(1, self.total // 2, "the value is wrong here")]

    def verify(self) -> VerifyResult:
        return VerifyResult(True, "12 digests and 188 check words agree")

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed = True
