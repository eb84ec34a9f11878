"""How long an Esc byte waits for the rest of a sequence before it is the Esc key.

A terminal sends the sequence of a key at once, and a read returns all of it, but for slow lines. Textual waits 100 ms,
looks every 100 ms, and so answers Esc after 100 to 200 ms. Here it is 50 ms, as in Neovim, and over SSH 100 ms, unless
the environment says otherwise (ESCDELAY, in milliseconds, as for ncurses).
"""

from __future__ import annotations

import contextlib
import os
import selectors
from codecs import getincrementaldecoder
from collections.abc import Mapping

from textual import constants
from textual.driver import Driver

LOCAL_S = 0.05
REMOTE_S = 0.1
_READ = 4096


def escape_delay(environment: Mapping[str, str]) -> float:
    """Return the seconds that an Esc byte waits."""
    if "ESCDELAY" in environment:
        return constants.ESCAPE_DELAY  # which Textual has read
    return REMOTE_S if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY") else LOCAL_S


def quick(driver: type[Driver]) -> type[Driver]:
    """Return Textual's driver for terminals of Unix with an Esc key that answers sooner; others as they are."""
    try:
        from textual._parser import ParseError
        from textual._xterm_parser import XTermParser
    except ImportError:  # they are Textual's own business
        return driver
    if driver.__name__ != "LinuxDriver" or not hasattr(driver, "run_input_thread"):
        return driver
    delay = escape_delay(os.environ)
    constants.ESCAPE_DELAY = delay  # type: ignore[misc]

    class Quick(driver):  # type: ignore[valid-type, misc]
        def run_input_thread(self) -> None:
            """Wait for input and dispatch events: as Textual's, but it looks for what has waited after `delay`."""
            parser = XTermParser(self._debug)
            decode = getincrementaldecoder("utf-8")().decode
            selector = selectors.SelectSelector()
            selector.register(self.fileno, selectors.EVENT_READ)

            def take(*, final: bool = False) -> None:
                if selector.select(delay) and (text := decode(os.read(self.fileno, _READ), final=final)):
                    for event in parser.feed(text):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

            try:
                while not self.exit_event.is_set():
                    take()
                take(final=True)
            finally:
                selector.close()
                with contextlib.suppress(EOFError, ParseError):
                    list(parser.feed(""))

    return Quick
