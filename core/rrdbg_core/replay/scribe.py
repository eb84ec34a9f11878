"""Work beside the guest: what is recorded is encoded and written by a thread, while the guest runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Scribe:
    """Does one piece of work at a time, in order.

    The guest's code and compression run without Python's lock, so that on two CPUs they do not wait for each other.

    Args:
        beside: Whether the work is done by a thread; else at once.
    """

    def __init__(self, *, beside: bool) -> None:
        self.beside = beside
        """Whether a thread does it."""
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def give(self, work: Callable[[], None]) -> None:
        """Have some work done, after what was given before.

        Raises:
            Exception: What went wrong in that, or in this if it is done at once.
        """
        self.settle()
        if self.beside:
            thread = threading.Thread(target=self._do, args=(work,), name="rrdbg-scribe", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads
                self.beside = False
            else:
                self._thread = thread
        if not self.beside:
            work()

    def settle(self) -> None:
        """Wait until all is done.

        Raises:
            Exception: What went wrong in it. It is said once.
        """
        self.wait()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def wait(self) -> None:
        """Wait until all is done, well or not."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error
