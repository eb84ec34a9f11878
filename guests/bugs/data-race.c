// bugs/data-race: an electricity meter whose main loop and timer interrupt add to the same total
//
// The main loop reads the total, adds to it and writes it back. When the interrupt comes in between, what it added is
// lost. An audit every now and then compares the total with what both say that they booked.
#include "label.h"
#include "lib.h"

#define READINGS 2000000
#define AUDIT 16384   // readings between two audits
#define BASE_LOAD 9   // booked by the timer, more than any reading
#define PERIOD 6000   // ticks of mtime between two interrupts, at least

static volatile u64 total;
static u64 read_total, base_total;  // what each side booked
static u64 jitter = 1, state = 42;

struct frame *trap(struct frame *frame) {
  if (csr_read(mcause) != CAUSE_TIMER)
    trap_panic(frame);
  total = total + BASE_LOAD;
  base_total += BASE_LOAD;
  timer_set(time_now() + PERIOD + random_next(&jitter) % PERIOD);
  return frame;
}

// smooths the sensor's noise
static noinline u64 reading(void) {
  u64 sum = 0;
  for (int i = 0; i < 8; i++)
    sum += random_next(&state) >> 61;
  return sum / 8;
}

static noinline void book(u64 units) {
  volatile u64 *to = &total;
  u64 sum = *to + units;
  LABEL("+r"(to), "+r"(sum));
  *to = sum;
}

static noinline void audit(u64 readings) {
  interrupts_off();
  if (total != read_total + base_total)
    panic("after %lu readings the total is %lu, but %lu were booked", readings, total, read_total + base_total);
  interrupts_on();
}

int main(void) {
  timer_set(time_now() + PERIOD);
  csr_set(mie, MIE_MTIE);
  interrupts_on();
  for (u64 n = 1; n <= READINGS; n++) {
    u64 units = reading();
    book(units);
    read_total += units;
    if (n % AUDIT == 0)
      audit(n);
  }
  printf("%lu units\n", total);
  return 0;
}
