"""What the keys do. Everything that needs the engine becomes a job; the rest happens at once."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from textual.widgets import Static

from rrdbg.session.program import FrameInfo
from rrdbg.session.values import Point
from rrdbg.tui.engine import Job
from rrdbg.tui.help import HelpScreen
from rrdbg.tui.keys import KEYS, Key, remapped
from rrdbg.tui.model import View
from rrdbg.tui.own import OwnCommands
from rrdbg.tui.pane import Pane
from rrdbg.tui.panes.values import TreePane
from rrdbg.tui.player import Player
from rrdbg.tui.source import Source
from rrdbg.tui.text import visible

PLAY_HZ = 10
"""Positions shown per second of play."""

AGAIN = 2.0
"""Seconds within which a second Ctrl-C quits."""


class Actions(OwnCommands):
    """The actions of the key table."""

    def __init__(self) -> None:
        super().__init__()
        self.player = Player()
        """Whether and how fast the cursor walks by itself."""
        self.keys: tuple[Key, ...] = KEYS
        """The keys as they are bound now."""
        self._interrupted = 0.0
        self._restyling = False

    # moving

    def seek(self, position: int, *, glide: str = "") -> None:
        """Go to a position; the timeline's cursor is there at once. `glide`: part of a longer movement of that name."""
        if self.overview is None:
            return
        position = min(max(position, 0), self.overview.total)
        self.jumps.leave(self.here, glide)
        self.target = position
        self.timeline.show(position)
        self.move("going there", lambda source: source.goto(position), kind="goto", jump=False)

    def action_step(self, how: str, direction: int) -> None:
        """Step what one reads: a source line, or an instruction when the disassembly is in front."""
        reverse = direction < 0
        self.stop_playing()
        if not self.reads_source:
            verb = "stepi" if how == "in" else "nexti"
            self.run_line(f"reverse-{verb}" if reverse else verb, echo=False)
            return
        verb = "step" if how == "in" else "next"
        self.jumps.settle()
        title = f"reverse-{verb}" if reverse else verb
        count = self.times(title)
        if count:
            work = partial(Source.step, over=how == "over", reverse=reverse, count=count)
            self.move(title, work, kind=title, count=count, jump=False)

    @property
    def reads_source(self) -> bool:
        """Whether the user reads source text rather than instructions."""
        deck = self.deck
        return deck.source.file is not None and deck.source.display and not deck.code.has_focus

    @property
    def selected_place(self) -> str | int | None:
        """The selected line: `file:line` in the source, an address in the disassembly."""
        deck = self.deck
        if self.reads_source and (deck.source.has_focus or not deck.code.has_focus):
            return deck.source.place()
        return deck.code.address(deck.code.selected)

    def action_land(self) -> None:
        """Go to where the run went wrong."""
        self.stop_playing()
        self.move("looking for where it went wrong", lambda source: source.land())

    def action_pan(self, share: float) -> None:
        """Move the zoom window; the cursor stays."""
        self.timeline.look(self.timeline.window.pan(share))

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

    def enter(self, line: str) -> None:
        """Run what the user typed at the prompt."""
        self.stop_playing()
        if self.run_own(line):
            self.deck.log_pane.echo(line)
        else:
            self.run_line(line, echo=True)

    def action_scrub(self, columns: int) -> None:
        """Move by columns of the timeline, at least one step."""
        self.stop_playing()
        window = self.timeline.window
        step = max(window.span // window.columns, 1)
        self.seek(self.here + columns * step, glide="scrub")

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
            # the first move is due: it tells that the key was heard
            self.player.start(direction, self.timeline.window.span, time.monotonic() - 1 / PLAY_HZ)
            self.status.put(playing=self.player.text, message=None)
            self.play_tick()

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
        self.seek(goal, glide="play")

    # breakpoints, verification, cancelling

    def action_toggle_breakpoint(self) -> None:
        """Set or remove a breakpoint at the selected line."""
        place = self.selected_place
        if place is not None:
            self.toggle_breakpoint(place)

    def toggle_breakpoint(self, place: int | str) -> None:
        """Set or remove a breakpoint at an address or `file:line`."""
        self.change_points(lambda source: source.toggle_breakpoint(place))

    def change_points(self, work: Callable[[Source], str | None]) -> None:
        """Queue a job that changes breakpoints; what it returns is said."""

        def then(result: tuple[str | None, Sequence[Point]]) -> None:
            self.show_points(result[1])
            if result[0]:
                self.say(visible(result[0]))

        title = "setting breakpoints"
        self.ask(Job("", title, lambda source: (work(source), tuple(source.session.points())), then))

    def action_until(self, direction: int) -> None:
        """Run to the selected line."""
        place = self.selected_place
        if place is not None:
            self.stop_playing()
            name = f"{place:x}" if isinstance(place, int) else visible(place.rsplit("/", 1)[-1])
            title = f"run {'back ' if direction < 0 else ''}to {name}"
            self.move(title, lambda source: source.until(place, reverse=direction < 0))

    def action_written(self, direction: int) -> None:
        """Run to the next change of the selected value, or back before the last one."""
        expression = self._selected_value()
        if expression is None:
            self.say("select a value first: in the locals or the watch pane, or add one with a")
            return
        self.stop_playing()
        title = f"looking for the {'last' if direction < 0 else 'next'} change of {visible(str(expression))}"
        self.move(title, lambda source: source.written(expression, reverse=direction < 0))

    def _selected_value(self) -> str | None:
        deck = self.deck
        focused = self.focused
        if focused is deck.memory and deck.memory.address is not None:
            return f"*(u64*){deck.memory.address:#x}"
        panes = [focused] if isinstance(focused, TreePane) else [deck.watches, deck.locals]
        for pane in panes:
            row = pane.row() if isinstance(pane, TreePane) else None
            if row is not None and row.variable.expression:
                return row.variable.expression
        return None

    # the program

    def action_frame(self, direction: int) -> None:
        """Select the calling frame, or the one called."""

        def then(view: View | None) -> None:
            if view is not None:
                self.moved(view)
            else:
                self.say("this is the outermost frame" if direction > 0 else "this is the innermost frame")

        self.status.put(message=None)
        title = "selecting a frame"
        self.ask(Job("", title, lambda source: source.view() if source.turn(direction) else None, then))

    def select_frame(self, number: int) -> None:
        """Select a frame: source, variables and registers follow."""

        def work(source: Source) -> View:
            source.select(number)
            return source.view()

        self.status.put(message=None)
        self.ask(Job("frame", "selecting a frame", work, self.moved))

    def choose_frame(self, chosen: int | FrameInfo | None) -> None:
        """Do what a row of the stack means: select a frame, or go to where a trap was taken."""
        if isinstance(chosen, FrameInfo):
            self.select_frame(chosen.number)
        elif chosen is not None:
            self.seek(chosen)

    def action_listing(self) -> None:
        """Go on to the disassembly, to both mixed, and to the source again."""
        deck = self.deck
        both = deck.is_shown("source") and deck.is_shown("code")
        order = ("source", "mixed") if both else ("source", "code", "mixed")
        shown = "source" if deck.is_shown("source") else "mixed" if deck.code.mixed else "code"
        if both:
            shown = "mixed" if deck.code.mixed else "source"
        self.listing = order[(order.index(shown) + 1) % len(order)]
        self.choose_listing(True)
        self.refresh_program()
        self.say({"source": "source", "code": "disassembly", "mixed": "source and disassembly"}[self.listing])

    # lists

    def action_remove(self) -> None:
        """Delete what is selected: a breakpoint, a watch expression, a bookmark or a note."""
        deck = self.deck
        if self.focused is deck.watches:
            row = deck.watches.row()
            if row is not None:
                del self.watches[row.root]
                self.refresh_program()
        elif self.focused is deck.breaks and (point := deck.breaks.row()) is not None:
            self.change_points(lambda source: source.remove(point))
        elif self.focused is deck.marks and deck.marks.selected < len(deck.marks.marks):
            mark = deck.marks.marks[deck.marks.selected]
            self.move("deleting", lambda source: source.remove(mark), jump=False)
        else:
            self.say("nothing to delete here: select a breakpoint, a watch expression, a bookmark or a note")

    def action_enable(self) -> None:
        """Disable the selected breakpoint, or enable it."""
        point = self.deck.breaks.row()
        if point is None:
            self.say("there is no breakpoint")
        else:
            self.change_points(lambda source: source.enable(point))

    def action_edit(self) -> None:
        """Edit the condition of the selected breakpoint, or the selected watch expression."""
        deck = self.deck
        if self.focused is deck.watches and (row := deck.watches.row()) is not None:
            watch = self.watches[row.root]
            self.action_prompt(f"display{'/' + watch.format if watch.format else ''} {watch.expression}")
            self.edited = watch
        elif (point := deck.breaks.row()) is not None:
            self.action_prompt(f"condition {point.number} {point.condition}")
        else:
            self.say("nothing to edit here: select a breakpoint or a watch expression")

    def action_turn(self, direction: int) -> None:
        """Show the next pane of the place that has the focus."""
        focused = self.focused
        if isinstance(focused, Pane) and focused.id is not None and focused in self.deck.children:
            self.deck.turn(focused.id, direction)
            self.revealed(self.focused.id if self.focused is not None else None)

    def action_search(self) -> None:
        """Search the console while a text is typed."""
        self.deck.reveal("console", focus=True)
        self._open_prompt("", search=True)

    def action_match(self, direction: int) -> None:
        """Look at the next or the previous match in the console."""
        if not self.deck.console.go_on(direction):
            self.say("nothing was found: / searches the console")

    def _open_prompt(self, text: str, *, search: bool) -> None:
        self.edited = None
        self.query_one("#colon", Static).update("/ " if search else ": ")
        self.query_one("#bar").add_class("-prompting")
        self.prompt_line.open(text, search=search)

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
        elif self.deck.console.pattern:
            self.deck.console.leave_search()
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
        if name == "source" and self.deck.source.has_focus:
            name = "code"
        self.deck.reveal(name, focus=True)
        if name in ("source", "code"):
            self.listing = name if name == "source" or not self.deck.code.mixed else "mixed"
        self.revealed(name)

    def revealed(self, name: str | None) -> None:
        """Ask for what a pane shows that was not on the screen so far."""
        if name == "source":
            self.refresh_trail()
        elif name == "diff":
            self.refresh_compared()

    def action_maximise(self) -> None:
        """Maximise the focused pane, or put it back."""
        if self.deck.maximised is not None:
            self.deck.maximise(None)
        elif self.focused is not None and self.focused.id is not None and self.focused in self.deck.children:
            self.deck.maximise(self.focused.id)

    def action_follow(self) -> None:
        """Bring source and disassembly back to where the program stands."""
        if self.view is not None:
            self.deck.code.show(self.view)
        if self.program is not None:
            self.deck.source.show(self.program)
            self.choose_listing(self.program.source is not None)

    def action_prompt(self, text: str) -> None:
        """Open the command prompt with text typed already."""
        self._open_prompt(text, search=False)

    def action_help(self) -> None:
        """Show every key and command."""
        self.push_screen(HelpScreen(self.keys, self.overview.commands if self.overview else ()))

    def use_keys(self, keymap: Mapping[str, str]) -> None:
        """Bind other keys: those of a key map, by the names of the key table."""
        self.keys = remapped(keymap)
        self.set_keymap({key: names or "none" for key, names in keymap.items()})

    def action_next_theme(self) -> None:
        """Take the next theme: the line that tells its name wears it at once; all of it takes longer than a key may."""
        names = sorted(self.available_themes)
        self.set_reactive(Actions.theme, names[(names.index(self.theme) + 1) % len(names)])
        self.say(f"theme {self.theme}")
        self.stylesheet.set_variables(self.get_css_variables())
        self.stylesheet.reparse()
        self.stylesheet.update(self.status)
        if not self._restyling:
            self._restyling = True
            self.call_after_refresh(self._restyle)

    def _restyle(self) -> None:
        self._restyling = False
        self.mutate_reactive(Actions.theme)
