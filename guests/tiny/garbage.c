// random accesses to all registers of all devices, of all sizes, with virtio rings that look valid now and then
#include "tiny.h"

#define RINGS (RAM + 0x600000)  // 64 KiB of descriptors and rings

static const volatile u64 rounds = 30000;  // how long it runs

static u64 random = 0x9e3779b97f4a7c15;
static u64 sum, interrupts;

static u64 next(void) { return random_next(&random); }

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  if (cause & CAUSE_INTERRUPT) {
    interrupts++;
    frame->status &= ~MSTATUS_MPIE;  // until the next try: nobody quietens what interrupts
    if (cause == CAUSE_TIMER) timer_off();
    if (cause == CAUSE_SOFTWARE) write32(CLINT, 0);
    if (cause == CAUSE_EXTERNAL) {
      u32 irq = plic_claim();
      if (next() & 3) plic_complete(irq);
    }
  } else {
    frame->pc += length_at(frame->pc);
  }
  return frame;
}

// small numbers, powers of two, addresses of RAM, anything
static u64 any(void) {
  u64 pick = next();
  switch (pick & 7) {
    case 0:
      return pick >> 8 & 15;
    case 1:
      return 1UL << (pick >> 8 & 63);
    case 2:
      return RINGS + (pick >> 8 & 0xffff);
    case 3:
      return ~(pick >> 8 & 15);
    default:
      return next();
  }
}

// never where the guest itself lies: a device would write there
static u64 value(void) {
  u64 v = any();
  return (v & 0xffffffff) - RAM < RINGS - RAM ? RINGS + (v & 0xffff) : v;
}

static u64 place(void) {
  u64 pick = next(), low = pick >> 32;
  switch (pick % 12) {
    case 0:
      return CLINT + (pick & 64 ? low & 0xffff : (u64[]){0, 0x4000, 0xbff8, 0xbffc}[low & 3]);
    case 1:
      return PLIC + (low & 0x3ffffff);
    case 2:
      return PLIC + (low & 3) * 0x1000 + (low >> 2 & 127);
    case 3:
      return PLIC + 0x200000 + (low & 1) * 0x1000 + (low >> 2 & 15);
    case 4:
      return UART + (low & 255);
    case 5:
      return UART + (low & 7);
    case 6:
      return RTC + (low & (pick & 64 ? 0xfff : 0x3f));
    case 7:
      return FINISHER + 8 + low % 0xff8;  // its registers end the run
    default:
      return VIRTIO + (low % VIRTIO_SLOTS) * VIRTIO_STRIDE + (low >> 8 & (pick & 64 ? 0xfff : 0x1ff));
  }
}

static void access(u64 at) {
  u64 pick = next(), v = value();
  if (pick & 7) at &= -(1UL << (pick >> 4 & 3));
  switch (pick >> 4 & 3) {
    case 0:
      if (pick & 8)
        write8(at, v);
      else
        sum = hash_mix(sum, read8(at));
      break;
    case 1:
      if (pick & 8)
        *(volatile u16 *)at = v;
      else
        sum = hash_mix(sum, *(volatile u16 *)at);
      break;
    case 2:
      if (pick & 8)
        write32(at, v);
      else
        sum = hash_mix(sum, read32(at));
      break;
    default:
      if (pick & 8)
        write64(at, v);
      else
        sum = hash_mix(sum, read64(at));
  }
}

// a slot as a driver sets it up, more or less, with descriptors that lead anywhere
static void rings(void) {
  u64 pick = next(), slot = VIRTIO + (pick % VIRTIO_SLOTS) * VIRTIO_STRIDE, queue = pick >> 8 & 3;
  u64 base = RINGS + (pick >> 16 & 7) * 0x1000, size = 1UL << (pick >> 20 & 3);
  u8 *descriptors = (u8 *)base, *avail = (u8 *)base + 0x400;
  for (u64 n = 0; n < size; n++) {
    u64 p = next();
    write64((u64)descriptors + 16 * n, p & 7 ? RINGS + 0x8000 + (p >> 8 & 0x7fff) : value());
    write32((u64)descriptors + 16 * n + 8, p & 64 ? p >> 32 & 0xfff : value());
    write32((u64)descriptors + 16 * n + 12, (p >> 3 & 7) | (p >> 44 & (size * 2 - 1)) << 16);
    *(volatile u16 *)(avail + 4 + 2 * n) = p >> 50 & (size * 2 - 1);
    // what a block device takes for a request
    write32(RINGS + 0x8000 + (p >> 8 & 0x7ff0), p >> 60);
    write64(RINGS + 0x8008 + (p >> 8 & 0x7ff0), p >> 52 & 0xff);
  }
  *(volatile u16 *)avail = pick >> 24 & 1;
  *(volatile u16 *)(avail + 2) = pick >> 25 & 15;
  write32(slot + 0x70, 0);
  write32(slot + 0x70, 3);
  write32(slot + 0x24, 1);
  write32(slot + 0x20, 1);
  write32(slot + 0x24, 0);
  write32(slot + 0x20, pick >> 32);
  write32(slot + 0x70, 11);
  write32(slot + 0x30, queue);
  write32(slot + 0x38, size);
  for (int n = 0; n < 3; n++) {
    write32(slot + 0x80 + 16 * n, base + (u64[]){0, 0x400, 0x800}[n]);
    write32(slot + 0x84 + 16 * n, (base + 0x800) >> 32);
  }
  write32(slot + 0x44, 1);
  write32(slot + 0x70, 15);
  fence();
  write32(slot + 0x50, queue);
  sum = hash_mix(sum, read32(base + 0x800));
}

int main(void) {
  csr_write(mie, MIE_MSIE | MIE_MTIE | MIE_MEIE);
  for (u64 n = 0; n < rounds; n++) {
    u64 pick = next();
    access(place());
    if (pick % 61 == 0) rings();
    if (pick % 7 == 0) {
      interrupts_on();
      interrupts_off();
    }
    if (pick % 997 == 0) {
      timer_set(time_now() + (pick >> 32 & 1023));
      wait_for_interrupt();
    }
  }
  // its own words, however the UART was left
  csr_write(mie, 0);
  write8(UART + 3, 3);
  write8(UART + 4, 0);
  uart_init();
  printf("\n%lu accesses, %lu traps, %lu interrupts, %lx\n", rounds, traps, interrupts, sum);
  return 0;
}
