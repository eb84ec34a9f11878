"""Every motion, in both directions, ends where the list of all states says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from .history import History, record
from .model import session_over
from .programs import Guest, random_guest
from .walks import walk


@cache
def recorded(seed: int) -> tuple[Guest, History]:
    guest = random_guest(seed)
    return guest, record(guest.elf)


@pytest.mark.parametrize("seed", range(60))
def test_a_random_walk(seed: int, tmp_path: Path) -> None:
    guest, history = recorded(seed % 12)
    walk(session_over(history, tmp_path), history, guest, seed)
