"""Traces that several tests look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.trace.reader import Trace

from tests.replay.guests import SHELL, bundled, recorded, script


@pytest.fixture(scope="session")
def shell_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of a conversation: input, entropy, a guest reset, idle time."""
    path = tmp_path_factory.mktemp("traces") / "shell.rrt"
    ending = recorded(bundled("shell"), path, script(SHELL)).ending
    assert (ending.reason, ending.exit_code) == ("exit", 9)
    return path


@pytest.fixture(scope="session")
def storm_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the start of a recording of the interrupt storm."""
    path = tmp_path_factory.mktemp("traces") / "storm.rrt"
    recorded(bundled("storm"), path, steps=1_500_000)
    return path


@pytest.fixture(scope="session")
def heap_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording that computes for more than two epochs."""
    path = tmp_path_factory.mktemp("traces") / "heap.rrt"
    recorded(bundled("heap"), path)
    return path


@pytest.fixture
def replayer() -> Iterator[Callable[[Path], Replayer]]:
    """Return a function that opens traces for replay; they are closed afterwards."""
    opened: list[Trace] = []

    def make(path: Path) -> Replayer:
        opened.append(Trace.open(path))
        return Replayer(opened[-1])

    yield make
    for trace in opened:
        trace.close()
