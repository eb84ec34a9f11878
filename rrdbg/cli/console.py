"""Where the guest's console output goes while it is recorded, and the progress line that must not disturb it."""

from __future__ import annotations

from rrdbg.cli import host
from rrdbg.cli.terminal import ProgressLine

STDOUT, STDERR = 1, 2

BURST = 1 << 14
"""Bytes that wait at most: guests print byte by byte, and each write costs as much as hundreds of their steps."""


class Console:
    """Writes the guest's output, byte for byte. It waits for `flush`, or until there is much of it.

    The progress line lives on stderr. Where that is the screen on which the guest prints, the line shows only while
    the guest's cursor stands at the start of a line, and is wiped before the guest prints on.

    Args:
        fd: Where the guest prints.
        progress: Whether a progress line is wanted at all.
    """

    def __init__(self, fd: int, *, progress: bool) -> None:
        self.fd = fd
        self.closed = False
        """Nobody reads what the guest prints any more."""
        self.shared = host.same_terminal(fd, STDERR)
        """Our own words appear on the same screen."""
        self._waiting = bytearray()
        self._at_line_start = True
        self._line = ProgressLine("recording", enabled=progress and host.is_terminal(STDERR))

    def write(self, data: bytes) -> None:
        """Take what the guest prints."""
        self._waiting += data
        if len(self._waiting) >= BURST:
            self.flush()

    def flush(self) -> None:
        """Print what has been taken."""
        if not self._waiting:
            return
        data, self._waiting = bytes(self._waiting), bytearray()
        if self.closed:
            return
        if self.shared:
            self._line.clear()
        self._at_line_start = data.endswith(b"\n")
        try:
            host.write_all(self.fd, data)
        except OSError:  # a closed pipe, a terminal that is gone, a full disk behind `>`
            self.closed = True

    def progress(self, text: str) -> None:
        """Show how far the recording is, unless that would disturb the guest's output."""
        self.flush()
        if self._at_line_start or not self.shared:
            self._line.text(text)

    def say(self, text: str) -> None:
        """Print a line of ours on stderr."""
        self.finish()
        host.say(text)

    def finish(self) -> None:
        """Print what has been taken, and leave stderr at the start of a line."""
        self.flush()
        self._line.clear()
        if self.shared and not self._at_line_start:
            host.say("")
            self._at_line_start = True
