/* Reads lines by polling and prints them reversed, until an empty one. */
#include "bare.h"
static int getchar_(void) {
  while ((REG8(UART0 + 5) & 1) == 0) {
  }
  return REG8(UART0);
}
int main(void) {
  char line[80];
  unsigned long total = 0;
  print("ready\n");
  for (;;) {
    int n = 0, c;
    while ((c = getchar_()) != '\n' && c != '\r')
      if (n < 79) line[n++] = c;
    if (n == 0) break;
    total += n;
    while (n) putchar_(line[--n]);
    putchar_('\n');
  }
  field("total", total);
  return total & 0x7f;
}
