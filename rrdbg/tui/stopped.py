"""A driver that survives SIGSTOP, of which no handler hears: on SIGCONT the terminal is still in our own modes."""

from __future__ import annotations

from typing import Any

from textual.driver import Driver


def continuing(driver: type[Driver]) -> type[Driver]:
    """Return a driver of Textual's that takes the terminal once, however it was stopped; others as they are.

    Textual's takes it again on SIGCONT. Where it was not given back before, because SIGSTOP came without SIGTSTP, it
    would take its own modes for the user's, and a second thread would read the keys, of which one never ends.
    """
    if not hasattr(driver, "_sigcont_application"):
        return driver

    class Continuing(driver):  # type: ignore[valid-type, misc]
        def _sigcont_application(self, *_: Any) -> None:
            if self._auto_restart and not self._must_signal_resume:
                self.suspend_application_mode()
            super()._sigcont_application()

    return Continuing
