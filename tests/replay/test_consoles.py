"""Which console gets what is typed: the virtio console as soon as its driver takes input, else the UART."""

from __future__ import annotations

from rrdbg_core.devices.contract import Device
from rrdbg_core.devices.uart import Uart
from rrdbg_core.devices.virtio_console import VirtioConsole
from rrdbg_core.machine.config import DeviceRef, MachineConfig
from rrdbg_core.machine.conformance.bench import BenchBoard
from rrdbg_core.machine.source import Now
from rrdbg_core.replay.console_input import START_STEPS, BytesInput
from rrdbg_core.replay.live import LiveSource


def _source(text: bytes) -> LiveSource:
    board = BenchBoard()
    refs = tuple(DeviceRef(kind="virtio-console", name=name, slot=n) for n, name in enumerate(("one", "two")))
    devices: dict[str, Device] = {"one": VirtioConsole("one", board), "two": VirtioConsole("two", board)}
    source = LiveSource(MachineConfig(devices=refs), BytesInput(text), warp=True)
    source.attach(devices | {"uart": Uart("uart", board)})
    return source


def _given(source: LiveSource, icount: int) -> tuple[str, bytes] | None:
    """Return who gets what at a position, a while after the one before."""
    event = source.take(Now(START_STEPS + icount, icount * 10_000_000, 0, False, None))
    return None if event is None else (event.device, event.payload)


def test_the_uart_until_a_virtio_console_takes_input() -> None:
    source = _source(b"abcdefghijklmnop")
    source.room("one", 0)
    source.room("two", 0)
    source.room("uart", 1)
    assert _given(source, 1) == ("uart", b"a")
    source.room("uart", 0)
    assert _given(source, 2) is None
    source.room("two", 3)
    assert _given(source, 3) == ("two", b"bcd")
    source.room("uart", 16)
    source.room("one", 2)
    assert _given(source, 4) == ("one", b"ef")
    source.room("one", 0)
    source.room("two", 0)
    assert _given(source, 5) == ("uart", b"ghijklmnop")


def test_a_virtio_console_does_not_wait_for_more_room() -> None:
    """A FIFO waits for room for eight bytes; a buffer for one byte is filled at once."""
    source = _source(b"abcdefghijklmnop")
    source.room("uart", 16)
    assert _given(source, 1) == ("uart", b"abcdefghijklmnop")
    source = _source(b"abcdefghijklmnop")
    source.room("uart", 16)
    source.room("one", 1)
    assert _given(source, 1) == ("one", b"a")
