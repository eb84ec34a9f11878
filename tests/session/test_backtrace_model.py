"""Backtraces of random programs without call frame information, against all calls and traps that there were.

Handlers stand at any address that `mtvec` can hold, in both of its modes, and may leave it to others to return.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.source.walks import Steps, opened

from .programs import Guest, guest, random_guest
from .traces import make_trace

VECTORS = "vectors:\n" + "    j handler\n" * 16
SEEDS = range(10)
POSITIONS = 10
"""Positions of each kind, in handlers and outside, that are looked at in a program."""


def varied(seed: int) -> Guest:
    """Return a random program whose handler is one of many kinds."""
    rng = random.Random(seed)
    made = random_guest(seed)
    text, functions = made.text, ["_start", "handler"]
    if rng.random() < 0.5:  # the handler itself does not return: who looks for mret in it looks in vain
        functions.append("leave")
    if rng.random() < 0.5:
        text = text.replace("la t0, handler\n", "la t0, vectors\n    ori t0, t0, 1\n").replace(
            "handler:\n", f"{VECTORS}handler:\n", 1
        )
        functions.insert(1, "vectors")
    if rng.random() < 0.5:  # an odd or an even number of words into the program
        text = text.replace("stay:\n", "stay:\n    nop\n")
    functions += [name for name in made.symbols if name == "recurse" or name in {f"f{i}" for i in range(8)}]
    return guest(text, functions=tuple(functions), objects={"data": 64, "table": 32, "stack": 2048})


def chosen(steps: Steps, rng: random.Random) -> list[int]:
    """Return some positions, in handlers and outside of them."""
    handled = [any(frame.trap for frame in stack) for stack in steps.stacks[:-1]]
    found: list[int] = []
    for inside in (True, False):
        there = [position for position, is_inside in enumerate(handled) if is_inside is inside]
        found += rng.sample(there, min(POSITIONS, len(there)))
    return sorted(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_has_not_returned_is_shown(seed: int, tmp_path: Path) -> None:
    make_trace(varied(seed).elf, tmp_path / "run.rrt")
    with opened(tmp_path / "run.rrt") as session:
        steps = Steps(session)
        wrong = []
        for position in chosen(steps, random.Random(seed)):
            session.goto(position)
            # a trap is told in front of what it interrupted
            shown = [(frame.location.symbol, bool(frame.trap)) for frame in session.backtrace(200)]
            if shown != steps.names(position):
                wrong.append((position, session.when().location.text, shown, steps.names(position)))
        assert not wrong, (len(wrong), len(steps.pcs), wrong[:2])


def test_the_programs_have_what_is_to_be_tested(tmp_path: Path) -> None:
    """Handlers at both kinds of addresses, in both modes; traps in calls, and calls after traps."""
    bases = {varied(seed).symbols.get("vectors", varied(seed).symbols["handler"]) % 8 for seed in SEEDS}
    assert bases == {0, 4}
    assert {"vectors" in varied(seed).symbols for seed in SEEDS} == {False, True}
