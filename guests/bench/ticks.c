// bench/ticks: three tasks that a timer switches every 20 microseconds; work is done between, with interrupts off now and then
//
// What it prints does not depend on when the interrupts come.
#include "lib.h"

#define TASKS 3
#define PERIOD 200  // of 100 ns

static const volatile u64 rounds = 110;  // how long it runs

static u8 stacks[TASKS][8192] __attribute__((aligned(16)));
static struct frame *saved[TASKS];
static volatile u64 current, ticks, results[TASKS], critical, entered;

// ---- tasks

static u64 enter(void) {
  u64 status;
  asm volatile("csrrci %0, mstatus, 8" : "=r"(status) : : "memory");
  return status & MSTATUS_MIE;
}
static void leave(u64 status) { csr_set(mstatus, status); }

// nobody else may be inside, and the count must be exact
static void protected_add(u64 n) {
  u64 status = enter();
  if (critical)
    panic("two tasks are in the critical section");
  critical = 1;
  for (u64 i = 0; i < n; i++)
    entered = entered + 1;
  critical = 0;
  leave(status);
}

static void sorter(void) {
  static u64 data[600];
  u64 state = 1, hash = 0;
  for (u64 round = 0; round < rounds * 12; round++) {
    for (u64 i = 0; i < 600; i++)
      data[i] = random_next(&state) >> 32;
    for (u64 i = 1; i < 600; i++) {
      u64 x = data[i], at = i;
      for (; at && data[at - 1] > x; at--)
        data[at] = data[at - 1];
      data[at] = x;
    }
    for (u64 i = 0; i < 600; i++)
      hash = hash_mix(hash, data[i]);
    protected_add(3);
  }
  results[0] = hash;
}

static void walker(void) {
  u64 hash = 0, longest = 0;
  for (u64 start = 1; start < rounds * 1500; start++) {
    u64 steps = 0;
    for (u64 n = start; n != 1; steps++)
      n = n & 1 ? 3 * n + 1 : n >> 1;
    longest = steps > longest ? steps : longest;
    hash = hash_mix(hash, steps);
    if (start % 16 == 0)
      protected_add(1);
  }
  results[1] = hash ^ longest;
}

static void copier(void) {
  static u8 from[3000], to[3000];
  u64 hash = 0;
  for (u64 round = 0; round < rounds * 120; round++) {
    for (u64 i = 0; i < 3000; i += 7)
      from[i] = round * i;
    memcpy(to, from, 3000);
    hash = hash_mix(hash, *(u64 *)(to + 8 * (round % 375)));
    protected_add(2);
  }
  results[2] = hash;
}

static void (*const entries[TASKS])(void) = {sorter, walker, copier};

static void start(void) {
  entries[current]();
  for (;;)
    asm volatile("ecall" : : : "memory");
}

// ---- the kernel

static _Noreturn void end_of_work(void) {
  // 3 each of 12, 1 in 16, 2 each of 120
  u64 right = rounds * 12UL * 3 + (rounds * 1500UL - 1) / 16 + rounds * 120UL * 2;
  if (entered != right || ticks < 1000)
    panic("%lu entries, %lu ticks", entered, ticks);
  printf("ticks: %016lx\n", hash_mix(hash_mix(results[0], results[1]), results[2]));
  power_off(0);
}

struct frame *trap(struct frame *frame) {
  u64 cause = csr_read(mcause);
  saved[current] = frame;
  if (cause == CAUSE_ECALL_M)
    saved[current] = 0;  // the task has ended
  else if (cause != CAUSE_TIMER)
    trap_panic(frame);
  if (!saved[0] && !saved[1] && !saved[2])
    end_of_work();
  ticks++;
  timer_set(time_now() + PERIOD);
  do
    current = (current + 1) % TASKS;
  while (!saved[current]);
  return saved[current];
}

int main(void) {
  for (u64 n = 0; n < TASKS; n++) {
    saved[n] = (struct frame *)(stacks[n] + sizeof stacks[n]) - 1;
    frame_init(saved[n], start, stacks[n] + sizeof stacks[n] - sizeof(struct frame), MSTATUS_MPP_M);
  }
  timer_set(time_now() + PERIOD);
  csr_set(mie, MIE_MTIE);
  resume(saved[0]);
}
