"""The UART beyond its registers: input, output, interrupts and the receive timeout on the virtual clock."""

from __future__ import annotations

import numpy as np
import pytest
from rrdbg_core.devices.uart import FIFO_SIZE, Uart
from rrdbg_core.machine.conformance.bench import BenchBoard

IIR_RX, IIR_TIMEOUT, IIR_NONE = 0x04, 0x0C, 0x01


@pytest.fixture
def board() -> BenchBoard:
    return BenchBoard()


@pytest.fixture
def uart(board: BenchBoard) -> Uart:
    device = Uart("uart", board)
    device.bind(np.zeros(device.state.size, np.uint64))
    return device


def _output(board: BenchBoard) -> bytes:
    return b"".join(entry[1] for entry in board.said if entry[0] == "console")  # type: ignore[misc]


def test_output_leaves_at_once(uart: Uart, board: BenchBoard) -> None:
    for byte in b"hello":
        uart.write(0, 1, byte)
        assert uart.read(5, 1) == 0x60
    assert _output(board) == b"hello"


def test_loopback_prints_nothing_and_comes_back(uart: Uart, board: BenchBoard) -> None:
    uart.write(4, 1, 0x10)
    uart.write(0, 1, 0x41)
    assert _output(board) == b""
    assert (uart.read(5, 1), uart.read(0, 1), uart.read(5, 1)) == (0x61, 0x41, 0x60)


def test_room_follows_the_fifo(uart: Uart) -> None:
    assert uart.can_receive() == 1
    uart.receive(b"x")
    assert uart.can_receive() == 0
    uart.write(2, 1, 1)  # flushes
    assert uart.can_receive() == FIFO_SIZE
    uart.receive(b"12345")
    assert uart.can_receive() == FIFO_SIZE - 5
    assert bytes(uart.read(0, 1) for _ in range(5)) == b"12345"
    assert uart.can_receive() == FIFO_SIZE


def test_what_comes_too_much_is_lost_and_told(uart: Uart) -> None:
    uart.write(2, 1, 1)
    uart.receive(bytes(range(20)))
    assert uart.read(5, 1) == 0x63
    assert uart.read(5, 1) == 0x61
    assert [uart.read(0, 1) for _ in range(16)] == list(range(16))


@pytest.mark.parametrize(("fcr", "trigger"), [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
def test_the_receive_interrupt_comes_at_the_trigger_level(uart: Uart, fcr: int, trigger: int) -> None:
    uart.write(2, 1, fcr)
    uart.write(1, 1, 1)
    for count in range(1, FIFO_SIZE + 1):
        uart.receive(b"x")
        assert uart.irq_level() == (count >= trigger)
    assert uart.read(2, 1) == 0xC0 | IIR_RX


def test_the_timeout_comes_four_characters_after_the_last_byte(uart: Uart, board: BenchBoard) -> None:
    uart.write(3, 1, 0x83)
    uart.write(0, 1, 40)  # 399193 / 40 baud, ten bits a character
    uart.write(3, 1, 3)
    character_ns = 10 * 40 * 1_000_000_000 // 399_193
    uart.write(2, 1, 0x81)
    uart.write(1, 1, 1)
    board.now_ns = 1000
    uart.receive(b"a")
    board.now_ns = 5000
    uart.receive(b"b")
    assert uart.next_deadline_ns() == 5000 + 4 * character_ns
    assert not uart.irq_level()
    board.now_ns = 5000 + 4 * character_ns
    uart.on_deadline()
    assert uart.irq_level()
    assert uart.read(2, 1) == 0xC0 | IIR_TIMEOUT
    assert uart.read(0, 1) == ord("a")
    # reading takes the interrupt back and starts the time anew
    assert uart.read(2, 1) == 0xC0 | IIR_NONE
    assert uart.next_deadline_ns() == board.now_ns + 4 * character_ns
    uart.read(0, 1)
    assert uart.next_deadline_ns() is None


def test_a_flush_ends_the_timeout(uart: Uart) -> None:
    uart.write(2, 1, 0x81)
    uart.receive(b"a")
    assert uart.next_deadline_ns() is not None
    uart.write(2, 1, 0x83)
    assert uart.next_deadline_ns() is None
    assert uart.read(5, 1) == 0x60


def test_a_divisor_of_zero_is_slow_not_an_error(uart: Uart) -> None:
    uart.write(3, 1, 0x83)
    uart.write(0, 1, 0)
    uart.write(1, 1, 0)
    uart.write(3, 1, 3)
    assert uart.state.character_ns == 10 * 1_000_000_000 // 3500


def test_interrupts_have_an_order(uart: Uart) -> None:
    uart.write(1, 1, 0x0F)
    uart.receive(b"a")
    uart.receive(b"b")  # overrun
    seen = []
    for _ in range(4):
        seen.append(uart.read(2, 1))
        match seen[-1]:
            case 0x06:
                uart.read(5, 1)
            case 0x04:
                uart.read(0, 1)
    assert seen == [0x06, 0x04, 0x02, 0x01]


def test_reset_gives_all_back(uart: Uart) -> None:
    fresh = uart.state.words.tolist()
    uart.write(2, 1, 0xC1)
    uart.write(1, 1, 0x0F)
    uart.receive(b"abc")
    uart.write(4, 1, 0x1F)
    uart.reset()
    assert uart.state.words.tolist() == fresh
    assert not uart.irq_level()
