"""The two themes of our own; Textual's come on top of them. And how the styles of a theme are put into force."""

from __future__ import annotations

from rrdbg_core.errors import ExitCode, RrdbgError
from textual.css.stylesheet import Stylesheet
from textual.theme import BUILTIN_THEMES, Theme

NIGHT = Theme(
    name="rrdbg-night",
    primary="#58a6ff",
    secondary="#8b949e",
    accent="#f0b429",
    warning="#e3883c",
    error="#f4606c",
    success="#56d364",
    foreground="#d6dde6",
    background="#0d1117",
    surface="#131920",
    panel="#29313b",
)
"""Dark; the default."""

DAY = Theme(
    name="rrdbg-day",
    primary="#0b5cad",
    secondary="#6b7280",
    accent="#b45309",
    warning="#b4540a",
    error="#c62839",
    success="#1a7f37",
    foreground="#1f2328",
    background="#ffffff",
    surface="#f3f5f8",
    panel="#d5dbe3",
    dark=False,
)
"""Light."""


class ThemedSheet(Stylesheet):
    """Styles that are parsed once for a theme: Textual parses them whenever it puts any into force."""

    _parsed_of: object = None

    def reparse(self) -> None:
        """Parse the sources with the variables, unless that was done already."""
        of = dict(self._variables), dict(self.source)
        if of != self._parsed_of:
            super().reparse()
            self._parsed_of = of[0], dict(self.source)


def check_theme(name: str) -> None:
    """Raise RrdbgError, with the names there are, if there is no such theme."""
    names = {*BUILTIN_THEMES, NIGHT.name, DAY.name}
    if name not in names:
        known = ", ".join(sorted(names))
        raise RrdbgError(f"no theme '{name}'", hint=f"themes: {known}", exit_code=ExitCode.USAGE)
