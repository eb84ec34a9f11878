"""Random programs on the guest CPU, on Spike and on the reference interpreter: not one step differs."""

from __future__ import annotations

import pytest

from tests.cpu.oracle.fuzz import run
from tests.cpu.oracle.subjects import make

SEED = 20261125


def _compare(subject: str, against: str, steps: int, seed: int = SEED) -> None:
    tally = run(make(against), make(subject), seed=seed, steps=steps)
    print(f"{subject} against {against}, seed {seed}: {tally}")
    assert not tally.mismatches, "\n".join(map(str, tally.mismatches))
    assert tally.steps >= steps


@pytest.mark.oracle
def test_a_million_steps_against_spike() -> None:
    _compare("core", "spike", 1_000_000)


@pytest.mark.oracle
@pytest.mark.slow
def test_twenty_million_steps_against_spike() -> None:
    _compare("core", "spike", 20_000_000, SEED + 1)


@pytest.mark.oracle
def test_the_reference_interpreter_against_spike() -> None:
    _compare("reference", "spike", 100_000)


@pytest.mark.slow
def test_twenty_million_steps_against_the_reference_interpreter() -> None:
    _compare("core", "reference", 20_000_000, SEED + 2)
