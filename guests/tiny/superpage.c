// superpages that are split and joined while the hart runs from them
#include "supervisor.h"

#define BIG (RAM + 0x200000)  // two megabytes of RAM
#define KERNEL 0x60000000UL   // S mode's view of it
#define USER 0x60200000UL     // U mode's
#define EDGE 0x6000UL         // where the code crosses into another page
#define DATA 0x9000UL
#define OTHER_CODE 0x10000UL  // what takes the place of the two pages after a split
#define OTHER_DATA 0x11000UL
#define CHANGES 0x61000000UL  // U mode's view of S mode's stack, where it is told to change nothing
#define TURNS 150UL
#define ROUNDS 60

// reads, stores a PTE, and goes on in what has become the next page; a3: the PTE's place, a4: its value
asm(".section .text.splitter, \"ax\", @progbits\n"
    ".option push\n"
    ".option norvc\n"
    ".globl splitter, splitter_edge, splitter_add, splitter_out, splitter_end\n"
    ".type splitter, @function\n"
    "splitter:\n"
    "  ld a4, 8(a3)\n"
    "  ld a3, 0(a3)\n"
    "  mv a5, a1\n"
    "1:\n"
    "  ld t0, 0(a2)\n"
    "  add a0, a0, t0\n"
    "  addi a1, a1, -1\n"
    "  bnez a1, 1b\n"
    "  beqz a3, splitter_edge\n"
    "  sd a4, 0(a3)\n"
    "  sfence.vma\n"
    "splitter_edge:\n"
    "  addi a0, a0, 1\n"
    "2:\n"
    "  ld t0, 0(a2)\n"
    "  add a0, a0, t0\n"
    "  addi a5, a5, -1\n"
    "  bnez a5, 2b\n"
    "splitter_out:\n"
    "  ret\n"
    "splitter_end:\n"
    ".size splitter, . - splitter\n"
    ".option pop\n"
    ".text\n");
extern u8 splitter[], splitter_edge[], splitter_out[], splitter_end[];

static u64 faults;

static u64 s_trap(u64 cause, u64 tval, u64 epc) {
  EXPECT(cause, CAUSE_STORE_PAGE_FAULT);
  EXPECT(tval, KERNEL + OTHER_DATA);
  faults++;
  return epc + length_at(epc);
}

// two halves of the code: up to the edge in one page, the rest behind it in two that differ
static void put_code(u64 start, int user) {
  u64 head = splitter_edge - splitter, tail = splitter_end - splitter_edge;
  memcpy((u8 *)(BIG + start), splitter, head);
  for (int which = 0; which < 2; which++) {
    u64 page = BIG + (which ? OTHER_CODE : start + head);
    memcpy((u8 *)page, splitter_edge, tail);
    write32(page, 0x00050513 | (which ? 1000 : 1) << 20);
    write32(page + (splitter_out - splitter_edge), user ? 0x73 : 0x8067);
  }
  asm volatile("fence.i" : : : "memory");
}

static u64 *split_table(u64 flags) {
  u64 *table = new_table();
  for (u64 n = 0; n < 512; n++) table[n] = pte(BIG + n * PAGE, flags);
  table[EDGE / PAGE] = pte(BIG + OTHER_CODE, flags);
  table[DATA / PAGE] = pte(BIG + OTHER_DATA, flags);
  table[OTHER_DATA / PAGE] &= ~(PTE_W | PTE_D);
  return table;
}

// all of what the kernel itself runs from, cut up and put together again
static void split_kernel(void) {
  static u64 *megas, *pages;
  if (!megas) megas = new_table(), pages = new_table();
  for (u64 n = 0; n < 512; n++) {
    megas[n] = pte(RAM + (n << 21), CODE_PTE);
    pages[n] = pte(RAM + n * PAGE, CODE_PTE);
  }
  u64 *entry = &root[RAM >> 30], whole = *entry;
  *entry = pte((u64)megas, PTE_V);
  sfence();
  EXPECT(read64((u64)entry), pte((u64)megas, PTE_V));
  megas[0] = pte((u64)pages, PTE_V);
  sfence();
  EXPECT(read64((u64)megas), pte((u64)pages, PTE_V));
  *entry = whole;
  sfence();
}

static void supervisor(void) {
  u64 start = EDGE - (splitter_edge - splitter);
  u64 *places[] = {pte_of(root, KERNEL, 1), pte_of(root, USER, 1)};
  u64 wholes[] = {pte(BIG, CODE_PTE), pte(BIG, CODE_PTE | PTE_U)};
  u64 splits[] = {pte((u64)split_table(CODE_PTE), PTE_V), pte((u64)split_table(CODE_PTE | PTE_U), PTE_V)};
  *places[0] = wholes[0], *places[1] = wholes[1];
  sfence();
  u64 values[] = {3, 50}, sum = 0;
  write64(BIG + DATA, values[0]), write64(BIG + OTHER_DATA, values[1]);
  for (int round = 0; round < ROUNDS; round++) {
    int split = round & 1, user = round >> 1 & 1;
    put_code(start, user);
    u64 got, wanted, change[2] = {0, 0};
    if (user) {
      // S mode cuts, or joins, between two runs of U mode
      for (u64 page = 0; page < 2; page++)
        map(root, CHANGES + page * PAGE, ((u64)change & -PAGE) + page * PAGE, DATA_PTE | PTE_U, 0);
      sfence();
      u64 seen = CHANGES + ((u64)change & (PAGE - 1));
      EXPECT(in_user(USER + start, TURNS, USER + DATA, seen), 2 * TURNS * values[split] + (split ? 1000 : 1));
      *places[1] = split ? wholes[1] : splits[1];
      sfence();
      got = in_user(USER + start, TURNS, USER + DATA, seen);
      wanted = 2 * TURNS * values[!split] + (split ? 1 : 1000);
    } else {
      change[0] = (u64)places[0], change[1] = split ? wholes[0] : splits[0];
      got = in_kernel(KERNEL + start, TURNS, KERNEL + DATA, (u64)change);
      wanted = TURNS * (values[0] + values[1]) + (split ? 1 : 1000);
      if (!split) {
        u64 old = faults;
        write64(KERNEL + OTHER_DATA, 7);  // may be read only now
        EXPECT(faults, old + 1);
      } else {
        write64(KERNEL + OTHER_DATA, values[1]);
      }
      EXPECT(read64(BIG + OTHER_DATA), values[1]);
    }
    EXPECT(got, wanted);
    sum += got;
    if (round % 10 == 0) split_kernel();
  }
  printf("%lu, %lu faults\n", sum, faults);
  finish(0);
}

int main(void) { start_supervisor(supervisor); }
