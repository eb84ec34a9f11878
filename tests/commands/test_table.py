"""The command table: complete, unambiguous, with gdb's names and abbreviations."""

from __future__ import annotations

import pytest

from rrdbg.commands import COMMANDS
from rrdbg.commands.resolve import resolve
from rrdbg.commands.support import explain, help_text
from rrdbg.session.errors import UsageError

# what gdb's users type, and what it means there
GDB = {
    "s": "step", "si": "stepi", "stepi": "stepi", "n": "next", "ni": "nexti", "fin": "finish", "c": "continue",
    "fg": "continue", "u": "until", "adv": "advance", "rc": "reverse-continue", "rs": "reverse-step",
    "rsi": "reverse-stepi", "rn": "reverse-next", "rni": "reverse-nexti", "reverse-step": "reverse-step",
    "reverse-fin": "reverse-finish", "b": "break", "br": "break", "brea": "break", "tb": "tbreak", "tbr": "tbreak",
    "hb": "break", "wa": "watch", "rw": "rwatch", "aw": "awatch", "cat": "catch", "cond": "condition", "ig": "ignore",
    "d": "delete", "del": "delete", "en": "enable", "dis": "disable", "disas": "disassemble", "disass": "disassemble",
    "i r": "info registers", "info reg": "info registers", "i all": "info all-registers", "i b": "info breakpoints",
    "inf wat": "info watchpoints", "info sym": "info symbol", "i li": "info line", "info line": "info line",
    "i display": "info display", "x": "x", "p": "print", "inspect": "print", "output": "output", "disp": "display",
    "undisp": "undisplay", "d br": "delete breakpoints", "d display": "delete display", "h": "help", "q": "quit",
    "exit": "quit", "so": "source", "ec": "echo",
    # rrdbg's own
    "g": "goto", "goto": "goto", "seek": "goto", "ba": "backtrace", "forw": "forward", "when": "when", "ver": "verify",
    "exp": "export", "boo": "bookmark", "no": "note", "i bo": "info bookmarks", "i notes": "info notes",
    "i ev": "info events", "i tr": "info trace", "i con": "info console", "ti": "tick", "tick": "tick",
}  # fmt: skip


@pytest.mark.parametrize("typed", GDB)
def test_an_abbreviation(typed: str) -> None:
    row, _ = resolve(typed, COMMANDS)
    assert row.name == GDB[typed]


def test_every_command_has_help() -> None:
    names = [row.name for row in COMMANDS]
    assert len(names) == len(set(names))
    for row in COMMANDS:
        assert row.help, row.name
        assert row.help[0].islower()
        assert not row.help.endswith("."), row.name
        assert not row.details or row.details.rstrip("`").endswith((".", ")")), row.name
        assert explain(row).startswith(row.name)
        assert help_text(row.name, COMMANDS).startswith(row.name.split()[0])
        assert row.name in help_text("", COMMANDS)


def test_names_and_aliases_mean_one_command() -> None:
    for row in COMMANDS:
        for name in (row.name, *(alias if " " not in row.name else "" for alias in row.aliases)):
            if name:
                assert resolve(name, COMMANDS)[0] is row, name
        for alias in row.aliases if " " in row.name else ():
            assert resolve(f"{row.name.split()[0]} {alias}", COMMANDS)[0] is row


def test_unambiguous_starts() -> None:
    """Every start of a name either means that command, or another by gdb's rules, or is refused with the choice."""
    for row in COMMANDS:
        if " " in row.name:
            continue
        for length in range(1, len(row.name) + 1):
            start = row.name[:length]
            found, refused = None, ""
            try:
                found = resolve(start, COMMANDS)[0]
            except UsageError as error:
                refused = error.message
            if found is not None:
                assert found.name.startswith(start) or start in found.aliases
            elif "info".startswith(start):
                assert refused == "'info' must be followed by what to show"
            else:
                assert refused.startswith(f"ambiguous command '{start}'")
                assert row.name in refused


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("nosuch", "undefined command: 'nosuch'"),
        ("re", "ambiguous command 're'"),
        ("info", "'info' must be followed"),
        ("info nosuch", "undefined command: 'info nosuch'"),
        ("%", "no command starts like '%'"),
    ],
)
def test_mistake(typed: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(typed, COMMANDS)


def test_the_reference_is_up_to_date() -> None:
    from pathlib import Path

    from rrdbg.commands.reference import markdown

    written = Path(__file__).parents[2] / "docs" / "commands.md"
    assert written.read_text(encoding="utf-8") == markdown(), "make it anew: rrdbg commands --markdown"
