// PLIC: interrupts of devices
#include "lib.h"

#define PRIORITY(irq) (PLIC + 4 * (irq))
#define ENABLE (PLIC + 0x2000)
#define THRESHOLD (PLIC + 0x200000)
#define CLAIM (PLIC + 0x200004)

void plic_enable(u32 irq) {
  write32(PRIORITY(irq), 1);
  write32(ENABLE, read32(ENABLE) | 1u << irq);
  write32(THRESHOLD, 0);
}

// the most urgent interrupt, 0 if there is none; it stays away until it is completed
u32 plic_claim(void) { return read32(CLAIM); }

void plic_complete(u32 irq) { write32(CLAIM, irq); }
