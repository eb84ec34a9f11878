// timer interrupts: five, each armed by the one before
#include "tiny.h"

static volatile u64 early;
static u64 due;

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  if (time_now() < due)
    early = early + 1;
  due = time_now() + 100;
  timer_set(due);
  if (traps == 5)
    timer_off();
  return frame;
}

int main(void) {
  due = time_now() + 100;
  timer_set(due);
  csr_set(mie, MIE_MTIE);
  interrupts_on();
  while (traps < 5)
    ;
  interrupts_off();
  printf("%lu early, mip %lx\n", early, csr_read(mip));
  say_trap("timer");
  timer_set(0);
  printf("mip %lx with a deadline in the past\n", csr_read(mip));
  return 0;
}
