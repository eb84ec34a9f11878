// bench/unoptimised: what a debug build does, compiled with -O0: every variable lives on the stack
#include "lib.h"

#define SIZE 2000

static const volatile u64 rounds = 42;  // how long it runs

struct list {
  struct list *next;
  u32 key;
  short count;
};

static struct list items[SIZE], *buckets[128];
static int numbers[SIZE];
static u8 grid[2][64][64];

static u32 hash_of(u32 key) {
  u32 hash = key;
  hash ^= hash >> 16;
  hash *= 0x7feb352d;
  hash ^= hash >> 15;
  return hash;
}

static struct list *find(u32 key) {
  struct list *item = buckets[hash_of(key) % 128];
  while (item != 0 && item->key != key)
    item = item->next;
  return item;
}

static u64 count_words(u64 *state) {
  u64 found = 0, used = 0;
  for (int i = 0; i < 128; i++)
    buckets[i] = 0;
  for (int i = 0; i < 2 * SIZE; i++) {
    u32 key = random_next(state) % 1500;
    struct list *item = find(key);
    if (item == 0) {
      item = &items[used++];
      item->key = key;
      item->count = 0;
      item->next = buckets[hash_of(key) % 128];
      buckets[hash_of(key) % 128] = item;
    }
    item->count++;
  }
  for (u64 i = 0; i < used; i++)
    found += items[i].count;
  if (found != 2 * SIZE)
    panic("counted %lu", found);
  return used;
}

static void shell_sort(int *a, int n) {
  for (int gap = n / 2; gap > 0; gap /= 2) {
    for (int i = gap; i < n; i++) {
      int x = a[i];
      int j;
      for (j = i; j >= gap && a[j - gap] > x; j -= gap)
        a[j] = a[j - gap];
      a[j] = x;
    }
  }
}

// the game of life on a torus
static u64 generation(int from) {
  u64 alive = 0;
  for (int y = 0; y < 64; y++) {
    for (int x = 0; x < 64; x++) {
      int near = 0;
      for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
          if (dx != 0 || dy != 0)
            near += grid[from][(y + dy) & 63][(x + dx) & 63];
      u8 now = near == 3 || (near == 2 && grid[from][y][x]);
      grid[!from][y][x] = now;
      alive += now;
    }
  }
  return alive;
}

static u64 binomial(int n, int k) {
  if (k == 0 || k == n)
    return 1;
  return binomial(n - 1, k - 1) + binomial(n - 1, k);
}

static int edit_distance(const char *a, const char *b) {
  int row[64];
  int n = strlen(b);
  for (int j = 0; j <= n; j++)
    row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int above = row[j];
      int best = diagonal + (a[i - 1] != b[j - 1]);
      if (above + 1 < best)
        best = above + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
      diagonal = above;
    }
  }
  return row[n];
}

int main(void) {
  u64 state = 1, hash = 0;
  for (u64 round = 0; round < rounds; round++) {
    for (int i = 0; i < 4; i++)
      hash = hash_mix(hash, count_words(&state));
    for (int i = 0; i < SIZE; i++)
      numbers[i] = random_next(&state) >> 33;
    shell_sort(numbers, SIZE);
    for (int i = 0; i < SIZE; i++) {
      if (i > 0 && numbers[i - 1] > numbers[i])
        panic("number %d is out of order", i);
      hash = hash_mix(hash, numbers[i]);
    }
    for (int y = 0; y < 64; y++)
      for (int x = 0; x < 64; x++)
        grid[0][y][x] = random_next(&state) >> 62 == 0;
    for (int i = 0; i < 12; i++)
      hash = hash_mix(hash, generation(i & 1));
    if (binomial(18, 7) != 31824)
      panic("binomial");
    if (edit_distance("the quick brown fox jumps", "a lazy dog quickly jumped") != 21)
      panic("distance %d", edit_distance("the quick brown fox jumps", "a lazy dog quickly jumped"));
  }
  printf("unoptimised: %016lx\n", hash);
  return 0;
}
