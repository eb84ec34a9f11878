// bench/atomics: spin locks, reference counts, a lock-free stack and ring, with LR/SC, AMOs and fences, on one hart
#include "lib.h"

static const volatile u64 rounds = 7000;  // how long it runs

// ---- locks

struct spin {
  u32 taken;
};
struct ticket {
  u32 next, serving;
};

static void spin_lock(struct spin *l) {
  while (__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE))
    ;
}
static void spin_unlock(struct spin *l) { __atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE); }

static void ticket_lock(struct ticket *l) {
  u32 mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
  while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != mine)
    ;
}
static void ticket_unlock(struct ticket *l) { __atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE); }

// ---- a stack: the head is an index and a count against reuse

#define NODES 1024
static struct {
  u32 next;
  u32 value;
} nodes[NODES];
static u64 head, spare;

static void push(u64 *list, u32 node) {
  u64 old = __atomic_load_n(list, __ATOMIC_RELAXED), new;
  do {
    nodes[node].next = old;
    new = (old & 0xffffffff00000000UL) + (1UL << 32) + node;
  } while (!__atomic_compare_exchange_n(list, &old, new, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static u32 pop(u64 *list) {
  u64 old = __atomic_load_n(list, __ATOMIC_ACQUIRE), new;
  do {
    if (!(u32)old)
      return 0;
    new = (old & 0xffffffff00000000UL) + (1UL << 32) + nodes[(u32)old].next;
  } while (!__atomic_compare_exchange_n(list, &old, new, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
  return old;
}

// ---- a ring for one reader and one writer

#define RING 256
static u64 ring[RING];
static u64 ring_in, ring_out;

static int send(u64 value) {
  u64 in = __atomic_load_n(&ring_in, __ATOMIC_RELAXED);
  if (in - __atomic_load_n(&ring_out, __ATOMIC_ACQUIRE) == RING)
    return 0;
  ring[in % RING] = value;
  __atomic_store_n(&ring_in, in + 1, __ATOMIC_RELEASE);
  return 1;
}

static int receive(u64 *value) {
  u64 out = __atomic_load_n(&ring_out, __ATOMIC_RELAXED);
  if (out == __atomic_load_n(&ring_in, __ATOMIC_ACQUIRE))
    return 0;
  *value = ring[out % RING];
  __atomic_store_n(&ring_out, out + 1, __ATOMIC_RELEASE);
  return 1;
}

// ---- counts, extremes, sets of flags

static struct {
  u64 count;
  i64 low, high;
  u32 flags;
} shared;

static void amo_max(i64 *p, i64 x) { asm volatile("amomax.d zero, %1, (%0)" : : "r"(p), "r"(x) : "memory"); }
static void amo_min(i64 *p, i64 x) { asm volatile("amomin.d zero, %1, (%0)" : : "r"(p), "r"(x) : "memory"); }

// adds by hand, as assembly in a kernel does
static u64 reserve_and_add(u64 *p, u64 x) {
  u64 old, failed;
  do
    asm volatile("lr.d.aq %0, (%2); add %1, %0, %3; sc.d.rl %1, %1, (%2)"
                 : "=&r"(old), "=&r"(failed)
                 : "r"(p), "r"(x)
                 : "memory");
  while (failed);
  return old;
}

int main(void) {
  struct spin spin = {0};
  struct ticket ticket = {0, 0};
  u64 state = 1, hash = 0, total = 0, added = 0, accounts[16] = {0};
  for (u32 i = 1; i < NODES; i++)
    push(&spare, i);
  shared.low = shared.high = 0;
  for (u64 round = 0; round < rounds; round++) {
    // money moves between accounts, under locks
    for (u64 i = 0; i < 1000; i++) {
      u64 r = random_next(&state), from = r >> 8 & 15, to = r >> 16 & 15;
      if (i & 1) {
        spin_lock(&spin);
        accounts[from] -= r >> 56;
        accounts[to] += r >> 56;
        spin_unlock(&spin);
      } else {
        ticket_lock(&ticket);
        accounts[to] += r >> 60;
        accounts[from] -= r >> 60;
        ticket_unlock(&ticket);
      }
    }
    // blocks are taken, counted and given back
    for (u64 i = 0; i < 500; i++) {
      u32 node = pop(&spare);
      nodes[node].value = i ^ round;
      push(&head, node);
      __atomic_fetch_add(&shared.count, 1, __ATOMIC_RELAXED);
    }
    for (u32 node; (node = pop(&head));) {
      hash = hash_mix(hash, nodes[node].value);
      push(&spare, node);
      if (__atomic_sub_fetch(&shared.count, 1, __ATOMIC_ACQ_REL) > 500)
        panic("too few blocks");
    }
    // messages pass
    for (u64 i = 0, value; i < 2000;) {
      while (send(i) && ++i % 200)
        ;
      while (receive(&value))
        total += value;
    }
    for (i64 i = 0; i < 500; i++) {
      i64 x = random_next(&state);
      amo_max(&shared.high, x);
      amo_min(&shared.low, x);
      __atomic_fetch_or(&shared.flags, 1U << (x & 31), __ATOMIC_RELAXED);
      __atomic_fetch_xor(&shared.flags, x, __ATOMIC_RELAXED);
      added += x & 255;
      reserve_and_add(&shared.count, x & 255);
      __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    hash = hash_mix(hash, shared.flags);
    u64 sum = 0;
    for (u64 i = 0; i < 16; i++)
      sum += accounts[i];
    if (sum || __atomic_exchange_n(&shared.count, 0, __ATOMIC_SEQ_CST) != added)
      panic("accounts sum to %lu", sum);
    added = 0;
  }
  if (total != rounds * (2000UL * 1999 / 2))
    panic("the messages sum to %lu", total);
  printf("atomics: %016lx\n", hash_mix(hash, shared.high ^ shared.low));
  return 0;
}
