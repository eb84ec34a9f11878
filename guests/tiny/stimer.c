// timer interrupts for S mode: by stimecmp (Sstc), and by the CLINT and M mode's hand
#include "supervisor.h"

#define TICKS 12
#define STCE (1UL << 63)
#define MIP_STIP (1UL << 5)
#define FLAG 0x40000000UL  // what U mode looks at
#define CODE 0x40001000UL
#define NEVER (~0UL)

enum { SET_TIMER, CLINT_FROM_NOW_ON };  // what S mode asks M mode for

static u8 pages[2][4096] __attribute__((aligned(4096)));
static volatile u64 ticks, from_user, by_clint, machine_traps;

// where M mode returns to U mode from: lib's next trap takes its stack there, not S mode's
static struct {
  u8 stack[1024];
  struct frame frame;
} machine __attribute__((aligned(16)));

struct frame *trap(struct frame *frame) {
  machine_traps = machine_traps + 1;
  u64 why = csr_read(mcause);
  if (why == CAUSE_TIMER) {
    // hand it on, as firmware does
    csr_clear(mie, MIE_MTIE);
    csr_set(mip, MIP_STIP);
  } else if (why == CAUSE_ECALL_S) {
    if (frame->x[FRAME_A7] == CLINT_FROM_NOW_ON) csr_clear(menvcfg, STCE);
    timer_set(frame->x[FRAME_A0]);
    csr_clear(mip, MIP_STIP);
    csr_set(mie, MIE_MTIE);
    frame->pc += 4;
  } else {
    trap_panic(frame);
  }
  if (frame->status & MSTATUS_MPP_M) return frame;
  machine.frame = *frame;
  return &machine.frame;
}

static void ask(u64 what, u64 when) {
  register u64 a0 asm("a0") = when, a7 asm("a7") = what;
  asm volatile("ecall" : : "r"(a0), "r"(a7) : "memory");
}

static void set_timer(u64 when) {
  if (by_clint)
    ask(SET_TIMER, when);
  else
    csr_write(0x14d, when);  // stimecmp
}

static u64 s_trap(u64 why, u64 value, u64 epc) {
  EXPECT(why, CAUSE_S_TIMER);
  EXPECT(value, 0);
  if (epc - CODE < PAGE) from_user = from_user + 1;
  ticks = ticks + 1;
  write64((u64)pages[0], ticks);
  EXPECT(csr_read(sip) & MIP_STIP, MIP_STIP);
  set_timer(NEVER);
  EXPECT(csr_read(sip) & MIP_STIP, 0);
  return epc;
}

static void round_of_ticks(void) {
  ticks = from_user = 0;
  for (u64 n = 0; n < TICKS; n++) {
    u64 now = csr_read(time), old = ticks;
    switch (n & 3) {
      case 0:  // asleep
        set_timer(now + 20);
        while (ticks == old) wait_for_interrupt();
        break;
      case 1:  // busy
        set_timer(now + 30);
        while (ticks == old)
          ;
        break;
      case 2:  // in U mode, whatever SIE says
        csr_clear(sstatus, SSTATUS_SIE);
        set_timer(now + 40);
        EXPECT(in_user(CODE, 0, FLAG, ticks), ticks);
        csr_set(sstatus, SSTATUS_SIE);
        break;
      default:  // pending while SIE is off: it wakes from wfi, and is taken when it may be
        csr_clear(sstatus, SSTATUS_SIE);
        set_timer(now + 20);
        while (!(csr_read(sip) & MIP_STIP)) wait_for_interrupt();
        for (int i = 0; i < 100; i++) EXPECT(ticks, old);
        csr_set(sstatus, SSTATUS_SIE);
        EXPECT(ticks, old + 1);
    }
    EXPECT(ticks, old + 1);
    EXPECT(csr_read(time) >= now + 20, 1);
  }
  EXPECT(from_user, TICKS / 4);
}

static void supervisor(void) {
  map(root, FLAG, (u64)pages[0], PTE_R | PTE_U, 0);
  map(root, CODE, (u64)pages[1], PTE_R | PTE_X | PTE_U, 0);
  sfence();
  // until the word at a2 is no longer a3: ld a0, 0(a2); beq a0, a3, -4; ecall
  u32 code[] = {0x00063503, 0xfed50ee3, 0x73};
  memcpy(pages[1], code, sizeof code);
  asm volatile("fence.i" : : : "memory");
  csr_set(sie, MIP_STIP);
  csr_set(sstatus, SSTATUS_SIE);
  round_of_ticks();
  EXPECT(machine_traps, 0);
  by_clint = 1;
  ask(CLINT_FROM_NOW_ON, NEVER);
  round_of_ticks();
  EXPECT(machine_traps, 1 + 3 * TICKS);
  printf("%lu ticks, %lu traps of M mode\n", s_traps - 2 * (TICKS / 4), machine_traps);
  finish(0);
}

int main(void) {
  csr_write(0x14d, NEVER);
  timer_off();
  csr_set(menvcfg, STCE);
  start_supervisor(supervisor);
}
