/* Scopes: inlined calls, nested blocks, shadowing, statics, recursion, split functions, tail calls. */
typedef unsigned long u64;
volatile u64 sink;
static u64 file_static = 7;
u64 a_global = 3;
extern u64 defined_later;
u64 defined_later = 9;

static inline __attribute__((always_inline)) u64 leaf(u64 x, u64 unused) { u64 y = x * 3; { u64 z = y + sink; sink = z; } return y; }
static inline __attribute__((always_inline)) u64 middle(u64 x) { u64 sum = 0; for (u64 i = 0; i < 3; i++) sum += leaf(x + i, i); return sum; }
__attribute__((noinline)) static u64 recurse(u64 n, u64 *out) { if (n == 0) { *out = 1; return 0; } u64 here = n * 2; u64 r = recurse(n - 1, out) + here; sink = r; return r; }
__attribute__((noinline)) u64 shadow(u64 value) {
    u64 result = value;
    { u64 value = result + 1; sink = value; { u64 value = result + 2; int small = (int)value; sink = value + small; } }
    for (int i = 0; i < 4; i++) { static u64 calls; u64 square = (u64)i * i; calls += square; result += calls + square; }
    return result;
}
__attribute__((noinline)) u64 tail(u64 a) { sink = a; return shadow(a + 1); }
__attribute__((noinline)) u64 hop(u64 a) { static u64 out; sink = a; return recurse(a & 3, &out); }
__attribute__((noinline)) u64 cold(u64 a) { if (__builtin_expect(a == 12345, 0)) { sink = a * 2; for (u64 k = 0; k < a; k++) sink += k; __builtin_trap(); } return a + 1; }
struct pair { u64 first, second; };
__attribute__((noinline)) struct pair split(struct pair p, int swap) { struct pair q = { p.second, p.first }; return swap ? q : p; }
__attribute__((noinline)) u64 vla(int n) { int values[n]; char text[n][3]; for (int i = 0; i < n; i++) { values[i] = i; text[i][0] = (char)i; } sink = values[n / 2] + text[n / 2][0]; return sink; }
#ifdef __riscv_flen
__attribute__((noinline)) double floating(double x, float y) { double local = x * y; sink = (u64)local; return local + y; }
#endif
__attribute__((noinline)) int many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j) { int t = a + b * c - d; sink = t; return t + e + f + g + h + i + j; }
u64 main_loop(u64 n) {
    u64 total = 0, out;
    const u64 constant = 42;
    for (u64 i = 0; i < n; i++) {
        u64 m = middle(i + constant);
        struct pair p = split((struct pair){ m, i }, i & 1);
        total += m + recurse(i & 7, &out) + shadow(i) + tail(m) + hop(m) + cold(i) + p.first + vla((int)(i & 7) + 1);
        total += many(1, 2, 3, 4, 5, 6, 7, 8, 9, (int)i);
#ifdef __riscv_flen
        total += (u64)floating((double)i, 1.5f);
#endif
    }
    return total + file_static + a_global + out + defined_later;
}
__attribute__((used, noinline)) void run(void) { sink = main_loop(5); *(volatile unsigned *)0x100000 = 0x5555; for (;;) {} }
__attribute__((weak)) void _start(void) { run(); }
