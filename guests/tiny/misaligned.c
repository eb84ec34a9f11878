// misaligned loads and stores: the board carries them out in RAM, across pages too; but not lr
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  frame->pc += length_at(frame->pc);
  return frame;
}

static u8 bytes[2 * 4096] __attribute__((aligned(4096)));

int main(void) {
  for (u64 i = 0; i < sizeof bytes; i++)
    bytes[i] = i + (i >> 8);
  u64 hash = 0;
  for (u64 offset = 4096 - 16; offset < 4096 + 16; offset++) {
    volatile u8 *at = bytes + offset;
    u64 value;
    asm volatile("lh %0, (%1)" : "=r"(value) : "r"(at));
    hash = hash_mix(hash, value);
    asm volatile("lwu %0, (%1)" : "=r"(value) : "r"(at));
    hash = hash_mix(hash, value);
    asm volatile("ld %0, (%1)" : "=r"(value) : "r"(at));
    hash = hash_mix(hash, value);
    asm volatile("sd %0, (%1)" : : "r"(hash), "r"(at) : "memory");
    asm volatile("sw %0, (%1)" : : "r"(hash), "r"(at + 9) : "memory");
    asm volatile("sh %0, (%1)" : : "r"(hash), "r"(at + 15) : "memory");
  }
  for (u64 i = 0; i < sizeof bytes; i++)
    hash = hash_mix(hash, bytes[i]);
  say_trap("loads and stores");
  printf("hash %016lx\n", hash);

  u64 value = 0;
  asm volatile("lr.d %0, (%1)" : "+r"(value) : "r"(bytes + 4));
  say_trap("lr.d");
  return 0;
}
