"""The prompt: one line for commands, with history and completion from the command table, or for a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

HISTORY = 500
"""Commands remembered."""


COMMANDING = "command, Tab completes, help lists them"
SEARCHING = "text in the console's output; capitals matter if there are any"


class Prompt(Input):
    """Where commands are typed. Enter runs, Up and Down recall, Tab completes, Escape leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", "Earlier command", show=False),
        Binding("down", "recall(1)", "Later command", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
        Binding("escape,ctrl+c", "leave", "Leave the prompt", show=False),
    ]

    class Entered(Message):
        """A command was entered."""

        def __init__(self, text: str) -> None:
            self.text = text
            """The command line."""
            super().__init__()

    class Wanted(Message):
        """Completion was asked for; `complete` takes the answer."""

        def __init__(self, before: str) -> None:
            self.before = before
            """The line up to the cursor."""
            super().__init__()

    class Searched(Message):
        """The text of a search was typed or changed."""

        def __init__(self, text: str, *, done: bool) -> None:
            self.text = text
            """What to look for."""
            self.done = done
            """Whether it was entered."""
            super().__init__()

    class SearchLeft(Message):
        """The search was given up."""

    class Left(Message):
        """The user is done with the prompt."""

    class Candidates(Message):
        """Completion found several ways on."""

        def __init__(self, texts: Sequence[str]) -> None:
            self.texts = texts
            """The last words of the candidates; empty: nothing to show any more."""
            super().__init__()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, placeholder=COMMANDING, compact=True, select_on_focus=False)
        self.history: list[str] = []
        """Commands entered, oldest first."""
        self.searching = False
        """Whether what is typed is a text to look for, rather than a command."""
        self._recalled = 0
        self._draft = ""

    def open(self, text: str, *, search: bool = False) -> None:
        """Take the focus with `text` typed already."""
        self.searching = search
        self.placeholder = SEARCHING if search else COMMANDING
        self.value = text
        self.cursor_position = len(text)
        self._recalled = len(self.history)
        # At once: the next key may be here already.
        self.screen.set_focus(self)

    def action_recall(self, direction: int) -> None:
        """Bring back an earlier or a later command."""
        if self.searching:
            return
        if self._recalled >= len(self.history):
            self._draft = self.value
        self._recalled = min(max(self._recalled + direction, 0), len(self.history))
        recalled = self.history[self._recalled] if self._recalled < len(self.history) else self._draft
        self.value = recalled
        self.cursor_position = len(recalled)

    def action_complete(self) -> None:
        """Ask how the line could go on, once the keys before this one are in it."""
        if self.searching:
            return
        self.call_later(lambda: self.post_message(self.Wanted(self.value[: self.cursor_position])))

    def complete(self, before: str, candidates: Sequence[str]) -> None:
        """Complete as far as the candidates agree, and show them when they do not. Too late: nothing happens."""
        if self.value[: self.cursor_position] != before or not self.has_focus:
            return
        if not candidates:
            self.post_message(self.Candidates(()))
            return
        after = self.value[self.cursor_position :]
        common = _common(candidates)
        if len(candidates) == 1 and not common.endswith(" "):
            common += " "
        if len(common) > len(before):
            self.value = common + after
            self.cursor_position = len(common)
        shown = [text.rstrip().rsplit(" ", 1)[-1] for text in candidates] if len(candidates) > 1 else []
        self.post_message(self.Candidates(shown))

    def action_leave(self) -> None:
        """Empty the line and go back to the panes."""
        if self.searching:
            self.searching = False
            self.post_message(self.SearchLeft())
        self.value = ""
        self.post_message(self.Candidates(()))
        self.post_message(self.Left())

    async def action_submit(self) -> None:
        """Run what was typed."""
        if self.searching:
            self.searching = False
            self.post_message(self.Searched(self.value, done=True))
            self.value = ""
            self.post_message(self.Left())
            return
        text = self.value.strip()
        self.value = ""
        self.post_message(self.Candidates(()))
        if not text:
            self.post_message(self.Left())
            return
        if not self.history or self.history[-1] != text:
            self.history = [*self.history, text][-HISTORY:]
        self._recalled = len(self.history)
        self.post_message(self.Entered(text))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while one types."""
        event.stop()
        if self.searching:
            self.post_message(self.Searched(self.value, done=False))

    def on_paste(self, event: events.Paste) -> None:
        """Take only the first line of a paste: the rest would run unseen."""
        event.prevent_default()
        self.insert_text_at_cursor(event.text.splitlines()[0] if event.text else "")


def _common(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
