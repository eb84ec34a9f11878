// storm: as many interrupts as the board can make, of four kinds, counted and hashed
//
// The timer comes every few microseconds; it starts the UART's transmitter, which is then fed by its own interrupt, and
// asks the entropy device, if there is one. Console input is taken as it comes. The hash takes in what came and when.
#include "lib.h"

#define INTERRUPTS 8000
#define PERIOD 20          // shortest time between two timer interrupts, in ticks of mtime
#define LINE 64            // characters of a line of output
#define LINES 24

enum { TIMER, RECEIVE, TRANSMIT, ENTROPY, KINDS };
static const char *const names[KINDS] = {"timer", "receive", "transmit", "entropy"};

static volatile u64 counts[KINDS], total, work;
static u64 hash, jitter = 1;
static u64 sent;           // characters
static int rng_irq;
static int rng_ready;      // no request is under way

static void count(int kind, u64 what) {
  counts[kind] = counts[kind] + 1;
  total = total + 1;
  hash = hash_mix(hash, kind);
  hash = hash_mix(hash, what);
  hash = hash_mix(hash, time_now());
}

static void timer_interrupt(void) {
  count(TIMER, work);
  timer_set(time_now() + PERIOD + random_next(&jitter) % (8 * PERIOD));
  // every 16th time, let the transmitter interrupt again
  if (counts[TIMER] % 16 == 0 && sent < LINE * LINES)
    uart_interrupts(UART_RX_INTERRUPT | UART_TX_INTERRUPT);
  if (rng_ready) {
    rng_ready = 0;
    rng_start();
  }
}

static void uart_interrupt(void) {
  for (int c; (c = uart_getc()) >= 0;)
    count(RECEIVE, c);
  if (uart_interrupt_cause() != UART_CAUSE_TX)
    return;
  count(TRANSMIT, sent);
  sent++;
  uart_putc(sent % LINE ? "0123456789abcdef"[hash & 15] : '\n');
  // the transmitter is empty again at once: stop after four
  if (sent % 4 == 0)
    uart_interrupts(UART_RX_INTERRUPT);
}

static void entropy_interrupt(void) {
  u32 size;
  const u8 *bytes;
  rng_ack();
  while ((bytes = rng_done(&size))) {
    u64 value = 0;
    for (u32 i = 0; i < size; i++)
      value = hash_mix(value, bytes[i]);
    count(ENTROPY, value);
    rng_ready = 1;
  }
}

struct frame *trap(struct frame *frame) {
  u64 cause = csr_read(mcause);
  if (cause == CAUSE_TIMER) {
    timer_interrupt();
  } else if (cause == CAUSE_EXTERNAL) {
    for (u32 irq; (irq = plic_claim());) {
      if (irq == UART_IRQ)
        uart_interrupt();
      else
        entropy_interrupt();
      plic_complete(irq);
    }
  } else {
    trap_panic(frame);
  }
  return frame;
}

int main(void) {
  rng_irq = rng_find();
  plic_enable(UART_IRQ);
  if (rng_irq) {
    plic_enable(rng_irq);
    rng_ready = 1;
  }
  uart_interrupts(UART_RX_INTERRUPT | UART_TX_INTERRUPT);
  csr_set(mie, MIE_MTIE | MIE_MEIE);
  timer_set(time_now() + PERIOD);
  interrupts_on();

  // work for a while, sleep for a while
  while (total < INTERRUPTS) {
    if (work % 65536 < 60000)
      work = work + 1;
    else {
      wait_for_interrupt();
      work = work + 64;
    }
  }

  interrupts_off();
  if (sent % LINE)
    printf("\n");
  for (int kind = 0; kind < KINDS; kind++)
    printf("%8s %lu\n", names[kind], counts[kind]);
  printf("%lu interrupts, hash %016lx\n", total, hash);
  return 0;
}
