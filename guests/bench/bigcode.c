// bench/bigcode: 1,024 different functions, called in no order: a working set that moves, then all of them at random
//
// Large programs spread their time: none of these functions is hot for long, and together they outgrow caches.
#include "lib.h"

#define FUNCTIONS 1024
#define WORKING_SET 96

static const volatile u64 rounds = 12;  // how long it runs

typedef u64 function(u64 a, u64 b);
static function *const functions[FUNCTIONS];
static u64 table[256];

// Four shapes of functions; n is different in each, and decides constants, branches and lengths.

#define HASHING(n)                                        \
  static __attribute__((noinline)) u64 f##n(u64 a, u64 b) { \
    a ^= b >> ((0x##n & 31) + 1);                         \
    if (a & (1UL << (0x##n % 61)))                        \
      a = a * (0x##n * 2654435761UL + 1) + b;             \
    else                                                  \
      b = (b ^ 0x##n) * 31 + (a >> 7);                    \
    if ((i64)(a - b) > 0x##n)                             \
      b += a << (0x##n % 13);                             \
    a ^= table[(a + 0x##n) & 255];                        \
    return a + b * (0x##n | 1);                           \
  }

#define LOOPING(n)                                                \
  static __attribute__((noinline)) u64 f##n(u64 a, u64 b) {         \
    for (u64 i = 0; i < 2 + 0x##n % 5; i++) {                     \
      u64 x = table[(b + i * (0x##n % 17 + 1)) & 255];            \
      a = x & 1 ? a + (x ^ 0x##n) : (a ^ x) - 0x##n;              \
      b = b >> 3 | a << 61;                                       \
    }                                                             \
    table[(a ^ 0x##n) & 255] += b | 1;                            \
    return a ^ b;                                                 \
  }

#define CHOOSING(n)                                       \
  static __attribute__((noinline)) u64 f##n(u64 a, u64 b) { \
    switch ((a >> 5 ^ 0x##n) & 7) {                       \
    case 0: return b - (a ^ 0x##n);                       \
    case 1: a += 0x##n * b; break;                        \
    case 2: a = (u32)a * (u64)(0x##n + 3) ^ b; break;     \
    case 3: if (b & 4) a -= b << 2; else b ^= a; break;   \
    case 4: a ^= table[b & 255] >> (0x##n % 7); break;    \
    case 5: table[a & 255] ^= b + 0x##n; break;           \
    case 6: a = a < b ? b : a - 0x##n; break;             \
    default: b = (b << 9) - a;                            \
    }                                                     \
    return a * 5 + (b ^ 0x##n);                           \
  }

#define CALLING(n)                                                              \
  static __attribute__((noinline)) u64 f##n(u64 a, u64 b) {                       \
    u64 c = functions[(0x##n * 5 & 0x3ff) & ~3UL](a ^ 0x##n, b);                \
    if (c & 0x100)                                                              \
      c += functions[((0x##n >> 2) * 3 & 0x3ff & ~3UL) + 1](b, c + 0x##n % 11); \
    return c ^ (a + b) >> 1;                                                    \
  }

#define NAME(n) f##n,
#define FOUR(n) HASHING(n##0) LOOPING(n##1) CHOOSING(n##2) CALLING(n##3)
#define NAMES(n) NAME(n##0) NAME(n##1) NAME(n##2) NAME(n##3)
#define EACH4(with, n) with(n##0) with(n##1) with(n##2) with(n##3)
#define EACH16(with, n) EACH4(with, n##0) EACH4(with, n##1) EACH4(with, n##2) EACH4(with, n##3)
#define EACH64(with, n) EACH16(with, n##0) EACH16(with, n##1) EACH16(with, n##2) EACH16(with, n##3)

EACH64(FOUR, 0) EACH64(FOUR, 1) EACH64(FOUR, 2) EACH64(FOUR, 3)

static function *const functions[FUNCTIONS] = {
    EACH64(NAMES, 0) EACH64(NAMES, 1) EACH64(NAMES, 2) EACH64(NAMES, 3)
};

// calls some of `size` functions from `first` on
static u64 visit(u64 first, u64 size, u64 calls, u64 *state) {
  u64 a = first, b = size;
  while (calls--) {
    u64 r = random_next(state) >> 20;
    u64 next = functions[(first + r % size) % FUNCTIONS](a, r);
    b = a ^ b << 1;
    a = next;
  }
  return a ^ b;
}

int main(void) {
  u64 state = 1, hash = 0;
  for (u64 i = 0; i < FUNCTIONS; i++)
    for (u64 j = 0; j < i; j += 97)
      if (functions[i] == functions[j])
        panic("functions %lu and %lu are one", i, j);
  for (u64 round = 0; round < rounds; round++) {
    for (u64 first = 0; first < FUNCTIONS; first += WORKING_SET / 2)
      hash = hash_mix(hash, visit(first, WORKING_SET, 25000, &state));
    hash = hash_mix(hash, visit(0, FUNCTIONS, 550000, &state));
  }
  for (u64 i = 0; i < 256; i++)
    hash = hash_mix(hash, table[i]);
  printf("bigcode: %016lx\n", hash);
  return 0;
}
