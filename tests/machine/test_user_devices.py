"""Devices of the user's own, from a file and an entry point: recorded, replayed elsewhere, not run for strangers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rrdbg_core.devices import user
from rrdbg_core.errors import RrdbgError
from rrdbg_core.machine.config import DeviceRef
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.events import EventKind
from rrdbg_core.machine.machine import DeviceBroken, StopReason
from rrdbg_core.trace.reader import Trace

from tests.devices import broken
from tests.machine.boot import boot

EXAMPLE = Path(__file__).parents[2] / "docs/examples/thermometer.py"
WATCHER = """
    la t0, trap
    csrw mtvec, t0
    li s0, 0x40000000
    li s1, 0x10000000
    li s3, 5
    li t0, 0x0c000000
    li t1, 1
    sw t1, 168(t0)          # priority of source 42
    li t0, 0x0c002000
    li t1, 0x400
    sw t1, 4(t0)            # enabled
    li t0, 0x800
    csrw mie, t0
    li t1, 200
    sw t1, 4(s0)            # every 200 us
    li t1, 2
    sw t1, 0(s0)
    csrrsi zero, mstatus, 8
sleep:
    wfi
    bnez s3, sleep
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
end: j end
trap:
    li t0, 0x0c200004
    lw t1, 0(t0)
    lw a0, 8(s0)            # the measurement
    add s4, s4, a0
    li t2, 1
    sw t2, 12(s0)           # acknowledged
    sw t1, 0(t0)
    li t2, 46
    sb t2, 0(s1)
    addi s3, s3, -1
    mret
"""
"""Takes five measurements, by interrupt, and prints a dot for each."""


def _rrdbg(*arguments: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rrdbg", *map(str, arguments)]
    clean = {key: value for key, value in os.environ.items() if key != user.TRUST}
    return subprocess.run(
        command, cwd=cwd, env={**clean, **env}, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with the example, made from its file."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "guest.bin").write_bytes(assemble(WATCHER))
    device = f"{EXAMPLE}:Thermometer@0x40000000,irq=42"
    done = _rrdbg("record", "guest.bin", "-o", "run.rrt", "--device", device, "--until", "5s", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "....."
    return folder / "run.rrt"


def test_what_the_host_measured_is_in_the_journal(recorded: Path) -> None:
    trace = Trace.open(recorded)
    events = [event for event in trace.events if event.device == "thermometer"]
    assert {event.kind for event in events} == {EventKind.BH}
    assert len(events) >= 5
    assert all(len(event.payload) == 4 for event in events)
    (ref,) = trace.manifest.config.devices
    assert (ref.kind, ref.source) == ("thermometer.py:Thermometer", EXAMPLE.read_text())
    trace.close()


def test_a_trace_does_not_run_its_device_unasked(recorded: Path, tmp_path: Path) -> None:
    for command in (["verify"], ["replay", "-batch", "-ex", "goto end"]):
        done = _rrdbg(command[0], recorded, *command[1:], cwd=tmp_path)
        assert done.returncode == 2, (command, done.stdout, done.stderr)
        assert "the trace carries the program of a device, thermometer.py:Thermometer" in done.stderr
        assert "--trust-devices" in done.stderr
        assert "Traceback" not in done.stderr


def test_it_can_be_looked_at_without_running_anything(recorded: Path, tmp_path: Path) -> None:
    done = _rrdbg("info", recorded, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "thermometer" in done.stdout


def test_it_replays_without_the_file_for_those_who_trust_it(recorded: Path, tmp_path: Path) -> None:
    # also in the new processes that verify starts
    done = _rrdbg("verify", recorded, "--trust-devices", "--pauses", "6", "--processes", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ones_own_copy_is_enough_if_it_is_the_same(recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.py"
    copy.write_text(EXAMPLE.read_text())
    assert _rrdbg("verify", recorded, cwd=tmp_path, RRDBG_TRUST_DEVICES="mine.py").returncode == 0
    copy.write_text(EXAMPLE.read_text() + "\n# changed\n")
    done = _rrdbg("verify", recorded, cwd=tmp_path, RRDBG_TRUST_DEVICES=str(copy))
    assert done.returncode == 2
    assert "the trace carries the program of a device" in done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the example as an installed distribution."""
    (tmp_path / "thermometer.py").write_text(EXAMPLE.read_text())
    info = tmp_path / "thermometer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thermometer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rrdbg.devices]\nhost-load = thermometer:Thermometer\n")
    return tmp_path


