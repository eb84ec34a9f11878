// virtio block device: reads, writes and checks a disk, by chains and indirect tables, with interrupts and event index
#include "tiny.h"

#define DEVICE_FEATURES 0x010
#define DEVICE_FEATURES_SEL 0x014
#define DRIVER_FEATURES 0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL 0x030
#define QUEUE_NUM 0x038
#define QUEUE_READY 0x044
#define QUEUE_NOTIFY 0x050
#define INTERRUPT_STATUS 0x060
#define INTERRUPT_ACK 0x064
#define STATUS 0x070
#define QUEUE_DESC 0x080
#define QUEUE_DRIVER 0x090
#define QUEUE_DEVICE 0x0a0
#define CONFIG 0x100

#define FEATURES_OK 8
#define F_RO (1u << 5)
#define F_INDIRECT_DESC (1u << 28)
#define F_EVENT_IDX (1u << 29)
#define NEXT 1
#define WRITE 2
#define INDIRECT 4

#define IN 0
#define OUT 1
#define FLUSH 4
#define GET_ID 8
#define WRITE_ZEROES 13

#define ENTRIES 8
#define SECTOR 512
#define MOST 16  // sectors of a request

struct descriptor {
  u64 address;
  u32 size;
  u16 flags, next;
};

static struct descriptor table[ENTRIES] __attribute__((aligned(16)));
static struct descriptor indirect[ENTRIES] __attribute__((aligned(16)));
static volatile struct {
  u16 flags, index, ring[ENTRIES], used_event;
} avail __attribute__((aligned(2)));
static volatile struct {
  u16 flags, index;
  struct {
    u32 id, size;
  } ring[ENTRIES];
  u16 avail_event;
} used __attribute__((aligned(4)));

static struct {
  u32 type, reserved;
  u64 sector;
} header;
static volatile u8 status;
static u8 buffer[MOST * SECTOR], expected[MOST * SECTOR];
static u64 base;
static u32 features;
static u16 seen;
static int is_indirect;

struct frame *trap(struct frame *frame) {
  u32 irq = plic_claim();
  write32(base + INTERRUPT_ACK, read32(base + INTERRUPT_STATUS));
  plic_complete(irq);
  traps = traps + 1;
  return frame;
}

static void set_address(u64 reg, const volatile void *address) {
  write32(base + reg, (u64)address);
  write32(base + reg + 4, (u64)address >> 32);
}

static int find(void) {
  for (int slot = 0; slot < VIRTIO_SLOTS; slot++) {
    base = VIRTIO + slot * VIRTIO_STRIDE;
    if (read32(base) == 0x74726976 && read32(base + 4) == 2 && read32(base + 8) == 2)
      return VIRTIO_IRQ(slot);
  }
  return 0;
}

static void start(void) {
  write32(base + STATUS, 0);
  write32(base + STATUS, 3);
  features = read32(base + DEVICE_FEATURES);
  write32(base + DRIVER_FEATURES, features & (F_INDIRECT_DESC | F_EVENT_IDX | F_RO));
  write32(base + DRIVER_FEATURES_SEL, 1);
  write32(base + DRIVER_FEATURES, 1);
  write32(base + STATUS, 3 | FEATURES_OK);
  if (!(read32(base + STATUS) & FEATURES_OK))
    panic("the device does not agree");
  write32(base + QUEUE_SEL, 0);
  write32(base + QUEUE_NUM, ENTRIES);
  set_address(QUEUE_DESC, table);
  set_address(QUEUE_DRIVER, &avail);
  set_address(QUEUE_DEVICE, &used);
  write32(base + QUEUE_READY, 1);
  write32(base + STATUS, 7 | FEATURES_OK);
}

// makes one request and returns how many bytes the device says it wrote
static u32 request(u32 type, u64 sector, u32 bytes, u16 data_flags) {
  struct descriptor *d = is_indirect ? indirect : table;
  header.type = type;
  header.sector = sector;
  status = 0xff;
  int n = 0;
  d[n] = (struct descriptor){(u64)&header, sizeof header, NEXT, n + 1};
  n++;
  // in two parts, the second one not aligned to anything
  u32 first = bytes > SECTOR ? SECTOR + 24 : bytes;
  if (first) {
    d[n] = (struct descriptor){(u64)buffer, first, NEXT | data_flags, n + 1};
    n++;
  }
  if (bytes > first) {
    d[n] = (struct descriptor){(u64)buffer + first, bytes - first, NEXT | data_flags, n + 1};
    n++;
  }
  d[n] = (struct descriptor){(u64)&status, 1, WRITE, 0};
  n++;
  u16 head = 0;
  if (is_indirect) {
    head = 5;
    table[head] = (struct descriptor){(u64)indirect, n * sizeof *d, INDIRECT, 0};
  }
  avail.used_event = seen;
  avail.ring[avail.index % ENTRIES] = head;
  fence();
  u16 old = avail.index;
  avail.index = old + 1;
  fence();
  if (!(features & F_EVENT_IDX) || used.avail_event == old)
    write32(base + QUEUE_NOTIFY, 0);
  interrupts_off();
  while (used.index == seen) {
    wait_for_interrupt();
    interrupts_on();
    interrupts_off();
  }
  interrupts_on();
  fence();
  u32 size = used.ring[seen % ENTRIES].size;
  if (used.ring[seen % ENTRIES].id != head)
    panic("another chain came back");
  seen++;
  return size;
}

