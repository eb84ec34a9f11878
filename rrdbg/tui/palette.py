"""What the command palette offers: every action of the key table and every command of the command table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from rrdbg.tui.actions import Actions


HIDDEN = ("command_palette", "focus_next", "focus_previous", "turn")
"""Actions that make no sense from inside the palette."""


class TableProvider(Provider):
    """Searches both tables."""

    def _entries(self) -> list[tuple[str, str, Callable[[], Any]]]:
        app = cast("Actions", self.app)
        entries: list[tuple[str, str, Callable[[], Any]]] = [
            (key.title, f"key {key.shown}" if key.keys else "no key", partial(app.run_action, key.action))
            for key in app.keys
            if key.scope != "pane" and not key.action.startswith(HIDDEN)
        ]
        entries += [
            (name, text, partial(app.action_prompt, f"{name} "))
            for name, text in (app.overview.commands if app.overview else ())
        ]
        entries += [
            ("Choose a theme", "from all there are", app.action_change_theme),
            ("Screenshot", "save the screen as an SVG picture", lambda: app.set_timer(0.1, app.deliver_screenshot)),
        ]
        return entries

    async def discover(self) -> Hits:
        """Offer everything before anything is typed."""
        for title, text, run in self._entries():
            yield DiscoveryHit(title, run, help=text)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for title, text, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=text)
