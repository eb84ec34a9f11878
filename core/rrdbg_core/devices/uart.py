"""NS16550A UART: the guest's console.

Matches QEMU's `virt` (hw/char/serial.c behind serial_mm, one byte a register): 16-byte FIFOs, transmission takes no
time, receive timeout after four character times. Left out: modem lines other than in loopback, break, parity and
framing errors.

    0  RBR/THR  receive, transmit; divisor low if LCR.DLAB
    1  IER      interrupt enable; divisor high if LCR.DLAB
    2  IIR/FCR  interrupt identification, FIFO control
    3  LCR      line control
    4  MCR      modem control
    5  LSR      line status
    6  MSR      modem status
    7  SCR      scratch

An access of more than one byte acts on the first register alone.
"""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState, array, field, flag, timer

FIFO_SIZE = 16
IER_RX, IER_TX, IER_LINE = 1, 2, 4
IIR_NONE, IIR_TX, IIR_RX, IIR_LINE, IIR_TIMEOUT, IIR_FIFO = 0x01, 0x02, 0x04, 0x06, 0x0C, 0xC0
FCR_ENABLE, FCR_CLEAR_RX, FCR_CLEAR_TX = 1, 2, 4
LCR_STOP, LCR_PARITY, LCR_DLAB = 0x04, 0x08, 0x80
MCR_LOOP = 0x10
LSR_DATA, LSR_OVERRUN, LSR_EMPTY = 0x01, 0x02, 0x60
MSR_IDLE = 0xB0  # DCD, DSR and CTS: somebody is at the other end
_TRIGGER = (1, 4, 8, 14)
_CLOCK_HZ = 399_193  # baud base of QEMU's virt
_CHARACTER_NS = 1_000_000_000 // 9600 * 10  # before anything is set


class UartState(DeviceState):
    """State of the UART."""

    ier = field(4, "Interrupt enable")
    fcr = field(8, "FIFO control")
    lcr = field(8, "Line control")
    mcr = field(5, "Modem control", reset=8)
    scr = field(8, "Scratch")
    divider = field(16, "Baud rate divisor", reset=12)
    character_ns = field(40, "Time that a character takes", reset=_CHARACTER_NS)
    overrun = flag("A byte was lost since LSR was read")
    transmitted = flag("The transmitter became empty, and its interrupt was not identified since")
    timed_out = flag("Bytes have been waiting for four character times")
    timeout = timer("Receive timeout")
    data_ready = flag("A received byte waits")
    rbr = field(8, "Byte received last while the FIFO is off")
    rx = array(8, FIFO_SIZE, "Received bytes in the FIFO, oldest first")
    rx_count = field(5, "Number of them")


