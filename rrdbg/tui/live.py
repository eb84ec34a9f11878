"""The interface on a recording under way: `rrdbg record --tui`.

The recorder runs in a process of its own and reports output and progress; the engine has the growing trace open and
takes in what is added. So everything of the debugger works on what is recorded so far, while the guest runs on.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rrdbg_core.errors import RrdbgError
from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from rrdbg.session.api import ProgressCallback
from rrdbg.session.live import Broken, Ended, LiveRecorder, Misuse, Printed, Report, State
from rrdbg.tui.app import DebuggerApp
from rrdbg.tui.engine import SHOWN, Job, Opener
from rrdbg.tui.keys import Key
from rrdbg.tui.live_keys import ESCAPE, pasted, sent
from rrdbg.tui.model import Overview, View
from rrdbg.tui.run import Opening, show
from rrdbg.tui.scale import TimeMap
from rrdbg.tui.source import Source
from rrdbg.tui.text import clip, short_count, visible
from rrdbg.tui.timeline import Timeline

LOOK_HZ = 20
"""Looks a second at whether the trace has grown."""

FOLLOW_PERIOD, GROW_PERIOD = 0.15, 1.0
"""Seconds between two looks at the present: while the cursor follows it, and while it stands elsewhere."""

BADGE_PERIOD = 0.5
"""Seconds between two drawings of the badge while only its numbers change."""

AGAIN = 2.0
"""Seconds after which a look that failed is tried again."""

LAG = 3.0
"""Seconds of recording by which the cursor may be late before the badge says so."""
SHARE = 0.5
"""Part of the engine's time that following may take."""

LIVE = "Recording"

LIVE_KEYS: tuple[Key, ...] = (
    Key("live-type", "T,insert", "type_in", "Type into the guest; Ctrl-A x leaves", LIVE, "type"),
    Key("live-pause", "P", "pause", "Pause the recording, or go on (Space too, at the live end)", LIVE, "pause"),
    Key("live-follow", "end", "goto('end')", "Go to the live end and stay there", LIVE, "live"),
)
"""Keys that a finished trace has no use for."""

TYPING = (
    ("Ctrl-A x", "back to the debugger"),
    ("Ctrl-A p", "pause"),
    ("Ctrl-A r", "reset"),
    ("Ctrl-A Ctrl-A", "a Ctrl-A"),
)
"""What the foot of the screen says while keys go to the guest."""


class Reported(Message):
    """The recorder reported something."""

    def __init__(self, report: Report) -> None:
        self.report = report
        """What."""
        super().__init__()


