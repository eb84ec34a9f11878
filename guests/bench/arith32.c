// bench/arith32: 32-bit arithmetic as firmware has it: filters in fixed point, division, decimal numbers, dates, Collatz
#include "lib.h"

static const volatile u64 rounds = 160;  // how long it runs

typedef int i32;
typedef short i16;

// ---- fixed point, 16 bits of fraction

static i32 multiply(i32 a, i32 b) { return (i64)a * b >> 16; }
static i32 divide(i32 a, i32 b) { return (i32)(((i64)a << 16) / b); }

static i32 root(i32 a) {
  i32 x = a > 65536 ? a : 65536;
  for (int i = 0; i < 20; i++) {
    i32 next = (x + divide(a, x)) / 2;
    if (next >= x)
      break;
    x = next;
  }
  return x;
}

static i32 cosine(i32 a) {
  i32 square = multiply(a, a), term = 65536, sum = term;
  for (i32 n = 2; n < 12; n += 2) {
    term = -multiply(term, square) / (n * (n - 1));
    sum += term;
  }
  return sum;
}

// ---- filters

#define TAPS 32
static i16 taps[TAPS], samples[1024 + TAPS];

static i32 fir(const i16 *s) {
  i32 sum = 0;
  for (int i = 0; i < TAPS; i++)
    sum += (i32)taps[i] * s[i];
  return sum >> 15;
}

struct controller {
  i32 integral, last, output;
};

static i32 control(struct controller *c, i32 wanted, i32 is) {
  i32 error = wanted - is;
  c->integral += error / 4;
  if (c->integral > 1 << 20)
    c->integral = 1 << 20;
  if (c->integral < -(1 << 20))
    c->integral = -(1 << 20);
  i32 derivative = error - c->last;
  c->last = error;
  c->output = (error * 3 + c->integral / 8 + derivative * 2) >> 3;
  return c->output;
}

// ---- numbers

static u32 gcd(u32 a, u32 b) {
  while (b) {
    u32 t = a % b;
    a = b;
    b = t;
  }
  return a;
}

static u32 power(u32 x, u32 e, u32 m) {
  u32 result = 1;
  for (; e; e >>= 1, x = (u64)x * x % m)
    if (e & 1)
      result = (u64)result * x % m;
  return result;
}

static u32 collatz(u32 n) {
  u32 steps = 0;
  for (; n != 1; steps++)
    n = n & 1 ? 3 * n + 1 : n >> 1;
  return steps;
}

static u32 decimal(char *to, i32 value) {
  char digits[12];
  u32 n = 0, size = 0, rest = value < 0 ? -(u32)value : (u32)value;
  do
    digits[n++] = '0' + rest % 10;
  while (rest /= 10);
  if (value < 0)
    to[size++] = '-';
  while (n)
    to[size++] = digits[--n];
  to[size] = 0;
  return size;
}

static i32 parse(const char *s) {
  i32 value = 0, sign = 1;
  if (*s == '-')
    sign = -1, s++;
  for (; *s; s++)
    value = value * 10 + (*s - '0');
  return sign * value;
}

// days since 1 March 0000 and back, by the Gregorian calendar
static i32 days(i32 y, i32 m, i32 d) {
  y -= m <= 2;
  i32 era = (y >= 0 ? y : y - 399) / 400, in_era = y - era * 400;
  i32 in_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year;
}

static void date(i32 n, i32 *y, i32 *m, i32 *d) {
  i32 era = (n >= 0 ? n : n - 146096) / 146097, rest = n - era * 146097;
  i32 in_era = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
  i32 in_year = rest - (365 * in_era + in_era / 4 - in_era / 100), month = (5 * in_year + 2) / 153;
  *d = in_year - (153 * month + 2) / 5 + 1;
  *m = month < 10 ? month + 3 : month - 9;
  *y = in_era + era * 400 + (*m <= 2);
}

// unsigned and signed, with a variable shift
static u32 mix(u32 a, u32 b) { return (a << (b & 31) | a >> (-b & 31)) + (u32)((i32)b >> (a & 7)) * 0x9e3779b1U; }

int main(void) {
  u64 state = 1, hash = 0;
  for (u32 i = 0; i < TAPS; i++)
    taps[i] = random_next(&state) >> 49;
  for (u32 round = 0; round < rounds; round++) {
    u32 seed = 12345 + round, sum = 0;
    for (u32 i = 0; i < 1024 + TAPS; i++) {
      seed = seed * 1103515245 + 12345;
      samples[i] = (i32)seed >> 17;
    }
    struct controller c = {0, 0, 0};
    i32 is = 0;
    for (u32 i = 0; i < 1024; i++) {
      i32 out = fir(samples + i);
      is += control(&c, out, is) / 16;
      sum = mix(sum, out ^ is);
    }
    for (i32 i = 1; i < 400; i++) {
      i32 a = i * 3277, r = root(a), square = multiply(r, r);
      if (square > a + 600 || square < a - 600)
        panic("root of %d: %d", a, r);
      sum = mix(sum, r + cosine(a & 0x1ffff));
    }
    for (u32 i = 0; i < 2000; i++) {
      seed = seed * 1664525 + 1013904223;
      u32 g = gcd(seed, sum | 1);
      if ((sum | 1) % g)
        panic("gcd %u", g);
      sum = mix(sum, seed / (g + 6) + g);
    }
    for (u32 i = 0; i < 200; i++) {
      if (power(i + 2, 1000003 - 1, 1000003) != 1)
        panic("1000003 is prime");
      sum = mix(sum, power(seed + i, 65537, 0x7fffffff));
    }
    for (u32 n = 1; n < 12000; n++)
      sum += collatz(n + round);
    for (i32 i = 0; i < 3000; i++) {
      char text[16];
      i32 value = (i32)(seed * i) >> (i & 15);
      sum = mix(sum, decimal(text, value));
      if (parse(text) != value)
        panic("%d is not %s", value, text);
    }
    for (i32 n = -100000; n < 900000; n += 397) {
      i32 y, m, d;
      date(n, &y, &m, &d);
      if (days(y, m, d) != n)
        panic("day %d is %d-%d-%d", n, y, m, d);
      sum = mix(sum, y * 10000 + m * 100 + d);
    }
    hash = hash_mix(hash, sum);
  }
  printf("arith32: %016lx\n", hash);
  return 0;
}
