/* Look at the UART as an 8250 driver does that has to find out what it is. */
#include "bare.h"
#define RBR 0
#define IER 1
#define IIR 2
#define LCR 3
#define MCR 4
#define LSR 5
#define MSR 6
#define SCR 7
static uint8_t in(int r) { return REG8(UART0 + r); }
static void out(int r, uint8_t v) { REG8(UART0 + r) = v; }

int main(void) {
  uint8_t v[64];
  int n = 0;
  /* everything is read before anything is printed */
  v[n++] = in(IER);
  v[n++] = in(IIR);
  v[n++] = in(LCR);
  v[n++] = in(MCR);
  v[n++] = in(LSR);
  v[n++] = in(MSR);
  v[n++] = in(SCR);
  out(IER, 0);
  v[n++] = in(IER);
  out(IER, 0xff);
  v[n++] = in(IER);
  v[n++] = in(IIR);
  v[n++] = in(IIR);
  out(IER, 0);
  out(SCR, 0xa5);
  v[n++] = in(SCR);
  out(LCR, 0xff);
  v[n++] = in(LCR);
  v[n++] = in(0);
  v[n++] = in(1);
  out(0, 0x34);
  out(1, 0x12);
  v[n++] = in(0);
  v[n++] = in(1);
  out(0, 1);
  out(1, 0);
  out(LCR, 0x03);
  v[n++] = in(LCR);
  out(IIR, 0x00);
  v[n++] = in(IIR);
  out(IIR, 0x01);
  v[n++] = in(IIR);
  out(IIR, 0xc7);
  v[n++] = in(IIR);
  out(MCR, 0xff);
  v[n++] = in(MCR);
  out(MCR, 0x10 | 0x0a); /* loopback, RTS and OUT2 */
  v[n++] = in(MSR);
  out(MCR, 0x10 | 0x05);
  v[n++] = in(MSR);
  out(MCR, 0x10 | 0x0f);
  v[n++] = in(MSR);
  v[n++] = in(MSR);
  /* the size of the FIFO: what comes back of 64 bytes */
  int size = 0;
  for (int i = 0; i < 64; i++) out(RBR, i);
  v[n++] = in(LSR);
  v[n++] = in(LSR);
  uint32_t sum = 0;
  while (in(LSR) & 1 && size < 256) {
    sum = sum * 31 + in(RBR);
    size++;
  }
  v[n++] = in(RBR);
  v[n++] = in(LSR);
  /* without FIFO */
  out(IIR, 0);
  out(RBR, 0x61);
  out(RBR, 0x62);
  v[n++] = in(LSR);
  v[n++] = in(RBR);
  v[n++] = in(RBR);
  v[n++] = in(LSR);
  out(MCR, 0x08);
  out(IIR, 1);
  v[n++] = in(MSR);
  for (int i = 0; i < n; i++) {
    hex(i);
    field("", v[i]);
  }
  field("fifo", size);
  field("sum", sum);
  /* accesses of other widths */
  field("half", REG16(UART0 + MSR));
  field("word", REG32(UART0 + MCR));
  return 0;
}
