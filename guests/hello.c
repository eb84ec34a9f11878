// hello: the smallest guest
#include "lib.h"

int main(void) {
  printf("hello from hart %lu, machine mode\n", csr_read(mhartid));
  return 0;
}
