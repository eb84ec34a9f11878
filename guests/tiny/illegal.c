// illegal instructions: all zeros, all ones, a CSR that is not there, a write to a read-only one
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  frame->pc += length_at(frame->pc);
  return frame;
}

int main(void) {
  asm volatile(".half 0");
  say_trap("zeros");
  asm volatile(".word 0xffffffff");
  say_trap("ones");
  asm volatile("csrr t0, 0x123" : : : "t0");
  say_trap("no such csr");
  asm volatile("csrw mhartid, zero");
  say_trap("read-only csr");
  asm volatile("csrr t0, mhartid; csrr t1, mhartid" : : : "t0", "t1");
  say_trap("legal");
  return 0;
}
