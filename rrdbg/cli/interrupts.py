"""Ctrl-C while a session works: the call is cancelled and the session stands where it stood."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def cancelling(session: Any) -> Iterator[None]:
    """Let SIGINT cancel the session's running call; when none runs, it is a KeyboardInterrupt as ever.

    A session must not be interrupted just anywhere: its guest would be left in the middle of a step.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if not session.cancel():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
