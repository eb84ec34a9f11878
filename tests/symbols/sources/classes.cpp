// C++: namespaces, classes, inheritance, templates, references, overloads, static members, enum class.
typedef unsigned long u64;
volatile u64 sink;
namespace ns {
struct Base { virtual ~Base(); virtual int area() const; int tag; static int count; };
struct Other { long other; };
class Shape : public Base, protected Other {
public:
    Shape(int w, int h) : width(w), height(h) {}
    int area() const override;
    int &ref();
    static Shape make(int w);
    template <typename T> T scaled(T by) { return by * width; }
protected:
    int width;
private:
    int height : 5;
    const char *label;
};
template <typename T, int N> struct Array { T items[N]; T get(int i) const; T &operator[](int i); struct Inner { T x; } inner; };
template <typename T, int N> T Array<T, N>::get(int i) const { return items[i]; }
template <typename T, int N> T &Array<T, N>::operator[](int i) { return items[i]; }
enum class Colour : unsigned char { Red, Green = 7 };
enum Plain { One = 1, Two };
namespace { int hidden = 4; int secret(int x) { sink = x; return x + hidden; } }
int overloaded(int a) { sink = a; return a; }
int overloaded(double a) { sink = (u64)a; return (int)a; }
int overloaded(const Shape &s, Colour c) { sink = (u64)c; return s.area(); }
int variable = 3;
}
int ns::Base::count = 2;
ns::Base::~Base() {}
int ns::Base::area() const { return 0; }
int ns::Shape::area() const { return width * height; }
int &ns::Shape::ref() { return width; }
ns::Shape ns::Shape::make(int w) { return Shape(w, w); }
ns::Array<int, 4> numbers; ns::Array<ns::Shape *, 2> shapes; ns::Colour colour = ns::Colour::Green; ns::Plain plain = ns::Two;
int ns::Shape::*member_pointer; int (ns::Base::*method_pointer)() const; const ns::Base &reference = *(ns::Base *)&sink;
decltype(nullptr) nothing; int &&rvalue = static_cast<int &&>(ns::variable); bool truth; wchar_t wide; char16_t c16; char32_t c32;
struct Virtual1 : virtual ns::Other { int v1; }; struct Diamond : Virtual1, virtual ns::Other { int d; } diamond;
extern "C" void *memset(void *p, int c, u64 n) { for (u64 i = 0; i < n; i++) ((char *)p)[i] = c; return p; }
void operator delete(void *, u64) {}
void operator delete(void *) {}

extern "C" void __cxa_pure_virtual() {}
int use(ns::Shape &shape, ns::Array<int, 4> a) {
    int total = shape.area() + a.get(1) + a[2] + shape.scaled(2) + ns::secret(3);
    for (int i = 0; i < 3; i++) { ns::Colour local = ns::Colour::Red; total += ns::overloaded(shape, local) + (int)shape.scaled(1.5); }
    return total + ns::overloaded(1) + ns::overloaded(2.5);
}
extern "C" void _start() { ns::Shape s = ns::Shape::make(3); sink = use(s, numbers); for (;;) {} }
