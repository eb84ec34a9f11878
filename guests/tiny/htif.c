// ends through tohost, as programs for Spike do; on QEMU it runs on
#include "lib.h"

volatile u64 tohost __attribute__((aligned(64)));
volatile u64 fromhost __attribute__((aligned(64)));

int main(void) {
  printf("htif exit 7\n");
  fence();
  tohost = 7 << 1 | 1;
  for (volatile int i = 0; i < 1000; i++)
    ;
  printf("there is no HTIF\n");
  power_off(1);
}