static u64 hash_of(const u8 *data, u32 bytes) {
  u64 hash = 0;
  for (u32 n = 0; n < bytes; n++)
    hash = hash_mix(hash, data[n]);
  return hash;
}

static void say(const char *what, u32 size) { printf("%s: status %u, %u bytes\n", what, status, size); }

int main(void) {
  int irq = find();
  if (!irq) {
    printf("no disk\n");
    return 0;
  }
  plic_enable(irq);
  csr_set(mie, MIE_MEIE);
  interrupts_on();
  start();
  u64 capacity = read32(base + CONFIG) | (u64)read32(base + CONFIG + 4) << 32;
  int readonly = !!(features & F_RO);
  printf("disk of %lu sectors, %s\n", capacity, readonly ? "read-only" : "writable");
  u64 state = 1, wrong = 0, hash = 0;

  // all of it, or the first megabyte
  u64 limit = capacity < 2048 ? capacity : 2048;
  for (u64 sector = 0; sector < limit; sector += MOST) {
    u32 count = limit - sector < MOST ? limit - sector : MOST;
    is_indirect = sector / MOST & 1;
    if (request(IN, sector, count * SECTOR, WRITE) != count * SECTOR + 1 || status)
      wrong++;
    hash = hash_mix(hash, hash_of(buffer, count * SECTOR));
  }
  printf("contents: hash %016lx, %lu requests failed\n", hash, wrong);

  // random places written, and read again at once
  wrong = 0;
  for (int turn = 0; turn < 40 && capacity >= MOST; turn++) {
    u32 count = 1 + random_next(&state) % MOST;
    u64 sector = random_next(&state) % (limit - count + 1);
    is_indirect = turn & 1;
    for (u32 n = 0; n < count * SECTOR; n++)
      buffer[n] = random_next(&state) >> 32;
    memcpy(expected, buffer, sizeof buffer);
    request(OUT, sector, count * SECTOR, 0);
    if (status != readonly)
      wrong++;
    memset(buffer, 0, sizeof buffer);
    request(IN, sector, count * SECTOR, WRITE);
    if (status || (!readonly && memcmp(buffer, expected, count * SECTOR)))
      wrong++;
  }
  printf("random writes: %lu wrong\n", wrong);

  hash = 0;
  for (u64 sector = 0; sector < limit; sector++) {
    request(IN, sector, SECTOR, WRITE);
    hash = hash_mix(hash, hash_of(buffer, SECTOR));
  }
  printf("contents: hash %016lx\n", hash);

  say("flush", request(FLUSH, 0, 0, 0));
  say("serial", request(GET_ID, 0, 20, WRITE));
  // how much a device says it wrote of what failed is its own affair: QEMU says all of it
  request(IN, capacity, SECTOR, WRITE);
  printf("beyond the end: status %u\n", status);
  request(IN, 0, SECTOR / 2, WRITE);
  printf("half a sector: status %u\n", status);
  request(77, 0, SECTOR, WRITE);
  printf("no such type: status %u\n", status);
  if (!readonly) {
    struct {
      u64 sector;
      u32 count, flags;
    } *segment = (void *)buffer;
    segment->sector = 3;
    segment->count = 9;
    segment->flags = 0;
    say("write zeroes", request(WRITE_ZEROES, 0, sizeof *segment, 0));
    request(IN, 2, 11 * SECTOR, WRITE);
    u32 zeros = 0;
    for (int n = 0; n < 11 * SECTOR; n++)
      zeros += !buffer[n];
    printf("%u zeros at least\n", zeros / SECTOR * SECTOR);
  }
  printf("%s\n", traps ? "interrupts came" : "no interrupt came");

  // a chain that makes no sense: the device asks for a reset, gets it, and goes on
  table[0] = (struct descriptor){(u64)&header, sizeof header, NEXT, 0};
  avail.ring[avail.index % ENTRIES] = 0;
  avail.index++;
  fence();
  write32(base + QUEUE_NOTIFY, 0);
  while (!(read32(base + STATUS) & 64))
    ;
  printf("needs a reset\n");
  seen = 0;
  avail.index = used.index = used.avail_event = 0;
  start();
  is_indirect = 0;
  say("after it", request(IN, 0, SECTOR, WRITE));
  return 0;
}
