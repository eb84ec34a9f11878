// the test finisher ends the run: QEMU exits with the code it is given
#include "lib.h"

static _Noreturn void finish(u32 word) {
  interrupts_off();
  write32(FINISHER, word);
  for (;;)
    wait_for_interrupt();
}

_Noreturn void power_off(u32 code) { finish(code ? code << 16 | 0x3333 : 0x5555); }

_Noreturn void reset(void) { finish(0x7777); }

_Noreturn void panic(const char *format, ...) {
  interrupts_off();
  va_list args;
  va_start(args, format);
  printf("panic: ");
  vprint(uart_putc, format, args);
  printf("\n");
  power_off(1);
}
