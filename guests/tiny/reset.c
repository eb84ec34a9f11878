// resets the machine once: a word behind the program survives, the program's own data does not
#include "lib.h"

static u64 initialised = 1;

int main(void) {
  u64 *survivor = (u64 *)(RAM + 0x100000);
  printf("boot %lu, data %lu, mie %lx\n", *survivor, initialised, csr_read(mie));
  initialised = 2;
  csr_set(mie, MIE_MTIE);
  timer_set(time_now() + 1000000);
  if (++*survivor == 2)
    return 5;
  reset();
}
