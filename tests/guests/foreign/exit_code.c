/* The exit code is sixteen bits wide; a process keeps eight. */
#include "bare.h"
int main(void) {
  print("code 0x107\n");
  finish(0x107);
}
