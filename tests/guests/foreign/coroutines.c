/* Switches of stacks by hand, setjmp of its own, variadic printing, sorting by a comparison function. */
#include <stdarg.h>
#include "bare.h"
typedef struct {
  unsigned long ra, sp, s[12];
} context;
__asm__(
    ".globl swap_context\nswap_context:\n"
    "sd ra, 0(a0)\n sd sp, 8(a0)\n sd s0, 16(a0)\n sd s1, 24(a0)\n sd s2, 32(a0)\n sd s3, 40(a0)\n sd s4, 48(a0)\n"
    "sd s5, 56(a0)\n sd s6, 64(a0)\n sd s7, 72(a0)\n sd s8, 80(a0)\n sd s9, 88(a0)\n sd s10, 96(a0)\n sd s11, 104(a0)\n"
    "ld ra, 0(a1)\n ld sp, 8(a1)\n ld s0, 16(a1)\n ld s1, 24(a1)\n ld s2, 32(a1)\n ld s3, 40(a1)\n ld s4, 48(a1)\n"
    "ld s5, 56(a1)\n ld s6, 64(a1)\n ld s7, 72(a1)\n ld s8, 80(a1)\n ld s9, 88(a1)\n ld s10, 96(a1)\n ld s11, 104(a1)\n"
    "ret\n");
void swap_context(context *from, context *to);
static context main_context, contexts[3];
static unsigned long stacks[3][512] __attribute__((aligned(16)));
static int turn, alive = 3;

static void say(const char *format, ...) {
  va_list a;
  va_start(a, format);
  for (; *format; format++) {
    if (*format != '%') {
      putchar_(*format);
      continue;
    }
    switch (*++format) {
      case 'd': {
        long v = va_arg(a, long);
        char b[24];
        int n = 0, neg = v < 0;
        unsigned long u = neg ? -v : v;
        do b[n++] = '0' + u % 10;
        while (u /= 10);
        if (neg) putchar_('-');
        while (n) putchar_(b[--n]);
        break;
      }
      case 'x': hex(va_arg(a, unsigned long)); break;
      case 's': print(va_arg(a, const char *)); break;
    }
  }
  va_end(a);
}
static void yield(void) { swap_context(&contexts[turn], &main_context); }
static void worker(void) {
  int me = turn;
  long sum = 0;
  for (long i = 0; i < 3 + me; i++) {
    sum += i * i - 10 * me;
    say("worker %d round %d sum %d\n", (long)me, i, sum);
    yield();
  }
  alive--;
  for (;;) yield();
}
static void sort(long *v, int n, int (*less)(long, long)) {
  for (int gap = n / 2; gap; gap /= 2)
    for (int i = gap; i < n; i++)
      for (int j = i; j >= gap && less(v[j], v[j - gap]); j -= gap) {
        long t = v[j];
        v[j] = v[j - gap];
        v[j - gap] = t;
      }
}
static int up(long a, long b) { return a < b; }
static int by_digits(long a, long b) { return a % 10 != b % 10 ? a % 10 < b % 10 : a < b; }
int main(void) {
  for (int i = 0; i < 3; i++) {
    contexts[i].ra = (unsigned long)worker;
    contexts[i].sp = (unsigned long)(stacks[i] + 512);
  }
  for (; alive; turn = (turn + 1) % 3) swap_context(&main_context, &contexts[turn]);
  long v[20], seed = 7;
  for (int i = 0; i < 20; i++) v[i] = (seed = seed * 1103515245 + 12345 & 0x7fffffff) % 1000;
  sort(v, 20, up);
  for (int i = 0; i < 20; i++) say("%d ", v[i]);
  sort(v, 20, by_digits);
  say("\n%s:", "by last digit");
  for (int i = 0; i < 20; i++) say(" %d", v[i]);
  say("\n%x %d\n", -1L, -9223372036854775807L);
  return 17;
}
