// A timer interrupts a loop; system calls by ecall come from the loop as well.
#include "bare.h"

volatile unsigned long ticks, served, noise;
unsigned char ring[16];
unsigned head;
unsigned long seen[4];

static void put(unsigned char byte) {
  ring[head % sizeof ring] = byte;
  head++;
}

static unsigned long now(void) { return REG64(CLINT + 0xbff8); }

static void arm(unsigned long after) { REG64(CLINT + 0x4000) = now() + after; }

__attribute__((interrupt("machine"), aligned(4))) void handler(void) {
  unsigned long cause = read_csr(mcause);
  if (cause >> 63) {
    ticks++;
    put(ticks);
    arm(3);
  } else {
    served++;
    write_csr(mepc, read_csr(mepc) + 4);
  }
}

__attribute__((noinline)) static void ask(void) {
  __asm__ volatile("ecall" ::: "memory");
}

__attribute__((noinline)) static unsigned long work(unsigned long n) {
  for (int i = 0; i < 20; i++)
    n = n * 6364136223846793005UL + 1442695040888963407UL;
  return n;
}

int main(void) {
  write_csr(mtvec, handler);
  arm(3);
  write_csr(mie, 0x80);
  set_csr(mstatus, 8);
  while (ticks < 30) {
    noise = work(noise);
    seen[ticks & 3]++;
    if (served <= ticks / 2)
      ask();
  }
  clear_csr(mstatus, 8);
  field("served", served);
  return 0;
}
