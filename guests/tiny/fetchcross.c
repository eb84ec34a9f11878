// an instruction across two pages, of which any may be missing, in a loop
#include "supervisor.h"

#define AT 0x40000000UL
#define ADD (AT + PAGE - 2)  // addi a0, a0, n: its upper half is n and more of rs1
#define LOOP (ADD - 4)
#define ROUNDS 240
#define TURNS 150

enum { NONE, FIRST, SECOND, BOTH, NOT_EXECUTABLE, OTHER_MODE, WAYS };

static u8 pages[5][4096] __attribute__((aligned(4096)));
static u64 whole[2], faults, seen[2], from[2];

static u64 s_trap(u64 cause, u64 tval, u64 epc) {
  EXPECT(cause, CAUSE_FETCH_PAGE_FAULT);
  if (tval - AT >= 2 * PAGE) expect(__LINE__, "tval", tval, AT);
  if (faults < 2) seen[faults] = tval, from[faults] = epc;
  faults++;
  u64 page = tval & -PAGE;
  *pte_of(root, page, 0) = whole[page != AT];
  sfence();
  return epc;
}

static void put16(u8 *at, u32 value) { *(volatile u16 *)at = value; }
static void put32(u8 *at, u32 value) { put16(at, value), put16(at + 2, value >> 16); }

// what lies behind the page's end: adds n, and ends as the mode wants it
static void put_second(u8 *page, u32 n, int user) {
  put16(page, n << 4 | 5);
  put32(page + 2, 0xfe059ce3);  // bnez a1, LOOP
  put32(page + 6, user ? 0x73 : 0x8067);
}

static void supervisor(void) {
  put32(pages[1] + LOOP - AT, 0xfff58593);  // addi a1, a1, -1
  put16(pages[1] + ADD - AT, 0x0513);
  u64 random = 1;
  for (int round = 0; round < ROUNDS; round++) {
    u64 pick = random_next(&random);
    int way = round % WAYS, user = pick >> 8 & 1;
    u32 n = pick & 255;
    u8 *second = pages[pick >> 9 & 1 ? 0 : 2 + (pick >> 10) % 3];
    u64 flags = (user ? PTE_U : 0) | PTE_V | PTE_R | PTE_X | PTE_A;
    put_second(second, n, user);
    asm volatile("fence.i" : : : "memory");
    whole[0] = pte((u64)pages[1], flags), whole[1] = pte((u64)second, flags);
    *pte_of(root, AT, 0) = way == FIRST || way == BOTH ? 0 : whole[0];
    *pte_of(root, AT + PAGE, 0) = way == SECOND || way == BOTH ? 0
                                  : way == NOT_EXECUTABLE      ? whole[1] & ~PTE_X
                                  : way == OTHER_MODE          ? whole[1] ^ PTE_U
                                                               : whole[1];
    sfence();
    faults = 0;
    EXPECT((user ? in_user : in_kernel)(LOOP, TURNS, 0, 0), TURNS * n);
    EXPECT(faults, way == NONE ? 0 : way == BOTH ? 2 : 1);
    int last = faults - 1;
    // the instruction is not run yet, and tval is where its other half would be
    if (way == FIRST || way == BOTH) EXPECT(seen[0], LOOP), EXPECT(from[0], LOOP);
    if (way > FIRST) EXPECT(seen[last], AT + PAGE), EXPECT(from[last], ADD);
    // rewritten after it was run: the upper half alone is new
    put_second(second, n ^ 255, user);
    asm volatile("fence.i" : : : "memory");
    EXPECT((user ? in_user : in_kernel)(LOOP, TURNS, 0, 0), TURNS * (n ^ 255));
  }
  printf("%lu faults and calls\n", s_traps);
  finish(0);
}

int main(void) { start_supervisor(supervisor); }
