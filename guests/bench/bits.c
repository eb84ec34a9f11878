// bench/bits: bit manipulation with Zba, Zbb and Zbs: queens and knights on bitboards, Morton codes, bit sets, rotations
#include "lib.h"

static const volatile u64 rounds = 78;  // how long it runs

typedef unsigned __int128 u128;

static u64 rotate(u64 x, u64 n) { return x << (n & 63) | x >> (-n & 63); }

static u64 queens(u64 all, u64 columns, u64 left, u64 right) {
  if (columns == all)
    return 1;
  u64 ways = 0;
  for (u64 open = all & ~(columns | left | right); open; open &= open - 1) {
    u64 bit = open & -open;
    ways += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return ways;
}

// squares a knight reaches, by flood
#define NOT_A 0xfefefefefefefefeUL
#define NOT_AB 0xfcfcfcfcfcfcfcfcUL
#define NOT_H 0x7f7f7f7f7f7f7f7fUL
#define NOT_GH 0x3f3f3f3f3f3f3f3fUL

static u64 jumps(u64 b) {
  return (b << 17 & NOT_A) | (b << 10 & NOT_AB) | (b >> 6 & NOT_AB) | (b >> 15 & NOT_A) | (b << 15 & NOT_H) |
         (b << 6 & NOT_GH) | (b >> 10 & NOT_GH) | (b >> 17 & NOT_H);
}

static u64 knight(u64 from, u64 blocked) {
  u64 seen = 1UL << from, front = seen, sum = 0;
  for (u64 n = 1; front; n++) {
    front = jumps(front) & ~seen & ~blocked;
    sum += n * __builtin_popcountl(front);
    seen |= front;
  }
  return sum;
}

static u64 spread(u64 x) {
  x &= 0xffffffff;
  x = (x | x << 16) & 0x0000ffff0000ffffUL;
  x = (x | x << 8) & 0x00ff00ff00ff00ffUL;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fUL;
  x = (x | x << 2) & 0x3333333333333333UL;
  return (x | x << 1) & 0x5555555555555555UL;
}

static u64 squeeze(u64 x) {
  x &= 0x5555555555555555UL;
  x = (x | x >> 1) & 0x3333333333333333UL;
  x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0fUL;
  x = (x | x >> 4) & 0x00ff00ff00ff00ffUL;
  x = (x | x >> 8) & 0x0000ffff0000ffffUL;
  return (x | x >> 16) & 0xffffffff;
}

// ---- a queue of priorities, as a scheduler has it: 4096 levels in two layers of words

static u64 summary, levels[64];

static void insert(u64 p) {
  levels[p / 64] |= 1UL << p % 64;
  summary |= 1UL << p / 64;
}
static i64 take_first(void) {
  if (!summary)
    return -1;
  u64 word = __builtin_ctzl(summary), bit = __builtin_ctzl(levels[word]);
  levels[word] &= ~(1UL << bit);
  if (!levels[word])
    summary &= ~(1UL << word);
  return word * 64 + bit;
}

// xxHash-like: rotations, multiplications, bytes the other way round
static u64 digest(const u64 *p, u64 n) {
  u64 a = 0x9e3779b185ebca87UL, b = 0xc2b2ae3d27d4eb4fUL;
  for (u64 i = 0; i < n; i++) {
    a = rotate(a ^ p[i] * b, 31) * 0x9e3779b185ebca87UL;
    b = __builtin_bswap64(b) + rotate(p[i], i);
    u128 wide = (u128)a * b;
    a ^= (u64)(wide >> 64);
  }
  return a ^ b;
}

static u64 data[2048];

int main(void) {
  u64 state = 1, hash = 0;
  for (u64 round = 0; round < rounds; round++) {
    if (queens((1 << 9) - 1, 0, 0, 0) != 352)
      panic("queens");
    hash = hash_mix(hash, queens((1 << 10) - 1, 0, 0, 0));
    for (u64 from = 0; from < 64; from++)
      for (u64 i = 0; i < 80; i++)
        hash = hash_mix(hash, knight(from, random_next(&state) & random_next(&state)));
    for (u64 i = 0; i < 60000; i++) {
      u64 x = random_next(&state), code = spread(x) | spread(x >> 32) << 1;
      if (squeeze(code) != (x & 0xffffffff) || squeeze(code >> 1) != x >> 32)
        panic("morton code of %lx", x);
      i64 low = x, high = hash;
      hash = rotate(hash, x) ^ code ^ (low < high ? low : high);
      hash += __builtin_clzl(x | 1) * 3 + __builtin_ctzl(x) + __builtin_popcountl(x) + __builtin_clz((u32)x | 1);
    }
    for (u64 i = 0; i < 60; i++) {
      for (u64 n = 0; n < 700; n++)
        insert(random_next(&state) >> 52);
      i64 last = -1;
      for (i64 p; (p = take_first()) >= 0; last = p) {
        if (p <= last)
          panic("priority %ld after %ld", p, last);
        hash = rotate(hash, 7) + p;
      }
    }
    for (u64 i = 0; i < 2048; i++)
      data[i] = random_next(&state);
    for (u64 i = 0; i < 100; i++)
      hash = hash_mix(hash, digest(data + i, 1948));
  }
  printf("bits: %016lx\n", hash);
  return 0;
}
