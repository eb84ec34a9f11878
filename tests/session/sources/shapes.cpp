// Frames of C++: methods, virtual and template functions, references, operators, lambdas, namespaces, exceptions aside.
asm(".section .text.unlikely,\"ax\"\n.globl _start\n_start: la sp, stack_area+8192\n call run\n li t0, 0x100000\n li t1, 0x5555\n sw t1, 0(t0)\n1: j 1b\n.text\n");
typedef unsigned long u64;
extern "C" {
char stack_area[8192] __attribute__((aligned(16)));
volatile long sink;
void *memset(void *p, int c, u64 n) { for (u64 i = 0; i < n; i++) ((char *)p)[i] = c; return p; }
void *memcpy(void *p, const void *q, u64 n) { for (u64 i = 0; i < n; i++) ((char *)p)[i] = ((const char *)q)[i]; return p; }
void __cxa_pure_virtual() { for (;;) {} }
}
void operator delete(void *) {}
void operator delete(void *, u64) {}
namespace geo {
enum class Kind : unsigned char { Square, Circle = 4 };
struct Point {
  int x, y;
  Point operator+(const Point &other) const { return {x + other.x, y + other.y}; }
  int &operator[](int i) { return i ? y : x; }
};
class Shape {
public:
  Shape(Kind kind, Point at) : kind(kind), at(at) { made++; }
  virtual ~Shape() {}
  virtual long area() const = 0;
  Shape &move(const Point &by) { Point old = at; at = old + by; sink = at.x; return *this; }
  static int made;
protected:
  Kind kind;
  Point at;
};
int Shape::made;
class Square : public Shape {
public:
  Square(int side, Point at) : Shape(Kind::Square, at), side(side) {}
  long area() const override { long result = side; result *= side; sink = result; return result; }
private:
  int side;
};
class Circle final : public Shape {
public:
  Circle(double radius) : Shape(Kind::Circle, {1, 2}), radius(radius) {}
  long area() const override { double pi = 3.0; return twice(long(pi * radius)); }
private:
  static long twice(long x) { sink = x; return 2 * x; }
  double radius;
};
template <typename T, int N> class Stack {
public:
  void push(const T &item) { if (used < N) items[used++] = item; }
  T pop() { return used ? items[--used] : T(); }
  template <typename F> long sum(F f) const { long total = 0; for (int i = 0; i < used; i++) { T item = items[i]; total += f(item); } return total; }
private:
  T items[N];
  int used = 0;
};
}
using namespace geo;
static Stack<Shape *, 4> shapes;
namespace { long weigh(Shape *shape, long factor) { long area = shape->area(); return area * factor; } }
static long fold(const Stack<int, 8> &numbers, int &count) {
  return numbers.sum([&](int n) { count++; long square = n * n; sink = square; return square; });
}
extern "C" __attribute__((noinline)) long run() {
  Square square(3, {0, 0}); Circle circle(1.5); Stack<int, 8> numbers; int count = 0;
  shapes.push(&square); shapes.push(&circle);
  square.move({2, 3}).move({-1, 1});
  long total = 0;
  for (int i = 0; i < 5; i++) { numbers.push(i * 3); Point p = {i, -i}; p[1] += i; total += p.y; }
  for (long factor = 1; factor < 4; factor++) total += shapes.sum([factor](Shape *shape) { return weigh(shape, factor); });
  total += fold(numbers, count);
  sink = total + count + Shape::made;
  return total;
}
