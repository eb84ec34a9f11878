// CLINT: the timer
#include "lib.h"

#define MTIMECMP (CLINT + 0x4000)
#define MTIME (CLINT + 0xbff8)

u64 time_now(void) { return read64(MTIME); }

// the timer interrupt is pending while mtime >= mtimecmp: a later deadline takes it away
void timer_set(u64 when) { write64(MTIMECMP, when); }

void timer_off(void) { write64(MTIMECMP, ~0UL); }
