"""Starting the interface: what is checked before the screen is taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.tui import run


def test_no_terminal_is_one_clear_error() -> None:
    with pytest.raises(RrdbgError, match="needs a terminal") as caught:
        run.run_tui("x.rrt")
    assert caught.value.exit_code == ExitCode.HOST_IO
    assert caught.value.hint is not None


def test_starting_loads_nothing_heavy_before_it_is_needed() -> None:
    code = "import sys, rrdbg.tui.run; sys.exit(bool({'textual', 'numba', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_opening_starts_at_once_and_tells_what_went_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(path: str, progress: object, symbols: object, process: object = None) -> None:
        raise RrdbgError(f"{path}: not a trace", exit_code=ExitCode.BAD_TRACE)

    monkeypatch.setattr(run, "open_trace", fails)
    opening = run.Opening("x.rrt")
    with pytest.raises(RrdbgError, match="not a trace"):
        opening(lambda progress: None)
    with pytest.raises(RrdbgError, match="not a trace"):
        opening(lambda progress: None)
