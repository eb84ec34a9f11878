/* PMP as firmware finds out about it: how many entries, how fine, what is locked, who may do what. */
#define TRAPS
#include "bare.h"
static unsigned long page[1024] __attribute__((aligned(8192)));
#define MPRV (1UL << 17)

/* an access with the rights of U mode */
static int user_load(volatile void *p) {
  unsigned long v;
  trap_count = 0;
  clear_csr(mstatus, 3UL << 11);
  __asm__ volatile("csrs mstatus, %1\n lbu %0, (%2)\n csrc mstatus, %1" : "=&r"(v) : "r"(MPRV), "r"(p) : "memory");
  return trap_count == 0;
}
static int user_store(volatile void *p) {
  trap_count = 0;
  clear_csr(mstatus, 3UL << 11);
  __asm__ volatile("csrs mstatus, %0\n sb zero, (%1)\n csrc mstatus, %0" : : "r"(MPRV), "r"(p) : "memory");
  return trap_count == 0;
}
/* a trap clears neither MPRV, so the handler would lack its stack: run it with MPRV off */
__asm__(
    ".align 2\nprobe_trap:\n"
    "csrw mscratch, t0\n li t0, 1 << 17\n csrc mstatus, t0\n csrr t0, mscratch\n j on_trap\n");
extern char probe_trap[];

static void rights(const char *what) {
  print(what);
  int l = user_load(page), s = user_store(page), l2 = user_load(page + 512), s2 = user_store(page + 512);
  hex(l << 12 | s << 8 | l2 << 4 | s2);
  print("\n");
}

int main(void) {
  write_csr(mtvec, probe_trap);
  unsigned long a = (unsigned long)page;
  write_csr(pmpaddr0, -1UL);
  field("address bits", read_csr(pmpaddr0) & (1UL << 54) - 1);
  write_csr(pmpcfg0, 0);
  write_csr(pmpaddr0, -1UL);
  field("granularity", read_csr(pmpaddr0) & 0xfff);
  write_csr(pmpcfg0, 0x1f);
  field("cfg bits", read_csr(pmpcfg0));
  write_csr(pmpcfg0, 0);
  write_csr(pmpcfg2, 0x1f1f);
  field("cfg2", read_csr(pmpcfg2));
  write_csr(pmpcfg2, 0);
  write_csr(pmpaddr15, 0x1234);
  field("pmpaddr15", read_csr(pmpaddr15));
  write_csr(pmpaddr15, 0);
  trap_report("probed");
  trap_count = 0;
  (void)read_csr(0x3a1);
  trap_report("pmpcfg1");
  rights("off: ");
  write_csr(pmpaddr0, (a >> 2) | 511);
  write_csr(pmpcfg0, 0x19);
  rights("napot r: ");
  write_csr(pmpcfg0, 0x1b);
  rights("napot rw: ");
  write_csr(pmpcfg0, 0x1c);
  rights("napot x: ");
  write_csr(pmpcfg0, 0);
  write_csr(pmpaddr0, a >> 2);
  write_csr(pmpaddr1, (a + 8192) >> 2);
  write_csr(pmpcfg0, 0x0b00);
  rights("tor: ");
  write_csr(pmpaddr1, a >> 2);
  write_csr(pmpcfg0, 0x0b00);
  rights("tor empty: ");
  write_csr(pmpaddr0, (a + 8192) >> 2);
  write_csr(pmpcfg0, 0x000b);
  rights("tor from zero: ");
  write_csr(pmpaddr0, (a >> 2) | 511);
  write_csr(pmpaddr1, -1UL);
  write_csr(pmpcfg0, 0x1f18);
  rights("first wins: ");
  write_csr(pmpcfg0, 0x1f00);
  rights("all: ");
  write_csr(pmpcfg0, 0x9f00 | 0x18);
  write_csr(pmpcfg0, 0);
  field("locked", read_csr(pmpcfg0));
  write_csr(pmpaddr1, 0);
  field("locked address", read_csr(pmpaddr1) != 0);
  return 0;
}
