// software interrupts by the CLINT's msip; and which interrupt is taken first
#include "tiny.h"

#define MSIP CLINT

static volatile u64 order;

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  order = order << 4 | (cause & 15);
  if (cause == CAUSE_SOFTWARE)
    write32(MSIP, 0);
  else
    timer_off();
  return frame;
}

int main(void) {
  timer_off();  // mtimecmp is 0 at power-on: the timer interrupt is pending
  csr_set(mie, MIE_MSIE | MIE_MTIE);
  write32(MSIP, 1);
  printf("mip %lx, msip %x\n", csr_read(mip), read32(MSIP));
  interrupts_on();
  while (!traps)
    ;
  say_trap("software");
  interrupts_off();
  timer_set(0);
  write32(MSIP, 0xffffffff);
  printf("mip %lx, msip %x\n", csr_read(mip), read32(MSIP));
  interrupts_on();
  while (traps < 2)
    ;
  printf("order %lx\n", order);
  return 0;
}
