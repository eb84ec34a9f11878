// NS16550A UART
#include "lib.h"

#define RBR (UART + 0)  // receive buffer (read), transmit holding (write)
#define THR (UART + 0)
#define IER (UART + 1)  // interrupt enable
#define IIR (UART + 2)  // interrupt identification (read), FIFO control (write)
#define FCR (UART + 2)
#define LCR (UART + 3)  // line control
#define LSR (UART + 5)  // line status

#define FCR_ENABLE 1
#define FCR_CLEAR 6     // both FIFOs
#define LCR_8N1 3
#define LSR_DATA 1      // a byte can be read
#define LSR_THRE 0x20   // a byte can be written

void uart_init(void) {
  write8(IER, 0);
  write8(LCR, LCR_8N1);
  write8(FCR, FCR_ENABLE | FCR_CLEAR);
}

void uart_interrupts(u8 which) { write8(IER, which); }

// reading IIR lowers a pending transmit interrupt
u8 uart_interrupt_cause(void) { return read8(IIR) & 0xf; }

void uart_putc(int c) {
  while (!(read8(LSR) & LSR_THRE))
    ;
  write8(THR, c);
}

int uart_getc(void) { return read8(LSR) & LSR_DATA ? read8(RBR) : -1; }
