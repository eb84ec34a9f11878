/* Counters: they count, can be written and stopped, and are as far apart as they should be. */
#define TRAPS
#include "bare.h"

static unsigned long loop(int n) {
  unsigned long before = read_csr(minstret);
  __asm__ volatile("1: addi %0, %0, -1; bnez %0, 1b" : "+r"(n));
  return read_csr(minstret) - before;
}

int main(void) {
  write_csr(mtvec, on_trap);
  unsigned long a = loop(100), b = loop(200), c = loop(1000);
  field("100 rounds more", b - a);
  field("800 rounds more", c - b);
  unsigned long cycles = read_csr(mcycle);
  field("cycles move", read_csr(mcycle) > cycles);
  field("instret and cycle", read_csr(instret) > 0 && read_csr(cycle) > 0);
  write_csr(minstret, 0x1000000000);
  unsigned long wrote = read_csr(minstret);
  field("minstret written", wrote >> 8);
  write_csr(mcycle, 0x2000000000);
  wrote = read_csr(mcycle);
  field("mcycle written", wrote >> 12);
  unsigned long t = read_csr(time), m = REG64(CLINT + 0xbff8);
  field("time is mtime", m - t < 1000);
  field("hpm3", read_csr(mhpmcounter3));
  field("hpm event 3", read_csr(mhpmevent3));
  trap_report("counters");
  __asm__ volatile(".option push\n.option norvc\ncsrw cycle, zero\ncsrw time, zero\n.option pop");
  trap_report("read-only");
  return 0;
}
