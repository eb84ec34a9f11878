"""The application's state and how it shows a position: what both the keys and the engine's answers need."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from textual import events
from textual.app import App
from textual.timer import Timer

from rrdbg.session.program import SourceFile
from rrdbg.session.values import Point
from rrdbg.tui.deck import Deck
from rrdbg.tui.engine import SHOWN, SOON, Engine, Job
from rrdbg.tui.garbage import Collector
from rrdbg.tui.jumps import Jumps
from rrdbg.tui.model import Compared, Overview, Place, Program, Trail, View, Watch, Wish
from rrdbg.tui.prompt import Prompt
from rrdbg.tui.source import Answer, Source
from rrdbg.tui.status import Status, Work
from rrdbg.tui.text import visible
from rrdbg.tui.themes import ThemedSheet
from rrdbg.tui.timeline import Timeline

STEPS = frozenset(
    f"{direction}{verb}" for direction in ("", "reverse-") for verb in ("step", "stepi", "next", "nexti", "tick")
)
"""Commands that walk rather than jump."""

COUNTED = STEPS | {"continue", "reverse-continue"}
"""Commands that take a count."""

REPEATED = 0.06
"""Seconds between two presses of a key that nobody makes."""

REPEATS = 3
"""So many of those in a row: the key is held down. Fewer may have been typed ahead and come at once."""

BACKLOG = 0.12
"""Seconds of steps that may be waiting while a key is held down: so long it goes on when the key is let go."""


FRESH = 0.5
"""Seconds after which what the user did cannot be what something is asked for."""


class Face(App[int]):
    """The widgets, the engine, and what is known of the run."""

    def __init__(self) -> None:
        super().__init__()
        self.stylesheet = ThemedSheet(variables=self.get_css_variables())
        self.timeline = Timeline(id="timeline")
        self.deck = Deck(id="deck")
        self.status = Status(id="status")
        self.prompt_line = Prompt(id="prompt")
        self.engine: Engine
        """Where the jobs go; replaced when the engine has died."""
        self.overview: Overview | None = None
        """What is known of the run, once it is open."""
        self.view: View | None = None
        """What the panes show."""
        self.program: Program | None = None
        """What the program's panes show; it arrives a little later than the view."""
        self.watches: list[Watch] = []
        """Watch expressions."""
        self.edited: Watch | None = None
        """The watch expression that the prompt is editing."""
        self.listing = "source"
        """What the user wants to read: source, code or mixed."""
        self.base: int | None = None
        """Position that the marks of changes refer to; None: the last stop."""
        self.jumps = Jumps()
        """Where the user came from."""
        self.target: int | None = None
        """Where the last seek goes while the engine has not arrived."""
        self.dead = False
        """Whether the engine has died and was not replaced yet."""
        self.collector: Collector | None = None
        """Searches for garbage; None: Python does when it likes to."""
        self._before: View | None = None
        self._pressed = ("", 0.0)
        self._repeats = 0
        self._telling: Timer | None = None
        self._told_of: Job | None = None
        self._heard = 0.0

    async def on_event(self, event: events.Event) -> None:
        """Notice when the user did something, and whether a key is held down."""
        if isinstance(event, events.Key | events.MouseDown | events.MouseUp):
            self._heard = event.time
        if isinstance(event, events.Key):
            key, at = self._pressed
            if event.time != at:  # else it comes back from a widget that did not want it
                self._repeats = self._repeats + 1 if key == event.key and event.time - at < REPEATED else 0
                self._pressed = event.key, event.time
        await super().on_event(event)

    @property
    def unused(self) -> float:
        """Seconds since a key was pressed."""
        return time.monotonic() - self._pressed[1]

    def refresh_css(self, animate: bool = True) -> None:
        """Apply the styles of a theme. The first one is chosen before there is a screen: parsing them can wait."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    @property
    def _held(self) -> bool:
        return self._repeats >= REPEATS

    def say(self, text: str, severity: str = "reason") -> None:
        """Put one line into the status line: severity is reason, ok or error."""
        self.status.put(message=(severity, text))

    def ask(self, job: Job) -> None:
        """Queue a job of the user's, or say that nobody is there to do it."""
        if self.dead:
            self.say("the engine has ended: press r to reopen the trace", "error")
        else:
            now = time.monotonic()
            if 0 <= now - self._heard < FRESH:
                job.asked, self._heard = self._heard, 0.0
            self.engine.submit(job)
            if job.title and self._telling is None:
                self._tell_after(SOON - (now - job.asked))

    def _tell_after(self, seconds: float) -> None:
        # A key may have waited for the screen to be drawn: then it is time already.
        if seconds > 0:
            self._telling = self.set_timer(seconds, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        """Say what the user waits for, if it takes long."""
        self._telling = None
        job = self.engine.awaited
        if job is None or self.view is None or (self.status.work is not None and self._told_of is job):
            return
        left = SOON - (time.monotonic() - job.asked)
        if left > 0:
            self._tell_after(left)
        else:
            self.put_work(job, Work(job.title))

    def put_work(self, job: Job | None, work: Work) -> None:
        """Say what the engine does, and for which job."""
        self._told_of = job
        self.status.put(work=work)

    def times(self, kind: str) -> int:
        """Return how often a step is to be made now: those of its kind that wait, and this one.

        A key that is held down asks for more of them than the engine may be able to make: 0 is for those that would go
        on after the key was let go.
        """
        owed = self.engine.owed(kind)
        if owed and self._held and (owed + 1) * self.engine.pace(kind) > BACKLOG:
            return 0
        return owed + 1

    @property
    def here(self) -> int:
        """The position the user means by here: where the last seek goes, or where the panes are."""
        return self.target if self.target is not None else (self.view.position if self.view else 0)

    # showing a position

    def moved(self, view: View) -> None:
        """Show a new view."""
        before = self.view
        if before is not None and view.position != before.position:
            self._before = before if not before.frame else None
        self.view = view
        if not self.engine.waits_for("goto"):
            self.target = None
            self.timeline.show(view.position)
        self.timeline.time.learn(view.position, view.virtual_ns)
        self.status.put(view=view)
        deck = self.deck
        if view.source:
            deck.know_program(True)
            file, _, line = view.source.rpartition(":")
            if not view.frame and line.isdigit() and not deck.source.glance(file, int(line)):
                self._open_source(view.position, file, int(line))
        elif before is None:
            deck.list_as("code")
        compared = self._before if not view.frame else None
        deck.registers.show(view, compared)
        deck.csrs.show(view, compared)
        deck.console.show(view.position)
        deck.events.show(view.position)
        deck.memory.show(view.position)
        deck.marks.show(view.position)
        self.show_points(view.points)
        deck.code.show(view)
        if before is None or view.marks != before.marks:
            deck.marks.set_marks(view.marks)
            self.timeline.set_marks({mark.position: visible(mark.name or mark.text) for mark in view.marks})
        self.look(deck.memory.expression or "$sp")
        self.refresh_program()
        self.refresh_trail()
        self.refresh_compared()

    def _open_source(self, position: int, file: str, line: int) -> None:
        """Ask for the text of the file alone: stack and variables take longer the first time."""

        def then(found: tuple[SourceFile | None, str]) -> None:
            if found[0] is not None and self.view is not None and self.view.position == position:
                self.deck.source.open(found[0], line)

        self.engine.submit(Job("text", "", lambda source: source.program.source(file), then, background=SHOWN))

    def show_points(self, points: Sequence[Point]) -> None:
        """Show breakpoints, watchpoints and catchpoints."""
        if self.view is not None and self.view.points != points:
            self.view = replace(self.view, points=tuple(points))
        deck = self.deck
        deck.breaks.set_points(points)
        deck.source.set_points(points)
        if self.view is not None:
            deck.code.breakpoints = self.view.breakpoints
            deck.code.redraw()

    def refresh_program(self) -> None:
        """Ask for the stack, the variables and the source of what is shown; a newer wish replaces an older one."""
        wish = Wish(
            frozenset(self.deck.locals.opened | self.deck.watches.opened),
            tuple(self.watches),
            self.listing == "mixed",
        )
        if not self.dead:
            job = Job("program", "", lambda source: source.program.program(wish), self._programmed, background=SHOWN)
            self.engine.submit(job)

    def _programmed(self, program: Program) -> None:
        view = self.view
        if view is None or (program.position, program.frame) != (view.position, view.frame):
            return  # the cursor went on: the next one is on its way
        self.program = program
        deck = self.deck
        if program.variables or program.source is not None:
            deck.know_program(True)
        deck.source.show(program)
        deck.stack.show(program)
        deck.locals.show(program)
        deck.watches.show(program)
        deck.code.set_program(program)
        self.choose_listing(program.source is not None)

    def choose_listing(self, source: bool) -> None:
        """Show what the user wants to read; the disassembly where there is no source."""
        self.deck.code.mix(self.listing == "mixed")
        self.deck.list_as("source" if source and self.listing == "source" else "code")

    def refresh_trail(self) -> None:
        """Ask for the lines executed around the cursor, if they are on the screen."""
        if self.deck.is_shown("source") and not self.dead:

            def then(trail: Trail) -> None:
                if self.view is not None and trail.position == self.view.position:
                    self.deck.source.set_trail(trail)

            self.engine.submit(Job("trail", "", lambda source: source.program.trail(), then, background=SHOWN))

    def refresh_compared(self) -> None:
        """Ask how the machine differs from the base, if anything on the screen shows it."""
        deck, view = self.deck, self.view
        base = self.base if self.base is not None else self._before.position if self._before is not None else None
        if self.base is None:
            for pane in (deck.registers, deck.csrs, deck.memory):
                pane.compare(None)
        if view is None or base is None or self.dead or (self.base is None and not deck.is_shown("diff")):
            return
        shown = deck.diff.compared
        if shown is not None and (shown.base, shown.position) == (base, view.position):
            return
        deck.diff.show(None)

        def then(compared: Compared) -> None:
            if self.view is None or compared.position != self.view.position:
                return
            deck.diff.show(compared)
            if self.base == compared.base:
                for pane in (deck.registers, deck.csrs, deck.memory):
                    pane.compare(compared)

        self.engine.submit(Job("diff", "", lambda source: source.program.compared(base), then, background=SHOWN))

    def browse(self, what: str | int) -> None:
        """Look at a piece of the program; the cursor stays."""

        def then(place: Place) -> None:
            self.deck.source.look(place)
            self.deck.code.look(place)
            self.choose_listing(place.source is not None)
            shown = "source" if self.deck.is_shown("source") and place.source is not None else "code"
            self.deck.reveal(shown, focus=True)
            self.say(f"{visible(place.location.text) or f'{place.location.address:x}'}; p returns")

        self.ask(Job("browse", "looking it up", lambda source: source.program.place(what), then))

    # what is asked for

    def move(
        self, title: str, work: Callable[[Source], Any], *, kind: str = "", count: int = 1, jump: bool = True
    ) -> None:
        """Queue a job that moves the session, then show where it is.

        Args:
            title: What the status line says if it takes long.
            work: Moves.
            kind: A newer job of the same kind replaces it.
            count: How often it moves.
            jump: `back` returns to where it started.
        """

        def job(source: Source) -> View:
            work(source)
            return source.view()

        if jump:
            self.jumps.leave(self.here)
        self.status.put(message=None)
        self.ask(Job(kind, title, job, self._came_to, count=count))

    def _came_to(self, view: View) -> None:
        """Show where a motion ended; what was answered while it waited for its turn is about another position."""
        if self.view is not None and view.position != self.view.position:
            self.status.put(message=None)
        self.moved(view)

    def look(self, expression: str, *, asked: bool = False) -> None:
        """Show memory at an expression's value; `asked`: the user waits for it."""

        def then(address: int) -> None:
            self.deck.memory.look(expression, address)

        work: Callable[[Source], int] = lambda source: source.evaluate(expression)  # noqa: E731
        if asked:
            self.ask(Job("look", "looking at memory", work, then))
        elif not self.dead:
            self.engine.submit(Job("look", "", work, then, background=SHOWN))

    def run_line(self, line: str, *, echo: bool) -> None:
        """Run a command line; `echo` keeps it and its answer in the log."""
        verb = line.split(None, 1)[0]
        start = self.here
        counted = line in COUNTED and not echo
        kind = line if counted else ""
        count = self.times(kind) if counted else 0 if self._held and self.engine.has(line) else 1
        if not count:
            return
        whole = f"{line} {count}" if count > 1 else line

        def work(source: Source) -> tuple[Answer, View]:
            return source.command(whole), source.view()

        def then(result: tuple[Answer, View]) -> None:
            answer, view = result
            if answer.quit:
                self.exit(0)
                return
            if view.position != start and verb not in STEPS:
                self.jumps.leave(start)
            self._came_to(view)
            if answer.text and (echo or answer.stop is None):
                self.deck.log_pane.write(answer.text)
            lines = answer.text.strip().splitlines()
            if echo and answer.stop is None and lines:
                if len(lines) > 1:
                    self.deck.reveal("log", focus=False)
                else:
                    self.say(lines[0])

        self.status.put(message=None)
        self.jumps.settle()
        if echo:
            self.deck.log_pane.echo(line)
        self.ask(Job(kind, line, work, then, count=count))
