"""gdb's `monitor`: the debugger's command table, at gdb's prompt."""

from __future__ import annotations

from rrdbg_core.errors import RrdbgError

from rrdbg.commands import Interpreter
from rrdbg.commands.table import Output
from rrdbg.session.api import Session
from rrdbg.session.errors import EngineDied, UsageError

STALE = (
    "gdb still shows what it read before; `maintenance flush register-cache` and `maintenance flush dcache` make it "
    "look again, as the commands of `rrdbg gdb --launch` do by themselves.\n"
)
_UNFIT = {"quit": "`detach` or `disconnect` lets go of the trace, `quit` leaves gdb"}


class Monitor:
    """Runs `monitor` commands on the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._interpreter = Interpreter(session)

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
