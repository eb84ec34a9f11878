// sort: three sorting algorithms on arrays of 32 KiB and 1 MiB
#include "lib.h"

#define SMALL 4096        // 32 KiB
#define LARGE (1 << 17)   // 1 MiB
#define ROUNDS 7
#define SMALL_ROUNDS 32   // sorts of the small array in each round

static u64 data[LARGE], spare[LARGE];

static void fill(u64 n, u64 *state) {
  for (u64 i = 0; i < n; i++)
    data[i] = random_next(state) >> 20;
}

static void insertion_sort(u64 *a, u64 n) {
  for (u64 i = 1; i < n; i++) {
    u64 x = a[i], j = i;
    for (; j && a[j - 1] > x; j--)
      a[j] = a[j - 1];
    a[j] = x;
  }
}

static void quicksort(u64 *a, u64 n) {
  while (n > 16) {
    u64 x = a[0], y = a[n / 2], z = a[n - 1];
    u64 pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
    i64 i = -1, j = n;
    for (;;) {
      while (a[++i] < pivot)
        ;
      while (a[--j] > pivot)
        ;
      if (i >= j)
        break;
      u64 t = a[i];
      a[i] = a[j];
      a[j] = t;
    }
    // recurse into the smaller half: the stack stays small
    u64 left = j + 1, right = n - left;
    if (left < right) {
      quicksort(a, left);
      a += left;
      n = right;
    } else {
      quicksort(a + left, right);
      n = left;
    }
  }
  insertion_sort(a, n);
}

static void sift(u64 *a, u64 i, u64 n) {
  u64 x = a[i];
  for (u64 child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && a[child + 1] > a[child])
      child++;
    if (a[child] <= x)
      break;
    a[i] = a[child];
  }
  a[i] = x;
}

static void heapsort(u64 *a, u64 n) {
  for (u64 i = n / 2; i--;)
    sift(a, i, n);
  while (n > 1) {
    u64 t = a[--n];
    a[n] = a[0];
    a[0] = t;
    sift(a, 0, n);
  }
}

static void merge_sort(u64 *a, u64 *b, u64 n) {
  for (u64 width = 1; width < n; width *= 2) {
    for (u64 lo = 0; lo < n; lo += 2 * width) {
      u64 i = lo, mid = lo + width, j = mid, hi = mid + width, k = lo;
      while (i < mid && j < hi)
        b[k++] = a[i] <= a[j] ? a[i++] : a[j++];
      while (i < mid)
        b[k++] = a[i++];
      while (j < hi)
        b[k++] = a[j++];
    }
    u64 *t = a;
    a = b;
    b = t;
  }
  if (a != data)
    memcpy(b, a, n * sizeof *a);
}

static u64 check(const char *name, u64 hash, u64 n) {
  for (u64 i = 0; i < n; i++) {
    if (i && data[i - 1] > data[i])
      panic("%s: element %lu is out of order", name, i);
    hash = hash_mix(hash, data[i]);
  }
  return hash;
}

static u64 sort_all(u64 hash, u64 n, u64 *state) {
  fill(n, state);
  quicksort(data, n);
  hash = check("quicksort", hash, n);
  fill(n, state);
  heapsort(data, n);
  hash = check("heapsort", hash, n);
  fill(n, state);
  merge_sort(data, spare, n);
  return check("merge sort", hash, n);
}

int main(void) {
  u64 state = 1, hash = 0;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < SMALL_ROUNDS; i++)
      hash = sort_all(hash, SMALL, &state);
    hash = sort_all(hash, LARGE, &state);
  }
  printf("sort: %016lx\n", hash);
  return 0;
}
