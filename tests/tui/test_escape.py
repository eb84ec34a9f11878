"""The Esc key, and the keys whose sequences begin like it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from textual import constants
from textual.drivers import linux_driver
from textual.events import Key

from rrdbg.tui.escape import LOCAL_S, REMOTE_S, escape_delay, quick


class LinuxDriver:
    """What the thread that reads the keys needs of a driver."""

    def __init__(self, fileno: int) -> None:
        self._debug = False
        self.fileno = fileno
        self.exit_event = threading.Event()
        self.met: Queue[str] = Queue()

    def process_message(self, message: Any) -> None:
        if isinstance(message, Key):
            self.met.put(message.key)

    def run_input_thread(self) -> None:
        raise AssertionError("this is Textual's")


@pytest.fixture
def delay() -> Iterator[None]:
    before = constants.ESCAPE_DELAY
    yield
    constants.ESCAPE_DELAY = before  # type: ignore[misc]


def test_keys(delay: None) -> None:
    read, write = os.pipe()
    driver: Any = quick(LinuxDriver)(read)  # type: ignore[arg-type, call-arg]
    reader = threading.Thread(target=driver.run_input_thread)
    reader.start()
    try:
        for typed, keys in (
            (b"\x1b[A\x1b[1;5Dx", ["up", "ctrl+left", "x"]),
            (b"\x1b", ["escape"]),  # nothing follows: it must not wait for another key
            (b"\x1b[B\xc3", ["down"]),
            (b"\xa9\x1b[Z", ["é", "shift+tab"]),
            (b"\x1b", ["escape"]),
        ):
            os.write(write, typed)
            assert [driver.met.get(timeout=30).replace("latin_small_letter_e_with_acute", "é") for _ in keys] == keys
    finally:
        driver.exit_event.set()
        reader.join()
        os.close(write)
        os.close(read)
    assert driver.met.empty()


def test_the_interface_reads_keys_so(delay: None) -> None:
    chosen = quick(linux_driver.LinuxDriver)
    assert chosen is not linux_driver.LinuxDriver
    assert "run_input_thread" in vars(chosen)
    assert quick(chosen) is chosen  # and no other driver


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, LOCAL_S),
        ({"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, REMOTE_S),
        ({"SSH_TTY": "/dev/pts/1"}, REMOTE_S),
        ({"ESCDELAY": "700", "SSH_TTY": "/dev/pts/1"}, constants.ESCAPE_DELAY),
    ],
)
def test_how_long_it_waits(environment: dict[str, str], seconds: float) -> None:
    assert escape_delay(environment) == seconds
