"""The application's state and how it shows a position: what both the keys and the engine's answers need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from rrdbg.tui.deck import Deck
from rrdbg.tui.engine import Engine, Job
from rrdbg.tui.model import Overview, View
from rrdbg.tui.prompt import Prompt
from rrdbg.tui.source import Answer, Source
from rrdbg.tui.status import Status
from rrdbg.tui.text import visible
from rrdbg.tui.timeline import Timeline


class Face(App[int]):
    """The widgets, the engine, and what is known of the run."""

    def __init__(self) -> None:
        super().__init__()
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
        self.target: int | None = None
        """Where the last seek goes while the engine has not arrived."""
        self.dead = False
        """Whether the engine has died and was not replaced yet."""
        self._before: View | None = None

    def say(self, text: str, severity: str = "reason") -> None:
        """Put one line into the status line: severity is reason, ok or error."""
        self.status.put(message=(severity, text))

    def ask(self, job: Job) -> None:
        """Queue a job of the user's, or say that nobody is there to do it."""
        if self.dead:
            self.say("the engine has ended: press r to reopen the trace", "error")
        else:
            self.engine.submit(job)

    def moved(self, view: View) -> None:
        """Show a new view."""
        before = self.view
        if before is not None and view.position != before.position:
            self._before = before
        self.view = view
        if not self.engine.waits_for("goto"):
            self.target = None
            self.timeline.show(view.position)
        self.timeline.time.learn(view.position, view.virtual_ns)
        self.status.put(view=view)
        deck = self.deck
        deck.code.breakpoints = view.breakpoints
        deck.code.show(view)
        deck.registers.show(view, self._before)
        deck.csrs.show(view, self._before)
        deck.console.show(view.position)
        deck.events.show(view.position)
        deck.memory.show(view.position)
        deck.marks.show(view.position)
        if before is None or view.marks != before.marks:
            deck.marks.set_marks(view.marks)
            self.timeline.set_marks({mark.position: visible(mark.name or mark.text) for mark in view.marks})
        self.look(deck.memory.expression or "$sp")

    def move(self, title: str, work: Callable[[Source], Any], *, kind: str = "", quiet: bool = False) -> None:
        """Queue a job that moves the session, then show where it is; `quiet`: it is said only if it takes long."""

        def job(source: Source) -> View:
            work(source)
            return source.view()

        self.status.put(message=None)
        self.ask(Job(kind, title, job, self.moved, quiet=quiet))

    def look(self, expression: str) -> None:
        """Show memory at an expression's value."""

        def then(address: int) -> None:
            self.deck.memory.look(expression, address)

        self.ask(Job("look", "", lambda source: source.evaluate(expression), then))

    def run_line(self, line: str, *, echo: bool) -> None:
        """Run a command line; `echo` keeps it and its answer in the log."""
        words = line.split(None, 1)
        if words[0] == "memory" and len(words) > 1:
            self.deck.reveal("memory", focus=False)
            self.look(words[1].strip())
            return

        def work(source: Source) -> tuple[Answer, View]:
            return source.command(line), source.view()

        def then(result: tuple[Answer, View]) -> None:
            answer, view = result
            if answer.quit:
                self.exit(0)
                return
            self.moved(view)
            if answer.text and (echo or answer.stop is None):
                self.deck.log_pane.write(answer.text)
            lines = answer.text.strip().splitlines()
            if echo and answer.stop is None and lines:
                if len(lines) > 1:
                    self.deck.reveal("log", focus=False)
                else:
                    self.say(lines[0])

        self.status.put(message=None)
        if echo:
            self.deck.log_pane.echo(line)
        self.ask(Job("", line, work, then))
