// bench/forth: threaded code: each word ends in an indirect jump to the next, as small language runtimes have it
#include "lib.h"

static const volatile u64 rounds = 46;  // how long it runs

// the words, and how many cells follow them
#define WORDS(w)                                                                                              \
  w(literal, 1) w(dup, 0) w(drop, 0) w(swap, 0) w(over, 0) w(rot, 0) w(add, 0) w(sub, 0) w(mul, 0) w(div, 0) w(mod, 0) \
  w(less, 0) w(equal, 0) w(xor, 0) w(fetch, 0) w(store, 0) w(bytefetch, 0) w(bytestore, 0) w(branch, 1)       \
  w(zbranch, 1) w(call, 1) w(exit, 0) w(do, 0) w(loop, 1) w(i, 0) w(j, 0) w(torr, 0) w(fromr, 0) w(bye, 0)

enum word {
#define ENUM(name, cells) WORD_##name,
  WORDS(ENUM)
};

static const struct {
  const char *name;
  u64 cells;
} words[] = {
#define ENTRY(name, cells) {#name, cells},
    WORDS(ENTRY)
};
#define COUNT (sizeof words / sizeof *words)

static u64 code[512], memory[2048];
static const void *const *handlers;

// runs code, or, without any, says where the words' handlers are
static u64 run(const u64 *ip) {
  static const void *const labels[] = {
#define LABEL(name, cells) &&do_##name,
      WORDS(LABEL)
  };
  u64 stack[64], returns[256], *sp = stack, *rp = returns, top = 0, t;
  if (!ip) {
    handlers = labels;
    return 0;
  }
#define NEXT goto *(void *)*ip++
  NEXT;
do_literal: *sp++ = top, top = *ip++; NEXT;
do_dup: *sp++ = top; NEXT;
do_drop: top = *--sp; NEXT;
do_swap: t = sp[-1], sp[-1] = top, top = t; NEXT;
do_over: *sp++ = top, top = sp[-2]; NEXT;
do_rot: t = sp[-2], sp[-2] = sp[-1], sp[-1] = top, top = t; NEXT;
do_add: top = *--sp + top; NEXT;
do_sub: top = *--sp - top; NEXT;
do_mul: top = *--sp * top; NEXT;
do_div: top = *--sp / top; NEXT;
do_mod: top = *--sp % top; NEXT;
do_less: top = *--sp < top; NEXT;
do_equal: top = *--sp == top; NEXT;
do_xor: top = *--sp ^ top; NEXT;
do_fetch: top = memory[top % 2048]; NEXT;
do_store: memory[top % 2048] = *--sp, top = *--sp; NEXT;
do_bytefetch: top = ((u8 *)memory)[top % sizeof memory]; NEXT;
do_bytestore: ((u8 *)memory)[top % sizeof memory] = *--sp, top = *--sp; NEXT;
do_branch: ip = (const u64 *)*ip; NEXT;
do_zbranch: ip = top ? ip + 1 : (const u64 *)*ip, top = *--sp; NEXT;
do_call: *rp++ = (u64)(ip + 1), ip = (const u64 *)*ip; NEXT;
do_exit: ip = (const u64 *)*--rp; NEXT;
do_do: *rp++ = *--sp, *rp++ = top, top = *--sp; NEXT;  // ( limit first -- )
do_loop:
  if (++rp[-1] < rp[-2])
    ip = (const u64 *)*ip;
  else
    rp -= 2, ip++;
  NEXT;
do_i: *sp++ = top, top = rp[-1]; NEXT;
do_j: *sp++ = top, top = rp[-3]; NEXT;
do_torr: *rp++ = top, top = *--sp; NEXT;
do_fromr: *sp++ = top, top = *--rp; NEXT;
do_bye: return top;
}

// ---- text to code: words, numbers, labels `name:`, and labels after words that need one

