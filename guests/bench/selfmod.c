// bench/selfmod: code that makes code: queries are compiled and run, and switches in running code are patched
//
// Each query is compiled to instructions, run over all rows, and overwritten by a later one. Trace points are jumps or
// no operations, as a kernel patches them.
#include "lib.h"

#define ROWS 4096
#define BUFFER 16384  // instructions; queries go round in it

static const volatile u64 rounds = 2150;  // how long it runs

static u32 buffer[BUFFER], *emit_at = buffer;
static i64 rows[ROWS][4];

// ---- encodings; registers by number

static void emit(u32 insn) { *emit_at++ = insn; }
static u32 r(u32 funct7, u32 funct3, u32 rd, u32 rs1, u32 rs2) {
  return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33;
}
static u32 i(u32 opcode, u32 funct3, u32 rd, u32 rs1, i64 immediate) {
  return (u32)immediate << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
static u32 b(u32 funct3, u32 rs1, u32 rs2, i64 offset) {
  return (offset >> 12 & 1) << 31 | (offset >> 5 & 63) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 |
         (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63;
}
static u32 j(i64 offset) {
  return (u32)(offset >> 20 & 1) << 31 | (offset >> 1 & 1023) << 21 | (offset >> 11 & 1) << 20 |
         (offset >> 12 & 255) << 12 | 0x6f;
}
#define NOP 0x00000013
#define RET 0x00008067
enum { A0 = 10, A1, A2, T0 = 5, T1, T2, T3 = 28 };

static void sync(void) { asm volatile("fence.i" : : : "memory"); }

// ---- queries: a sum over the rows for which a condition holds, of a polish expression over columns

struct query {
  u8 ops[12];        // column 0 to 3, or an operation
  i64 constant;
  u64 column, below;  // the condition
};
enum { ADD = 4, SUB, MUL, XOR, AND, SHIFT, CONSTANT };

static void make(struct query *q, u64 *state) {
  u64 depth = 0, n = 0;
  while (n < sizeof q->ops - 1) {
    u64 x = random_next(state) >> 32;
    u64 left = sizeof q->ops - n;
    if (depth < 2 || (depth < 4 && depth + 1 < left && x & 1)) {
      q->ops[n++] = (x >> 1) % 5 == 4 ? (u8)CONSTANT : (x >> 1) % 5;
      depth++;
    } else {
      q->ops[n++] = ADD + (x >> 8) % 6;
      depth--;
    }
  }
  q->ops[n] = depth == 2 ? ADD : 255;  // 255: nothing to do
  q->constant = (i64)random_next(state) >> 54;
  q->column = random_next(state) >> 62;
  q->below = random_next(state) >> 54;
}

static i64 operate(u8 op, i64 x, i64 y) {
  switch (op) {
  case ADD: return x + y;
  case SUB: return x - y;
  case MUL: return x * y;
  case XOR: return x ^ y;
  case AND: return x & y;
  default: return x << (y & 63);
  }
}

// what the code must give
static i64 interpret(const struct query *q) {
  i64 sum = 0;
  for (u64 row = 0; row < ROWS; row++) {
    i64 stack[5], *sp = stack;
    if (rows[row][q->column] >= (i64)q->below)
      continue;
    for (u64 n = 0; n < sizeof q->ops; n++) {
      u8 op = q->ops[n];
      if (op < 4)
        *sp++ = rows[row][op];
      else if (op == CONSTANT)
        *sp++ = q->constant;
      else if (op != 255)
        sp--, sp[-1] = operate(op, sp[-1], sp[0]);
    }
    sum += stack[0];
  }
  return sum;
}

typedef i64 code(const i64 *from, const i64 *to);

static code *compile(const struct query *q) {
  static const u32 stack[] = {T0, T1, T2, T3, A2};
  static const struct {
    u32 funct7, funct3;
  } codes[] = {{0, 0}, {32, 0}, {1, 0}, {0, 4}, {0, 7}, {0, 1}};
  if (emit_at + 64 > buffer + BUFFER)
    emit_at = buffer;
  u32 *start = emit_at, *loop, *skip;
  u64 depth = 0;
  emit(i(0x13, 0, 17, 0, 0));                         // li a7, 0
  emit(i(0x13, 0, 16, 0, q->below));                  // li a6, below
  loop = emit_at;
  emit(i(0x03, 3, T0, A0, 8 * q->column));            // ld t0, column(a0)
  skip = emit_at;
  emit(0);                                            // bge t0, a6, skip
  for (u64 n = 0; n < sizeof q->ops; n++) {
    u8 op = q->ops[n];
    if (op < 4)
      emit(i(0x03, 3, stack[depth++], A0, 8 * op));
    else if (op == CONSTANT)
      emit(i(0x13, 0, stack[depth++], 0, q->constant));
    else if (op != 255) {
      depth--;
      emit(r(codes[op - ADD].funct7, codes[op - ADD].funct3, stack[depth - 1], stack[depth - 1], stack[depth]));
    }
  }
  emit(r(0, 0, 17, 17, T0));                          // add a7, a7, t0
  *skip = b(5, T0, 16, (emit_at - skip) * 4);
  emit(i(0x13, 0, A0, A0, 32));                       // addi a0, a0, 32
  emit(b(1, A0, A1, (loop - emit_at) * 4));           // bne a0, a1, loop
  emit(i(0x13, 0, A0, 17, 0));                        // mv a0, a7
  emit(RET);
  sync();
  return (code *)start;
}

// ---- switches: a function with four of them, each a no operation or a jump over an addition

static u32 traced[64] __attribute__((aligned(64)));
static u32 *switches[4];

static void build_traced(void) {
  u32 *keep = emit_at;
  emit_at = traced;
  for (u32 n = 0; n < 4; n++) {
    emit(i(0x13, 1, T0, A0, 3 + n));                  // slli t0, a0, 3 + n
    emit(r(0, 4, A0, A0, T0));                        // xor a0, a0, t0
    switches[n] = emit_at;
    emit(NOP);
    emit(i(0x13, 0, A0, A0, 1 << n));                 // addi a0, a0, 1 << n
  }
  emit(i(0x13, 5, T0, A0, 5));                        // srli t0, a0, 5
  emit(r(0, 0, A0, A0, T0));                          // add a0, a0, t0
  emit(RET);
  emit_at = keep;
  sync();
}

static u64 traced_in_c(u64 x, u32 off) {
  for (u32 n = 0; n < 4; n++) {
    x ^= x << (3 + n);
    if (!(off >> n & 1))
      x += 1UL << n;
  }
  return x + (x >> 5);
}

int main(void) {
  u64 state = 1, hash = 0;
  u32 off = 0;
  for (u64 row = 0; row < ROWS; row++)
    for (u64 column = 0; column < 4; column++)
      rows[row][column] = (random_next(&state) >> 54) - (column == 3 ? 300 : 0);
  build_traced();
  u64 (*call)(u64) = (u64(*)(u64))traced;
  for (u64 round = 0; round < rounds; round++) {
    struct query q;
    make(&q, &state);
    code *compiled = compile(&q);
    i64 sum = 0;
    for (u64 n = 0; n < 8; n++)  // as a server runs a prepared query
      sum = compiled(rows[0], rows[ROWS]);
    if ((round & 15) == 0 && sum != interpret(&q))
      panic("query %lu: %lx, not %lx", round, sum, interpret(&q));
    hash = hash_mix(hash, sum);
    u64 x = round, y = round;
    for (u64 n = 0; n < 8; n++) {
      u64 which = random_next(&state) >> 62;
      off ^= 1U << which;
      *switches[which] = off >> which & 1 ? j(8) : NOP;
      sync();
      for (u64 k = 0; k < 800; k++)
        x = call(x);
      if ((round & 15) == 0) {
        for (u64 k = 0; k < 800; k++)
          y = traced_in_c(y, off);
        if (x != y)
          panic("switches %x: %lx, not %lx", off, x, y);
      }
    }
    hash = hash_mix(hash, x);
  }
  printf("selfmod: %016lx\n", hash);
  return 0;
}
