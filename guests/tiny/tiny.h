// for the tiny guests: take a trap, look at it, go on
#ifndef TINY_H
#define TINY_H

#include "lib.h"

// what the last trap was; traps counts them
static volatile u64 traps, cause, tval, epc;

// bytes of the instruction at an address
static inline u64 length_at(u64 address) { return (*(u16 *)address & 3) == 3 ? 4 : 2; }

static inline void note_trap(struct frame *frame) {
  traps = traps + 1;
  cause = csr_read(mcause);
  tval = csr_read(mtval);
  epc = frame->pc;
}

static inline void say_trap(const char *what) {
  printf("%s: %lu traps, mcause %lx, mtval %lx\n", what, traps, cause, tval);
  traps = 0;
}

#endif
