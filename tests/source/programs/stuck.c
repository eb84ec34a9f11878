// a trap in the middle of a call, and a handler with call frame information that never returns; at PAD words
#ifndef PAD
#define PAD 0
#endif
#define STRING(x) #x
#define TEXT(x) STRING(x)

volatile unsigned long sink;

__attribute__((noreturn, noinline, section(".text.handler"))) void stuck(void) {
  for (;;)
    sink++;
}

__attribute__((noinline)) void deep(unsigned long n) {
  sink = n;
  if (n == 0)
    __asm__ volatile("ebreak");
  else
    deep(n - 1);
  sink = n;
}

int main(void) {
  deep(2);
  return 0;
}

// in front of `stuck`, and in reach of a jump
__asm__(".section .text.entries, \"ax\"\n"
        ".option push\n .option norvc\n"
        ".balign 64\n"
        ".rept " TEXT(PAD) "\n nop\n .endr\n"
        "entries:\n"
        ".rept 16\n j stuck\n .endr\n .option pop\n"
        ".section .text.handler, \"ax\"\n"
        ".balign 512\n"
        ".rept " TEXT(PAD) "\n .long 0x13\n .endr\n"
        ".text\n");

__attribute__((naked, section(".text.start"))) void _start(void) {
  __asm__ volatile("la sp, stack_top\n"
                   "la t0, " HANDLER "\n"
                   "addi t0, t0, " TEXT(MODE) "\n"
                   "csrw mtvec, t0\n"
                   "call main\n"
                   "j .");
}

char stack[1024] __attribute__((aligned(16)));
__asm__(".globl stack_top\n.set stack_top, stack+1024");
