"""The interface behind page tables: its panes show what the hart sees, in every mode."""

from __future__ import annotations

from pathlib import Path

import pytest

import rrdbg
from tests.guests.manifest import elf
from tests.session.traces import make_trace
from tests.tui.real import over_trace
from tests.tui.test_trace import agrees


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paging") / "paging.rrt"
    make_trace(elf("tiny/paging").read_bytes(), path, privilege="msu", isa="rv64gc", ram_bytes=1 << 20)
    return path


async def test_panes_show_what_the_hart_sees(trace: Path) -> None:
    with rrdbg.open(trace) as judge:
        judge.add_catch("ecall-u")
        stops = [judge.continue_().when.icount for _ in range(3)]
        judge.delete_point()
        async with over_trace(trace) as run:
            modes = set()
            for position in (5, *(stop - 1 for stop in stops), *stops):
                await run.goto(position)
                await agrees(run, judge)
                modes.add(judge.when().priv)
                if judge.when().priv == "U":  # without source: code
                    await run.sees("ecall")
        assert modes == {"M", "S", "U"}
