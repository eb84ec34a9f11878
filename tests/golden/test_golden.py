"""Recordings of every format and machine version replay as they did, or are refused by name."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from rrdbg_core.machine.config import MACHINE_VERSION
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.model import FORMAT_VERSION
from rrdbg_core.trace.reader import Trace

from tests.golden.make import FOLDER, GUESTS, INDEX, describe

EXPECTED = json.loads(INDEX.read_text())


def test_every_trace_is_in_the_index_and_none_is_missing() -> None:
    assert {path.name for path in FOLDER.glob("*.rrt")} == set(EXPECTED)


def test_this_version_has_its_traces() -> None:
    for guest in GUESTS:
        assert f"v{FORMAT_VERSION}-{MACHINE_VERSION}-{guest}.rrt" in EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_golden_trace_replays_to_the_same_state_with_and_without_pauses(name: str) -> None:
    trace = Trace.open(FOLDER / name)
    assert trace.damage == ""
    assert asdict(describe(trace)) == EXPECTED[name]
    report = verify(trace, pauses=12, seed=3, fresh_processes=0)
    assert report.ok, report.text
    assert report.digests > 0
    trace.close()


def test_console_output_of_the_shell_is_what_was_typed_for() -> None:
    trace = Trace.open(FOLDER / f"v{FORMAT_VERSION}-{MACHINE_VERSION}-shell.rrt")
    console = b"".join(data for epoch in trace.epochs for _, data in epoch.console)
    assert b"after the reset" in console
    assert trace.ending is not None
    assert trace.ending.exit_code == 3
    trace.close()


def test_the_kernel_got_from_the_firmware_what_it_asked_for_and_was_reset_once() -> None:
    trace = Trace.open(FOLDER / f"v{FORMAT_VERSION}-{MACHINE_VERSION}-sbi.rrt")
    assert trace.manifest.config.firmware == "sbi"
    console = b"".join(data for epoch in trace.epochs for _, data in epoch.console).decode()
    asked = """\
sbi 2000000, hart 0, tree d00dfeed, yes, yes, yes, yes, yes, yes, no
fence 0, hart's state 0, doorbells 1, ticks 5 in time
"""
    assert console == f"{asked}again? typed 4, reboots\n{asked}back, and off\n"
    trace.close()
