// bench/memory: memcpy, memmove, memset, memcmp, strlen and checksums, by words that are seldom aligned, and by bytes
#include "lib.h"

#define SIZE (96 * 1024)

static const volatile u64 rounds = 680;  // how long it runs

// a hart that allows misaligned accesses, and a C library that knows it
struct word {
  u64 value;
} __attribute__((may_alias));
#define WORD(p) (((struct word *)(p))->value)
typedef u32 half __attribute__((may_alias));
typedef u16 quarter __attribute__((may_alias));

static __attribute__((noinline)) void copy(u8 *to, const u8 *from, u64 n) {
  for (; n >= 32; n -= 32, to += 32, from += 32) {
    u64 a = WORD(from), b = WORD(from + 8), c = WORD(from + 16), d = WORD(from + 24);
    WORD(to) = a, WORD(to + 8) = b, WORD(to + 16) = c, WORD(to + 24) = d;
  }
  for (; n >= 8; n -= 8, to += 8, from += 8)
    WORD(to) = WORD(from);
  while (n--)
    *to++ = *from++;
}

static __attribute__((noinline)) void move(u8 *to, const u8 *from, u64 n) {
  if (to - from >= (i64)n || to < from) {
    copy(to, from, n);
    return;
  }
  for (; n >= 8; n -= 8)
    WORD(to + n - 8) = WORD(from + n - 8);
  while (n--)
    to[n] = from[n];
}

static __attribute__((noinline)) void fill(u8 *to, u8 c, u64 n) {
  u64 word = c * 0x0101010101010101UL;
  for (; n && (u64)to & 7; n--)
    *to++ = c;
  for (; n >= 32; n -= 32, to += 32)
    WORD(to) = WORD(to + 8) = WORD(to + 16) = WORD(to + 24) = word;
  while (n--)
    *to++ = c;
}

static __attribute__((noinline)) int compare(const u8 *a, const u8 *b, u64 n) {
  for (; n >= 8 && WORD(a) == WORD(b); n -= 8)
    a += 8, b += 8;
  for (; n; n--, a++, b++)
    if (*a != *b)
      return *a - *b;
  return 0;
}

// a word has a zero byte if subtracting 1 from each borrows into a top bit that was clear
static __attribute__((noinline)) u64 length(const char *s) {
  const char *p = s;
  for (; (u64)p & 7; p++)
    if (!*p)
      return p - s;
  while (!((WORD(p) - 0x0101010101010101UL) & ~WORD(p) & 0x8080808080808080UL))
    p += 8;
  while (*p)
    p++;
  return p - s;
}

// the Internet's checksum: the sum of all 16-bit words, of a packet that begins anywhere
static __attribute__((noinline)) u32 checksum(const u8 *p, u64 n) {
  u64 sum = 0;
  for (; n >= 4; n -= 4, p += 4)
    sum += *(const half *)p;
  if (n & 2)
    sum += *(const quarter *)p, p += 2;
  if (n & 1)
    sum += *p;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static __attribute__((noinline)) u64 adler(const u8 *p, u64 n) {
  u64 a = 1, b = 0;
  while (n) {
    u64 some = n < 5552 ? n : 5552;  // as many as fit without a remainder
    n -= some;
    while (some--) {
      a += *p++;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

static u8 one[SIZE + 64], two[SIZE + 64];

int main(void) {
  u64 state = 1, hash = 0;
  for (u64 i = 0; i < sizeof one; i++)
    one[i] = 1 + i * i % 255;
  for (u64 round = 0; round < rounds; round++) {
    u64 r = random_next(&state);
    u64 from = r & 63, to = r >> 6 & 63, n = SIZE - (r >> 12 & 1023), moved = 1 + (r >> 22 & 63);
    // all of it at any alignment, then in packets
    copy(two + to, one + from, n);
    if (compare(two + to, one + from, n))
      panic("copy: %lu to %lu, %lu bytes", from, to, n);
    for (u64 at = 0, size; at + 1600 < n; at += size) {
      size = 64 + (random_next(&state) >> 32) % 1400;
      copy(two + to + at, one + from + at, size);
      u32 sum = checksum(two + to + at, size);
      if (sum != checksum(one + from + at, size))
        panic("checksum of %lu bytes at %lu", size, at);
      hash = hash_mix(hash, sum);
    }
    u64 before = adler(two + to, n - moved);
    move(two + to + moved, two + to, n - moved);
    if (adler(two + to + moved, n - moved) != before)
      panic("move by %lu", moved);
    hash = hash_mix(hash, before);
    two[to + n] = 0;
    for (char *s = (char *)two + to, *text_end = (char *)two + to + n - 300; s < text_end;) {
      char *mark = s + (random_next(&state) >> 40) % 256, saved = *mark;
      *mark = 0;
      u64 size = length(s);
      if (size != (u64)(mark - s) && size > (u64)(mark - s))
        panic("length %lu", size);
      *mark = saved;
      s += size + 1;
      hash = hash_mix(hash, size);
    }
    fill(two + to, round, n / 4);
    fill(one + from, r >> 32 | 1, 257);
    hash = hash_mix(hash, adler(two + to, n / 4 + 100));
  }
  printf("memory: %016lx\n", hash);
  return 0;
}
