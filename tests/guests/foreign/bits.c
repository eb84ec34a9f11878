/* Bit manipulation: every instruction of Zba, Zbb and Zbs on awkward operands. */
#include "bare.h"
static const unsigned long v[] = {0, 1, 2, 63, 64, 0x80, 0xff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
  0x100000000, 0x123456789abcdef0, 0x00ff00000000ff01, 0x7fffffffffffffff, 0x8000000000000000, -1UL};
#define N (sizeof v / sizeof *v)
static unsigned long h;
#define ONE(op)                                                              \
  h = 0;                                                                     \
  for (unsigned i = 0; i < N; i++) {                                         \
    unsigned long r;                                                         \
    __asm__(op " %0, %1" : "=r"(r) : "r"(v[i]));                             \
    h = (h ^ r) * 0x100000001b3;                                             \
  }                                                                          \
  field(op, h)
#define TWO(op)                                                              \
  h = 0;                                                                     \
  for (unsigned i = 0; i < N; i++)                                           \
    for (unsigned j = 0; j < N; j++) {                                       \
      unsigned long r;                                                       \
      __asm__(op " %0, %1, %2" : "=r"(r) : "r"(v[i]), "r"(v[j]));            \
      h = (h ^ r) * 0x100000001b3;                                           \
    }                                                                        \
  field(op, h)
#define IMM(op, imm)                                                         \
  h = 0;                                                                     \
  for (unsigned i = 0; i < N; i++) {                                         \
    unsigned long r;                                                         \
    __asm__(op " %0, %1, " #imm : "=r"(r) : "r"(v[i]));                      \
    h = (h ^ r) * 0x100000001b3;                                             \
  }                                                                          \
  field(op " " #imm, h)

int main(void) {
  for (unsigned i = 0; i < N; i++) {
    long r;
    __asm__("ctzw %0, %1" : "=r"(r) : "r"((long)(int)v[i])); /* QEMU 7.2 looks at the upper half too */
    field("ctzw", r);
  }
  TWO("add.uw"); TWO("sh1add"); TWO("sh2add"); TWO("sh3add"); TWO("sh1add.uw"); TWO("sh2add.uw"); TWO("sh3add.uw");
  IMM("slli.uw", 0); IMM("slli.uw", 5); IMM("slli.uw", 63);
  TWO("andn"); TWO("orn"); TWO("xnor");
  ONE("clz"); ONE("clzw"); ONE("ctz");  ONE("cpop"); ONE("cpopw");
  TWO("max"); TWO("maxu"); TWO("min"); TWO("minu");
  ONE("sext.b"); ONE("sext.h"); ONE("zext.h"); ONE("orc.b"); ONE("rev8");
  TWO("rol"); TWO("rolw"); TWO("ror"); TWO("rorw");
  IMM("rori", 0); IMM("rori", 17); IMM("rori", 63); IMM("roriw", 0); IMM("roriw", 31);
  TWO("bclr"); TWO("bext"); TWO("binv"); TWO("bset");
  IMM("bclri", 63); IMM("bexti", 40); IMM("binvi", 0); IMM("bseti", 31);
  return 0;
}
