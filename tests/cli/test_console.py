"""What the guest prints goes out in bursts: much of it at once, and none of it late."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rrdbg.cli.console import BURST, Console


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)
    os.close(write)


def arrived(read: int) -> bytes:
    """Return what has come so far."""
    try:
        return os.read(read, 1 << 20)
    except BlockingIOError:
        return b""


def test_it_waits_until_there_is_much(pipe: tuple[int, int]) -> None:
    read, write = pipe
    console = Console(write, progress=False)
    for _ in range(BURST - 1):
        console.write(b"x")
    assert arrived(read) == b""
    console.write(b"y")
    assert arrived(read) == b"x" * (BURST - 1) + b"y"
    console.write(b"z")
    assert arrived(read) == b""


@pytest.mark.parametrize(
    "hurry", [Console.flush, Console.finish, lambda console: console.progress("10 %"), lambda console: console.say("")]
)
def test_what_waits_is_shown_before_anything_else(pipe: tuple[int, int], hurry: object) -> None:
    assert callable(hurry)
    read, write = pipe
    console = Console(write, progress=False)
    console.write(b"login: ")
    hurry(console)
    assert arrived(read) == b"login: "
    hurry(console)
    assert arrived(read) == b""  # once


def test_nobody_reads_any_more() -> None:
    read, write = os.pipe()
    os.close(read)
    console = Console(write, progress=False)
    console.write(b"x" * BURST)
    assert console.closed
    console.write(b"x" * BURST)  # thrown away
    console.finish()
    os.close(write)
