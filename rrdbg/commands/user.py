"""Commands for the user's own marks: bookmark, note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg.commands.table import Arg, Call, Group, Output, command
from rrdbg.session.errors import UsageError

if TYPE_CHECKING:
    from rrdbg.commands.interpreter import Interpreter


@command(
    "bookmark",
    Group.USER,
    "give the current position a name",
    "NAME [TEXT]",
    args=(Arg.BOOKMARK,),
    details="`goto @NAME` goes there. An existing name moves. Kept in a file beside the trace.",
)
def _bookmark(interpreter: Interpreter, call: Call) -> Output:
    name, _, text = call.args.partition(" ")
    if not name:
        raise UsageError("bookmark needs a name: bookmark NAME [TEXT]")
    mark = interpreter.session.bookmark(name.removeprefix("@"), None, text.strip())
    return Output(f"Bookmark @{mark.name} at {mark.icount:_}.", mark)


@command("note", Group.USER, "write a remark about the current position", "TEXT")
def _note(interpreter: Interpreter, call: Call) -> Output:
    note = interpreter.session.note(call.args)
    return Output(f"Note {note.number} at {note.icount:_}.", note)


@command("delete bookmark", Group.USER, "delete a bookmark", "NAME", args=(Arg.BOOKMARK,))
def _delete_bookmark(interpreter: Interpreter, call: Call) -> Output:
    if not call.args:
        raise UsageError("delete bookmark needs a name", hint="`info bookmarks` lists them")
    interpreter.session.delete_bookmark(call.args.removeprefix("@"))
    return Output()


@command("delete note", Group.USER, "delete a note", "NUMBER")
def _delete_note(interpreter: Interpreter, call: Call) -> Output:
    if not call.args.isdecimal():
        raise UsageError("delete note needs a number", hint="`info notes` lists them")
    interpreter.session.delete_note(int(call.args))
    return Output()
