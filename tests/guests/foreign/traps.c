/* What a trap tells: cause, mtval and mepc of every exception that a program in M mode can have. */
#define TRAPS
#include "bare.h"
#define NOWHERE 0x08001000UL
#define INSN(text) __asm__ volatile(".option push\n.option norvc\n" text "\n.option pop" ::: "memory", "t0", "t1")

static void __attribute__((noinline)) wild(unsigned long target, const char *what) {
  __asm__ volatile("la t0, 1f\n la t1, jump_back\n sd t0, (t1)\n jr %0\n1:" : : "r"(target) : "t0", "t1", "memory");
  trap_report(what);
}

int main(void) {
  write_csr(mtvec, on_trap);
  INSN("ecall");
  trap_report("ecall");
  INSN("ebreak");
  trap_report("ebreak");
  __asm__ volatile("c.ebreak");
  trap_report("c.ebreak");
  INSN(".word 0x00000000");
  trap_report("zero word");
  INSN(".word 0xffffffff");
  trap_report("ones");
  __asm__ volatile(".half 0x8002"); /* c.jr x0: reserved */
  trap_report("c.jr zero");
  __asm__ volatile(".half 0x4002"); /* c.lwsp x0: reserved */
  trap_report("c.lwsp zero");
  __asm__ volatile(".half 0x6081"); /* c.lui with 0: reserved */
  trap_report("c.lui 0");
  __asm__ volatile(".half 0x9c41"); /* reserved arithmetic */
  trap_report("c reserved");
  INSN("csrw mhartid, zero");
  trap_report("csrw mhartid");
  INSN("csrr t0, 0x5c0");
  trap_report("no csr");
  INSN("csrrs t0, mvendorid, zero");
  trap_report("csrrs zero");
  INSN(".word 0x0000705b"); /* custom-2 */
  trap_report("custom");
  INSN("dret");
  trap_report("dret");
  INSN(".word 0xffff8fdb");
  trap_report("custom 2");
  for (int size = 0; size < 4; size++) {
    volatile void *p = (void *)(NOWHERE + 0x123);
    switch (size) {
      case 0: (void)*(volatile uint8_t *)p; break;
      case 1: (void)REG16(NOWHERE + 2); break;
      case 2: (void)REG32(NOWHERE + 4); break;
      case 3: (void)REG64(NOWHERE + 8); break;
    }
    trap_report("load");
    switch (size) {
      case 0: *(volatile uint8_t *)p = 1; break;
      case 1: REG16(NOWHERE + 2) = 1; break;
      case 2: REG32(NOWHERE + 4) = 1; break;
      case 3: REG64(NOWHERE + 8) = 1; break;
    }
    trap_report("store");
  }
  (void)REG64(0x80000000UL + (128UL << 20));
  trap_report("above RAM");
  (void)REG64(-8UL);
  trap_report("top of memory");
  wild(NOWHERE, "jump");
  wild(0x80000000UL + (128UL << 20), "jump above RAM");
  wild(0x10, "jump to 10");
  wild(0xdeadbeef00, "jump far");
  return 0;
}
