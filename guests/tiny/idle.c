// sleeps for ever: no interrupt is enabled
#include "lib.h"

int main(void) {
  printf("good night\n");
  csr_write(mie, 0);
  for (;;)
    wait_for_interrupt();
}
