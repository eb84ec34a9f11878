"""docs/commands.md, written from the table: `python -m rrdbg.commands.reference > docs/commands.md`."""

from __future__ import annotations

from rrdbg.commands.table import Group, table
from rrdbg.session import expression, positions

HEADER = """\
# Commands

<!-- Written by `python -m rrdbg.commands.reference` from the command table; do not edit. -->

The same commands work at the prompt of `rrdbg tui`, in files (`rrdbg replay trace.rrt -x FILE -batch`) and on the
command line (`-ex COMMAND`). Names and abbreviations are gdb's; any unambiguous start of a name will do. `step` and
`next` go by source lines, `stepi` and `nexti` by instructions; `break FUNCTION` stops behind the function's prologue,
`break *FUNCTION` in front of it. Of the values that a watchpoint shows, the old one is the one that was seen before:
backwards, that is the one that the access wrote.
"""


def markdown() -> str:
    """Return the reference of all commands."""
    parts = [HEADER]
    for group in Group:
        parts.append(f"## {group.value.capitalize()}\n")
        for row in table():
            if row.group is not group:
                continue
            short = f" (short: {', '.join(f'`{alias}`' for alias in row.aliases)})" if row.aliases else ""
            usage = f"{row.name}{row.usage if row.usage.startswith('[/') else ' ' + row.usage}".rstrip()
            parts.append(f"### `{usage}`\n\n{row.help[0].upper()}{row.help[1:]}{short}.")
            parts.append(f"{row.details}\n" if row.details else "")
    parts.append("## Positions\n\n```text")
    parts.append(_block(positions.__doc__) + "\n```\n")
    parts.append("## Expressions\n\n```text")
    parts.append(_block(expression.__doc__) + "\n```\n")
    parts.append((expression.__doc__ or "").rsplit("\n\n", 1)[-1].strip())
    return "\n".join(parts) + "\n"


def _block(doc: str | None) -> str:
    return "\n".join(line[4:] for line in (doc or "").splitlines() if line.startswith("    "))


if __name__ == "__main__":
    print(markdown(), end="")
