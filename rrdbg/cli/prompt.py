"""The interactive prompt of `rrdbg replay`, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rrdbg_core.errors import RrdbgError

if TYPE_CHECKING:
    from rrdbg.commands import Interpreter, Output

try:
    import readline
except ImportError:  # Windows, minimal Pythons: plain lines
    readline = None  # type: ignore[assignment]

PROMPT = "(rrdbg) "


def prompt(interpreter: Interpreter, write: Callable[[Output], None], clear: Callable[[], None]) -> None:
    """Read and run commands until `quit` or the end of input.

    Args:
        interpreter: Runs them.
        write: Shows what they answer.
        clear: Wipes the progress line, before an error is shown.
    """
    if readline is not None:
        _edit_lines(interpreter)
    write(interpreter.run("info trace"))
    write(interpreter.run("when"))
    while True:
        try:
            output = interpreter.run(input("> " if interpreter.collecting else PROMPT))
            write(output)
            if output.quit:
                return
        except EOFError:
            print("quit")
            return
        except RrdbgError as error:
            clear()
            print(one_line(error), file=sys.stderr)
        except KeyboardInterrupt:
            interpreter.collect(())
            clear()
            print("Quit", file=sys.stderr)


def one_line(error: RrdbgError) -> str:
    """Return an error as the prompt tells it."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _edit_lines(interpreter: Interpreter) -> None:
    """Let Tab complete whole lines, from the command table."""
    found: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            found[:] = [item.text for item in interpreter.complete(readline.get_line_buffer())]
        return found[state] if state < len(found) else None

    readline.set_completer_delims("")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
