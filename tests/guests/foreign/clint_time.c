/* The time CSR shows mtime, also after a program has set it. */
#include "bare.h"
#define MTIME (CLINT + 0xbff8)
int main(void) {
  field("same", REG64(MTIME) - read_csr(time) + 1000 < 2000);
  REG64(MTIME) = 0x5000000000;
  unsigned long t = read_csr(time);
  field("set", t >> 24);
  REG32(MTIME + 4) = 0x60;
  t = read_csr(time);
  field("high half", t >> 24);
  return 0;
}
