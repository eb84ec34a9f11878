// virtio entropy device (virtio 1.2): one queue with one descriptor, a buffer that the device fills
#include "lib.h"

#define MAGIC 0x000            // "virt"
#define VERSION 0x004          // 2: modern
#define DEVICE_ID 0x008        // 4: entropy source
#define DRIVER_FEATURES 0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL 0x030
#define QUEUE_NUM 0x038
#define QUEUE_READY 0x044
#define QUEUE_NOTIFY 0x050
#define INTERRUPT_STATUS 0x060
#define INTERRUPT_ACK 0x064
#define STATUS 0x070
#define QUEUE_DESC 0x080       // descriptor table, low and high half of its address
#define QUEUE_DRIVER 0x090     // available ring
#define QUEUE_DEVICE 0x0a0     // used ring

#define ACKNOWLEDGE 1
#define DRIVER 2
#define DRIVER_OK 4
#define FEATURES_OK 8
#define DESC_WRITE 2           // the device writes the buffer

#define ENTRIES 4

static struct {
  u64 address;
  u32 size;
  u16 flags;
  u16 next;
} desc[ENTRIES] __attribute__((aligned(16)));

static volatile struct {
  u16 flags;
  u16 index;
  u16 ring[ENTRIES];
} avail __attribute__((aligned(2)));

static volatile struct {
  u16 flags;
  u16 index;
  struct {
    u32 id;
    u32 size;
  } ring[ENTRIES];
} used __attribute__((aligned(4)));

static u8 buffer[RNG_BYTES];
static u64 base;
static u16 seen;

static void set_address(u64 reg, const volatile void *address) {
  write32(base + reg, (u64)address);
  write32(base + reg + 4, (u64)address >> 32);
}

int rng_find(void) {
  int slot = 0;
  for (; slot < VIRTIO_SLOTS; slot++) {
    base = VIRTIO + slot * VIRTIO_STRIDE;
    if (read32(base + MAGIC) == 0x74726976 && read32(base + VERSION) == 2 && read32(base + DEVICE_ID) == 4)
      break;
  }
  if (slot == VIRTIO_SLOTS)
    return 0;
  write32(base + STATUS, 0);  // reset
  write32(base + STATUS, ACKNOWLEDGE | DRIVER);
  write32(base + DRIVER_FEATURES_SEL, 1);
  write32(base + DRIVER_FEATURES, 1);  // bit 32: VERSION_1
  write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  write32(base + QUEUE_SEL, 0);
  write32(base + QUEUE_NUM, ENTRIES);
  set_address(QUEUE_DESC, desc);
  set_address(QUEUE_DRIVER, &avail);
  set_address(QUEUE_DEVICE, &used);
  write32(base + QUEUE_READY, 1);
  write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  return VIRTIO_IRQ(slot);
}

void rng_start(void) {
  desc[0].address = (u64)buffer;
  desc[0].size = RNG_BYTES;
  desc[0].flags = DESC_WRITE;
  avail.ring[avail.index % ENTRIES] = 0;
  fence();  // the device must not see the index before the entry
  avail.index++;
  fence();
  write32(base + QUEUE_NOTIFY, 0);
}

void rng_ack(void) { write32(base + INTERRUPT_ACK, read32(base + INTERRUPT_STATUS)); }

const u8 *rng_done(u32 *size) {
  if (used.index == seen)
    return 0;
  fence();
  *size = used.ring[seen++ % ENTRIES].size;
  return buffer;
}
