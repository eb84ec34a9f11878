"""The commands that the interface takes for itself: what they show has a pane here."""

from __future__ import annotations

import re

from rrdbg.tui.engine import Job
from rrdbg.tui.face import Face
from rrdbg.tui.model import Watch
from rrdbg.tui.source import Source
from rrdbg.tui.text import visible

_DISPLAY = re.compile(r"display(?:\s*/(\w+))?\s+(.+)", re.DOTALL)


class OwnCommands(Face):
    """`memory`, `compare`, `display`, `undisplay`, `list`, `back`, `forward`."""

    def run_own(self, line: str) -> bool:
        """Run a line if its command is one of the interface's own; return whether it was."""
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match word.partition("/")[0], rest:
            case "memory", _ if rest:
                self.deck.reveal("memory", focus=False)
                self.look(rest, asked=True)
            case "compare", _:
                self.compare(rest)
            case "display", _ if rest:
                found = _DISPLAY.fullmatch(line.strip())
                if found is None:
                    return False
                self.add_watch(Watch(found[2].strip(), found[1] or ""))
            case "undisplay", _:
                self._undisplay(rest)
            case (("list" | "l"), _) if rest and "," not in rest:
                self.browse(rest)
            case "back", "":
                self.action_jump(-1)
            case "forward", "":
                self.action_jump(1)
            case _:
                return False
        return True

    # watch expressions

    def add_watch(self, watch: Watch) -> None:
        """Show an expression at each stop; one that is being edited is replaced."""
        if self.edited in self.watches:
            self.watches[self.watches.index(self.edited)] = watch
        elif watch not in self.watches:
            self.watches.append(watch)
        self.edited = None
        self.deck.reveal("watches", focus=False)
        self.deck.watches.selected = self.watches.index(watch) if watch in self.watches else 0
        self.refresh_program()

    def _undisplay(self, number: str) -> None:
        if not number:
            self.watches = []
        elif number.isdigit() and 0 < int(number) <= len(self.watches):
            del self.watches[int(number) - 1]
        else:
            self.say(f"no watch expression '{visible(number)}': they are numbered from 1", "error")
            return
        self.refresh_program()

    # comparing

    def compare(self, position: str) -> None:
        """Let marks of changes refer to a position from now on; empty: to the last stop again."""
        deck = self.deck

        def then(base: int) -> None:
            self.base = base
            deck.diff.base = position
            deck.diff.compared = None
            deck.reveal("diff", focus=False)
            self.refresh_compared()

        if position:
            self.ask(Job("", "looking it up", lambda source: source.position(position), then))
            return
        self.base = None
        deck.diff.base = ""
        deck.diff.compared = None
        deck.reveal("diff", focus=False)
        self.refresh_compared()
        self.say("comparing with the last stop")

    # back and forward

    def action_jump(self, direction: int) -> None:
        """Go back over the last jump (-1), or forward again (1)."""
        if direction < 0:
            self._travel(self.jumps.back(self.here), "there is nothing to go back to")
        else:
            self._travel(self.jumps.forward(self.here), "there is nothing to go forward to")

    def _travel(self, position: int | None, nothing: str) -> None:
        if position is None:
            self.say(nothing)
            return

        def work(source: Source) -> None:
            source.goto(position)

        self.target = position
        self.timeline.show(position)
        self.move("going there", work, kind="goto", jump=False)
