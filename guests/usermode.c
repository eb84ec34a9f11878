// usermode: five tasks in U mode, kept apart by PMP
//
// Each task sees the program's code and its own page, nothing else. Two behave, one reaches for another's page, one
// hands the kernel an address that is not its own, one tries an instruction of M mode.
#include "lib.h"

#define PAGE 4096
#define TASKS 5

// ---- system calls: number in a7, arguments in a0 and a1, result in a0

enum { SYS_EXIT = 1, SYS_WRITE, SYS_YIELD };

static u64 syscall(u64 number, u64 a, u64 b) {
  register u64 a0 asm("a0") = a;
  register u64 a1 asm("a1") = b;
  register u64 a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
  return a0;
}

static i64 sys_write(const char *text, u64 size) { return syscall(SYS_WRITE, (u64)text, size); }
static void sys_yield(void) { syscall(SYS_YIELD, 0, 0); }
static _Noreturn void sys_exit(u64 code) {
  syscall(SYS_EXIT, code, 0);
  __builtin_unreachable();
}

// ---- the tasks: what they write to is on their stack, the only memory they may write

struct line {
  char text[64];
  u64 size;
};

static void add(struct line *line, const char *text) {
  while (*text)
    line->text[line->size++] = *text++;
}

static void add_number(struct line *line, u64 value) {
  char digits[20];
  int n = 0;
  do
    digits[n++] = '0' + value % 10;
  while (value /= 10);
  while (n)
    line->text[line->size++] = digits[--n];
}

static void primes(void) {
  u64 found = 0;
  for (u64 n = 2; found < 500; n++) {
    u64 d = 2;
    while (d * d <= n && n % d)
      d++;
    if (d * d <= n)
      continue;
    if (++found % 100 == 0) {
      struct line line = {.size = 0};
      add(&line, "primes: number ");
      add_number(&line, found);
      add(&line, " is ");
      add_number(&line, n);
      add(&line, "\n");
      sys_write(line.text, line.size);
      sys_yield();
    }
  }
  sys_exit(0);
}

static void collatz(void) {
  u64 best = 0;
  for (u64 start = 1; start <= 5000; start++) {
    u64 steps = 0;
    for (u64 n = start; n != 1; steps++)
      n = n % 2 ? 3 * n + 1 : n / 2;
    if (steps > best)
      best = steps;
    if (start % 1000 == 0) {
      struct line line = {.size = 0};
      add(&line, "collatz: longest way up to ");
      add_number(&line, start);
      add(&line, " is ");
      add_number(&line, best);
      add(&line, "\n");
      sys_write(line.text, line.size);
      sys_yield();
    }
  }
  sys_exit(0);
}

// the pages lie side by side: below its own is the stack of another task
static void intruder(void) {
  sys_yield();
  volatile u64 *other = (u64 *)((u64)__builtin_frame_address(0) - PAGE - 64);
  *other = 0xbad;
  sys_exit(0);
}

// RAM starts with the kernel's code, which may be read; its data, behind it, may not
static void liar(void) {
  sys_yield();
  i64 result = sys_write((const char *)UART, 8);
  sys_exit(result == -1 ? 0 : 1);
}

static void climber(void) {
  sys_yield();
  sys_yield();
  csr_set(mstatus, MSTATUS_MPP_M);
  sys_exit(0);
}

// ---- the kernel

static const struct {
  const char *name;
  void (*entry)(void);
} programs[TASKS] = {
    {"primes", primes}, {"collatz", collatz}, {"intruder", intruder}, {"liar", liar}, {"climber", climber},
};

static u8 pages[TASKS][PAGE] __attribute__((aligned(PAGE)));
static struct {
  u8 kernel_stack[2048 - sizeof(struct frame)];
  struct frame frame;  // the top of the kernel stack
  u64 alive;
  u64 unused;
} tasks[TASKS] __attribute__((aligned(16)));
static int current, killed, failed;
extern char text_end[];  // kernel.ld: end of code and constants, on a page boundary

// entry 0 ends where RAM starts, entry 1 lets U mode read and execute from there on, entry 2 is the task's page
#define PMP_TEXT ((u64)(PMP_TOR | PMP_R | PMP_X) << 8)
#define PMP_PAGE ((u64)(PMP_NAPOT | PMP_R | PMP_W) << 16)

static void pmp_init(void) {
  csr_write(pmpaddr0, RAM >> 2);
  csr_write(pmpaddr1, (u64)text_end >> 2);
}

// a naturally aligned region: the low bits of its address, all ones, say how large it is
static void pmp_page(u64 page) {
  csr_write(pmpcfg0, PMP_TEXT);
  csr_write(pmpaddr2, page >> 2 | (PAGE / 8 - 1));
  csr_write(pmpcfg0, PMP_TEXT | PMP_PAGE);
}

static int may_read(u64 address, u64 size) {
  u64 own = (u64)pages[current];
  int in_text = address >= RAM && address < (u64)text_end && size <= (u64)text_end - address;
  int in_page = address >= own && address < own + PAGE && size <= own + PAGE - address;
  return in_text || in_page;
}

static struct frame *next_task(void) {
  for (int i = 1; i <= TASKS; i++) {
    int task = (current + i) % TASKS;
    if (!tasks[task].alive)
      continue;
    current = task;
    pmp_page((u64)pages[task]);
    return &tasks[task].frame;
  }
  printf("kernel: no task is left; %d were killed, %d failed\n", killed, failed);
  power_off(failed || killed != 2);
}

static void kill_task(const char *why, u64 pc) {
  tasks[current].alive = 0;
  killed++;
  printf("kernel: %s killed: %s at %p, mtval %lx\n", programs[current].name, why, (void *)pc, csr_read(mtval));
}

struct frame *trap(struct frame *frame) {
  if (frame->status & MSTATUS_MPP_M)
    trap_panic(frame);
  switch (csr_read(mcause)) {
  case CAUSE_LOAD_FAULT:
    kill_task("load fault", frame->pc);
    return next_task();
  case CAUSE_STORE_FAULT:
    kill_task("store fault", frame->pc);
    return next_task();
  case CAUSE_ILLEGAL:
    kill_task("illegal instruction", frame->pc);
    return next_task();
  case CAUSE_ECALL_U:
    break;
  default:
    trap_panic(frame);
  }
  frame->pc += 4;
  u64 *result = &frame->x[FRAME_A0], a = *result, b = frame->x[FRAME_A1];
  switch (frame->x[FRAME_A7]) {
  case SYS_EXIT:
    printf("kernel: %s exits with %lu\n", programs[current].name, a);
    tasks[current].alive = 0;
    failed += a != 0;
    return next_task();
  case SYS_WRITE:
    *result = -1;
    if (may_read(a, b)) {
      for (u64 i = 0; i < b; i++)
        uart_putc(((const char *)a)[i]);
      *result = b;
    }
    return frame;
  case SYS_YIELD:
    return next_task();
  default:
    *result = -1;
    return frame;
  }
}

int main(void) {
  pmp_init();
  for (int i = 0; i < TASKS; i++) {
    frame_init(&tasks[i].frame, programs[i].entry, pages[i] + PAGE, 0);
    tasks[i].alive = 1;
  }
  current = TASKS - 1;
  resume(next_task());
}
