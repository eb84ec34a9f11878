// floating point has to be switched on before it is used
#ifndef FLOAT_H
#define FLOAT_H

#include "lib.h"

#define MSTATUS_FS (3UL << 13)  // Off, Initial, Clean, Dirty
#define MSTATUS_FS_INITIAL (1UL << 13)

static inline u64 bits(double x) {
  u64 word;
  memcpy(&word, &x, sizeof word);
  return word;
}

// what uses it; a function of its own, so that nothing of it comes before
int compute(void) __attribute__((noinline));

int main(void) {
  csr_set(mstatus, MSTATUS_FS_INITIAL);
  asm volatile("fscsr zero");
  return compute();
}

#endif
