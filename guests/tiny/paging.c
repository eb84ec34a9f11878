// an S-mode kernel with Sv39: two processes in U mode at the same address, system calls, a page fault
#include "sv39.h"

#define USER 0x40000000UL        // where a process sees its code
#define STACK 0x40010000UL       // its page of stack lies below
#define SHARED 0x40020000UL      // a page that both processes see
#define LAZY 0x40030000UL        // mapped when it is first touched

enum { CALL_EXIT, CALL_YIELD, CALL_SAY };

// what a process is: its registers come first, s_trap saves them there
struct process {
  u64 x[32];  // instead of x0, pc
  u64 satp;
  u64 id;
  u64 done;
};

static u8 pages[8][4096] __attribute__((aligned(4096)));
static u32 pages_used;
static struct process processes[2];
static struct process *current;
static u64 switches, faults;

void s_trap(void);
_Noreturn void s_return(struct process *process);
struct process *kernel(void);
void user_main(u64 id);
extern u8 __start_user_text[], __stop_user_text[];

static u8 *new_page(void) { return pages[pages_used++]; }

static u64 *root_of(struct process *process) { return (u64 *)(process->satp << 20 >> 8); }

static void make_process(struct process *process, u64 id, u8 *shared) {
  u64 *root = new_table();
  process->satp = SV39 | (id + 1) << 44 | (u64)root >> 12;
  process->id = id;
  map_kernel(root);
  u8 *code = new_page();
  memcpy(code, __start_user_text, __stop_user_text - __start_user_text);
  map(root, USER, (u64)code, PTE_R | PTE_X | PTE_U, 0);
  map(root, STACK - PAGE, (u64)new_page(), PTE_R | PTE_W | PTE_U, 0);
  map(root, SHARED, (u64)shared, PTE_R | PTE_W | PTE_U, 0);
  process->x[0] = USER + ((u8 *)user_main - __start_user_text);
  process->x[2] = STACK;
  process->x[10] = id;
}

static void next_process(void) {
  struct process *other = &processes[1 - current->id];
  if (other->done) return;
  current = other;
  switches++;
  csr_write(satp, current->satp);
  sfence();
}

// a page comes at the first access to it
__attribute__((noinline)) static void page_fault(u64 address) {
  if (address - LAZY >= PAGE) panic("process %lu: page fault at %lx\n", current->id, address);
  faults++;
  map(root_of(current), LAZY, (u64)new_page(), PTE_R | PTE_W | PTE_U, 0);
  sfence();
}

__attribute__((noinline)) static void say(u64 value) { printf("process %lu: %lu\n", current->id, value); }

__attribute__((noinline)) static void system_call(void) {
  current->x[0] += 4;
  switch (current->x[17]) {
    case CALL_SAY:
      say(current->x[10]);
      break;
    case CALL_YIELD:
      next_process();
      break;
    default:
      current->done = 1;
      if (processes[0].done && processes[1].done) {
        printf("%lu switches, %lu page faults\n", switches, faults);
        finish(0);
      }
      next_process();
  }
}

