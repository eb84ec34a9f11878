// atomic operations on misaligned words and where nothing is: store/AMO faults
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  frame->pc += 4;
  return frame;
}

static u64 words[2];

static void amoadd(const char *what, u64 address) {
  u64 old = 0;
  asm volatile("amoadd.w %0, %0, (%1)" : "+r"(old) : "r"(address) : "memory");
  say_trap(what);
}

int main(void) {
  amoadd("aligned", (u64)words);
  amoadd("misaligned", (u64)words + 2);
  amoadd("nowhere", 0x08000000);
  return 0;
}
