// race: a preemptive two-task kernel whose free list is not safe from its timer interrupt
//
// A producer takes blocks from a free list, fills them and queues them; a consumer takes them from the queue, checks
// them and frees them. The time slices are drawn from entropy and from console input, so each run interleaves the two
// in another way; some lose a block. At the end every block must be on one of the two lists, once.
#include "lib.h"

#define BLOCKS 8
#define BLOCK_WORDS 24
#define ROUNDS 3500
#define SLICE 200  // shortest time slice in ticks of mtime

struct block {
  struct block *next;
  u64 owner;  // 0: free, 1: being filled, 2: queued, 3: being checked
  u64 words[BLOCK_WORDS];
  u64 sum;
};

static struct block blocks[BLOCKS];
static struct block *volatile free_list;
static struct block *volatile queue;
static volatile u64 produced, consumed, failed;
static volatile u64 idle;  // yields since the last block moved

// ---- tasks and their switch

struct task {
  struct frame *frame;  // where it was interrupted
  u8 stack[4096] __attribute__((aligned(16)));
};
static struct task tasks[2];
static u64 current;
static u64 jitter = 1;

// each slice has another length
static void next_slice(void) {
  timer_set(time_now() + SLICE + random_next(&jitter) % SLICE);
}

static struct frame *switch_from(struct frame *frame) {
  tasks[current].frame = frame;
  current ^= 1;
  return tasks[current].frame;
}

// there is nothing to do: let the other task run
static void yield(void) {
  idle = idle + 1;
  if (idle > 1000)
    panic("nothing moves after %lu blocks: they are lost", consumed);
  asm volatile("ecall" : : : "memory");
}

static void external_interrupt(void) {
  u32 irq = plic_claim();
  for (int c; irq == UART_IRQ && (c = uart_getc()) >= 0;)
    jitter = hash_mix(jitter, c) | 1;
  plic_complete(irq);
}

struct frame *trap(struct frame *frame) {
  switch (csr_read(mcause)) {
  case CAUSE_EXTERNAL:
    external_interrupt();
    return frame;
  case CAUSE_ECALL_M:
    frame->pc += 4;  // go on behind the ecall
    return switch_from(frame);
  case CAUSE_TIMER:
    next_slice();
    return switch_from(frame);
  default:
    trap_panic(frame);
  }
}

static void task_create(struct task *task, void (*entry)(void)) {
  u8 *top = task->stack + sizeof task->stack;
  task->frame = (struct frame *)top - 1;
  frame_init(task->frame, entry, top, MSTATUS_MPP_M);
}

// ---- the two lists

// the queue is shared by both tasks: the timer must not come in between
static void enqueue(struct block *block) {
  interrupts_off();
  block->owner = 2;
  block->next = queue;
  queue = block;
  interrupts_on();
}

static struct block *dequeue(void) {
  interrupts_off();
  struct block *block = queue;
  if (block) {
    queue = block->next;
    block->owner = 3;
  }
  interrupts_on();
  return block;
}

// only the producer takes and only the consumer gives, so this needs no protection
static struct block *take_free(void) {
  struct block *block = free_list;
  if (block) {
    free_list = block->next;
    block->owner = 1;
  }
  return block;
}

static void give_free(struct block *block) {
  block->owner = 0;
  block->next = free_list;
  free_list = block;
}

// every block must be free now
static void audit(void) {
  interrupts_off();
  u64 found = 0;
  for (struct block *block = free_list; block && found <= BLOCKS; block = block->next)
    found++;
  printf("%lu blocks produced, %lu consumed\n", produced, consumed);
  if (failed)
    panic("%lu blocks were damaged on their way", failed);
  if (found > BLOCKS)
    panic("the free list has a loop");
  if (found < BLOCKS)
    panic("%lu of %d blocks are free", found, BLOCKS);
  printf("all %d blocks are free\n", BLOCKS);
  power_off(0);
}

// ---- the work

static u64 checksum(const struct block *block) {
  u64 sum = 0;
  for (int pass = 0; pass < 4; pass++)
    for (int i = 0; i < BLOCK_WORDS; i++)
      sum = hash_mix(sum, block->words[i]);
  return sum;
}

static void producer(void) {
  u64 state = 1;
  while (produced < ROUNDS) {
    struct block *block = take_free();
    if (!block) {
      yield();
      continue;
    }
    for (int i = 0; i < BLOCK_WORDS; i++)
      block->words[i] = random_next(&state);
    block->sum = checksum(block);
    enqueue(block);
    produced = produced + 1;
    idle = 0;
  }
  for (;;)
    yield();
}

static void consumer(void) {
  while (consumed < ROUNDS) {
    struct block *block = dequeue();
    if (!block) {
      yield();
      continue;
    }
    if (checksum(block) != block->sum)
      failed = failed + 1;
    give_free(block);
    consumed = consumed + 1;
    idle = 0;
  }
  audit();
}

int main(void) {
  for (int i = 0; i < BLOCKS; i++)
    give_free(&blocks[i]);

  printf("two tasks, %d rounds\n", ROUNDS);
  if (rng_find()) {
    u32 size;
    const u8 *bytes;
    rng_start();
    while (!(bytes = rng_done(&size)))
      ;
    rng_ack();
    for (u32 i = 0; i < size; i++)
      jitter = hash_mix(jitter, bytes[i]) | 1;
  }

  task_create(&tasks[0], producer);
  task_create(&tasks[1], consumer);
  plic_enable(UART_IRQ);
  uart_interrupts(UART_RX_INTERRUPT);
  csr_set(mie, MIE_MTIE | MIE_MEIE);
  next_slice();
  resume(tasks[0].frame);
}
