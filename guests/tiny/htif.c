// ends through tohost, as programs for Spike do; on QEMU it runs on and uses the finisher
#include "lib.h"

volatile u64 tohost __attribute__((aligned(64)));
volatile u64 fromhost __attribute__((aligned(64)));

int main(void) {
  printf("htif exit 7\n");
  fence();
  tohost = 7 << 1 | 1;
  power_off(7);
}
