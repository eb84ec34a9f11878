"""Traces for the gdb server's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.api import Session
from tests.gdb.recordings import record


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace of a guest that prints a line."""
    return record("hello", tmp_path_factory.mktemp("hello"))


@pytest.fixture
def session(hello: Path, tmp_path: Path) -> Iterator[Session]:
    """A session over it, in this process."""
    copy = tmp_path / "hello.rrt"
    copy.write_bytes(hello.read_bytes())
    with rrdbg.open(copy) as opened:
        yield opened
