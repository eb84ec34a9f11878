// a 4-byte instruction whose halves lie on two pages, run, changed on one side, run again
#include "tiny.h"

#define PAGE 4096

static u8 code[2 * PAGE] __attribute__((aligned(PAGE)));

int main(void) {
  u16 *at = (u16 *)(code + PAGE - 2);
  u32 li = 0x00000513;  // addi a0, zero, 0
  u64 sum = 0;
  at[0] = li;
  at[1] = li >> 16;
  at[2] = 0x8082;  // ret
  for (u32 n = 0; n < 100; n++) {
    at[1] = n << 4;  // the immediate lies in the high half
    asm volatile("fence.i" : : : "memory");
    sum += ((u64 (*)(void))at)();
  }
  printf("high half: %lu\n", sum);
  at[0] = 0x0593;  // addi a1: a0 keeps what it had
  at[1] = 9 << 4;
  asm volatile("fence.i" : : : "memory");
  register u64 a0 asm("a0") = 77;
  register u64 a1 asm("a1") = 1;
  asm volatile("jalr %2" : "+r"(a0), "+r"(a1) : "r"(at) : "ra", "memory");
  u64 kept = a0, loaded = a1;
  printf("low half: %lu, %lu\n", kept, loaded);
  return 0;
}
