// code that changes: on a page that runs already, with fence.i and without
#include "tiny.h"

#define LI_A0(n) (0x00000513u | (n) << 20)  // addi a0, zero, n
#define RET 0x00008067u

static u32 code[1024] __attribute__((aligned(4096)));

static u64 call(u32 *at) { return ((u64 (*)(void))at)(); }

int main(void) {
  u64 sum = 0;
  for (u32 n = 0; n < 1000; n++) {
    u32 *at = code + n % 7 * 100;
    at[0] = LI_A0(n);
    at[1] = RET;
    asm volatile("fence.i" : : : "memory");
    sum += call(at);
  }
  printf("with fence.i: %lu\n", sum);

  // the board keeps no instruction cache that a store does not reach
  sum = 0;
  for (u32 n = 0; n < 1000; n++) {
    code[0] = LI_A0(n);
    code[1] = RET;
    asm volatile("" : : : "memory");
    sum += call(code);
  }
  printf("without: %lu\n", sum);

  // an instruction that changes the one behind it
  u64 result;
  asm volatile(
      "la t0, 1f\n"
      "li t1, 0x02a00513\n"  // addi a0, zero, 42
      "li a0, 0\n"
      "sw t1, (t0)\n"
      "fence.i\n"
      ".option push\n"
      ".option norvc\n"
      ".balign 4\n"
      "1: addi a0, zero, 1\n"
      ".option pop\n"
      "mv %0, a0\n"
      : "=r"(result)
      :
      : "a0", "t0", "t1", "memory");
  printf("the next instruction: %lu\n", result);
  return 0;
}
