// PLIC: claim, complete, priorities, threshold, enable bits, with the UART's transmitter as the source
#include "tiny.h"

#define PRIORITY (PLIC + 4 * UART_IRQ)
#define PENDING (PLIC + 0x1000)
#define ENABLE (PLIC + 0x2000)
#define THRESHOLD (PLIC + 0x200000)

static void state(const char *what) {
  printf("%s: pending %x, mip %lx\n", what, read32(PENDING), csr_read(mip));
}

int main(void) {
  timer_off();
  state("quiet");
  uart_interrupts(UART_TX_INTERRUPT);  // the transmitter is empty: its line rises
  state("raised");
  write32(ENABLE, 1 << UART_IRQ);
  state("enabled");
  write32(PRIORITY, 3);
  state("priority");
  write32(THRESHOLD, 3);
  state("threshold 3");
  write32(THRESHOLD, 2);
  state("threshold 2");
  u32 claimed = plic_claim(), again = plic_claim();
  printf("claimed %u, then %u\n", claimed, again);
  state("claimed");
  plic_complete(UART_IRQ);  // the line is still up: pending again
  state("completed");
  claimed = plic_claim();
  uart_interrupts(0);  // the line falls
  plic_complete(claimed);
  state("line down");
  printf("claim %u\n", plic_claim());
  write32(PRIORITY, 0xffffffff);
  write32(THRESHOLD, 0xffffffff);
  write32(ENABLE, 0xffffffff);
  printf("priority %x, threshold %x, enable %x\n", read32(PRIORITY), read32(THRESHOLD), read32(ENABLE));
  return 0;
}
