/* What most bare-metal programs begin with. */
#include <stdint.h>
#include <stddef.h>

#define REG8(a) (*(volatile uint8_t *)(uintptr_t)(a))
#define REG16(a) (*(volatile uint16_t *)(uintptr_t)(a))
#define REG32(a) (*(volatile uint32_t *)(uintptr_t)(a))
#define REG64(a) (*(volatile uint64_t *)(uintptr_t)(a))
#define UART0 0x10000000
#define CLINT 0x02000000
#define PLIC 0x0c000000
#define TEST 0x00100000
#define RTC 0x00101000

#define read_csr(reg) ({ unsigned long __v; __asm__ volatile("csrr %0, " #reg : "=r"(__v)); __v; })
#define write_csr(reg, val) __asm__ volatile("csrw " #reg ", %0" ::"r"((unsigned long)(val)) : "memory")
#define set_csr(reg, val) __asm__ volatile("csrs " #reg ", %0" ::"r"((unsigned long)(val)) : "memory")
#define clear_csr(reg, val) __asm__ volatile("csrc " #reg ", %0" ::"r"((unsigned long)(val)) : "memory")

extern char _stack[];
int main(void);

static inline void putchar_(char c) {
  while ((REG8(UART0 + 5) & 0x20) == 0) {
  }
  REG8(UART0) = c;
}
static void print(const char *s) {
  while (*s) putchar_(*s++);
}
static void hex(unsigned long v) {
  char buf[17];
  int i = 16;
  buf[16] = 0;
  do {
    buf[--i] = "0123456789abcdef"[v & 15];
    v >>= 4;
  } while (v);
  print(buf + i);
}
static void field(const char *name, unsigned long v) {
  print(name);
  print("=");
  hex(v);
  print("\n");
}
static void __attribute__((noreturn)) finish(int code) {
  REG32(TEST) = code ? (uint32_t)code << 16 | 0x3333 : 0x5555;
  for (;;) {
  }
}
void __attribute__((naked, section(".init"), used)) _start(void) {
  __asm__ volatile(
      ".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
      "la sp, _stack\n"
      "la t0, _bss\nla t1, _ebss\n"
      "1: bgeu t0, t1, 2f\nsb zero, (t0)\naddi t0, t0, 1\nj 1b\n"
      "2: call main\n"
      "bnez a0, 3f\nli t0, 0x5555\nj 4f\n"
      "3: slli a0, a0, 16\nli t0, 0x3333\nor t0, t0, a0\n"
      "4: li t1, 0x100000\nsw t0, (t1)\n5: wfi\nj 5b\n");
}

/* Traps: a handler in C that a program may replace by its own mtvec. */
static volatile unsigned long trap_cause, trap_tval, trap_pc, trap_count;

#ifdef TRAPS
void __attribute__((interrupt("machine"), aligned(4))) on_trap(void) {
  trap_cause = read_csr(mcause);
  trap_tval = trap_cause == 3 ? 0 : read_csr(mtval); /* of a breakpoint: zero or its address, as the hart likes */
  trap_pc = read_csr(mepc);
  trap_count++;
  if (!(trap_cause >> 63)) {
    if (trap_cause == 1) {
      /* a wild jump: go back to where the program wants to */
      extern unsigned long jump_back;
      write_csr(mepc, jump_back);
    } else {
      uint16_t low = REG16(trap_pc);
      write_csr(mepc, trap_pc + ((low & 3) == 3 ? 4 : 2));
    }
  }
}
unsigned long jump_back;
static void trap_report(const char *what) {
  print(what);
  print(": traps ");
  hex(trap_count);
  if (trap_count) {
    print(" cause ");
    hex(trap_cause);
    print(" tval ");
    hex(trap_tval);
  }
  print("\n");
  trap_count = 0;
}
#endif
