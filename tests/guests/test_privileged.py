"""What S mode and paging do in guests that check themselves: recorded, verified with pauses, and on the reference.

QEMU runs them in `test_prebuilt`. What each is about stands in its first line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.machine.config import MachineConfig
from rrdbg_core.machine.machine import Machine, StopReason
from rrdbg_core.machine.source import FOREVER, ReplaySource
from rrdbg_core.replay.verify import verify
from rrdbg_core.trace.reader import Trace

from tests.guests.manifest import ROWS, elf
from tests.session.history import config_for
from tests.session.traces import make_trace

GUESTS = sorted(name for name, row in ROWS.items() if row.get("privilege") == "msu")
MACHINE = {"privilege": "msu", "isa": "rv64gc", "ram_bytes": 4 << 20}
STRIDE = 40_009
"""Steps between two comparisons of whole machines."""


@pytest.mark.parametrize("name", GUESTS)
def test_a_recording_verifies(name: str, tmp_path: Path) -> None:
    path = tmp_path / "guest.rrt"
    recording = make_trace(elf(name).read_bytes(), path, until=2 * ROWS[name]["steps"], **MACHINE)
    assert recording.ending.exit_code == 0
    with Trace.open(path) as trace:
        assert b"".join(data for epoch in trace.epochs for _, data in epoch.console).decode() == ROWS[name]["output"]
        report = verify(trace, pauses=24, seed=5, fresh_processes=0)
    assert report.ok, report.text
    assert report.moves > 4


def machine(name: str, core: type[Core]) -> Machine:
    config, images = config_for(elf(name).read_bytes(), **MACHINE)
    assert isinstance(config, MachineConfig)
    return Machine(config, images, ReplaySource([], FOREVER), core=core(config.ram_bytes))


def compare(name: str, end: int) -> None:
    """Run kernel and reference side by side, one of them without what it has cached now and then."""
    kernel, reference = machine(name, Core), machine(name, ReferenceCore)
    at = 0
    while at < end:
        at = min(at + STRIDE, end)
        reasons = [guest.run(at) for guest in (kernel, reference)]
        assert reasons[0] is reasons[1], at
        assert kernel.digest() == reference.digest(), kernel.differences(kernel.save(), reference.save())
        if reasons[0] is not StopReason.LIMIT:
            break
        if at // STRIDE % 3 == 0:
            kernel.core.drop_caches()
    assert kernel.icount == reference.icount == at


@pytest.mark.parametrize("name", GUESTS)
def test_kernel_and_reference_go_the_same_way(name: str) -> None:
    compare(name, min(3 * STRIDE, ROWS[name]["steps"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", GUESTS)
def test_kernel_and_reference_go_the_same_way_to_the_end(name: str) -> None:
    compare(name, ROWS[name]["steps"])
