"""NS16550A UART: the guest's console.

Matches QEMU's `virt` (hw/char/serial.c): 16-byte FIFOs, transmission takes no time, receive timeout after four
character times. Left out: modem lines other than in loopback, break, parity and framing errors.

    0  RBR/THR  receive, transmit; divisor low if LCR.DLAB
    1  IER      interrupt enable; divisor high if LCR.DLAB
    2  IIR/FCR  interrupt identification, FIFO control
    3  LCR      line control
    4  MCR      modem control
    5  LSR      line status
    6  MSR      modem status
    7  SCR      scratch
"""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState, array, field, flag, timer

FIFO_SIZE = 16
IER_RX, IER_TX, IER_LINE, IER_MODEM = 1, 2, 4, 8
IIR_NONE, IIR_TX, IIR_RX, IIR_LINE, IIR_TIMEOUT, IIR_FIFO = 0x01, 0x02, 0x04, 0x06, 0x0C, 0xC0
FCR_ENABLE, FCR_CLEAR_RX, FCR_CLEAR_TX = 1, 2, 4
LCR_DLAB = 0x80
MCR_LOOP = 0x10
LSR_DATA, LSR_OVERRUN, LSR_THRE, LSR_TEMT = 0x01, 0x02, 0x20, 0x40
MSR_IDLE = 0xB0  # DCD, DSR and CTS: somebody is at the other end
_TRIGGER = (1, 4, 8, 14)
_CLOCK_HZ = 3_686_400  # of QEMU's virt


class UartState(DeviceState):
    """State of the UART."""

    ier = field(4, "Interrupt enable")
    fcr = field(8, "FIFO control")
    lcr = field(8, "Line control")
    mcr = field(5, "Modem control", reset=8)
    scr = field(8, "Scratch")
    divider = field(16, "Baud rate divisor", reset=12)
    overrun = flag("A byte was lost since LSR was read")
    thr_interrupt = flag("The transmitter became empty and IIR was not read since")
    timed_out = flag("Bytes have been waiting below the trigger level for four character times")
    timeout = timer("Receive timeout")
    rx = array(8, FIFO_SIZE, "Received bytes, oldest first")
    rx_count = field(5, "Received bytes")


