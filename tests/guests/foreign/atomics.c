/* Atomic operations as compilers emit them, all AMOs with both widths, a spin lock, a ticket lock. */
#include "bare.h"
static int64_t d = -5;
static int32_t w = -5;
static unsigned long h;
static void mix(unsigned long v) { h = (h ^ v) * 0x100000001b3; }

#define AMO(op, var, x)                                                                               \
  do {                                                                                                \
    unsigned long old;                                                                                \
    __asm__ volatile(op " %0, %2, %1" : "=r"(old), "+A"(var) : "r"(x) : "memory");                    \
    mix(old);                                                                                         \
    mix(var);                                                                                         \
  } while (0)
#define BOTH(name)                                    \
  for (int i = 0; i < 8; i++) {                       \
    AMO(name ".w", w, values[i]);                     \
    AMO(name ".w.aqrl", w, values[7 - i]);            \
    AMO(name ".d", d, values[i]);                     \
    AMO(name ".d.aq", d, values[7 - i]);              \
  }                                                   \
  field(name, h)
static const long values[8] = {0, 1, -1, 0x7fffffff, -0x80000000L, 0x7fffffffffffffff, 0x8000000000000000, 0x123456789abcdef0};

typedef struct {
  unsigned next, owner;
} ticket_lock;
static ticket_lock tickets;
static char flag;

int main(void) {
  BOTH("amoswap");
  BOTH("amoadd");
  BOTH("amoxor");
  BOTH("amoand");
  BOTH("amoor");
  BOTH("amomin");
  BOTH("amomax");
  BOTH("amominu");
  BOTH("amomaxu");
  unsigned long counter = 0;
  for (int i = 0; i < 100; i++) {
    while (__atomic_test_and_set(&flag, __ATOMIC_ACQUIRE)) {
    }
    counter++;
    __atomic_clear(&flag, __ATOMIC_RELEASE);
    unsigned me = __atomic_fetch_add(&tickets.next, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&tickets.owner, __ATOMIC_ACQUIRE) != me) {
    }
    counter += me;
    __atomic_store_n(&tickets.owner, me + 1, __ATOMIC_RELEASE);
    long expected = i;
    __atomic_compare_exchange_n(&d, &expected, i + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    if (i == 0) d = 1;
    __atomic_fetch_nand(&w, i, __ATOMIC_SEQ_CST);
  }
  field("counter", counter);
  field("cas", d);
  field("nand", w);
  return 0;
}
