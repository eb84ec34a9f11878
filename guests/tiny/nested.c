// traps in handlers of traps: page faults and an interrupt in S mode's, a call to M mode, another trap in M mode's
#include "supervisor.h"

#define AT 0x40000000UL
#define CODE 0x40010000UL
#define DEEP 6
#define ROUNDS 60
#define SSIP 2UL

static u8 pages[DEEP][4096] __attribute__((aligned(4096)));
static u64 depth, deepest, interrupts, machine_calls, machine_depth, order;

static void note(u64 what) { order = hash_mix(order, what); }

struct frame *trap(struct frame *frame) {
  u64 why = csr_read(mcause), from = frame->status >> 11 & 3;
  note(why << 8 | from);
  if (why == CAUSE_ECALL_S) {
    EXPECT(from, 1);
    machine_calls++;
    machine_depth = 1;
    asm volatile(".4byte 0xffffffff");  // a trap of M mode in M mode
    EXPECT(machine_depth, 2);
    // what it has overwritten is in its frame, and in this one
    EXPECT(csr_read(mcause), CAUSE_ILLEGAL);
    EXPECT(frame->status >> 11 & 3, 1);
  } else if (why == CAUSE_ILLEGAL) {
    EXPECT(from, 3);
    machine_depth++;
  } else {
    trap_panic(frame);
  }
  frame->pc += 4;
  return frame;
}

static u64 s_trap(u64 why, u64 value, u64 epc) {
  note(why);
  if (why == CAUSE_S_SOFTWARE) {
    EXPECT(depth, DEEP);
    csr_clear(sip, SSIP);
    interrupts++;
    return epc;
  }
  EXPECT(why, CAUSE_LOAD_PAGE_FAULT);
  EXPECT(value, AT + depth * PAGE + 8 * depth);
  // in a handler it comes from S mode, and interrupts are off
  EXPECT(csr_read(sstatus) & (SSTATUS_SPP | SSTATUS_SIE), depth ? SSTATUS_SPP : 0);
  u64 mine = depth++;
  if (depth > deepest) deepest = depth;
  if (depth < DEEP) {
    EXPECT(read64(AT + depth * PAGE + 8 * depth), 500 + depth);
  } else {
    csr_set(sip, SSIP);
    EXPECT(interrupts + 1, machine_calls + 1);  // not yet
    csr_set(sstatus, SSTATUS_SIE);
    csr_clear(sstatus, SSTATUS_SIE);
    asm volatile(".option push\n.option norvc\necall\n.option pop" : : : "memory");
    EXPECT(interrupts, machine_calls);
  }
  // the deeper ones have left what belongs to them
  depth = mine;
  *pte_of(root, AT + mine * PAGE, 0) |= PTE_V;
  sfence();
  return epc;
}

static void supervisor(void) {
  csr_set(sie, SSIP);
  // U mode reads the first page: ld a0, 0(a2); ecall
  static u32 code[1024] __attribute__((aligned(4096))) = {0x00063503, 0x73};
  map(root, CODE, (u64)code, PTE_X | PTE_U, 0);
  for (u64 n = 0; n < DEEP; n++) map(root, AT + n * PAGE, (u64)pages[n], PTE_R | (n ? 0 : PTE_U), 0);
  for (u64 round = 0; round < ROUNDS; round++) {
    for (u64 n = 0; n < DEEP; n++) {
      write64((u64)pages[n] + 8 * n, 500 + n);
      *pte_of(root, AT + n * PAGE, 0) &= ~PTE_V;
    }
    sfence();
    EXPECT(in_user(CODE, 0, AT, 0), 500);
    EXPECT(depth, 0);
    EXPECT(deepest, DEEP);
    EXPECT(s_traps, (round + 1) * (DEEP + 2));
    EXPECT(interrupts, round + 1);
  }
  printf("%lu traps of S mode, %lu calls to M mode, %lx\n", s_traps, machine_calls, order);
  finish(0);
}

int main(void) { start_supervisor(supervisor); }
