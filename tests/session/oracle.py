"""Programs of `sources`, recorded, and what gdb and rrdbg say of them at the same position."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from rrdbg_core.errors import RrdbgError

import rrdbg
from rrdbg.commands import Interpreter
from rrdbg.session.printing_strings import string_text
from tests.gdb.recordings import record
from tests.symbols.compilers import GCC, need

SOURCES = Path(__file__).parent / "sources"
OPTIONS = "-g -march=rv64imac -mabi=lp64 -mcmodel=medany -ffreestanding -nostdlib -static -fno-toplevel-reorder"
LINK = "-Ttext=0x80000000 -Wl,-e,_start,--no-warn-rwx-segments"
LIMIT = 1_000_000
"""Steps after which a recording ends that does not end by itself."""


def recorded(source: str, level: str, folder: Path) -> Path:
    """Compile and record a program of this folder, and return the trace."""
    elf = folder / f"{Path(source).stem}{level}.elf"
    command = [need(GCC), *OPTIONS.split(), level, *LINK.split(), "-o", str(elf), source, "-lgcc"]
    subprocess.run(command, check=True, cwd=SOURCES)
    return record(elf, folder, until=LIMIT)


class Ours:
    """rrdbg's commands on a trace, answered in gdb's way: an error is its message."""

    def __init__(self, trace: Path) -> None:
        self.session = rrdbg.open(trace)
        self._interpreter = Interpreter(self.session)

    def __enter__(self) -> Ours:
        return self

    def __exit__(self, *error: object) -> None:
        self.session.close()

    def at(self, position: int, *commands: str) -> list[str]:
        """Go to a position, then run commands."""
        self.session.goto(position)
        return [self.ask(command) for command in commands]

    def ask(self, command: str) -> str:
        """Run a command and return what it says."""
        try:
            return self._interpreter.run(command).text.rstrip("\n")
        except RrdbgError as error:
            return f"error: {error.message}"


def is_refusal(text: str) -> bool:
    """Return whether an answer is an error message of gdb's, or one of rrdbg's."""
    starts = (
        "error: ", "No symbol ", "No frame", "Cannot access", "There is no member", "value has been opt",
        "Left operand", "Argument to", "Invalid", "No struct", "No registers", "A syntax error", "Can't take",
        "Address requested", "Structure has no", "Attempt to", "Can't do", "Division by zero", "First argument of",
        "Integer-only operation", "Only values in memory", "That operation is not available", "Not a numeric type",
    )  # fmt: skip
    return text.startswith(starts)


def same(theirs: str, ours: str) -> bool:
    """Return whether two answers mean the same.

    Two refusals do. gdb lists a block's variables in the order of hashes, and as optimised out also its labels and what
    an inlined function has that this copy of it has not. Where it has no function, it says so, or lists all of a file.
    """
    theirs = _as_it_is(theirs)
    if "<optimized out>" in ours:  # gdb's word for the rest of a structure of which the start is known
        theirs = theirs.replace("<synthetic pointer>", "<optimized out>")
    if theirs == ours or (is_refusal(theirs) and is_refusal(ours)):
        return True
    # gdb does not compute with pointers as if they were numbers, nor with __int128; rrdbg does: p pointer & 0xfff.
    # Arrays without a place, such as those optimised out, it wants to copy into the guest first.
    beyond = (
        "Argument to arithmetic operation",
        "That operation is not available",
        "evaluation of this expression req",
        "Not a numeric type.",
    )
    if theirs.startswith(beyond):
        return True
    if ours in ("No locals.", "No arguments.") and theirs.startswith("No symbol table info"):
        return True
    known = ours.splitlines()
    lines = [line for line in theirs.splitlines() if line in known or not line.endswith(" = <optimized out>")]
    if _CUT in theirs:
        # a row of gdb's that has lost something is put in place of the one of ours that it means
        meant = {line: re.compile(_with_what_is_lost(line)).fullmatch for line in lines if _CUT in line}
        lines = [next(filter(meant[line], known), line) if line in meant else line for line in lines]
    return set(lines) == set(known)


_CUT = "<incomplete sequence "


def _with_what_is_lost(theirs: str) -> str:
    """Return a pattern for an answer of gdb's, which loses the character in front of an incomplete one."""
    lost, *parts = "(?:\\\\?.|(?:\\\\[0-7]{3}){1,4})", *theirs.split(_CUT)
    fronts = [
        f'{re.escape(part[:-3])}{lost}?", ' if part.endswith('", ') else f'{re.escape(part)}(?:"{lost}", )?'
        for part in parts[:-1]
    ]
    return _CUT.join((*fronts, re.escape(parts[-1])))


def _as_it_is(text: str) -> str:
    """Return an answer of gdb's without what it makes of names with dots, and with characters escaped that it is not.

    It takes clang's `main.records` for Ada's. rrdbg lets no character through that formats text.
    """
    text = text.replace(">(struct {...}) const (", "> (")  # a method of a template, with its parameters
    text = re.sub(r"(?<=<)(\w+)\[(\w+)\](?=[+>])", r"\1.\2", text)
    return "".join(c if c.isascii() else string_text(c.encode())[1:-1] for c in text)
