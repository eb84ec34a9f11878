// Types of every sort, whole objects that change in parts, tail calls, a call into the trap handler.
#include "bare.h"

typedef unsigned int word;
enum color { RED, GREEN = 5, BLUE };
struct point { int x, y; };
struct node {
  struct node *next;
  char name[12];
  struct point at;
  enum color color;
  unsigned char low : 3, high : 5;
  union { word whole; unsigned char bytes[4]; } u;
};
typedef int (*operation)(int);

struct node nodes[4];
struct node *head;
int counters[10];
struct point corner = {3, 4};
const char *const message = "hello, world";
char text[32] = "some text";
volatile int sink;
operation table[2];
char big[3000];

static int twice(int v) { return v * 2; }
static int thrice(int v) { int w = v * 3; sink = w; return w; }

__attribute__((noinline)) int leaf(int a, int b) { sink = a + b; return a * b; }
__attribute__((noinline)) int first(int a) { sink = a; return leaf(a + 1, a - 1); }
__attribute__((noinline)) int second(int a) { counters[a % 10]++; return first(a * 3); }
__attribute__((noinline)) int pick(int a) { sink = a; return a & 1 ? first(a) : second(a); }
static inline __attribute__((always_inline)) int within(int a) { sink = a; return second(a + 7); }
__attribute__((noinline)) int around(int a) { return within(a); }

__attribute__((noinline)) void fill(struct node *n, int i) {
  n->at.x = i;
  n->at.y = -i;
  n->color = i & 1 ? GREEN : BLUE;
  n->low = i;
  n->high = i * 3;
  n->u.whole = 0x01020304 * (i + 1);
  for (int k = 0; k < 8; k++)
    n->name[k] = 'a' + i + k;
  n->next = head;
  head = n;
}

int main(void) {
  int total = 0;
  table[0] = twice;
  table[1] = thrice;
  for (int i = 0; i < 4; i++) {
    fill(&nodes[i], i);
    total += table[i & 1](i);
  }
  corner.y = 9;
  corner.x = 8;
  total += around(3);
  total += pick(4);
  total += pick(5);
  counters[3] = total;
  text[2] = 'X';
  for (int i = 0; i < 3; i++)
    big[1000 * i] = i + 1;
  return total & 1;
}
