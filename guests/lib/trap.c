// traps that no guest asked for, and frames to start with
#include "lib.h"

static const char *const exceptions[] = {
    "misaligned fetch", "fetch fault",        "illegal instruction", "breakpoint",  "misaligned load", "load fault",
    "misaligned store", "store fault",        "ecall from U mode",   "exception 9", "exception 10",    "ecall from M mode",
};

_Noreturn void trap_panic(struct frame *frame) {
  u64 cause = csr_read(mcause);
  const char *text = "interrupt";
  if (cause < sizeof exceptions / sizeof *exceptions)
    text = exceptions[cause];
  panic("%s at %p: mcause %lx, mtval %lx", text, (void *)frame->pc, cause, csr_read(mtval));
}

__attribute__((weak)) struct frame *trap(struct frame *frame) { trap_panic(frame); }

void frame_init(struct frame *frame, void (*entry)(void), void *stack_top, u64 status) {
  memset(frame, 0, sizeof *frame);
  frame->pc = (u64)entry;
  frame->x[FRAME_SP] = (u64)stack_top;
  asm volatile("mv %0, gp" : "=r"(frame->x[FRAME_GP]));
  frame->status = status | MSTATUS_MPIE;
}
