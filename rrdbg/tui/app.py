"""The application: the screen, the way from the engine's answers to the panes, and from the user to the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rrdbg_core.errors import ExitCode, RrdbgError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from rrdbg.session.api import ProgressCallback
from rrdbg.session.errors import EngineDied
from rrdbg.session.values import ConsoleChunk, EventRow
from rrdbg.tui.actions import PLAY_HZ, Actions
from rrdbg.tui.engine import NOTICEABLE, Advanced, Busy, Done, Engine, Failed, Job, Opener
from rrdbg.tui.hints import Hints
from rrdbg.tui.keys import KEYS
from rrdbg.tui.model import Overview
from rrdbg.tui.palette import TableProvider
from rrdbg.tui.pane import Pane
from rrdbg.tui.panes.memory import MemoryPane
from rrdbg.tui.prompt import Prompt
from rrdbg.tui.scale import TimeMap
from rrdbg.tui.source import Source
from rrdbg.tui.status import Work
from rrdbg.tui.text import visible
from rrdbg.tui.themes import DAY, NIGHT
from rrdbg.tui.timeline import Timeline

EVENTS_AT_ONCE, EVENTS_SHOWN = 5_000, 500_000
"""Journal events fetched together, and the most that the list holds."""

CONSOLE_PIECES, CONSOLE_STEPS = 64, 1 << 24
"""Console output is fetched in so many pieces, of at least so many steps."""


GROWTH_PERIOD = 2.0
"""Seconds between two looks at a trace whose recording was not ended: it may still grow."""


class DebuggerApp(Actions):
    """The face of one trace. `open_source` runs in the engine's thread."""

    CSS_PATH = "style.tcss"
    TITLE = "rrdbg"
    ESCAPE_TO_MINIMIZE: ClassVar[bool] = False
    COMMANDS = Actions.COMMANDS | {TableProvider}
    BINDINGS: ClassVar[list[BindingType]] = [
        # The prompt opens before the next key is looked at: over a slow line, a whole command comes at once.
        Binding(key.keys, key.action, key.title, show=False, priority=key.action.startswith("prompt("))
        for key in KEYS
        if key.action != "command_palette"
    ]

    def __init__(self, name: str, open_source: Opener) -> None:
        super().__init__()
        for theme in (NIGHT, DAY):
            self.register_theme(theme)
        self.theme = NIGHT.name
        self.trace_name = visible(name)
        """What is open, for the title row."""
        self.failure: BaseException | None = None
        """Why the application ended, when it did not want to."""
        self.open_source = open_source
        """Opens the trace; called again when the engine has died."""
        self.engine = Engine(self, open_source)
        self._told = ""

    def compose(self) -> ComposeResult:
        """Lay out the screen: timeline, panes, keys or prompt, status."""
        yield self.timeline
        yield self.deck
        with Vertical(id="foot"):
            yield Static(id="candidates", markup=False)
            with Horizontal(id="bar"):
                yield Static(": ", id="colon")
                yield self.prompt_line
                yield Hints(id="hints")
            yield self.status

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let keys that open the prompt be letters where one types."""
        return action != "prompt" or not (self.screen.is_modal or self.screen.focused is self.prompt_line)

    def on_mount(self) -> None:
        """Start the engine; the screen is up before it is."""
        self.timeline.caption = f"rrdbg  {self.trace_name}"
        self.status.put(work=Work(f"opening {self.trace_name}"))
        self.set_interval(1 / PLAY_HZ, self.play_tick)
        self.set_interval(NOTICEABLE, self._tell_slow)
        self.set_interval(GROWTH_PERIOD, self._look_for_growth)
        self.engine.start()

    def on_unmount(self) -> None:
        """End the engine."""
        self.engine.close()

    # answers of the engine

    @on(Done)
    def _done(self, message: Done) -> None:
        if message.kind == "open":
            self.engine.submit(Job("", "reading the trace", lambda source: source.overview(), self._opened))
            self.engine.submit(Job("", "", lambda source: source.view(), self.moved))
        elif message.then is not None:
            message.then(message.value)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        error = message.error
        if message.kind == "open":
            self.failure = error
            self.exit(return_code=int(getattr(error, "exit_code", ExitCode.FAILED)))
            return
        self.stop_playing()
        if isinstance(error, EngineDied):
            self.dead = True
            self.target = None
            self.deck.log_pane.write(str(error), "error")
            self.say(f"press r to reopen: {error.message}", "error")
            return
        text = error.message if isinstance(error, RrdbgError) else f"internal error: {type(error).__name__}: {error}"
        if isinstance(error, RrdbgError) and error.hint:
            self.deck.log_pane.write(f"{text}\n  {error.hint}", "error")
        else:
            self.deck.log_pane.write(text, "error")
        self.say(text.splitlines()[0] if text else "failed", "error")
        if self.target is not None and not self.engine.waits_for("goto"):
            self.target = None
            if self.view is not None:
                self.timeline.show(self.view.position)

    @on(Advanced)
    def _advanced(self, message: Advanced) -> None:
        progress = message.progress
        if self.view is None or self.engine.busy:
            self.status.put(work=Work(progress.title, progress.share, progress.rate, progress.eta))

    @on(Busy)
    def _busy(self, message: Busy) -> None:
        self.status.put(work=Work(message.title) if message.title and self.engine.busy else None)

    def _tell_slow(self) -> None:
        title = self.engine.slow
        if title and self.status.work is None:
            self.status.put(work=Work(title))

    def _opened(self, overview: Overview) -> None:
        time = TimeMap(overview.shift)
        self._take(overview, time)
        self._read_events(0)
        self._read_console(0)
        if overview.damage and not overview.written:
            self._tell_damage(overview)

    def _tell_damage(self, overview: Overview) -> None:
        self._told = overview.damage
        self.timeline.caption = f"rrdbg  {self.trace_name}  ⚠ damaged"
        self.timeline.refresh()
        self.deck.log_pane.write(overview.damage, "error")
        self.deck.reveal("log", focus=False)
        self.say(overview.damage.splitlines()[0], "error")

    def _take(self, overview: Overview, time: TimeMap) -> None:
        self.overview = overview
        self.status.put(total=overview.total)
        time.learn(overview.total, overview.virtual_ns)
        self.timeline.caption = f"rrdbg  {self.trace_name}{'' if overview.ended else '  ● not ended'}"
        self.timeline.open(overview.total, time)

    def _look_for_growth(self) -> None:
        known = self.overview
        if known is None or known.ended or not self.engine.idle:
            return

        def then(overview: Overview) -> None:
            if overview.total > known.total or overview.ended:
                self._take(overview, self.timeline.time)
                self._read_events(len(self.deck.events.events))
                self._read_console(known.total)
                if overview.ended:
                    self.say(f"the recording has ended: {overview.reason}")
            elif overview.damage not in ("", self._told) and not overview.written:
                self._tell_damage(overview)

        self.engine.submit(Job("growth", "", lambda source: source.overview(), then, background=True))

    def _read_events(self, first: int) -> None:
        def then(rows: Sequence[EventRow]) -> None:
            total = self.overview.events if self.overview else 0
            for row in rows:
                self.timeline.time.learn(row.icount, row.virtual_ns, jump=True)
            self.deck.events.extend(rows, total)
            self.timeline.refresh()
            if self.view is not None:
                self.deck.events.show(self.view.position)
            if rows and first + len(rows) < min(total, EVENTS_SHOWN):
                self._read_events(first + len(rows))

        work: Callable[[Source], Sequence[EventRow]] = lambda source: source.events(first, EVENTS_AT_ONCE)  # noqa: E731
        self.engine.submit(Job("events", "", work, then, background=True))

    def _read_console(self, lo: int) -> None:
        if self.overview is None:
            return
        total = self.overview.total
        hi = min(lo + max(total // CONSOLE_PIECES, CONSOLE_STEPS), total)

        def then(chunks: Sequence[ConsoleChunk]) -> None:
            self.deck.console.extend(chunks, last=hi >= total)
            if self.view is not None:
                self.deck.console.show(self.view.position)
            if hi < total:
                self._read_console(hi)

        self.engine.submit(Job("console", "", lambda source: source.console(lo, hi), then, background=True))

    # what the user asks

    def action_reopen(self) -> None:
        """Start another engine after one has died."""
        if not self.dead:
            self.say("the engine is well: nothing to reopen")
            return
        self.dead = False
        self.deck.events.clear()
        self.deck.console.clear()
        self.status.put(message=None, work=Work(f"opening {self.trace_name}"))
        back = self.view.position if self.view is not None else 0

        def reopen(progress: ProgressCallback) -> Source:
            source = self.open_source(progress)
            source.goto(back)
            return source

        self.engine = Engine(self, reopen)
        self.engine.start()

    @on(Timeline.Seek)
    def _sought(self, message: Timeline.Seek) -> None:
        self.stop_playing()
        self.seek(message.position)

    @on(Timeline.Looked)
    def _looked(self, message: Timeline.Looked) -> None:
        if self.overview is not None:
            window = message.window
            kind = "overview" if window.whole else "lanes"
            self.engine.submit(Job(kind, "", lambda source: source.lanes(window), self.timeline.set_lanes))

    @on(MemoryPane.Wanted)
    def _memory(self, message: MemoryPane.Wanted) -> None:
        self.engine.submit(Job("memory", "", lambda source: source.memory(message.blocks), self.deck.memory.take))

    @on(Pane.Chosen)
    def _chosen(self, message: Pane.Chosen) -> None:
        pane, index, deck = message.pane, message.index, self.deck
        position: int | None = None
        if pane is deck.events:
            position = deck.events.events[index].icount
        elif pane is deck.marks:
            position = deck.marks.marks[index].position
        elif pane is deck.console:
            position = deck.console.position_of(index)
        elif pane is deck.code and message.column is not None and message.column < 3:
            self.action_toggle_breakpoint()
        if position is not None:
            self.stop_playing()
            self.seek(position)

    @on(Prompt.Entered)
    def _entered(self, message: Prompt.Entered) -> None:
        self._close_prompt()
        self.stop_playing()
        self.run_line(message.text, echo=True)

    @on(Prompt.Wanted)
    def _complete(self, message: Prompt.Wanted) -> None:
        before = message.before

        def then(candidates: Sequence[str]) -> None:
            self.prompt_line.complete(before, candidates)

        self.engine.submit(Job("complete", "", lambda source: source.complete(before), then))

    @on(Prompt.Left)
    def _close_prompt(self) -> None:
        self.screen.remove_class("-prompting")
        self.deck.focus_shown()

    @on(Prompt.Candidates)
    def _candidates(self, message: Prompt.Candidates) -> None:
        line = self.query_one("#candidates", Static)
        line.display = bool(message.texts)
        line.update(visible("  ".join(message.texts)))
