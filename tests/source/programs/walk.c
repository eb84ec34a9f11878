// recursion, loops, calls in conditions, a switch, function pointers, a tail call, inlining; a timer that interrupts
typedef unsigned long u64;

#define CLINT_MTIMECMP (*(volatile u64 *)0x2004000)
#define CLINT_MTIME (*(volatile u64 *)0x200bff8)
#define FINISHER (*(volatile unsigned *)0x100000)

volatile u64 ticks, sink;
static u64 table[8] = {3, 1, 4, 1, 5, 9, 2, 6};

#ifdef PLAIN
#define INLINE __attribute__((noinline))
#else
#define INLINE inline __attribute__((always_inline))
#endif
static INLINE u64 square(u64 x) {
  u64 y = x * x;
  sink = y;
  return y;
}

__attribute__((noinline)) u64 leaf(u64 a, u64 b) { return a * 3 + b; }

__attribute__((noinline)) u64 fib(u64 n) {
  if (n < 2)
    return n;
  return fib(n - 1) + fib(n - 2);
}

__attribute__((noinline)) u64 tail(u64 n) {
  sink = n;
  return leaf(n, 7);
}

__attribute__((noinline)) u64 choose(u64 n) {
  switch (n) {
  case 0:
    return 10;
  case 1:
    sink = 1;
    return square(n + 2);
  case 2:
    return leaf(n, n);
  case 3:
    return tail(n);
  case 4:
    sink = leaf(1, 2) + leaf(3, 4);
    break;
  default:
    sink = n;
  }
  return sink + 1;
}

__attribute__((noinline)) u64 sum(const u64 *values, int count) {
  u64 total = 0;
  for (int i = 0; i < count; i++) {
    if (values[i] & 1)
      continue;
    total += values[i];
  }
  while (total > 20)
    total -= leaf(1, 1);
  return total;
}

static u64 (*const functions[])(u64) = {fib, choose, tail};

__attribute__((noinline)) u64 indirect(int which, u64 value) {
  u64 result = functions[which](value);
  return result + 1;
}

__attribute__((noinline)) void bump(void) { ticks++; }

__attribute__((interrupt, aligned(4))) void handler(void) {
  bump();
  CLINT_MTIMECMP = CLINT_MTIME + PERIOD;
}

int main(void) {
  u64 total = 0;
#if PERIOD
  asm volatile("csrw mtvec, %0" : : "r"(handler));
  CLINT_MTIMECMP = CLINT_MTIME + PERIOD;
  asm volatile("csrw mie, %0" : : "r"(0x80));
  asm volatile("csrs mstatus, %0" : : "r"(8));
#endif
  for (u64 i = 0; i < 6; i++)
    total += choose(i);
  total += fib(5);
  total += sum(table, 8);
  for (int i = 0; i < 3; i++) total += indirect(i, 3);
  total += square(total);
  sink = total;
  return total & 0x7f;
}

asm(".section .text.start, \"ax\"\n"
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "  la sp, stack_top\n"
    "  call main\n"
    "  slli a0, a0, 16\n"
    "  li a1, 0x3333\n"
    "  or a0, a0, a1\n"
    "  li a1, 0x100000\n"
    "  sw a0, 0(a1)\n"
    "1: j 1b\n"
    ".size _start, . - _start\n"
    ".section .bss\n"
    ".balign 16\n"
    ".space 8192\n"
    ".globl stack_top\n"
    "stack_top:\n"
    ".text\n");
