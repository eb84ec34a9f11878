// sieve: primes by the sieve of Eratosthenes, one bit for each odd number; 2 MiB, then segments of 32 KiB
#include "lib.h"

#define LIMIT (1UL << 25)       // 2 MiB of bits
#define SEGMENT (1UL << 19)     // 32 KiB of bits
#define ROUNDS 2
#define SEGMENTS 180

static u64 composite[LIMIT / 128];  // bit i: 2 * i + 1
static u32 primes[4096];
static u64 prime_count;

static u64 is_composite(u64 i) { return composite[i / 64] >> i % 64 & 1; }
static void cross_out(u64 i) { composite[i / 64] |= 1UL << i % 64; }

// counts the primes below limit and keeps the first of them
static u64 sieve(u64 limit) {
  memset(composite, 0, limit / 16);
  for (u64 n = 3; n * n < limit; n += 2)
    if (!is_composite(n / 2))
      for (u64 i = n * n / 2; i < limit / 2; i += n)
        cross_out(i);
  prime_count = 0;
  for (u64 n = 3; n < limit && prime_count < 4096; n += 2)
    if (!is_composite(n / 2))
      primes[prime_count++] = n;
  u64 count = 0;  // 1 is counted for 2
  for (u64 i = 0; i < limit / 128; i++)
    count += __builtin_popcountl(~composite[i]);
  return count;
}

// counts the primes from base to base + 2 * bits
static u64 segment(u64 base, u64 bits) {
  memset(composite, 0, bits / 8);
  for (u64 p = 0; p < prime_count; p++) {
    u64 n = primes[p];
    if (n * n >= base + 2 * bits)
      break;
    u64 first = (base + n - 1) / n * n;
    if (first < n * n)
      first = n * n;
    if (first % 2 == 0)
      first += n;
    for (u64 i = (first - base) / 2; i < bits; i += n)
      cross_out(i);
  }
  u64 count = 0;
  for (u64 i = 0; i < bits / 64; i++)
    count += __builtin_popcountl(~composite[i]);
  return count;
}

int main(void) {
  u64 hash = 0, count = 0;
  for (int round = 0; round < ROUNDS; round++) {
    count = sieve(LIMIT - round * (1 << 20));
    hash = hash_mix(hash, count);
  }
  printf("sieve: %lu primes below %lu\n", sieve(LIMIT), LIMIT);
  count = 0;
  for (u64 i = 0; i < SEGMENTS; i++) {
    count += segment(LIMIT + i * SEGMENT, SEGMENT / 2);
    hash = hash_mix(hash, count);
  }
  printf("sieve: %lu primes in the %lu after that\n", count, SEGMENTS * SEGMENT);
  printf("sieve: %016lx\n", hash);
  return 0;
}
