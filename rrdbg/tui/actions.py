"""What the keys do. Everything that needs the engine becomes a job; the rest happens at once."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from rrdbg.tui.engine import Job
from rrdbg.tui.face import Face
from rrdbg.tui.help import HelpScreen
from rrdbg.tui.player import Player
from rrdbg.tui.source import Source

PLAY_HZ = 10
"""Positions shown per second of play."""

AGAIN = 2.0
"""Seconds within which a second Ctrl-C quits."""


class Actions(Face):
    """The actions of the key table."""

    def __init__(self) -> None:
        super().__init__()
        self.player = Player()
        """Whether and how fast the cursor walks by itself."""
        self._interrupted = 0.0

    # moving

    @property
    def here(self) -> int:
        """The position the user means by here: where the last seek goes, or where the panes are."""
        return self.target if self.target is not None else (self.view.position if self.view else 0)

    def seek(self, position: int) -> None:
        """Go to a position; the timeline's cursor is there at once."""
        if self.overview is None:
            return
        position = min(max(position, 0), self.overview.total)
        self.target = position
        self.timeline.show(position)
        self.move("going there", lambda source: source.goto(position), kind="goto", quiet=True)

    def action_goto(self, position: str) -> None:
        """Go to a position as the user writes it."""
        self.stop_playing()
        if self.overview is not None and position in ("start", "end"):
            self.seek(0 if position == "start" else self.overview.total)
        else:
            self.move(f"goto {position}", lambda source: source.goto(position))

    def action_run_command(self, line: str) -> None:
        """Run a line of the command table."""
        self.stop_playing()
        self.run_line(line, echo=False)

    def action_scrub(self, columns: int) -> None:
        """Move by columns of the timeline, at least one step."""
        self.stop_playing()
        window = self.timeline.window
        step = max(window.span // window.columns, 1)
        self.seek(self.here + columns * step)

    def action_zoom(self, factor: float) -> None:
        """Zoom the timeline."""
        self.timeline.zoom(factor)

    def action_event(self, direction: int) -> None:
        """Go to the previous or the next event."""
        positions = [event.icount for event in self.deck.events.events]
        self._neighbour(positions, direction, "event")

    def action_mark(self, direction: int) -> None:
        """Go to the previous or the next bookmark."""
        self._neighbour(sorted(mark.position for mark in (self.view.marks if self.view else ())), direction, "bookmark")

    def _neighbour(self, positions: Sequence[int], direction: int, noun: str) -> None:
        self.stop_playing()
        index = bisect_right(positions, self.here) if direction > 0 else bisect_left(positions, self.here) - 1
        if 0 <= index < len(positions):
            self.seek(positions[index])
        else:
            self.say(f"no {noun} {'after' if direction > 0 else 'before'} this position")

    # playing

    def action_play(self, direction: int) -> None:
        """Play in a direction, or pause."""
        if self.player.direction or self.overview is None:
            self.stop_playing()
        else:
            self.player.start(direction, self.timeline.window.span, time.monotonic())
            self.status.put(playing=self.player.text, message=None)

    def action_speed(self, direction: int) -> None:
        """Play faster or slower."""
        self.player.change(direction, self.timeline.window.span)
        if self.player.direction:
            self.status.put(playing=self.player.text, message=None)
        else:
            self.say(f"speed {self.player.text[2:]}")

    def stop_playing(self) -> None:
        """Pause."""
        self.player.stop()
        self.status.put(playing="")

    def play_tick(self) -> None:
        """Move on as far as time has; waits for an engine that has not arrived."""
        if not self.player.direction or self.overview is None or self.engine.busy:
            return
        steps = self.player.due(time.monotonic())
        if not steps:
            return
        goal = self.here + steps
        if not 0 <= goal <= self.overview.total:
            self.stop_playing()
        self.seek(goal)

    # breakpoints, verification, cancelling

    def action_toggle_breakpoint(self) -> None:
        """Set or remove a breakpoint at the selected line of the disassembly."""
        address = self.deck.code.address(self.deck.code.selected)
        if address is not None:
            self.toggle_breakpoint(address)

    def toggle_breakpoint(self, address: int) -> None:
        """Set or remove a breakpoint at an address."""

        def work(source: Source) -> tuple[bool, frozenset[int]]:
            return source.toggle_breakpoint(address), source.breakpoints()

        def then(result: tuple[bool, frozenset[int]]) -> None:
            self.deck.code.breakpoints = result[1]
            self.deck.code.refresh()
            self.say(f"breakpoint at {address:x} {'set' if result[0] else 'removed'}")

        self.ask(Job("", "", work, then))

    def action_until(self, direction: int) -> None:
        """Run to the selected line of the disassembly."""
        address = self.deck.code.address(self.deck.code.selected)
        if address is not None:
            self.stop_playing()
            self.move(f"run to {address:x}", lambda source: source.until(address, reverse=direction < 0))

    def action_verify(self) -> None:
        """Replay the whole trace against its digests."""

        def then(result: tuple[bool, str]) -> None:
            good, text = result
            self.status.put(verified="✔ verified" if good else "✘ DIVERGED")
            self.deck.log_pane.write(text, "text" if good else "error")
            self.say(text, "ok" if good else "error")

        self.stop_playing()
        self.ask(Job("verify", "verify", lambda source: source.verify(), then))

    def action_cancel(self) -> None:
        """Cancel what runs; if nothing does, put a maximised pane back."""
        if self.player.direction:
            self.stop_playing()
        elif self.view is not None and self.engine.cancel():
            self.say("cancelling")
        elif self.deck.maximised is not None:
            self.deck.maximise(None)
        else:
            self.status.put(message=None)

    def action_interrupt(self) -> None:
        """Cancel what runs, as in gdb; if nothing does, quit at the second press."""
        if self.view is None:
            self.exit(0)
        elif self.player.direction:
            self.stop_playing()
        elif self.engine.cancel():
            self.say("cancelling")
        elif time.monotonic() - self._interrupted < AGAIN:
            self.exit(0)
        else:
            self._interrupted = time.monotonic()
            self.say("nothing runs: press Ctrl-C again, or q, to quit")

    # panes and screens

    def action_pane(self, name: str) -> None:
        """Show a pane and give it the focus."""
        self.deck.reveal(name, focus=True)

    def action_maximise(self) -> None:
        """Maximise the focused pane, or put it back."""
        if self.deck.maximised is not None:
            self.deck.maximise(None)
        elif self.focused is not None and self.focused.id is not None and self.focused in self.deck.children:
            self.deck.maximise(self.focused.id)

    def action_follow(self) -> None:
        """Bring the disassembly back to pc."""
        if self.view is not None:
            self.deck.code.show(self.view)

    def action_prompt(self, text: str) -> None:
        """Open the command prompt with text typed already."""
        self.screen.add_class("-prompting")
        self.prompt_line.open(text)

    def action_help(self) -> None:
        """Show every key and command."""
        self.push_screen(HelpScreen(self.overview.commands if self.overview else ()))

    def action_next_theme(self) -> None:
        """Take the next theme."""
        names = sorted(self.available_themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.say(f"theme {self.theme}")
