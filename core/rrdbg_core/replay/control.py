"""What somebody who watches a recording may ask of it while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Control:
    """Wishes that the recorder grants between two steps. Any thread may call.

    None of them can be seen by the guest: a recording that was paused is the one that was not.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = self._sync = False
        self.wake: Callable[[], None] = lambda: None
        """Set by the recorder: makes it look here soon."""

    @property
    def paused(self) -> bool:
        """Whether the recording shall stand still."""
        return self._paused

    def pause(self) -> None:
        """Stand still before the next step; everything so far is then in the file."""
        self._set(True)

    def resume(self) -> None:
        """Go on."""
        self._set(False)

    def sync(self) -> None:
        """Put everything so far into the file, now."""
        with self._changed:
            self._sync = True
            self._changed.notify_all()
        self.wake()

    def _set(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()
        self.wake()

    # for the recorder

    @property
    def asks(self) -> bool:
        """Whether there is anything to do."""
        return self._paused or self._sync

    def taken(self) -> bool:
        """Return whether `sync` was asked for, and forget it."""
        with self._changed:
            sync, self._sync = self._sync, False
        return sync

    def wait(self, timeout: float) -> None:
        """Sleep until something changes, at most `timeout` seconds."""
        with self._changed:
            if self._paused and not self._sync:
                self._changed.wait(timeout)
