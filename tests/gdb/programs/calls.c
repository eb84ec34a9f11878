// Calls of every sort: recursion, through pointers, with structures, in tail position, many arguments.
#include "bare.h"

struct point { long x, y; };
struct tree { struct tree *left, *right; int key; };
typedef int (*operation)(int, int);

volatile int depth, deepest;
int calls;
long total;
struct point last;
static struct tree nodes[15];

static int add(int a, int b) { calls++; return a + b; }
static int sub(int a, int b) { calls++; return a - b; }
static operation const table[] = {add, sub};

__attribute__((noinline)) int fib(int n) {
  calls++;
  if (n < 2)
    return n;
  int a = fib(n - 1);
  int b = fib(n - 2);
  return a + b;
}

__attribute__((noinline)) int down(int n) {
  depth++;
  if (depth > deepest)
    deepest = depth;
  int result = n ? down(n - 1) + 1 : 0;
  depth--;
  return result;
}

__attribute__((noinline)) struct point moved(struct point from, long dx, long dy) {
  struct point to = from;
  to.x += dx;
  to.y += dy;
  last = to;
  return to;
}

__attribute__((noinline)) long many(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j;
}

__attribute__((noinline)) int even(int n);
__attribute__((noinline)) int odd(int n) { return n == 0 ? 0 : even(n - 1); }
__attribute__((noinline)) int even(int n) { return n == 0 ? 1 : odd(n - 1); }

__attribute__((noinline)) struct tree *insert(struct tree *root, struct tree *node) {
  if (!root)
    return node;
  if (node->key < root->key)
    root->left = insert(root->left, node);
  else
    root->right = insert(root->right, node);
  return root;
}

__attribute__((noinline)) int sum(const struct tree *root) {
  if (!root)
    return 0;
  return sum(root->left) + root->key + sum(root->right);
}

int main(void) {
  total = fib(6);
  total += down(9);
  struct point p = {1, 2};
  for (int i = 0; i < 3; i++)
    p = moved(p, i, -i);
  total += p.x * 100 + p.y;
  total += many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  total += even(7) + odd(7);
  for (int i = 0; i < 6; i++)
    total += table[i & 1](i, 2);
  struct tree *root = 0;
  for (int i = 0; i < 15; i++) {
    nodes[i].key = i * 7 % 15;
    root = insert(root, &nodes[i]);
  }
  total += sum(root);
  field("total", total);
  return 0;
}
