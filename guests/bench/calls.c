// bench/calls: recursion: Fibonacci, Takeuchi, Ackermann thousands of calls deep, queens, a calculator by recursive descent
#include "lib.h"

static const volatile u64 rounds = 47;  // how long it runs

static u64 fibonacci(u64 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static i64 takeuchi(i64 x, i64 y, i64 z) {
  return y < x ? takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y)) : z;
}

static u64 ackermann(u64 m, u64 n) {
  if (!m)
    return n + 1;
  return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

// mutual recursion that no compiler turns into a loop: the hash needs each caller after its callee
static u64 odd(u64 n, u64 hash);
static u64 even(u64 n, u64 hash) { return n ? hash_mix(odd(n - 1, hash), n) : hash; }
static u64 odd(u64 n, u64 hash) { return n ? hash_mix(even(n - 1, hash), ~n) : ~hash; }

// ---- queens: columns, rising and falling diagonals that are taken

static u8 column[16], rising[32], falling[32];

static u64 queens(u64 row, u64 n) {
  u64 ways = 0;
  if (row == n)
    return 1;
  for (u64 c = 0; c < n; c++) {
    if (column[c] | rising[row + c] | falling[row - c + n])
      continue;
    column[c] = rising[row + c] = falling[row - c + n] = 1;
    ways += queens(row + 1, n);
    column[c] = rising[row + c] = falling[row - c + n] = 0;
  }
  return ways;
}

// ---- a calculator: sum = product {+- product}; product = atom {*% atom}; atom = number | -atom | (sum)

static const char *at;
static u64 variable;

static u64 sum(void);

static u64 atom(void) {
  u64 value = 0;
  if (*at == '-') {
    at++;
    return -atom();
  }
  if (*at == 'x') {
    at++;
    return variable;
  }
  if (*at == '(') {
    at++;
    value = sum();
    if (*at++ != ')')
      panic("calculator: ) is missing");
    return value;
  }
  while (*at >= '0' && *at <= '9')
    value = 10 * value + *at++ - '0';
  return value;
}

static u64 product(void) {
  u64 value = atom();
  for (;;) {
    if (*at == '*')
      at++, value *= atom();
    else if (*at == '%')
      at++, value %= atom();
    else
      return value;
  }
}

static u64 sum(void) {
  u64 value = product();
  for (;;) {
    if (*at == '+')
      at++, value += product();
    else if (*at == '-')
      at++, value -= product();
    else
      return value;
  }
}

static u64 calculate(const char *text, u64 x) {
  at = text;
  variable = x;
  u64 value = sum();
  if (*at)
    panic("calculator: what is %s", at);
  return value;
}

// ---- all of it, on a stack that is large enough

static u8 stack[1 << 20] __attribute__((aligned(16)));

static void on_stack(void (*function)(void), u8 *top) {
  asm volatile("mv s1, sp; mv sp, %0; jalr %1; mv sp, s1"
               :
               : "r"(top), "r"(function)
               : "s1", "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7",
                 "memory");
}

static void expect(const char *what, u64 value, u64 right) {
  if (value != right)
    panic("%s is %lu, not %lu", what, value, right);
}

static void all(void) {
  u64 hash = 0;
  for (u64 round = 0; round < rounds; round++) {
    expect("fibonacci(27)", fibonacci(27), 196418);
    expect("takeuchi(18, 12, 6)", takeuchi(18, 12, 6), 7);
    expect("ackermann(2, 900)", ackermann(2, 900), 1803);
    expect("ackermann(3, 6)", ackermann(3, 6), 509);
    expect("queens of 8", queens(0, 8), 92);
    for (u64 x = 0; x < 3000; x++) {
      u64 y = 3 * (x + 2) * ((x + 1) % 17) - -x;
      expect("the term", calculate("3*(x+2)*((x+1)%17)--x", x), y);
      hash = hash_mix(hash, y);
    }
    for (u64 depth = 1; depth < 8000; depth += 97)
      hash = even(depth, hash);
  }
  printf("calls: %016lx\n", hash);
}

int main(void) {
  on_stack(all, stack + sizeof stack);
  return 0;
}