static u64 compile(const char *text) {
  static struct {
    char name[16];
    u64 at;
  } labels[32];
  u64 count = 0, n = 0;
  for (int pass = 0; pass < 2; pass++) {
    u64 needs = 0;
    n = 0;
    for (const char *at = text; *at;) {
      char name[16];
      u64 size = 0;
      while (*at > ' ')
        name[size++] = *at++;
      while (*at && *at <= ' ')
        at++;
      name[size] = 0;
      if (name[size - 1] == ':') {
        name[size - 1] = 0;
        if (!pass) {
          memcpy(labels[count].name, name, size);
          labels[count++].at = n;
        }
        continue;
      }
      if (name[0] >= '0' && name[0] <= '9') {
        u64 value = 0;
        for (char *c = name; *c; c++)
          value = 10 * value + *c - '0';
        code[n++] = (u64)handlers[WORD_literal];
        code[n++] = value;
        continue;
      }
      u64 word = 0;
      while (!needs && word < COUNT && strcmp(words[word].name, name))
        word++;
      if (!needs && word < COUNT) {
        code[n++] = (u64)handlers[word];
        needs = words[word].cells;
        continue;
      }
      // what is no word is a label: of the branch before, or called
      if (!needs)
        code[n++] = (u64)handlers[WORD_call];
      needs = 0;
      u64 label = 0;
      while (label < count && strcmp(labels[label].name, name))
        label++;
      if (label == count && pass)
        panic("forth: %s?", name);
      code[n++] = label < count ? (u64)(code + labels[label].at) : 0;
    }
  }
  return n;
}

static const char program[] =
    "main: 24 fibonacci sieve matrix 2000 collatz combine bye "
    // recursion
    "fibonacci: dup 2 less zbranch more exit more: dup 1 sub fibonacci swap 2 sub fibonacci add exit "
    // primes below 16384, in bytes
    "sieve: 16384 0 do fill: 1 i bytestore loop fill "
    "128 2 do number: i bytefetch zbranch next i i mul "
    "cross: dup 16384 less zbranch done dup 0 swap bytestore i add branch cross done: drop next: loop number "
    "0 16384 2 do count: i bytefetch add loop count exit "
    // the sum of all elements of a product of matrices, 20 by 20
    "matrix: 800 0 do init: i i mul 1000 mod i store loop init "
    "0 row: dup 20 less zbranch last 20 0 do column: "
    "0 20 0 do product: over 20 mul i add fetch i 20 mul j add 400 add fetch mul add loop product "
    "over 20 mul i add 800 add store loop column 1 add branch row "
    "last: drop 0 1200 800 do sum: i fetch add loop sum exit "
    // how many steps all numbers below one take to get to 1
    "collatz: 0 swap 1 do start: i "
    "step: dup 1 equal zbranch larger drop branch ended "
    "larger: swap 1 add swap dup 2 mod zbranch even 3 mul 1 add branch step even: 2 div branch step "
    "ended: loop start exit "
    // a b c d -> ((b * 3 + c) ^ a) + d
    "combine: torr rot torr swap 3 mul add fromr xor fromr add exit ";

// what the program gives: Fibonacci's number 24 is 46368, and 1900 primes are below 16384
static u64 expected(void) {
  u64 a[800], matrix = 0, collatz = 0;
  for (u64 i = 0; i < 800; i++)
    a[i] = i * i % 1000;
  for (u64 row = 0; row < 20; row++)
    for (u64 column = 0; column < 20; column++)
      for (u64 k = 0; k < 20; k++)
        matrix += a[row * 20 + k] * a[400 + k * 20 + column];
  for (u64 i = 1; i < 2000; i++)
    for (u64 n = i; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
      collatz++;
  return ((1900 * 3 + matrix) ^ 46368) + collatz;
}

int main(void) {
  u64 hash = 0, right = expected(), size;
  run(0);
  size = compile(program);
  for (u64 round = 0; round < rounds; round++) {
    u64 result = run(code);
    if (result != right)
      panic("forth: %lx, not %lx", result, right);
    for (u64 i = 0; i < 2048; i++)
      hash = hash_mix(hash, memory[i]);
    hash = hash_mix(hash, result);
  }
  printf("forth: %lu cells, %016lx\n", size, hash);
  return 0;
}
