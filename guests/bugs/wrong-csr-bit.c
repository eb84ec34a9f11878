// bugs/wrong-csr-bit: a kernel that turns off the timer instead of its doorbell, and sleeps for ever
//
// Work is put on a queue in the timer's interrupt and done in the doorbell's. Each time the queue is compacted the
// doorbell has to be silent.
#include "label.h"
#include "lib.h"

#define TICK_TIME 500  // in ticks of mtime
#define TICKS 2000
#define QUEUE 32
#define MSIP CLINT

#define DOORBELL_BIT 7  // of mie

static struct {
  u64 value;
  u64 done;
} queue[QUEUE];
static volatile u64 queued, ticks, done;
static u64 state = 11, hash;

static noinline void compact(void) {
  u64 bit = 1UL << DOORBELL_BIT;
  LABEL("+r"(bit));
  csr_clear(mie, bit);
  u64 kept = 0;
  for (u64 i = 0; i < queued; i++)
    if (!queue[i].done)
      queue[kept++] = queue[i];
  queued = kept;
  csr_set(mie, MIE_MSIE);
}

static void on_tick(void) {
  ticks = ticks + 1;
  timer_set(time_now() + TICK_TIME);
  u64 value = random_next(&state);
  if (value % 4)
    return;
  queue[queued].value = value;
  queue[queued].done = 0;
  queued = queued + 1;
  write32(MSIP, 1);
}

static void on_doorbell(void) {
  write32(MSIP, 0);
  for (u64 i = 0; i < queued; i++)
    if (!queue[i].done) {
      for (int n = 0; n < 100000; n++)
        hash = hash_mix(hash, queue[i].value);
      queue[i].done = 1;
      done = done + 1;
    }
}

struct frame *trap(struct frame *frame) {
  switch (csr_read(mcause)) {
  case CAUSE_TIMER:
    on_tick();
    return frame;
  case CAUSE_SOFTWARE:
    on_doorbell();
    return frame;
  default:
    trap_panic(frame);
  }
}

int main(void) {
  printf("%d ticks to go\n", TICKS);
  timer_set(time_now() + TICK_TIME);
  csr_set(mie, MIE_MTIE | MIE_MSIE);
  interrupts_on();
  while (ticks < TICKS) {
    wait_for_interrupt();
    if (queued == QUEUE)
      compact();
  }
  printf("%lu jobs done, hash %lx\n", done, hash);
  return 0;
}
