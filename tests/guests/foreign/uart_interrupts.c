/* UART interrupts through the PLIC, with loopback as the other end: causes, trigger levels, overrun. */
#define TRAPS
#include "bare.h"
#define IRQ 10
static uint8_t in(int r) { return REG8(UART0 + r); }
static void out(int r, uint8_t v) { REG8(UART0 + r) = v; }
static unsigned long mip(void) { return read_csr(mip) & 0x800; }

static void look(const char *what) {
  uint8_t iir = in(2);
  unsigned long m = mip();
  uint32_t claim = REG32(PLIC + 0x200004);
  unsigned long after = mip();
  if (claim) REG32(PLIC + 0x200004) = claim;
  unsigned long done = mip();
  out(4, 0x08);
  uint8_t ier = in(1);
  out(1, 0);
  print(what);
  field(" iir", iir);
  field("  mip", m);
  field("  claim", claim);
  field("  after", after);
  field("  completed", done);
  out(1, ier);
  out(4, 0x18);
}

int main(void) {
  REG32(PLIC + 4 * IRQ) = 1;
  REG32(PLIC + 0x2000) = 1 << IRQ;
  REG32(PLIC + 0x200000) = 0;
  out(2, 0x07);
  out(4, 0x18);
  look("idle");
  out(1, 1);
  look("rx enabled");
  out(0, 'a');
  look("one byte");
  in(0);
  look("read");
  out(2, 0x41 | 6); /* trigger at four */
  for (int i = 0; i < 3; i++) out(0, i);
  look("three of four");
  out(0, 3);
  look("four");
  in(0);
  look("three left");
  while (in(5) & 1) in(0);
  look("none left");
  out(1, 2);
  look("tx enabled");
  look("tx seen");
  out(1, 0);
  out(1, 2);
  look("tx enabled again");
  out(1, 4);
  for (int i = 0; i < 17; i++) out(0, i);
  look("overrun");
  in(5);
  look("line status read");
  out(2, 7);
  out(1, 0xf);
  look("all enabled");
  return 0;
}
