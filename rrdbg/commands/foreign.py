"""Words of gdb's that mean nothing on a recording, and what to do instead."""

from __future__ import annotations

from itertools import pairwise

from rrdbg.session.errors import UsageError

_RUN = "the guest has run: this is its recording"
_TO_START = "`goto start` goes to its beginning, `continue` runs from here"
_FIXED = "nothing in a recording can be changed"
_SYMBOLS = "the program is the one that was recorded"
_OTHER_SYMBOLS = "symbols of another file: `--symbols FILE` when the trace is opened"
_SCREEN = "this prompt has no screen of its own"
_SCRIPTS = "this prompt runs no programs"
_PYTHON = "`rrdbg run SCRIPT TRACE` runs a Python script on a trace"

_REASONS: dict[str, tuple[str, str]] = {
    "run start starti": (_RUN, _TO_START),
    "kill k attach detach disconnect target": ("there is no process, but a recording", "`quit` leaves it"),
    "load": (_SYMBOLS, "record another image: `rrdbg record IMAGE`"),
    "file exec-file symbol-file add-symbol-file core-file": (_SYMBOLS, _OTHER_SYMBOLS),
    "jump j return signal queue-signal": (_FIXED, "`goto`, `finish` and `until` go where the guest went"),
    "handle": ("a bare machine has no signals", "`catch CAUSE` stops at traps"),
    "checkpoint restart": ("every position can be returned to", "`bookmark NAME`, and `goto @NAME`"),
    "record": ("everything is recorded already", "`info trace` describes the recording"),
    "shell make pipe": (_SCRIPTS, "use another terminal"),
    "python py python-interactive pi guile": (_SCRIPTS, _PYTHON),
    "define document alias macro if while eval": ("commands of your own are not known here", _PYTHON),
    "tui layout focus refresh winheight": (_SCREEN, "`rrdbg tui TRACE` is the terminal interface"),
    "dprintf": ("there are no breakpoints that only print", "`break`, then `commands` with printf and continue"),
    "trace tstart tstop": ("everything is recorded already", "`break` and `watch` work in both directions"),
    "monitor mon": ("this prompt is what `monitor` reaches in gdb", "type the command alone"),
    "inferior": ("there is one machine", "`info threads` shows its hart"),
    "find dump append restore generate-core-file": ("memory is only shown here", "`x` shows it, `diff` compares it"),
    "skip": ("functions cannot be left out of `step`", "`next` passes over calls, `advance LOCATION` goes into one"),
    "info inferiors info program info files info target": (_RUN, "`info trace` describes it"),
    "info signals info sharedlibrary info proc info auxv info os": ("a bare machine has none", "`info trace` tells"),
    "info vector": ("the guest has no such registers", "`info registers all` shows what there is"),
    "info macro info macros": ("macros are not known here", "`ptype` and `info types` describe types"),
    "info skip info checkpoints info tracepoints": ("there are none", "`info breakpoints`, `info bookmarks`"),
}  # fmt: skip


def _words(text: str) -> list[str]:
    """Cut a row's words; those behind `info` belong to it."""
    words = text.split()
    return [f"info {b}" for a, b in pairwise(words) if a == "info"] or words


_BY_NAME = {name: reason for names, reason in _REASONS.items() for name in _words(names)}


def refuse(name: str) -> None:
    """Raise a UsageError that explains itself, if a command is one of gdb's that mean nothing here."""
    if name in _BY_NAME:
        reason, hint = _BY_NAME[name]
        raise UsageError(f"{name}: {reason}", hint=hint)


SETTINGS = frozenset({
    "arch", "architecture", "auto-load", "breakpoint", "complaints", "confirm", "debuginfod", "disassemble-next-line",
    "editing", "endian", "height", "history", "language", "logging", "max-value-size", "mem", "non-stop", "osabi",
    "pagination", "print-symbol-loading", "prompt", "python", "remote", "remotetimeout", "riscv", "scheduler-locking",
    "startup-with-shell", "style", "tcp", "trace-commands", "tui", "verbose", "width",
})  # fmt: skip
"""Settings of gdb's that files of commands begin with, and that change nothing here."""
