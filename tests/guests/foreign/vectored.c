/* Vectored mtvec: each interrupt has its own entry, exceptions go to the first. */
#include "bare.h"

volatile unsigned long log_[16], logged;

__asm__(
    ".align 8\n"
    "vectors:\n"
    ".option push\n.option norvc\n"
    "j exception\n j bad\n j bad\n j soft\n j bad\n j bad\n j bad\n j timer\n"
    "j bad\n j bad\n j bad\n j external\n"
    ".option pop\n");
extern char vectors[];

#define HANDLER __attribute__((interrupt("machine"), used)) void
HANDLER exception(void) {
  log_[logged++ & 15] = 0x100 | read_csr(mcause);
  write_csr(mepc, read_csr(mepc) + 4);
}
HANDLER soft(void) {
  log_[logged++ & 15] = 3;
  REG32(CLINT) = 0;
}
HANDLER timer(void) {
  log_[logged++ & 15] = 7;
  REG64(CLINT + 0x4000) = -1;
}
HANDLER external(void) {
  log_[logged++ & 15] = 11;
  uint32_t irq = REG32(PLIC + 0x200004);
  (void)REG8(UART0 + 2);
  REG8(UART0 + 1) = 0;
  REG32(PLIC + 0x200004) = irq;
}
HANDLER bad(void) {
  print("bad vector\n");
  finish(99);
}

int main(void) {
  write_csr(mtvec, (unsigned long)vectors | 1);
  field("mode", read_csr(mtvec) & 3);
  REG64(CLINT + 0x4000) = -1;
  __asm__ volatile(".option push\n.option norvc\necall\n.word 0\nebreak\n.option pop");
  set_csr(mie, 0x888);
  set_csr(mstatus, 8);
  REG32(CLINT) = 1;
  __asm__ volatile("nop; nop; nop; nop");
  REG64(CLINT + 0x4000) = 0;
  __asm__ volatile("nop; nop; nop; nop");
  REG32(PLIC + 40) = 1;
  REG32(PLIC + 0x2000) = 1 << 10;
  REG32(PLIC + 0x200000) = 0;
  REG8(UART0 + 1) = 2;
  __asm__ volatile("nop; nop; nop; nop");
  clear_csr(mstatus, 8);
  /* two at once */
  REG32(CLINT) = 1;
  REG64(CLINT + 0x4000) = 0;
  set_csr(mstatus, 8);
  __asm__ volatile("nop; nop; nop; nop");
  clear_csr(mstatus, 8);
  for (unsigned i = 0; i < logged; i++) field("trap", log_[i]);
  return logged != 8;
}
