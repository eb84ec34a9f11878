// QEMU's `virt` board, as far as these guests use it
//
//   00100000  test finisher: power off, reset
//   00101000  goldfish RTC
//   02000000  CLINT: software interrupt, timer
//   0c000000  PLIC
//   10000000  NS16550A UART, irq 10
//   10001000  eight virtio-mmio slots, irq 1 to 8
//   80000000  RAM; -kernel puts the program here and jumps to it in M mode
#ifndef BOARD_H
#define BOARD_H

#include "riscv.h"

#define FINISHER 0x100000UL
#define RTC 0x101000UL
#define CLINT 0x2000000UL
#define PLIC 0xc000000UL
#define UART 0x10000000UL
#define UART_IRQ 10
#define VIRTIO 0x10001000UL
#define VIRTIO_STRIDE 0x1000
#define VIRTIO_SLOTS 8
#define VIRTIO_IRQ(slot) (1 + (slot))
#define RAM 0x80000000UL

#define TIMEBASE_HZ 10000000UL  // mtime counts 100 ns

static inline u8 read8(u64 address) { return *(volatile u8 *)address; }
static inline u32 read32(u64 address) { return *(volatile u32 *)address; }
static inline u64 read64(u64 address) { return *(volatile u64 *)address; }
static inline void write8(u64 address, u8 value) { *(volatile u8 *)address = value; }
static inline void write32(u64 address, u32 value) { *(volatile u32 *)address = value; }
static inline void write64(u64 address, u64 value) { *(volatile u64 *)address = value; }

#endif
