/* U mode: what it may do, what traps, what mret leaves behind. */
#include "bare.h"
static volatile unsigned long causes[32], tvals[32], mpps[32];
static volatile int n;
extern char user_end[];

void __attribute__((interrupt, aligned(4))) on_user(void) {
  unsigned long cause = read_csr(mcause), pc = read_csr(mepc);
  causes[n] = cause;
  tvals[n] = cause == 3 ? 0 : read_csr(mtval); /* of a breakpoint: zero or its address, as the hart likes */
  mpps[n++] = read_csr(mstatus) >> 11 & 3;
  if (cause == 8) { /* ecall: leave U mode */
    set_csr(mstatus, 3 << 11);
    write_csr(mepc, user_end);
    return;
  }
  write_csr(mepc, pc + ((REG16(pc) & 3) == 3 ? 4 : 2));
}

int main(void) {
  write_csr(mtvec, on_user);
  write_csr(pmpaddr0, -1UL);
  write_csr(pmpcfg0, 0x1f);
  write_csr(mcounteren, 0);
  clear_csr(mstatus, 3 << 11);
  set_csr(mstatus, 1 << 7);
  __asm__ volatile(
      ".option push\n.option norvc\n"
      "la t0, 1f\n csrw mepc, t0\n mret\n"
      "1: csrr t0, mstatus\n"
      "csrr t0, mhartid\n"
      "csrr t0, cycle\n"
      "csrw mscratch, t0\n"
      "mret\n"
      "ebreak\n"
      "li t1, 0x08000000\n"
      "ld t0, (t1)\n"
      "sd t0, 8(t1)\n"
      "fence.i\n"
      "fence\n"
      "ecall\n"
      ".globl user_end\nuser_end:\n"
      ".option pop\n" ::: "t0", "t1", "memory");
  for (int i = 0; i < n; i++) {
    field("cause", causes[i]);
    field(" tval", tvals[i]);
    field(" mpp", mpps[i]);
  }
  return 0;
}
