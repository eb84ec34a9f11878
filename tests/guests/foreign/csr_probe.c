/* What the CSRs of M mode keep of what is written to them. */
#define TRAPS
#include "bare.h"

#define PROBE(csr, value)                     \
  do {                                        \
    unsigned long old = read_csr(csr);        \
    write_csr(csr, value);                    \
    unsigned long now = read_csr(csr);        \
    write_csr(csr, old);                      \
    print(#csr " ");                          \
    hex((unsigned long)(value));              \
    field("", now);                           \
  } while (0)
#define MISSING(csr)                             \
  do {                                           \
    unsigned long v = 0;                         \
    trap_count = 0;                              \
    __asm__ volatile("csrr %0, " #csr : "=r"(v)); \
    trap_report(#csr);                           \
  } while (0)

int main(void) {
  write_csr(mtvec, on_trap);
  REG64(CLINT + 0x4000) = -1;
  field("mhartid", read_csr(mhartid));
  field("mvendorid", read_csr(mvendorid));
  field("misa mxl", read_csr(misa) >> 62);
  field("misa imac", read_csr(misa) & 0x1105);
  PROBE(mtvec, 0x80000000);
  PROBE(mtvec, 0x80000001);
  PROBE(mtvec, 0x80000101);
  PROBE(mscratch, 0x123456789abcdef0);
  PROBE(mepc, 0x80000002);
  PROBE(mcause, -1L);
  PROBE(mcause, 11);
  PROBE(mtval, -1L);
  PROBE(mtval, 0x80000001);
  write_csr(mie, 0);
  write_csr(mie, 0x888);
  field("mie 888", read_csr(mie));
  write_csr(mie, 0);
  field("mip", read_csr(mip));
  set_csr(mip, 0x888);
  field("mip set", read_csr(mip));
  write_csr(mstatus, 0x1808);
  field("mstatus 1808", read_csr(mstatus) & 0x1888);
  write_csr(mstatus, 0x1880);
  field("mstatus 1880", read_csr(mstatus) & 0x1888);
  write_csr(mstatus, 0);
  field("mstatus mpp 0", (read_csr(mstatus) >> 11) & 3);
  write_csr(mstatus, 0x21800);
  field("mstatus mprv", read_csr(mstatus) & 0x20000);
  write_csr(mstatus, 0x200000);
  field("mstatus tw", read_csr(mstatus) & 0x200000);
  write_csr(mstatus, 0);
  trap_report("so far");
  PROBE(mcountinhibit, 5);
  PROBE(mcounteren, 7);
  PROBE(mcounteren, 0);
  trap_report("counters");
  MISSING(0x7c0);
  MISSING(0x8ff);
  MISSING(0xfff);
  MISSING(0x000);
  MISSING(0xb00);
  MISSING(0xc00);
  MISSING(0x3b0);
  return 0;
}
