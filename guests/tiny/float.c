// floating point: all that arithmetic may raise, in all rounding modes; FS Off, and what it becomes
#include "float.h"
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  frame->pc += length_at(frame->pc);
  return frame;
}

static const double values[] = {0.0, -0.0, 1.0, -3.0, 0x1p-1074, 0x1.8p-1022, 0x1.fffffffffffffp+1023, 1e300, 1.0 / 3,
                                __builtin_inf(), -__builtin_inf(), __builtin_nan(""), __builtin_nans("")};
#define VALUES (sizeof values / sizeof *values)

static u64 hash, raised;

static void note(u64 result) {
  u64 flags;
  asm volatile("fsflags %0, zero" : "=r"(flags));
  hash = hash_mix(hash_mix(hash, result), flags);
  raised |= flags;
}

#define TRY(op, a, b)                                                                                                  \
  do {                                                                                                                 \
    double result;                                                                                                     \
    asm volatile(op " %0, %1, %2" : "=f"(result) : "f"(a), "f"(b));                                                    \
    note(bits(result));                                                                                                \
  } while (0)

int compute(void) {
  for (u64 mode = 0; mode < 5; mode++) {
    asm volatile("fsrm %0" : : "r"(mode));
    for (u64 i = 0; i < VALUES; i++) {
      double a = values[i], root;
      float half = (float)a;
      long whole;
      asm volatile("fsqrt.d %0, %1" : "=f"(root) : "f"(a));
      note(bits(root));
      asm volatile("fcvt.l.d %0, %1" : "=r"(whole) : "f"(a));
      note((u64)whole);
      for (u64 j = 0; j < VALUES; j++) {
        double b = values[j], fused;
        TRY("fadd.d", a, b);
        TRY("fsub.d", a, b);
        TRY("fmul.d", a, b);
        TRY("fdiv.d", a, b);
        TRY("fmin.d", a, b);
        asm volatile("fmadd.d %0, %1, %2, %3" : "=f"(fused) : "f"(a), "f"(b), "f"(root));
        note(bits(fused));
        note(bits((double)(half * (float)b)));
        note(a < b);
      }
    }
  }
  printf("float: %016lx, raised %lx\n", hash, raised);
  u64 before, after;
  asm volatile("csrr %0, mstatus" : "=r"(before));
  csr_clear(mstatus, MSTATUS_FS);
  asm volatile("fmv.d.x ft0, zero" : : : "ft0");
  say_trap("FS Off");
  asm volatile("csrs mstatus, %0; fmv.d.x ft0, zero" : : "r"(MSTATUS_FS_INITIAL) : "ft0");
  asm volatile("csrr %0, mstatus" : "=r"(after));
  printf("FS %lu and SD %lu, then %lu and %lu\n", before >> 13 & 3, before >> 63, after >> 13 & 3, after >> 63);
  return 0;
}
