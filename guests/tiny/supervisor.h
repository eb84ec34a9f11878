// a kernel in S mode that takes its own traps, and runs pieces of code in U mode
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "sv39.h"

static u64 *root;
static volatile u64 s_traps;  // how many S mode has taken
static u64 user_return;       // where an ecall of U mode leads

// answers a trap, and returns where to go on; every guest has its own
static u64 s_trap(u64 cause, u64 tval, u64 epc);

// what runs in U mode leaves sp and gp alone: the stack is S mode's
__attribute__((interrupt("supervisor"), aligned(4))) static void s_entry(void) {
  u64 cause = csr_read(scause), tval = csr_read(stval), epc = csr_read(sepc), status = csr_read(sstatus);
  s_traps = s_traps + 1;
  if (cause == CAUSE_ECALL_U) {
    epc = user_return;
    status |= SSTATUS_SPP;
  } else {
    epc = s_trap(cause, tval, epc);
  }
  csr_write(sstatus, status);
  csr_write(sepc, epc);
}

// runs code in U mode until its ecall; returns its a0. It may use a0 to a7 and t0 to t6.
__attribute__((noinline, unused)) static u64 in_user(u64 pc, u64 count, u64 at, u64 mask) {
  register u64 a0 asm("a0") = 0, a1 asm("a1") = count, a2 asm("a2") = at, a3 asm("a3") = mask;
  asm volatile(
      "la t0, 1f\n"
      "sd t0, %5\n"
      "csrw sepc, %4\n"
      "li t0, 1 << 8 | 1 << 5\n"  // to U mode, which interrupts of S mode reach with SIE off
      "csrc sstatus, t0\n"
      "sret\n"
      ".balign 4\n"
      "1:\n"
      : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3)
      : "r"(pc), "m"(user_return)
      : "memory", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6");
  return a0;
}

// calls code that is somewhere else than the linker thinks; it may use the same registers
__attribute__((noinline, unused)) static u64 in_kernel(u64 pc, u64 count, u64 at, u64 mask) {
  register u64 a0 asm("a0") = 0, a1 asm("a1") = count, a2 asm("a2") = at, a3 asm("a3") = mask;
  asm volatile("jalr %4"
               : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3)
               : "r"(pc)
               : "memory", "ra", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6");
  return a0;
}

// page tables with the kernel in them, exceptions and interrupts of S mode for S mode, and on to `entry`
_Noreturn static inline void start_supervisor(void (*entry)(void)) {
  root = new_table();
  map_kernel(root);
  csr_write(medeleg, 0xf1ff & ~(1UL << CAUSE_ECALL_S) & ~(1UL << CAUSE_ILLEGAL));
  csr_write(mideleg, 0x222);
  csr_write(mcounteren, 7);
  csr_write(stvec, s_entry);
  csr_write(satp, SV39 | (u64)root >> 12);
  csr_set(sstatus, SSTATUS_SUM);
  to_supervisor(entry);
}

#endif
