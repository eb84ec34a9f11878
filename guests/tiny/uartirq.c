// UART: transmit interrupt, loopback, receive interrupt, receive timeout, what IIR says
#include "tiny.h"

#define RBR (UART + 0)
#define IER (UART + 1)
#define IIR (UART + 2)
#define MCR (UART + 4)
#define LSR (UART + 5)
#define LOOPBACK 0x10

static volatile u64 causes;

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  u32 irq = plic_claim();
  u8 what = uart_interrupt_cause();
  causes = causes << 4 | what;
  if (what == UART_CAUSE_TX)
    uart_interrupts(0);
  while (uart_getc() >= 0)
    ;
  plic_complete(irq);
  return frame;
}

int main(void) {
  plic_enable(UART_IRQ);
  csr_set(mie, MIE_MEIE);
  interrupts_on();
  uart_interrupts(UART_TX_INTERRUPT);
  while (traps < 1)
    ;
  printf("transmit: cause %lx\n", causes);

  // what is sent in loopback is received
  interrupts_off();
  write8(MCR, LOOPBACK);
  write8(RBR, 'x');
  u8 status = read8(LSR);
  u8 byte = read8(RBR), after = read8(LSR);
  write8(MCR, 8);
  printf("loopback: status %x, byte %c, then status %x\n", status, byte, after);

  uart_interrupts(UART_RX_INTERRUPT);
  write8(MCR, LOOPBACK);
  write8(RBR, 'y');
  causes = 0;
  interrupts_on();
  while (!causes)
    ;
  interrupts_off();
  write8(MCR, 8);
  printf("receive: cause %lx\n", causes);

  // with a trigger level of eight, one byte waits for the timeout
  write8(IIR, 0x81);
  write8(MCR, LOOPBACK);
  write8(RBR, 'z');
  causes = 0;
  u64 start = time_now();
  interrupts_on();
  while (!causes)
    wait_for_interrupt();
  interrupts_off();
  write8(MCR, 8);
  printf("timeout: cause %lx, %s\n", causes, time_now() - start > 10 ? "after a while" : "at once");
  return 0;
}
