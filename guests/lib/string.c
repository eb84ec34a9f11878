// memory, strings, numbers that look random
#include "lib.h"

void *memset(void *to, int c, u64 n) {
  for (u8 *t = to; n--;)
    *t++ = c;
  return to;
}

void *memcpy(void *to, const void *from, u64 n) {
  u8 *t = to;
  const u8 *f = from;
  if (!(((u64)t | (u64)f) & 7))
    for (; n >= 8; n -= 8, t += 8, f += 8)
      *(u64 *)t = *(const u64 *)f;
  while (n--)
    *t++ = *f++;
  return to;
}

void *memmove(void *to, const void *from, u64 n) {
  u8 *t = to;
  const u8 *f = from;
  if (t <= f)
    return memcpy(to, from, n);
  while (n--)
    t[n] = f[n];
  return to;
}

int memcmp(const void *a, const void *b, u64 n) {
  for (const u8 *p = a, *q = b; n--; p++, q++)
    if (*p != *q)
      return *p - *q;
  return 0;
}

u64 strlen(const char *s) {
  u64 n = 0;
  while (s[n])
    n++;
  return n;
}

int strcmp(const char *a, const char *b) {
  while (*a && *a == *b)
    a++, b++;
  return (u8)*a - (u8)*b;
}

u64 random_next(u64 *state) {
  u64 x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545f4914f6cdd1dUL;
}

u64 hash_mix(u64 hash, u64 value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15UL;
  return hash ^ hash >> 29;
}
