"""The session's interface: every verb of the debugger, the same in process and from the engine's own process.

Positions are icounts, or text in the forms of `rrdbg.session.positions`. Addresses are virtual, integers or
expressions (`rrdbg.session.expression`): `0x8000_0000`, `main`, `main+8`, `$sp - 16`, `*(u64*)head`.

Motions return the `Stop` they ended with. They report progress through `on_progress`; `cancel` from any thread makes
the running call raise `Cancelled`; the session then stands where it stood before.
Backwards the rules are gdb's and rr's: a breakpoint at the start is not hit again, a watchpoint stops before the
access (forwards: after it), and `watch` stops only when the value changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from rrdbg.session.errors import Cancelled, NotFound, Unreadable, UsageError
from rrdbg.session.numbers import Value
from rrdbg.session.program import (
    Difference,
    FrameInfo,
    LineSpan,
    LineVisit,
    Printed,
    ProgramSymbol,
    SourceFile,
    Variable,
)
from rrdbg.session.rows import MemoryAccess, StepRow
from rrdbg.session.values import (
    Bookmark,
    ConsoleChunk,
    ConsoleOutput,
    DisasmLine,
    EventRow,
    Lane,
    Location,
    MemoryBlock,
    Note,
    Point,
    PointKind,
    Progress,
    RegisterValue,
    Stop,
    StopReason,
    SymbolInfo,
    Timeline,
    TraceInfo,
    VerifyResult,
    When,
)

__all__ = [
    "Bookmark",
    "Cancelled",
    "ConsoleChunk",
    "ConsoleOutput",
    "Difference",
    "DisasmLine",
    "EventRow",
    "FrameInfo",
    "Lane",
    "LineVisit",
    "Location",
    "MemoryAccess",
    "MemoryBlock",
    "NotFound",
    "Note",
    "Point",
    "PointKind",
    "Position",
    "Printed",
    "ProgramSymbol",
    "Progress",
    "ProgressCallback",
    "RegisterValue",
    "Session",
    "SourceFile",
    "StepRow",
    "Stop",
    "StopReason",
    "SymbolInfo",
    "Timeline",
    "TraceInfo",
    "Unreadable",
    "UsageError",
    "Value",
    "Variable",
    "VerifyResult",
    "When",
]

Position = int | str
"""A position: an icount, or text such as `1_234_567`, `+100`, `-1k`, `50%`, `2.5ms`, `start`, `end`, `@name`, `#7`."""

ProgressCallback = Callable[[Progress], None]
"""Called some ten times a second by long calls, in the thread that called."""


class Session(Protocol):
    """One trace, walked in both directions.

    Example:
        >>> import rrdbg
        >>> with rrdbg.open("run.rrt") as session:
        ...     session.goto("end")
        ...     session.add_watch("heap_head")
        ...     stop = session.reverse_continue()
        ...     print(stop.when.location.text, session.registers(["a0"]))
    """

    on_progress: ProgressCallback | None
    """Called while a long call works; None: nobody wants to know."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""

    def close(self) -> None:
        """Let go of the trace (and end the engine's process). Further calls raise RrdbgError."""

    def cancel(self) -> bool:
        """Make the call that now runs raise `Cancelled` soon, and return whether there is one.

        From any thread and from signal handlers; harmless when nothing runs.
        """

    # where and what

    @property
    def icount(self) -> int:
        """The current position."""

    @property
    def pc(self) -> int:
        """The selected hart's program counter."""

    def when(self) -> When:
        """Return where the session stands."""

    def info(self) -> TraceInfo:
        """Return what is known of the whole trace; takes in what a running recorder has added since."""

    def position(self, position: Position) -> int:
        """Return the icount a position means here.

        Raises:
            UsageError: It cannot be understood, or lies outside the trace.
            NotFound: There is no such bookmark or event.
        """

    # motion

    def goto(self, position: Position) -> Stop:
        """Go to a position. It is remembered for `back`."""

    def stepi(self, count: int = 1) -> Stop:
        """Execute steps of the selected hart; breakpoints on the way stop it."""

    def reverse_stepi(self, count: int = 1) -> Stop:
        """Undo steps of the selected hart."""

    def nexti(self, count: int = 1) -> Stop:
        """Execute instructions, calls and traps as one."""

    def reverse_nexti(self, count: int = 1) -> Stop:
        """Undo instructions, calls and traps as one."""

    def finish(self) -> Stop:
        """Run until the current function has returned to its caller."""

    def reverse_finish(self) -> Stop:
        """Go back to the call of the current function: before the instruction that called it."""

    def continue_(self, count: int = 1) -> Stop:
        """Run to the next stop; with a count, pass over that many minus one."""

    def reverse_continue(self, count: int = 1) -> Stop:
        """Run backwards to the previous stop; with a count, pass over that many minus one."""

    def until(self, location: str | int | None = None, *, here: bool = False) -> Stop:
        """Run until an address (or a position such as `+1k` or `#7`) is reached or a point stops it.

        Args:
            location: The address; without one: to the next instruction after this one, out of a loop.
            here: Stop only where the selected frame comes to it, or where that has returned; as gdb's `until`. Where
                nothing is known to have called it: anywhere.
        """

    def advance(self, location: str | int) -> Stop:
        """Run until a place is reached, or the selected frame has returned, or a point stops it."""

    def reverse_until(self, location: str | int) -> Stop:
        """Run backwards until an address or a position is reached, or a point stops it."""

    def tick(self, count: int = 1) -> Stop:
        """Move the machine by steps, whichever hart makes them; negative counts go back."""

    def back(self) -> Stop:
        """Return to where the last jump or run started."""

    def forward(self) -> Stop:
        """Undo `back`."""

    # points

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
        """Set a breakpoint, at a virtual address.

        In a page of U mode that is mapped now it belongs to the address space it is set in; anywhere else it stops
        whatever comes by: kernels go on where they are when they change satp.

        Args:
            location: An address, symbol or expression, or `file:line`.
            condition: Stop only where this expression is not zero.
            temporary: Delete it at its first stop.
            ignore: Hits to pass over.
            internal: A front end's own: numbered from -1 downwards, not among `points`, left alone by what means all
                points, and not named in a stop's text.
            everywhere: Let it stop in all address spaces.
            physical: The address is a physical one: it stops by whatever address that is executed.
        """

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
        """Set a watchpoint.

        It watches the memory that is mapped there now, by whatever address it is accessed, and by whom: devices and
        page walks count.

        Args:
            what: A symbol, an address, `*(u32*)expression`, or a register: `$a0`.
            length: Bytes watched; 0: the symbol's size, the type's size, else 8.
            kind: WATCH (changes), RWATCH (reads) or AWATCH (reads and writes). Registers: WATCH only.
            condition: Stop only where this expression is not zero, evaluated after the access.
            temporary: Delete it at its first stop.
            ignore: Hits to pass over.
            internal: A front end's own, as for `add_break`.
            physical: The address is a physical one.

        Raises:
            Unreadable: Nothing is mapped there.
        """

    def add_catch(
        self,
        what: str = "trap",
        *,
        condition: str = "",
        temporary: bool = False,
        ignore: int = 0,
        internal: bool = False,
    ) -> Point:
        """Stop at traps.

        Args:
            what: `trap` (all), `exception`, `interrupt`, or a cause by name or number: `ecall-m`, `interrupt 7`.
            condition: Stop only where this expression is not zero, evaluated after the trap was taken.
            temporary: Delete it at its first stop.
            ignore: Hits to pass over.
            internal: A front end's own, as for `add_break`.
        """

    def points(self) -> Sequence[Point]:
        """Return all points by number."""

    def delete_point(self, number: int | None = None) -> None:
        """Delete a point, or all of them."""

    def enable_point(self, number: int | None = None, *, on: bool = True) -> None:
        """Enable or disable a point, or all of them."""

    def ignore_point(self, number: int, count: int) -> Point:
        """Pass over the next hits of a point."""

    def condition_point(self, number: int, condition: str) -> Point:
        """Set a point's condition; empty removes it."""

    # looking

    def evaluate(self, expression: str) -> int:
        """Return an expression's value: 64 bits, unsigned.

        Raises:
            UsageError: It cannot be understood.
            NotFound: An unknown symbol or register.
        """

    def value(self, expression: str) -> Value:
        """Return an expression's value with its type."""

    def registers(self, names: Sequence[str] | None = None) -> Sequence[RegisterValue]:
        """Return registers: `names`, or pc and x1 to x31. "float", "csr" and "all" are names of groups."""

    def read_memory(self, address: int, length: int, *, physical: bool = False) -> MemoryBlock:
        """Read memory without side effects; what cannot be read is missing from the block's end.

        Args:
            address: Virtual, as the hart sees it where it stands: who may read it does not matter.
            length: Bytes.
            physical: The address is a physical one.
        """

    def disassemble(
        self, address: int | None = None, count: int = 10, *, before: int = 0, physical: bool = False
    ) -> Sequence[DisasmLine]:
        """Disassemble `count` instructions from an address (default: pc), and up to `before` ones in front of it."""

    def locate(self, address: int) -> Location:
        """Return an address by name."""

    def lookup(self, name: str) -> SymbolInfo:
        """Return a symbol by name. Raises NotFound."""

    def symbols(self, prefix: str = "", limit: int = 1000) -> Sequence[SymbolInfo]:
        """Return symbols whose names start with `prefix`, by name."""

    def symbol_problems(self) -> Sequence[str]:
        """Return what the images lack, a sentence each: symbols of stripped ones, damaged debug information."""

    def source_lines(self, address: int) -> tuple[Location, ...]:
        """Return the locations of the line table within the function around an address."""

    def console(self, lo: int = 0, hi: int | None = None) -> ConsoleOutput:
        """Return console output that appeared at positions lo < p <= hi (default: here), oldest first.

        Output of stretches that were never replayed is found by replaying, with progress.
        """

    def events(self, first: int = 0, count: int = 1000) -> Sequence[EventRow]:
        """Return journal events by number."""

    def timeline(self, lo: int, hi: int, buckets: int) -> Timeline:
        """Return the timeline of positions lo <= p < hi. Short windows are replayed and exact."""

    def step_rows(self, lo: int, count: int) -> Sequence[StepRow]:
        """Return what the steps lo, lo+1, ... did; fewer at the end of the trace. Leaves you where you are."""

    def iter_steps(self, lo: int, hi: int) -> Iterator[StepRow]:
        """Yield what the steps lo <= n < hi did, in batches that bound the memory. Leaves you where you are."""

    # the program

    @property
    def frame(self) -> int:
        """Number of the selected frame; every motion selects frame 0."""

    def backtrace(self, limit: int = 64) -> Sequence[FrameInfo]:
        """Return the frames, innermost first: through inlined calls, and through traps into what they interrupted."""

    def select_frame(self, number: int) -> FrameInfo:
        """Select a frame: expressions, locals and registers are then its own. Raises NotFound."""

    def frame_details(self) -> str:
        """Return all that is known of the selected frame, as gdb's `info frame`."""

    def set_step_mode(self, on: bool) -> None:
        """Let `step` go into functions without line information, or not (gdb's `set step-mode`)."""

    def variables(self, kind: str = "local") -> Sequence[Variable]:
        """Return the selected frame's variables: `kind` is "local" (innermost block first), "arg" or "static"."""

    def children(self, expression: str) -> Sequence[Variable]:
        """Return the parts of a value: members, elements, what a pointer points to."""

    def print_value(self, expression: str, format: str = "", *, remember: bool = False) -> Printed:
        """Return the value of a C expression in the selected frame, as gdb's `print/FORMAT` shows it.

        Args:
            expression: The expression; empty: the value shown last.
            format: A letter: x, d, u, o, t, a, c, f, s, z.
            remember: Whether it becomes one of the values `$1`, `$2`, ...
        """

    def print_setting(self, name: str, value: str | None = None) -> str:
        """Return a setting of how values are printed (gdb's `set print NAME`), after changing it to `value`."""

    def whatis(self, expression: str, *, expand: bool = False) -> str:
        """Return the type of an expression, or of a type's name; `expand` shows its members, as `ptype` does."""

    def whereabouts(self, name: str) -> str:
        """Return where a variable, function or symbol is, in gdb's words: what `info address` says.

        Raises NotFound.
        """

    def section(self, address: int) -> str:
        """Return the name of the images' section around an address; empty: there is none."""

    def source_place(self, location: str) -> Location:
        """Return file and line of a place as `list` takes it: `LINE`, `FILE:LINE`, `FUNCTION`, `*ADDRESS`, or empty.

        Empty means where the selected frame stands. Raises NotFound.
        """

    def line_spans(self, location: str = "") -> Sequence[LineSpan]:
        """Return the code of the source line that a place means, as `info line` takes it, ascending; empty: of pc.

        A place is what `add_break` takes. A function means the line in which it begins, with its prologue.
        Raises NotFound.
        """

    def source_details(self) -> str:
        """Return what is known of the source file in which the selected frame stands, as gdb's `info source`."""

    def program_symbols(self, kind: str, pattern: str = "", limit: int = 1000) -> Sequence[ProgramSymbol]:
        """Return what the debug information describes, by file and name.

        Args:
            kind: "variable" or "function" (outside of functions), "type", or "scope".
            pattern: Regular expression that the name contains; for "scope" the place in the code, default: here.
            limit: Rows at most.
        """

    def source(self, file: str) -> SourceFile:
        """Return the text of a source file. Raises NotFound, which says where it was looked for."""

    def substitute_path(self, old: str, new: str) -> None:
        """Look for sources whose names start with `old` under `new`; an empty `new` removes the rule."""

    def substitutions(self) -> Sequence[tuple[str, str]]:
        """Return the rules of `substitute_path`: start of a name, and what takes its place."""

    def source_directory(self, path: str) -> Sequence[str]:
        """Look for sources in a host directory first, and return all such; an empty path forgets them."""

    def source_files(self) -> Sequence[str]:
        """Return the names of the program's source files, by name."""

    def line_visits(self, before: int, after: int, lines: int = 0) -> Sequence[LineVisit]:
        """Return the source lines executed in the steps around here, ascending: at most `before` and `after` steps.

        `lines`: of so many different lines on either side, only the visits nearest to here; 0: all visits.
        """

    def step(self, count: int = 1) -> Stop:
        """Execute to the start of another source line, into functions that have lines; as gdb's `step`."""

    def reverse_step(self, count: int = 1) -> Stop:
        """Go back to the start of the previous line, into functions that have lines."""

    def next_(self, count: int = 1) -> Stop:
        """Execute to the start of another source line, calls as a whole."""

    def reverse_next(self, count: int = 1) -> Stop:
        """Go back to the start of the previous line, calls as a whole."""

    def step_range(self, lo: int, hi: int, *, over: bool = False, reverse: bool = False) -> Stop:
        """Step until pc leaves lo <= pc < hi; `over`: calls and traps as a whole."""

    def land(self) -> Stop:
        """Go to where the run went wrong: the last panic, trap loop or exit."""

    def difference(self, lo: Position, hi: Position, limit: int = 1000) -> Difference:
        """Return how registers, CSRs and RAM differ between two positions. Leaves you where you are."""

    # the user's own

    def bookmarks(self) -> Sequence[Bookmark]:
        """Return the bookmarks by position."""

    def bookmark(self, name: str, position: Position | None = None, text: str = "") -> Bookmark:
        """Set or move a bookmark (default: here). Kept beside the trace in `NAME.rrt.notes.json`."""

    def delete_bookmark(self, name: str) -> None:
        """Delete a bookmark. Raises NotFound."""

    def notes(self) -> Sequence[Note]:
        """Return the notes by position."""

    def note(self, text: str, position: Position | None = None) -> Note:
        """Add a note (default: here)."""

    def delete_note(self, number: int) -> None:
        """Delete a note. Raises NotFound."""

    # the whole trace

    def verify(self, *, pauses: int = 0, seed: int = 0) -> VerifyResult:
        """Replay the whole trace against its check words and digests. Leaves you where you are.

        Args:
            pauses: Stop at that many random steps; half of them go on in a fresh machine.
            seed: Of the random steps.
        """
