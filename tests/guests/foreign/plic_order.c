/* PLIC: priorities, ties, threshold, two contexts, with the UART and the RTC as sources. */
#include "bare.h"
#define CLAIM(c) REG32(PLIC + 0x200004 + 0x1000 * (c))
#define THRESHOLD(c) REG32(PLIC + 0x200000 + 0x1000 * (c))
#define ENABLE(c) REG32(PLIC + 0x2000 + 0x80 * (c))
#define PRIO(s) REG32(PLIC + 4 * (s))
#define PENDING REG32(PLIC + 0x1000)
static uint32_t seen[32];
static int n;

static void raise_both(void) {
  REG8(UART0 + 1) = 0;
  REG32(RTC + 0x1c) = 1;
  REG32(RTC + 0x10) = 1;
  REG32(RTC + 0x0c) = 0;
  REG32(RTC + 0x08) = 1; /* long ago */
  REG8(UART0 + 1) = 2;
}

int main(void) {
  ENABLE(0) = 1 << 10 | 1 << 11;
  THRESHOLD(0) = 0;
  int rows[][2] = {{1, 1}, {1, 2}, {2, 1}, {7, 7}, {3, 0}, {0, 3}, {0, 0}};
  for (unsigned i = 0; i < 7; i++) {
    PRIO(10) = rows[i][0];
    PRIO(11) = rows[i][1];
    raise_both();
    uint32_t a = CLAIM(0), b = CLAIM(0), c = CLAIM(0);
    seen[n++] = a << 16 | b << 8 | c;
    REG8(UART0 + 1) = 0;
    REG32(RTC + 0x1c) = 1;
    if (a) CLAIM(0) = a;
    if (b) CLAIM(0) = b;
    seen[n++] = CLAIM(0);
  }
  PRIO(10) = 5;
  PRIO(11) = 6;
  raise_both();
  uint32_t mips[8];
  for (int t = 0; t < 8; t++) {
    THRESHOLD(0) = t;
    mips[t] = read_csr(mip) & 0xa00;
  }
  THRESHOLD(0) = 5;
  uint32_t high = CLAIM(0);
  seen[n++] = high;
  CLAIM(0) = high;
  THRESHOLD(0) = 0;
  PRIO(10) = 9; /* three bits */
  seen[n++] = PRIO(10);
  seen[n++] = REG32(PLIC + 4 * 95);
  PRIO(95) = 4;
  seen[n++] = PRIO(95);
  seen[n++] = PRIO(0);
  REG8(UART0 + 1) = 0;
  REG32(RTC + 0x1c) = 1;
  for (int i = 0; i < n; i++) field("seen", seen[i]);
  for (int t = 0; t < 8; t++) field("mip", mips[t]);
  return 0;
}
