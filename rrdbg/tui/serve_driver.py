"""Textual's driver behind a web server, which ends the interface when the server is gone, however it went."""

from __future__ import annotations

from textual import messages
from textual.drivers.web_driver import WebDriver

__all__ = ["ServedDriver"]


class ServedDriver(WebDriver):
    """Ends at the end of its input."""

    def run_input_thread(self) -> None:
        """Wait for input and dispatch events."""
        super().run_input_thread()
        self._app.post_message(messages.ExitApp())
