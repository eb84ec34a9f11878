"""From what was typed to a command: gdb's rules for abbreviations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rrdbg.commands.foreign import refuse
from rrdbg.commands.table import Call, Command
from rrdbg.session.errors import UsageError

PREFIXES: dict[str, tuple[str, ...]] = {"info": ("i", "inf")}
"""Short forms of words that only subcommands start with."""

_HEAD = re.compile(r"([A-Za-z][\w-]*|[?!])(?:(/)([^\s]*))?\s*(.*)", re.DOTALL)
_FORMATTED = ("print", "output", "call", "x", "display", "disassemble")
"""Commands whose format may also stand behind a space; others may take a host's path there."""
_ASSIGNED = re.compile(r"\w+(?:[.\[]|->|\s*(?:[-+*/%&|^]|<<|>>)?=(?!=))")
"""How an assignment to a variable of the guest begins, whose name may be that of a setting."""


def resolve(line: str, commands: Sequence[Command]) -> tuple[Command, Call]:
    """Find the command of a line.

    An exact name or alias wins; else a prefix that fits one command only.

    Raises:
        UsageError: There is no such command, or several.
    """
    match = _HEAD.fullmatch(line.strip())
    if match is None:
        raise UsageError(f"no command starts like {line.strip()[:20]!r}", hint="try `help`")
    word, slash, form, rest = match[1], match[2], match[3] or "", match[4]
    name = _first_word(word, commands)
    subcommands = {row.name.split(" ", 1)[1]: row for row in commands if row.name.startswith(name + " ")}
    plain = next((row for row in commands if row.name == name), None)
    if subcommands and rest and not (plain is not None and _ASSIGNED.match(rest)):
        head = _HEAD.fullmatch(rest)
        second = head[1] if head else rest.split()[0]
        chosen = _pick(second, {sub: row.aliases for sub, row in subcommands.items()})
        if len(chosen) == 1:
            row = subcommands[chosen[0]]
            return row, Call(row.name, head[4].strip() if head else "", head[3] or "" if head else "")
        if plain is None:
            refuse(f"{name} {second}")
            raise _unclear(f"{name} {second}", [f"{name} {sub}" for sub in chosen], f"help {name}")
    if plain is None:
        names = ", ".join(f"{name} {sub}" for sub in sorted(subcommands))
        raise UsageError(f"{name!r} must be followed by what to show", hint=names)
    if not slash and plain.name in _FORMATTED and (late := re.match(r"/(\S+)\s*(.*)", rest, re.DOTALL)):
        slash, form, rest = "/", late[1], late[2]  # `x /4xw $sp`
    return plain, Call(plain.name, rest.strip(), ("/" if slash and not form else "") + form)


def _first_word(word: str, commands: Sequence[Command]) -> str:
    names = dict(PREFIXES)
    for row in commands:
        first = row.name.split(" ", 1)[0]
        aliases = row.aliases if " " not in row.name else ()
        names[first] = names.get(first, ()) + aliases
    chosen = _pick(word, names)
    if word not in names and not any(word in aliases for aliases in names.values()):
        refuse(word)
    if len(chosen) != 1:
        raise _unclear(word, chosen, "help")
    return chosen[0]


def _pick(word: str, names: dict[str, tuple[str, ...]]) -> list[str]:
    if word in names:
        return [word]
    by_alias = [name for name, aliases in names.items() if word in aliases]
    return by_alias or sorted(name for name in names if name.startswith(word))


def _unclear(word: str, chosen: list[str], help_line: str) -> UsageError:
    if chosen:
        return UsageError(f"ambiguous command {word!r}: {', '.join(chosen)}")
    return UsageError(f"undefined command: {word!r}", hint=f"try `{help_line}`")
