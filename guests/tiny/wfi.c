// wfi sleeps until the timer, also with interrupts off, and not at all if one is pending
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  timer_off();
  return frame;
}

int main(void) {
  csr_set(mie, MIE_MTIE);
  for (int i = 0; i < 2; i++) {
    u64 due = time_now() + 20000;
    timer_set(due);
    if (i == 1)
      interrupts_on();
    while (!(csr_read(mip) & MIE_MTIE) && !traps)
      wait_for_interrupt();
    interrupts_off();
    printf("awake %s, %lu traps\n", time_now() >= due ? "in time" : "too early", traps);
    if (i == 0) {
      wait_for_interrupt();
      printf("pending: no sleep\n");
      timer_off();
    }
  }
  return 0;
}
