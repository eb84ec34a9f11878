"""Every motion, in both directions, ends where the list of all states says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import rrdbg

from .history import History, record
from .model import session_over
from .programs import Guest, random_guest
from .traces import make_trace
from .walks import walk


@cache
def recorded(seed: int) -> tuple[Guest, History]:
    guest = random_guest(seed)
    return guest, record(guest.elf)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_walk(seed: int, tmp_path: Path) -> None:
    guest, history = recorded(seed % 12)
    walk(session_over(history, tmp_path), history, guest, seed)


@pytest.mark.parametrize("seed", range(24))
def test_a_random_walk_along_a_trace(seed: int, tmp_path: Path) -> None:
    guest, history = recorded(seed % 12)
    make_trace(guest.elf, tmp_path / "run.rrt", until=history.cut)
    with rrdbg.open(tmp_path / "run.rrt") as session:
        assert session.info().end == history.end
        walk(session, history, guest, seed)


# 1148, 1194: back out of a function in front of an interrupt that comes where it was just returned to
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed in (1148, 1194) else pytest.mark.slow) for seed in range(1000, 1400)]
)
def test_more_random_walks(seed: int, tmp_path: Path) -> None:
    guest = random_guest(seed)
    history = record(guest.elf)
    make_trace(guest.elf, tmp_path / "run.rrt", until=history.cut)
    walk(session_over(history, tmp_path), history, guest, seed)
    with rrdbg.open(tmp_path / "run.rrt") as session:
        walk(session, history, guest, seed + 1)
