// bugs/late-dma: a driver that gives its buffer back when the device is slow, and the device writes to it all the same
//
// Key material is asked of the entropy device. A request that takes too long is given up, its buffer freed; but nobody
// tells the device. By then the buffer is a letter, and the letter is damaged. Wants `--device virtio-rng --seed N`.
#include "label.h"
#include "lib.h"

// ---- buffers: free ones in a list

#define BUFFERS 32

struct buffer {
  struct buffer *next;  // of a free one
  u64 used;
  u8 bytes[64];
};

static struct buffer buffers[BUFFERS];
static struct buffer *free_buffers;

static noinline void *buffer_take(void) {
  struct buffer *buffer = free_buffers;
  if (!buffer)
    panic("no buffer is left");
  free_buffers = buffer->next;
  buffer->used = 1;
  return buffer->bytes;
}

static noinline void buffer_give(u8 *bytes) {
  struct buffer *buffer = (struct buffer *)(bytes - __builtin_offsetof(struct buffer, bytes));
  buffer->used = 0;
  buffer->next = free_buffers;
  free_buffers = buffer;
}

// ---- the entropy device (virtio 1.2), slot 0 of the board

#define REG(offset) (VIRTIO + (offset))
#define STATUS REG(0x070)

static struct {
  u64 address;
  u32 size;
  u16 flags, next;
} desc[4] __attribute__((aligned(16)));
static volatile struct {
  u16 flags, index, ring[4];
} avail __attribute__((aligned(2)));
static volatile struct {
  u16 flags, index;
  struct {
    u32 id, size;
  } ring[4];
} used __attribute__((aligned(4)));

static void entropy_init(void) {
  if (read32(REG(0x008)) != 4)
    panic("there is no entropy device: record with --device virtio-rng --seed 1");
  write32(STATUS, 0);
  write32(STATUS, 3);            // acknowledge, driver
  write32(REG(0x024), 1);
  write32(REG(0x020), 1);        // VERSION_1
  write32(STATUS, 11);           // features ok
  write32(REG(0x030), 0);
  write32(REG(0x038), 4);
  write32(REG(0x080), (u64)desc);
  write32(REG(0x090), (u64)&avail);
  write32(REG(0x0a0), (u64)&used);
  write32(REG(0x044), 1);
  write32(STATUS, 15);           // driver ok
}

static void entropy_start(u8 *to, u32 size) {
  u16 slot = avail.index % 4;
  desc[slot].address = (u64)to;
  desc[slot].size = size;
  desc[slot].flags = 2;          // the device writes
  avail.ring[slot] = slot;
  fence();
  avail.index++;
  fence();
  write32(REG(0x050), 0);
}

// ---- keys and letters

#define ROUNDS 30000
#define LETTERS 24

static u64 state = 8, keys, letters, slow, hash;
static u8 *waiting[LETTERS];  // letters on their way

static u64 checksum(const u8 *bytes, u64 size) {
  u64 sum = 0;
  for (u64 i = 0; i < size; i++)
    sum = hash_mix(sum, bytes[i]);
  return sum;
}

// patience is counted in looks at the ring
static noinline void new_key(u64 patience) {
  u8 *key = buffer_take();
  entropy_start(key, 32);
  while (used.index != avail.index && patience)
    patience--;
  if (used.index != avail.index) {
    register u8 *a0 asm("a0") = key;
    LABEL("+r"(a0));
    buffer_give(a0);
    slow++;
    return;
  }
  keys++;
  hash = hash_mix(hash, checksum(key, 32));
  buffer_give(key);
}

static noinline void read_letter(u64 n) {
  u8 *letter = waiting[n];
  if (checksum(letter, 56) != *(u64 *)(letter + 56))
    panic("a letter is damaged, after %lu letters, %lu keys and %lu slow requests", letters, keys, slow);
  letters++;
  buffer_give(letter);
  waiting[n] = 0;
}

static noinline void write_letter(u64 n) {
  u8 *letter = waiting[n] = buffer_take();
  for (u64 i = 0; i < 56; i++)
    letter[i] = 'a' + random_next(&state) % 26;
  *(u64 *)(letter + 56) = checksum(letter, 56);
}

int main(void) {
  entropy_init();
  for (int i = 0; i < BUFFERS; i++)
    buffer_give(buffers[i].bytes);
  for (u64 round = 0; round < ROUNDS; round++) {
    u64 n = random_next(&state) % LETTERS;
    if (waiting[n])
      read_letter(n);
    else
      write_letter(n);
    if (round % 100 == 99)
      new_key(round == 20199 ? 10 : 1000000);
  }
  printf("%lu letters, %lu keys, hash %lx\n", letters, keys, hash);
  return 0;
}
