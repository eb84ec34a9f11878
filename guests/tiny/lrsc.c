// load reserved, store conditional: success, no reservation, another address, a trap in between
#include "tiny.h"

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  frame->pc += 4;
  return frame;
}

static u64 words[16] __attribute__((aligned(64)));

static u64 lr(u64 *at) {
  u64 value;
  asm volatile("lr.d %0, (%1)" : "=r"(value) : "r"(at) : "memory");
  return value;
}

// 0: done
static u64 sc(u64 *at, u64 value) {
  u64 failed;
  asm volatile("sc.d %0, %2, (%1)" : "=&r"(failed) : "r"(at), "r"(value) : "memory");
  return failed;
}

int main(void) {
  words[0] = 5;
  lr(words);
  u64 failed = sc(words, 6);
  printf("pair: %lu, %lu\n", failed, words[0]);
  failed = sc(words, 7);
  printf("no reservation: %lu, %lu\n", failed, words[0]);
  lr(words);
  failed = sc(words + 8, 8);
  printf("elsewhere: %lu, %lu\n", failed, words[8]);
  lr(words);
  sc(words, 9);
  failed = sc(words, 10);
  printf("used up: %lu, %lu\n", failed, words[0]);

  // an atomic counter as compilers make it
  for (int i = 0; i < 1000; i++)
    while (sc(words, lr(words) + 1))
      ;
  printf("counted to %lu\n", words[0]);
  u32 *word = (u32 *)words, old;
  asm volatile("amomin.w %0, %2, (%1)" : "=r"(old) : "r"(word), "r"(-3) : "memory");
  printf("amomin.w: %x, %lx\n", old, words[0]);
  asm volatile("amominu.w %0, %2, (%1)" : "=r"(old) : "r"(word), "r"(77) : "memory");
  printf("amominu.w: %x, %lx\n", old, words[0]);
  return 0;
}
