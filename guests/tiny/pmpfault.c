// PMP: a locked entry binds M mode too
#include "tiny.h"

#define PMP_L 0x80

static u64 page[512] __attribute__((aligned(4096)));

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  frame->pc += length_at(frame->pc);
  return frame;
}


int main(void) {
  u64 address = (u64)page, napot = address >> 2 | 511;
  page[0] = 1;
  csr_write(pmpaddr0, napot);
  csr_write(pmpcfg0, PMP_NAPOT);
  printf("pmpcfg0 %lx, pmpaddr0 %s\n", csr_read(pmpcfg0), csr_read(pmpaddr0) == napot ? "kept" : "changed");
  page[1] = page[0] + 1;
  say_trap("M mode, not locked");

  csr_write(pmpcfg0, PMP_NAPOT | PMP_R | PMP_L);
  page[2] = 3;
  say_trap("M mode, locked, store");
  (void)*(volatile u64 *)page;
  say_trap("M mode, locked, load");
  csr_write(pmpcfg0, 0);
  csr_write(pmpaddr0, 0);
  printf("pmpcfg0 %lx, pmpaddr0 %s\n", csr_read(pmpcfg0), csr_read(pmpaddr0) == napot ? "kept" : "changed");
  return 0;
}
