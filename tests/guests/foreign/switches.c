/* Jump tables, tables of function pointers, pointers in initialised data, recursion, a calculator. */
#include "bare.h"

static int classify(int c) {
  switch (c) {
    case ' ': return 1;
    case '+': return 2;
    case '-': return 3;
    case '*': return 4;
    case '/': return 5;
    case '(': return 6;
    case ')': return 7;
    case '0': return 10;
    case '1': return 11;
    case '2': return 12;
    case '3': return 13;
    case '4': return 14;
    case '5': return 15;
    case '6': return 16;
    case '7': return 17;
    case '8': return 18;
    case '9': return 19;
    case '%': return 20;
    case '&': return 21;
    case '|': return 22;
    case '^': return 23;
    default: return 0;
  }
}
static long add(long a, long b) { return a + b; }
static long sub(long a, long b) { return a - b; }
static long mul(long a, long b) { return a * b; }
static long quotient(long a, long b) { return a / b; }
static long rest(long a, long b) { return a % b; }
static long and(long a, long b) { return a & b; }
static long or(long a, long b) { return a | b; }
static long xor(long a, long b) { return a ^ b; }
static struct op {
  char sign;
  int level;
  long (*run)(long, long);
} ops[] = {{'+', 4, add}, {'-', 4, sub}, {'*', 5, mul}, {'/', 5, quotient}, {'%', 5, rest}, {'&', 3, and}, {'^', 2, xor}, {'|', 1, or}};
static struct op *last_op = &ops[7];
static const char *const lines[] = {"1+2*3", "(1+2)*3", "100/7%5", "1-2-3-4", "255&15|64^3", "((((9))))*9*9*9*9*9*9*9", "12345678901234%1000007", "7*(3-(2+1))"};

static const char *at;
static long expression(int level);
static long primary(void) {
  int k = classify(*at);
  if (k == 6) {
    at++;
    long v = expression(1);
    at++;
    return v;
  }
  long v = 0;
  while ((k = classify(*at)) >= 10 && k < 20) {
    v = v * 10 + k - 10;
    at++;
  }
  return v;
}
static long expression(int level) {
  if (level > 5) return primary();
  long v = expression(level + 1);
  for (;;) {
    struct op *op = ops;
    while (op <= last_op && (op->sign != *at || op->level != level)) op++;
    if (op > last_op) return v;
    at++;
    v = op->run(v, expression(level + 1));
  }
}

int main(void) {
  for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
    at = lines[i];
    print(lines[i]);
    field("", expression(1));
  }
  unsigned long h = 0;
  for (int c = -300; c < 300; c++) h = h * 31 + classify(c);
  field("classes", h);
  return 3;
}
