"""Where console input comes from while a guest is recorded: nowhere, some bytes, or a live user.

`script.py` has the scripted input. What a source offers is a function of the guest alone, except for a live one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.source import FOREVER, Now


class Wake(Frozen):
    """When a source has something to offer, if nothing but time passes."""

    icount: int = FOREVER
    """By then, counted in steps."""
    virtual_ns: int | None = None
    """By then, on the virtual clock."""


class ConsoleInput:
    """Console input. This one has none."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called, from any thread, when a live source has something new."""

    @property
    def live(self) -> bool:
        """Whether input comes from somebody who lives in host time."""
        return False

    @property
    def listens(self) -> bool:
        """Whether what it offers may depend on what the guest prints next."""
        return type(self).printed is not ConsoleInput.printed

    @property
    def done(self) -> bool:
        """Whether it will never offer anything again."""
        return type(self).offer is ConsoleInput.offer

    def offer(self, now: Now, room: int) -> int:
        """Return how many bytes there are for the guest now; its console would take `room`."""
        return 0

    def take(self, size: int, now: Now) -> bytes:
        """Hand over bytes that were offered; at least one, at most `size`."""
        raise AssertionError("nothing was offered")

    def wake(self, now: Now) -> Wake:
        """Return when there will be more, if only time passes; asked when there is nothing now."""
        return Wake()

    def printed(self, step: int, data: bytes) -> None:
        """Learn what the guest printed."""

    def leftover(self) -> str:
        """Return what never reached the guest, in words, or ""."""
        return ""


START_STEPS = 100_000
"""A guest that shows no sign of a console gets its input after so many steps. If it polls for it, those take a second
or so of host time."""


class HeldInput(ConsoleInput):
    """Input that waits until the guest has set up its console.

    A guest that turns the FIFO on clears it, and with it a byte that came too early. Set up means that it printed, that
    it waits for an interrupt, or that `START_STEPS` are done; a UART with its FIFO on takes more than one byte.
    """

    def __init__(self) -> None:
        super().__init__()
        self._started = False

    @property
    def listens(self) -> bool:
        return not self._started

    def _may_start(self, now: Now, room: int) -> bool:
        self._started = self._started or room > 1 or now.idle or now.icount >= START_STEPS
        return self._started

    def wake(self, now: Now) -> Wake:
        return Wake() if self._started else Wake(icount=START_STEPS)

    def printed(self, step: int, data: bytes) -> None:
        self._started = True


class BytesInput(HeldInput):
    """Bytes, fed as fast as the guest takes them."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._data)

    def offer(self, now: Now, room: int) -> int:
        return len(self._data) - self._at if self._may_start(now, room) else 0

    def take(self, size: int, now: Now) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def leftover(self) -> str:
        left = len(self._data) - self._at
        return f"{left} bytes of input were never read" if left else ""


class HostInput(HeldInput):
    """Somebody types: bytes come from another thread, whenever they come."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._data = bytearray()
        self._open = True

    @property
    def live(self) -> bool:
        return self._open

    def feed(self, data: bytes) -> None:
        """Hand over what was typed. Any thread may call."""
        with self._lock:
            self._data += data
        self.on_change()

    def close(self) -> None:
        """Say that nobody types any more. Any thread may call; what was fed still reaches the guest."""
        self._open = False
        self.on_change()

    @property
    def done(self) -> bool:
        return not (self._open or self._data)

    def offer(self, now: Now, room: int) -> int:
        return len(self._data) if self._may_start(now, room) else 0

    def take(self, size: int, now: Now) -> bytes:
        with self._lock:
            piece = bytes(self._data[:size])
            del self._data[:size]
        return piece
