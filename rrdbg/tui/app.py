"""The application: the screen, the way from the engine's answers to the panes, and from the user to the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rrdbg_core.errors import ExitCode, RrdbgError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Static

from rrdbg.session.api import ProgressCallback
from rrdbg.session.errors import EngineDied
from rrdbg.session.values import ConsoleOutput, EventRow, PointKind
from rrdbg.tui.actions import PLAY_HZ, Actions
from rrdbg.tui.config import Config, themes
from rrdbg.tui.engine import AROUND, LATER, SHOWN, Advanced, Done, Engine, Failed, Job, Opener, Rested
from rrdbg.tui.hints import Hints
from rrdbg.tui.keys import KEYS
from rrdbg.tui.layout import PANES
from rrdbg.tui.model import Memory, Overview, Peek
from rrdbg.tui.palette import TableProvider
from rrdbg.tui.pane import Pane
from rrdbg.tui.panes.memory import MemoryPane
from rrdbg.tui.panes.values import TreePane
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


BEHIND = {"console": "console", "lanes": "timeline", "overview": "timeline", "program": "program", "look": "memory"}
"""What the user calls the work that goes on behind the keys."""

GROWTH_PERIOD = 2.0
"""Seconds between two looks at a trace whose recording was not ended: it may still grow."""


UNUSED = 1.5
"""Seconds without a key after which the next one is not expected to come at once."""

PROMPTING = ("prompt(", "search")
"""Actions that open the prompt."""

TOGETHER = 0.03
"""Seconds for which a part of the screen waits for the others that are on their way."""

FIRST = "text"
"""Kind of work that the screen does not wait with: a source file that was opened is what is read first."""

HOVER = 0.12
"""Seconds that the mouse rests before what is under it is looked up."""

PEEKS = 2_000
"""Looked-up positions that are remembered."""


class DebuggerApp(Actions):
    """The face of one trace. `open_source` runs in the engine's thread."""

    CSS_PATH = "style.tcss"
    TITLE = "rrdbg"
    ESCAPE_TO_MINIMIZE: ClassVar[bool] = False
    COMMANDS: ClassVar[set[Any]] = {TableProvider}
    BINDINGS: ClassVar[list[BindingType]] = [
        # The prompt opens before the next key is looked at: over a slow line, a whole command comes at once.
        Binding(key.keys, key.action, key.title, show=False, priority=key.action.startswith(PROMPTING), id=key.id)
        for key in KEYS
        if not key.scope
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
        self._failures: dict[str, str] = {}
        self._console_stretch = (0, 0)
        self._peeks: dict[int, Peek | None] = {}
        self._pointed: int | None = None
        self._hovering: Timer | None = None
        self._late: list[Done] = []
        self._together: Timer | None = None

    def configure(self, config: Config, theme: str | None = None) -> None:
        """Take the user's settings; `theme` goes before theirs. Raises RrdbgError when there is no such theme."""
        for own in themes(config):
            self.register_theme(own)
        hint = f"themes: {', '.join(sorted(self.available_themes))}"
        if theme is not None and theme not in self.available_themes:
            raise RrdbgError(f"no theme '{theme}'", hint=hint, exit_code=ExitCode.USAGE)
        if theme is None and config.theme is not None and config.theme not in self.available_themes:
            config.fail(("theme",), f"no theme '{config.theme}'", hint)
        self.theme = theme or config.theme or self.theme
        if config.keys:
            self.use_keys(config.keys)

    def compose(self) -> ComposeResult:
        """Lay out the screen: timeline, panes, keys or prompt, status."""
        self.deck.box()
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
        return action not in ("prompt", "search") or not (
            self.screen.is_modal or self.screen.focused is self.prompt_line
        )

    def on_mount(self) -> None:
        """Start the engine; the screen is up before it is."""
        self._name_keys()
        self.timeline.caption = f"rrdbg  {self.trace_name}"
        self.status.put(work=Work(f"opening {self.trace_name}"))
        self.set_interval(1 / PLAY_HZ, self.play_tick)
        self.set_interval(GROWTH_PERIOD, self._while_unused)
        self.engine.start()

    def _name_keys(self) -> None:
        shown = {key.action: key.shown.split(" ")[0] for key in self.keys}
        self.deck.titles = {name: shown.get(f"pane('{name}')", "") for name in PANES}
        self.query_one(Hints).keys = self.keys

    def on_unmount(self) -> None:
        """End the engine."""
        self.engine.close()

    # answers of the engine

    @on(Done)
    def _done(self, message: Done) -> None:
        if message.kind == "open":
            self.engine.submit(Job("", "", lambda source: source.view(), self.moved))
            self.engine.submit(Job("", "reading the trace", lambda source: source.overview(), self._opened))
            return
        self._late.append(message)
        if message.last or not message.background or message.kind == FIRST:
            self._show_late()
        elif self._together is None:
            self._together = self.set_timer(TOGETHER, self._show_late)

    def _show_late(self) -> None:
        """Show what has come, all of it in one picture: each costs as much as all of them."""
        if self._together is not None:
            self._together.stop()
            self._together = None
        late, self._late = self._late, []
        for message in late:
            self._failures.pop(message.kind, None)
            if message.then is not None:
                message.then(message.value)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        error = message.error
        if message.kind == "open":
            self.failure = error
            self.exit(return_code=int(getattr(error, "exit_code", ExitCode.FAILED)))
            return
        if message.job is not None and message.job.background and not isinstance(error, EngineDied):
            self._failed_behind(message.kind, error)
            return
        self.stop_playing()
        if isinstance(error, EngineDied):
            self.dead = True
            self.target = None
            self.deck.log_pane.write(str(error), "error")
            self.say(f"press r to reopen: {error.message}", "error")
            return
        text = _told(error)
        if isinstance(error, RrdbgError) and error.hint:
            self.deck.log_pane.write(f"{text}\n  {error.hint}", "error")
        else:
            self.deck.log_pane.write(text, "error")
        self.say(text.splitlines()[0] if text else "failed", "error")
        if self.target is not None and not self.engine.waits_for("goto"):
            self.target = None
            if self.view is not None:
                self.timeline.show(self.view.position)

    def _failed_behind(self, kind: str, error: BaseException) -> None:
        """Say once what keeps failing at each stop, in the log, in the status line, and in its pane."""
        text = _told(error)
        if kind == "console":
            self.deck.console.fail(text)
        elif kind in ("lanes", "overview"):
            self.timeline.fail(text)
        elif kind == "program":
            self.choose_listing(False)
        elif kind in ("peek", "trail"):
            return
        if self._failures.get(kind) == text:
            return
        self._failures[kind] = text
        noun = BEHIND.get(kind, kind)
        hint = error.hint if isinstance(error, RrdbgError) else ""
        self.deck.log_pane.write(f"{noun}: {text}" + (f"\n  {hint}" if hint else ""), "error")
        self.say(f"{noun}: {text.splitlines()[0] if text else 'failed'}", "error")

    @on(Advanced)
    def _advanced(self, message: Advanced) -> None:
        progress = message.progress
        if message.job is not None and message.job.background:
            if message.job.kind == "console":
                self._tell_reading(progress.share)
            return
        if self.view is None or self.engine.busy:
            self.put_work(message.job, Work(progress.title, progress.share, progress.rate, progress.eta))

    @on(Rested)
    def _rested(self) -> None:
        if not self.engine.busy:
            self.status.put(work=None)

    def _opened(self, overview: Overview) -> None:
        time = TimeMap(overview.shift)
        self._take(overview, time)
        if self.collector is not None:
            self.collector.keep()
        self._read_events(0)
        self._read_console(0)
        if overview.damage and not overview.written:
            self._tell_damage(overview)

    def _tell_damage(self, overview: Overview) -> None:
        self._told = overview.damage
        self.timeline.caption = f"rrdbg  {self.trace_name}  ⚠ damaged"
        self.timeline.redraw()
        self.deck.log_pane.write(overview.damage, "error")
        self.deck.reveal("log", focus=False)
        self.say(overview.damage.splitlines()[0], "error")

    def _take(self, overview: Overview, time: TimeMap) -> None:
        self.overview = overview
        self.status.put(total=overview.total)
        time.learn(overview.total, overview.virtual_ns)
        self.timeline.caption = f"rrdbg  {self.trace_name}{'' if overview.ended else '  ● not ended'}"
        self.timeline.open(overview.total, time)

    def _while_unused(self) -> None:
        self._look_for_growth()
        unused = self.view is not None and self.unused > UNUSED and self.engine.idle
        if unused and self.collector is not None and self.collector.due:
            self.collector.tidy()

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

        self.engine.submit(Job("growth", "", lambda source: source.overview(), then, background=LATER))

    def _read_events(self, first: int) -> None:
        def then(rows: Sequence[EventRow]) -> None:
            total = self.overview.events if self.overview else 0
            for row in rows:
                self.timeline.time.learn(row.icount, row.virtual_ns, jump=True)
            self.deck.events.extend(rows, total)
            if self.collector is not None:
                self.collector.keep()
            self.timeline.redraw()
            if self.view is not None:
                self.deck.events.show(self.view.position)
            if rows and first + len(rows) < min(total, EVENTS_SHOWN):
                self._read_events(first + len(rows))

        work: Callable[[Source], Sequence[EventRow]] = lambda source: source.events(first, EVENTS_AT_ONCE)  # noqa: E731
        self.engine.submit(Job("events", "", work, then, background=LATER))

    def _read_console(self, lo: int) -> None:
        if self.overview is None:
            return
        total = self.overview.total
        hi = min(lo + max(total // CONSOLE_PIECES, CONSOLE_STEPS), total)

        def then(found: tuple[ConsoleOutput, int]) -> None:
            output, reached = found
            self._console_stretch = (reached, total)
            self.deck.console.extend(output, last=reached >= total)
            if self.view is not None:
                self.deck.console.show(self.view.position)
            if reached < total:
                self._tell_reading(None)
                self._read_console(reached)

        self._console_stretch = (lo, total)
        self.engine.submit(Job("console", "", lambda source: source.console(lo, hi), then, background=LATER))

    def _tell_reading(self, share: float | None) -> None:
        at, total = self._console_stretch
        piece = min(max(total // CONSOLE_PIECES, CONSOLE_STEPS), total - at) * (share or 0.0)
        self.deck.console.progress(f"({(at + piece) / max(total, 1):.0%})")

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
        self.seek(message.position, glide=message.glide)

    @on(Timeline.Looked)
    def _looked(self, message: Timeline.Looked) -> None:
        if self.overview is not None:
            window = message.window
            kind = "overview" if window.whole else "lanes"
            job = Job(kind, "", lambda source: source.lanes(window), self.timeline.set_lanes, background=AROUND)
            self.engine.submit(job)

    @on(Timeline.Pointed)
    def _pointed_at(self, message: Timeline.Pointed) -> None:
        self._pointed = message.position
        if self._hovering is not None:
            self._hovering.stop()
        if message.position is None or message.position in self._peeks:
            self.timeline.set_peek(self._peeks.get(message.position) if message.position is not None else None)
        else:
            self._hovering = self.set_timer(HOVER, self._look_under_mouse)

    def _look_under_mouse(self) -> None:
        position = self._pointed
        if position is None or self.dead or self.engine.busy or self.player.direction:
            return

        def then(peek: Peek | None) -> None:
            if len(self._peeks) >= PEEKS:
                self._peeks.clear()
            self._peeks[position] = peek
            if position == self._pointed:
                self.timeline.set_peek(peek)

        job = Job("peek", "", lambda source: source.program.peek(position), then, background=SHOWN)
        self.engine.submit(job)

    @on(MemoryPane.Wanted)
    def _memory(self, message: MemoryPane.Wanted) -> None:
        work: Callable[[Source], Memory] = lambda source: source.memory(message.blocks)  # noqa: E731
        self.engine.submit(Job("memory", "", work, self.deck.memory.take, background=SHOWN))

    @on(Pane.Chosen)
    def _chosen(self, message: Pane.Chosen) -> None:
        pane, index, deck = message.pane, message.index, self.deck
        position: int | None = None
        if pane is deck.events:
            position = deck.events.events[index].icount
        elif pane is deck.marks:
            position = deck.marks.marks[index].position
        elif pane is deck.console:
            position = deck.console.position_of(index, message.column)
        elif pane is deck.stack:
            self.stop_playing()
            self.choose_frame(deck.stack.chosen(index))
        elif isinstance(pane, TreePane):
            if pane.toggle(index):
                self.refresh_program()
        elif pane is deck.breaks and (point := deck.breaks.row(index)) is not None:
            if message.column is not None and message.column < 3:
                self.change_points(lambda source: source.enable(point))
            elif point.kind is PointKind.BREAK and point.address is not None:
                self.browse(point.address)
            elif point.address is not None:
                deck.reveal("memory", focus=False)
                self.look(f"{point.address:#x}", asked=True)
        elif pane is deck.diff and (change := deck.diff.change(index)) is not None:
            deck.reveal("memory", focus=False)
            self.look(f"{change.address:#x}", asked=True)
        elif message.column is not None and message.column < 3:
            if pane is deck.code and (address := deck.code.address(index)) is not None:
                self.toggle_breakpoint(address)
            elif pane is deck.source and (place := deck.source.place(index)):
                self.toggle_breakpoint(place)
        if position is not None:
            self.stop_playing()
            self.seek(position)

    @on(Prompt.Entered)
    def _entered(self, message: Prompt.Entered) -> None:
        self._close_prompt()
        self.enter(message.text)

    @on(Prompt.Searched)
    def _searched(self, message: Prompt.Searched) -> None:
        console = self.deck.console
        if message.text or not message.done:
            console.search(message.text)
        if message.done and console.pattern and not console.matches:
            self.say(f"'{visible(console.pattern)}' is not in the output" + ("" if console.complete else " so far"))

    @on(Prompt.SearchLeft)
    def _search_left(self) -> None:
        self.deck.console.leave_search()

    @on(Prompt.Wanted)
    def _complete(self, message: Prompt.Wanted) -> None:
        before = message.before

        def then(candidates: Sequence[str]) -> None:
            self.prompt_line.complete(before, candidates)

        self.ask(Job("complete", "looking for what could follow", lambda source: source.complete(before), then))

    @on(Prompt.Left)
    def _close_prompt(self) -> None:
        self.query_one("#bar").remove_class("-prompting")
        self.deck.focus_shown()

    @on(Prompt.Candidates)
    def _candidates(self, message: Prompt.Candidates) -> None:
        line = self.query_one("#candidates", Static)
        line.display = bool(message.texts)
        line.update(visible("  ".join(message.texts)))


def _told(error: BaseException) -> str:
    return error.message if isinstance(error, RrdbgError) else f"internal error: {type(error).__name__}: {error}"