def test_an_entry_point_is_found_by_its_name(installed: Path) -> None:
    (installed / "guest.bin").write_bytes(assemble(WATCHER))
    path = str(installed)
    device = "host-load@0x40000000,irq=42"
    done = _rrdbg("record", "guest.bin", "-o", "run.rrt", "--device", device, cwd=installed, PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (0, "....."), done.stderr
    # what is installed is the user's: it needs no trust, but it has to be there
    done = _rrdbg("verify", "run.rrt", cwd=installed, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = _rrdbg("verify", installed / "run.rrt", cwd=installed.parent)
    assert done.returncode == 67
    assert "no device is called 'host-load'" in done.stderr


def test_an_entry_point_can_be_checked(installed: Path) -> None:
    done = _rrdbg("check-device", "host-load", "--steps", "500", cwd=installed.parent, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stdout + done.stderr


def _ref(kind: str, source: str | None) -> DeviceRef:
    return DeviceRef(kind=kind, name="own", address=0x4000_0000, irq=42, source=source)


def test_a_trace_cannot_name_a_file_of_this_computer(tmp_path: Path) -> None:
    file = tmp_path / "evil.py"
    file.write_text("raise SystemExit('ran')\n")
    with pytest.raises(RrdbgError, match="lacks its text") as caught:
        boot("end: j end", devices=(_ref(f"{file}:Evil", None),))
    assert caught.value.exit_code == 65


def test_untrusted_text_is_not_even_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(user.TRUST, raising=False)
    with pytest.raises(user.Untrusted):
        boot("end: j end", devices=(_ref("x.py:X", "this is ( no Python"),))


def test_trust_lasts_for_the_process_and_adds_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(user.TRUST, "")
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("1\n")
    two.write_text("2\n")
    user.trust(str(one))
    assert user.is_trusted("1\n")
    assert not user.is_trusted("2\n")
    user.trust(str(two))
    assert user.is_trusted("2\n")
    assert not user.is_trusted("3\n")
    user.trust()
    assert user.is_trusted("3\n")
    user.trust(str(one))
    assert os.environ[user.TRUST] == user.EVERYTHING


def test_a_device_file_may_use_dataclasses(tmp_path: Path) -> None:
    file = tmp_path / "modern.py"
    text = """
from __future__ import annotations
from dataclasses import dataclass
from rrdbg_core.devices.contract import Device, DeviceState, field
@dataclass(frozen=True)
class Row:
    number: int
class State(DeviceState):
    value = field(8, "A value")
class Modern(Device):
    State = State
    mmio_size = 4
    def read(self, offset: int, size: int) -> int:
        return Row(7).number
"""
    file.write_text(text)
    source = user.read_source(f"{file}:Modern")
    machine = boot("li t0, 0x40000000; lbu a0, 0(t0); end: j end", devices=(_ref("modern.py:Modern", source),))
    machine.run(10)
    assert machine.core.hart[10] == 7


def _own(name: str) -> DeviceRef:
    return _ref(f"broken.py:{name}", user.read_source(f"{broken.__file__}:{name}"))


def test_a_device_that_fails_is_named_with_icount_and_way_out() -> None:
    machine = boot("li t0, 0x40000003; lbu t1, 0(t0); end: j end", devices=(_own("Exceptions"),))
    with pytest.raises(DeviceBroken, match=r"at icount 2: device own fails in read: KeyError: 3") as caught:
        machine.run(100)
    assert caught.value.exit_code == 71
    assert "check-device" in str(caught.value)


def test_a_deadline_that_stays_due_is_no_endless_loop() -> None:
    machine = boot("li t0, 0x40000000; li t1, 50; sw t1, 4(t0); end: j end", devices=(_own("StuckDeadline"),))
    with pytest.raises(DeviceBroken, match="stays due after on_deadline"):
        machine.run(10_000)


def test_an_undeclared_bottom_half_is_the_devices_fault() -> None:
    machine = boot("li t0, 0x40000000; sw t0, 12(t0); end: j end", devices=(_own("BottomHalves"),))
    with pytest.raises(DeviceBroken, match="own fails in write"):
        machine.run(100)


@pytest.mark.parametrize(
    ("address", "text"),
    [(0x1000_0000, "overlap at 0x10000000"), (0x200_0000, "overlap"), (0x8000_0000, "lies in RAM"), (0x8, None)],
)
def test_devices_do_not_overlap(address: int, text: str | None) -> None:
    ref = replace(_own("Good"), address=address)
    if text is None:
        assert boot("end: j end", devices=(ref,)).run(10) is StopReason.LIMIT
    else:
        with pytest.raises(RrdbgError, match=text):
            boot("end: j end", devices=(ref,))


@pytest.mark.parametrize(
    ("refs", "text"),
    [
        ([{"kind": "virtio-disk", "slot": 0}], "no virtio device is called 'virtio-disk'"),
        ([{"kind": "virtio-rng", "slot": 8}], "slot 8 is not free"),
        ([{"kind": "virtio-rng", "slot": 2}, {"kind": "virtio-rng", "slot": 2, "name": "b"}], "slot 2 is not free"),
        ([{"kind": "virtio-rng"}], "has no address"),
        ([{"kind": "virtio-rng", "slot": 0}, {"kind": "virtio-rng", "slot": 1}], "two devices are called 'a'"),
    ],
)
def test_a_configuration_that_makes_no_machine_is_refused(refs: list[dict[str, object]], text: str) -> None:
    devices = tuple(DeviceRef(**{"name": "a", **ref}) for ref in refs)  # type: ignore[arg-type]
    with pytest.raises(RrdbgError, match=text):
        boot("end: j end", devices=devices)


def test_devices_have_names_and_interrupts_that_the_board_has() -> None:
    for changes, text in (({"name": "uart"}, "two devices are called 'uart'"), ({"irq": 96}, "no source 96")):
        with pytest.raises(RrdbgError, match=text):
            boot("end: j end", devices=(replace(_own("Good"), **changes),))
