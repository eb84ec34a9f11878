"""Whoever sits in front of a guest while it is recorded: a person at a terminal, a pipe, or nobody."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rrdbg_core.replay.console_input import ConsoleInput, HostInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import Progress, Recording

from rrdbg.cli import host
from rrdbg.cli.console import Console
from rrdbg.cli.keyboard import HELP, Keys
from rrdbg.cli.summary import progress_text
from rrdbg.cli.terminal import count

STDIN = 0


@dataclass
class User:
    """Whoever sits in front of the guest: what they type, what they see, and whether they have had enough."""

    input: ConsoleInput
    console: Console
    first_error: str = ""
    """What the guest did wrong first."""
    _keys: Keys = field(default_factory=Keys)
    _signals: host.StopSignals = field(default_factory=host.StopSignals)
    _source: LiveSource | None = None
    _left: bool = False
    _asked: deque[str] = field(default_factory=deque)
    _progress: Progress | None = None
    _typing: bool = False

    @contextlib.contextmanager
    def attached(self, source: LiveSource, *, quiet: bool) -> Iterator[None]:
        """Connect the terminal, or standard input, while the guest runs."""
        self._source = source
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._signals)
            stack.callback(self.console.finish)
            if isinstance(self.input, HostInput):
                if host.is_terminal(STDIN):
                    self._typing = True
                    if not quiet:
                        host.say("rrdbg: Ctrl-A x ends the recording, Ctrl-A h helps")
                    stack.enter_context(host.RawTerminal(STDIN))
                reader = host.Reader(STDIN, self._on_data, self.input.close)
                stack.callback(reader.stop)
                reader.start()
            yield

    def _on_data(self, data: bytes) -> None:
        """Hand on what was typed; in the reader's thread."""
        assert isinstance(self.input, HostInput)
        if self._typing:
            data, commands = self._keys.feed(data)
            for letter in commands:
                if letter == "x":
                    self._left = True
                elif letter == "r" and self._source is not None:
                    self._source.request_reset()
                else:
                    self._asked.append(letter)
        if data:
            self.input.feed(data)

    def wants_to_end(self) -> bool:
        """Return whether the recording shall end.

        The recorder asks all the time, and before the guest waits: what it has printed is shown, commands are answered.
        """
        self.console.flush()
        while self._asked:
            if self._asked.popleft() == "c":
                self.console.say("rrdbg: " + (progress_text(self._progress) if self._progress else "just started"))
            else:
                self.console.say(HELP)
        return self._left or self._signals.caught is not None or self.console.closed

    def on_console(self, step: int, data: bytes) -> None:
        """Take what the guest prints."""
        self.console.write(data)

    def on_progress(self, progress: Progress) -> None:
        """Show it, unless the user types into the guest on the same screen."""
        self._progress = progress
        if not (self._typing and self.console.shared):
            self.console.progress(progress_text(progress))

    def on_guest_error(self, icount: int, device: str, text: str) -> None:
        """Remember the first."""
        if not self.first_error:
            self.first_error = f"{device}: {text}, at icount {count(icount)}"

    def reason(self, result: Recording) -> str:
        """Return why the recording ended, more precisely than the recorder can know."""
        if result.ending.reason != "interrupted":
            return result.ending.reason
        if self._signals.caught is not None:
            return "interrupted"
        return "user" if self._left else "stdout-closed"
