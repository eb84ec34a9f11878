// Classes whose methods stand on one line, a template with two instances, and names that mean a class and its constructor.
asm(".section .text.unlikely,\"ax\"\n.globl _start\n_start: la sp, stk+4096\n call run\n li t0, 0x100000\n li t1, 0x5555\n sw t1, 0(t0)\n1: j 1b\n.text\n");
extern "C" { char stk[4096] __attribute__((aligned(16))); volatile long sink; }
namespace zoo {
template <class T> struct Pair {
  T a, b;
  T sum() const { sink = a; return a + b; } T twice() { sink = b; return sum() + sum(); }
};
struct Cow { int milk, weight; Cow(int m, int w) : milk(m), weight(w) {} int give() { sink = milk; return milk--; } };
}
using namespace zoo;
static int feed(Cow &cow) { return cow.weight + cow.give(); }
extern "C" int run() {
  Cow rosa(3, 500);
  Pair<int> few{1, 2};
  Pair<long> many{10, 20};
  sink = few.twice() + many.twice() + feed(rosa);
  return 0;
}
