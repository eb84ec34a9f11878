"""The area of the panes: applies the layout, shows and hides, maximises."""

from __future__ import annotations

from collections.abc import Iterator

from textual import events
from textual.app import ComposeResult
from textual.widget import Widget

from rrdbg.tui.layout import PANES, DeckLayout
from rrdbg.tui.pane import Pane
from rrdbg.tui.panes.code import CodePane
from rrdbg.tui.panes.console import ConsolePane
from rrdbg.tui.panes.lists import EventsPane, LogPane, MarksPane
from rrdbg.tui.panes.memory import MemoryPane
from rrdbg.tui.panes.registers import CsrsPane, RegistersPane

BOXED = 100
"""Screen width from which panes have a whole frame; below it, columns are too dear."""


class Deck(Widget):
    """Holds all panes and shows those that the layout has room for."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.code = CodePane()
        self.registers = RegistersPane()
        self.memory = MemoryPane()
        self.console = ConsolePane()
        self.events = EventsPane()
        self.marks = MarksPane()
        self.csrs = CsrsPane()
        self.log_pane = LogPane()
        self._last: Pane | None = None
        self._plan = DeckLayout()
        self.styles.set_rule("layout", self._plan)

    @property
    def panes(self) -> Iterator[Pane]:
        """All panes in tab order."""
        yield from (
            self.code,
            self.registers,
            self.memory,
            self.console,
            self.events,
            self.marks,
            self.csrs,
            self.log_pane,
        )

    def compose(self) -> ComposeResult:
        """Mount all panes."""
        yield from self.panes

    def on_mount(self) -> None:
        """Show what fits."""
        self.code.focus()
        self._apply()

    def on_resize(self) -> None:
        """Show what fits now."""
        self._apply()

    def reveal(self, name: str, *, focus: bool) -> None:
        """Show a pane in its slot, and give it the focus if asked."""
        if name not in PANES:
            return
        self._plan.choose(name)
        self._apply()
        if focus:
            # At once: the next key may be for this pane already.
            self.screen.set_focus(self.query_one(f"#{name}", Pane))

    def focus_shown(self) -> None:
        """Give the focus back to a pane: the one that had it, if it is still there."""
        last = self._last if self._last is not None and self._last.display else self.code
        self.screen.set_focus(last)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember which pane has the focus."""
        if isinstance(event.widget, Pane):
            self._last = event.widget

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

    def _apply(self) -> None:
        self._plan.measure(self.size)
        self.screen.set_class(self.app.size.width >= BOXED, "-boxed")
        shown = self._plan.shown()
        titles = {pane.id: pane.NAME for pane in self.panes}
        for pane in self.panes:
            slot = self._plan.slots[self._plan.slot_of(pane.id or "")]
            pane.tabs = tuple((str(PANES.index(name) + 1), titles[name]) for name in slot.panes)
            visible = pane.id in shown.values()
            if pane.has_focus and not visible:
                self._refocus(pane, shown.values())
            pane.display = visible
            pane.retitle()
        self.refresh(layout=True)

    def _refocus(self, hidden: Pane, shown: object) -> None:
        # The pane that took the place of the hidden one, or the first.
        slot = self._plan.slots[self._plan.slot_of(hidden.id or "")]
        for pane in self.panes:
            if pane.id in slot.panes and pane.id in list(shown):  # type: ignore[call-overload]
                pane.display = True
                pane.focus()
                return
        self.code.focus()
