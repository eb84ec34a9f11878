"""The two themes of our own; Textual's come on top of them."""

from __future__ import annotations

from rrdbg_core.errors import ExitCode, RrdbgError
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


def check_theme(name: str) -> None:
    """Raise RrdbgError, with the names there are, if there is no such theme."""
    names = {*BUILTIN_THEMES, NIGHT.name, DAY.name}
    if name not in names:
        known = ", ".join(sorted(names))
        raise RrdbgError(f"no theme '{name}'", hint=f"themes: {known}", exit_code=ExitCode.USAGE)
