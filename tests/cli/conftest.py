"""The command line in process: quick, because the guest CPU is loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrdbg.cli.main import main
from tests.cli.support import Cli, Outcome


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    """Return a function that runs a command line. Standard input is empty, as pytest leaves it."""

    def call(*args: str | Path) -> Outcome:
        capfdbinary.readouterr()
        code = main([str(arg) for arg in args])
        out, err = capfdbinary.readouterr()
        return Outcome(code, out, err.decode(errors="replace"))

    return call