// sscratch holds the process that runs
asm(".section .text.s_trap, \"ax\", @progbits\n"
    ".globl s_trap, s_return\n"
    ".type s_trap, @function\n"
    ".balign 4\n"
    "s_trap:\n"
    "  csrrw a0, sscratch, a0\n"
    "  sd x1, 8(a0)\n"
    "  sd x2, 16(a0)\n"
    "  sd x3, 24(a0)\n"
    "  sd x4, 32(a0)\n"
    "  sd x5, 40(a0)\n"
    "  sd x6, 48(a0)\n"
    "  sd x7, 56(a0)\n"
    "  sd x8, 64(a0)\n"
    "  sd x9, 72(a0)\n"
    "  sd x11, 88(a0)\n"
    "  sd x12, 96(a0)\n"
    "  sd x13, 104(a0)\n"
    "  sd x14, 112(a0)\n"
    "  sd x15, 120(a0)\n"
    "  sd x16, 128(a0)\n"
    "  sd x17, 136(a0)\n"
    "  sd x18, 144(a0)\n"
    "  sd x19, 152(a0)\n"
    "  sd x20, 160(a0)\n"
    "  sd x21, 168(a0)\n"
    "  sd x22, 176(a0)\n"
    "  sd x23, 184(a0)\n"
    "  sd x24, 192(a0)\n"
    "  sd x25, 200(a0)\n"
    "  sd x26, 208(a0)\n"
    "  sd x27, 216(a0)\n"
    "  sd x28, 224(a0)\n"
    "  sd x29, 232(a0)\n"
    "  sd x30, 240(a0)\n"
    "  sd x31, 248(a0)\n"
    "  csrr t0, sscratch\n"
    "  sd t0, 80(a0)\n"
    "  csrr t0, sepc\n"
    "  sd t0, 0(a0)\n"
    ".option push\n"
    ".option norelax\n"
    "  la gp, __global_pointer$\n"
    ".option pop\n"
    "  la sp, stack_top\n"
    "  call kernel\n"  // and on to s_return
    ".size s_trap, . - s_trap\n"
    ".type s_return, @function\n"
    "s_return:\n"
    "  csrw sscratch, a0\n"
    "  ld t0, 0(a0)\n"
    "  csrw sepc, t0\n"
    "  li t0, 1 << 8\n"  // to U mode
    "  csrc sstatus, t0\n"
    "  ld x1, 8(a0)\n"
    "  ld x2, 16(a0)\n"
    "  ld x3, 24(a0)\n"
    "  ld x4, 32(a0)\n"
    "  ld x5, 40(a0)\n"
    "  ld x6, 48(a0)\n"
    "  ld x7, 56(a0)\n"
    "  ld x8, 64(a0)\n"
    "  ld x9, 72(a0)\n"
    "  ld x11, 88(a0)\n"
    "  ld x12, 96(a0)\n"
    "  ld x13, 104(a0)\n"
    "  ld x14, 112(a0)\n"
    "  ld x15, 120(a0)\n"
    "  ld x16, 128(a0)\n"
    "  ld x17, 136(a0)\n"
    "  ld x18, 144(a0)\n"
    "  ld x19, 152(a0)\n"
    "  ld x20, 160(a0)\n"
    "  ld x21, 168(a0)\n"
    "  ld x22, 176(a0)\n"
    "  ld x23, 184(a0)\n"
    "  ld x24, 192(a0)\n"
    "  ld x25, 200(a0)\n"
    "  ld x26, 208(a0)\n"
    "  ld x27, 216(a0)\n"
    "  ld x28, 224(a0)\n"
    "  ld x29, 232(a0)\n"
    "  ld x30, 240(a0)\n"
    "  ld x31, 248(a0)\n"
    "  ld a0, 80(a0)\n"
    "  sret\n"
    ".size s_return, . - s_return\n"
    ".text\n");

// s_trap comes here with the registers of U mode saved; returns who goes on
struct process *kernel(void) {
  u64 scause = csr_read(scause);
  if (scause == CAUSE_ECALL_U)
    system_call();
  else if (scause == CAUSE_STORE_PAGE_FAULT)
    page_fault(csr_read(stval));
  else
    panic("process %lu: scause %lx at %lx\n", current->id, scause, csr_read(sepc));
  return current;
}

static void start_kernel(void) {
  u8 *shared = new_page();
  make_process(&processes[0], 0, shared);
  make_process(&processes[1], 1, shared);
  csr_write(stvec, s_trap);
  current = &processes[0];
  csr_write(satp, current->satp);
  sfence();
  s_return(current);
}

struct frame *trap(struct frame *frame) {
  trap_panic(frame);
}

int main(void) {
  csr_write(medeleg, 1 << CAUSE_ECALL_U | 1 << 12 | 1 << 13 | 1 << CAUSE_STORE_PAGE_FAULT);
  to_supervisor(start_kernel);
}

// ---- what runs in U mode: one page, copied for each process; it calls nothing outside of itself ----
#define USER_CODE __attribute__((section("user_text"), noinline, used))

USER_CODE static u64 call(u64 number, u64 argument) {
  register u64 a0 asm("a0") = argument;
  register u64 a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
  return a0;
}

USER_CODE static u64 work(u64 id, u64 round) {
  volatile u64 *shared = (u64 *)SHARED, *lazy = (u64 *)LAZY;
  shared[id] += round;
  shared[2]++;
  lazy[round] = shared[2];
  return shared[0] * 1000 + shared[1];
}

USER_CODE void user_main(u64 id) {
  for (u64 round = 1; round <= 3; round++) {
    call(CALL_SAY, work(id, round));
    call(CALL_YIELD, 0);
  }
  call(CALL_EXIT, 0);
}