class Uart(Device):
    """The serial port."""

    State = UartState
    state: UartState
    mmio_size = 0x100
    access_sizes = (1, 2, 4, 8)

    # ---- state as the guest sees it ----------------------------------------------------------------------------------
    def _fifo_on(self) -> bool:
        return bool(self.state.fcr & FCR_ENABLE)

    def _trigger(self) -> int:
        return _TRIGGER[self.state.fcr >> 6] if self._fifo_on() else 1

    def _lsr(self) -> int:
        data = LSR_DATA if self.state.rx_count else 0
        return LSR_THRE | LSR_TEMT | data | (LSR_OVERRUN if self.state.overrun else 0)

    def _interrupt(self) -> int:
        """Return the interrupt identification without the FIFO bits."""
        state = self.state
        if state.ier & IER_LINE and state.overrun:
            return IIR_LINE
        if state.ier & IER_RX and state.rx_count and state.timed_out:
            return IIR_TIMEOUT
        if state.ier & IER_RX and state.rx_count >= self._trigger():
            return IIR_RX
        if state.ier & IER_TX and state.thr_interrupt:
            return IIR_TX
        return IIR_NONE

    def irq_level(self) -> bool:
        return self._interrupt() != IIR_NONE

    # ---- registers ---------------------------------------------------------------------------------------------------
    def read(self, offset: int, size: int) -> int:
        state = self.state
        match offset:
            case 0 if state.lcr & LCR_DLAB:
                return state.divider & 0xFF
            case 0:
                return self._receive_buffer()
            case 1 if state.lcr & LCR_DLAB:
                return state.divider >> 8
            case 1:
                return state.ier
            case 2:
                value = self._interrupt()
                if value == IIR_TX:
                    state.thr_interrupt = 0
                    self.board.update_irq(self)
                return value | (IIR_FIFO if self._fifo_on() else 0)
            case 3:
                return state.lcr
            case 4:
                return state.mcr
            case 5:
                value = self._lsr()
                if state.overrun:
                    state.overrun = 0
                    self.board.update_irq(self)
                return value
            case 6:
                return self._msr()
            case 7:
                return state.scr
        self.board.guest_error(self, f"read at 0x{offset:x}: nothing there")
        return 0

    def _receive_buffer(self) -> int:
        state = self.state
        if not state.rx_count:
            return 0
        value = int(state.rx[0])
        state.rx[:-1] = state.rx[1:].copy()
        state.rx[-1] = 0
        state.rx_count -= 1
        state.timed_out = 0
        self._arm_timeout()
        self.board.update_irq(self)
        return value

    def _msr(self) -> int:
        if not self.state.mcr & MCR_LOOP:
            return MSR_IDLE
        mcr = self.state.mcr  # DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD
        return (mcr & 1) << 5 | (mcr & 2) << 3 | (mcr & 4) << 4 | (mcr & 8) << 4

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        value &= 0xFF
        match offset:
            case 0 if state.lcr & LCR_DLAB:
                state.divider = state.divider & 0xFF00 | value
            case 0:
                self._transmit(value)
            case 1 if state.lcr & LCR_DLAB:
                state.divider = state.divider & 0xFF | value << 8
            case 1:
                # the transmitter is always empty: enabling its interrupt raises it
                if value & IER_TX and not state.ier & IER_TX:
                    state.thr_interrupt = 1
                state.ier = value & 0xF
            case 2:
                self._fifo_control(value)
            case 3:
                state.lcr = value
            case 4:
                state.mcr = value & 0x1F
            case 7:
                state.scr = value
            case _ if offset > 7:
                self.board.guest_error(self, f"write at 0x{offset:x}: nothing there")
        self.board.update_irq(self)

    def _transmit(self, byte: int) -> None:
        self.state.thr_interrupt = 1
        if self.state.mcr & MCR_LOOP:
            self.receive(bytes([byte]))
        else:
            self.board.console_out(self, bytes([byte]))

    def _fifo_control(self, value: int) -> None:
        state = self.state
        changed = (value ^ state.fcr) & FCR_ENABLE
        if value & FCR_CLEAR_RX or changed:
            state.rx[:] = 0
            state.rx_count = state.timed_out = state.timeout = 0
        if value & FCR_CLEAR_TX or changed:
            state.thr_interrupt = 1
        state.fcr = value & 0xC9 if value & FCR_ENABLE else 0

    # ---- input -------------------------------------------------------------------------------------------------------
    def can_receive(self) -> int:
        if self._fifo_on():
            return FIFO_SIZE - self.state.rx_count
        return 1 - min(self.state.rx_count, 1)

    def receive(self, data: bytes) -> None:
        state = self.state
        room = FIFO_SIZE if self._fifo_on() else 1
        for byte in data:
            if state.rx_count >= room:
                state.overrun = 1
                break
            state.rx[state.rx_count] = byte
            state.rx_count += 1
        self._arm_timeout()
        self.board.update_irq(self)

    def _arm_timeout(self) -> None:
        """Start the receive timeout if bytes wait below the trigger level: four characters of ten bits."""
        state = self.state
        if self._fifo_on() and 0 < state.rx_count < self._trigger():
            bit_ns = 1_000_000_000 * 16 * max(state.divider, 1) // _CLOCK_HZ
            state.timeout = self.board.virtual_ns() + 40 * bit_ns + 1
        else:
            state.timeout = 0

    def next_deadline_ns(self) -> int | None:
        return self.state.timeout - 1 if self.state.timeout else None

    def on_deadline(self) -> None:
        if self.state.timeout and self.board.virtual_ns() >= self.state.timeout - 1:
            self.state.timeout = 0
            self.state.timed_out = 1
            self.board.update_irq(self)
