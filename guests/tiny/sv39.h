// page tables of Sv39, and the way to S and U mode
#ifndef SV39_H
#define SV39_H

#include "tiny.h"

#define PAGE 4096UL
#define PTE_V 1UL
#define PTE_R 2UL
#define PTE_W 4UL
#define PTE_X 8UL
#define PTE_U 16UL
#define PTE_A 64UL
#define PTE_D 128UL
#define DATA_PTE (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)
#define CODE_PTE (DATA_PTE | PTE_X)
#define SV39 (8UL << 60)
#define SSTATUS_SIE (1UL << 1)
#define SSTATUS_SPP (1UL << 8)
#define SSTATUS_SUM (1UL << 18)
#define CAUSE_ECALL_S 9
#define CAUSE_FETCH_PAGE_FAULT 12
#define CAUSE_LOAD_PAGE_FAULT 13
#define CAUSE_STORE_PAGE_FAULT 15
#define CAUSE_S_SOFTWARE (CAUSE_INTERRUPT | 1)
#define CAUSE_S_TIMER (CAUSE_INTERRUPT | 5)
#define MENVCFG_ADUE (1UL << 61)  // the hart sets the bits A and D

static u64 tables[24][512] __attribute__((aligned(4096)));
static u32 tables_used;

static u64 *new_table(void) { return tables[tables_used++]; }

static inline u64 pte(u64 physical, u64 flags) { return (physical >> 12) << 10 | flags; }

static inline void sfence(void) { asm volatile("sfence.vma" : : : "memory"); }

// where the PTE of an address is; on the way there tables come as they are needed
static u64 *pte_of(u64 *table, u64 address, int level) {
  for (int at = 2; at > level; at--) {
    u64 *entry = &table[(address >> (12 + 9 * at)) & 511];
    if (!(*entry & PTE_V)) *entry = pte((u64)new_table(), PTE_V);
    table = (u64 *)((*entry >> 10) << 12);
  }
  return &table[(address >> (12 + 9 * level)) & 511];
}

// maps a page, or with level 2 a gigabyte
static void map(u64 *root, u64 address, u64 physical, u64 flags, int level) {
  *pte_of(root, address, level) = pte(physical, flags | PTE_V);
}

// the kernel: all RAM and the devices, where they are
__attribute__((unused)) static void map_kernel(u64 *root) {
  map(root, RAM, RAM, CODE_PTE, 2);
  map(root, 0, 0, DATA_PTE, 2);
}

// goes on in S mode, which may touch all memory
_Noreturn static inline void to_supervisor(void (*entry)(void)) {
  csr_write(pmpaddr0, ~0UL >> 10);
  csr_write(pmpcfg0, PMP_NAPOT | PMP_R | PMP_W | PMP_X);
  csr_set(menvcfg, MENVCFG_ADUE);
  csr_clear(mstatus, MSTATUS_MPP_M);
  csr_set(mstatus, 1UL << 11);
  csr_write(mepc, entry);
  asm volatile("mret");
  __builtin_unreachable();
}

// ends the run from any mode
_Noreturn static inline void finish(u32 code) {
  write32(FINISHER, code ? code << 16 | 0x3333 : 0x5555);
  for (;;)
    ;
}

__attribute__((noinline, unused)) static void expect(int line, const char *what, u64 got, u64 wanted) {
  if (got == wanted) return;
  printf("line %d: %s is 0x%lx, not 0x%lx\n", line, what, got, wanted);
  finish(1);
}
#define EXPECT(what, wanted) expect(__LINE__, #what, what, wanted)

#endif
