"""`rrdbg stats` and `rrdbg record --stats`: what they say is what the trace holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import Trace
from rrdbg_core.trace.frame import FILE_HEADER_BYTES

from tests.cli.programs import printing, write
from tests.cli.support import Cli

Stats = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRDBG_TIER2", "0")


@pytest.fixture
def heap(cli: Cli, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the trace of a guest that spans several epochs, and what was said of the recording."""
    path = tmp_path / "heap.rrt"
    done = cli("record", "guest:heap", "--no-input", "--json", "--stats", "--quiet", "-o", path)
    assert done.code == 1
    told: dict[str, Any] = json.loads(done.out)
    return path, told


@pytest.fixture
def stats(cli: Cli) -> Stats:
    def call(*args: str | Path) -> dict[str, Any]:
        outcome = cli("stats", *args, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        values: dict[str, Any] = json.loads(outcome.out)
        return values

    return call


def test_a_recording_says_what_it_wrote(heap: tuple[Path, dict[str, Any]]) -> None:
    path, told = heap
    values = told["stats"]
    with Trace.open(path) as trace:
        assert values["steps"] == trace.end_icount == told["icount"]
        costs = values["costs"]
        assert costs["snapshots"]["count"] == len(trace.snapshots) == told["snapshots"]
        assert costs["digests"]["count"] == len(trace.digests)
        assert costs["check_words"]["count"] == len(trace.checks)
        assert costs["indices"]["count"] == len(trace.epochs)
        assert values["events"] == len(trace.events)
        assert values["written"] == trace.size_by_kind
        assert sum(values["written"].values()) + FILE_HEADER_BYTES == path.stat().st_size


def test_a_replay_does_what_the_recording_did(heap: tuple[Path, dict[str, Any]], stats: Stats) -> None:
    path, told = heap
    recorded, values = told["stats"], stats(path)
    assert values["steps"] == recorded["steps"]
    for name in ("mmio_read", "mmio_write", "wfi", "semihost"):
        assert values["exits"][name] == recorded["exits"][name]
    accesses = [{d["name"]: d["accesses"]["count"] for d in run["devices"]} for run in (recorded, values)]
    assert accesses[0] == accesses[1]
    assert values["written"] == {}
    with Trace.open(path) as trace:
        assert values["costs"]["digests"]["count"] == len(trace.digests)
        assert values["costs"]["check_words"]["count"] == len(trace.checks)
    assert (values["region_share"], values["regions"]["linked"]) == (0, 0)
    assert values["block_share"] == round(values["block_steps"] / values["steps"], 4)
    assert values["block_share"] > 0.5
    assert values["blocks"] > 10


def test_up_to_a_position(cli: Cli, heap: tuple[Path, dict[str, Any]], stats: Stats) -> None:
    path, told = heap
    assert stats(path, "--to", "1_234_567")["steps"] == 1_234_567
    assert stats(path, "--to", "50%")["steps"] == told["icount"] // 2
    assert stats(path, "--to", "start")["steps"] == 0
    cli("stats", path, "--to", "101%").told(ExitCode.USAGE, "outside")
    cli("stats", path, "--to", "@nowhere").told(ExitCode.NOT_FOUND, "nowhere")


def test_for_people(cli: Cli, heap: tuple[Path, dict[str, Any]]) -> None:
    path, told = heap
    text = cli("stats", path).out.decode()
    assert f"{told['icount']:_} steps in" in text
    assert re.search(r"0\.0% in compiled regions, \d+\.\d% in blocks, \d+\.\d% interpreted", text)
    uart = next(line.split() for line in text.splitlines() if line.startswith("uart"))
    known = next(device for device in told["stats"]["devices"] if device["name"] == "uart")
    assert uart[1] == str(known["accesses"]["count"])


def test_a_recording_says_it_at_its_end_and_only_if_asked(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "p.elf", printing("said\n"))
    plain = cli("record", image, "-o", tmp_path / "a.rrt")
    asked = cli("record", image, "--stats", "--quiet", "-o", tmp_path / "b.rrt")
    assert plain.out == asked.out == b"said\n"
    assert "MIPS" not in plain.err
    assert "MIPS" in asked.err
    assert "manifest" in asked.err.splitlines()[-1]
    assert "stats" not in json.loads(cli("record", image, "--json", "-o", tmp_path / "c.rrt").out)
