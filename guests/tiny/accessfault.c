// loads, stores and jumps to where nothing is
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  if (cause == 1)
    frame->pc = frame->x[0];  // a jump: return to its caller
  else
    frame->pc += length_at(frame->pc);
  return frame;
}

#define NOWHERE 0x08000000UL

int main(void) {
  (void)read8(NOWHERE + 1);
  say_trap("load byte");
  (void)read64(NOWHERE);
  say_trap("load double");
  write32(NOWHERE + 4, 1);
  say_trap("store");
  u64 old;
  asm volatile("lr.d %0, (%1)" : "=r"(old) : "r"(NOWHERE) : "memory");
  say_trap("lr");
  ((void (*)(void))NOWHERE)();
  say_trap("jump");
  ((void (*)(void))8)();
  say_trap("jump to 8");
  return 0;
}
