// bench/syscalls: two programs in U mode that talk through a kernel: a system call or a switch every few hundred steps
#include "lib.h"

#define PIPE 512

static const volatile u64 rounds = 310000;  // how long it runs

enum { SYS_EXIT = 1, SYS_READ, SYS_WRITE, SYS_YIELD, SYS_TICKS };

static u64 syscall(u64 number, u64 a, u64 b, u64 c) {
  register u64 a0 asm("a0") = a;
  register u64 a1 asm("a1") = b;
  register u64 a2 asm("a2") = c;
  register u64 a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

// ---- the programs: one sends numbered messages, the other one checks them and answers with their sums

struct message {
  u64 number, size, words[14];
};

static void send(u64 pipe, const void *data, u64 size) {
  const u8 *from = data;
  while (size) {
    u64 done = syscall(SYS_WRITE, pipe, (u64)from, size);
    from += done;
    size -= done;
  }
}

static void receive(u64 pipe, void *data, u64 size) {
  u8 *to = data;
  while (size) {
    u64 done = syscall(SYS_READ, pipe, (u64)to, size);
    to += done;
    size -= done;
  }
}

static u64 sum(const struct message *m) {
  u64 hash = m->number;
  for (u64 i = 0; i < m->size; i++)
    hash = hash_mix(hash, m->words[i]);
  return hash;
}

static void client(void) {
  struct message m;
  u64 state = 1, hash = 0;
  for (u64 n = 0; n < rounds; n++) {
    m.number = n;
    m.size = 1 + n % 14;
    for (u64 i = 0; i < m.size; i++)
      m.words[i] = random_next(&state);
    send(0, &m, 16 + 8 * m.size);
    u64 answer;
    receive(1, &answer, 8);
    if (answer != sum(&m))
      syscall(SYS_EXIT, 1, n, answer);
    hash = hash_mix(hash, answer);
    if (n % 64 == 0)
      hash = hash_mix(hash, syscall(SYS_TICKS, 0, 0, 0));
  }
  syscall(SYS_EXIT, 0, hash, 0);
}

static void server(void) {
  struct message m;
  for (u64 n = 0;; n++) {
    receive(0, &m, 16);
    receive(0, m.words, 8 * m.size);
    if (m.number != n)
      syscall(SYS_EXIT, 2, n, m.number);
    u64 answer = sum(&m);
    send(1, &answer, 8);
    syscall(SYS_YIELD, 0, 0, 0);
  }
}

// ---- the kernel

static u8 stacks[2][4096] __attribute__((aligned(4096)));
static struct {
  u8 kernel_stack[1024];
  struct frame frame;  // the top of the kernel stack
  u64 unused[2];
} tasks[2] __attribute__((aligned(16)));
static u64 current, calls, switches;
static struct {
  u8 bytes[PIPE];
  u64 in, out;
} pipes[2];

static u64 pipe_write(u64 pipe, const u8 *from, u64 size) {
  u64 done = 0;
  for (; done < size && pipes[pipe].in - pipes[pipe].out < PIPE; done++)
    pipes[pipe].bytes[pipes[pipe].in++ % PIPE] = from[done];
  return done;
}

static u64 pipe_read(u64 pipe, u8 *to, u64 size) {
  u64 done = 0;
  for (; done < size && pipes[pipe].in != pipes[pipe].out; done++)
    to[done] = pipes[pipe].bytes[pipes[pipe].out++ % PIPE];
  return done;
}

// a call that got nowhere lets the other one run; the caller tries again
static struct frame *other(void) {
  switches++;
  current ^= 1;
  return &tasks[current].frame;
}

struct frame *trap(struct frame *frame) {
  u64 *a = &frame->x[FRAME_A0], number = frame->x[FRAME_A7];
  if (csr_read(mcause) != CAUSE_ECALL_U)
    trap_panic(frame);
  calls++;
  frame->pc += 4;
  if ((number == SYS_READ || number == SYS_WRITE) && a[0] > 1)
    panic("there is no pipe %lu", a[0]);
  switch (number) {
  case SYS_READ: a[0] = pipe_read(a[0], (u8 *)a[1], a[2]); return a[0] ? frame : other();
  case SYS_WRITE: a[0] = pipe_write(a[0], (const u8 *)a[1], a[2]); return a[0] ? frame : other();
  case SYS_YIELD: return other();
  case SYS_TICKS: a[0] = calls; return frame;
  case SYS_EXIT:
    if (a[0])
      panic("task %lu: %lu, %lx", current, a[1], a[2]);
    printf("syscalls: %lu calls, %lu switches, %016lx\n", calls, switches, a[1]);
    power_off(0);
  default: panic("system call %lu", number);
  }
}

int main(void) {
  // U mode may use all of the memory
  csr_write(pmpaddr0, ~0UL >> 10);
  csr_write(pmpcfg0, PMP_NAPOT | PMP_R | PMP_W | PMP_X);
  frame_init(&tasks[0].frame, client, stacks[0] + 4096, 0);
  frame_init(&tasks[1].frame, server, stacks[1] + 4096, 0);
  resume(&tasks[0].frame);
}
