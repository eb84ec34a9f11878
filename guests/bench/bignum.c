// bench/bignum: numbers of 1024 bits: RSA by Montgomery's multiplication, long division, factorials in decimal
#include "lib.h"

#define WORDS 16

static const volatile u64 rounds = 39;  // how long it runs

typedef unsigned __int128 u128;

// returns the carry
static u64 add(u64 *to, const u64 *a, const u64 *b, u64 n) {
  u64 carry = 0;
  for (u64 i = 0; i < n; i++) {
    u64 sum = a[i] + b[i], more = sum < a[i];
    to[i] = sum + carry;
    carry = more | (to[i] < sum);
  }
  return carry;
}

static u64 subtract(u64 *to, const u64 *a, const u64 *b, u64 n) {
  u64 borrow = 0;
  for (u64 i = 0; i < n; i++) {
    u64 x = a[i], y = b[i], d = x - y;
    to[i] = d - borrow;
    borrow = (x < y) | (d < borrow);
  }
  return borrow;
}

static int compare(const u64 *a, const u64 *b, u64 n) {
  while (n--)
    if (a[n] != b[n])
      return a[n] < b[n] ? -1 : 1;
  return 0;
}

static u64 multiply_add(u64 *to, const u64 *a, u64 factor, u64 n) {
  u64 carry = 0;
  for (u64 i = 0; i < n; i++) {
    u128 wide = (u128)a[i] * factor + to[i] + carry;
    to[i] = wide;
    carry = wide >> 64;
  }
  return carry;
}

// ---- Montgomery: to = a * b / 2^1024 modulo m

static void montgomery(u64 *to, const u64 *a, const u64 *b, const u64 *m, u64 inverse) {
  u64 t[2 * WORDS + 1];
  memset(t, 0, sizeof t);
  for (u64 i = 0; i < WORDS; i++) {
    u64 carry = multiply_add(t + i, b, a[i], WORDS), top = t[i + WORDS] + carry;
    u64 over = top < carry;
    t[i + WORDS] = top;
    carry = multiply_add(t + i, m, t[i] * inverse, WORDS);
    top = t[i + WORDS] + carry;
    over += top < carry;
    t[i + WORDS] = top;
    t[i + WORDS + 1] += over;
  }
  if (t[2 * WORDS] || compare(t + WORDS, m, WORDS) >= 0)
    subtract(t + WORDS, t + WORDS, m, WORDS);
  memcpy(to, t + WORDS, WORDS * 8);
}

// x^e modulo m, an odd number with its top bit set
static void power(u64 *to, const u64 *x, const u64 *e, u64 bits, const u64 *m) {
  u64 inverse = 1, one[WORDS] = {0}, square[WORDS], base[WORDS], result[WORDS];
  for (int i = 0; i < 6; i++)
    inverse *= 2 - m[0] * inverse;
  inverse = -inverse;
  one[0] = 1;
  // 2^1024 modulo m is 2^1024 - m; doubled 1024 times it is 2^2048
  memset(square, 0, sizeof square);
  subtract(square, square, m, WORDS);
  for (u64 i = 0; i < 64 * WORDS; i++)
    if (add(square, square, square, WORDS) || compare(square, m, WORDS) >= 0)
      subtract(square, square, m, WORDS);
  montgomery(base, x, square, m, inverse);
  montgomery(result, one, square, m, inverse);
  for (u64 i = bits; i--;) {
    montgomery(result, result, result, m, inverse);
    if (e[i / 64] >> i % 64 & 1)
      montgomery(result, result, base, m, inverse);
  }
  montgomery(to, result, one, m, inverse);
}

// 2^1023 + 1155 is prime
static void fermat(u64 seed) {
  u64 p[WORDS] = {1155}, e[WORDS] = {1154}, x[WORDS] = {seed}, r[WORDS];
  p[WORDS - 1] = e[WORDS - 1] = 1UL << 63;
  power(r, x, e, 64 * WORDS, p);
  u64 rest = r[0] ^ 1;
  for (u64 i = 1; i < WORDS; i++)
    rest |= r[i];
  if (rest)
    panic("fermat: %lu", seed);
}

// ---- factorials, and their digits by long division

static u64 number[320];

static u64 factorial_digits(u64 n, u64 *sum) {
  u64 size = 1, digits = 0;
  number[0] = 1;
  for (u64 i = 2; i <= n; i++) {
    u64 carry = 0;
    for (u64 w = 0; w < size; w++) {
      u128 wide = (u128)number[w] * i + carry;
      number[w] = wide;
      carry = wide >> 64;
    }
    if (carry)
      number[size++] = carry;
  }
  // by 10^9 in halves of words, as 64-bit division allows
  while (size) {
    u64 rest = 0;
    for (u64 w = size; w--;) {
      u64 high = rest << 32 | number[w] >> 32, q = high / 1000000000;
      u64 low = (high % 1000000000) << 32 | (number[w] & 0xffffffff);
      number[w] = q << 32 | low / 1000000000;
      rest = low % 1000000000;
    }
    if (!number[size - 1])
      size--;
    for (u64 i = 0; i < 9 && (size || rest); i++, rest /= 10) {
      *sum += rest % 10;
      digits++;
    }
  }
  return digits;
}

int main(void) {
  u64 state = 1, hash = 0;
  for (u64 round = 0; round < rounds; round++) {
    fermat(2 + round);
    u64 m[WORDS], x[WORDS], e[WORDS];
    for (u64 i = 0; i < WORDS; i++) {
      m[i] = random_next(&state);
      x[i] = random_next(&state);
      e[i] = random_next(&state);
    }
    m[0] |= 1;
    m[WORDS - 1] |= 1UL << 63;
    x[WORDS - 1] &= ~0UL >> 2;
    // (x^a)^b = (x^b)^a
    u64 a = 65537, b = random_next(&state), one[WORDS], two[WORDS], three[WORDS];
    power(one, x, &a, 17, m);
    power(two, one, &b, 64, m);
    power(one, x, &b, 64, m);
    power(three, one, &a, 17, m);
    if (compare(two, three, WORDS))
      panic("powers differ");
    power(one, x, e, 64 * WORDS, m);
    for (u64 i = 0; i < WORDS; i++)
      hash = hash_mix(hash, one[i] ^ two[i]);
    u64 sum = 0, digits = factorial_digits(1000, &sum);
    if (digits != 2568 || sum != 10539)
      panic("1000! has %lu digits, their sum is %lu", digits, sum);
    digits = factorial_digits(1500 + round, &sum);
    hash = hash_mix(hash, digits << 32 | sum);
  }
  printf("bignum: %016lx\n", hash);
  return 0;
}