class Uart(Device):
    """The serial port."""

    State = UartState
    state: UartState
    mmio_size = 8
    exercises = (
        ((3, 1, 0x83), (0, 1, 1), (1, 1, 0), (3, 1, 3), (2, 1, 0x81), (1, 1, 7)),
        ((4, 1, 0x10), *((0, 1, byte) for byte in b"looped"), (4, 1, 0)),
    )

    def _interrupt(self) -> int:
        """Return the interrupt identification without the FIFO bits; of several the most urgent."""
        state = self.state
        ier = state.ier
        if not ier:
            return IIR_NONE
        if ier & IER_LINE and state.overrun:
            return IIR_LINE
        if ier & IER_RX:
            if state.timed_out:
                return IIR_TIMEOUT
            fcr = state.fcr
            if state.data_ready and (not fcr & FCR_ENABLE or state.rx_count >= _TRIGGER[fcr >> 6]):
                return IIR_RX
        if ier & IER_TX and state.transmitted:
            return IIR_TX
        return IIR_NONE

    def irq_level(self) -> bool:
        return self._interrupt() != IIR_NONE

    # ---- registers ---------------------------------------------------------------------------------------------------
    def read(self, offset: int, size: int) -> int:
        state = self.state
        match offset:
            case 0:
                return state.divider & 0xFF if state.lcr & LCR_DLAB else self._receive_buffer()
            case 1:
                return state.divider >> 8 if state.lcr & LCR_DLAB else state.ier
            case 2:
                value = self._interrupt()
                if value == IIR_TX:
                    state.transmitted = 0
                    self.board.update_irq(self)
                return value | (IIR_FIFO if state.fcr & FCR_ENABLE else 0)
            case 3:
                return state.lcr
            case 4:
                return state.mcr
            case 5:
                if not state.overrun:
                    return LSR_EMPTY | state.data_ready
                state.overrun = 0
                self.board.update_irq(self)
                return LSR_EMPTY | LSR_OVERRUN | state.data_ready
            case 6:
                return self._modem_status()
            case _:
                return state.scr

    def _receive_buffer(self) -> int:
        state = self.state
        if state.fcr & FCR_ENABLE:
            value = state.rx[0]
            if state.rx_count:
                state.rx[:-1] = state.rx[1:]
                state.rx[FIFO_SIZE - 1] = 0
                state.rx_count -= 1
            state.data_ready = int(state.rx_count > 0)
            state.timed_out = 0
            self._restart_timeout()
        else:
            value = state.rbr
            state.data_ready = 0
        self.board.update_irq(self)
        return value

    def _modem_status(self) -> int:
        mcr = self.state.mcr
        if not mcr & MCR_LOOP:
            return MSR_IDLE
        # DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD
        return (mcr & 1) << 5 | (mcr & 2) << 3 | (mcr & 4) << 4 | (mcr & 8) << 4

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        value &= 0xFF
        match offset:
            case 0:
                if state.lcr & LCR_DLAB:
                    state.divider = state.divider & 0xFF00 | value
                    self._set_speed()
                else:
                    self._transmit(value)
            case 1:
                if state.lcr & LCR_DLAB:
                    state.divider = state.divider & 0xFF | value << 8
                    self._set_speed()
                else:
                    self._enable_interrupts(value & 0xF)
            case 2:
                self._control_fifo(value)
            case 3:
                state.lcr = value
                self._set_speed()
            case 4:
                state.mcr = value
            case 7:
                state.scr = value

    def _transmit(self, byte: int) -> None:
        if self.state.mcr & MCR_LOOP:
            self._receive(byte)
        else:
            self.board.console_out(self, bytes((byte,)))
        self.state.transmitted = 1
        self.board.update_irq(self)

    def _enable_interrupts(self, ier: int) -> None:
        state = self.state
        changed = state.ier ^ ier
        state.ier = ier
        if changed & IER_TX:
            # the transmitter is always empty: enabling its interrupt raises it
            state.transmitted = int(ier & IER_TX != 0)
        if changed:
            self.board.update_irq(self)

    def _control_fifo(self, value: int) -> None:
        state = self.state
        if (value ^ state.fcr) & FCR_ENABLE:
            value |= FCR_CLEAR_RX | FCR_CLEAR_TX
        if value & FCR_CLEAR_RX:
            state.rx.clear()
            state.rx_count = state.data_ready = state.timed_out = state.timeout = 0
        if value & FCR_CLEAR_TX:
            state.transmitted = 1
        state.fcr = value & 0xC9
        self.board.update_irq(self)

    def _set_speed(self) -> None:
        """Compute the time that a character takes: start bit, data, parity and stop bits."""
        state = self.state
        lcr = state.lcr
        bits = 1 + (lcr & 3) + 5 + int(lcr & LCR_PARITY != 0) + (2 if lcr & LCR_STOP else 1)
        if state.divider:
            state.character_ns = bits * state.divider * 1_000_000_000 // _CLOCK_HZ
        else:
            state.character_ns = bits * 1_000_000_000 // 3500

    # ---- input -------------------------------------------------------------------------------------------------------
    def can_receive(self) -> int:
        state = self.state
        if state.fcr & FCR_ENABLE:
            return FIFO_SIZE - state.rx_count
        return 1 - state.data_ready

    def receive(self, data: bytes) -> None:
        for byte in data:
            self._receive(byte)
        self.board.update_irq(self)

    def _receive(self, byte: int) -> None:
        state = self.state
        if not state.fcr & FCR_ENABLE:
            state.overrun |= state.data_ready
            state.rbr = byte
        elif state.rx_count < FIFO_SIZE:
            state.rx[state.rx_count] = byte
            state.rx_count += 1
            self._restart_timeout()
        else:
            state.overrun = 1
            self._restart_timeout()
        state.data_ready = 1

    def _restart_timeout(self) -> None:
        state = self.state
        state.timeout = self.board.virtual_ns() + 4 * state.character_ns + 1 if state.rx_count else 0

    def next_deadline_ns(self) -> int | None:
        timeout = self.state.timeout
        return timeout - 1 if timeout else None

    def on_deadline(self) -> None:
        self.state.timeout = 0
        self.state.timed_out = 1
        self.board.update_irq(self)
