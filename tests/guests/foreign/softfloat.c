/* Floating point without a unit: the compiler's library does it. */
#include "bare.h"
static double sqrt_(double x) {
  double r = x > 1 ? x : 1;
  for (int i = 0; i < 40; i++) r = 0.5 * (r + x / r);
  return r;
}
static void bits(const char *name, double v) {
  union {
    double d;
    unsigned long u;
  } c = {v};
  field(name, c.u);
}
int main(void) {
  double pi = 0, sign = 1;
  for (int i = 0; i < 2000; i++, sign = -sign) pi += sign * 4 / (2 * i + 1);
  bits("pi", pi);
  bits("root", sqrt_(2));
  float f = 1;
  for (int i = 1; i < 100; i++) f = f * 1.0625f - 1.0f / i;
  bits("float", f);
  field("int", (long)(pi * 1e6));
  int row = 0;
  for (double y = -1.2; y < 1.2; y += 0.2, row++) {
    for (double x = -2; x < 0.6; x += 0.07) {
      double a = 0, b = 0;
      int i = 0;
      for (; i < 30 && a * a + b * b < 4; i++) {
        double t = a * a - b * b + x;
        b = 2 * a * b + y;
        a = t;
      }
      putchar_(" .:-=+*#%@"[i / 3 % 10]);
    }
    print("\n");
  }
  return row;
}
