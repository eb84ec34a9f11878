// page tables that change without sfence.vma: on this board they act at the next access
#include "supervisor.h"

#define AT 0x40001000UL      // a page of data
#define CODE 0x40010000UL    // a page of code
#define WINDOW 0x40020000UL  // the page table itself
#define TURNS 600

static u8 pages[4][4096] __attribute__((aligned(4096)));
static u64 faults, repair;
static volatile u64 *entry;  // the PTE of AT, by the window

static u64 s_trap(u64 cause, u64 tval, u64 epc) {
  EXPECT(cause == CAUSE_LOAD_PAGE_FAULT || cause == CAUSE_STORE_PAGE_FAULT || cause == CAUSE_FETCH_PAGE_FAULT, 1);
  EXPECT(tval & -PAGE, cause == CAUSE_FETCH_PAGE_FAULT ? CODE : AT);
  faults++;
  entry[cause == CAUSE_FETCH_PAGE_FAULT ? (CODE - AT) / PAGE : 0] = repair;
  return epc;
}

// a function that returns n
static void put_code(u8 *page, u32 n) {
  write32((u64)page, 0x00000513 | n << 20);
  write32((u64)page + 4, 0x8067);
}

static void data_moves(void) {
  u64 both[] = {pte((u64)pages[0], DATA_PTE), pte((u64)pages[1], DATA_PTE)};
  entry[0] = both[0];
  for (u64 n = 0; n < TURNS; n++) {
    EXPECT(read64(AT), n / 2);
    write64(AT, n / 2 + 1);
    // all ways to write a PTE: at once, by an atomic operation, in parts, by a store that begins in the one before
    u64 next = both[~n & 1];
    switch (n % 5) {
      case 0:
        entry[0] = next;
        break;
      case 1:
        asm volatile("amoxor.d zero, %0, (%1)" : : "r"(both[0] ^ both[1]), "r"(entry) : "memory");
        break;
      case 2:
        write32((u64)entry, next);
        break;
      case 3:
        write8((u64)entry + 1, next >> 8);
        break;
      default:
        asm volatile("sw %0, 0(%1)" : : "r"(next << 8), "r"((u64)entry - 1) : "memory");
    }
    EXPECT(entry[0], next);
    EXPECT(read64(AT + 8), 100 + (~n & 1));
  }
}

static void permissions_go(void) {
  u64 whole = pte((u64)pages[0], DATA_PTE);
  entry[0] = repair = whole;
  for (u64 n = 0; n < TURNS; n++) {
    write64(AT + 16, n);
    EXPECT(faults, n);
    switch (n & 3) {
      case 0:
        write8((u64)entry, (whole & 0xff) & ~PTE_W);
        write64(AT + 16, ~n);
        break;
      case 1:
        write8((u64)entry, 0);
        EXPECT(read64(AT + 16), n);
        break;
      case 2:
        write8((u64)entry, (whole & 0xff) | PTE_U);
        csr_clear(sstatus, SSTATUS_SUM);
        EXPECT(read64(AT + 16), n);
        csr_set(sstatus, SSTATUS_SUM);
        break;
      default:
        write8((u64)entry, (whole & 0xff) & ~PTE_D);  // the hart sets it again, and nothing faults
        write64(AT + 16, n);
        EXPECT(entry[0], whole);
        write8((u64)entry, 0);
        write64(AT + 16, n);
    }
    EXPECT(faults, n + 1);
  }
}

static void code_moves(void) {
  u64 a = pte((u64)pages[2], CODE_PTE), b = pte((u64)pages[3], CODE_PTE);
  put_code(pages[2], 2), put_code(pages[3], 3);
  asm volatile("fence.i" : : : "memory");
  faults = 0;
  for (u64 n = 0; n < TURNS; n++) {
    entry[(CODE - AT) / PAGE] = n % 3 ? n & 1 ? b : a : 0;
    repair = b;
    EXPECT(in_kernel(CODE, 0, 0, 0), n % 3 && !(n & 1) ? 2 : 3);
    EXPECT(faults, n / 3 + 1);
  }
}

// the tables above move, and then the root, under the same ASID
static void tables_move(void) {
  u64 *leaves = new_table(), *middle = pte_of(root, AT, 1), *other = new_table();
  leaves[1] = pte((u64)pages[1], DATA_PTE);
  entry[0] = pte((u64)pages[0], DATA_PTE);
  u64 old = *middle, satp = csr_read(satp);
  memcpy(other, root, PAGE);
  map(other, AT + (2UL << 30), (u64)pages[1], DATA_PTE, 0);
  other[AT >> 30] = other[(AT >> 30) + 2];
  write64((u64)pages[0], 70), write64((u64)pages[1], 71);
  for (u64 n = 0; n < TURNS; n++) {
    *middle = n & 1 ? pte((u64)leaves, PTE_V) : old;
    EXPECT(read64(AT), n & 1 ? 71 : 70);
    csr_write(satp, SV39 | (u64)other >> 12);
    EXPECT(read64(AT), 71);
    csr_write(satp, satp);
    EXPECT(read64(AT), n & 1 ? 71 : 70);
  }
}

static void supervisor(void) {
  u64 *leaf = pte_of(root, AT, 0);
  map(root, WINDOW, (u64)leaf & -PAGE, DATA_PTE, 0);
  entry = (u64 *)(WINDOW + ((u64)leaf & (PAGE - 1)));
  write64((u64)pages[0] + 8, 100), write64((u64)pages[1] + 8, 101);
  sfence();
  data_moves();
  permissions_go();
  code_moves();
  tables_move();
  printf("%lu faults\n", s_traps);
  finish(0);
}

int main(void) { start_supervisor(supervisor); }
