// bugs/lost-interrupt: a sensor falls silent because its interrupt comes while the main loop is at work
//
// The interrupt posts jobs, the main loop does them. When it is done it takes all of them down, those too that were
// posted in the meantime. The sensor starts its next conversion when the last one was read: one loss is the end of it.
#include "label.h"
#include "lib.h"

#define TICK_TIME 2000  // in ticks of mtime
#define PATIENCE 40      // ticks without a sample
#define HISTORY 24

static union {
  volatile u8 job[8];
  volatile u64 all;
} posted;
#define TICK 0
#define SAMPLE 1

static u64 tick_due, sample_due;  // mtime; sample_due 0: the sensor waits
static u64 ticks, samples, last_sample, trend, state = 3;
static u64 history[HISTORY];  // the newest samples

static void next_deadline(void) {
  timer_set(sample_due && sample_due < tick_due ? sample_due : tick_due);
}

struct frame *trap(struct frame *frame) {
  if (csr_read(mcause) != CAUSE_TIMER)
    trap_panic(frame);
  u64 now = time_now();
  if (now >= tick_due) {
    tick_due += TICK_TIME;
    posted.job[TICK] = 1;
  }
  if (sample_due && now >= sample_due) {
    sample_due = 0;
    posted.job[SAMPLE] = 1;
  }
  next_deadline();
  return frame;
}

static void start_conversion(void) {
  interrupts_off();
  sample_due = time_now() + 2500 + random_next(&state) % 1000;
  next_deadline();
  interrupts_on();
}

static noinline void tick(void) {
  ticks++;
  if (ticks - last_sample > PATIENCE)
    panic("no sample for %d ticks, after %lu samples", PATIENCE, samples);
  for (int i = 0; i < HISTORY; i++)
    trend = hash_mix(trend, history[i]);
}

static noinline void sample(void) {
  u64 sum = 0;
  for (int i = 0; i < 2000; i++)
    sum += random_next(&state) >> 54;
  history[samples++ % HISTORY] = sum;
  last_sample = ticks;
  start_conversion();
}

static void work(void) {
  u64 jobs = posted.all;
  if (jobs & 1UL << 8 * TICK)
    tick();
  if (jobs & 1UL << 8 * SAMPLE)
    sample();
  volatile u64 *all = &posted.all;
  LABEL("+r"(all));
  *all = 0;
}

int main(void) {
  tick_due = time_now() + TICK_TIME;
  csr_set(mie, MIE_MTIE);
  start_conversion();
  while (ticks < 20000) {
    interrupts_off();
    if (!posted.all)
      wait_for_interrupt();  // it ends with interrupts off too
    interrupts_on();
    work();
  }
  printf("%lu samples, trend %lx\n", samples, trend);
  return 0;
}
