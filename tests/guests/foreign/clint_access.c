/* CLINT: halves of the 64-bit registers, msip, registers of harts that are not there. */
#define TRAPS
#include "bare.h"
#define MTIME (CLINT + 0xbff8)
#define MTIMECMP (CLINT + 0x4000)
static unsigned long mip(void) { return read_csr(mip); }

int main(void) {
  write_csr(mtvec, on_trap);
  unsigned long m[12];
  int n = 0;
  m[n++] = mip();
  REG64(MTIMECMP) = -1UL;
  m[n++] = mip();
  REG32(MTIMECMP) = 0;
  m[n++] = mip();
  REG32(MTIMECMP + 4) = 0;
  m[n++] = mip();
  REG32(MTIMECMP + 4) = -1;
  m[n++] = mip();
  REG32(CLINT) = 2;
  m[n++] = mip();
  REG32(CLINT) = 3;
  m[n++] = mip();
  REG32(CLINT) = 0;
  m[n++] = mip();
  for (int i = 0; i < n; i++) field("mip", m[i]);
  REG64(MTIMECMP) = 0x123456789abcdef0;
  field("low", REG32(MTIMECMP));
  field("high", REG32(MTIMECMP + 4));
  unsigned long t = REG64(MTIME);
  uint32_t low = REG32(MTIME), high = REG32(MTIME + 4);
  field("low is near", low - (uint32_t)t < 10000);
  field("high", high);
  REG64(MTIME) = 0x5000000000;
  t = REG64(MTIME);
  field("mtime written", t >> 24);
  REG32(MTIME + 4) = 0x60;
  t = REG64(MTIME);
  field("high half", t >> 24);
  REG64(MTIME) = 0;
  trap_report("till here");
  field("msip 1", REG32(CLINT + 4));
  REG32(CLINT + 4) = 1;
  field("msip 1", REG32(CLINT + 4));
  trap_report("other harts");
  (void)REG8(CLINT);
  trap_report("byte");
  (void)REG16(MTIME);
  trap_report("half");
  (void)REG64(CLINT);
  trap_report("double of msip");
  (void)REG64(CLINT + 0xc000);
  trap_report("beyond mtime");
  return 0;
}
