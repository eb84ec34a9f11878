// semihosting: print characters and strings, ask for the clock, exit with code 9
#include "lib.h"

#define SYS_OPEN 0x01
#define SYS_WRITEC 0x03
#define SYS_WRITE0 0x04
#define SYS_WRITE 0x05
#define SYS_CLOCK 0x10
#define SYS_EXIT_EXTENDED 0x20

// the three instructions must be 4 bytes each and lie on one page
__attribute__((noinline, aligned(16))) static u64 semihost(u64 operation, const void *argument) {
  register u64 a0 asm("a0") = operation;
  register const void *a1 asm("a1") = argument;
  asm volatile(
      ".option push\n"
      ".option norvc\n"
      ".balign 16\n"
      "slli zero, zero, 0x1f\n"
      "ebreak\n"
      "srai zero, zero, 7\n"
      ".option pop\n"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return a0;
}

int main(void) {
  semihost(SYS_WRITE0, "semihosting\n");
  for (const char *c = "one by one\n"; *c; c++)
    semihost(SYS_WRITEC, c);
  u64 open[] = {(u64)":tt", 4, 3};  // the console, for writing
  u64 handle = semihost(SYS_OPEN, open);
  u64 write[] = {handle, (u64) "written\n", 8};
  u64 left = semihost(SYS_WRITE, write);
  printf("%lu bytes left\n", left);
  u64 exit[] = {0x20026, 9};
  semihost(SYS_EXIT_EXTENDED, exit);
  return 1;
}
