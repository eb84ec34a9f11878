// interp: an assembler and interpreter for a small stack machine, running recursion, a prime search and a bubble sort
#include "lib.h"

#define HEAP 4096
#define CODE 256
#define LABELS 32

enum op { PUSH, LOAD, STORE, JUMP, JUMPZ, CALL, GET, SET, ADD, SUB, MUL, MOD, XOR, LESS, RETURN, HALT, OPS };
#define HAS_OPERAND(op) ((op) <= CALL)

static const char *const mnemonics[OPS] = {
    "push",    // N: push N
    "load",    // N: push local N
    "store",   // N: pop into local N
    "jump",    // LABEL
    "jumpz",   // LABEL: pop, jump if it is zero
    "call",    // LABEL: pop into local 0 of the function
    "get",     // pop an address, push what the heap has there
    "set",     // pop a value, pop an address, store
    "add", "sub", "mul", "mod", "xor",  // pop b, pop a, push the result
    "less",    // pop b, pop a, push a < b
    "return",  // leave the function; its result is on the stack
    "halt",    // the program's result is on the stack
};

// ---- assembler

static i64 code[CODE];
static struct {
  char name[12];
  u64 at;
} labels[LABELS];
static u64 label_count;

static int next_word(const char **source, char *word) {
  int n = 0;
  while (**source == ' ')
    ++*source;
  while (**source && **source != ' ')
    word[n++] = *(*source)++;
  word[n] = 0;
  return n;
}

static i64 operand(const char *word) {
  for (u64 i = 0; i < label_count; i++)
    if (!strcmp(labels[i].name, word))
      return labels[i].at;
  i64 value = 0;
  while (*word >= '0' && *word <= '9')
    value = 10 * value + *word++ - '0';
  return value;
}

static int find_op(const char *word) {
  for (int op = 0; op < OPS; op++)
    if (!strcmp(mnemonics[op], word))
      return op;
  panic("no instruction is called %s", word);
}

// the first pass finds the labels, the second one the operands
static void assemble(const char *source) {
  char word[16];
  label_count = 0;
  for (int pass = 0; pass < 2; pass++) {
    const char *at = source;
    u64 n = 0;
    for (int size; (size = next_word(&at, word));) {
      if (word[size - 1] == ':') {
        word[size - 1] = 0;
        if (pass == 0) {
          memcpy(labels[label_count].name, word, size);
          labels[label_count++].at = n;
        }
        continue;
      }
      int op = find_op(word);
      code[n++] = op;
      if (HAS_OPERAND(op)) {
        next_word(&at, word);
        code[n++] = operand(word);
      }
    }
  }
}

// ---- interpreter

static i64 heap[HEAP];
static u64 executed;

static i64 run(void) {
  static i64 stack[1024];
  static struct {
    const i64 *pc;
    i64 locals[4];
  } calls[256];
  i64 *sp = stack, *locals = calls[0].locals;
  u64 depth = 0, count = 0;
  const i64 *pc = code;
  for (;;) {
    count++;
    switch ((enum op)*pc++) {
    case PUSH:
      *sp++ = *pc++;
      break;
    case LOAD:
      *sp++ = locals[*pc++];
      break;
    case STORE:
      locals[*pc++] = *--sp;
      break;
    case JUMP:
      pc = code + *pc;
      break;
    case JUMPZ:
      pc = *--sp ? pc + 1 : code + *pc;
      break;
    case CALL:
      calls[depth].pc = pc + 1;
      locals = calls[++depth].locals;
      locals[0] = *--sp;
      pc = code + *pc;
      break;
    case GET:
      sp[-1] = heap[sp[-1] % HEAP];
      break;
    case SET:
      sp -= 2;
      heap[sp[0] % HEAP] = sp[1];
      break;
    case ADD:
      sp--;
      sp[-1] += sp[0];
      break;
    case SUB:
      sp--;
      sp[-1] -= sp[0];
      break;
    case MUL:
      sp--;
      sp[-1] *= sp[0];
      break;
    case MOD:
      sp--;
      sp[-1] %= sp[0];
      break;
    case XOR:
      sp--;
      sp[-1] ^= sp[0];
      break;
    case LESS:
      sp--;
      sp[-1] = sp[-1] < sp[0];
      break;
    case RETURN:
      pc = calls[--depth].pc;
      locals = calls[depth].locals;
      break;
    case HALT:
      executed += count;
      return sp[-1];
    case OPS:
      panic("no such instruction");
    }
  }
}

// ---- programs

static const char fibonacci[] =
    "push 30 call fib halt "
    "fib: load 0 push 2 less jumpz big load 0 return "
    "big: load 0 push 1 sub call fib store 1 "
    "load 0 push 2 sub call fib load 1 add return ";

// local 0: the number, 1: a divisor, 2: primes found
static const char primes[] =
    "push 2 store 0 push 0 store 2 "
    "number: push 2 store 1 "
    "divisor: load 0 load 1 load 1 mul less jumpz try "
    "load 2 push 1 add store 2 jump next "
    "try: load 0 load 1 mod jumpz next load 1 push 1 add store 1 jump divisor "
    "next: load 0 push 1 add store 0 load 0 push 60000 less jumpz end jump number "
    "end: load 2 halt ";

// fills the heap with numbers that look random, sorts it, and folds it. Local 0: i, 1: j, 2: a number
static const char bubbles[] =
    "push 1 store 2 push 0 store 0 "
    "fill: load 2 push 1103515245 mul push 12345 add push 2147483648 mod store 2 "
    "load 0 load 2 set load 0 push 1 add store 0 load 0 push 1400 less jumpz sort jump fill "
    "sort: push 1400 store 0 "
    "outer: push 1 store 1 "
    "inner: load 1 get load 1 push 1 sub get less jumpz ordered "
    "load 1 get store 2 load 1 load 1 push 1 sub get set load 1 push 1 sub load 2 set "
    "ordered: load 1 push 1 add store 1 load 1 load 0 less jumpz shrink jump inner "
    "shrink: load 0 push 1 sub store 0 push 1 load 0 less jumpz fold jump outer "
    "fold: push 0 store 2 push 0 store 0 "
    "each: load 2 push 31 mul load 0 get xor store 2 load 0 push 1 add store 0 load 0 push 1400 less jumpz end jump each "
    "end: load 2 halt ";

int main(void) {
  assemble(fibonacci);
  printf("interp: fib(30) = %ld\n", run());
  assemble(primes);
  printf("interp: %ld primes below 60000\n", run());
  assemble(bubbles);
  printf("interp: sorted numbers fold to %016lx\n", run());
  printf("interp: %lu instructions\n", executed);
  return 0;
}