class LiveTimeline(Timeline):
    """A timeline with a badge behind its caption."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"timeline--badge-{name}" for name in ("live", "behind", "paused", "over")}

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.told = ("", "", "live")
        """What is open, the badge, and the name of the badge's style."""

    def tell(self, what: str, badge: str, kind: str) -> None:
        """Say what is open and what becomes of it."""
        if (what, badge, kind) != self.told:
            self.told = what, badge, kind
            self.redraw()

    def _title(self) -> Strip:
        what, badge, kind = self.told
        if badge:  # a long name is cut, the badge is not
            room = max(self.size.width // 2, 20) - cell_len(badge) - 3
            self.caption = f"{clip(what, room)}  {badge} "
        strip = super()._title()
        place = strip.text.find(f" {badge} ") if badge else -1
        if place < 0:
            return strip
        start = cell_len(strip.text[:place])
        shown = Segment(f" {badge} ", self.ground + self.style(f"badge-{kind}"))
        return Strip.join([strip.crop(0, start), Strip([shown]), strip.crop(start + cell_len(badge) + 2)])


class Typing(Static):
    """Foot of the screen while keys go to the guest."""

    def render(self) -> Content:
        """Draw as much as there is room for."""
        parts, room = [Content.styled(" keys go to the guest ", "bold reverse $success")], self.size.width - 22
        for keys, meaning in TYPING:
            room -= len(keys) + len(meaning) + 3
            if room >= 0:
                parts.append(Content.assemble((f"  {keys}", "bold $accent"), (f" {meaning}", "$text-muted")))
        return Content("").join(parts)


@dataclass(slots=True)
class Follower:
    """Where the engine was left by following; lives in the engine's thread, where nothing moves the session meanwhile.

    The user's motions take the session elsewhere. That is seen there and then, so that following never undoes one.
    """

    at: int | None = 0
    """Position; None: wherever the session is now."""

    def go(self, source: Source, total: int) -> bool:
        """Go to the end of what is recorded, unless the user has gone elsewhere; return whether it went."""
        here = source.session.icount
        if self.at is not None and self.at != here:
            return False
        if here < total:
            source.command(f"tick {total - here}")
        self.at = total
        return True


class LiveApp(DebuggerApp):
    """The face of a recording under way.

    Args:
        name: What the title row calls the trace.
        open_source: Opens it.
        recorder: The recorder.
        typing: Whether the guest reads what is typed; else its input comes from elsewhere.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key.keys, key.action, key.title, show=False, id=key.id) for key in LIVE_KEYS if key.id != "live-follow"
    ]
    CSS = """
    .-typing #console { border-top: heavy $success; }
    .-typing.-boxed #console { border: heavy $success; }
    #typing { display: none; width: 1fr; height: 1; }
    .-typing #typing { display: block; }
    .-typing #hints { display: none; }
    .timeline--badge-live { color: $background; background: $success; text-style: bold; }
    .timeline--badge-behind { color: $text-success; text-style: bold; }
    .timeline--badge-paused { color: $background; background: $warning; text-style: bold; }
    .timeline--badge-over { color: $text-muted; text-style: bold; }
    """

    def __init__(self, name: str, open_source: Opener, recorder: LiveRecorder, *, typing: bool = True) -> None:
        super().__init__(name, open_source)
        self.timeline: LiveTimeline = LiveTimeline(id="timeline")
        self.keys = LIVE_KEYS + self.keys
        self.recorder = recorder
        """The recorder's process."""
        self.state: State | None = None
        """What it reported last."""
        self.following = True
        """Whether the cursor stays at the live end."""
        self.typing = False
        """Whether keys go to the guest."""
        self._may_type = typing
        self._over = False
        self._settled = False  # the trace will not grow any more, and that is shown
        self._follower = Follower()
        self._landing = False
        self._growing = False
        self._asked = self._grown = self._took = self._badged = 0.0
        self._escaped = False
        self._pausing = False

    # the recorder

    def on_mount(self) -> None:
        """Listen to the recorder."""
        self.set_interval(1 / LOOK_HZ, self._look)
        self.recorder.watch(lambda report: self.post_message(Reported(report)))
        self.query_one("#bar").mount(Typing(id="typing"))

    @property
    def live(self) -> bool:
        """Whether the recording goes on, or stands in a pause."""
        return not self._over

    @on(Reported)
    def _reported(self, message: Reported) -> None:
        report = message.report
        match report:
            case Printed():
                self._printed(report)
            case State():
                turned = self.state is None or (report.paused, report.idle) != (self.state.paused, self.state.idle)
                self.state = report
                if turned:
                    self._asked = 0.0  # what stands or goes on is shown at once
                if turned or time.monotonic() - self._badged >= BADGE_PERIOD:
                    self._show_state()
            case Misuse():
                self.deck.log_pane.write(f"guest error: {visible(report.text)}", "error")
            case Ended():
                self._over = True
                self.leave_typing()
                for line in report.lines[:-1]:
                    self.deck.log_pane.write(visible(line))
                self.say(f"recording ended: {visible(report.lines[0])}", "ok")
                self._show_state()
            case Broken():
                self._over = True
                self.leave_typing()
                error = report.error
                self.deck.log_pane.write(str(error), "error")
                self.say(f"the recording broke off: {error.message}", "error")
                self._show_state()

    def _printed(self, report: Printed) -> None:
        console = self.deck.console
        console.extend(report.chunks, last=False)
        if self.following:
            console.show(report.chunks[-1].icount)

    def _show_state(self) -> None:
        """Write the badge: what the recording does, and how far the cursor is behind."""
        self._badged = time.monotonic()
        state, badge, kind = self.state, "", "live"
        if self._over:
            badge, kind = "✘ broken off" if isinstance(self.recorder.outcome, Broken) else "■ ended", "over"
        elif state is not None:
            rate = state.icount / state.host_seconds if state.host_seconds > 0.5 else 0.0
            doing = "" if state.idle or not rate else f" {short_count(round(rate))}/s"
            where, behind = "", max(state.icount - (self.view.position if self.view is not None else 0), 0)
            # a guest that is as slow in replay as in the recording leaves the cursor behind even where it follows
            if self.view is not None and (not self.following or behind > rate * LAG):
                where = f" −{short_count(behind)}"
            if state.paused:
                badge, kind = f"⏸ PAUSED{where}", "paused"
            elif self.following:
                badge = f"● LIVE{doing}{where}"
            else:
                badge, kind = f"● LIVE{where}", "behind"
        self.timeline.tell(f"rrdbg  {self.trace_name}", badge, kind)

    # growing and following

    def _look(self) -> None:
        """Take in what the recorder has added, and take the cursor along if it follows."""
        known, state, now = self.overview, self.state, time.monotonic()
        if known is None or self.dead or self._growing or self.engine.busy or self._settled:
            return
        if self._over:
            self._settled = True
            self._grow()
            return
        if state is None:
            return
        period = FOLLOW_PERIOD if self.following else GROW_PERIOD
        if now - self._asked >= period and state.icount - state.idle > state.promised:
            self._asked = now
            self.recorder.sync()
        behind = self.following and (self.view is None or self.view.position < known.total)
        late = state.promised > known.total or behind
        if late and self.engine.idle and now - self._grown >= max(period, self._took * (1 / SHARE - 1)):
            self._grow()

    def _grow(self) -> None:
        """Have the engine look at the file, and go to its end if the cursor follows."""
        following, follower, began = self.following, self._follower, time.monotonic()
        self._growing, self._grown, self._took = True, began, AGAIN

        def work(source: Source) -> tuple[Overview, View | None, bool]:
            try:
                overview = source.overview()
                went = following and follower.go(source, overview.total)
                return overview, source.view() if went else None, went
            finally:
                self._growing = False

        def then(result: tuple[Overview, View | None, bool]) -> None:
            overview, view, went = result
            self._grown = time.monotonic()
            self._took = self._grown - began
            known = self.overview
            if known is None or overview.total > known.total or overview.ended != known.ended:
                self._take(overview, self.timeline.time)
                self._read_events(len(self.deck.events.events))
            if self._over and known is not None:
                self._conclude(overview)
            if view is not None and self.following:
                self._arrived(view)
            elif following and not went:
                self.leave_live()

        # what the panes show at once, and the user's own jobs first
        self.engine.submit(Job("live", "", work, then, background=SHOWN))

    def _arrived(self, view: View) -> None:
        self._landing = True
        try:
            self.moved(view)
        finally:
            self._landing = False
        if self.state is not None and self.live:
            self.deck.console.show(self.state.icount)

    def _conclude(self, overview: Overview) -> None:
        """Show a trace that will not grow any more: what was printed behind its end is not in it."""
        console = self.deck.console
        output = console.output
        console.clear()
        console.extend(output[: bisect_right(output.at, overview.total)], last=True)
        console.show(self.here)
        if isinstance(self.recorder.outcome, Broken) and overview.damage:
            self.deck.log_pane.write(overview.damage, "error")

    def go_live(self) -> None:
        """Go to the live end and stay there."""
        self.stop_playing()
        self.engine.cancel()  # a long search would end elsewhere
        self.jumps.leave(self.here)
        self.following, self._follower.at = True, None
        self._asked = self._grown = 0.0
        self.status.put(message=None)
        if self.overview is not None:
            self.timeline.show(self.overview.total)
        self._show_state()
        self._look()

    def leave_live(self) -> None:
        """Stay where the cursor goes; the recording runs on."""
        if self.following:
            self.following = False
            self._show_state()

    # what the finished trace does otherwise

    def _take(self, overview: Overview, time: TimeMap) -> None:
        super()._take(overview, time)
        self._show_state()

    def _look_for_growth(self) -> None:
        """The recorder says when there is more."""

    def _read_console(self, lo: int) -> None:
        """The recorder tells what the guest prints."""

    def moved(self, view: View) -> None:
        """Show a new view; one that the user asked for ends following."""
        before = self.view
        if not self._landing and before is not None and view.position != before.position and self.live:
            self.leave_live()
        super().moved(view)
        if not self.following:
            self._show_state()

    def seek(self, position: int, *, glide: str = "") -> None:
        """Go to a position; the end of a recording under way is its live end."""
        if self.live and self.overview is not None and position >= self.overview.total:
            self.go_live()
            return
        self.leave_live()
        super().seek(position, glide=glide)

    def action_goto(self, position: str) -> None:
        """Go to a position as the user writes it."""
        if position == "end" and self.live:
            self.go_live()
        else:
            super().action_goto(position)

    def action_play(self, direction: int) -> None:
        """Play in a direction, or pause; at the live end: pause the recording, or go on."""
        if self.live and self.following and direction > 0:
            self.action_pause()
        else:
            self.leave_live()
            super().action_play(direction)

    def action_reopen(self) -> None:
        """Start another engine after one has died; the recorder knows nothing of it."""
        console = self.deck.console
        output = console.output
        super().action_reopen()
        console.extend(output, last=self._over)
        self._follower.at, self._growing = None, False

    def action_suspend_process(self) -> None:
        """Leave to the shell for a while; the recording stands meanwhile, as it does without an interface."""
        running = self.live and not (self.state is not None and self.state.paused)
        if running:
            self.recorder.pause()
        super().action_suspend_process()
        if running:
            self.recorder.resume()

    def use_keys(self, keymap: Mapping[str, str]) -> None:
        """Bind other keys."""
        super().use_keys(keymap)
        own = tuple(key for key in LIVE_KEYS if key.keys)
        self.keys = own + self.keys

    # pausing and typing

    def action_pause(self) -> None:
        """Pause the recording, or go on."""
        if not self.live:
            self.say("the recording has ended")
        elif self.state is not None and self.state.paused:
            self.recorder.resume()
            self.status.put(message=None)
        else:
            self.recorder.pause()

    def action_type_in(self) -> None:
        """Let keys go to the guest, and watch it."""
        if not self.live:
            self.say("the recording has ended: nobody reads what is typed")
            return
        if not self._may_type:
            self.say("the guest's input comes from a file or a script: it cannot be typed")
            return
        if not self.following:
            self.go_live()
        self.typing = True
        self._escaped = False
        self.deck.reveal("console", focus=True)
        self.screen.add_class("-typing")

    def leave_typing(self) -> None:
        """Let keys mean what they mean in the debugger."""
        if self.typing:
            self.typing = False
            self.screen.remove_class("-typing")

    async def on_event(self, event: events.Event) -> None:
        """Take keys and pasted text for the guest before anything else sees them."""
        if isinstance(event, (events.Key, events.Paste)) and self.typing and not self.screen.is_modal:
            if isinstance(event, events.Paste):
                self._send(pasted(event.text))
            else:
                self._typed(event)
            return
        await super().on_event(event)

    def _typed(self, event: events.Key) -> None:
        if not self._escaped:
            self._escaped = event.key == ESCAPE
            if not self._escaped:
                self._send(sent(event))
            return
        self._escaped = False
        letter = (event.character or event.key.removeprefix("ctrl+")).lower()
        if event.key == ESCAPE:
            self._send(sent(event))
        elif letter == "x":
            self.leave_typing()
        elif letter == "p":
            self.action_pause()
        elif letter == "r":
            self.recorder.reset()
        elif letter in "h?":
            self.say("Ctrl-A x: back to the debugger; p: pause; r: reset the guest; Ctrl-A: a Ctrl-A for the guest")

    def _send(self, data: bytes) -> None:
        if not data:
            return
        self.recorder.type(data)
        if not self.following:
            self.go_live()
        if self.state is not None and self.state.paused:
            self.say("paused: the guest gets it when the recording goes on (Ctrl-A p)")
        else:
            self.status.put(message=None)


def run_live(recorder: LiveRecorder, *, typing: bool, theme: str | None = None) -> int:
    """Show a recording until the user quits, and return the exit code, 0 if there is nothing to say about it.

    Raises:
        RrdbgError: There is no such theme, the trace does not open, or the engine died.
    """
    opening = Opening(recorder.path)

    def open_source(progress: ProgressCallback) -> Source:
        return opening(progress)

    app = LiveApp(os.path.basename(recorder.path), open_source, recorder, typing=typing)
    try:
        return show(app, theme=theme)
    except RrdbgError:
        if isinstance(recorder.outcome, Broken):  # the trace is gone because the recorder is
            raise recorder.outcome.error from None
        raise
