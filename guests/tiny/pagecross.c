// misaligned accesses across two pages, of which any may be missing
#include "supervisor.h"

#define AT 0x40000000UL
#define ROUNDS 8

enum { NONE, FIRST, SECOND, BOTH, READ_ONLY, WAYS };

static u8 pages[3][4096] __attribute__((aligned(4096)));  // the second of them is not the first's neighbour there
static u8 *const first = pages[2], *const second = pages[0];
static u64 whole[2], faults, wanted_cause, seen[2];
static u8 before[16];

static u64 s_trap(u64 cause, u64 tval, u64 epc) {
  EXPECT(cause, wanted_cause);
  u64 page = (tval - AT) / PAGE;
  if (page > 1) expect(__LINE__, "tval", tval, AT);
  // nothing was written yet
  EXPECT(memcmp(before, first + PAGE - 8, 8) | memcmp(before + 8, second, 8), 0);
  if (faults < 2) seen[faults] = tval;
  faults++;
  *pte_of(root, AT + page * PAGE, 0) = whole[page];
  sfence();
  return epc;
}

static u64 load(u64 at, int size) {
  u64 value;
  switch (size) {
    case 2:
      asm volatile("lhu %0, 0(%1)" : "=r"(value) : "r"(at) : "memory");
      break;
    case 4:
      asm volatile("lwu %0, 0(%1)" : "=r"(value) : "r"(at) : "memory");
      break;
    default:
      asm volatile("ld %0, 0(%1)" : "=r"(value) : "r"(at) : "memory");
  }
  return value;
}

static void store(u64 at, int size, u64 value) {
  switch (size) {
    case 2:
      asm volatile("sh %0, 0(%1)" : : "r"(value), "r"(at) : "memory");
      break;
    case 4:
      asm volatile("sw %0, 0(%1)" : : "r"(value), "r"(at) : "memory");
      break;
    default:
      asm volatile("sd %0, 0(%1)" : : "r"(value), "r"(at) : "memory");
  }
}

static void once(int size, int inside, int way, int stores, u64 flags, u64 *random) {
  u64 at = AT + PAGE - inside, value = random_next(random);
  for (int i = 0; i < 16; i++) before[i] = value >> (i & 7) ^ 37 * i;
  memcpy(first + PAGE - 8, before, 8);
  memcpy(second, before + 8, 8);
  whole[0] = pte((u64)first, flags), whole[1] = pte((u64)second, flags);
  // in the TLB, before it is taken away
  *pte_of(root, AT, 0) = whole[0], *pte_of(root, AT + PAGE, 0) = whole[1];
  sfence();
  if (value & 1) store(at, size, load(at, size));
  if (way == FIRST || way == BOTH) *pte_of(root, AT, 0) = 0;
  if (way == SECOND || way == BOTH) *pte_of(root, AT + PAGE, 0) = 0;
  if (way == READ_ONLY) *pte_of(root, AT + PAGE, 0) = whole[1] & ~PTE_W;
  sfence();
  faults = 0;
  wanted_cause = stores ? CAUSE_STORE_PAGE_FAULT : CAUSE_LOAD_PAGE_FAULT;
  u64 number = way == BOTH ? 2 : way == FIRST || way == SECOND || (way == READ_ONLY && stores);
  u8 after[16];
  memcpy(after, before, 16);
  if (stores) {
    store(at, size, value);
    memcpy(after + 8 - inside, &value, size);
  } else {
    u64 there = 0;
    memcpy(&there, before + 8 - inside, size);
    EXPECT(load(at, size), there);
  }
  EXPECT(memcmp(after, first + PAGE - 8, 8) | memcmp(after + 8, second, 8), 0);
  EXPECT(faults, number);
  // tval is where the part that faults begins
  if (number) EXPECT(seen[0], way == FIRST || way == BOTH ? at : AT + PAGE);
  if (number == 2) EXPECT(seen[1], AT + PAGE);
}

static void supervisor(void) {
  u64 random = 1;
  for (int round = 0; round < ROUNDS; round++)
    for (int size = 2; size <= 8; size *= 2)
      for (int inside = 1; inside < size; inside++)
        for (int way = 0; way < WAYS; way++)
          for (int stores = 0; stores < 2; stores++)
            once(size, inside, way, stores, DATA_PTE | (round & 1 ? PTE_U : 0), &random);
  printf("%lu faults\n", s_traps);
  finish(0);
}

int main(void) { start_supervisor(supervisor); }
