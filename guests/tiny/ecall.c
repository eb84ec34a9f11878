// ecall from M mode and from U mode, mret to both
#include "tiny.h"

static volatile u64 mpp;

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  mpp = frame->status & MSTATUS_MPP_M;
  frame->pc += 4;
  frame->status |= MSTATUS_MPP_M;  // back to M mode, wherever it came from
  return frame;
}

int main(void) {
  asm volatile("ecall");
  say_trap("from M");
  printf("mpp %lx\n", mpp);

  // all memory for U mode
  csr_write(pmpaddr0, ~0UL >> 10);
  csr_write(pmpcfg0, PMP_NAPOT | PMP_R | PMP_W | PMP_X);
  u64 scratch;
  asm volatile(
      "li %0, 3 << 11\n"
      "csrc mstatus, %0\n"
      "la %0, 1f\n"
      "csrw mepc, %0\n"
      "csrw mscratch, sp\n"  // the kernel's stack for the trap to come
      "mret\n"
      "1: ecall\n"
      : "=r"(scratch)
      :
      : "memory");
  say_trap("from U");
  printf("mpp %lx\n", mpp);
  return traps;
}
