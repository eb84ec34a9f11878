"""Host time as far as it concerns a recording: without the time in which nobody recorded.

An idle guest with a live back end waits in host time, and `--timeout` counts host time. Neither may be charged for a
pause, whoever makes it: the user of the recorder, or a shell that stopped the process (Ctrl-Z, SIGSTOP).
"""

from __future__ import annotations

import time
from collections.abc import Callable

GAP_S = 1.0
"""Host time between two looks at the clock that is no work of ours: the process was stopped, or the host slept."""
TICK_S = 0.05
"""What such a gap counts as; also the longest that an idle recorder sleeps."""


class HostClock:
    """Seconds of recording. Looked at all the time by the recorder, always in its own thread.

    Args:
        now: The clock below it, in seconds; it never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen = now()
        self._seconds = 0.0
        self._standing = False

    def seconds(self) -> float:
        """Return the seconds so far."""
        now = self._now()
        gap, self._seen = now - self._seen, now
        if not self._standing:
            self._seconds += gap if gap <= GAP_S else TICK_S
        return self._seconds

    def pause(self) -> None:
        """Stand still until `resume`."""
        self.seconds()
        self._standing = True

    def resume(self) -> None:
        """Go on."""
        self.seconds()
        self._standing = False
