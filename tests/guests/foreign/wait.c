/* A ticker as an RTOS has it: sleeps in wfi, counts ticks, does some work in each. */
#include "bare.h"
static volatile unsigned ticks;
static unsigned long next;
void __attribute__((interrupt, aligned(4))) tick(void) {
  ticks++;
  next += 10000;
  REG64(CLINT + 0x4000) = next;
}
int main(void) {
  next = REG64(CLINT + 0xbff8) + 10000;
  REG64(CLINT + 0x4000) = next;
  write_csr(mtvec, tick);
  set_csr(mie, 0x80);
  set_csr(mstatus, 8);
  unsigned long start = REG64(CLINT + 0xbff8);
  unsigned done = 0, wakeups = 0;
  while (done < 20) {
    __asm__ volatile("wfi");
    wakeups++;
    if (ticks != done) {
      done++;
      print(done % 10 ? "." : "\n");
    }
  }
  unsigned long passed = REG64(CLINT + 0xbff8) - start;
  field("on time", passed >= 190000 && passed < 400000);
  return 0;
}
