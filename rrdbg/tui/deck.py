"""The area of the panes: applies the layout, shows and hides, maximises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.widget import Widget

from rrdbg.tui.layout import PANES, DeckLayout
from rrdbg.tui.pane import STYLES, Pane
from rrdbg.tui.panes.breaks import BreaksPane
from rrdbg.tui.panes.code import CodePane
from rrdbg.tui.panes.console import ConsolePane
from rrdbg.tui.panes.diff import DiffPane
from rrdbg.tui.panes.lists import EventsPane, LogPane, MarksPane
from rrdbg.tui.panes.memory import MemoryPane
from rrdbg.tui.panes.registers import CsrsPane, RegistersPane
from rrdbg.tui.panes.source import SourcePane
from rrdbg.tui.panes.stack import StackPane
from rrdbg.tui.panes.values import LocalsPane, WatchesPane

BOXED = 100
"""Screen width from which panes have a whole frame; below it, columns are too dear."""


class Deck(Widget):
    """Holds all panes and shows those that the layout has room for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = STYLES

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.source = SourcePane()
        self.code = CodePane()
        self.stack = StackPane()
        self.locals = LocalsPane()
        self.watches = WatchesPane()
        self.registers = RegistersPane()
        self.memory = MemoryPane()
        self.console = ConsolePane()
        self.events = EventsPane()
        self.marks = MarksPane()
        self.breaks = BreaksPane()
        self.diff = DiffPane()
        self.csrs = CsrsPane()
        self.log_pane = LogPane()
        self.titles: dict[str, str] = {}
        """Keys that show the panes, by id; set by the app."""
        self._last: Pane | None = None
        self._plan = DeckLayout()
        self.styles.set_rule("layout", self._plan)

    @property
    def panes(self) -> Iterator[Pane]:
        """All panes in tab order."""
        yield from (
            self.source,
            self.code,
            self.stack,
            self.locals,
            self.watches,
            self.registers,
            self.memory,
            self.console,
            self.events,
            self.marks,
            self.breaks,
            self.diff,
            self.csrs,
            self.log_pane,
        )

    def compose(self) -> ComposeResult:
        """Mount all panes."""
        yield from self.panes

    def on_mount(self) -> None:
        """Show what fits."""
        self._apply()
        self._listing().focus()

    def on_resize(self) -> None:
        """Show what fits now."""
        self._apply()

    def reveal(self, name: str, *, focus: bool) -> None:
        """Show a pane in its slot, and give it the focus if asked."""
        if name not in PANES:
            return
        shown = self.is_shown(name)
        self._plan.choose(name)
        if not shown or self.maximised is not None:
            self._apply()
        if focus:
            # At once: the next key may be for this pane already.
            self.screen.set_focus(self.query_one(f"#{name}", Pane))

    def focus_shown(self) -> None:
        """Give the focus back to a pane: the one that had it, if it is still there."""
        last = self._last if self._last is not None and self._last.display else self._listing()
        self.screen.set_focus(last)

    def _listing(self) -> Pane:
        return self.source if self.source.display else self.code

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember which pane has the focus."""
        if isinstance(event.widget, Pane):
            self._last = event.widget

    def know_program(self, known: bool) -> None:
        """Make room for source, stack and variables, or for the machine."""
        if known != self._plan.program:
            self._plan.know_program(known)
            self._apply()
            if self._last is None or self._last is self.code:
                self.screen.set_focus(self._listing())

    def list_as(self, name: str) -> None:
        """Show the source or the disassembly, where the two share a place."""
        other = "code" if name == "source" else "source"
        shown = self._plan.shown().values()
        if other in shown and name not in shown and self._plan.slot_of(name) == self._plan.slot_of(other):
            self.reveal(name, focus=False)

    def turn(self, pane: str, direction: int) -> None:
        """Show the next pane of the slot in which a pane is."""
        names = self._plan.slots[self._plan.slot_of(pane)].panes
        self.reveal(names[(names.index(pane) + direction) % len(names)], focus=True)

    def is_shown(self, name: str) -> bool:
        """Return whether a pane is on the screen."""
        return name in self._plan.shown().values()

    @property
    def maximised(self) -> str | None:
        """The pane that covers all others."""
        return self._plan.maximised

    def maximise(self, name: str | None) -> None:
        """Let a pane cover all others; None puts it back."""
        if name is None and self._plan.maximised is not None:
            back, self._plan.maximised = self._plan.maximised, None
            self._plan.choose(back)
        else:
            self._plan.maximised = name
        self._apply()

    def box(self) -> None:
        """Frame the panes if the screen is wide enough. Whatever is on it by then gets its styles anew."""
        self.app.screen.set_class(self.app.size.width >= BOXED, "-boxed")

    def _apply(self) -> None:
        self._plan.measure(self.size)
        self.box()
        shown = self._plan.shown()
        titles = {pane.id: pane.NAME for pane in self.panes}
        for pane in self.panes:
            slot = self._plan.slots[self._plan.slot_of(pane.id or "")]
            pane.tabs = tuple((self.titles.get(name, ""), titles[name], name) for name in slot.panes)
            visible = pane.id in shown.values()
            if pane.has_focus and not visible:
                self._refocus(pane, shown.values())
            pane.display = visible
            pane.retitle()
        self.refresh(layout=True)

    def _refocus(self, hidden: Pane, shown: object) -> None:
        # The pane that took the place of the hidden one, or the first. At once: whoever hides it may want the focus.
        slot = self._plan.slots[self._plan.slot_of(hidden.id or "")]
        for pane in self.panes:
            if pane.id in slot.panes and pane.id in list(shown):  # type: ignore[call-overload]
                pane.display = True
                self.screen.set_focus(pane)
                return
        self.screen.set_focus(self._listing())
