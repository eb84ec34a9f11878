"""Commands about the recording: when, verify."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rrdbg.commands.table import Call, Group, Output, command
from rrdbg.session.errors import UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter


@command("when", Group.TRACE, "say where in the recording this is")
def _when(interpreter: Interpreter, call: Call) -> Output:
    when = interpreter.session.when()
    where = f" <{when.location.text}>" if when.location.text else ""
    source = f" at {when.location.source}" if when.location.source else ""
    text = (
        f"Position: {when.icount:_} of {when.end:_} ({when.share:.1%}), {when.virtual_ns / 1e6:.6f} ms, "
        f"hart {when.hart} in {when.priv} mode at {when.pc:#x}{where}{source}{', waiting' if when.waiting else ''}"
    )
    return Output(text, when)


@command(
    "verify",
    Group.TRACE,
    "replay the whole trace against its check words and digests",
    "[--pauses N] [--seed S]",
    details="With pauses, also stops at N random steps, and goes on in a fresh machine after half of them.",
)
def _verify(interpreter: Interpreter, call: Call) -> Output:
    options = {"pauses": 0, "seed": 0}
    rest = call.args
    while rest:
        match = re.match(r"--(pauses|seed)[ =](\d[\d_]*)\s*", rest)
        if match is None:
            raise UsageError(f"verify does not know {rest!r}", hint="verify [--pauses N] [--seed S]")
        options[match[1]] = int(match[2])
        rest = rest[match.end() :]
    result = interpreter.session.verify(pauses=options["pauses"], seed=options["seed"])
    return Output(result.text, result)
