// matrix: integer matrices: products of 64x64 (32 KiB) and 288x288 (650 KiB), elimination modulo a prime
#include "lib.h"

#define SMALL 64
#define LARGE 288
#define TILE 32
#define PRIME 2147483647UL

static u64 a[LARGE * LARGE], b[LARGE * LARGE], c[LARGE * LARGE];

static void fill(u64 *m, u64 n, u64 *state) {
  for (u64 i = 0; i < n * n; i++)
    m[i] = random_next(state);
}

static void multiply(u64 *to, const u64 *x, const u64 *y, u64 n) {
  memset(to, 0, n * n * sizeof *to);
  for (u64 i = 0; i < n; i++)
    for (u64 k = 0; k < n; k++) {
      u64 factor = x[i * n + k];
      for (u64 j = 0; j < n; j++)
        to[i * n + j] += factor * y[k * n + j];
    }
}

// the same, in tiles
static void multiply_tiled(u64 *to, const u64 *x, const u64 *y, u64 n) {
  memset(to, 0, n * n * sizeof *to);
  for (u64 ii = 0; ii < n; ii += TILE)
    for (u64 kk = 0; kk < n; kk += TILE)
      for (u64 jj = 0; jj < n; jj += TILE)
        for (u64 i = ii; i < ii + TILE; i++)
          for (u64 k = kk; k < kk + TILE; k++) {
            u64 factor = x[i * n + k];
            for (u64 j = jj; j < jj + TILE; j++)
              to[i * n + j] += factor * y[k * n + j];
          }
}

static void transpose(u64 *to, const u64 *from, u64 n) {
  for (u64 i = 0; i < n; i++)
    for (u64 j = 0; j < n; j++)
      to[j * n + i] = from[i * n + j];
}

static u64 power(u64 x, u64 e) {
  u64 result = 1;
  for (; e; e /= 2, x = x * x % PRIME)
    if (e & 1)
      result = result * x % PRIME;
  return result;
}

static u64 determinant(u64 *m, u64 n) {
  u64 result = 1;
  for (u64 i = 0; i < n * n; i++)
    m[i] %= PRIME;
  for (u64 i = 0; i < n; i++) {
    u64 pivot = i;
    while (pivot < n && !m[pivot * n + i])
      pivot++;
    if (pivot == n)
      return 0;
    for (u64 j = i; pivot != i && j < n; j++) {
      u64 t = m[i * n + j];
      m[i * n + j] = m[pivot * n + j];
      m[pivot * n + j] = PRIME - t;
    }
    result = result * m[i * n + i] % PRIME;
    u64 inverse = power(m[i * n + i], PRIME - 2);
    for (u64 row = i + 1; row < n; row++) {
      u64 factor = m[row * n + i] * inverse % PRIME;
      for (u64 j = i; j < n; j++)
        m[row * n + j] = (m[row * n + j] + (PRIME - factor) * m[i * n + j]) % PRIME;
    }
  }
  return result;
}

static u64 digest(u64 hash, const u64 *m, u64 n) {
  for (u64 i = 0; i < n * n; i++)
    hash = hash_mix(hash, m[i]);
  return hash;
}

int main(void) {
  u64 state = 1, hash = 0;
  for (int round = 0; round < 170; round++) {
    fill(a, SMALL, &state);
    fill(b, SMALL, &state);
    multiply(c, a, b, SMALL);
    transpose(a, c, SMALL);
    hash = digest(hash, a, SMALL);
    hash = hash_mix(hash, determinant(a, SMALL));
  }
  fill(a, LARGE, &state);
  fill(b, LARGE, &state);
  multiply(c, a, b, LARGE);
  u64 plain = digest(0, c, LARGE);
  multiply_tiled(c, a, b, LARGE);
  u64 tiled = digest(0, c, LARGE);
  if (plain != tiled)
    panic("the products differ: %lx, %lx", plain, tiled);
  hash = hash_mix(hash, plain);
  hash = hash_mix(hash, determinant(c, LARGE));
  printf("matrix: %016lx\n", hash);
  return 0;
}
