// bugs/trampled: a task in U mode that writes to its neighbour's stack, because PMP gives it two pages for one
//
// The kernel keeps two tasks apart, each on a page of its own; but the region it programs is twice as large as a page.
// One task solves puzzles for a thousand million steps. The other one sorts numbers into a table, and one of them lies
// below all it has foreseen. The first finds out when it adds up its results.
#include "label.h"
#include "lib.h"

#define PAGE 4096
#define TASKS 2
#define SLICE 20000  // in ticks of mtime

// ---- system calls: number in a7, arguments in a0 and a1

enum { SYS_EXIT = 1, SYS_FAIL, SYS_PROGRESS };

static void syscall(u64 number, const void *what) {
  register u64 a0 asm("a0") = (u64)what;
  register u64 a7 asm("a7") = number;
  asm volatile("ecall" : : "r"(a0), "r"(a7) : "memory");
}

// ---- the first task: sums of digits in all permutations of some

struct tally {
  u64 permutations;
  u64 magic;  // how many it will be
  u64 sum;
};

static noinline void permute(struct tally *tally, u64 used, u64 number, u64 digits) {
  if (!digits) {
    tally->permutations++;
    tally->sum += number;
    return;
  }
  for (u64 digit = 0; digit < 10; digit++)
    if (!(used >> digit & 1))
      permute(tally, used | 1UL << digit, number * 10 + digit, digits - 1);
}

static void permuter(void) {
  struct tally tally = {.magic = 9072000};
  for (u64 digits = 8; digits <= 10; digits++) {
    permute(&tally, 0, 0, digits);
    syscall(SYS_PROGRESS, &tally.sum);
  }
  syscall(tally.permutations == tally.magic ? SYS_EXIT : SYS_FAIL, &tally);
}

// ---- the second task: how often each number comes; its table lies at the start of its page, its stack at the end

#define LOWEST 100
#define KINDS 200

static noinline void count(u64 *table, u64 number) {
  u64 *entry = &table[(i64)(number - LOWEST)], times = 1;
  times += *entry;
  LABEL("+r"(entry), "+r"(times));
  *entry = times;
}

static void counter(void) {
  u64 *table = (u64 *)(((u64)__builtin_frame_address(0) - 1) & -PAGE);
  u64 state = 77;
  for (int i = 0; i < 100000; i++) {
    u64 number = LOWEST + random_next(&state) % KINDS;
    count(table, i == 30000 ? LOWEST - 6 : number);
  }
  syscall(SYS_EXIT, table);
}

// ---- the kernel

static const struct {
  const char *name;
  void (*entry)(void);
} programs[TASKS] = {{"permuter", permuter}, {"counter", counter}};

static u8 pages[TASKS][PAGE] __attribute__((aligned(TASKS *PAGE)));
static struct {
  u8 kernel_stack[2048 - sizeof(struct frame)];
  struct frame frame;  // the top of the kernel stack
  u64 alive;
  u64 unused;
} tasks[TASKS] __attribute__((aligned(16)));
static u64 current, failed;
extern char text_end[];  // kernel.ld: end of code and constants

// entry 0 ends where RAM starts, entry 1 lets U mode read and execute from there on, entry 2 is the task's page
static void protect(u64 page) {
  csr_write(pmpaddr0, RAM >> 2);
  csr_write(pmpaddr1, (u64)text_end >> 2);
  csr_write(pmpaddr2, page >> 2 | (PAGE / 4 - 1));
  csr_write(pmpcfg0, (u64)(PMP_TOR | PMP_R | PMP_X) << 8 | (u64)(PMP_NAPOT | PMP_R | PMP_W) << 16);
}

static struct frame *next_task(void) {
  for (u64 i = 1; i <= TASKS; i++) {
    u64 task = (current + i) % TASKS;
    if (!tasks[task].alive)
      continue;
    current = task;
    protect((u64)pages[task]);
    timer_set(time_now() + SLICE);
    return &tasks[task].frame;
  }
  power_off(failed);
}

struct frame *trap(struct frame *frame) {
  if (frame->status & MSTATUS_MPP_M)
    trap_panic(frame);
  switch (csr_read(mcause)) {
  case CAUSE_TIMER:
    return next_task();
  case CAUSE_ECALL_U:
    break;
  default:
    trap_panic(frame);
  }
  frame->pc += 4;
  switch (frame->x[FRAME_A7]) {
  case SYS_PROGRESS:
    printf("%s goes on\n", programs[current].name);
    return frame;
  case SYS_FAIL:
    failed = 1;
    // fall through
  default:
    printf("%s %s\n", programs[current].name, failed ? "has failed" : "is done");
    tasks[current].alive = 0;
    return next_task();
  }
}

int main(void) {
  for (int i = 0; i < TASKS; i++) {
    frame_init(&tasks[i].frame, programs[i].entry, pages[i] + PAGE, 0);
    tasks[i].alive = 1;
  }
  csr_set(mie, MIE_MTIE);
  current = TASKS - 1;
  resume(next_task());
}
