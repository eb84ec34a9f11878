"""gdb's `monitor`: the debugger's command table, at gdb's prompt."""

from __future__ import annotations

from dataclasses import replace

from rrdbg_core.errors import RrdbgError

from rrdbg.commands import Interpreter
from rrdbg.commands.table import Arg, Call, Output, table
from rrdbg.session.api import Session
from rrdbg.session.errors import EngineDied, UsageError

STALE = (
    "gdb still shows what it read before; `maintenance flush register-cache` and `maintenance flush dcache` make it "
    "look again, as the commands of `rrdbg gdb --launch` do by themselves.\n"
)
_UNFIT = {"quit": "`detach` or `disconnect` lets go of the trace, `quit` leaves gdb"}


class Monitor:
    """Runs `monitor` commands on the session.

    Args:
        session: The session.
        trusted: Whether commands may read and write files of this host: not for whoever comes through a port.
    """

    def __init__(self, session: Session, *, trusted: bool) -> None:
        self._session = session
        rows = table()
        if not trusted:
            rows = tuple(replace(row, handler=_refuse) if Arg.FILE in row.args else row for row in rows)
        self._interpreter = Interpreter(session, rows)

    def run(self, line: str) -> tuple[str, bool]:
        """Run a command; return what it prints, and whether it moved."""
        before = self._session.icount
        try:
            output = self._interpreter.run(line or "help")
            text = self._checked(output).text
            text += "\n" if text and not output.raw else ""
        except EngineDied:
            raise
        except RrdbgError as error:
            text = f"{error}\n"
        return text, self._session.icount != before

    def _checked(self, output: Output) -> Output:
        if output.quit:
            raise UsageError(_UNFIT["quit"])
        return output


def _refuse(interpreter: Interpreter, call: Call) -> Output:
    raise UsageError(
        f"`{call.name}` reaches files of the server's host, and anybody may have connected",
        hint="with `rrdbg gdb --launch` and `--stdio` it works",
    )
