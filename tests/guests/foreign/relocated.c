/* Data and some code are copied to where they run; constructors run before main. */
#define main program
#include "bare.h"
#undef main
extern char _data[], _edata[], _data_load[], _fast[], _efast[], _fast_load[], _ebss[];
extern void (*_ctors[])(void), (*_ectors[])(void);
static void copy(char *to, char *end, const char *from) {
  while (to < end) *to++ = *from++;
}
static int initialised = 77;
static const char *text = "a pointer in data";
static int zero[100];
static int order;
static void __attribute__((constructor(102))) second(void) { order = order * 10 + 2; }
static void __attribute__((constructor(101))) first(void) { order = order * 10 + 1; }
static int __attribute__((section(".fast"), noinline)) fast(int n) { return n < 2 ? n : fast(n - 1) + fast(n - 2); }

int program(void) {
  print(text);
  print("\n");
  field("initialised", initialised++);
  field("changed", initialised);
  int sum = 0;
  for (int i = 0; i < 100; i++) sum |= zero[i];
  field("zero", sum);
  field("order", order);
  field("fast is high", (unsigned long)fast >= 0x80200000UL);
  field("fib", fast(15));
  return 0;
}
int main(void) {
  copy(_data, _edata, _data_load);
  copy(_fast, _efast, _fast_load);
  __asm__ volatile("fence.i");
  for (void (**f)(void) = _ctors; f < _ectors; f++) (*f)();
  return program();
}
