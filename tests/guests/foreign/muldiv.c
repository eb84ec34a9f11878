/* Multiplication and division, and shifts, with every pair of awkward operands. */
#include "bare.h"
static const unsigned long v[] = {0, 1, 2, 3, 7, -1UL, -2UL, 0x7fffffff, 0x80000000, 0xffffffff, 0xffffffff80000000,
  0x100000000, 0x123456789abcdef, 0x7fffffffffffffff, 0x8000000000000000};
#define N (sizeof v / sizeof *v)
static unsigned long h;
#define TWO(op)                                                              \
  h = 0;                                                                     \
  for (unsigned i = 0; i < N; i++)                                           \
    for (unsigned j = 0; j < N; j++) {                                       \
      unsigned long r;                                                       \
      __asm__(op " %0, %1, %2" : "=r"(r) : "r"(v[i]), "r"(v[j]));            \
      h = (h ^ r) * 0x100000001b3;                                           \
    }                                                                        \
  field(op, h)

int main(void) {
  TWO("mul"); TWO("mulh"); TWO("mulhu"); TWO("mulhsu"); TWO("mulw");
  TWO("div"); TWO("divu"); TWO("rem"); TWO("remu"); TWO("divw"); TWO("divuw"); TWO("remw"); TWO("remuw");
  TWO("sll"); TWO("srl"); TWO("sra"); TWO("sllw"); TWO("srlw"); TWO("sraw"); TWO("addw"); TWO("subw");
  TWO("slt"); TWO("sltu");
  return 0;
}
