/* Frames with variables of all kinds, at any level of optimisation. */
__asm__(".text\n.globl _start\n_start: la sp, stk+4096\n call main\n li t0, 0x100000\n li t1, 0x5555\n sw t1, 0(t0)\n1: j 1b\n");
#include <stdint.h>
struct node { int v; struct node *next; char name[8]; };
enum st { IDLE, RUN=3, DONE };
typedef struct { struct node *head; int count; enum st state; unsigned f:3, g:5; } list_t;
static struct node pool[8]; list_t list; volatile int sink; double acc; 
static int depth(struct node *n, int d) { if (!n) return d; int r = depth(n->next, d + 1); sink = r; return r; }
static struct node *push(list_t *l, int v, const char *name) {
  struct node *n = &pool[l->count++];
  n->v = v; for (int i = 0; i < 7 && name[i]; i++) n->name[i] = name[i];
  n->next = l->head; l->head = n; l->state = RUN; l->f = v; l->g = v * 2; return n; }
static void fill(char *buf, int n, char c) { for (int i = 0; i < n; i++) { buf[i] = c + i; } }
static long mix(long a, unsigned b, short c, char d, uint8_t *p, int (*fn)(struct node*, int)) { long t = a * b + c; struct { int x; long y; } q = { d, t }; for (int i = 0; i < 3; i++) { int w = i * q.x; t += w + p[i]; sink = t; } return t + fn(list.head, 0); }
__attribute__((section(".text"))) int main(void) { char buf[12] = {0}; int arr[5] = {1,2,3,4,5}; fill(buf, 10, 'a');
  for (int k = 0; k < 5; k++) { struct node *n = push(&list, k, "node"); arr[k] += n->v; acc += k * (double)0.5; }
  long m = mix(5, 6, -7, 'z', (uint8_t*)buf, depth); sink = m + arr[2]; return 0; }
void _start(void);
char stk[4096] __attribute__((aligned(16)));
